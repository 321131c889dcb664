/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Comparing the end of a replay with Linux's, and giving reasons. */
#include "vmm/replay/end.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/u64_map.h"

struct compare {
	const struct replay_plan *plan;
	const struct replay_outcome *outcome;
	const struct vmallocinfo *end;
	struct replay_end_state state;
	size_t room;
	struct u64_map by_linux; /* Linux's address -> the area last there */
	struct u64_map by_here;  /* the address here -> the area last there */
};

/* Adds a difference with its reason, a format. Returns 0 or -ENOMEM. */
static int add(struct compare *compare, const struct replay_end_difference *difference,
	       const char *reason, ...) __attribute__((format(printf, 3, 4)));

static int add(struct compare *compare, const struct replay_end_difference *difference,
	       const char *reason, ...)
{
	struct replay_end_state *state = &compare->state;
	struct replay_end_difference *grown;
	size_t room = compare->room ? 2 * compare->room : 32;
	va_list args;

	if (state->difference_count == compare->room) {
		grown = realloc(state->differences, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		state->differences = grown;
		compare->room = room;
	}
	grown = &state->differences[state->difference_count++];
	*grown = *difference;
	va_start(args, reason);
	vsnprintf(grown->reason, sizeof(grown->reason), reason, args);
	va_end(args);
	if (!grown->explained && grown->kind <= REPLAY_END_OTHER_KIND)
		state->unexplained++;
	return 0;
}

static int index_areas(struct compare *compare)
{
	const struct replay_plan *plan = compare->plan;
	size_t i;

	for (i = 0; i < plan->area_count; i++) {
		if (plan->areas[i].address &&
		    u64_map_set(&compare->by_linux, plan->areas[i].address, (uint32_t)i))
			return -ENOMEM;
		if (compare->outcome->addresses[i] &&
		    u64_map_set(&compare->by_here, compare->outcome->addresses[i], (uint32_t)i))
			return -ENOMEM;
	}
	return 0;
}

/* ---- areas in use ---- */

static int add_missing(struct compare *compare, const struct vmallocinfo_area *from)
{
	struct replay_end_difference difference = {.kind = REPLAY_END_MISSING,
						   .start = from->start,
						   .end = from->end,
						   .snapshot_line = from->line};
	uint32_t index = u64_map_get(&compare->by_linux, from->start);
	const struct replay_area *area;
	uint64_t here;

	compare->state.missing++;
	difference.explained = true;
	if (index == U64_MAP_NONE)
		return add(compare, &difference, "the trace never shows its allocation");
	area = &compare->plan->areas[index];
	here = compare->outcome->addresses[index];
	difference.trace_line = area->initial ? 0 : area->line;
	if (area->va_bytes != from->end - from->start)
		return add(compare, &difference,
			   "allocated after the trace ended: in it, %" PRIu64 " bytes were there",
			   area->va_bytes);
	if (area->free_line || area->unpurged) {
		difference.trace_line = area->free_line;
		return add(compare, &difference,
			   "allocated after the trace ended: in it, it was freed");
	}
	difference.explained = false;
	if (!here)
		return add(compare, &difference, "its allocation failed here");
	if (here != from->start)
		return add(compare, &difference, "it is at 0x%" PRIx64 " here", here);
	return add(compare, &difference, "it was here, and is gone");
}

static int add_extra(struct compare *compare, const struct replay_final_area *final)
{
	struct replay_end_difference difference = {.kind = REPLAY_END_EXTRA,
						   .start = final->address,
						   .end = final->address + final->va_bytes};
	uint32_t index = u64_map_get(&compare->by_here, final->address);
	const struct vmallocinfo_area *there = vmallocinfo_find(compare->end, final->address);
	const struct replay_area *area;

	compare->state.extra++;
	if (index == U64_MAP_NONE)
		return add(compare, &difference, "no operation of the plan made it");
	area = &compare->plan->areas[index];
	difference.trace_line = area->initial ? 0 : area->line;
	if (area->expect_failure)
		return add(compare, &difference, "its allocation failed in Linux");
	if (area->address != final->address)
		return add(compare, &difference, "it was at 0x%" PRIx64 " in Linux", area->address);
	if (area->va_bytes != final->va_bytes)
		return add(compare, &difference, "it was %" PRIu64 " bytes long in Linux",
			   area->va_bytes);
	if (area->free_line || area->unpurged) {
		difference.trace_line = area->free_line;
		return add(compare, &difference, "the trace frees it, and here it is in use");
	}
	difference.explained = true;
	if (there && (there->flags & VMALLOCINFO_UNPURGED)) {
		difference.snapshot_line = there->line;
		return add(compare, &difference, "freed after the trace ended: unpurged by then");
	}
	return add(compare, &difference, "freed after the trace ended");
}

static int check_kind(struct compare *compare, const struct vmallocinfo_area *from,
		      const struct replay_final_area *final)
{
	struct replay_end_difference difference = {.kind = REPLAY_END_OTHER_KIND,
						   .start = from->start,
						   .end = from->end,
						   .snapshot_line = from->line};
	bool pages_there = (from->flags & VMALLOCINFO_VMALLOC) && from->pages;
	bool pages_here = final->kind == REPLAY_AREA_MAPPED;
	uint32_t index = u64_map_get(&compare->by_here, final->address);
	bool planned;

	compare->state.matching++;
	if (pages_there == pages_here)
		return 0;
	compare->state.other_kind++;
	planned = index != U64_MAP_NONE && compare->plan->areas[index].mapped;
	if (index != U64_MAP_NONE && !compare->plan->areas[index].initial)
		difference.trace_line = compare->plan->areas[index].line;
	difference.explained = planned == pages_here;
	if (!difference.explained)
		return add(compare, &difference, "not as planned");
	return add(compare, &difference, "%s",
		   pages_there ? "the trace does not say that it is vmalloc's"
			       : "vmalloc's by the trace, without pages in the snapshot");
}

static int by_address(const void *a, const void *b)
{
	const struct replay_final_area *left = a, *right = b;

	return left->address < right->address ? -1 : left->address > right->address;
}

/*
 * Walks the snapshot (@pass 0: what is missing; 2: kinds) and the areas here (1: what is extra)
 * side by side, so that the differences come sorted by kind.
 */
static int compare_live(struct compare *compare, int pass)
{
	const struct vmallocinfo *end = compare->end;
	const struct replay_outcome *outcome = compare->outcome;
	const struct vmallocinfo_area *there;
	const struct replay_final_area *here;
	size_t i = 0, j = 0;
	int err = 0;

	while (!err && (i < end->count || j < outcome->final_area_count)) {
		there = i < end->count ? &end->areas[i] : NULL;
		here = j < outcome->final_area_count ? &outcome->final_areas[j] : NULL;
		if (there && (there->flags & VMALLOCINFO_UNPURGED)) {
			i++;
		} else if (here && here->kind == REPLAY_AREA_LAZY) {
			j++;
		} else if (there && here && there->start == here->address &&
			   there->end - there->start == here->va_bytes) {
			if (pass == 2)
				err = check_kind(compare, there, here);
			i++;
			j++;
		} else if (there && (!here || there->start <= here->address)) {
			if (pass == 0)
				err = add_missing(compare, there);
			i++;
		} else {
			if (pass == 1)
				err = add_extra(compare, here);
			j++;
		}
	}
	return err;
}

/* ---- lazily freed ranges ---- */

struct range {
	uint64_t start; /* [start, end) */
	uint64_t end;
};

struct ranges {
	struct range *list;
	size_t count;
};

static void add_range(struct ranges *ranges, uint64_t start, uint64_t end)
{
	if (ranges->count && ranges->list[ranges->count - 1].end == start)
		ranges->list[ranges->count - 1].end = end;
	else
		ranges->list[ranges->count++] = (struct range){start, end};
}

static int add_lazy(struct compare *compare, enum replay_end_kind kind, const struct range *range)
{
	struct replay_end_difference difference = {
		.kind = kind, .start = range->start, .end = range->end, .explained = true};
	const struct vmallocinfo_area *there = vmallocinfo_find(compare->end, range->start);
	uint32_t index = u64_map_get(&compare->by_here, range->start);
	const char *reason;

	if (there)
		difference.snapshot_line = there->line;
	if (kind == REPLAY_END_LAZY_MISSING) {
		compare->state.lazy_missing_bytes += range->end - range->start;
		reason = index != U64_MAP_NONE && !compare->plan->areas[index].free_line &&
					 !compare->plan->areas[index].unpurged
				 ? "freed after the trace ended"
				 : "no free of it waits for a purge here";
	} else {
		compare->state.lazy_extra_bytes += range->end - range->start;
		reason = there ? "purged and used again after the trace ended"
			       : "purged after the trace ended";
	}
	return add(compare, &difference, "%s", reason);
}

/* Adds what is in @from and not in @without. */
static int subtract(struct compare *compare, const struct ranges *from,
		    const struct ranges *without, enum replay_end_kind kind)
{
	struct range piece;
	size_t i, j = 0;
	uint64_t at;
	int err = 0;

	for (i = 0; i < from->count && !err; i++) {
		at = from->list[i].start;
		while (j < without->count && without->list[j].end <= at)
			j++;
		while (at < from->list[i].end && !err) {
			piece = (struct range){at, from->list[i].end};
			if (j < without->count && without->list[j].start < piece.end)
				piece.end = without->list[j].start;
			if (piece.end > at)
				err = add_lazy(compare, kind, &piece);
			at = piece.end;
			if (j < without->count && without->list[j].start <= at) {
				at = without->list[j].end;
				if (at < from->list[i].end)
					j++;
			}
		}
	}
	return err;
}

static int compare_lazy(struct compare *compare)
{
	const struct vmallocinfo_area *areas = compare->end->areas;
	const struct replay_final_area *finals = compare->outcome->final_areas;
	struct replay_end_state *state = &compare->state;
	struct ranges there = {0}, here = {0};
	int err = -ENOMEM;
	size_t i;

	there.list = calloc(compare->end->count + 1, sizeof(*there.list));
	here.list = calloc(compare->outcome->final_area_count + 1, sizeof(*here.list));
	if (!there.list || !here.list)
		goto out;
	for (i = 0; i < compare->end->count; i++) {
		if (areas[i].flags & VMALLOCINFO_UNPURGED) {
			add_range(&there, areas[i].start, areas[i].end);
			state->lazy_expected_bytes += areas[i].end - areas[i].start;
		}
	}
	for (i = 0; i < compare->outcome->final_area_count; i++) {
		if (finals[i].kind == REPLAY_AREA_LAZY)
			add_range(&here, finals[i].address, finals[i].address + finals[i].va_bytes);
	}
	err = subtract(compare, &there, &here, REPLAY_END_LAZY_MISSING);
	if (!err)
		err = subtract(compare, &here, &there, REPLAY_END_LAZY_EXTRA);
	state->lazy_matching_bytes = state->lazy_expected_bytes - state->lazy_missing_bytes;
out:
	free(there.list);
	free(here.list);
	return err;
}

int replay_end_compare(const struct replay_plan *plan, struct replay_outcome *outcome,
		       const struct vmallocinfo *end, struct replay_end_state *state_out)
{
	struct compare compare = {.plan = plan, .outcome = outcome, .end = end};
	int err, pass;
	size_t i;

	if (outcome->final_area_count)
		qsort(outcome->final_areas, outcome->final_area_count,
		      sizeof(*outcome->final_areas), by_address);
	for (i = 0; i < end->count; i++)
		compare.state.expected += !(end->areas[i].flags & VMALLOCINFO_UNPURGED);
	err = index_areas(&compare);
	for (pass = 0; pass < 3 && !err; pass++)
		err = compare_live(&compare, pass);
	if (!err)
		err = compare_lazy(&compare);
	u64_map_clear(&compare.by_linux);
	u64_map_clear(&compare.by_here);
	if (err)
		replay_end_state_free(&compare.state);
	else
		*state_out = compare.state;
	return err;
}

void replay_end_state_free(struct replay_end_state *state)
{
	free(state->differences);
	memset(state, 0, sizeof(*state));
}

const char *replay_end_kind_name(enum replay_end_kind kind)
{
	static const char *const names[] = {
		[REPLAY_END_MISSING] = "missing",       [REPLAY_END_EXTRA] = "extra",
		[REPLAY_END_OTHER_KIND] = "other kind", [REPLAY_END_LAZY_MISSING] = "lazy missing",
		[REPLAY_END_LAZY_EXTRA] = "lazy extra",
	};

	return names[kind];
}
