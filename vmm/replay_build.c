/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of plan making share: areas and their numbers, the lazy list, and the stack of
 * open calls that each task has.
 */
#include "vmm/replay_build.h"

#include <errno.h>
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

/* Makes room for one more number in a growing array. Returns 0 or -ENOMEM. */
static int grow_numbers(uint32_t **numbers, size_t count, size_t *room)
{
	size_t new_room = *room ? 2 * *room : 64;
	uint32_t *grown;

	if (count < *room)
		return 0;
	grown = realloc(*numbers, new_room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*numbers = grown;
	*room = new_room;
	return 0;
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
	grown = realloc(builder->states, room);
	if (!grown)
		return -ENOMEM;
	builder->states = grown;
	grown = realloc(builder->dropped, room * sizeof(*builder->dropped));
	if (!grown)
		return -ENOMEM;
	builder->dropped = grown;
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
	builder->states[*index_out] = RANGE_LIVE;
	builder->dropped[*index_out] = false;
	plan->area_count++;
	if (!area->expect_failure && u64_map_set(&builder->addresses, area->address, *index_out))
		return build_no_memory(builder);
	return 0;
}

int build_add_lazy(struct builder *builder, uint32_t area)
{
	if (grow_numbers(&builder->lazy, builder->lazy_count, &builder->lazy_room))
		return build_no_memory(builder);
	builder->lazy[builder->lazy_count++] = area;
	builder->states[area] = RANGE_LAZY;
	return 0;
}

int build_add_released(struct builder *builder, uint32_t area)
{
	if (grow_numbers(&builder->released, builder->released_count, &builder->released_room))
		return build_no_memory(builder);
	builder->released[builder->released_count++] = area;
	builder->states[area] = RANGE_FREE;
	return 0;
}

void build_drop_lazy(struct builder *builder, size_t count)
{
	builder->lazy_count -= count;
	memmove(builder->lazy, builder->lazy + count, builder->lazy_count * sizeof(*builder->lazy));
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
		if (!found)
			builder->plan.enters_without_exit++;
	}
	/* The key is in the map, so setting it needs no memory. */
	u64_map_set(&builder->tasks, task, top);
	return true;
}
