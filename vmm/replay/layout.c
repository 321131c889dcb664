/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moving a recording to where the guest can have it; the rules are in layout.h. */
#include "vmm/replay/layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GIB       (UINT64_C(1) << 30)
#define NEAR      (64 * GIB)  /* what is no further apart is one piece */
#define SPARE     (128 * GIB) /* what is left of an empty space at least, if it was that long */
#define WIDE_PART 4           /* a window of a quarter of vmalloc's range is vmalloc's own */

/* A range that has to lie in a piece: an area, or one end of a window. Inclusive. */
struct range {
	uint64_t start, end;
};

struct finder {
	const struct replay_plan *plan;
	const struct vmallocinfo *begin, *end;
	const struct replay_room *room;
	const char *path;
	struct input_error *error;

	struct range *ranges;
	size_t count, capacity;
	uint64_t start, stop; /* the widest window: [start, stop) */
	uint64_t largest;     /* request, with what its alignment may cost */
	bool unmappable;      /* where it is, the guest could not map all of it */
	struct replay_layout layout;
};

static int no_memory(const struct finder *finder)
{
	input_fail(finder->error, finder->path, 0, "no memory to move the addresses");
	return -ENOMEM;
}

/* ---- whether it has to be moved ---- */

static bool mappable(const struct replay_room *room, uint64_t start, uint64_t end)
{
	return (start >= room->low && end <= room->high) ||
	       (start >= room->modules_start && end <= room->modules_end);
}

static void look_at_area(struct finder *finder, const struct replay_area *area)
{
	uint64_t request;

	if (area->initial) {
		if (area->mapped && !mappable(finder->room, area->vstart, area->vend))
			finder->unmappable = true;
		return;
	}
	if (area->mapped && !mappable(finder->room, area->vstart, area->vend))
		finder->unmappable = true;
	if (area->vend - area->vstart > finder->stop - finder->start) {
		finder->start = area->vstart;
		finder->stop = area->vend;
	}
	if (__builtin_add_overflow(area->va_bytes, area->align, &request))
		request = UINT64_MAX;
	if (request > finder->largest)
		finder->largest = request;
}

/* Finds the widest window, and whether the recording can stay where it is. */
static bool can_stay(struct finder *finder)
{
	const struct replay_room *room = finder->room;
	uint64_t wide = (room->vmalloc_end - room->vmalloc_start) / WIDE_PART;
	size_t i;

	for (i = 0; i < finder->plan->area_count; i++)
		look_at_area(finder, &finder->plan->areas[i]);
	if (finder->unmappable)
		return false;
	return finder->stop - finder->start < wide ||
	       (finder->start == room->vmalloc_start && finder->stop == room->vmalloc_end);
}

/* ---- pieces ---- */

static int add_range(struct finder *finder, uint64_t start, uint64_t end)
{
	size_t capacity = finder->capacity ? 2 * finder->capacity : 1024;
	struct range *ranges;

	if (finder->count == finder->capacity) {
		ranges = realloc(finder->ranges, capacity * sizeof(*ranges));
		if (!ranges)
			return no_memory(finder);
		finder->ranges = ranges;
		finder->capacity = capacity;
	}
	finder->ranges[finder->count++] = (struct range){start, end};
	return 0;
}

static int add_snapshot(struct finder *finder, const struct vmallocinfo *info)
{
	size_t i;
	int err = 0;

	for (i = 0; info && i < info->count && !err; i++)
		err = add_range(finder, info->areas[i].start, info->areas[i].end);
	return err;
}

static int add_plan(struct finder *finder)
{
	const struct replay_area *area, *last = NULL;
	uint64_t end;
	size_t i;
	int err = 0;

	for (i = 0; i < finder->plan->area_count && !err; i++) {
		area = &finder->plan->areas[i];
		if (__builtin_add_overflow(area->address, area->va_bytes, &end))
			end = UINT64_MAX;
		if (area->address)
			err = add_range(finder, area->address, end);
		if (!err && (!last || area->vstart != last->vstart || area->vend != last->vend)) {
			err = add_range(finder, area->vstart, area->vstart);
			if (!err)
				err = add_range(finder, area->vend, area->vend);
		}
		last = area;
	}
	return err;
}

static int by_start(const void *a, const void *b)
{
	const struct range *left = a, *right = b;

	return (left->start > right->start) - (left->start < right->start);
}

static int make_pieces(struct finder *finder)
{
	struct replay_layout *layout = &finder->layout;
	struct replay_piece *piece = NULL;
	size_t i;

	qsort(finder->ranges, finder->count, sizeof(*finder->ranges), by_start);
	layout->pieces = calloc(finder->count, sizeof(*layout->pieces));
	if (!layout->pieces)
		return no_memory(finder);
	for (i = 0; i < finder->count; i++) {
		if (!piece || (finder->ranges[i].start > piece->end &&
			       finder->ranges[i].start - piece->end > NEAR)) {
			piece = &layout->pieces[layout->count++];
			*piece = (struct replay_piece){.start = finder->ranges[i].start};
		}
		if (finder->ranges[i].end > piece->end)
			piece->end = finder->ranges[i].end;
	}
	return 0;
}

/* ---- places ---- */

static size_t piece_of(const struct replay_layout *layout, uint64_t address)
{
	size_t i;

	for (i = 0; i + 1 < layout->count && layout->pieces[i].end < address;)
		i++;
	return i;
}

static uint64_t spare(const struct finder *finder)
{
	return finder->largest > SPARE / 2 ? finder->largest : SPARE;
}

static uint64_t less(uint64_t gap, uint64_t limit)
{
	return gap < limit ? gap : limit;
}

/* The first address from @from on that is as far into its GiB as @like is. */
static uint64_t next_like(uint64_t from, uint64_t like)
{
	return from + ((like - from) & (GIB - 1));
}

/* Where the piece with the window's end goes if the window is longer than the guest's. */
static uint64_t place_at_end(const struct finder *finder, const struct replay_piece *piece)
{
	uint64_t end = finder->room->vmalloc_end;

	end -= (end - finder->stop) & (GIB - 1);
	return end - (finder->stop - piece->start);
}

/* Puts the pieces above piece @first, whose place is known; @last has the window's end. */
static void place_above(struct finder *finder, size_t first, size_t last)
{
	const struct replay_room *room = finder->room;
	struct replay_piece *pieces = finder->layout.pieces;
	uint64_t shift = pieces[first].to - pieces[first].start, end, gap;
	bool whole = finder->stop - finder->start <= room->vmalloc_end - (finder->start + shift);
	size_t i;

	for (i = first + 1; i < finder->layout.count; i++) {
		end = pieces[i - 1].to + (pieces[i - 1].end - pieces[i - 1].start);
		gap = pieces[i].start - pieces[i - 1].end;
		if (i <= last && whole)
			pieces[i].to = pieces[i].start + shift;
		else if (i == last)
			pieces[i].to = place_at_end(finder, &pieces[i]);
		else if (pieces[i].start >= room->modules_start && pieces[i].start > end)
			pieces[i].to = pieces[i].start;
		else
			pieces[i].to = next_like(end + less(gap, spare(finder)), pieces[i].start);
	}
}

static void place_below(struct finder *finder, size_t first)
{
	struct replay_piece *pieces = finder->layout.pieces;
	uint64_t gap, to;
	size_t i;

	for (i = first; i > 0; i--) {
		gap = pieces[i].start - pieces[i - 1].end;
		to = pieces[i].to - less(gap, spare(finder)) -
		     (pieces[i - 1].end - pieces[i - 1].start) - (GIB - 1);
		pieces[i - 1].to = next_like(to, pieces[i - 1].start);
	}
}

/* Pieces in order, apart, and each where the guest can map. */
static bool fits(const struct finder *finder)
{
	const struct replay_piece *piece;
	uint64_t last_end = 0, end;
	size_t i;

	for (i = 0; i < finder->layout.count; i++) {
		piece = &finder->layout.pieces[i];
		if (__builtin_add_overflow(piece->to, piece->end - piece->start, &end))
			return false;
		if (piece->to < last_end || !mappable(finder->room, piece->to, end))
			return false;
		if (i && piece->to - last_end < spare(finder) &&
		    piece->to - last_end < piece->start - piece[-1].end)
			return false;
		last_end = end;
	}
	return true;
}

static int place_pieces(struct finder *finder)
{
	struct replay_layout *layout = &finder->layout;
	const struct replay_room *room = finder->room;
	size_t first, last;

	if (finder->start == finder->stop)
		finder->start = layout->pieces[0].start;
	first = piece_of(layout, finder->start);
	last = piece_of(layout, finder->stop);
	layout->pieces[first].to = next_like(room->vmalloc_start, finder->start) -
				   (finder->start - layout->pieces[first].start);
	place_below(finder, first);
	place_above(finder, first, last);
	if (!fits(finder))
		return input_fail(finder->error, finder->path, 0,
				  "this recording's areas are spread further than the guest's "
				  "address space allows (its widest window is 0x%" PRIx64
				  "-0x%" PRIx64 "); record a shorter time",
				  finder->start, finder->stop);
	layout->moved = true;
	layout->recorded_start = finder->start;
	layout->recorded_end = finder->stop;
	layout->moved_start = replay_layout_moved(layout, finder->start);
	layout->moved_end = replay_layout_moved(layout, finder->stop);
	return 0;
}

int replay_layout_find(const struct replay_plan *plan, const struct vmallocinfo *begin,
		       const struct vmallocinfo *end, const struct replay_room *room,
		       const char *path, struct replay_layout *layout_out,
		       struct input_error *error)
{
	struct finder finder = {.plan = plan,
				.begin = begin,
				.end = end,
				.room = room,
				.path = path,
				.error = error};
	int err;

	if (can_stay(&finder)) {
		memset(layout_out, 0, sizeof(*layout_out));
		return 0;
	}
	err = add_plan(&finder);
	if (!err)
		err = add_snapshot(&finder, begin);
	if (!err)
		err = add_snapshot(&finder, end);
	if (!err)
		err = make_pieces(&finder);
	if (!err)
		err = place_pieces(&finder);
	free(finder.ranges);
	if (err)
		replay_layout_free(&finder.layout);
	else
		*layout_out = finder.layout;
	return err;
}

/* ---- moving ---- */

uint64_t replay_layout_moved(const struct replay_layout *layout, uint64_t address)
{
	size_t low = 0, high = layout->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (layout->pieces[middle].end < address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == layout->count || address < layout->pieces[low].start)
		return address;
	return layout->pieces[low].to + (address - layout->pieces[low].start);
}

uint64_t replay_layout_recorded(const struct replay_layout *layout, uint64_t address)
{
	const struct replay_piece *piece;
	size_t i;

	for (i = 0; i < layout->count; i++) {
		piece = &layout->pieces[i];
		if (address >= piece->to && address - piece->to <= piece->end - piece->start)
			return piece->start + (address - piece->to);
	}
	return address;
}

void replay_layout_move_plan(const struct replay_layout *layout, struct replay_plan *plan)
{
	struct replay_area *area;
	size_t i;

	for (i = 0; i < plan->area_count && layout->moved; i++) {
		area = &plan->areas[i];
		if (area->address)
			area->address = replay_layout_moved(layout, area->address);
		area->vstart = replay_layout_moved(layout, area->vstart);
		area->vend = replay_layout_moved(layout, area->vend);
	}
}

void replay_layout_move_snapshot(const struct replay_layout *layout, struct vmallocinfo *info)
{
	size_t i;

	for (i = 0; i < info->count && layout->moved; i++) {
		info->areas[i].start = replay_layout_moved(layout, info->areas[i].start);
		info->areas[i].end = replay_layout_moved(layout, info->areas[i].end);
	}
}

void replay_layout_free(struct replay_layout *layout)
{
	free(layout->pieces);
	memset(layout, 0, sizeof(*layout));
}
