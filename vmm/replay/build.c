/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of plan making share: areas and their numbers, the lazy list, and the stack of
 * open calls that each task has.
 */
#include "vmm/replay/build.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of areas go into half of the values of a u64_map; see builder.failures. */
#define MAX_AREAS (UINT32_MAX / 2 - 2)

int build_fail(struct builder *builder, unsigned long line, const char *what)
{
	return input_fail(builder->error, builder->path, line, "%s", what);
}

int build_no_memory(struct builder *builder)
{
	input_fail(builder->error, builder->path, 0, "no memory for the plan");
	return -ENOMEM;
}

void build_note(struct replay_notes *notes, uint64_t address, unsigned long line)
{
	if (notes->count < REPLAY_NOTES_MAX) {
		notes->first[notes->count].address = address;
		notes->first[notes->count].line = line;
	}
	notes->count++;
}

uint64_t build_task(const struct ftrace_event *event)
{
	return event->pid ? (uint64_t)event->pid : UINT64_C(1) << 63 | event->cpu;
}

/* ---- areas ---- */

static int grow_areas(struct builder *builder)
{
	struct replay_plan *plan = &builder->plan;
	size_t room = builder->area_room ? 2 * builder->area_room : 256;
	void *grown;

	if (plan->area_count < builder->area_room)
		return 0;
	grown = realloc(plan->areas, room * sizeof(*plan->areas));
	if (!grown)
		return -ENOMEM;
	plan->areas = grown;
	grown = realloc(builder->states, room * sizeof(*builder->states));
	if (!grown)
		return -ENOMEM;
	builder->states = grown;
	builder->area_room = room;
	return 0;
}

int build_add_area(struct builder *builder, const struct replay_area *area, uint32_t *index_out)
{
	struct replay_plan *plan = &builder->plan;

	if (plan->area_count >= MAX_AREAS) {
		build_fail(builder, area->line, "more allocations than a plan can hold");
		return -EFBIG;
	}
	if (grow_areas(builder))
		return build_no_memory(builder);
	*index_out = (uint32_t)plan->area_count;
	plan->areas[*index_out] = *area;
	builder->states[*index_out] =
		(struct area_state){.range = RANGE_LIVE, .freed_by = ULONG_MAX};
	plan->area_count++;
	if (!area->expect_failure && u64_map_set(&builder->addresses, area->address, *index_out))
		return build_no_memory(builder);
	return 0;
}

/* ---- the lazy list and purges ---- */

int build_add_number(struct builder *builder, struct purge *purge, uint32_t area)
{
	size_t room = purge->room ? 2 * purge->room : 16;
	uint32_t *grown;

	if (purge->count == purge->room) {
		grown = realloc(purge->areas, room * sizeof(*grown));
		if (!grown)
			return build_no_memory(builder);
		purge->areas = grown;
		purge->room = room;
	}
	purge->areas[purge->count++] = area;
	return 0;
}

void build_remove_number(struct purge *purge, size_t index)
{
	purge->count--;
	memmove(&purge->areas[index], &purge->areas[index + 1],
		(purge->count - index) * sizeof(*purge->areas));
}

int build_add_lazy(struct builder *builder, uint32_t area)
{
	const struct replay_area *areas = builder->plan.areas;
	struct purge *lazy = &builder->lazy;
	int err = build_add_number(builder, lazy, area);
	size_t i;

	if (err)
		return err;
	for (i = lazy->count - 1; i && areas[lazy->areas[i - 1]].free_line > areas[area].free_line;
	     i--)
		lazy->areas[i] = lazy->areas[i - 1];
	lazy->areas[i] = area;
	builder->states[area].range = RANGE_LAZY;
	return 0;
}

int build_append_purge(struct builder *builder, unsigned long begin_line, unsigned long line)
{
	struct replay_op op = {.type = REPLAY_PURGE, .begin_line = begin_line, .line = line};
	size_t room = builder->purge_room ? 2 * builder->purge_room : 64;
	struct purge *grown;

	if (builder->purge_count == builder->purge_room) {
		grown = realloc(builder->purges, room * sizeof(*grown));
		if (!grown)
			return build_no_memory(builder);
		builder->purges = grown;
		builder->purge_room = room;
	}
	op.area = (uint32_t)builder->purge_count;
	op.purge = op.area + 1;
	builder->purges[builder->purge_count++] = (struct purge){0};
	return build_append(builder, &op);
}

int build_release(struct builder *builder, size_t op, size_t count)
{
	struct purge *purge = &builder->purges[builder->plan.ops[op].area];
	uint32_t area;
	size_t i;
	int err;

	if (!count)
		return 0;
	for (i = 0; i < count; i++) {
		area = builder->lazy.areas[i];
		err = build_add_number(builder, purge, area);
		if (err)
			return err;
		builder->states[area].range = RANGE_FREE;
		range_set_remove(&builder->taken, builder->plan.areas[area].address);
	}
	builder->lazy.count -= count;
	memmove(builder->lazy.areas, builder->lazy.areas + count,
		builder->lazy.count * sizeof(*builder->lazy.areas));
	return 0;
}

int build_restart(struct builder *builder)
{
	struct replay_plan *plan = &builder->plan;
	size_t i;

	plan->area_count = plan->initial_areas;
	plan->op_count = plan->initial_ops;
	plan->part_count = 0;
	builder->lazy.count = 0;
	builder->implied_op = builder->open_op = NO_OP;
	builder->barrier = plan->initial_ops;
	u64_map_clear(&builder->addresses);
	u64_map_clear(&builder->failures);
	u64_map_clear(&builder->last_frees);
	range_set_clear(&builder->taken);
	for (i = 0; i < plan->initial_areas; i++) {
		plan->areas[i].free_line = 0;
		builder->states[i].range = RANGE_LIVE;
		if (u64_map_set(&builder->addresses, plan->areas[i].address, (uint32_t)i) ||
		    range_set_add(&builder->taken, plan->areas[i].address,
				  plan->areas[i].address + plan->areas[i].va_bytes, (uint32_t)i) ||
		    (plan->areas[i].unpurged && build_add_lazy(builder, (uint32_t)i)))
			return build_no_memory(builder);
	}
	return 0;
}

unsigned long build_begin_line(const struct builder *builder, const struct ftrace_event *event)
{
	uint32_t line = u64_map_get(&builder->last_lines, build_task(event));

	return line == U64_MAP_NONE ? event->line : (unsigned long)line + 1;
}

int build_append(struct builder *builder, const struct replay_op *op)
{
	return order_insert(builder, builder->plan.op_count, op) ? build_no_memory(builder) : 0;
}

/* ---- open calls ---- */

uint32_t build_innermost_call(const struct builder *builder, uint64_t task)
{
	uint32_t call = u64_map_get(&builder->tasks, task);

	return call == U64_MAP_NONE ? NO_CALL : call;
}

/* An unused call, taken off the list of those or new. Returns 0 or -ENOMEM. */
static int take_call(struct builder *builder, uint32_t *call_out)
{
	size_t room = builder->call_room ? 2 * builder->call_room : 16;
	struct open_call *grown;

	if (builder->free_call != NO_CALL) {
		*call_out = builder->free_call;
		builder->free_call = builder->calls[*call_out].below;
		return 0;
	}
	if (builder->call_count == builder->call_room) {
		grown = realloc(builder->calls, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		builder->calls = grown;
		builder->call_room = room;
	}
	*call_out = (uint32_t)builder->call_count++;
	return 0;
}

int build_open_call(struct builder *builder, const struct ftrace_event *event)
{
	uint64_t task = build_task(event);
	uint32_t below = build_innermost_call(builder, task), call;

	if (take_call(builder, &call) || u64_map_set(&builder->tasks, task, call))
		return build_no_memory(builder);
	builder->calls[call].enter = *event;
	builder->calls[call].below = below;
	builder->open_allocs += event->type == FTRACE_ALLOC_ENTER;
	return 0;
}

bool build_close_call(struct builder *builder, const struct ftrace_event *exit,
		      enum ftrace_event_type enter, struct ftrace_event *enter_out)
{
	uint64_t task = build_task(exit);
	uint32_t call = build_innermost_call(builder, task), top = call, below;
	bool found = false;

	while (call != NO_CALL && builder->calls[call].enter.type != enter)
		call = builder->calls[call].below;
	if (call == NO_CALL) {
		builder->plan.exits_without_enter++;
		return false;
	}
	*enter_out = builder->calls[call].enter;
	for (; !found; top = below) {
		found = top == call;
		below = builder->calls[top].below;
		builder->calls[top].below = builder->free_call;
		builder->free_call = top;
		builder->open_allocs -= builder->calls[top].enter.type == FTRACE_ALLOC_ENTER;
		if (!found)
			builder->plan.enters_without_exit++;
	}
	/* The key is in the map, so setting it needs no memory. */
	u64_map_set(&builder->tasks, task, top);
	return true;
}
