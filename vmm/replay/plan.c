/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making the plan: the snapshot first, then each event in turn, handed to replay_alloc.c and
 * replay_release.c.
 */
#include "vmm/replay/plan.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/replay/build.h"

bool replay_is_marker(const char *text)
{
	static const char marker[] = "vmallocinfo captured";

	return !strncmp(text, marker, sizeof(marker) - 1);
}

static int add_initial(struct builder *builder, const struct vmallocinfo_area *from)
{
	struct replay_area area = {
		.address = from->start,
		.va_bytes = from->end - from->start,
		.align = REPLAY_PAGE_BYTES,
		.vstart = from->start,
		.vend = from->end,
		.node = -1,
		.line = from->line,
		.initial = true,
		.unpurged = (from->flags & VMALLOCINFO_UNPURGED) != 0,
		.mapped = (from->flags & VMALLOCINFO_VMALLOC) && from->pages,
	};
	struct replay_op op = {.type = area.mapped ? REPLAY_MAP : REPLAY_RESERVE};
	int err;

	if (area.mapped)
		area.bytes = from->pages * REPLAY_PAGE_BYTES;
	err = build_add_area(builder, &area, &op.area);
	if (!err)
		err = build_append(builder, &op);
	if (!err && !place_apply(builder, &op))
		err = builder->no_memory
			      ? build_no_memory(builder)
			      : build_fail(builder, 0, "two areas of the snapshot overlap");
	if (err || !area.unpurged)
		return err;
	op.type = REPLAY_FREE;
	err = build_append(builder, &op);
	return err ? err : build_add_lazy(builder, op.area);
}

static int add_snapshot(struct builder *builder, const struct vmallocinfo *begin)
{
	size_t i;
	int err;

	for (i = 0; begin && i < begin->count; i++) {
		err = add_initial(builder, &begin->areas[i]);
		if (err)
			return err;
	}
	builder->plan.has_snapshot = begin != NULL;
	builder->plan.initial_ops = builder->plan.op_count;
	builder->plan.initial_areas = builder->plan.area_count;
	builder->barrier = builder->plan.op_count;
	return 0;
}

/*
 * The marker says that the snapshot was taken just now: what the trace has shown so far is in it,
 * and goes. Calls that are open stay open.
 */
static int restart_at_marker(struct builder *builder, uint64_t events_before)
{
	struct replay_plan *plan = &builder->plan;

	builder->marker_seen = true;
	if (!plan->has_snapshot || !events_before)
		return 0;
	plan->allocs = plan->maps = plan->expected_failures = plan->frees = plan->purges = 0;
	plan->vfrees = plan->reordered = plan->retries = plan->duplicates = 0;
	plan->unknown_frees.count = plan->conflicts.count = plan->implied_purges = 0;
	plan->exits_without_enter = plan->enters_without_exit = 0;
	plan->before_snapshot = events_before;
	return build_restart(builder);
}

/* ---- the trace ---- */

static int take_event(struct builder *builder, const struct ftrace_event *event,
		      uint64_t events_before)
{
	switch (event->type) {
	case FTRACE_MARKER:
		if (builder->marker_seen || !replay_is_marker(event->text))
			return 0;
		return restart_at_marker(builder, events_before);
	case FTRACE_VMALLOC_ENTER:
	case FTRACE_ALLOC_ENTER:
		return build_open_call(builder, event);
	case FTRACE_VMALLOC_EXIT:
		return build_vmalloc_exit(builder, event);
	case FTRACE_ALLOC_EXIT:
		return build_alloc_exit(builder, event);
	case FTRACE_ALLOC:
		return build_alloc_tracepoint(builder, event);
	case FTRACE_FREE:
		return build_free(builder, event);
	case FTRACE_PURGE_ENTER:
		return build_purge_enter(builder, event);
	case FTRACE_PURGE_EXIT:
		return build_purge_exit(builder, event);
	case FTRACE_PURGE:
		return build_purge_tracepoint(builder, event);
	case FTRACE_DECAY:
		return build_decay(builder, event);
	case FTRACE_GIVE_ENTER:
	case FTRACE_GIVE_EXIT:
		return build_give(builder, event);
	case FTRACE_VFREE:
		builder->plan.vfrees++;
		return 0;
	}
	return 0;
}

/* What the end of the trace settles. */
static void finish(struct builder *builder)
{
	struct replay_plan *plan = &builder->plan;
	size_t kept = 0, i;
	uint32_t call;

	plan->enters_without_exit += builder->call_count + (builder->open_op != NO_OP);
	for (call = builder->free_call; call != NO_CALL; call = builder->calls[call].below)
		plan->enters_without_exit--;
	for (i = 0; i < plan->op_count; i++) {
		if (plan->ops[i].type == REPLAY_PURGE)
			plan->ops[i].area = (uint32_t)builder->purges[plan->ops[i].area].count;
		else if (plan->ops[i].type != REPLAY_DECAY &&
			 builder->states[plan->ops[i].area].dropped)
			continue;
		plan->ops[kept++] = plan->ops[i];
	}
	plan->op_count = kept;
	for (i = 0; i < plan->area_count; i++)
		plan->areas[i].freed_by = builder->states[i].freed_by;
	for (i = plan->initial_ops; i < plan->op_count; i++) {
		if (plan->ops[i].type == REPLAY_RESERVE && plan->areas[plan->ops[i].area].mapped)
			plan->ops[i].type = REPLAY_MAP;
	}
}

static void free_builder(struct builder *builder)
{
	size_t i;

	for (i = 0; i < builder->purge_count; i++)
		free(builder->purges[i].areas);
	free(builder->purges);
	free(builder->lazy.areas);
	free(builder->states);
	free(builder->calls);
	range_set_clear(&builder->taken);
	u64_map_clear(&builder->last_lines);
	u64_map_clear(&builder->last_frees);
	u64_map_clear(&builder->addresses);
	u64_map_clear(&builder->tasks);
	u64_map_clear(&builder->failures);
}

/* A task's next event says that what it freed with the last one is on the lazy list. */
static int settle_free(struct builder *builder, const struct ftrace_event *event)
{
	uint32_t area = u64_map_get(&builder->last_frees, build_task(event));

	if (area >= builder->plan.area_count)
		return 0;
	builder->states[area].freed_by = event->line;
	if (u64_map_set(&builder->last_frees, build_task(event), NO_CALL))
		return build_no_memory(builder);
	return 0;
}

/* Keeps when the event was. Lines come in order. */
static int note_moment(struct builder *builder, const struct ftrace_event *event)
{
	struct replay_plan *plan = &builder->plan;
	size_t room = builder->moment_room ? builder->moment_room : 4096;
	struct replay_moment *grown, last = {0};

	if (event->line >= builder->moment_room) {
		while (room <= event->line)
			room *= 2;
		grown = realloc(plan->moments, room * sizeof(*grown));
		if (!grown)
			return build_no_memory(builder);
		plan->moments = grown;
		builder->moment_room = room;
	}
	if (plan->moment_count)
		last = plan->moments[plan->moment_count - 1];
	while (plan->moment_count < event->line)
		plan->moments[plan->moment_count++] = last;
	plan->moments[plan->moment_count++] = (struct replay_moment){event->time_ns, event->cpu};
	return 0;
}

static int note_line(struct builder *builder, const struct ftrace_event *event)
{
	if (event->line < NO_CALL &&
	    u64_map_set(&builder->last_lines, build_task(event), (uint32_t)event->line))
		return build_no_memory(builder);
	return 0;
}

static int read_events(struct builder *builder, struct ftrace *trace)
{
	struct ftrace_event event;
	uint64_t before;
	int ret;

	for (;;) {
		ret = ftrace_next(trace, &event, builder->error);
		if (ret <= 0)
			return ret;
		before = ftrace_info(trace)->events - 1;
		ret = note_moment(builder, &event);
		if (!ret)
			ret = settle_free(builder, &event);
		if (!ret)
			ret = take_event(builder, &event, before);
		if (!ret)
			ret = note_line(builder, &event);
		if (!ret && builder->no_memory)
			ret = build_no_memory(builder);
		if (ret)
			return ret;
	}
}

/* Hands the caller a copy of the totals with names of its own. */
static int copy_info(struct builder *builder, const struct ftrace_info *info,
		     struct ftrace_info *info_out)
{
	size_t bytes = info->skipped_name_count * sizeof(*info->skipped_names);
	struct ftrace_skipped *names = NULL;

	if (bytes) {
		names = malloc(bytes);
		if (!names)
			return build_no_memory(builder);
		memcpy(names, info->skipped_names, bytes);
	}
	*info_out = *info;
	info_out->skipped_names = names;
	return 0;
}

int replay_plan_read(const char *trace_path, const struct vmallocinfo *begin,
		     struct replay_plan *plan_out, struct ftrace_info *info_out,
		     struct input_error *error)
{
	struct builder builder = {.path = trace_path,
				  .error = error,
				  .open_op = NO_OP,
				  .implied_op = NO_OP,
				  .free_call = NO_CALL};
	struct ftrace *trace;
	int err;

	err = ftrace_open(trace_path, &trace, error);
	if (err)
		return err;
	err = add_snapshot(&builder, begin);
	if (!err)
		err = read_events(&builder, trace);
	if (!err)
		err = copy_info(&builder, ftrace_info(trace), info_out);
	if (!err) {
		finish(&builder);
		*plan_out = builder.plan;
	} else {
		replay_plan_free(&builder.plan);
	}
	free_builder(&builder);
	ftrace_close(trace);
	return err;
}

unsigned long replay_op_line(const struct replay_op *op)
{
	return op->line == ULONG_MAX ? op->begin_line : op->line;
}

void replay_plan_free(struct replay_plan *plan)
{
	free(plan->areas);
	free(plan->ops);
	free(plan->moments);
	free(plan->parts);
	free(plan->shape);
	memset(plan, 0, sizeof(*plan));
}

static const char *check_op(const struct replay_plan *plan, const struct replay_op *op,
			    unsigned char *seen)
{
	const struct replay_area *area;

	if (!replay_op_has_area(op))
		return NULL;
	if (op->area >= plan->area_count)
		return "an operation on an area that there is none of";
	area = &plan->areas[op->area];
	if (op->type == REPLAY_RELEASE)
		return seen[op->area] == 2 ? NULL : "a release of what is not lazy";
	if (op->type == REPLAY_FREE) {
		if (seen[op->area] != 1 || area->expect_failure)
			return "a free of what is not allocated";
		seen[op->area] = 2;
		return NULL;
	}
	if (seen[op->area])
		return "an area allocated twice";
	if (area->mapped != (op->type == REPLAY_MAP) || area->bytes > area->va_bytes)
		return "an area and its operation disagree";
	seen[op->area] = 1;
	return NULL;
}

/*
 * Allocations and purges keep the trace's order where it has one. A free comes before no purge
 * that had ended when it began; behind one it may stand in any case, since it takes effect some
 * time after its line. Between a free and an allocation the order changes nothing.
 */
const char *replay_plan_check(const struct replay_plan *plan)
{
	unsigned char *seen = calloc(plan->area_count + 1, 1);
	const char *wrong = seen ? NULL : "no memory for the check";
	unsigned long begun = 0, freed = 0;
	const struct replay_op *op;
	size_t i;

	for (i = 0; i < plan->op_count && !wrong; i++) {
		op = &plan->ops[i];
		wrong = check_op(plan, op, seen);
		if (!wrong && op->type != REPLAY_FREE && op->type != REPLAY_RELEASE &&
		    op->line < begun)
			wrong = "an operation that ended before one that stands above it began";
		if (!wrong && op->type == REPLAY_PURGE && op->line < freed)
			wrong = "a purge that ended before a free that stands above it began";
		if (op->type == REPLAY_RELEASE)
			continue;
		if (op->type == REPLAY_FREE && op->begin_line > freed)
			freed = op->begin_line;
		if (op->type != REPLAY_FREE && op->begin_line > begun)
			begun = op->begin_line;
	}
	free(seen);
	return wrong;
}
