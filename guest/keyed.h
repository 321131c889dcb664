/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Things by a number, each once, in a tree: what the guest remembers of what it gave the host. The
 * caller has a lock.
 */
#ifndef GUEST_KEYED_H
#define GUEST_KEYED_H

#include "mm/rbtree.h"

struct keyed {
	struct rb_node node;
	u64 key;
};

/* Adds @item, whose key is set and not in the tree. */
void keyed_insert(struct rb_root *root, struct keyed *item);

/* The one with the largest key that is not above @key, or NULL. */
struct keyed *keyed_at_or_below(const struct rb_root *root, u64 key);

static inline struct keyed *keyed_find(const struct rb_root *root, u64 key)
{
	struct keyed *item = keyed_at_or_below(root, key);

	return item && item->key == key ? item : NULL;
}

static inline void keyed_erase(struct rb_root *root, struct keyed *item)
{
	rb_erase(root, &item->node, NULL);
}

#endif
