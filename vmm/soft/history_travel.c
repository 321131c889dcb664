/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The turns from a moment on again, to a step or to what is looked for. */
#include <errno.h>

#include "vmm/soft/check_private.h"
#include "vmm/soft/history_private.h"

/* @asked is asked so often, in steps. */
#define ASK_EVERY 100000u

/* What is looked for on the way. */
struct search {
	bool armed; /* breakpoints and watched addresses count */
	bool first; /* the first that is met ends it */
	soft_asked_fn asked;
	void *context;
	/* What was met last, and the step to be at for it. */
	bool found;
	uint64_t at;
	struct soft_hit hit;
};

/* ---- running ---- */

/* Up to @steps of one processor; *@done_out are done. A stop that ends it otherwise is returned. */
static enum soft_stop run(struct soft_vcpu *vcpu, uint64_t steps, uint64_t *done_out)
{
	struct soft_vm *vm = vcpu->vm;
	struct soft_cpu *cpu = &vcpu->cpu;
	uint64_t start = cpu->instructions + cpu->deliveries, done = 0, last;
	enum soft_stop stop = SOFT_STOP_BUDGET;

	vm->running = vcpu;
	vm->turn_start = cpu->instructions;
	do {
		last = done;
		stop = soft_cpu_run(cpu, steps - done);
		done = cpu->instructions + cpu->deliveries - start;
		/* An OUT is done with the next call, and was answered then too; so is a kick. */
		if (stop == SOFT_STOP_DEBUG ||
		    (done == last && stop != SOFT_STOP_IO && stop != SOFT_STOP_KICK))
			break;
	} while (done < steps);
	vm->clock = soft_clock(vm);
	vm->running = NULL;
	*done_out = done;
	return stop;
}

/* Whether breakpoints and watched addresses count; each processor's own are kept meanwhile. */
static void arm(struct soft_vm *vm, bool armed)
{
	struct soft_history *history = vm->history;

	if (history->unarmed == !armed)
		return;
	history->unarmed = !armed;
	soft_code_stops(vm->code, armed);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct soft_cpu *cpu = &vm->vcpus[i]->cpu;

		if (!armed)
			history->dr7[i] = cpu->debug_dr7;
		cpu->debug_dr7 = armed ? history->dr7[i] : 0;
		soft_cpu_drop_lines(cpu);
	}
}

/* What a vCPU stops for is met before its instruction, or after. */
static bool stops_before(const struct soft_cpu *cpu)
{
	for (unsigned int i = 0; i < 4; i++)
		if (cpu->debug_hit.dr6 >> i & 1)
			return !(cpu->debug_dr7 >> (16 + 4 * i) & 3);
	return cpu->debug_hit.vector == SOFT_BP;
}

/* The step to be at is before what was met, or, going on, behind the access. */
static void note_hit(const struct soft_history *history, const struct soft_vcpu *vcpu,
		     struct search *search)
{
	search->found = true;
	search->at = stops_before(&vcpu->cpu) || search->first ? history->now : history->now - 1;
	search->hit = (struct soft_hit){
		.vcpu = vcpu->id,
		.vector = vcpu->cpu.debug_hit.vector,
		.pc = vcpu->cpu.debug_hit.pc,
		.dr6 = vcpu->cpu.debug_hit.dr6,
	};
}

/* One turn, or as much of it as is before @target. */
static int run_turn(struct soft_vm *vm, const struct soft_turn *turn, uint64_t target,
		    struct search *search)
{
	struct soft_history *history = vm->history;
	struct soft_vcpu *vcpu = vm->vcpus[turn->vcpu];
	bool blocked = vcpu->block_interrupts, passing = false;
	uint64_t left, done;
	enum soft_stop stop;
	int err = 0;

	vcpu->block_interrupts = turn->blocked;
	while (!err && history->done < turn->steps && history->now < target) {
		left = turn->steps - history->done;
		left = left < target - history->now ? left : target - history->now;
		left = passing ? 1 : left < ASK_EVERY ? left : ASK_EVERY;
		stop = run(vcpu, left, &done);
		history->done += done;
		history->now += done;
		if (passing)
			arm(vm, true);
		passing = false;
		if (stop == SOFT_STOP_DEBUG) {
			note_hit(history, vcpu, search);
			if (search->first)
				break;
			passing = stops_before(&vcpu->cpu);
			if (passing)
				arm(vm, false);
		} else if (done == 0) {
			err = -EILSEQ;
		} else if (search->asked && search->asked(search->context)) {
			err = -EINTR;
		}
	}
	if (passing)
		arm(vm, search->armed);
	vcpu->block_interrupts = blocked;
	return err;
}

static void end_turn(struct soft_vm *vm, const struct soft_turn *turn)
{
	vm->clock = turn->clock;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		soft_apic_tick(vm->vcpus[i], vm->clock);
	vm->history->turn++;
	vm->history->done = 0;
}

/* On to step @target, or with search->first to what is met. */
static int run_to(struct soft_vm *vm, uint64_t target, struct search *search)
{
	struct soft_history *history = vm->history;
	struct soft_check *check = vm->check;
	int err = 0;

	vm->check = NULL; /* it has seen all that */
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vm->vcpus[i]->cpu.debug_step = false; /* KVM_SET_GUEST_DEBUG says so again */
	arm(vm, search->armed);
	while (!err && history->now < target && !(search->first && search->found)) {
		const struct soft_kept *moment = history->moments[history->moment];
		const struct soft_turn *turn = &moment->turns[history->turn];

		if (history->turn == moment->nr_turns) {
			err = history->moment + 1 < history->nr_moments ? soft_history_cross(vm)
									: -ENODATA;
			continue;
		}
		err = run_turn(vm, turn, target, search);
		if (!err && history->done == turn->steps)
			end_turn(vm, turn);
	}
	arm(vm, true);
	vm->check = check;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		soft_cpu_drop_lines(&vm->vcpus[i]->cpu);
	return err;
}

/* ---- there ---- */

/* The last moment at or before step @at. */
static size_t moment_before(const struct soft_history *history, uint64_t at)
{
	size_t low = 0, high = history->nr_moments;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (history->moments[middle]->at <= at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static int go_to(struct soft_vm *vm, uint64_t at)
{
	struct search nothing = {0};
	int err = soft_history_load(vm, moment_before(vm->history, at));

	return err ? err : run_to(vm, at, &nothing);
}

/* What came of it, where a VM that is at its newest step is not away. */
static int arrive(struct soft_vm *vm, int err)
{
	struct soft_history *history = vm->history;

	if (err == -EILSEQ) {
		soft_history_return(vm);
		soft_history_cut(vm);
	} else if (history->away && history->now == history->at) {
		soft_history_return(vm);
	}
	return err;
}

/* ---- steps ---- */

/* The step before the last one of vCPU @vcpu, seen from here. False: it did none. */
static bool last_step(const struct soft_history *history, unsigned int vcpu, uint64_t *at_out)
{
	size_t m = history->moment, turn = history->turn;
	uint64_t start = history->now - history->done;

	if (history->done && history->moments[m]->turns[turn].vcpu == vcpu) {
		*at_out = history->now - 1;
		return true;
	}
	for (;;) {
		for (; turn > 0; turn--) {
			const struct soft_turn *before = &history->moments[m]->turns[turn - 1];

			if (before->vcpu == vcpu) {
				*at_out = start - 1;
				return true;
			}
			start -= before->steps;
		}
		if (m == 0)
			return false;
		turn = history->moments[--m]->nr_turns;
	}
}

/* The step behind the next one of vCPU @vcpu. */
static bool next_step(const struct soft_history *history, unsigned int vcpu, uint64_t *at_out)
{
	uint64_t at = history->now, done = history->done;
	size_t turn = history->turn;

	for (size_t m = history->moment; m < history->nr_moments; m++, turn = 0) {
		const struct soft_kept *moment = history->moments[m];

		for (; turn < moment->nr_turns; turn++, done = 0) {
			if (moment->turns[turn].vcpu == vcpu && done < moment->turns[turn].steps) {
				*at_out = at + 1;
				return true;
			}
			at += moment->turns[turn].steps - done;
		}
	}
	return false;
}

static int step_back(struct soft_vm *vm, unsigned int vcpu)
{
	struct soft_history *history = vm->history;
	uint64_t at;
	int err = soft_history_leave(vm);

	if (err)
		return err;
	if (last_step(history, vcpu, &at))
		return go_to(vm, at);
	err = soft_history_load(vm, 0);
	return err ? err : -ENODATA;
}

static int step_on(struct soft_vm *vm, unsigned int vcpu)
{
	struct soft_history *history = vm->history;
	struct search nothing = {0};
	uint64_t at;
	int err;

	if (!history->away)
		return -ENODATA;
	if (next_step(history, vcpu, &at))
		return run_to(vm, at, &nothing);
	err = run_to(vm, history->at, &nothing);
	return err ? err : -ENODATA;
}

/* ---- searches ---- */

static int search_back(struct soft_vm *vm, struct search *search, struct soft_hit *hit_out)
{
	struct soft_history *history = vm->history;
	int err = soft_history_leave(vm);
	uint64_t from = history->now;
	size_t number;

	search->armed = true;
	for (number = history->moment + 1; !err && number-- > 0 && !search->found;) {
		uint64_t end = number + 1 < history->nr_moments ? history->moments[number + 1]->at
								: history->at;

		err = soft_history_load(vm, number);
		if (!err)
			err = run_to(vm, end < from ? end : from, search);
		/* What is met at the very step one began at is no news. */
		search->found = search->found && search->at < from;
	}
	if (err)
		return err;
	if (search->found) {
		*hit_out = search->hit;
		return go_to(vm, search->at);
	}
	err = soft_history_load(vm, 0);
	return err ? err : -ENODATA;
}

static int search_on(struct soft_vm *vm, struct search *search, struct soft_hit *hit_out)
{
	struct search nothing = {.asked = search->asked, .context = search->context};
	struct soft_history *history = vm->history;
	int err;

	if (!history->away)
		return -ENODATA;
	/* Past the breakpoint one is at. */
	err = run_to(vm, history->now + 1, &nothing);
	search->armed = search->first = true;
	if (!err)
		err = run_to(vm, history->at, search);
	if (!err && !search->found)
		return -ENODATA;
	*hit_out = search->hit;
	return err;
}

/* ---- with the lock ---- */

static int begin(int vm_fd, struct soft_vm **vm_out)
{
	*vm_out = soft_vm_of(vm_fd);
	if (!*vm_out)
		return -EBADF;
	soft_vm_lock(*vm_out);
	if ((*vm_out)->history)
		return 0;
	soft_vm_unlock(*vm_out);
	return -EBADF;
}

int soft_history_step_back(int vm_fd, unsigned int vcpu)
{
	struct soft_vm *vm;
	int err = begin(vm_fd, &vm);

	if (err)
		return err;
	err = arrive(vm, step_back(vm, vcpu));
	soft_vm_unlock(vm);
	return err;
}

int soft_history_step(int vm_fd, unsigned int vcpu)
{
	struct soft_vm *vm;
	int err = begin(vm_fd, &vm);

	if (err)
		return err;
	err = arrive(vm, step_on(vm, vcpu));
	soft_vm_unlock(vm);
	return err;
}

int soft_history_search_back(int vm_fd, soft_asked_fn asked, void *context,
			     struct soft_hit *hit_out)
{
	struct search search = {.asked = asked, .context = context};
	struct soft_vm *vm;
	int err = begin(vm_fd, &vm);

	if (err)
		return err;
	err = arrive(vm, search_back(vm, &search, hit_out));
	soft_vm_unlock(vm);
	return err;
}

int soft_history_search(int vm_fd, soft_asked_fn asked, void *context, struct soft_hit *hit_out)
{
	struct search search = {.asked = asked, .context = context};
	struct soft_vm *vm;
	int err = begin(vm_fd, &vm);

	if (err)
		return err;
	err = arrive(vm, search_on(vm, &search, hit_out));
	soft_vm_unlock(vm);
	return err;
}
