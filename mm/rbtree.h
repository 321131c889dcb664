/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Red-black trees, the nodes inside the elements, with an optional value per node that sums up
 * its subtree (an augmented tree). The caller walks down to the place of a new node itself: it
 * knows the order and can compare inline. A node's colour is bit 0 of its parent pointer.
 *
 * Invariants (rb_check()): the root is black; a red node has black children; every path down
 * holds the same number of black nodes; parent pointers are right.
 * Deliberately absent: locks, and any idea of what a key is.
 */
#ifndef MM_RBTREE_H
#define MM_RBTREE_H

#include "mm/types.h"

struct rb_node {
	uintptr_t parent_color; /* parent pointer | RB_RED or RB_BLACK */
	struct rb_node *left, *right;
};

struct rb_root {
	struct rb_node *node;
};

#define RB_BLACK 0u
#define RB_RED   1u

/*
 * Recomputes the summary of @node from its own element and the summaries of its two children, and
 * returns whether it changed. NULL where a tree keeps none.
 */
typedef bool (*rb_summarise)(struct rb_node *node);

static inline struct rb_node *rb_parent(const struct rb_node *node)
{
	return (struct rb_node *)(node->parent_color & ~(uintptr_t)1);
}

static inline bool rb_is_red(const struct rb_node *node)
{
	return node && (node->parent_color & 1) == RB_RED;
}

/*
 * Links @node, whose fields need not be set, as the child at @link (&parent->left,
 * &parent->right, or &root->node with @parent NULL), which is NULL now, and rebalances.
 */
void rb_insert(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
	       struct rb_node **link, rb_summarise summarise);

/*
 * Unlinks @node, which is in the tree, and rebalances. No summary of @node itself is asked for
 * any more.
 */
void rb_erase(struct rb_root *root, struct rb_node *node, rb_summarise summarise);

/*
 * Brings the summaries up to date from @node (or NULL: nothing to do) towards the root, until one
 * does not change. Inline, so that a caller's summary is computed without a call.
 */
static inline void rb_propagate(struct rb_node *node, rb_summarise summarise)
{
	while (node && summarise(node))
		node = rb_parent(node);
}

/*
 * Links @node as the one right before or right after @neighbour, which is in the tree, without a
 * search: one of the two has a free link between them.
 */
void rb_insert_before(struct rb_root *root, struct rb_node *node, struct rb_node *neighbour,
		      rb_summarise summarise);
void rb_insert_after(struct rb_root *root, struct rb_node *node, struct rb_node *neighbour,
		     rb_summarise summarise);

/* The first and last node in order, and a node's neighbours; NULL where there is none. */
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

/*
 * Returns NULL when every invariant holds and, where @summarise is given, no summary changes when
 * it is computed again; otherwise what is wrong, as static text.
 */
const char *rb_check(const struct rb_root *root, rb_summarise summarise);

#endif
