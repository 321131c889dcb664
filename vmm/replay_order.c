/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of operations that overlapped in time on several CPUs.
 *
 *	CPU 0   alloc enter ......................... exit 0x...28000
 *	CPU 1         alloc enter .... exit 0x...30000
 *
 * By their exits CPU 1 was first, but then the lowest hole, 0x...28000, would have been its. So
 * CPU 0 chose first, and was held up before it could return.
 */
#include "vmm/replay_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_room(struct builder *builder)
{
	struct replay_plan *plan = &builder->plan;
	size_t room = builder->op_room ? 2 * builder->op_room : 256;
	struct replay_op *ops;

	if (plan->op_count < builder->op_room)
		return 0;
	ops = realloc(plan->ops, room * sizeof(*ops));
	if (!ops)
		return -ENOMEM;
	plan->ops = ops;
	builder->op_room = room;
	return 0;
}

/* Where the operation with index @*op is after the one at @index came or went. */
static void shift_up(size_t *op, size_t index)
{
	if (*op != NO_OP && *op >= index)
		(*op)++;
}

static void shift_down(size_t *op, size_t index)
{
	if (*op == index)
		*op = NO_OP;
	else if (*op != NO_OP && *op > index)
		(*op)--;
}

int order_insert(struct builder *builder, size_t index, const struct replay_op *op)
{
	struct replay_plan *plan = &builder->plan;
	int err = make_room(builder);

	if (err)
		return err;
	memmove(&plan->ops[index + 1], &plan->ops[index],
		(plan->op_count - index) * sizeof(*plan->ops));
	plan->ops[index] = *op;
	plan->op_count++;
	shift_up(&builder->purge_op, index);
	shift_up(&builder->open_op, index);
	return 0;
}

void order_remove(struct builder *builder, size_t index)
{
	struct replay_plan *plan = &builder->plan;

	plan->op_count--;
	memmove(&plan->ops[index], &plan->ops[index + 1],
		(plan->op_count - index) * sizeof(*plan->ops));
	shift_down(&builder->purge_op, index);
	shift_down(&builder->open_op, index);
}

/* Whether the range of @area was, even in part, given back by the last purge. */
static bool lies_in_purged(const struct builder *builder, const struct replay_area *area)
{
	const struct replay_area *released;
	size_t i;

	for (i = 0; i < builder->released_count; i++) {
		released = &builder->plan.areas[builder->released[i]];
		if (released->address < area->address + area->va_bytes &&
		    area->address < released->address + released->va_bytes)
			return true;
	}
	return false;
}

/* What an allocation's place says about an operation that overlaps it in time. */
enum evidence { EITHER_ORDER, GOES_BEFORE, GOES_AFTER };

static enum evidence against_alloc(const struct replay_area *area, const struct replay_area *other)
{
	if (other->expect_failure)
		return EITHER_ORDER;
	if (area->address < other->address)
		return other->vstart <= area->address && area->address < other->vend ? GOES_BEFORE
										     : EITHER_ORDER;
	if (area->vstart <= other->address && area->va_bytes <= other->va_bytes &&
	    other->address % area->align == 0)
		return GOES_AFTER;
	return EITHER_ORDER;
}

static enum evidence against(const struct builder *builder, const struct replay_area *area,
			     size_t index)
{
	const struct replay_op *other = &builder->plan.ops[index];

	switch (other->type) {
	case REPLAY_PURGE:
		if (!other->area)
			return EITHER_ORDER;
		if (index != builder->purge_op || lies_in_purged(builder, area))
			return GOES_AFTER;
		return GOES_BEFORE;
	case REPLAY_FREE:
		return EITHER_ORDER;
	default:
		return against_alloc(area, &builder->plan.areas[other->area]);
	}
}

int order_insert_alloc(struct builder *builder, const struct replay_op *op)
{
	struct replay_plan *plan = &builder->plan;
	const struct replay_area *area = &plan->areas[op->area];
	size_t place = plan->op_count, reach = ORDER_REACH, i;
	enum evidence evidence;

	for (i = plan->op_count; i > plan->initial_ops && reach && !area->expect_failure;
	     i--, reach--) {
		if (plan->ops[i - 1].line < op->begin_line)
			break;
		evidence = against(builder, area, i - 1);
		if (evidence == GOES_AFTER)
			break;
		if (evidence == GOES_BEFORE)
			place = i - 1;
	}
	if (place != plan->op_count)
		plan->reordered++;
	return order_insert(builder, place, op);
}

/* The operation that frees @area, or NO_OP if it is out of reach. */
static size_t find_free(const struct builder *builder, uint32_t area)
{
	const struct replay_plan *plan = &builder->plan;
	size_t i, reach = ORDER_REACH;

	for (i = plan->op_count; i > plan->initial_ops && reach; i--, reach--) {
		if (plan->ops[i - 1].type == REPLAY_FREE && plan->ops[i - 1].area == area)
			return i - 1;
	}
	return NO_OP;
}

bool order_delay_free(struct builder *builder, uint32_t area)
{
	struct replay_plan *plan = &builder->plan;
	size_t index = find_free(builder, area);
	struct replay_op op;

	if (index == NO_OP)
		return false;
	op = plan->ops[index];
	order_remove(builder, index);
	/* There is room: one was taken out just now. */
	order_insert(builder, plan->op_count, &op);
	plan->reordered++;
	return true;
}

bool order_delay_purge(struct builder *builder, uint32_t area)
{
	struct replay_plan *plan = &builder->plan;
	size_t free_index, purge_index = builder->purge_op;
	unsigned long free_line = plan->areas[area].free_line;
	struct replay_op purge;
	bool is_open;

	if (purge_index == NO_OP || free_line < plan->ops[purge_index].begin_line ||
	    free_line > plan->ops[purge_index].line)
		return false;
	free_index = find_free(builder, area);
	if (free_index == NO_OP || free_index < purge_index)
		return false;
	purge = plan->ops[purge_index];
	is_open = builder->open_op == purge_index;
	order_remove(builder, purge_index);
	/* There is room; the free is one further to the front now, and the purge goes behind it. */
	order_insert(builder, free_index, &purge);
	builder->purge_op = free_index;
	if (is_open)
		builder->open_op = free_index;
	plan->reordered++;
	return true;
}
