/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The red-black part of the free tree: the textbook's insertion and deletion (Cormen, Leiserson,
 * Rivest, Stein, chapter 13), which Linux follows, with what Linux leaves open in it settled
 * as there: a node with two children is replaced by its successor.
 */
#include "vmm/replay/tree_balance.h"

void tree_summarise(struct tree *tree, uint32_t node)
{
	struct tree_hole *hole = &tree->holes[node];
	uint64_t longest = hole->end - hole->start;

	if (tree->holes[hole->left].longest > longest)
		longest = tree->holes[hole->left].longest;
	if (tree->holes[hole->right].longest > longest)
		longest = tree->holes[hole->right].longest;
	hole->longest = longest;
}

void tree_propagate(struct tree *tree, uint32_t node)
{
	uint64_t before;

	for (; node; node = tree->holes[node].parent) {
		before = tree->holes[node].longest;
		tree_summarise(tree, node);
		if (tree->holes[node].longest == before)
			return;
	}
}

/* Where the child @old of @parent was, @child is now; @parent may be nobody: the root's. */
static void set_child(struct tree *tree, uint32_t parent, uint32_t old, uint32_t child)
{
	if (!parent)
		tree->root = child;
	else if (tree->holes[parent].left == old)
		tree->holes[parent].left = child;
	else
		tree->holes[parent].right = child;
	if (child)
		tree->holes[child].parent = parent;
}

static void rotate_left(struct tree *tree, uint32_t top)
{
	struct tree_hole *holes = tree->holes;
	uint32_t child = holes[top].right;

	set_child(tree, holes[top].parent, top, child);
	holes[top].right = holes[child].left;
	if (holes[child].left)
		holes[holes[child].left].parent = top;
	holes[child].left = top;
	holes[top].parent = child;
	holes[child].longest = holes[top].longest;
	tree_summarise(tree, top);
}

static void rotate_right(struct tree *tree, uint32_t top)
{
	struct tree_hole *holes = tree->holes;
	uint32_t child = holes[top].left;

	set_child(tree, holes[top].parent, top, child);
	holes[top].left = holes[child].right;
	if (holes[child].right)
		holes[holes[child].right].parent = top;
	holes[child].right = top;
	holes[top].parent = child;
	holes[child].longest = holes[top].longest;
	tree_summarise(tree, top);
}

/* Rotates so that the child on the side away from @left comes up. */
static void rotate(struct tree *tree, uint32_t top, bool left)
{
	if (left)
		rotate_left(tree, top);
	else
		rotate_right(tree, top);
}

/* @node is red, and its parent may be. */
static void balance_insert(struct tree *tree, uint32_t node)
{
	struct tree_hole *holes = tree->holes;
	uint32_t parent, grand, uncle;
	bool left;

	while (holes[parent = holes[node].parent].red) {
		grand = holes[parent].parent;
		left = holes[grand].left == parent;
		uncle = left ? holes[grand].right : holes[grand].left;
		if (holes[uncle].red) {
			holes[parent].red = holes[uncle].red = false;
			holes[grand].red = true;
			node = grand;
			continue;
		}
		if (node == (left ? holes[parent].right : holes[parent].left)) {
			rotate(tree, parent, left);
			parent = node;
		}
		holes[parent].red = false;
		holes[grand].red = true;
		rotate(tree, grand, !left);
		break;
	}
	holes[tree->root].red = false;
}

void tree_link(struct tree *tree, uint32_t node)
{
	struct tree_hole *holes = tree->holes;
	uint32_t parent = TREE_NONE, next = tree->root;

	while (next) {
		parent = next;
		next = holes[node].start < holes[next].start ? holes[next].left : holes[next].right;
	}
	holes[node].parent = parent;
	holes[node].left = holes[node].right = TREE_NONE;
	holes[node].red = true;
	holes[node].longest = holes[node].end - holes[node].start;
	if (!parent)
		tree->root = node;
	else if (holes[node].start < holes[parent].start)
		holes[parent].left = node;
	else
		holes[parent].right = node;
	tree_propagate(tree, parent);
	balance_insert(tree, node);
}

/* The paths through the child of @parent on the side @left are one black node short. */
static void balance_erase(struct tree *tree, uint32_t parent, bool left)
{
	struct tree_hole *holes = tree->holes;
	uint32_t sibling, near, far;

	for (;;) {
		sibling = left ? holes[parent].right : holes[parent].left;
		if (holes[sibling].red) {
			holes[sibling].red = false;
			holes[parent].red = true;
			rotate(tree, parent, left);
			sibling = left ? holes[parent].right : holes[parent].left;
		}
		near = left ? holes[sibling].left : holes[sibling].right;
		far = left ? holes[sibling].right : holes[sibling].left;
		if (holes[near].red || holes[far].red)
			break;
		holes[sibling].red = true;
		if (holes[parent].red || !holes[parent].parent) {
			holes[parent].red = false;
			return;
		}
		left = holes[holes[parent].parent].left == parent;
		parent = holes[parent].parent;
	}
	if (!holes[far].red) {
		holes[near].red = false;
		holes[sibling].red = true;
		rotate(tree, sibling, !left);
		far = sibling;
		sibling = near;
	}
	holes[sibling].red = holes[parent].red;
	holes[parent].red = holes[far].red = false;
	rotate(tree, parent, left);
}

/* Unlinks a node with at most one child. Returns whether a path is short, then below *@parent. */
static bool unlink_simple(struct tree *tree, uint32_t node, uint32_t *parent_out, bool *left_out)
{
	struct tree_hole *holes = tree->holes;
	uint32_t child = holes[node].left ? holes[node].left : holes[node].right;
	uint32_t parent = holes[node].parent;

	*parent_out = parent;
	*left_out = holes[parent].left == node;
	set_child(tree, parent, node, child);
	if (child) {
		holes[child].red = false;
		return false;
	}
	return parent && !holes[node].red;
}

void tree_unlink(struct tree *tree, uint32_t node)
{
	struct tree_hole *holes = tree->holes;
	uint32_t heir = TREE_NONE, parent;
	bool is_short, left;

	if (holes[node].left && holes[node].right) {
		for (heir = holes[node].right; holes[heir].left; heir = holes[heir].left)
			;
		is_short = unlink_simple(tree, heir, &parent, &left);
		if (parent == node)
			parent = heir;
		holes[heir].left = holes[node].left;
		holes[heir].right = holes[node].right;
		holes[holes[heir].left].parent = heir;
		if (holes[heir].right)
			holes[holes[heir].right].parent = heir;
		holes[heir].red = holes[node].red;
		set_child(tree, holes[node].parent, node, heir);
		holes[heir].longest = holes[node].longest;
		holes[TREE_NONE].parent = TREE_NONE;
	} else {
		is_short = unlink_simple(tree, node, &parent, &left);
	}
	for (node = parent; node; node = holes[node].parent)
		tree_summarise(tree, node);
	if (is_short)
		balance_erase(tree, parent, left);
}
