/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Purges as Linux makes them, for spaces with its rules (mm/vmap_linux.h): which ranges go back, in
 * what order, and which into pools. Lists here are chains through next_lazy.
 */
#include "mm/errno.h"
#include "mm/mm.h"
#include "mm/vmap_linux.h"
#include "mm/vmap_private.h"

/* As Linux deals addresses to nodes: in pieces of 16 pages. */
#define ZONE_SIZE (16 * PAGE_SIZE)

static u64 pages_of(const struct vmap_area *area)
{
	return area_bytes(area) >> PAGE_SHIFT;
}

/* ---- chains ---- */

static void push(struct vmap_area **head, struct vmap_area *area)
{
	area->next_lazy = *head;
	*head = area;
}

/* The two chains, sorted by address, as one. */
static struct vmap_area *merge_sorted(struct vmap_area *a, struct vmap_area *b)
{
	struct vmap_area *head, **link = &head, **from;

	while (a && b) {
		from = a->va_start < b->va_start ? &a : &b;
		*link = *from;
		link = &(*from)->next_lazy;
		*from = *link;
	}
	*link = a ? a : b;
	return head;
}

/* Sorts by address: runs of 2^i tiles wait in bins[i], as the digits of a binary counter. */
static struct vmap_area *sort(struct vmap_area *chain)
{
	struct vmap_area *bins[48] = {NULL}, *area;
	u32 i;

	while (chain) {
		area = chain;
		chain = area->next_lazy;
		area->next_lazy = NULL;
		for (i = 0; bins[i]; i++) {
			area = merge_sorted(bins[i], area);
			bins[i] = NULL;
		}
		bins[i] = area;
	}
	for (i = 0; i < ARRAY_SIZE(bins); i++)
		chain = merge_sorted(chain, bins[i]);
	return chain;
}

/* Of a sorted chain, makes one lazy tile of neighbours. */
static void merge_neighbours(struct mm *mm, struct vmap_area *area)
{
	struct vmap_area *next;

	while (area && (next = area->next_lazy)) {
		if (area->va_end != next->va_start) {
			area = next;
			continue;
		}
		area->va_end = next->va_end;
		area->next_lazy = next->next_lazy;
		mm->vmap.nr_lazy--;
		list_del(&next->tile);
		vmap_area_put(mm, next);
	}
}

/* Gives a chain back, in its order. */
static void give_back(struct mm *mm, struct vmap_area *area)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *next;

	for (; area; area = next) {
		next = area->next_lazy;
		space->nr_lazy--;
		space->nr_lazy_pages -= pages_of(area);
		vmap_release_area(mm, area);
	}
}

/* ---- pools ---- */

/* How many ranges of a pool of @length a decay takes. */
static u32 decays(const struct vmap_space *space, u32 length, bool full)
{
	if (full)
		return length;
	if (length >> 2)
		return length >> 2;
	return space->rules.small_empty ? length : 0;
}

static bool pooled_of(const struct vmap_area *area, u32 node)
{
	return area->kind == (VMAP_POOLED | node);
}

/* decay_va_pool_node(): the front of each of the node's pools goes back. */
static void decay_node(struct mm *mm, u32 node, bool full)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *area, **link, *out = NULL;
	u32 count[VMAP_POOL_PAGES + 1] = {0};
	u32 i;

	for (area = space->lazy; area; area = area->next_lazy) {
		if (pooled_of(area, node))
			count[pages_of(area)]++;
	}
	for (i = 0; i <= VMAP_POOL_PAGES; i++)
		count[i] = decays(space, count[i], full);
	for (link = &space->lazy; (area = *link);) {
		if (pooled_of(area, node) && count[pages_of(area)]) {
			count[pages_of(area)]--;
			*link = area->next_lazy;
			push(&out, area);
		} else {
			link = &area->next_lazy;
		}
	}
	out = sort(out);
	merge_neighbours(mm, out);
	give_back(mm, out);
}

static void decay(struct mm *mm, bool full, u32 only)
{
	struct vmap_space *space = &mm->vmap;
	const struct vmap_area *area = space->lazy;

	while (area && !(area->kind & VMAP_POOLED))
		area = area->next_lazy;
	for (u32 node = 1; area && node <= space->rules.nodes; node++) {
		if (!only || node == only)
			decay_node(mm, node, full);
	}
}

/* ---- what is lazy ---- */

/* Whose list a lazy tile is on: its node's, or that of its address. */
static u32 list_of(const struct vmap_space *space, const struct vmap_area *area)
{
	if (area->kind && area->kind <= space->rules.nodes)
		return area->kind;
	return 1 + (u32)(area->va_start / ZONE_SIZE % space->rules.nodes);
}

/*
 * Moves what is lazy and in no pool to the purging list, its order kept: of node @only, or all if
 * that is 0.
 */
static void detach(struct vmap_space *space, u32 only)
{
	struct vmap_area *area, **link = &space->lazy, **end = &space->purging;

	while ((area = *link)) {
		if ((area->kind & VMAP_POOLED) || (only && list_of(space, area) != only)) {
			link = &area->next_lazy;
			continue;
		}
		*link = area->next_lazy;
		*end = area;
		end = &area->next_lazy;
	}
	*end = NULL;
}

/* purge_vmap_node(): by address to the front of pools; what is of no pool, from the end backwards.
 */
static void give_node(struct mm *mm, u32 node, bool full)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *area, *next, **link, *mine = NULL, *back = NULL;

	for (link = &space->purging; (area = *link);) {
		if (list_of(space, area) == node) {
			*link = area->next_lazy;
			push(&mine, area);
		} else {
			link = &area->next_lazy;
		}
	}
	for (area = sort(mine); area; area = next) {
		next = area->next_lazy;
		if (area->kind == node && space->rules.nodes > 1 && !full &&
		    pages_of(area) <= VMAP_POOL_PAGES) {
			area->kind |= VMAP_POOLED;
			push(&space->lazy, area);
		} else {
			push(&back, area);
		}
	}
	give_back(mm, back);
}

/* The purging list, taken off, in the order in which it goes back without nodes. */
static struct vmap_area *take_purging(struct mm *mm)
{
	struct vmap_area *chain = mm->vmap.purging;

	mm->vmap.purging = NULL;
	if (mm->vmap.rules.order == VMAP_BY_ADDRESS) {
		chain = sort(chain);
		merge_neighbours(mm, chain);
	}
	return chain;
}

static void give_all(struct mm *mm, bool full)
{
	struct vmap_space *space = &mm->vmap;

	if (space->rules.nodes) {
		for (u32 node = 1; node <= space->rules.nodes; node++)
			give_node(mm, node, full);
		return;
	}
	give_back(mm, take_purging(mm));
}

/* Gives what goes back up to the range at @last; the rest is lazy as it was, behind what is newer.
 */
static u64 give_through(struct mm *mm, u64 last)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *chain = take_purging(mm), *area = chain, **end = &space->lazy;
	u64 count = 1;

	for (; area && area->va_start != last; area = area->next_lazy)
		count++;
	while (*end)
		end = &(*end)->next_lazy;
	if (!area) {
		*end = chain;
		return 0;
	}
	*end = area->next_lazy;
	area->next_lazy = NULL;
	give_back(mm, chain);
	return count;
}

u64 vmap_purge_linux(struct mm *mm, u32 flags)
{
	struct vmap_space *space = &mm->vmap;
	bool full = flags & VMAP_PURGE_FULL;
	u32 only = flags >> VMAP_PURGE_NODE_SHIFT;
	u64 count = 0;

	if (mm_refuse_interrupt(mm, "vmap_purge"))
		return 0;
	spin_lock(&space->purge_lock);
	spin_lock(&space->lock);
	if (!(flags & VMAP_PURGE_DECAYED))
		decay(mm, full, only);
	if (!(flags & VMAP_PURGE_DECAY))
		detach(space, only);
	spin_unlock(&space->lock);
	if (space->purging) {
		vmap_flush_list(mm, space->purging);
		for (const struct vmap_area *area = space->purging; area; area = area->next_lazy)
			count++;
		spin_lock(&space->lock);
		space->nr_purges++;
		space->nr_flushes++;
		give_all(mm, full);
		spin_unlock(&space->lock);
	}
	spin_unlock(&space->purge_lock);
	return count;
}

u64 vmap_purge_through(struct mm *mm, u64 last)
{
	struct vmap_space *space = &mm->vmap;
	u64 count = 0;

	if (mm_refuse_interrupt(mm, "vmap_purge"))
		return 0;
	spin_lock(&space->purge_lock);
	spin_lock(&space->lock);
	detach(space, 0);
	spin_unlock(&space->lock);
	if (space->purging) {
		vmap_flush_list(mm, space->purging);
		spin_lock(&space->lock);
		space->nr_purges++;
		space->nr_flushes++;
		count = give_through(mm, last);
		spin_unlock(&space->lock);
	}
	spin_unlock(&space->purge_lock);
	return count;
}

int vmap_release(struct mm *mm, u64 addr)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *area, **link;
	int err = -ENOENT;

	if (mm_refuse_interrupt(mm, "vmap_release"))
		return -EPERM;
	spin_lock(&space->purge_lock);
	spin_lock(&space->lock);
	for (link = &space->lazy; (area = *link) && area->va_start != addr;)
		link = &area->next_lazy;
	if (area) {
		*link = area->next_lazy;
		area->next_lazy = NULL;
		space->purging = area;
	}
	spin_unlock(&space->lock);
	if (area) {
		vmap_flush_list(mm, area);
		spin_lock(&space->lock);
		space->purging = NULL;
		space->nr_flushes++;
		give_back(mm, area);
		spin_unlock(&space->lock);
		err = 0;
	}
	spin_unlock(&space->purge_lock);
	return err;
}
