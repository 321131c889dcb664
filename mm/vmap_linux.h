/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux's placement to the letter, for replays: the search that depends on the free tree's shape,
 * the order in which a purge gives ranges back, and the pools that CPUs have since 6.9.
 *
 * The tree itself needs nothing of its own: insertions, erasures, splits and merges are Linux's in
 * every mode (mm/vmap_tree.c, mm/vmap_purge.c). So a tree that starts in the recorded shape and
 * sees the recorded events has Linux's shape ever after, and the search finds what Linux found.
 *
 * A pooled range is a lazy tile: its leaves are clear and it is nobody's. It stays on the lazy
 *list, marked in its kind field, a pool's first before its second:
 *
 *	space->lazy -> lazy (node 1) -> pooled (node 2, 5 pages) -> pooled (node 2, 5 pages) -> ...
 *
 * Locks: vmap_space.lock inside; it is held over a whole purge, which replays alone make.
 */
#ifndef MM_VMAP_LINUX_H
#define MM_VMAP_LINUX_H

#include "mm/vmap.h"

#define VMAP_NODES_MAX  128
#define VMAP_POOL_PAGES 256 /* a pool for each number of pages up to this, guard included */

/* vmap_purge_linux() */
#define VMAP_PURGE_FULL       1u /* pools are emptied, and nothing goes into them */
#define VMAP_PURGE_DECAY      2u /* only the pools' part, */
#define VMAP_PURGE_DECAYED    4u /* or only what is lazy */
#define VMAP_PURGE_NODE_SHIFT 8  /* above: 1 + the one node whose pools and list it is, or 0 */

/*
 * Sets the rules, or with a zeroed @rules the core's own again. Returns 0; -EINVAL for rules there
 * are none of; -EBUSY while something is lazy.
 */
int vmap_set_rules(struct mm *mm, const struct vmap_rules *rules);

/* The node that the next allocations and frees are of: 1 + its number; 0: none. */
void vmap_set_node(struct mm *mm, u32 node);

/*
 * Gives the free tree another shape. @shape has each free tile, a node before its subtrees and the
 * left one first: its start, plus VMAP_SHAPE_RED. Returns 0, or -EINVAL with nothing changed if
 * that is no red-black tree of just these tiles.
 */
#define VMAP_SHAPE_RED 2u
int vmap_set_shape(struct mm *mm, const u64 *shape, u64 count);

/* vmap_alloc() under rules. */
int vmap_alloc_linux(struct mm *mm, const struct vmap_request *request,
		     struct vmap_area **area_out);

/* A purge under rules: one flush, then Linux's order. Returns how many ranges it gave back. */
u64 vmap_purge_linux(struct mm *mm, u32 flags);

/*
 * The part of a purge that ends with the range that starts at @last, in the order of giving back: a
 * purge before 6.9 drops its lock between two ranges where others wait for it. Under rules without
 * nodes. Returns how many ranges it gave back, neighbours merged as the rules say: 0 if none of
 * them starts there.
 */
u64 vmap_purge_through(struct mm *mm, u64 last);

/* Gives the one lazy range that starts at @addr back. Returns 0 or -ENOENT. */
int vmap_release(struct mm *mm, u64 addr);

#endif
