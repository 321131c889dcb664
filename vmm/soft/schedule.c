/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The baton. Of the threads in KVM_RUN one, the driver, gives turns to all vCPUs that are there,
 * its own and the others'; those sleep until their vCPU has an exit, or a signal comes.
 *
 *      OUTSIDE --KVM_RUN--> READY <--interrupt-- HALTED
 *                             |  \________HLT______^
 *                           an exit
 *                             v
 *                           LEAVES --its thread takes it--> OUTSIDE
 *
 * Turns go round, each of so many instructions; a vCPU at PAUSE or HLT gives the rest of its turn
 * away. Between two turns, and only there, others get at the VM (soft_vm_lock()), timers are
 * looked at, and immediate_exit is.
 *
 * When everybody sleeps and a timer runs, its time comes at once: a VM's clock counts instructions,
 * and there are none to wait for.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "vmm/soft/history_private.h"
#include "vmm/soft/plan_private.h"
#include "vmm/soft/private.h"

/* A vCPU that is alone has no need to look around so often. */
#define TURNS_ALONE 16

/* About what a PAUSE takes on processors of today, where a timer is waited for. */
#define PAUSE_TICKS 40

static bool takes_part(const struct soft_vcpu *vcpu)
{
	return vcpu->state == SOFT_READY || vcpu->state == SOFT_HALTED;
}

void soft_wake(struct soft_vcpu *vcpu)
{
	uint64_t one = 1;

	/* An eventfd that cannot be written is full, and so as awake as can be. */
	if (vcpu->sleeps && write(vcpu->wake, &one, sizeof(one)) < 0)
		return;
}

void soft_leave(struct soft_vcpu *vcpu, int result)
{
	vcpu->state = SOFT_LEAVES;
	vcpu->result = result;
	soft_wake(vcpu);
}

/* ---- turns ---- */

static uint64_t next_deadline(const struct soft_vm *vm)
{
	uint64_t first = SOFT_NO_DEADLINE;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		uint64_t at = soft_apic_deadline(vm->vcpus[i]);

		if (at < first)
			first = at;
	}
	return first;
}

static void tick(struct soft_vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		soft_apic_tick(vm->vcpus[i], vm->clock);
}

/* One instruction after the other, each counted at its address; REP's as one. */
static enum soft_stop run_counted(struct soft_vcpu *vcpu, uint64_t budget)
{
	struct soft_vm *vm = vcpu->vm;
	struct soft_cpu *cpu = &vcpu->cpu;
	enum soft_stop stop = SOFT_STOP_BUDGET;

	for (uint64_t i = 0; i < budget && stop == SOFT_STOP_BUDGET; i++) {
		uint64_t at = cpu->rip - vm->coverage.start, before = cpu->instructions;
		uint64_t rip = cpu->rip;

		stop = soft_cpu_run(cpu, 1);
		if (cpu->instructions != before && cpu->rip != rip && at < vm->coverage.bytes)
			vm->coverage.counts[at]++;
	}
	return stop;
}

void soft_give_turn(struct soft_vcpu *vcpu, uint64_t budget, bool alone)
{
	struct soft_vm *vm = vcpu->vm;
	uint64_t deadline = next_deadline(vm), deliveries = vcpu->cpu.deliveries;
	enum soft_stop stop;

	if (vm->history)
		soft_history_before(vm);
	if (deadline - vm->clock < budget)
		budget = deadline > vm->clock ? deadline - vm->clock : 1;
	vm->running = vcpu;
	vm->turn_start = vcpu->cpu.instructions;
	stop = vm->coverage.counts ? run_counted(vcpu, budget) : soft_cpu_run(&vcpu->cpu, budget);
	if (stop == SOFT_STOP_PAUSE)
		soft_plan_paused(vcpu);
	vm->clock = soft_clock(vm);
	vm->running = NULL;
	/* With nobody to take its turn a PAUSE is what it is on a processor: time that passes. */
	if (alone && stop == SOFT_STOP_PAUSE && deadline != SOFT_NO_DEADLINE)
		vm->clock += PAUSE_TICKS;
	if (vm->history)
		soft_history_after(vcpu,
				   vcpu->cpu.instructions - vm->turn_start + vcpu->cpu.deliveries -
					   deliveries,
				   deadline != SOFT_NO_DEADLINE);
	vcpu->stats.values[SOFT_VCPU_INSTRUCTIONS] = vcpu->cpu.instructions;
	tick(vm);
	soft_turn_ended(vcpu, stop);
}

/* Whether a vCPU that is halted has a reason to run on. */
static bool wakes(const struct soft_vcpu *vcpu)
{
	const struct soft_cpu *cpu = &vcpu->cpu;

	if (vcpu->wait_init)
		return false;
	return !cpu->halted || (cpu->nmi && !cpu->nmi_masked) ||
	       ((cpu->rflags & SOFT_IF) && !vcpu->block_interrupts && soft_apic_pending(vcpu) >= 0);
}

bool soft_could_run(const struct soft_vcpu *vcpu)
{
	return vcpu->state == SOFT_READY || (vcpu->state == SOFT_HALTED && wakes(vcpu));
}

static bool wants_turn(struct soft_vcpu *vcpu)
{
	if (!takes_part(vcpu))
		return false;
	if (__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_ACQUIRE)) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		soft_leave(vcpu, -EINTR);
		return false;
	}
	if (vcpu->state == SOFT_HALTED && wakes(vcpu))
		vcpu->state = SOFT_READY;
	return vcpu->state == SOFT_READY;
}

static struct soft_vcpu *pick_by_plan(struct soft_vm *vm, uint64_t *budget_out, bool *alone_out)
{
	bool wants[SOFT_VCPUS_MAX];
	unsigned int count = 0;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		wants[i] = wants_turn(vm->vcpus[i]);
		count += wants[i];
	}
	/* One that left by immediate_exit is awaited. */
	*alone_out = count == 1;
	return count && soft_plan_may_run(vm) ? soft_plan_pick(vm, wants, budget_out) : NULL;
}

/* Whose turn is next, or NULL; *@alone_out: nobody else wants one. */
static struct soft_vcpu *pick_in_order(struct soft_vm *vm, bool *alone_out)
{
	struct soft_vcpu *first = NULL;
	unsigned int at = vm->turn;

	*alone_out = true;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		at = at + 1 < vm->nr_vcpus ? at + 1 : 0;
		if (!wants_turn(vm->vcpus[at]))
			continue;
		if (first) {
			*alone_out = false;
			break;
		}
		first = vm->vcpus[at];
		vm->turn = at;
	}
	return first;
}

static struct soft_vcpu *pick(struct soft_vm *vm, uint64_t *budget_out, bool *alone_out)
{
	struct soft_vcpu *next;

	if (vm->planned)
		return pick_by_plan(vm, budget_out, alone_out);
	next = pick_in_order(vm, alone_out);
	*budget_out = vm->options.turn * (*alone_out ? TURNS_ALONE : 1);
	return next;
}

/* Everybody sleeps: on to the next timer, if one runs. */
static bool skip_idle_time(struct soft_vm *vm)
{
	uint64_t deadline = next_deadline(vm);

	if (deadline == SOFT_NO_DEADLINE)
		return false;
	if (deadline > vm->clock)
		vm->clock = deadline;
	tick(vm);
	if (vm->history)
		soft_history_input(vm, false);
	return true;
}

/* Whoever waits for the lock gets it. */
static void let_in(struct soft_vm *vm)
{
	pthread_mutex_unlock(&vm->lock);
	pthread_mutex_lock(&vm->gate);
	pthread_mutex_lock(&vm->lock);
	pthread_mutex_unlock(&vm->gate);
}

/* Until the driver's own vCPU leaves, or nobody has anything to do. */
static void drive(struct soft_vm *vm, struct soft_vcpu *driver)
{
	while (takes_part(driver) && soft_plan_may_run(vm)) {
		bool alone;
		uint64_t budget;
		struct soft_vcpu *next = pick(vm, &budget, &alone);

		if (next)
			soft_give_turn(next, budget, alone);
		else if (!takes_part(driver) || !soft_plan_may_run(vm) || !skip_idle_time(vm))
			break;
		if (__atomic_load_n(&vm->outsiders, __ATOMIC_RELAXED))
			let_in(vm);
	}
}

/* ---- sleep ---- */

bool soft_is_idle(struct soft_vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->state != SOFT_HALTED || wakes(vm->vcpus[i]))
			return false;
	return true;
}

/* Has the thread of somebody who wants a turn drive. */
void soft_wake_somebody(struct soft_vm *vm)
{
	if (!soft_plan_may_run(vm))
		return;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct soft_vcpu *vcpu = vm->vcpus[i];

		if (soft_could_run(vcpu)) {
			soft_wake(vcpu);
			return;
		}
	}
}

/*
 * Sleeps until woken or signalled; gives the lock up meanwhile. Signals are let through only while
 * it sleeps, so that one that comes after the look at immediate_exit is not missed.
 */
static void sleep_on(struct soft_vcpu *vcpu)
{
	struct pollfd wake = {.fd = vcpu->wake, .events = POLLIN};
	sigset_t all, before;
	bool signalled = false;
	uint64_t count;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (!__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_ACQUIRE)) {
		vcpu->sleeps = true;
		soft_vm_unlock(vcpu->vm);
		signalled = ppoll(&wake, 1, NULL,
				  vcpu->has_signal_mask ? &vcpu->signal_mask : &before) < 0;
		soft_vm_lock(vcpu->vm);
		vcpu->sleeps = false;
		while (read(vcpu->wake, &count, sizeof(count)) > 0)
			;
	} else {
		signalled = true;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (signalled && takes_part(vcpu)) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		soft_count(vcpu, SOFT_VCPU_SIGNAL_EXITS);
		soft_leave(vcpu, -EINTR);
	}
}

void soft_take_part(struct soft_vcpu *vcpu)
{
	struct soft_vm *vm = vcpu->vm;

	while (takes_part(vcpu)) {
		if (!vm->driver) {
			vm->driver = vcpu;
			drive(vm, vcpu);
			vm->driver = NULL;
			soft_wake_somebody(vm);
		}
		if (takes_part(vcpu))
			sleep_on(vcpu);
	}
}
