/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtual machine: the KVM VM, its interrupt controller, its memory slots and its vCPUs. What
 * the guest says through its ports goes to the VM's user (vmm/machine/guest.c) by struct vm_ops.
 *
 * Interrupts: the local APICs are in KVM, so that a halted vCPU sleeps there; there is no PIC,
 * I/O APIC or PIT, so that every port but the guest's own reaches us.
 */
#ifndef VMM_MACHINE_VM_H
#define VMM_MACHINE_VM_H

#include <stdint.h>

#include "lib/error.h"
#include "ept/gpa_space.h"
#include "ept/kvm_slots.h"
#include "vmm/image/boot.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/report.h"
#include "vmm/machine/vcpu.h"
#include "vmm/machine/watch.h"

/* Called on the vCPU's thread. None may pause or end a vCPU by waiting for it. */
struct vm_ops {
	/* NB_PORT_COMPLETE. */
	void (*complete)(void *context, unsigned int vcpu);
	/* NB_PORT_FRAMES, where the guest was told to. Errors end the guest. */
	int (*frames)(void *context, struct vcpu *vcpu, struct error *error);
	/* NB_PORT_EVENT: @event is the host's copy; @trace of a warning, NULL of a log line. */
	void (*event)(void *context, unsigned int vcpu, const struct nb_event *event,
		      const struct backtrace *trace);
	/*
	 * The vCPU died; its thread leaves the loop after this. @report has all but the
	 * hypercall in flight; it is the callee's to copy.
	 */
	void (*dead)(void *context, unsigned int vcpu, struct guest_report *report);
};

struct vm_config {
	int kvm_fd; /* stays the caller's; must outlive the VM */
	const struct kvm_host *host;
	struct gpa_space *space; /* must outlive the VM */
	const struct boot *boot;
	const struct image *image;
	unsigned int nr_vcpus;
	const struct vm_ops *ops;
	const struct watch_ops *watch; /* traps are wanted: the memory is trappable; or NULL */
	void *context;                 /* of both */
};

struct vm {
	int kvm_fd;
	int fd;
	struct gpa_space *space;
	struct kvm_slots *slots;
	struct watch *watch; /* or NULL */
	struct debug *debug; /* or NULL; atomic: written while all vCPUs are held */
	const struct image *image;
	struct backtrace_source *traces;
	const struct boot *boot;
	unsigned int physical_bits;
	bool no_1g_pages;
	const struct vm_ops *ops;
	void *context;
	unsigned int nr_vcpus;
	struct vcpu *vcpus[NB_MAX_VCPUS];
};

/*
 * Makes the VM and its vCPUs; none runs yet. Errors: -EINVAL (more vCPUs than this KVM has: the
 * text says how many), KVM's own, -ENOMEM.
 */
int vm_create(const struct vm_config *config, struct vm **vm_out, struct error *error);

/*
 * Ends every vCPU and closes everything. NULL is allowed. Errors: -ETIMEDOUT, KVM does not let go
 * of a vCPU: nothing is freed, and what the VM uses must stay as well.
 */
int vm_destroy(struct vm *vm);

/* Starts every vCPU's thread. On error those that run are ended by vm_destroy(). */
int vm_start(struct vm *vm, struct error *error);

/*
 * Sends interrupt @vector to vCPU @index. Returns 1, or 0 when its APIC is not on yet. Errors:
 * KVM's own. Any thread.
 */
int vm_interrupt(struct vm *vm, unsigned int index, uint8_t vector);

#endif
