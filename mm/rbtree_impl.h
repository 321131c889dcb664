/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The red-black algorithms of mm/rbtree.c, for a file that wants them with its own summary inlined:
 * rb_insert_with() and rb_erase_with() are rb_insert() and rb_erase() (mm/rbtree.h), to be called
 * with a constant @summarise and @adopt, which copies a summary, or NULL: then it is computed.
 *
 * They are those of Cormen, Leiserson, Rivest, Stein, "Introduction to Algorithms", chapter 13,
 * with NULL for the leaves: where the book asks the sentinel for its parent, the parent is carried
 * along.
 *
 * Summaries: a change of the set is carried up first, while the shape is still the old one. A
 * rotation does not change the set below its top, so nothing above needs another look, the new top
 * adopts the old one's summary, and the old one's is computed.
 */
#ifndef MM_RBTREE_IMPL_H
#define MM_RBTREE_IMPL_H

#include "mm/rbtree.h"

static inline void rb_set_parent(struct rb_node *node, struct rb_node *parent)
{
	node->parent_color = (uintptr_t)parent | (node->parent_color & 1);
}

static inline void rb_set_red(struct rb_node *node)
{
	node->parent_color |= RB_RED;
}

static inline void rb_set_black(struct rb_node *node)
{
	node->parent_color &= ~(uintptr_t)RB_RED;
}

/* Where the pointer to @node is kept. */
static inline struct rb_node **rb_link_of(struct rb_root *root, struct rb_node *node)
{
	struct rb_node *parent = rb_parent(node);

	if (!parent)
		return &root->node;
	return parent->left == node ? &parent->left : &parent->right;
}

/* Gives @to the summary of @from. */
typedef void (*rb_adopt)(struct rb_node *to, const struct rb_node *from);

/* @child has come to be above @top, in its place. */
static inline void rb_turned(struct rb_node *top, struct rb_node *child, rb_summarise summarise,
			     rb_adopt adopt)
{
	if (!summarise)
		return;
	if (adopt)
		adopt(child, top);
	summarise(top);
	if (!adopt)
		summarise(child);
}

/*
 *      top                 child
 *     /   \      left     /     \
 *    a    child  --->   top      c      and its mirror image, right.
 *         /   \        /   \
 *        b     c      a     b
 */
static inline void rb_rotate_left(struct rb_root *root, struct rb_node *top, rb_summarise summarise,
				  rb_adopt adopt)
{
	struct rb_node *child = top->right;

	top->right = child->left;
	if (child->left)
		rb_set_parent(child->left, top);
	*rb_link_of(root, top) = child;
	rb_set_parent(child, rb_parent(top));
	child->left = top;
	rb_set_parent(top, child);
	rb_turned(top, child, summarise, adopt);
}

static inline void rb_rotate_right(struct rb_root *root, struct rb_node *top,
				   rb_summarise summarise, rb_adopt adopt)
{
	struct rb_node *child = top->left;

	top->left = child->right;
	if (child->right)
		rb_set_parent(child->right, top);
	*rb_link_of(root, top) = child;
	rb_set_parent(child, rb_parent(top));
	child->right = top;
	rb_set_parent(top, child);
	rb_turned(top, child, summarise, adopt);
}

/* @node is red and so is its parent: the only rule that can be broken (RB-INSERT-FIXUP). */
static __attribute__((noinline, unused)) void rb_insert_fixup(struct rb_root *root,
							      struct rb_node *node,
							      rb_summarise summarise,
							      rb_adopt adopt)
{
	struct rb_node *parent, *grand, *uncle;

	while ((parent = rb_parent(node)) && rb_is_red(parent)) {
		grand = rb_parent(parent);
		uncle = parent == grand->left ? grand->right : grand->left;
		if (rb_is_red(uncle)) {
			rb_set_black(parent);
			rb_set_black(uncle);
			rb_set_red(grand);
			node = grand;
			continue;
		}
		if (parent == grand->left) {
			if (node == parent->right) {
				rb_rotate_left(root, parent, summarise, adopt);
				parent = node;
			}
			rb_rotate_right(root, grand, summarise, adopt);
		} else {
			if (node == parent->left) {
				rb_rotate_right(root, parent, summarise, adopt);
				parent = node;
			}
			rb_rotate_left(root, grand, summarise, adopt);
		}
		rb_set_black(parent);
		rb_set_red(grand);
		break;
	}
	rb_set_black(root->node);
}

static inline void rb_insert_with(struct rb_root *root, struct rb_node *node,
				  struct rb_node *parent, struct rb_node **link,
				  rb_summarise summarise, rb_adopt adopt)
{
	node->parent_color = (uintptr_t)parent | RB_RED;
	node->left = NULL;
	node->right = NULL;
	*link = node;
	if (summarise) {
		summarise(node);
		rb_propagate(parent, summarise);
	}
	if (!parent)
		rb_set_black(node);
	else if (rb_is_red(parent))
		rb_insert_fixup(root, node, summarise, adopt);
}

/*
 * The paths through the left child of @parent, which may be missing, are one black node short
 * (RB-DELETE-FIXUP). Returns NULL when the debt is paid, or the node that is now short as a whole.
 */
static inline struct rb_node *rb_repay_left(struct rb_root *root, struct rb_node *parent,
					    rb_summarise summarise, rb_adopt adopt)
{
	struct rb_node *sibling = parent->right;

	if (rb_is_red(sibling)) {
		rb_set_black(sibling);
		rb_set_red(parent);
		rb_rotate_left(root, parent, summarise, adopt);
		sibling = parent->right;
	}
	if (!rb_is_red(sibling->left) && !rb_is_red(sibling->right)) {
		rb_set_red(sibling);
		return parent;
	}
	if (!rb_is_red(sibling->right)) {
		rb_set_black(sibling->left);
		rb_set_red(sibling);
		rb_rotate_right(root, sibling, summarise, adopt);
		sibling = parent->right;
	}
	sibling->parent_color =
		(sibling->parent_color & ~(uintptr_t)1) | (parent->parent_color & 1);
	rb_set_black(parent);
	rb_set_black(sibling->right);
	rb_rotate_left(root, parent, summarise, adopt);
	return NULL;
}

static inline struct rb_node *rb_repay_right(struct rb_root *root, struct rb_node *parent,
					     rb_summarise summarise, rb_adopt adopt)
{
	struct rb_node *sibling = parent->left;

	if (rb_is_red(sibling)) {
		rb_set_black(sibling);
		rb_set_red(parent);
		rb_rotate_right(root, parent, summarise, adopt);
		sibling = parent->left;
	}
	if (!rb_is_red(sibling->left) && !rb_is_red(sibling->right)) {
		rb_set_red(sibling);
		return parent;
	}
	if (!rb_is_red(sibling->left)) {
		rb_set_black(sibling->right);
		rb_set_red(sibling);
		rb_rotate_left(root, sibling, summarise, adopt);
		sibling = parent->left;
	}
	sibling->parent_color =
		(sibling->parent_color & ~(uintptr_t)1) | (parent->parent_color & 1);
	rb_set_black(parent);
	rb_set_black(sibling->left);
	rb_rotate_right(root, parent, summarise, adopt);
	return NULL;
}

/* The paths through the missing child of @parent, the left or the right one, are one short. */
static __attribute__((noinline, unused)) void rb_erase_fixup(struct rb_root *root,
							     struct rb_node *parent, bool left,
							     rb_summarise summarise, rb_adopt adopt)
{
	struct rb_node *node;

	for (;;) {
		node = left ? rb_repay_left(root, parent, summarise, adopt)
			    : rb_repay_right(root, parent, summarise, adopt);
		if (!node)
			return;
		parent = rb_parent(node);
		if (!parent || rb_is_red(node))
			break;
		left = node == parent->left;
	}
	rb_set_black(node);
}

/*
 * Carries the loss of a node up from @node. @moved is above or at @node and holds a summary of the
 * place it came from: up to it, and for the one above, every summary is new.
 */
static inline void rb_erase_propagate(struct rb_node *node, struct rb_node *moved,
				      rb_summarise summarise)
{
	for (; node != moved; node = rb_parent(node))
		summarise(node);
	summarise(moved);
	rb_propagate(rb_parent(moved), summarise);
}

/*
 * Unlinks @node, which has at most one child. Returns whether its parent is left with a path one
 * black node short, and then on which side in *@left_out.
 */
static inline bool rb_unlink_node(struct rb_root *root, struct rb_node *node, bool *left_out)
{
	struct rb_node *child = node->left ? node->left : node->right, *parent = rb_parent(node);

	if (!parent) {
		root->node = child;
	} else {
		*left_out = parent->left == node;
		if (*left_out)
			parent->left = child;
		else
			parent->right = child;
	}
	if (child) {
		/* An only child is red and has none: it takes the colour over. */
		child->parent_color = (uintptr_t)parent;
		return false;
	}
	return parent && !rb_is_red(node);
}

/* Puts @heir, unlinked from below @node, in @node's place and colour. */
static inline void rb_take_place(struct rb_root *root, struct rb_node *node, struct rb_node *heir)
{
	heir->left = node->left;
	if (heir->left)
		rb_set_parent(heir->left, heir);
	heir->right = node->right;
	if (heir->right)
		rb_set_parent(heir->right, heir);
	*rb_link_of(root, node) = heir;
	heir->parent_color = node->parent_color;
}

/*
 * @node has two children: the one after it moves up into its place, as in Linux, whose free tree's
 * shape can be told by the addresses it leads to. Trees without a summary have a cheaper choice:
 * the one before it if it is a child, which takes no search.
 */
static __attribute__((noinline, unused)) void rb_erase_inner(struct rb_root *root,
							     struct rb_node *node,
							     rb_summarise summarise, rb_adopt adopt)
{
	struct rb_node *heir = node->left, *parent;
	bool left = false, is_short;

	if (adopt || heir->right) {
		heir = node->right;
		while (heir->left)
			heir = heir->left;
	}
	parent = rb_parent(heir);
	is_short = rb_unlink_node(root, heir, &left);
	rb_take_place(root, node, heir);
	if (parent == node)
		parent = heir;
	if (summarise)
		rb_erase_propagate(parent, heir, summarise);
	if (is_short)
		rb_erase_fixup(root, parent, left, summarise, adopt);
}

static inline void rb_erase_with(struct rb_root *root, struct rb_node *node, rb_summarise summarise,
				 rb_adopt adopt)
{
	struct rb_node *parent;
	bool left = false, is_short;

	if (node->left && node->right) {
		rb_erase_inner(root, node, summarise, adopt);
		return;
	}
	parent = rb_parent(node);
	is_short = rb_unlink_node(root, node, &left);
	if (summarise)
		rb_propagate(parent, summarise);
	if (is_short)
		rb_erase_fixup(root, parent, left, summarise, adopt);
}

#endif
