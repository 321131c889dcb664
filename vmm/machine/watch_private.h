/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What watch.c (answers) and watch_locate.c (which page, which access) share. */
#ifndef VMM_MACHINE_WATCH_PRIVATE_H
#define VMM_MACHINE_WATCH_PRIVATE_H

#include <linux/kvm.h>
#include <pthread.h>

#include "guest/abi.h"
#include "vmm/machine/watch.h"

/* A fault that was made to fail; its vCPU has yet to leave KVM. */
struct watch_pending {
	uint64_t page;
	pid_t thread; /* 0: a thread of KVM's, for one of the vCPUs */
};

#define WATCH_PENDING_MAX 64
#define WATCH_STEPS_MAX   4

/* The thread's own, but where said. */
struct watch_vcpu {
	pid_t thread; /* lock; 0 before it runs */
	bool held;    /* lock */
	bool resumed; /* lock: the late answer is there */
	enum watch_answer late;
	struct watch_access access; /* held: what for */
	bool mmio;                  /* held: the exit is KVM_EXIT_MMIO */
	unsigned int retries;
	unsigned int nr_steps; /* pages open for one instruction */
	gpa_t steps[WATCH_STEPS_MAX];
	unsigned int tries;     /* of the step */
	struct kvm_regs before; /* it */
};

struct watch {
	struct vm *vm;
	struct trap_set *traps;
	const struct watch_ops *ops;
	void *context;
	pthread_mutex_t lock;
	pthread_cond_t released;
	unsigned int nr_pending; /* lock */
	struct watch_pending pending[WATCH_PENDING_MAX];
	struct watch_vcpu vcpus[NB_MAX_VCPUS];
};

/*
 * Finds the watched page the instruction the vCPU stands at touches, and says how. With @page not
 * NULL that page is known, *page its address, and what can be said is said. Returns whether a page
 * is known.
 */
bool watch_locate(struct watch *watch, struct vcpu *vcpu, const gpa_t *page,
		  struct watch_access *access_out);

/* The same for an exit that has the address and the direction, but perhaps the next RIP. */
void watch_locate_mmio(struct watch *watch, struct vcpu *vcpu, struct watch_access *access_out);

#endif
