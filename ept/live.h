/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The second stage as it really is: the tables KVM made for a running VM, read out of the host
 * kernel's memory; or those of an engine in this process. The former for root alone, on kvm_intel
 * with EPT and kvm_amd with NPT.
 *
 * No kernel interface shows these tables. Where their root is says a kprobe event on the function
 * by which KVM hands it to the processor, vmx_load_mmu_pgd() or svm_load_mmu_pgd() (root_hpa,
 * level); what is in them, /proc/kcore, which has all of the host's memory. Nothing is changed but
 * tracefs: an instance and an event named after this process, removed by live_close().
 *
 * KVM hands over a root once for each vCPU. Either the probe is there before the first KVM_RUN, or
 * live_nudge() makes KVM do it again.
 *
 * The tables change while vCPUs run: pause them first (vcpu_pause() in vmm/). Even then KVM may
 * zap: what is read is checked like a guest's tables, never trusted.
 *
 * KVM's own choices show here and not in the prediction: with kvm.nx_huge_pages a huge page the
 * guest executes from is mapped by small leaves.
 *
 * Source: Linux arch/x86/kvm/{vmx/vmx.c,svm/svm.c}, Documentation/trace/kprobetrace.rst,
 * fs/proc/kcore.c.
 */
#ifndef EPT_LIVE_H
#define EPT_LIVE_H

#include <sys/types.h>

#include "lib/error.h"
#include "ept/stage2.h"

struct live;

/*
 * Sets the probe. @physical_bits: of the host's processor (CPUID 0x80000008; 0: ask it). Errors:
 * -EPERM (not root, kernel lockdown), -EOPNOTSUPP (neither kvm_intel with EPT nor kvm_amd with NPT;
 * no tracefs, kprobes or /proc/kcore), the system's; the text says what to do.
 */
int live_open(unsigned int physical_bits, struct live **live_out, struct error *error);

/*
 * The same for tables that are in this process, as an engine of its own makes them: @mode and how
 * they are reached, both good until live_close(). No privilege, nothing set. Errors: -ENOMEM.
 */
int live_open_tables(const struct stage2_mode *mode, const struct stage2_reader *reader,
		     struct live **live_out, struct error *error);

/* Removes it. NULL is allowed. */
void live_close(struct live *live);

/*
 * The root that KVM handed over last for one of this process's threads, and how it is walked.
 * Errors: -ENOENT (none since live_open(): see live_nudge()), the system's.
 */
int live_root(struct live *live, struct stage2_mode *mode_out, struct error *error);

/*
 * Makes KVM hand over the root of the VM behind @vm_fd without changing it: a further vCPU, of the
 * unused id @vcpu_id, gets as far as the entry, which a pending signal stops. It stays, never run,
 * until the VM goes. Errors: KVM's own.
 */
int live_nudge(int kvm_fd, int vm_fd, unsigned int vcpu_id, struct error *error);

/* What the tables hold besides leaves. */
struct live_counts {
	uint64_t leaves_4k;
	uint64_t leaves_2m;
	uint64_t leaves_1g;
	uint64_t tables;
	uint64_t marked; /* entries KVM uses as a mark, e.g. of device memory: none the processor
			    would follow */
};

/* Other than 0 ends the visit. */
typedef int (*live_leaf_fn)(void *context, const struct stage2_leaf *leaf);

/*
 * Visits the leaves that map some byte of [start, end), in address order. @leaf may be NULL,
 * *@counts_out says what there was. Errors: live_root()'s, -ELOOP (tables that lead to themselves:
 * they were freed meanwhile), reading /proc/kcore, the callback's.
 */
int live_for_each(struct live *live, gpa_t start, gpa_t end, live_leaf_fn leaf, void *context,
		  struct live_counts *counts_out, struct error *error);

#endif
