/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of operations of a plan in the making, and the moves inside it. */
#include "vmm/replay/build.h"

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
	shift_up(&builder->open_op, index);
	shift_up(&builder->implied_op, index);
	if (builder->barrier > index)
		builder->barrier++;
	return 0;
}

void order_remove(struct builder *builder, size_t index)
{
	struct replay_plan *plan = &builder->plan;

	plan->op_count--;
	memmove(&plan->ops[index], &plan->ops[index + 1],
		(plan->op_count - index) * sizeof(*plan->ops));
	shift_down(&builder->open_op, index);
	shift_down(&builder->implied_op, index);
	if (builder->barrier > index)
		builder->barrier--;
}

/* The operation that frees @area, or NO_OP if it is out of reach. */
static size_t free_of(const struct builder *builder, uint32_t area)
{
	const struct replay_plan *plan = &builder->plan;
	size_t i, reach = ORDER_REACH_FREE;

	for (i = plan->op_count; i > plan->initial_ops && reach; i--, reach--) {
		if (plan->ops[i - 1].type == REPLAY_FREE && plan->ops[i - 1].area == area)
			return i - 1;
	}
	return NO_OP;
}

bool order_find_free(const struct builder *builder, uint32_t area)
{
	return free_of(builder, area) != NO_OP;
}

size_t order_find_purge(const struct builder *builder, unsigned long line)
{
	const struct replay_plan *plan = &builder->plan;
	size_t i, reach = ORDER_REACH_FREE;

	for (i = plan->op_count; i > plan->initial_ops && reach; i--, reach--) {
		if (plan->ops[i - 1].type == REPLAY_PURGE && plan->ops[i - 1].begin_line <= line &&
		    line <= plan->ops[i - 1].line)
			return i - 1;
	}
	return NO_OP;
}

size_t order_find_release(const struct builder *builder)
{
	const struct replay_plan *plan = &builder->plan;
	size_t i, reach = ORDER_REACH_FREE;

	for (i = plan->op_count; i > plan->initial_ops && reach; i--, reach--) {
		if (plan->ops[i - 1].type == REPLAY_PURGE &&
		    builder->purges[plan->ops[i - 1].area].count)
			return i - 1;
	}
	return NO_OP;
}

/* Moves the free at @from to @to, an index in the list without it. There is room for it. */
static void move_free(struct builder *builder, size_t from, size_t to)
{
	struct replay_op op = builder->plan.ops[from];

	order_remove(builder, from);
	order_insert(builder, to, &op);
	builder->plan.reordered++;
}

bool order_delay_free(struct builder *builder, uint32_t area)
{
	size_t index = free_of(builder, area);

	if (index == NO_OP)
		return false;
	move_free(builder, index, builder->plan.op_count - 1);
	return true;
}

bool order_hurry_free(struct builder *builder, uint32_t area, size_t before)
{
	size_t index = free_of(builder, area);

	if (index == NO_OP || index < before)
		return false;
	move_free(builder, index, before);
	return true;
}
