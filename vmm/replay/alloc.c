/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making the plan: the events of allocations, and the vmallocs around them. */
#include "vmm/replay/build.h"

#include <string.h>

static int check_request(struct builder *builder, const struct ftrace_event *request)
{
	if (!request->size || request->size % REPLAY_PAGE_BYTES)
		return build_fail(builder, request->line, "size= is not one of whole pages");
	if (!request->align || (request->align & (request->align - 1)))
		return build_fail(builder, request->line, "align= is not a power of two");
	if (request->start >= request->end)
		return build_fail(builder, request->line, "vstart= is not below vend=");
	return 0;
}

static int check_result(struct builder *builder, const struct ftrace_event *request,
			const struct ftrace_event *result)
{
	uint64_t end;

	if (result->failed)
		return 0;
	if (!result->address || result->address % REPLAY_PAGE_BYTES ||
	    result->address % request->align)
		return build_fail(builder, result->line, "va_start= is not aligned as asked for");
	if (__builtin_add_overflow(result->address, request->size, &end) ||
	    result->address < request->start || end > request->end)
		return build_fail(builder, result->line,
				  "va_start= lies outside the request's window");
	return 0;
}

/* The allocation took place between @begin_line and the line of @result. */
static int add_alloc(struct builder *builder, const struct ftrace_event *request,
		     const struct ftrace_event *result, unsigned long begin_line,
		     uint32_t *area_out)
{
	struct replay_area area = {
		.address = result->address,
		.va_bytes = request->size,
		.align = request->align,
		.vstart = request->start,
		.vend = request->end,
		.node = request->node,
		.cpu = result->cpu,
		.va_node = build_va_node(result),
		.has_va_node = result->has_flags,
		.begin_line = begin_line,
		.line = result->line,
		.expect_failure = result->failed,
	};
	struct replay_op op = {
		.type = REPLAY_RESERVE, .begin_line = begin_line, .line = result->line};
	int err;

	err = check_request(builder, request);
	if (!err)
		err = check_result(builder, request, result);
	if (err)
		return err;
	err = build_add_area(builder, &area, &op.area);
	if (err)
		return err;
	builder->plan.allocs++;
	builder->plan.expected_failures += result->failed;
	*area_out = op.area;
	return place_alloc(builder, &op);
}

int build_alloc_exit(struct builder *builder, const struct ftrace_event *event)
{
	struct ftrace_event enter;
	uint32_t area;

	if (!build_close_call(builder, event, FTRACE_ALLOC_ENTER, &enter))
		return 0;
	return add_alloc(builder, &enter, event, enter.line, &area);
}

/* The vmalloc that an allocation turned out to belong to: the range gets pages. */
int build_vmalloc_exit(struct builder *builder, const struct ftrace_event *event)
{
	struct replay_area *area;
	struct ftrace_event enter;
	uint32_t index;

	if (!build_close_call(builder, event, FTRACE_VMALLOC_ENTER, &enter) || event->failed)
		return 0;
	index = u64_map_get(&builder->addresses, event->address);
	if (index == U64_MAP_NONE)
		return 0;
	area = &builder->plan.areas[index];
	if (area->initial || area->line < enter.line || area->mapped)
		return 0;
	if (!enter.size || enter.size > area->va_bytes)
		return build_fail(builder, enter.line,
				  "vmalloc's size= does not fit the area it got");
	area->mapped = true;
	area->bytes = enter.size;
	area->gfp = enter.gfp;
	area->prot = enter.prot;
	builder->plan.maps++;
	return 0;
}

/*
 * The tracepoint reports a search, not a call: one that finds no room is followed by a purge and
 * a second search. The first was no failure then.
 */
static int settle_retry(struct builder *builder, const struct ftrace_event *event, uint32_t area)
{
	struct replay_plan *plan = &builder->plan;
	const struct replay_area *now = &plan->areas[area], *before;
	uint32_t failure = u64_map_get(&builder->failures, build_task(event));

	if (failure < NO_CALL && (failure & 1)) {
		before = &plan->areas[failure / 2];
		if (before->va_bytes == now->va_bytes && before->align == now->align &&
		    before->vstart == now->vstart && before->vend == now->vend) {
			builder->states[failure / 2].dropped = true;
			plan->retries++;
			plan->allocs--;
			plan->expected_failures--;
		}
	}
	if (failure == U64_MAP_NONE && !now->expect_failure)
		return 0;
	if (u64_map_set(&builder->failures, build_task(event),
			now->expect_failure ? 2 * area : NO_CALL))
		return build_no_memory(builder);
	return 0;
}

int build_alloc_tracepoint(struct builder *builder, const struct ftrace_event *event)
{
	uint32_t call = build_innermost_call(builder, build_task(event)), area;
	int err;

	if (call != NO_CALL && builder->calls[call].enter.type == FTRACE_ALLOC_ENTER) {
		builder->plan.duplicates++;
		return 0;
	}
	err = add_alloc(builder, event, event, build_begin_line(builder, event), &area);
	return err ? err : settle_retry(builder, event, area);
}

int build_note_purge(struct builder *builder, uint64_t task)
{
	uint32_t failure = u64_map_get(&builder->failures, task);

	if (failure < NO_CALL && u64_map_set(&builder->failures, task, failure | 1))
		return build_no_memory(builder);
	return 0;
}
