/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizing a guest by its plan, and finding why a plan is empty. */
#include "vmm/replay/needs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB         (UINT64_C(1) << 20)
#define GFP_DMA32   UINT64_C(0x4) /* the same in every kernel */
#define AREA_BYTES  1024          /* areas, nodes, page arrays: more than they take */
#define TABLE_REACH (2 * MIB)     /* what one page table maps */
#define FIXED_BYTES (64 * MIB)    /* the image, caches of each CPU, watermarks */
#define ROUND_BYTES (64 * MIB)
#define MANY_TABLES (UINT64_C(1) << 40)

struct peak {
	uint64_t now, most;
};

static void add(struct peak *peak, uint64_t bytes)
{
	if (__builtin_add_overflow(peak->now, bytes, &peak->now))
		peak->now = UINT64_MAX / 4;
	if (peak->now > peak->most)
		peak->most = peak->now;
}

static uint64_t frames_bytes(const struct replay_area *area)
{
	return (area->bytes + REPLAY_PAGE_BYTES - 1) / REPLAY_PAGE_BYTES * REPLAY_PAGE_BYTES;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* How many page tables the plan's mapped areas have between them, one for each 2 MiB touched. */
static uint64_t count_tables(const struct replay_plan *plan)
{
	uint64_t *first = malloc((plan->area_count + 1) * sizeof(*first)), tables = 0;
	size_t count = 0, i;

	for (i = 0; i < plan->area_count; i++) {
		if (!plan->areas[i].mapped)
			continue;
		tables += plan->areas[i].bytes / TABLE_REACH;
		if (first)
			first[count++] = plan->areas[i].address / TABLE_REACH;
		else
			tables++;
	}
	if (count)
		qsort(first, count, sizeof(*first), by_value);
	for (i = 0; i < count; i++)
		tables += 2 * (uint64_t)(!i || first[i] != first[i - 1]);
	free(first);
	return tables < MANY_TABLES ? tables : MANY_TABLES;
}

uint64_t replay_plan_memory(const struct replay_plan *plan)
{
	struct peak all = {0}, low = {0}, live = {0};
	const struct replay_area *area;
	uint64_t bytes;
	size_t i;

	for (i = 0; i < plan->op_count; i++) {
		if (plan->ops[i].type != REPLAY_MAP && plan->ops[i].type != REPLAY_RESERVE &&
		    plan->ops[i].type != REPLAY_FREE)
			continue;
		area = &plan->areas[plan->ops[i].area];
		bytes = area->mapped ? frames_bytes(area) : 0;
		if (plan->ops[i].type != REPLAY_FREE) {
			add(&live, AREA_BYTES);
			add(&all, bytes);
			add(&low, area->gfp & GFP_DMA32 ? bytes : 0);
		} else {
			live.now -= live.now ? AREA_BYTES : 0;
			all.now -= bytes < all.now ? bytes : all.now;
			bytes = area->gfp & GFP_DMA32 ? bytes : 0;
			low.now -= bytes < low.now ? bytes : low.now;
		}
	}
	if (all.most >= UINT64_MAX / 8 || low.most >= UINT64_MAX / 8)
		return UINT64_MAX;
	bytes = all.most > 2 * low.most ? all.most : 2 * low.most;
	bytes += count_tables(plan) * REPLAY_PAGE_BYTES + live.most;
	bytes += bytes / 16 + FIXED_BYTES; /* struct page is a 64th, and some to spare */
	return (bytes + ROUND_BYTES - 1) / ROUND_BYTES * ROUND_BYTES;
}

/* ---- nothing to replay ---- */

static uint64_t known_events(const struct ftrace_info *trace)
{
	return trace->events - trace->skipped;
}

bool replay_plan_is_empty(const struct replay_plan *plan, const struct ftrace_info *trace,
			  char *text, size_t size)
{
	if (plan->allocs > plan->expected_failures)
		return false;
	if (plan->allocs)
		snprintf(text, size,
			 "all %" PRIu64 " allocations failed in Linux too, so there is no address",
			 plan->allocs);
	else if (!trace->events)
		snprintf(text, size, "the trace has no event in it");
	else if (plan->before_snapshot)
		snprintf(text, size,
			 "all %" PRIu64 " events are from before the marker, and in the snapshot",
			 plan->before_snapshot);
	else if (trace->other_fields)
		snprintf(text, size,
			 "no allocation can be read: %s (%" PRIu64
			 " events like that); set the probes of scripts/capture",
			 trace->lacking, trace->other_fields);
	else if (!known_events(trace))
		snprintf(text, size,
			 "none of the %" PRIu64 " events is vmalloc's (the first: %s); record the "
			 "probes of scripts/capture or the tracepoints vmalloc:*",
			 trace->events,
			 trace->skipped_name_count ? trace->skipped_names[0].name : "?");
	else if (plan->enters_without_exit)
		snprintf(text, size,
			 "no allocation has both its enter and its exit: probe "
			 "alloc_vmap_area's return too, as scripts/capture does");
	else
		snprintf(text, size,
			 "no allocation among the %" PRIu64 " events of vmalloc: nothing was "
			 "allocated while it was recorded",
			 known_events(trace));
	return true;
}

unsigned int replay_plan_cpus(const struct replay_plan *plan, unsigned int most)
{
	uint32_t last = 0;

	for (size_t i = 0; i < plan->moment_count; i++)
		last = plan->moments[i].cpu > last ? plan->moments[i].cpu : last;
	return last < most ? last + 1 : most;
}

json_t *replay_nothing_json(const char *name, const struct replay_plan *plan,
			    const struct ftrace_info *trace, const char *reason)
{
	return json_pack("{s:s, s:I, s:I, s:s, s:{s:i, s:i}}", "trace", name, "events",
			 (json_int_t)trace->events, "allocs", (json_int_t)plan->allocs,
			 "nothing_replayed", reason, "address", "exact", 0, "other", 0);
}
