/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making the plan: the events of frees and purges. */
#include "vmm/replay_build.h"

#include <limits.h>
#include <string.h>

int build_free(struct builder *builder, const struct ftrace_event *event)
{
	uint32_t index = u64_map_get(&builder->addresses, event->address);
	struct replay_op op = {
		.type = REPLAY_FREE, .area = index, .begin_line = event->line, .line = event->line};
	int err;

	if (index != U64_MAP_NONE && builder->states[index] != RANGE_LIVE && event->native &&
	    builder->plan.areas[index].free_line) {
		builder->plan.duplicates++;
		return 0;
	}
	if (index == U64_MAP_NONE || builder->states[index] != RANGE_LIVE) {
		build_note(&builder->plan.unknown_frees, event->address, event->line);
		return 0;
	}
	err = build_append(builder, &op);
	if (err)
		return err;
	builder->plan.areas[index].free_line = event->line;
	builder->plan.frees++;
	return build_add_lazy(builder, index);
}

/* The first @count areas of the lazy list are what the purge at @index gives back. */
static int release_lazy(struct builder *builder, size_t index, size_t count)
{
	size_t i;
	int err;

	if (!count)
		return 0;
	builder->released_count = 0;
	builder->purge_op = index;
	builder->plan.ops[index].area = (uint32_t)count;
	for (i = 0; i < count; i++) {
		err = build_add_released(builder, builder->lazy[i]);
		if (err)
			return err;
	}
	build_drop_lazy(builder, count);
	return 0;
}

int build_purge_enter(struct builder *builder, const struct ftrace_event *event)
{
	struct replay_op op = {.type = REPLAY_PURGE, .begin_line = event->line, .line = ULONG_MAX};
	int err;

	if (builder->open_op != NO_OP) {
		builder->plan.enters_without_exit++;
		builder->plan.ops[builder->open_op].line = event->line;
	}
	err = build_append(builder, &op);
	if (err)
		return err;
	builder->plan.purges++;
	builder->open_pid = event->pid;
	builder->open_op = builder->plan.op_count - 1;
	return release_lazy(builder, builder->open_op, builder->lazy_count);
}

/*
 * The kernel found nothing to purge: what looked lazy was not on its list yet. So it goes back to
 * the front of ours, and the purge is none.
 */
static int take_back(struct builder *builder)
{
	size_t newer = builder->lazy_count, count = builder->released_count, i;
	int err;

	for (i = 0; i < count; i++) {
		err = build_add_lazy(builder, builder->released[i]);
		if (err)
			return err;
	}
	for (i = 0; i < newer && count; i++) {
		err = build_add_lazy(builder, builder->lazy[i]);
		if (err)
			return err;
	}
	if (count)
		build_drop_lazy(builder, newer);
	builder->released_count = 0;
	order_remove(builder, builder->purge_op);
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
	if (event->has_purged && !event->purged && index == builder->purge_op)
		return take_back(builder);
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

	for (i = 0; i < builder->lazy_count && event->purged; i++) {
		number = builder->lazy[i];
		area = &builder->plan.areas[number];
		if (area->address < event->address || area->address >= event->end)
			continue;
		memmove(&builder->lazy[inside + 1], &builder->lazy[inside],
			(i - inside) * sizeof(number));
		builder->lazy[inside++] = number;
	}
	return inside;
}

/*
 * The tracepoint comes when all is over. An area that is lazy by now but was not purged went on
 * the list after the purge had taken it, so its free goes behind the purge.
 */
static int delay_unpurged(struct builder *builder, size_t index)
{
	struct replay_plan *plan = &builder->plan;
	const struct replay_area *area;
	size_t i;

	for (i = 0; i < builder->lazy_count; i++) {
		area = &plan->areas[builder->lazy[i]];
		if (!area->free_line || !order_delay_free(builder, builder->lazy[i]))
			continue;
		index--;
		if (area->free_line < plan->ops[index].begin_line)
			plan->ops[index].begin_line = area->free_line;
	}
	return 0;
}

int build_purge_tracepoint(struct builder *builder, const struct ftrace_event *event)
{
	struct replay_op op = {
		.type = REPLAY_PURGE, .begin_line = event->line, .line = event->line};
	size_t index;
	int err;

	if (builder->open_op != NO_OP && builder->open_pid == event->pid) {
		builder->plan.duplicates++;
		return 0;
	}
	builder->plan.purges++;
	err = build_note_purge(builder, build_task(event));
	if (err || (!event->purged && builder->lazy_count))
		return err;
	err = build_append(builder, &op);
	if (err)
		return err;
	index = builder->plan.op_count - 1;
	err = release_lazy(builder, index, split_lazy(builder, event));
	return err ? err : delay_unpurged(builder, index);
}
