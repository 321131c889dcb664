/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plans. A turn is given anew at each decision: when the one before ended by itself (PAUSE, HLT, an
 * exit), or when it came to a count of the vCPU's own instructions, so that what a delivery of an
 * interrupt costs of a budget does not matter.
 */
#include "vmm/soft/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/soft/plan_private.h"

#define PCT_TURN 100000

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint64_t own(const struct soft_planned *planned, const struct soft_vcpu *vcpu)
{
	return vcpu->cpu.instructions - planned->origin[vcpu->id];
}

bool soft_plan_may_run(const struct soft_vm *vm)
{
	if (vm->held)
		return false;
	if (!vm->planned)
		return true;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->state == SOFT_OUTSIDE || vm->vcpus[i]->state == SOFT_LEAVES)
			return false;
	return true;
}

/* ---- each kind ---- */

static struct soft_vcpu *random_pick(struct soft_vm *vm, const bool *wants)
{
	struct soft_planned *planned = vm->planned;
	unsigned int count = 0, chosen;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		count += wants[i];
	chosen = (unsigned int)(draw(&planned->random) % count);
	for (unsigned int i = 0;; i++)
		if (wants[i] && chosen-- == 0)
			return vm->vcpus[i];
}

/* Lengths from 1 to much more than the mean: short turns find what needs many switches. */
static uint64_t random_length(struct soft_planned *planned)
{
	uint64_t bits = draw(&planned->random);
	unsigned int shift = (unsigned int)(bits >> 32) % 8;

	return 1 + bits % (planned->plan.turn * 4 >> shift | 1);
}

static struct soft_vcpu *pct_pick(struct soft_vm *vm, const bool *wants)
{
	struct soft_planned *planned = vm->planned;
	struct soft_vcpu *best = NULL;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (wants[i] && (!best || planned->priority[i] > planned->priority[best->id]))
			best = vm->vcpus[i];
	return best;
}

static void pct_changes(struct soft_vm *vm)
{
	struct soft_planned *planned = vm->planned;

	while (planned->next_change < planned->nr_changes &&
	       planned->change[planned->next_change] <= vm->clock) {
		planned->next_change++;
		if (planned->current)
			planned->priority[planned->current->id] = --planned->lowest;
	}
}

static uint64_t pct_length(const struct soft_vm *vm)
{
	const struct soft_planned *planned = vm->planned;

	if (planned->next_change < planned->nr_changes &&
	    planned->change[planned->next_change] - vm->clock < PCT_TURN)
		return planned->change[planned->next_change] - vm->clock;
	return PCT_TURN;
}

static struct soft_vcpu *next_in_order(const struct soft_vm *vm, const bool *wants)
{
	unsigned int at = vm->planned->current ? vm->planned->current->id : vm->nr_vcpus - 1;

	do
		at = at + 1 < vm->nr_vcpus ? at + 1 : 0;
	while (!wants[at]);
	return vm->vcpus[at];
}

/* The next switch of the list that is still to come for whoever runs. */
static const struct soft_switch *replay_next(struct soft_planned *planned)
{
	while (planned->next < planned->plan.nr_switches && planned->current) {
		const struct soft_switch *next = &planned->switches[planned->next];

		if (next->from != planned->current->id ||
		    next->at >= own(planned, planned->current))
			return next;
		planned->next++;
	}
	return NULL;
}

static struct soft_vcpu *replay_pick(struct soft_vm *vm, const bool *wants, bool yielded)
{
	struct soft_planned *planned = vm->planned;
	const struct soft_switch *next = replay_next(planned);
	struct soft_vcpu *current = planned->current;

	if (next && next->from == current->id && next->at == own(planned, current)) {
		planned->next++;
		if (next->to < vm->nr_vcpus && wants[next->to])
			return vm->vcpus[next->to];
	}
	if (current && wants[current->id] && !yielded)
		return current;
	return next_in_order(vm, wants);
}

static uint64_t replay_length(struct soft_planned *planned)
{
	const struct soft_switch *next = replay_next(planned);

	if (next && next->from == planned->current->id &&
	    next->at - own(planned, planned->current) < PCT_TURN)
		return next->at - own(planned, planned->current);
	return PCT_TURN;
}

/* ---- a turn ---- */

static void add(struct soft_switches *switches, const struct soft_switch *one)
{
	if (switches->count == SOFT_PLAN_LOG_MAX)
		return;
	if (switches->count == switches->room) {
		size_t room = switches->room ? 2 * switches->room : 256;
		struct soft_switch *list = realloc(switches->list, room * sizeof(*list));

		if (!list)
			return;
		switches->list = list;
		switches->room = room;
	}
	switches->list[switches->count++] = *one;
}

static void note_switch(struct soft_planned *planned, const struct soft_vcpu *to)
{
	const struct soft_vcpu *from = planned->current;

	if (from && from != to)
		add(&planned->log, &(struct soft_switch){
					   .at = own(planned, from),
					   .from = from->id,
					   .to = to->id,
					   .rip = from->cpu.rip,
				   });
}

/* Of those that could run in place of @chosen, after @at instructions of @from's. */
static void note_points(struct soft_planned *planned, const struct soft_vcpu *from, uint64_t at,
			const struct soft_vcpu *chosen)
{
	const struct soft_vm *vm = from->vm;
	const struct soft_switches *points = &planned->points;
	const struct soft_switch *last = points->count ? &points->list[points->count - 1] : NULL;

	/* One instruction has many accesses. */
	if (last && last->from == from->id && last->at == at)
		return;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i] != chosen && vm->vcpus[i] != from && soft_could_run(vm->vcpus[i]))
			add(&planned->points, &(struct soft_switch){
						      .at = at,
						      .from = from->id,
						      .to = i,
						      .rip = from->cpu.rip,
					      });
}

void soft_plan_point(const struct soft_vcpu *vcpu)
{
	struct soft_planned *planned = vcpu->vm->planned;

	if (planned && planned->plan.points)
		note_points(planned, vcpu, own(planned, vcpu), vcpu);
}

struct soft_vcpu *soft_plan_pick(struct soft_vm *vm, const bool *wants, uint64_t *budget_out)
{
	struct soft_planned *planned = vm->planned;
	struct soft_vcpu *current = planned->current, *chosen;
	bool yielded = vm->yielded;
	uint64_t length;

	vm->yielded = false;
	switch (planned->plan.kind) {
	case SOFT_PLAN_RANDOM:
		/* What is left of a turn that a budget cut short. */
		if (current && wants[current->id] && !yielded &&
		    own(planned, current) < planned->until) {
			chosen = current;
		} else {
			chosen = random_pick(vm, wants);
			planned->until = own(planned, chosen) + random_length(planned);
		}
		length = planned->until - own(planned, chosen);
		break;
	case SOFT_PLAN_PCT:
		pct_changes(vm);
		chosen = pct_pick(vm, wants);
		length = pct_length(vm);
		break;
	case SOFT_PLAN_REPLAY:
		chosen = replay_pick(vm, wants, yielded);
		/* No switch can be before the first instruction. */
		if (planned->plan.points && (!current || yielded || !wants[current->id]))
			note_points(planned, current ? current : chosen,
				    current ? own(planned, current) : 1, chosen);
		note_switch(planned, chosen);
		planned->current = chosen;
		*budget_out = replay_length(planned);
		if (*budget_out == 0)
			*budget_out = 1;
		return chosen;
	default:
		chosen = next_in_order(vm, wants);
		length = vm->options.turn;
	}
	note_switch(planned, chosen);
	planned->current = chosen;
	*budget_out = length;
	return chosen;
}

void soft_plan_paused(struct soft_vcpu *vcpu)
{
	struct soft_planned *planned = vcpu->vm->planned;

	vcpu->vm->yielded = true;
	if (planned)
		planned->priority[vcpu->id] = --planned->lowest;
}

/* ---- life ---- */

void soft_plan_free(struct soft_planned *planned)
{
	if (!planned)
		return;
	free(planned->switches);
	free(planned->log.list);
	free(planned->points.list);
	free(planned);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void draw_pct(struct soft_planned *planned, const struct soft_vm *vm)
{
	unsigned int depth = planned->plan.depth;
	uint64_t steps = planned->plan.steps ? planned->plan.steps : 1;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		planned->priority[i] = (int64_t)(draw(&planned->random) >> 2);
	planned->nr_changes = depth - 1;
	for (unsigned int i = 0; i < planned->nr_changes; i++)
		planned->change[i] = vm->clock + 1 + draw(&planned->random) % steps;
	qsort(planned->change, planned->nr_changes, sizeof(planned->change[0]), compare);
}

int soft_plan_begin(struct soft_vm *vm, const struct soft_plan *plan)
{
	struct soft_planned *planned;

	if (plan->kind > SOFT_PLAN_REPLAY ||
	    (plan->kind == SOFT_PLAN_PCT && (!plan->depth || plan->depth > SOFT_PLAN_DEPTH_MAX)))
		return -EINVAL;
	planned = calloc(1, sizeof(*planned));
	if (!planned)
		return -ENOMEM;
	planned->plan = *plan;
	planned->plan.switches = NULL;
	if (!plan->turn)
		planned->plan.turn = SOFT_PLAN_TURN_DEFAULT;
	if (plan->nr_switches) {
		planned->switches = malloc(plan->nr_switches * sizeof(*plan->switches));
		if (!planned->switches) {
			free(planned);
			return -ENOMEM;
		}
		memcpy(planned->switches, plan->switches,
		       plan->nr_switches * sizeof(*plan->switches));
	}
	planned->random = plan->seed;
	planned->begin = vm->clock;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		planned->origin[i] = vm->vcpus[i]->cpu.instructions;
	if (plan->kind == SOFT_PLAN_PCT)
		draw_pct(planned, vm);
	soft_plan_free(vm->planned);
	vm->planned = planned;
	vm->yielded = false;
	return 0;
}
