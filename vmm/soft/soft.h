/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM's API without KVM: an engine in this process that interprets the guest.
 *
 * soft_open() gives a descriptor that stands for /dev/kvm. From there on everything is KVM's own
 * API (Linux Documentation/virt/kvm/api.rst), through kvm_ioctl() and kvm_close() (ept/kvm_fd.h):
 * KVM_CREATE_VM and KVM_CREATE_VCPU give descriptors, kvm_run is mapped from the vCPU's, errors and
 * exit reasons are KVM's. What it does of KVM, and what not, says docs/softkvm.md.
 *
 * Beyond KVM's API it lets one look at what a kernel hides: the second stage's tables, which are
 * EPT tables of the SDM's format in this process; a host-physical address is an address in it.
 *
 * One thread at a time interprets, whichever of those in KVM_RUN has the baton, turn by turn for
 * all vCPUs of its VM: the order of turns depends on the guest's instructions alone, but for what
 * comes from outside (KVM_SIGNAL_MSI, a vCPU entering KVM_RUN), which is taken between two turns.
 */
#ifndef VMM_SOFT_SOFT_H
#define VMM_SOFT_SOFT_H

#include <stdbool.h>
#include <stdint.h>

#include "ept/stage2.h"

struct soft_options {
	/* Translations a vCPU's TLB remembers at most, a page or a table each; 0: as many as there
	 * is reason for (tlb.h). Which of them goes when it is full is drawn, from the seed. */
	uint64_t tlb_entries;
	uint64_t tlb_seed;
	/* Instructions a vCPU has for its turn when others want one too; 0: SOFT_TURN_DEFAULT. */
	uint64_t turn;
};

#define SOFT_TURN_DEFAULT 1000

/* @options NULL: all zero. The descriptor is the caller's. Errors: -ENOMEM, -EMFILE, the system's.
 */
int soft_open(const struct soft_options *options, int *fd_out);

/* Whether @fd is a device soft_open() gave. */
bool soft_is_device(int fd);

/* Attributes of KVM_SET_MEMORY_ATTRIBUTES that this engine knows, each a right taken away. */
#define SOFT_ATTRIBUTE_NO_READ    (1ull << 0) /* takes writing away too: EPT has no write-only */
#define SOFT_ATTRIBUTE_NO_WRITE   (1ull << 1)
#define SOFT_ATTRIBUTE_NO_EXECUTE (1ull << 2)

/*
 * The second stage of the VM behind @vm_fd, to be walked by ept/stage2.h: good until the VM goes.
 * Its vCPUs must not be in KVM_RUN meanwhile. Errors: -EBADF (no VM of this engine's).
 */
int soft_second_stage(int vm_fd, struct stage2_mode *mode_out, struct stage2_reader *reader_out);

/*
 * From now on counts each instruction executed in [@start, @start + @bytes) of linear addresses, by
 * any vCPU, at its own: @counts[address - @start], the caller's, which must stay until the VM goes.
 * NULL: no more. It makes the VM several times slower. Errors: -EBADF (no VM of this engine's).
 */
int soft_count_addresses(int vm_fd, uint64_t start, uint64_t bytes, uint64_t *counts);

/*
 * Whether vCPUs stop before the instruction at guest-physical @gpa, as at an INT3 with
 * KVM_GUESTDBG_USE_SW_BP, but that memory shows nothing of it; any number of times. Errors: -EBADF,
 * -EFAULT (no memory there), -ENOSPC (there are too many).
 */
int soft_breakpoint(int vm_fd, uint64_t gpa, bool stop);

/* The last EPT violation of a vCPU: what VM exit information would say (SDM vol. 3C, 28.2.1). */
struct soft_violation {
	uint64_t count; /* so far */
	uint64_t qualification;
	gpa_t gpa;
	gva_t gva; /* of the access, also where a paging entry was what was not there */
};

/* Of the vCPU behind @vcpu_fd, which is not in KVM_RUN. Errors: -EBADF. */
int soft_last_violation(int vcpu_fd, struct soft_violation *violation_out);

#endif
