/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traps under a running VM: a vCPU that touches a watched page (ept/trap.h) leaves KVM before the
 * access has happened, its registers are read, and the owner of the watch decides.
 *
 *      touch --> fault --> on the traps' thread: the access is made to fail, and remembered
 *                          |
 *                KVM_RUN returns --> on the vCPU's thread: which page, which access, from where
 *                                                  --> answer: go on, hold, deny
 *
 * What KVM says of the failed access differs: -EFAULT, without an address before Linux 6.8, where
 * hardware runs the guest; KVM_EXIT_MMIO or an emulation error where KVM emulates it. The page is
 * found from what was remembered, or from the instruction the vCPU stands at.
 *
 * WATCH_GO_ON lets the access happen and keeps the watch: an emulated one is carried out here; else
 * the page is opened for one instruction of this vCPU. In that moment another vCPU may get at the
 * page untold.
 *
 * Locking: any thread may set and end watches. `lock` guards all that is not a vCPU's own.
 */
#ifndef VMM_MACHINE_WATCH_H
#define VMM_MACHINE_WATCH_H

#include "ept/trap.h"
#include "vmm/machine/report.h"
#include "vmm/machine/vcpu.h"

struct vm;
struct watch;

struct watch_access {
	unsigned int vcpu;
	gpa_t page;
	struct report_access what;
};

enum watch_answer {
	WATCH_GO_ON, /* the access happens */
	WATCH_HOLD,  /* the vCPU waits, until watch_resume() */
	WATCH_DENY,  /* the guest ends here, with a report */
};

struct watch_ops {
	/* On the vCPU's thread, which is out of KVM: its registers may be read. */
	enum watch_answer (*answer)(void *context, struct vcpu *vcpu,
				    const struct watch_access *access);
	/* May be NULL. Before a denied access is reported: *report may be changed. */
	void (*describe)(void *context, const struct watch_access *access,
			 struct guest_report *report);
};

/*
 * Traps for @vm, before it runs; its memory is trappable. Errors: trap_set_create()'s.
 */
int watch_create(struct vm *vm, const struct watch_ops *ops, void *context,
		 struct watch **watch_out, struct error *error);

/* When no vCPU runs any more. NULL is allowed. */
void watch_destroy(struct watch *watch);

/* Where watches are set and ended. */
struct trap_set *watch_traps(struct watch *watch);

/* The thread of a vCPU says who it is: the first thing it does. */
void watch_vcpu_starts(struct watch *watch, unsigned int vcpu);

enum watch_result {
	WATCH_NOT_OURS, /* no watched access: handle it */
	WATCH_RUN,      /* run the vCPU again */
	WATCH_DIED,     /* reported dead */
};

/* KVM_RUN returned with an exit, or failed with @code (a -errno). On the vCPU's thread. */
enum watch_result watch_exit(struct watch *watch, struct vcpu *vcpu);
enum watch_result watch_run_failed(struct watch *watch, struct vcpu *vcpu, int code);

/*
 * For a vCPU that is held: waits a little for its answer, and obeys it. WATCH_NOT_OURS when it is
 * not held. On its thread.
 */
enum watch_result watch_held(struct watch *watch, struct vcpu *vcpu);

/* Whether it is. Any thread. */
bool watch_is_held(struct watch *watch, unsigned int vcpu);

/* The late answer for a held vCPU, not WATCH_HOLD. Errors: -ENOENT (not held), -EINVAL. */
int watch_resume(struct watch *watch, unsigned int vcpu, enum watch_answer answer);

#endif
