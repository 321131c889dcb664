/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making the plan: the events of frees and purges. */
#include "vmm/replay/build.h"

#include <limits.h>
#include <string.h>

#include "lib/grow.h"

int build_free(struct builder *builder, const struct ftrace_event *event)
{
	uint32_t index = u64_map_get(&builder->addresses, event->address);
	struct replay_op op = {
		.type = REPLAY_FREE, .area = index, .begin_line = event->line, .line = event->line};
	int err;

	if (index != U64_MAP_NONE && builder->states[index].range != RANGE_LIVE && event->native &&
	    builder->plan.areas[index].free_line) {
		builder->plan.duplicates++;
		return 0;
	}
	if (index == U64_MAP_NONE || builder->states[index].range != RANGE_LIVE) {
		build_note(&builder->plan.unknown_frees, event->address, event->line);
		return 0;
	}
	err = build_append(builder, &op);
	if (err)
		return err;
	builder->plan.areas[index].free_line = event->line;
	if (event->has_flags && !builder->plan.areas[index].has_va_node) {
		builder->plan.areas[index].va_node = build_va_node(event);
		builder->plan.areas[index].has_va_node = true;
	}
	builder->plan.frees++;
	if (event->native)
		builder->states[index].freed_by = event->line;
	else if (u64_map_set(&builder->last_frees, build_task(event), index))
		return build_no_memory(builder);
	return build_add_lazy(builder, index);
}

int build_purge_enter(struct builder *builder, const struct ftrace_event *event)
{
	int err;

	if (builder->open_op != NO_OP) {
		builder->plan.enters_without_exit++;
		builder->plan.ops[builder->open_op].line = event->line;
	}
	err = build_append_purge(builder, event->line, ULONG_MAX);
	if (err)
		return err;
	builder->plan.purges++;
	builder->plan.ops[builder->plan.op_count - 1].full = event->full;
	builder->open_pid = event->pid;
	builder->vnode_count = 0;
	builder->open_op = builder->plan.op_count - 1;
	return build_release(builder, builder->open_op, builder->lazy.count);
}

/*
 * With pools, a purge that found nothing lazy has decayed them all the same. And what was freed
 * while the purge before it went on, that one has taken, if the lines allow it.
 */
static int keep_decay(struct builder *builder, size_t index)
{
	struct replay_op *op = &builder->plan.ops[index];
	size_t count;
	int ret = 0;

	op->type = REPLAY_DECAY;
	op->area = 0;
	for (count = builder->lazy.count; count && !ret; count--)
		ret = place_purge_more(builder, count);
	return ret < 0 ? ret : 0;
}

/*
 * The kernel found nothing to purge: what looked lazy was not on its list yet. So it is lazy
 * still, and the purge is none.
 */
static int take_back(struct builder *builder, size_t index)
{
	const struct replay_op *op = &builder->plan.ops[index];
	struct purge *purge = &builder->purges[op->area];
	const struct replay_area *area;
	size_t i;
	int err;

	for (i = 0; i < purge->count; i++) {
		area = &builder->plan.areas[purge->areas[i]];
		if (range_set_add(&builder->taken, area->address, area->address + area->va_bytes,
				  purge->areas[i]))
			continue; /* given out again: the trace contradicts itself */
		err = build_add_lazy(builder, purge->areas[i]);
		if (err)
			return err;
	}
	purge->count = 0;
	if (builder->vnode_count)
		return keep_decay(builder, index);
	order_remove(builder, index);
	return 0;
}

int build_purge_exit(struct builder *builder, const struct ftrace_event *event)
{
	size_t index = builder->open_op;

	if (index == NO_OP || builder->open_pid != event->pid) {
		builder->plan.exits_without_enter++;
		return 0;
	}
	builder->open_op = NO_OP;
	builder->plan.ops[index].line = event->line;
	if (event->has_purged && !event->purged &&
	    builder->purges[builder->plan.ops[index].area].count)
		return take_back(builder, index);
	return 0;
}

/*
 * Sorts the lazy list into what lies in the range that the tracepoint gives, which comes first,
 * and what does not. Returns how many are the first.
 */
static size_t split_lazy(struct builder *builder, const struct ftrace_event *event)
{
	const struct replay_area *area;
	size_t inside = 0, i;
	uint32_t number;

	for (i = 0; i < builder->lazy.count && event->purged; i++) {
		number = builder->lazy.areas[i];
		area = &builder->plan.areas[number];
		if (area->address < event->address || area->address >= event->end)
			continue;
		memmove(&builder->lazy.areas[inside + 1], &builder->lazy.areas[inside],
			(i - inside) * sizeof(number));
		builder->lazy.areas[inside++] = number;
	}
	return inside;
}

/*
 * The tracepoint comes when all is over. An area that is lazy by now but was not purged went on
 * the list after the purge had taken it, so its free goes behind the purge.
 */
static void delay_unpurged(struct builder *builder, size_t index)
{
	struct replay_plan *plan = &builder->plan;
	const struct replay_area *area;
	size_t i;

	for (i = 0; i < builder->lazy.count; i++) {
		area = &plan->areas[builder->lazy.areas[i]];
		if (!area->free_line || !order_delay_free(builder, builder->lazy.areas[i]))
			continue;
		index--;
		if (area->free_line < plan->ops[index].begin_line)
			plan->ops[index].begin_line = area->free_line;
	}
}

/* The purge that had to be there has come. Returns whether it is this one. */
static bool adopt_implied(struct builder *builder, const struct ftrace_event *event,
			  unsigned long begin_line)
{
	struct replay_op *op;

	if (builder->implied_op == NO_OP || !event->purged)
		return false;
	op = &builder->plan.ops[builder->implied_op];
	if (op->line < begin_line)
		return false;
	if (begin_line < op->begin_line)
		op->begin_line = begin_line;
	op->line = event->line;
	builder->implied_op = NO_OP;
	builder->plan.implied_purges--;
	return true;
}

int build_purge_tracepoint(struct builder *builder, const struct ftrace_event *event)
{
	unsigned long begin_line = build_begin_line(builder, event);
	size_t index;
	int err;

	if (builder->open_op != NO_OP && builder->open_pid == event->pid) {
		builder->plan.duplicates++;
		return 0;
	}
	builder->plan.purges++;
	err = build_note_purge(builder, build_task(event));
	if (err || (!event->purged && builder->lazy.count) ||
	    adopt_implied(builder, event, begin_line))
		return err;
	err = build_append_purge(builder, begin_line, event->line);
	if (err)
		return err;
	index = builder->plan.op_count - 1;
	err = build_release(builder, index, split_lazy(builder, event));
	if (!err)
		delay_unpurged(builder, index);
	return err;
}

static int add_part(struct builder *builder, const struct replay_part *part)
{
	struct replay_plan *plan = &builder->plan;

	if (GROW(plan->parts, plan->part_count))
		return build_no_memory(builder);
	plan->parts[plan->part_count++] = *part;
	return 0;
}

/* The task's last part of this purge, a decay or a give, that has no end yet; or NULL. */
static struct replay_part *open_part(struct builder *builder, uint32_t purge, bool give,
				     int64_t pid)
{
	struct replay_plan *plan = &builder->plan;
	size_t i;

	for (i = plan->part_count; i > 0 && plan->parts[i - 1].purge == purge; i--) {
		struct replay_part *part = &plan->parts[i - 1];

		if (part->give == give && part->ended == ULONG_MAX && part->pid == pid)
			return part;
	}
	return NULL;
}

/* A node's decay inside a purge, which goes over the nodes in their order. */
static int decay_in_purge(struct builder *builder, const struct ftrace_event *event)
{
	struct replay_part part = {.purge = builder->plan.ops[builder->open_op].purge,
				   .pid = event->pid,
				   .line = event->line,
				   .ended = ULONG_MAX};
	struct replay_part *before = open_part(builder, part.purge, false, event->pid);

	if (builder->vnode_count == SPACE_NODES_MAX)
		return 0;
	if (before)
		before->ended = event->line;
	builder->vnodes[builder->vnode_count++] = event->detail;
	part.node = builder->vnode_count;
	return add_part(builder, &part);
}

/*
 * A purge decays pools itself, and says so in its own event. Outside of one it is the shrinker,
 * which empties the nodes' pools one after the other.
 */
int build_decay(struct builder *builder, const struct ftrace_event *event)
{
	const struct replay_plan *plan = &builder->plan;
	const struct replay_op *last = plan->op_count ? &plan->ops[plan->op_count - 1] : NULL;
	struct replay_op op = {
		.type = REPLAY_DECAY, .begin_line = event->line, .line = event->line, .full = true};

	if (builder->open_op != NO_OP && builder->open_pid == event->pid)
		return decay_in_purge(builder, event);
	if (builder->open_op != NO_OP || !event->full ||
	    (last && last->type == REPLAY_DECAY && !last->purge))
		return 0;
	return build_append(builder, &op);
}

/*
 * One node's ranges go back, on whatever CPU. Which node: the argument is a member of its struct
 * vmap_node, and these lie in one array.
 */
int build_give(struct builder *builder, const struct ftrace_event *event)
{
	struct replay_part part = {
		.give = true, .pid = event->pid, .line = event->line, .ended = ULONG_MAX};
	struct replay_part *begun;
	uint16_t i;

	if (builder->open_op == NO_OP)
		return 0;
	part.purge = builder->plan.ops[builder->open_op].purge;
	if (event->type == FTRACE_GIVE_EXIT) {
		begun = open_part(builder, part.purge, true, event->pid);
		if (begun)
			begun->ended = event->line;
		return 0;
	}
	for (i = 0; i < builder->vnode_count; i++) {
		if (builder->vnodes[i] <= event->detail)
			part.node = (uint16_t)(i + 1);
	}
	return part.node ? add_part(builder, &part) : 0;
}
