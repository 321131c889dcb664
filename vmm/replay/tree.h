/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux's tree of free vmalloc ranges, node for node: a red-black tree of holes by address, each
 * node summed up by the longest hole in its subtree. Which hole a request gets depends on the
 * shape of the tree and on the colours, which decide the later shapes; so insertions, erasures and
 * rotations are those of Linux's lib/rbtree.c, and splits and merges those of mm/vmalloc.c.
 *
 * It is the plan's model of what mm/vmap.c does in the guest (tests/vmm/replay/test_tree.c compares
 * the two, and both with an oracle that shares no code with either). Nodes are named by index, so
 * that a tree is copied by copying one array: the search for an order of events, or for a shape,
 * lives on copies.
 *
 *                 [c000, d000) black
 *                /                  \
 *   [1, 5000) red                    [f000, ..)         node 0 is nobody: black, length 0
 */
#ifndef VMM_REPLAY_TREE_H
#define VMM_REPLAY_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole space, as in Linux: everything from 1 up to, not including, the last byte. */
#define TREE_FIRST UINT64_C(1)
#define TREE_END   UINT64_MAX

#define TREE_NONE 0u

struct tree_hole {
	uint64_t start, end; /* [start, end) */
	uint64_t longest;    /* bytes of the longest hole at or below this one */
	uint32_t parent, left, right;
	bool red;
};

struct tree {
	struct tree_hole *holes; /* [0] is TREE_NONE; unused ones are linked by right */
	uint32_t root, unused;
	uint32_t count; /* holes in the tree */
	uint32_t used;  /* of the array, unused ones among them */
	uint32_t room;
};

/*
 * How find_vmap_lowest_match() of a release prunes. 5.2: by size + align - 1 whatever the
 * alignment. 5.16: by size. 5.18 and later: by size + align - 1 where align is above the page size
 * and the window is not just the size, else by size. From 5.16 on a climb that enters a right
 * subtree moves the window's start behind the parent's.
 */
enum tree_rule { TREE_RULE_5_2, TREE_RULE_5_16, TREE_RULE_5_18 };

struct tree_request {
	uint64_t size, align, start, end; /* in [start, end) */
	enum tree_rule rule;
};

/* What a search did at a node, for --explain. */
enum tree_visit { TREE_WENT_LEFT, TREE_WENT_RIGHT, TREE_DEAD_END, TREE_CLIMBED, TREE_TOOK };
typedef void (*tree_watch)(void *context, const struct tree_hole *hole, enum tree_visit visit);

/* An empty tree needs no memory and owns none; tree_free() is allowed on it. */
void tree_free(struct tree *tree);

/* One hole, all of the space. Returns 0 or -ENOMEM. */
int tree_reset(struct tree *tree);

/* Makes @to, which may own memory, the same as @from. Returns 0 or -ENOMEM, @to unchanged. */
int tree_copy(struct tree *to, const struct tree *from);

/*
 * Linux's search. Returns the hole, with the address in *@address_out, or TREE_NONE where Linux
 * finds nothing (it looks no further when what it found does not end in the window). @watch, if
 * not NULL, sees each node passed.
 */
uint32_t tree_find(const struct tree *tree, const struct tree_request *request,
		   uint64_t *address_out, tree_watch watch, void *context);

/* What the search prunes subtrees by: the bytes a hole must have to be surely long enough. */
uint64_t tree_length(const struct tree_request *request);

/* The hole that all of [start, end) lies in, or TREE_NONE. */
uint32_t tree_holding(const struct tree *tree, uint64_t start, uint64_t end);

/* The lowest hole that ends behind @address, or TREE_NONE; and the one after @hole. */
uint32_t tree_from(const struct tree *tree, uint64_t address);
uint32_t tree_next(const struct tree *tree, uint32_t hole);

/*
 * Takes [start, end) out of @hole. At an edge the hole shrinks, used up it goes, and in the middle
 * it keeps what is above, while what is below becomes a new hole. Returns 0 or -ENOMEM, nothing
 * changed.
 */
int tree_take(struct tree *tree, uint32_t hole, uint64_t start, uint64_t end);

/*
 * Makes [start, end), of which nothing is free, free: the hole after it grows downward, then the
 * one before it swallows that. Returns 0 or -ENOMEM, nothing changed.
 */
int tree_give(struct tree *tree, uint64_t start, uint64_t end);

/* A tree in preorder: a node before its subtrees, the left one first. */
struct tree_shape {
	uint64_t start;
	bool red;
};

/*
 * Gives the holes of the tree the shape that @shape[0, count) spells. Returns 0; -EINVAL, nothing
 * changed, if it names other holes or is no red-black tree; -ENOMEM.
 */
int tree_set_shape(struct tree *tree, const struct tree_shape *shape, size_t count);

/* Writes tree->count entries. */
void tree_get_shape(const struct tree *tree, struct tree_shape *shape_out);

/* Gives the subtree of @hole another shape with the same number of black nodes, at random. */
int tree_shuffle(struct tree *tree, uint32_t hole, uint64_t *random);

/* Puts the holes into an empty tree again, one by one, in a random order. Returns 0 or -ENOMEM. */
int tree_replant(struct tree *tree, uint64_t *random);

/* The next random number after *@state, which changes: xorshift; *@state is not 0. */
uint64_t tree_random(uint64_t *state);

/* Returns NULL when order, colours, parents and summaries are right; or what is wrong. */
const char *tree_check(const struct tree *tree);

#endif
