/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where an allocation goes among the operations that it overlaps in time.
 *
 *	CPU 0   alloc enter ......................... exit 0x...28000
 *	CPU 1         alloc enter .... exit 0x...30000
 *
 * By their exits CPU 1 was first, but then the lowest hole, 0x...28000, would have been its. So
 * CPU 0 chose first, and was held up before it could return.
 *
 * The window of an allocation are the operations at the plan's end that it overlaps. Every place
 * in the window is tried, on what was taken there, and the one that leaves the fewest addresses
 * unexplained is chosen, the latest of these. What no place explains is tried with a purge that
 * took a free more, or one less, than the lines' order says.
 */
#include "vmm/replay/build.h"

#include <errno.h>
#include <limits.h>

/* More addresses unexplained than there can be: it does not go there at all. */
#define IMPOSSIBLE UINT_MAX

static bool take(struct builder *builder, uint32_t number)
{
	const struct replay_area *area = &builder->plan.areas[number];

	int err = range_set_add(&builder->taken, area->address, area->address + area->va_bytes,
				number);

	builder->no_memory |= err == -ENOMEM;
	return err == 0;
}

static void give_back(struct builder *builder, uint32_t number)
{
	range_set_remove(&builder->taken, builder->plan.areas[number].address);
}

static bool is_alloc(const struct replay_op *op)
{
	return op->type == REPLAY_MAP || op->type == REPLAY_RESERVE;
}

bool place_apply(struct builder *builder, const struct replay_op *op)
{
	const struct purge *purge;
	size_t i;

	if (op->type == REPLAY_PURGE) {
		purge = &builder->purges[op->area];
		for (i = 0; i < purge->count; i++)
			give_back(builder, purge->areas[i]);
		return true;
	}
	if (!is_alloc(op) || builder->plan.areas[op->area].expect_failure)
		return true;
	return take(builder, op->area);
}

void place_undo(struct builder *builder, const struct replay_op *op)
{
	const struct purge *purge;
	size_t i;

	if (op->type == REPLAY_PURGE) {
		purge = &builder->purges[op->area];
		for (i = 0; i < purge->count; i++)
			take(builder, purge->areas[i]);
	} else if (is_alloc(op) && !builder->plan.areas[op->area].expect_failure) {
		give_back(builder, op->area);
	}
}

/* The address that Linux would choose for the area now. */
static uint64_t choose(const struct builder *builder, uint32_t number)
{
	const struct replay_area *area = &builder->plan.areas[number];

	return range_set_fit(&builder->taken, area->va_bytes, area->align, area->vstart,
			     area->vend);
}

static bool explains(const struct builder *builder, uint32_t number)
{
	return choose(builder, number) == builder->plan.areas[number].address;
}

/* Where the window of @op begins. */
static size_t window_start(const struct builder *builder, const struct replay_op *op)
{
	const struct replay_plan *plan = &builder->plan;
	size_t i = plan->op_count, reach = ORDER_REACH, steps = ORDER_REACH_FREE;

	while (i > builder->barrier && reach && steps) {
		if (plan->ops[i - 1].line < op->begin_line)
			break;
		i--;
		steps--;
		reach -= plan->ops[i].type != REPLAY_FREE;
	}
	return i;
}

/* Takes the operations [@from, end) back, the last one first. */
static void undo_from(struct builder *builder, size_t from)
{
	size_t i;

	for (i = builder->plan.op_count; i > from; i--)
		place_undo(builder, &builder->plan.ops[i - 1]);
}

/*
 * Carries out one operation. Returns how many addresses it leaves unexplained, 0 or 1, or
 * IMPOSSIBLE if its range is not free; the state of its area says so if @keep is set.
 */
static unsigned int carry_out(struct builder *builder, const struct replay_op *op, bool keep)
{
	bool counts = is_alloc(op) && !builder->plan.areas[op->area].expect_failure, explained;

	explained = !counts || explains(builder, op->area);
	if (!place_apply(builder, op))
		return IMPOSSIBLE;
	if (keep && counts)
		builder->states[op->area].explained = explained;
	return !explained;
}

/*
 * Carries out the window from @from on, with @op put in at @place. Returns how many addresses
 * that leaves unexplained, or IMPOSSIBLE. All is as before then, unless @keep is set.
 */
static unsigned int try_place(struct builder *builder, size_t from, size_t place,
			      const struct replay_op *op, bool keep)
{
	const struct replay_op *order[ORDER_REACH_FREE + 1];
	size_t count = 0, done, i;
	unsigned int wrong = 0, more;

	for (i = from; i <= builder->plan.op_count; i++) {
		if (i == place)
			order[count++] = op;
		if (i < builder->plan.op_count)
			order[count++] = &builder->plan.ops[i];
	}
	for (done = 0; done < count; done++) {
		more = carry_out(builder, order[done], keep);
		if (more == IMPOSSIBLE && !keep)
			break;
		wrong += more;
	}
	if (keep)
		return wrong;
	if (done < count)
		wrong = IMPOSSIBLE;
	while (done)
		place_undo(builder, order[--done]);
	return wrong;
}

/* Whether the plan explains every address in the window, and @op's at its end. */
static bool all_explained(const struct builder *builder, size_t from, const struct replay_op *op)
{
	const struct replay_plan *plan = &builder->plan;
	size_t i;

	for (i = from; i < plan->op_count; i++) {
		if (is_alloc(&plan->ops[i]) && !plan->areas[plan->ops[i].area].expect_failure &&
		    !builder->states[plan->ops[i].area].explained)
			return false;
	}
	return explains(builder, op->area);
}

/* The best place in the window, and what it leaves unexplained. */
static size_t best_place(struct builder *builder, size_t from, const struct replay_op *op,
			 unsigned int *wrong_out)
{
	const struct replay_plan *plan = &builder->plan;
	size_t best = plan->op_count, place;
	unsigned int wrong;

	*wrong_out = 0;
	if (all_explained(builder, from, op))
		return best;
	undo_from(builder, from);
	*wrong_out = try_place(builder, from, best, op, false);
	for (place = plan->op_count; place > from && *wrong_out; place--) {
		if (plan->ops[place - 1].type == REPLAY_FREE)
			continue;
		wrong = try_place(builder, from, place - 1, op, false);
		if (wrong < *wrong_out) {
			*wrong_out = wrong;
			best = place - 1;
		}
	}
	for (place = from; place < plan->op_count; place++)
		place_apply(builder, &plan->ops[place]);
	return best;
}

/* ---- purges that took more or less than the lines' order says ---- */

/* The part of the address space that decides about the area: it, and the slack of its alignment. */
static void decisive_range(const struct replay_area *area, uint64_t address, uint64_t *start_out,
			   uint64_t *end_out)
{
	uint64_t slack = area->align > REPLAY_PAGE_BYTES ? area->align - 1 : 0;

	*start_out = address > slack ? address - slack : 0;
	if (__builtin_add_overflow(address, area->va_bytes, end_out) ||
	    __builtin_add_overflow(*end_out, slack, end_out))
		*end_out = UINT64_MAX;
}

static bool overlaps(const struct replay_area *area, uint64_t start, uint64_t end)
{
	return area->address < end && start < area->address + area->va_bytes;
}

int place_purge_more(struct builder *builder, size_t count)
{
	const struct replay_plan *plan = &builder->plan;
	const struct replay_area *area = &plan->areas[builder->lazy.areas[count - 1]];
	size_t purge = order_find_purge(builder, area->free_line), i;
	int err;

	if (purge == NO_OP)
		return 0;
	for (i = 0; i < count; i++) {
		area = &plan->areas[builder->lazy.areas[i]];
		if (area->line >= plan->ops[purge].begin_line && !area->initial)
			return 0;
		if (area->free_line >= plan->ops[purge].begin_line &&
		    !order_find_free(builder, builder->lazy.areas[i]))
			return 0;
	}
	for (i = 0; i < count; i++) {
		if (order_hurry_free(builder, builder->lazy.areas[i], purge))
			purge++;
	}
	err = build_release(builder, purge, count);
	return err ? err : 1;
}

/* The range of the area is still on the lazy list, by the trace. So a purge has taken it. */
static int purge_lazy(struct builder *builder, uint32_t number, const struct replay_op *op)
{
	size_t count = 1;
	int ret;

	while (builder->lazy.areas[count - 1] != number)
		count++;
	ret = place_purge_more(builder, count);
	if (ret)
		return ret < 0 ? ret : 0;
	ret = build_append_purge(builder, builder->plan.areas[number].free_line, op->line);
	if (ret)
		return ret;
	builder->plan.implied_purges++;
	builder->implied_op = builder->plan.op_count - 1;
	return build_release(builder, builder->implied_op, count);
}

/* Sees to it that the range of @op is free: it was in Linux. */
static int clear_range(struct builder *builder, const struct replay_op *op)
{
	const struct replay_area *area = &builder->plan.areas[op->area];
	bool conflict = false;
	uint32_t number;
	uint64_t end;
	int err;

	while (range_set_find(&builder->taken, area->address, area->address + area->va_bytes,
			      &number, &end)) {
		if (builder->states[number].range == RANGE_LAZY) {
			err = purge_lazy(builder, number, op);
			if (err)
				return err;
			continue;
		}
		if (!conflict)
			build_note(&builder->plan.conflicts, area->address, area->line);
		conflict = true;
		give_back(builder, number);
		builder->states[number].range = RANGE_FREE;
		builder->barrier = builder->plan.op_count;
	}
	return 0;
}

/*
 * Whether the area's address is explained if the purge that was going on also took what is lazy
 * around it. If so, it did. Returns 1, 0, or a negative errno.
 */
static int try_purge_more(struct builder *builder, const struct replay_area *area, uint32_t number)
{
	const struct replay_area *lazy;
	uint64_t start, end;
	size_t count = 0, i;
	bool explained;

	decisive_range(area, area->address, &start, &end);
	for (i = 0; i < builder->lazy.count; i++) {
		lazy = &builder->plan.areas[builder->lazy.areas[i]];
		if (overlaps(lazy, start, end) &&
		    order_find_purge(builder, lazy->free_line) != NO_OP)
			count = i + 1;
	}
	for (i = 0; i < count; i++)
		give_back(builder, builder->lazy.areas[i]);
	explained = count && explains(builder, number);
	for (i = 0; i < count; i++)
		take(builder, builder->lazy.areas[i]);
	return explained ? place_purge_more(builder, count) : 0;
}

/* The area was not on the list yet when the purge @op took it. */
static int unpurge(struct builder *builder, struct purge *purge, size_t index)
{
	uint32_t number = purge->areas[index];

	build_remove_number(purge, index);
	order_delay_free(builder, number);
	return build_add_lazy(builder, number);
}

/*
 * Whether the area's address is explained if the last purge took less: not what was being freed
 * just then, where Linux did not put the area although it is lower. Returns 1, 0, or a negative
 * errno.
 */
static int try_purge_less(struct builder *builder, const struct replay_area *area, uint32_t number)
{
	size_t op = order_find_release(builder), i;
	uint64_t instead = choose(builder, number), start, end;
	uint32_t late[8];
	size_t count = 0;
	struct purge *purge;
	int err = 0;

	if (op == NO_OP || !instead || instead >= area->address || builder->open_allocs)
		return 0;
	decisive_range(area, instead, &start, &end);
	purge = &builder->purges[builder->plan.ops[op].area];
	for (i = 0; i < purge->count && count < 8; i++) {
		if (builder->states[purge->areas[i]].freed_by > builder->plan.ops[op].begin_line &&
		    overlaps(&builder->plan.areas[purge->areas[i]], start, end) &&
		    order_find_free(builder, purge->areas[i]) && take(builder, purge->areas[i]))
			late[count++] = purge->areas[i];
	}
	if (count && explains(builder, number)) {
		for (i = purge->count; i > 0 && !err; i--) {
			if (range_set_holds(&builder->taken,
					    builder->plan.areas[purge->areas[i - 1]].address,
					    purge->areas[i - 1]))
				err = unpurge(builder, purge, i - 1);
		}
		return err ? err : 1;
	}
	while (count)
		give_back(builder, late[--count]);
	return 0;
}

int place_alloc(struct builder *builder, const struct replay_op *op)
{
	const struct replay_area *area = &builder->plan.areas[op->area];
	unsigned int wrong;
	size_t from, place;
	int ret;

	if (area->expect_failure)
		return build_append(builder, op);
	ret = clear_range(builder, op);
	if (ret)
		return ret;
	/* A kernel with pools does not take the lowest hole: settle_plan() finds the order. */
	if (area->has_va_node)
		return build_append(builder, op);
	from = window_start(builder, op);
	place = best_place(builder, from, op, &wrong);
	if (wrong) {
		ret = try_purge_more(builder, area, op->area);
		if (!ret)
			ret = try_purge_less(builder, area, op->area);
		if (ret < 0)
			return ret;
		from = window_start(builder, op);
		place = best_place(builder, from, op, &wrong);
	}
	undo_from(builder, from);
	try_place(builder, from, place, op, true);
	builder->plan.reordered += place != builder->plan.op_count;
	return order_insert(builder, place, op) ? build_no_memory(builder) : 0;
}
