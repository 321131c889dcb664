/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running a plan's operations on the model. */
#include "vmm/replay/settle_private.h"

#include <errno.h>

struct tree_request settle_request(const struct settle *settle, const struct replay_area *area)
{
	return (struct tree_request){.size = area->va_bytes,
				     .align = area->align,
				     .start = area->vstart,
				     .end = area->vend,
				     .rule = settle->options->rules.search};
}

/*
 * Takes Linux's range, which the model would not have chosen, from wherever it is: what is lazy or
 * pooled there goes to the tree first, as the executor does it. What is in use by the trace is not
 * there to be taken.
 */
static int take_anyway(struct space *space, uint64_t start, uint64_t end, bool *in_use_out)
{
	struct space_range range;
	enum space_source source;
	uint32_t hole = tree_holding(&space->tree, start, end);
	int err = 0;

	if (hole)
		return tree_take(&space->tree, hole, start, end);
	while (!err && (source = space_find(space, start, end, &range)) != SPACE_NOWHERE)
		err = space_release(space, source, &range);
	*in_use_out = !tree_holding(&space->tree, start, end);
	for (hole = tree_from(&space->tree, start); !err && hole;
	     hole = tree_from(&space->tree, start)) {
		const struct tree_hole *from = &space->tree.holes[hole];
		uint64_t low = from->start > start ? from->start : start;
		uint64_t high = from->end < end ? from->end : end;

		if (low >= high)
			break;
		err = tree_take(&space->tree, hole, low, high);
		start = high;
		if (start >= end)
			break;
	}
	return err;
}

static int step_alloc(struct settle *settle, struct space *space, const struct replay_op *op,
		      struct step_result *result)
{
	const struct replay_area *area = &settle->plan->areas[op->area];
	struct tree_request request = settle_request(settle, area);
	uint64_t end = area->address + area->va_bytes;
	uint32_t node = op->detached ? 0 : settle->nodes[op->area];

	result->choice = space_choose(space, &request, node);
	if (area->expect_failure)
		return 0;
	result->compared = true;
	result->matched = result->choice.address == area->address;
	if (!result->matched)
		return take_anyway(space, area->address, end, &result->in_use);
	space_pass(space, &request, node, &result->choice);
	if (result->choice.source == SPACE_TREE)
		return tree_take(&space->tree, result->choice.hole, area->address, end);
	return space_take_first(space, &request, node);
}

static int release(struct space *space, const struct replay_area *area)
{
	struct space_range range;
	enum space_source source =
		space_find(space, area->address, area->address + area->va_bytes, &range);

	return source == SPACE_NOWHERE ? 0 : space_release(space, source, &range);
}

struct step_result settle_step(struct settle *settle, struct space *space,
			       const struct replay_op *op)
{
	struct step_result result = {0};
	const struct replay_area *area;
	int err = 0;

	settle->work++;
	switch (op->type) {
	case REPLAY_MAP:
	case REPLAY_RESERVE:
		err = step_alloc(settle, space, op, &result);
		break;
	case REPLAY_FREE:
		area = &settle->plan->areas[op->area];
		err = space_free(space, area->address, area->address + area->va_bytes,
				 settle->nodes[op->area]);
		break;
	case REPLAY_PURGE:
		err = op->decayed ? 0 : space_decay(space, op->full, 0);
		if (op->through)
			err = space_give_through(space, op->through);
		else if (!err)
			err = space_give_lazy(space, op->full, op->node);
		break;
	case REPLAY_DECAY:
		err = space_decay(space, op->full, op->node);
		break;
	case REPLAY_RELEASE:
		err = release(space, &settle->plan->areas[op->area]);
		break;
	}
	settle->failed |= err == -ENOMEM;
	return result;
}

/* ---- marks ---- */

static void set_mark(struct settle *settle)
{
	size_t slot = settle->at / MARK_EVERY % MARKS;

	settle->failed |= space_copy(&settle->marks[slot], &settle->run) != 0;
	settle->mark_at[slot] = settle->at;
}

void settle_restart(struct settle *settle)
{
	size_t i;

	for (i = 0; i < MARKS; i++)
		settle->mark_at[i] = SIZE_MAX;
	settle->failed |= space_copy(&settle->run, &settle->start) != 0;
	settle->at = 0;
}

void settle_rewind(struct settle *settle, size_t index)
{
	size_t back = index / MARK_EVERY * MARK_EVERY, tries, slot, i;

	for (tries = 0; tries < MARKS; tries++, back -= MARK_EVERY) {
		slot = back / MARK_EVERY % MARKS;
		if (settle->mark_at[slot] == back || !back)
			break;
	}
	if (settle->mark_at[slot] == back)
		settle->failed |= space_copy(&settle->run, &settle->marks[slot]) != 0;
	else
		settle->failed |= space_copy(&settle->run, &settle->start) != 0;
	if (settle->mark_at[slot] != back)
		back = 0;
	for (i = 0; i < MARKS; i++) {
		if (settle->mark_at[i] > back)
			settle->mark_at[i] = SIZE_MAX;
	}
	settle->at = back;
	settle_advance(settle, index);
}

uint64_t settle_advance(struct settle *settle, size_t end)
{
	struct step_result result;
	uint64_t misses = 0;
	uint32_t number;

	for (; settle->at < end && !settle->failed; settle->at++) {
		if (settle->at % MARK_EVERY == 0)
			set_mark(settle);
		result = settle_step(settle, &settle->run, &settle->steps[settle->at]);
		if (!result.compared)
			continue;
		number = settle->steps[settle->at].area;
		settle->missed[number] = (unsigned char)step_cost(&result);
		misses += !result.matched;
	}
	return misses;
}

uint64_t settle_count(struct settle *settle, struct space *space, size_t from, size_t to,
		      uint64_t limit)
{
	struct step_result result;
	uint64_t misses = 0;

	for (; from < to && misses < limit && !settle->failed; from++) {
		result = settle_step(settle, space, &settle->steps[from]);
		misses += step_cost(&result);
	}
	return misses;
}

/* ---- what may change places ---- */

static struct replay_moment moment(const struct settle *settle, unsigned long line)
{
	static const struct replay_moment end = {UINT64_MAX, UINT32_MAX};

	return line < settle->plan->moment_count ? settle->plan->moments[line] : end;
}

bool settle_precedes(const struct settle *settle, const struct replay_op *a,
		     const struct replay_op *b)
{
	const struct replay_area *areas = settle->plan->areas;
	unsigned long end = a->line;
	struct replay_moment over, begun;

	if (a->type == REPLAY_FREE && areas[a->area].freed_by > end)
		end = areas[a->area].freed_by;
	if (replay_op_has_area(a) && replay_op_has_area(b) && a->area == b->area)
		return a->line < b->line;
	if (a->purge && a->purge == b->purge)
		return a->decayed != b->decayed ? b->decayed
		       : a->node != b->node     ? a->node < b->node
						: a->through && !b->through;
	if (end >= b->begin_line)
		return false;
	over = moment(settle, end);
	begun = moment(settle, b->begin_line);
	return over.time_ns < begun.time_ns || over.cpu == begun.cpu;
}
