/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's virtual address space: ranges given back, lazily or eagerly, and the purge that
 * makes them free after one flush. mm/vmap.h has the states.
 *
 * A purge takes the lazy list over under the lock and flushes without it; meanwhile the tiles stay
 * lazy, so nobody hands them out, and what is given back now waits for the next purge.
 */
#include "mm/mm.h"
#include "mm/vmap_linux.h"
#include "mm/vmap_private.h"

/* A purge gives the lock up after this many tiles, so that nobody waits for all of it. */
#define PURGE_BATCH 64

/* The free tile @area is new or has grown; @gone, if any, became a part of it. */
static inline void update_hint(struct vmap_space *space, struct vmap_area *area,
			       const struct vmap_area *gone)
{
	struct vmap_hint *hint = &space->hint;

	if (!hint->hole)
		return;
	if (hint->hole == gone ||
	    (area->va_start < hint->hole->va_start && area->va_end > hint->start))
		hint->hole = area;
}

/*
 * Makes @area a free tile. Its neighbours are not free, but what is behind them often is, and then
 * its place in the tree needs no search.
 */
static inline void insert_free(struct vmap_space *space, struct vmap_area *area)
{
	struct vmap_area *prev = prev_tile(area), *next = next_tile(area);

	if (next_tile(next)->state == VMAP_AREA_FREE)
		hole_insert_before(space, area, next_tile(next));
	else if (prev_tile(prev)->state == VMAP_AREA_FREE)
		hole_insert_after(space, area, prev_tile(prev));
	else
		hole_insert(space, area);
}

/*
 * Makes @area, busy or lazy and out of its tree or list, free: one with the free tile before it,
 * the one after it, both (then the one before it is what stays, as in Linux), or neither.
 */
static inline __attribute__((always_inline)) void release_area(struct mm *mm,
							       struct vmap_area *area)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *prev = prev_tile(area), *next = next_tile(area), *gone = NULL;
	bool prev_free = prev->state == VMAP_AREA_FREE;

	lockdep_assert_held(&space->lock);
	if (prev_free) {
		prev->va_end = area->va_end;
		if (next->state == VMAP_AREA_FREE) {
			hole_erase(space, next);
			prev->va_end = next->va_end;
			list_del(&next->tile);
			vmap_area_put(mm, next);
			gone = next;
		}
		rb_propagate(&prev->node, hole_summarise);
		update_hint(space, prev, gone);
	} else if (next->state == VMAP_AREA_FREE) {
		next->va_start = area->va_start;
		rb_propagate(&next->node, hole_summarise);
		update_hint(space, next, NULL);
	} else {
		insert_free(space, area);
		update_hint(space, area, NULL);
		return;
	}
	list_del(&area->tile);
	vmap_area_put(mm, area);
}

void vmap_release_area(struct mm *mm, struct vmap_area *area)
{
	release_area(mm, area);
}

/* The seed's way: one flush for each range. The range stays busy until it is over. */
static __attribute__((noinline)) void free_eagerly(struct mm *mm, struct vmap_area *area)
{
	struct vmap_space *space = &mm->vmap;

	mm_flush_tlb(mm, area->va_start, area->va_end);
	spin_lock(&space->lock);
	space->nr_flushes++;
	busy_erase(space, area);
	release_area(mm, area);
	spin_unlock(&space->lock);
}

/* The union of all ranges on the list of @area. Nothing but the purge itself changes them. */
void vmap_flush_list(struct mm *mm, const struct vmap_area *area)
{
	u64 start = ~0ull, end = 0;

	for (; area; area = area->next_lazy) {
		start = area->va_start < start ? area->va_start : start;
		end = area->va_end > end ? area->va_end : end;
	}
	mm_flush_tlb(mm, start, end);
}

/*
 * Frees the first tile of the list being purged. Often the next one touches it, because what was
 * allocated in a row is freed in a row: then the two become one lazy tile, and the trees are not
 * asked.
 */
static inline void free_first_purged(struct mm *mm)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *area = space->purging, *next = area->next_lazy;

	lockdep_assert_held(&space->lock);
	space->purging = next;
	space->nr_lazy--;
	if (next && next->va_end == area->va_start) {
		next->va_end = area->va_end;
	} else if (next && next->va_start == area->va_end) {
		next->va_start = area->va_start;
	} else {
		space->nr_lazy_pages -= area_bytes(area) >> PAGE_SHIFT;
		release_area(mm, area);
		return;
	}
	list_del(&area->tile);
	vmap_area_put(mm, area);
}

/* Purges what there is; the caller holds purge_lock. */
static u64 purge(struct mm *mm)
{
	struct vmap_space *space = &mm->vmap;
	u64 count = 0;

	lockdep_assert_held(&space->purge_lock);
	spin_lock(&space->lock);
	space->purging = space->lazy;
	space->lazy = NULL;
	spin_unlock(&space->lock);
	if (!space->purging)
		return 0;
	vmap_flush_list(mm, space->purging);
	spin_lock(&space->lock);
	space->nr_purges++;
	space->nr_flushes++;
	while (space->purging) {
		free_first_purged(mm);
		if (++count % PURGE_BATCH == 0) {
			spin_unlock(&space->lock);
			spin_lock(&space->lock);
		}
	}
	spin_unlock(&space->lock);
	return count;
}

u64 vmap_purge(struct mm *mm)
{
	u64 count;

	if (mm_refuse_interrupt(mm, "vmap_purge"))
		return 0;
	if (mm->vmap.rules.order)
		return vmap_purge_linux(mm, 0);
	spin_lock(&mm->vmap.purge_lock);
	count = purge(mm);
	spin_unlock(&mm->vmap.purge_lock);
	return count;
}

/* Too much is lazy. A CPU that finds another one at it leaves the work to that one. */
static __attribute__((noinline)) void purge_unless_busy(struct mm *mm)
{
	if (!spin_trylock(&mm->vmap.purge_lock))
		return;
	purge(mm);
	spin_unlock(&mm->vmap.purge_lock);
}

/* Puts the area on the lazy list. */
static inline __attribute__((always_inline)) void make_lazy(struct vmap_space *space,
							    struct vmap_area *area)
{
	busy_erase(space, area);
	area->state = VMAP_AREA_LAZY;
	area->next_lazy = space->lazy;
	space->lazy = area;
	space->nr_lazy++;
	space->nr_lazy_pages += area_bytes(area) >> PAGE_SHIFT;
}

/* Without automatic purges, and perhaps with nodes. */
static __attribute__((noinline)) void free_manually(struct vmap_space *space,
						    struct vmap_area *area)
{
	spin_lock(&space->lock);
	make_lazy(space, area);
	area->kind = space->node;
	spin_unlock(&space->lock);
}

void vmap_free(struct mm *mm, struct vmap_area *area)
{
	struct vmap_space *space = &mm->vmap;
	u32 mode = READ_ONCE(space->mode);
	bool too_many;

	if (unlikely(mode != VMAP_LAZY)) {
		if (mode == VMAP_EAGER)
			free_eagerly(mm, area);
		else
			free_manually(space, area);
		return;
	}
	spin_lock(&space->lock);
	make_lazy(space, area);
	too_many = space->nr_lazy_pages > space->lazy_max_pages;
	spin_unlock(&space->lock);
	if (unlikely(too_many))
		purge_unless_busy(mm);
}
