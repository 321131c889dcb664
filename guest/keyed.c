/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Searching and inserting by number, on top of mm/rbtree.h.
 */
#include "guest/keyed.h"

static struct keyed *keyed_of(struct rb_node *node)
{
	return container_of(node, struct keyed, node);
}

void keyed_insert(struct rb_root *root, struct keyed *item)
{
	struct rb_node **link = &root->node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = item->key < keyed_of(parent)->key ? &parent->left : &parent->right;
	}
	rb_insert(root, &item->node, parent, link, NULL);
}

struct keyed *keyed_at_or_below(const struct rb_root *root, u64 key)
{
	struct rb_node *node = root->node;
	struct keyed *best = NULL;

	while (node) {
		struct keyed *item = keyed_of(node);

		if (item->key <= key) {
			best = item;
			node = node->right;
		} else {
			node = node->left;
		}
	}
	return best;
}
