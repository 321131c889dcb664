/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of red-black trees share: items by key, two summaries, and the sorted array that a
 * tree must be the same as. For the one .c file of a test program.
 */
#ifndef TESTS_MM_RBTREE_FIXTURE_H
#define TESTS_MM_RBTREE_FIXTURE_H

#include "tests/harness.h"

#include <string.h>

#include "mm/rbtree.h"

struct item {
	struct rb_node node;
	u64 key, sum;
	bool in_tree;
};

#define KEYS 256

struct fixture {
	struct rb_root root;
	struct item item[KEYS];
};

static inline struct item *item_of(const struct rb_node *node)
{
	return container_of(node, struct item, node);
}

/* The sum of the keys at and below. */
static inline bool sum_up(struct rb_node *node)
{
	struct item *item = item_of(node);
	u64 sum = item->key;

	if (node->left)
		sum += item_of(node->left)->sum;
	if (node->right)
		sum += item_of(node->right)->sum;
	if (item->sum == sum)
		return false;
	item->sum = sum;
	return true;
}

/* The largest free key, as the address space has it: most updates stop early. */
static inline bool max_up(struct rb_node *node)
{
	struct item *item = item_of(node);
	u64 max = item->key;

	if (node->left && item_of(node->left)->sum > max)
		max = item_of(node->left)->sum;
	if (node->right && item_of(node->right)->sum > max)
		max = item_of(node->right)->sum;
	if (item->sum == max)
		return false;
	item->sum = max;
	return true;
}

static inline void setup(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	for (u64 i = 0; i < KEYS; i++)
		f->item[i].key = i + 1;
}

static inline void insert(struct fixture *f, struct item *item, rb_summarise summarise)
{
	struct rb_node *parent = NULL, **link = &f->root.node;

	while (*link) {
		parent = *link;
		link = item->key < item_of(parent)->key ? &parent->left : &parent->right;
	}
	rb_insert(&f->root, &item->node, parent, link, summarise);
	item->in_tree = true;
}

static inline void erase(struct fixture *f, struct item *item, rb_summarise summarise)
{
	rb_erase(&f->root, &item->node, summarise);
	item->in_tree = false;
}

/* The next item at or after @i that is in the tree, going up or down; KEYS when there is none. */
static inline u64 next_present(const struct fixture *f, u64 i, bool down)
{
	while (i < KEYS && !f->item[i].in_tree)
		i += down ? -1ull : 1;
	return i < KEYS ? i : KEYS;
}

/* The items in the tree, in both directions, are exactly those marked so. */
static inline bool same_as_array(const struct fixture *f)
{
	struct rb_node *node = rb_first(&f->root);
	u64 i;

	for (i = next_present(f, 0, false); i < KEYS; i = next_present(f, i + 1, false)) {
		if (node != &f->item[i].node)
			return false;
		node = rb_next(node);
	}
	if (node)
		return false;
	node = rb_last(&f->root);
	for (i = next_present(f, KEYS - 1, true); i < KEYS; i = next_present(f, i - 1, true)) {
		if (node != &f->item[i].node)
			return false;
		node = rb_prev(node);
	}
	return !node;
}

#endif
