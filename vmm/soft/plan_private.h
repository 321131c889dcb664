/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans as schedule.c calls them. All with vm->lock. */
#ifndef VMM_SOFT_PLAN_PRIVATE_H
#define VMM_SOFT_PLAN_PRIVATE_H

#include "vmm/soft/plan.h"
#include "vmm/soft/private.h"

struct soft_switches {
	struct soft_switch *list;
	size_t count, room;
};

struct soft_planned {
	struct soft_plan plan;
	struct soft_switch *switches; /* the plan's, own copy */
	size_t next;                  /* of them */
	uint64_t random;
	struct soft_vcpu *current;        /* whose turn it was last, or NULL */
	uint64_t origin[SOFT_VCPUS_MAX];  /* instructions when the plan began */
	uint64_t begin;                   /* the VM's clock then */
	int64_t priority[SOFT_VCPUS_MAX]; /* PCT: the highest runs */
	int64_t lowest;
	uint64_t change[SOFT_PLAN_DEPTH_MAX]; /* PCT: clock, ascending */
	unsigned int nr_changes, next_change;
	uint64_t until; /* own instructions at which current's turn ends, when it is drawn */
	struct soft_switches log, points;
};

/* Everybody is in KVM_RUN, and the VM is not held. */
bool soft_plan_may_run(const struct soft_vm *vm);

/* Of those vCPUs that want a turn, not none: which has it, and for how many instructions. */
struct soft_vcpu *soft_plan_pick(struct soft_vm *vm, const bool *wants, uint64_t *budget_out);

/* The turn ended with PAUSE. */
void soft_plan_paused(struct soft_vcpu *vcpu);

/* The vCPU is about to do what orders it and others. */
void soft_plan_point(const struct soft_vcpu *vcpu);

void soft_plan_free(struct soft_planned *planned);

int soft_plan_begin(struct soft_vm *vm, const struct soft_plan *plan);

/* schedule.c: has a thread drive, if there is something to do. */
void soft_wake_somebody(struct soft_vm *vm);
bool soft_is_idle(struct soft_vm *vm);
/* It is in KVM_RUN, and has something to do. */
bool soft_could_run(const struct soft_vcpu *vcpu);

#endif
