/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots, and what differs between two. Tiles and mappings are compared by walking both sorted
 * lists at once; mappings piece by piece, where a piece ends wherever a range of either does.
 */
#include "vmm/look/diff.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "vmm/look/private.h"
#include "vmm/look/tree.h"

/* A struct look_map, as far as it is compared. */
struct range {
	uint64_t start, end, gpa;
	uint32_t page_bytes; /* up to 1 GiB */
	uint16_t rights;
	bool global;
};

struct look_snapshot {
	struct inspect_areas tiles; /* busy and lazy ones */
	struct range *map;
	size_t nr_maps;
	struct look_zones zones;
	struct look_frames frames;
	struct look_slabs slabs;
};

const char *look_change_name(enum look_change_kind kind)
{
	static const char *const names[] = {
		[LOOK_TILE_CAME] = "area came",       [LOOK_TILE_WENT] = "area went",
		[LOOK_TILE_CHANGED] = "area changed", [LOOK_MAP_CAME] = "mapped",
		[LOOK_MAP_WENT] = "unmapped",         [LOOK_MAP_CHANGED] = "mapping changed",
		[LOOK_FRAMES_MOVED] = "other frames", [LOOK_COUNT] = "count",
	};

	return (unsigned int)kind <= LOOK_COUNT ? names[kind] : "?";
}

/* ---- taking one ---- */

static int keep_map(void *context, const struct look_map *map)
{
	struct look_snapshot *snapshot = context;

	if (GROW(snapshot->map, snapshot->nr_maps))
		return -ENOMEM;
	snapshot->map[snapshot->nr_maps++] = (struct range){
		.start = map->start,
		.end = map->end,
		.gpa = map->gpa,
		.page_bytes = (uint32_t)map->page_bytes,
		.rights = (uint16_t)map->rights,
		.global = map->global,
	};
	return 0;
}

static int take_tiles(struct inspector *inspector, struct look_snapshot *snapshot)
{
	size_t kept = 0;
	int err = look_areas(inspector, &snapshot->tiles);

	for (size_t i = 0; !err && i < snapshot->tiles.count; i++) {
		const struct inspect_area *tile = &snapshot->tiles.area[i];

		if (tile->state != INSPECT_FREE && tile->start < tile->end)
			snapshot->tiles.area[kept++] = *tile;
	}
	snapshot->tiles.count = kept;
	return err;
}

int look_snapshot(struct inspector *inspector, struct look_snapshot **snapshot_out)
{
	const struct look_maps_query all = {.split_frames = true,
					    .max_ranges = LOOK_SNAPSHOT_RANGES_MAX};
	struct look_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	struct look_maps_sum sum;
	int err;

	if (!snapshot)
		return -ENOMEM;
	err = take_tiles(inspector, snapshot);
	if (!err)
		err = look_maps(inspector, &all, keep_map, snapshot, &sum);
	if (!err && sum.cut)
		err = -EOVERFLOW;
	if (!err)
		err = look_zones(inspector, &snapshot->zones);
	if (!err)
		err = look_frames(inspector, &snapshot->frames);
	if (!err)
		err = look_slabs(inspector, &snapshot->slabs);
	if (err)
		look_snapshot_free(snapshot);
	else
		*snapshot_out = snapshot;
	return err;
}

void look_snapshot_free(struct look_snapshot *snapshot)
{
	if (!snapshot)
		return;
	inspect_areas_free(&snapshot->tiles);
	free(snapshot->map);
	look_zones_free(&snapshot->zones);
	look_frames_free(&snapshot->frames);
	look_slabs_free(&snapshot->slabs);
	free(snapshot);
}

/* ---- tiles ---- */

struct report {
	look_change_fn change;
	void *context;
};

static int tell(const struct report *report, const struct look_change *change)
{
	return report->change(report->context, change);
}

static int tell_tile(const struct report *report, const struct inspect_area *before,
		     const struct inspect_area *after)
{
	const struct inspect_area *any = before ? before : after;
	struct look_change change = {.start = any->start, .end = any->end};

	change.kind = before && after ? LOOK_TILE_CHANGED
		      : before        ? LOOK_TILE_WENT
				      : LOOK_TILE_CAME;
	if (before) {
		change.state_before = before->state;
		change.flags_before = before->flags;
		change.pages_before = before->nr_pages;
	}
	if (after) {
		change.state_after = after->state;
		change.flags_after = after->flags;
		change.pages_after = after->nr_pages;
	}
	return tell(report, &change);
}

static bool same_tile(const struct inspect_area *a, const struct inspect_area *b)
{
	return a->state == b->state && a->flags == b->flags && a->nr_pages == b->nr_pages &&
	       a->caller == b->caller && (a->state != INSPECT_BUSY || a->link == b->link);
}

static int diff_tiles(const struct inspect_areas *before, const struct inspect_areas *after,
		      const struct report *report)
{
	size_t i = 0, j = 0;
	int err = 0;

	while (!err && (i < before->count || j < after->count)) {
		const struct inspect_area *a = i < before->count ? &before->area[i] : NULL;
		const struct inspect_area *b = j < after->count ? &after->area[j] : NULL;

		if (a && b && a->start == b->start && a->end == b->end) {
			err = same_tile(a, b) ? 0 : tell_tile(report, a, b);
			i++;
			j++;
		} else if (a && (!b || a->start <= b->start)) {
			err = tell_tile(report, a, NULL);
			i++;
		} else if (b) {
			err = tell_tile(report, NULL, b);
			j++;
		}
	}
	return err;
}

/* ---- mappings ---- */

/* One side of the comparison: the range that the piece from `at` on is in or before. */
struct side {
	const struct look_snapshot *snapshot;
	size_t index;
};

/* The last byte of the range: ends may be 2^64. */
static uint64_t last_of(const struct range *map)
{
	return map->end - 1;
}

static const struct range *range_of(struct side *side, uint64_t at)
{
	while (side->index < side->snapshot->nr_maps &&
	       last_of(&side->snapshot->map[side->index]) < at)
		side->index++;
	return side->index < side->snapshot->nr_maps ? &side->snapshot->map[side->index] : NULL;
}

/* Where the piece at @at ends, by what this side has there. */
static uint64_t piece_last(const struct range *map, uint64_t at, uint64_t last)
{
	if (!map)
		return last;
	if (map->start > at)
		return map->start - 1 < last ? map->start - 1 : last;
	return last_of(map) < last ? last_of(map) : last;
}

/* Judges one piece; returns whether it is a change. */
static bool judge(const struct range *a, const struct range *b, uint64_t at,
		  struct look_change *change)
{
	if (a) {
		change->rights_before = a->rights;
		change->page_bytes_before = a->page_bytes;
	}
	if (b) {
		change->rights_after = b->rights;
		change->page_bytes_after = b->page_bytes;
	}
	if (!a || !b) {
		change->kind = a ? LOOK_MAP_WENT : LOOK_MAP_CAME;
		return a || b;
	}
	if (a->rights != b->rights || a->page_bytes != b->page_bytes || a->global != b->global) {
		change->kind = LOOK_MAP_CHANGED;
		return true;
	}
	change->kind = LOOK_FRAMES_MOVED;
	return a->gpa + (at - a->start) != b->gpa + (at - b->start);
}

static bool continues(const struct look_change *last, const struct look_change *next)
{
	return last->end == next->start && last->kind == next->kind &&
	       last->rights_before == next->rights_before &&
	       last->rights_after == next->rights_after &&
	       last->page_bytes_before == next->page_bytes_before &&
	       last->page_bytes_after == next->page_bytes_after;
}

static int diff_maps(const struct look_snapshot *before, const struct look_snapshot *after,
		     const struct report *report)
{
	struct side left = {before, 0}, right = {after, 0};
	struct look_change pending = {.kind = LOOK_COUNT};
	uint64_t at = 0;
	int err = 0;

	do {
		const struct range *a = range_of(&left, at), *b = range_of(&right, at);
		uint64_t last = piece_last(b, at, piece_last(a, at, UINT64_MAX));
		struct look_change change = {.start = at, .end = last + 1};

		if (!a && !b)
			break;
		if (judge(a && a->start <= at ? a : NULL, b && b->start <= at ? b : NULL, at,
			  &change)) {
			if (pending.kind != LOOK_COUNT && continues(&pending, &change)) {
				pending.end = change.end;
			} else {
				err = pending.kind != LOOK_COUNT ? tell(report, &pending) : 0;
				pending = change;
			}
		}
		at = last + 1;
	} while (at != 0 && !err);
	if (!err && pending.kind != LOOK_COUNT)
		err = tell(report, &pending);
	return err;
}

/* ---- numbers ---- */

__attribute__((format(printf, 4, 5))) static int tell_count(const struct report *report,
							    uint64_t before, uint64_t after,
							    const char *format, ...)
{
	struct look_change change = {.kind = LOOK_COUNT, .before = before, .after = after};
	va_list arguments;

	if (before == after)
		return 0;
	va_start(arguments, format);
	vsnprintf(change.name, sizeof(change.name), format, arguments);
	va_end(arguments);
	return tell(report, &change);
}

static int diff_zones(const struct look_zones *before, const struct look_zones *after,
		      const struct report *report)
{
	int err = 0;

	for (size_t i = 0; i < before->nr_zones && i < after->nr_zones && !err; i++) {
		const struct look_zone *a = &before->zone[i], *b = &after->zone[i];

		err = tell_count(report, a->free, b->free, "node %u zone %s free", a->node,
				 a->name);
		if (!err)
			err = tell_count(report, a->fresh, b->fresh, "node %u zone %s fresh",
					 a->node, a->name);
	}
	return err;
}

static int diff_frames(const struct look_frames *before, const struct look_frames *after,
		       const struct report *report)
{
	int err = 0;

	for (unsigned int state = 0; state < LOOK_FRAME_STATES && !err; state++)
		err = tell_count(report, before->frames[state], after->frames[state], "frames %s",
				 look_frame_state_name((enum look_frame_state)state));
	return err;
}

static int diff_slabs(const struct look_slabs *before, const struct look_slabs *after,
		      const struct report *report)
{
	int err = 0;

	for (size_t i = 0; i < before->nr_slabs && i < after->nr_slabs && !err; i++) {
		const struct look_slab *a = &before->slab[i], *b = &after->slab[i];

		err = tell_count(report, a->in_use, b->in_use, "slab %s objects", a->name);
		if (!err)
			err = tell_count(report, a->slabs, b->slabs, "slab %s slabs", a->name);
	}
	return err;
}

int look_diff(const struct look_snapshot *before, const struct look_snapshot *after,
	      look_change_fn change, void *context)
{
	const struct report report = {change, context};
	int err = diff_tiles(&before->tiles, &after->tiles, &report);

	if (!err)
		err = diff_maps(before, after, &report);
	if (!err)
		err = diff_zones(&before->zones, &after->zones, &report);
	if (!err)
		err = diff_frames(&before->frames, &after->frames, &report);
	return err ? err : diff_slabs(&before->slabs, &after->slabs, &report);
}
