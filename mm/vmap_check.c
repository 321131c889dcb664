/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The invariants of the address space, tried one by one. Run with nobody else in the space but,
 * at most, a purge that waits for its flush.
 */
#include "mm/mm.h"
#include "mm/vmap_private.h"

/* What a walk along the tiles counts. */
struct tally {
	u64 nr[3]; /* by enum vmap_state */
	u64 lazy_pages;
	u64 recent;
};

static const char *check_tile(const struct vmap_area *area, u64 expected_start)
{
	if (area->va_start != expected_start)
		return "a tile does not begin where the one before it ends";
	if (area->va_end <= area->va_start)
		return "a tile has no length";
	if (area->va_end != VMAP_END && !IS_ALIGNED(area->va_end, PAGE_SIZE))
		return "a tile's end is not page aligned";
	if (area->state > VMAP_AREA_LAZY)
		return "a tile has no known state";
	if (area->state == VMAP_AREA_BUSY && area->kind > VMAP_ARRAY)
		return "a busy tile has no known kind";
	if (area->tile.next->prev != &area->tile)
		return "the tile list is broken";
	return NULL;
}

/*
 * Walks the tiles with both trees' nodes in step: the trees are in order and hold what they
 * should when, and only when, each busy or free tile is the next node of its tree.
 */
static const char *check_tiles(struct vmap_space *space, struct tally *tally)
{
	struct rb_node *busy = rb_first(&space->busy), *free = rb_first(&space->free);
	struct vmap_area *area;
	const char *wrong;
	u64 expected_start = VMAP_FIRST;
	u32 previous = VMAP_AREA_BUSY;

	list_for_each_entry (area, &space->tiles, tile) {
		wrong = check_tile(area, expected_start);
		if (wrong)
			return wrong;
		if (expected_start == VMAP_FIRST && area->state != VMAP_AREA_FREE)
			return "the first tile is not free";
		if (area->state == VMAP_AREA_FREE && previous == VMAP_AREA_FREE)
			return "two free tiles touch";
		if (area->state == VMAP_AREA_BUSY) {
			if (busy != &area->node)
				return "a busy tile is not in its place in the busy tree";
			busy = rb_next(busy);
			tally->recent += *recent_slot(space, area->va_start) == area;
		} else if (area->state == VMAP_AREA_FREE) {
			if (free != &area->node)
				return "a free tile is not in its place in the free tree";
			free = rb_next(free);
		} else {
			tally->lazy_pages += (area->va_end - area->va_start) >> PAGE_SHIFT;
		}
		tally->nr[area->state]++;
		expected_start = area->va_end;
		previous = area->state;
	}
	if (expected_start != VMAP_END)
		return "the tiles do not cover the space";
	if (previous != VMAP_AREA_FREE)
		return "the last tile is not free";
	if (busy || free)
		return "a tree holds what is no tile";
	return NULL;
}

/*
 * Every entry is a lazy tile, and there are as many entries as lazy tiles. Entries cannot repeat:
 * a list that returns to itself is longer than any count.
 */
static const char *check_lazy(const struct vmap_space *space, u64 nr_lazy)
{
	const struct vmap_area *const heads[] = {space->lazy, space->purging};
	const struct vmap_area *area;
	u64 count = 0;

	for (u32 i = 0; i < ARRAY_SIZE(heads); i++) {
		for (area = heads[i]; area; area = area->next_lazy) {
			if (area->state != VMAP_AREA_LAZY)
				return "a tile on the lazy list is not lazy";
			if (++count > nr_lazy)
				return "the lazy list is longer than there are lazy tiles";
		}
	}
	return count < nr_lazy ? "a lazy tile is not on the lazy list" : NULL;
}

static const char *check_recent(const struct vmap_space *space, u64 found)
{
	for (u32 i = 0; i < VMAP_RECENT; i++)
		found -= space->recent[i] != NULL;
	return found ? "a recent tile is not busy" : NULL;
}

static const char *check_spare(const struct vmap_space *space)
{
	const struct vmap_area *area;
	u64 count = 0;

	for (area = space->spare; area && count <= space->nr_spare; area = area->next_lazy)
		count++;
	return count != space->nr_spare ? "the count of spare objects is wrong" : NULL;
}

/* The hint's hole is a free tile, and no tile before it has what the hint says none has. */
static const char *check_hint(const struct vmap_space *space)
{
	const struct vmap_hint *hint = &space->hint;
	const struct rb_node *node = rb_first(&space->free);
	u64 from;

	for (; hint->hole && node != &hint->hole->node; node = rb_next(node)) {
		if (!node)
			return "the hint's hole is no free tile";
		from = area_of(node)->va_start > hint->start ? area_of(node)->va_start
							     : hint->start;
		if (area_of(node)->va_end > from && area_of(node)->va_end - from >= hint->bytes)
			return "the hint leaves out a hole";
	}
	return NULL;
}

static const char *check_counts(const struct vmap_space *space, const struct tally *tally)
{
	if (space->nr_busy != tally->nr[VMAP_AREA_BUSY])
		return "the count of busy tiles is wrong";
	if (space->nr_free != tally->nr[VMAP_AREA_FREE])
		return "the count of free tiles is wrong";
	if (space->nr_lazy != tally->nr[VMAP_AREA_LAZY])
		return "the count of lazy tiles is wrong";
	if (space->nr_lazy_pages != tally->lazy_pages)
		return "the count of lazy pages is wrong";
	return NULL;
}

static const char *check_space(struct vmap_space *space)
{
	struct tally tally = {{0}, 0, 0};
	const char *wrong = rb_check(&space->busy, NULL);

	lockdep_assert_held(&space->lock);
	if (!wrong)
		wrong = rb_check(&space->free, hole_summarise);
	if (!wrong)
		wrong = check_tiles(space, &tally);
	if (!wrong)
		wrong = check_lazy(space, tally.nr[VMAP_AREA_LAZY]);
	if (!wrong)
		wrong = check_hint(space);
	if (!wrong)
		wrong = check_recent(space, tally.recent);
	if (!wrong)
		wrong = check_spare(space);
	if (!wrong)
		wrong = check_counts(space, &tally);
	return wrong;
}

const char *vmap_check(struct mm *mm)
{
	const char *wrong;

	spin_lock(&mm->vmap.lock);
	wrong = check_space(&mm->vmap);
	spin_unlock(&mm->vmap.lock);
	return wrong;
}
