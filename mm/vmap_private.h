/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the address space share: tiles and their neighbours, and how a free tile is
 * summed up.
 */
#ifndef MM_VMAP_PRIVATE_H
#define MM_VMAP_PRIVATE_H

#include "mm/mm.h"
#include "mm/vmap.h"

static inline struct vmap_area *area_of(const struct rb_node *node)
{
	return container_of(node, struct vmap_area, node);
}

static inline struct vmap_area *area_or_null(const struct rb_node *node)
{
	return node ? area_of(node) : NULL;
}

/* The largest free tile at or below @node, which may be NULL. */
static inline u64 subtree_max(const struct rb_node *node)
{
	return node ? area_of(node)->subtree_max : 0;
}

/* The summary of the free tree. */
static inline bool hole_summarise(struct rb_node *node)
{
	struct vmap_area *area = area_of(node);
	u64 max = area->va_end - area->va_start;

	if (node->left && subtree_max(node->left) > max)
		max = subtree_max(node->left);
	if (node->right && subtree_max(node->right) > max)
		max = subtree_max(node->right);
	if (area->subtree_max == max)
		return false;
	area->subtree_max = max;
	return true;
}

/* The neighbours of a busy or lazy tile: it has both, because the ends of the space are free. */
static inline struct vmap_area *next_tile(const struct vmap_area *area)
{
	return list_entry(area->tile.next, struct vmap_area, tile);
}

static inline struct vmap_area *prev_tile(const struct vmap_area *area)
{
	return list_entry(area->tile.prev, struct vmap_area, tile);
}

static inline u64 area_bytes(const struct vmap_area *area)
{
	return area->va_end - area->va_start;
}

/* Where a busy tile that starts at @addr is among the recent ones, if it is. */
static inline struct vmap_area **recent_slot(struct vmap_space *space, u64 addr)
{
	return &space->recent[(addr >> (PAGE_SHIFT + 1)) % VMAP_RECENT];
}

/* Takes a busy tile out of the busy tree; what it is next, the caller says. */
static inline void busy_erase(struct vmap_space *space, struct vmap_area *area)
{
	struct vmap_area **recent = recent_slot(space, area->va_start);

	lockdep_assert_held(&space->lock);
	if (*recent == area)
		*recent = NULL;
	rb_erase(&space->busy, &area->node, NULL);
	space->nr_busy--;
}

/*
 * Makes @area a free tile: links it into the free tree by its address, with a search, or beside
 * @neighbour, which is the free tile next to it in order.
 */
void hole_insert(struct vmap_space *space, struct vmap_area *area);
void hole_insert_before(struct vmap_space *space, struct vmap_area *area,
			struct vmap_area *neighbour);
void hole_insert_after(struct vmap_space *space, struct vmap_area *area,
		       struct vmap_area *neighbour);

/* Takes a free tile out of the free tree; what it is next, the caller says. */
void hole_erase(struct vmap_space *space, struct vmap_area *area);

/* The lowest busy tile that ends after @addr, or NULL. vmap_space.lock is held. */
struct vmap_area *vmap_busy_from(const struct vmap_space *space, u64 addr);

/* What vmap_alloc() does with a place: makes [addr, + size) of @hole, or the tile @area, busy. */
struct vmap_area *vmap_cut(struct mm *mm, const struct vmap_request *request,
			   struct vmap_area *hole, u64 addr);
void vmap_insert_busy(struct vmap_space *space, struct vmap_area *area);

/* One flush for all of a list of lazy tiles; and one tile, off its list, becomes free. */
void vmap_flush_list(struct mm *mm, const struct vmap_area *area);
void vmap_release_area(struct mm *mm, struct vmap_area *area);

/* Links @area into the busy tree by its address, with a search. */
void busy_insert(struct vmap_space *space, struct vmap_area *area);

/* Keeps the object of a tile that is gone, unless there are enough. */
static inline void vmap_area_put(struct mm *mm, struct vmap_area *area)
{
	struct vmap_space *space = &mm->vmap;

	if (unlikely(space->nr_spare >= space->lazy_max_pages / 2)) {
		kmem_cache_free(mm, &space->cache, area);
		return;
	}
	area->next_lazy = space->spare;
	space->spare = area;
	space->nr_spare++;
}

#endif
