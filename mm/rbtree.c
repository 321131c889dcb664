/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Red-black trees with any summary or none, walks and the check. The algorithms are in
 * mm/rbtree_impl.h.
 */
#include "mm/rbtree_impl.h"

void rb_insert(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
	       struct rb_node **link, rb_summarise summarise)
{
	rb_insert_with(root, node, parent, link, summarise, NULL);
}

void rb_insert_before(struct rb_root *root, struct rb_node *node, struct rb_node *neighbour,
		      rb_summarise summarise)
{
	struct rb_node **link = &neighbour->left;

	while (*link) {
		neighbour = *link;
		link = &neighbour->right;
	}
	rb_insert_with(root, node, neighbour, link, summarise, NULL);
}

void rb_insert_after(struct rb_root *root, struct rb_node *node, struct rb_node *neighbour,
		     rb_summarise summarise)
{
	struct rb_node **link = &neighbour->right;

	while (*link) {
		neighbour = *link;
		link = &neighbour->left;
	}
	rb_insert_with(root, node, neighbour, link, summarise, NULL);
}

void rb_erase(struct rb_root *root, struct rb_node *node, rb_summarise summarise)
{
	rb_erase_with(root, node, summarise, NULL);
}

struct rb_node *rb_first(const struct rb_root *root)
{
	struct rb_node *node = root->node;

	while (node && node->left)
		node = node->left;
	return node;
}

struct rb_node *rb_last(const struct rb_root *root)
{
	struct rb_node *node = root->node;

	while (node && node->right)
		node = node->right;
	return node;
}

struct rb_node *rb_next(const struct rb_node *node)
{
	struct rb_node *parent;

	if (node->right) {
		node = node->right;
		while (node->left)
			node = node->left;
		return (struct rb_node *)node;
	}
	while ((parent = rb_parent(node)) && node == parent->right)
		node = parent;
	return parent;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	struct rb_node *parent;

	if (node->left) {
		node = node->left;
		while (node->right)
			node = node->right;
		return (struct rb_node *)node;
	}
	while ((parent = rb_parent(node)) && node == parent->left)
		node = parent;
	return parent;
}

/* Red-black trees of 2^64 nodes are no deeper than this. */
#define MAX_DEPTH 128

/*
 * The number of black nodes on every path down from @node, or -1 with *@wrong set. A node is
 * entered only when it names the one it was reached from as its parent, so a walk cannot go in
 * circles.
 */
static int check_subtree(struct rb_node *node, const struct rb_node *parent, int depth,
			 rb_summarise summarise, const char **wrong)
{
	int left, right;

	if (!node)
		return 0;
	if (rb_parent(node) != parent)
		*wrong = "a node's parent pointer is wrong";
	else if (rb_is_red(node) && rb_is_red(parent))
		*wrong = "a red node has a red parent";
	else if (node->left && node->left == node->right)
		*wrong = "a node's two children are the same";
	else if (depth == MAX_DEPTH)
		*wrong = "the tree is too deep";
	if (*wrong)
		return -1;
	left = check_subtree(node->left, node, depth + 1, summarise, wrong);
	if (left < 0)
		return -1;
	right = check_subtree(node->right, node, depth + 1, summarise, wrong);
	if (right < 0)
		return -1;
	if (left != right)
		*wrong = "the paths below a node differ in black nodes";
	else if (summarise && summarise(node))
		*wrong = "a node's summary is wrong";
	return *wrong ? -1 : left + !rb_is_red(node);
}

const char *rb_check(const struct rb_root *root, rb_summarise summarise)
{
	const char *wrong = NULL;

	if (rb_is_red(root->node))
		return "the root is red";
	check_subtree(root->node, NULL, 0, summarise, &wrong);
	return wrong;
}
