/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two trees of the address space: the free one with its summary compiled in, and searches by
 * address where no neighbour is known.
 */
#include "mm/rbtree_impl.h"
#include "mm/vmap_private.h"

/* Where the tile @area, which is in no tree, belongs: returns the link, and the node it is in. */
static inline struct rb_node **find_link(struct rb_root *root, const struct vmap_area *area,
					 struct rb_node **parent_out)
{
	struct rb_node *parent = NULL, *next = root->node, **link = &root->node;
	u64 start = area->va_start;

	while (next) {
		parent = next;
		link = start < area_of(next)->va_start ? &next->left : &next->right;
		next = *link;
	}
	*parent_out = parent;
	return link;
}

/* What rotations do with the summary of the free tree. */
static inline void hole_adopt(struct rb_node *to, const struct rb_node *from)
{
	area_of(to)->subtree_max = area_of(from)->subtree_max;
}

static inline void make_free(struct vmap_space *space, struct vmap_area *area)
{
	area->state = VMAP_AREA_FREE;
	area->kind = VMAP_RESERVED;
	space->nr_free++;
}

static void hole_link(struct vmap_space *space, struct vmap_area *area, struct rb_node *parent,
		      struct rb_node **link)
{
	make_free(space, area);
	rb_insert_with(&space->free, &area->node, parent, link, hole_summarise, hole_adopt);
}

void hole_insert(struct vmap_space *space, struct vmap_area *area)
{
	struct rb_node *parent, **link = find_link(&space->free, area, &parent);

	hole_link(space, area, parent, link);
}

void hole_insert_before(struct vmap_space *space, struct vmap_area *area,
			struct vmap_area *neighbour)
{
	struct rb_node *node = &neighbour->node, **link = &node->left;

	while (*link) {
		node = *link;
		link = &node->right;
	}
	hole_link(space, area, node, link);
}

void hole_insert_after(struct vmap_space *space, struct vmap_area *area,
		       struct vmap_area *neighbour)
{
	struct rb_node *node = &neighbour->node, **link = &node->right;

	while (*link) {
		node = *link;
		link = &node->left;
	}
	hole_link(space, area, node, link);
}

void hole_erase(struct vmap_space *space, struct vmap_area *area)
{
	rb_erase_with(&space->free, &area->node, hole_summarise, hole_adopt);
	space->nr_free--;
}

void busy_insert(struct vmap_space *space, struct vmap_area *area)
{
	struct rb_node *parent, **link = find_link(&space->busy, area, &parent);

	rb_insert(&space->busy, &area->node, parent, link, NULL);
}

struct vmap_area *vmap_busy_from(const struct vmap_space *space, u64 addr)
{
	struct rb_node *node = space->busy.node;
	struct vmap_area *found = NULL;

	lockdep_assert_held(&space->lock);
	while (node) {
		if (area_of(node)->va_end > addr) {
			found = area_of(node);
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return found;
}
