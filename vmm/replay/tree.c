/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Linux's free tree: searching, splitting and merging. The red-black part is in tree_balance.c. */
#include "vmm/replay/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/replay/tree_balance.h"

#define PAGE UINT64_C(4096)

/* ---- nodes ---- */

void tree_free(struct tree *tree)
{
	free(tree->holes);
	memset(tree, 0, sizeof(*tree));
}

static int make_room(struct tree *tree, uint32_t room)
{
	struct tree_hole *holes;

	if (room <= tree->room)
		return 0;
	holes = realloc(tree->holes, room * sizeof(*holes));
	if (!holes)
		return -ENOMEM;
	tree->holes = holes;
	tree->room = room;
	return 0;
}

/* Sees to it that new_hole() has one to give. */
static int ready(struct tree *tree)
{
	if (tree->unused || tree->used < tree->room)
		return 0;
	return make_room(tree, tree->room ? 2 * tree->room : 64);
}

static uint32_t new_hole(struct tree *tree, uint64_t start, uint64_t end)
{
	uint32_t index = tree->unused;

	if (index)
		tree->unused = tree->holes[index].right;
	else
		index = tree->used++;
	tree->holes[index] = (struct tree_hole){.start = start, .end = end};
	tree->count++;
	return index;
}

static void drop_hole(struct tree *tree, uint32_t index)
{
	tree_unlink(tree, index);
	tree->holes[index].right = tree->unused;
	tree->unused = index;
	tree->count--;
}

int tree_reset(struct tree *tree)
{
	int err = make_room(tree, 64);

	if (err)
		return err;
	tree->holes[TREE_NONE] = (struct tree_hole){0};
	tree->used = 1;
	tree->root = tree->unused = tree->count = 0;
	tree_link(tree, new_hole(tree, TREE_FIRST, TREE_END));
	return 0;
}

int tree_copy(struct tree *to, const struct tree *from)
{
	struct tree_hole *holes;
	int err = make_room(to, from->used);

	if (err)
		return err;
	holes = to->holes;
	if (from->used)
		memcpy(holes, from->holes, from->used * sizeof(*holes));
	to->root = from->root;
	to->unused = from->unused;
	to->count = from->count;
	to->used = from->used;
	return 0;
}

/* ---- searching ---- */

/* The lowest aligned address of the hole at or above @start, or 0 if the size does not fit. */
static inline uint64_t fit(const struct tree_hole *hole, const struct tree_request *request,
			   uint64_t start)
{
	uint64_t from = hole->start > start ? hole->start : start;
	uint64_t address = (from + request->align - 1) & ~(request->align - 1);

	if (address < from || address >= hole->end || hole->end - address < request->size)
		return 0;
	return address;
}

uint64_t tree_length(const struct tree_request *request)
{
	uint64_t length;
	bool adjust = request->align > PAGE && request->end - request->start != request->size;

	if (request->rule == TREE_RULE_5_2)
		adjust = true;
	if (request->rule == TREE_RULE_5_16)
		adjust = false;
	if (!adjust)
		return request->size;
	return __builtin_add_overflow(request->size, request->align - 1, &length) ? UINT64_MAX
										  : length;
}

static inline void tell(tree_watch watch, void *context, const struct tree_hole *hole,
			enum tree_visit visit)
{
	if (watch)
		watch(context, hole, visit);
}

uint32_t tree_find(const struct tree *tree, const struct tree_request *request,
		   uint64_t *address_out, tree_watch watch, void *context)
{
	const struct tree_hole *holes = tree->holes, *hole;
	uint64_t length = tree_length(request), start = request->start, address;
	uint32_t node = tree->root;

	while (node) {
		hole = &holes[node];
		if (holes[hole->left].longest >= length && start < hole->start) {
			tell(watch, context, hole, TREE_WENT_LEFT);
			node = hole->left;
			continue;
		}
		if (fit(hole, request, start))
			break;
		if (holes[hole->right].longest >= length) {
			tell(watch, context, hole, TREE_WENT_RIGHT);
			node = hole->right;
			continue;
		}
		tell(watch, context, hole, TREE_DEAD_END);
		while ((node = holes[node].parent)) {
			hole = &holes[node];
			if (fit(hole, request, start))
				break;
			if (holes[hole->right].longest >= length && start <= hole->start) {
				tell(watch, context, hole, TREE_WENT_RIGHT);
				if (request->rule != TREE_RULE_5_2)
					start = hole->start + 1;
				node = hole->right;
				break;
			}
			tell(watch, context, hole, TREE_CLIMBED);
		}
		if (node && fit(&holes[node], request, start) && &holes[node] == hole)
			break;
	}
	if (!node)
		return TREE_NONE;
	tell(watch, context, &holes[node], TREE_TOOK);
	address = fit(&holes[node], request, request->start);
	if (!address || address >= request->end || request->end - address < request->size)
		return TREE_NONE;
	*address_out = address;
	return node;
}

uint32_t tree_holding(const struct tree *tree, uint64_t start, uint64_t end)
{
	uint32_t node = tree->root;

	while (node) {
		const struct tree_hole *hole = &tree->holes[node];

		if (start >= hole->start && start < hole->end)
			return end <= hole->end ? node : TREE_NONE;
		node = start < hole->start ? hole->left : hole->right;
	}
	return TREE_NONE;
}

uint32_t tree_from(const struct tree *tree, uint64_t address)
{
	uint32_t node = tree->root, found = TREE_NONE;

	while (node) {
		if (tree->holes[node].end > address) {
			found = node;
			node = tree->holes[node].left;
		} else {
			node = tree->holes[node].right;
		}
	}
	return found;
}

uint32_t tree_next(const struct tree *tree, uint32_t hole)
{
	const struct tree_hole *holes = tree->holes;
	uint32_t parent;

	if (holes[hole].right) {
		for (hole = holes[hole].right; holes[hole].left; hole = holes[hole].left)
			;
		return hole;
	}
	while ((parent = holes[hole].parent) && holes[parent].right == hole)
		hole = parent;
	return parent;
}

/* ---- splitting and merging ---- */

int tree_take(struct tree *tree, uint32_t hole, uint64_t start, uint64_t end)
{
	struct tree_hole *from = &tree->holes[hole];
	uint64_t below = from->start;

	if (from->start == start && from->end == end) {
		drop_hole(tree, hole);
	} else if (from->start == start || from->end == end) {
		if (from->start == start)
			from->start = end;
		else
			from->end = start;
		tree_propagate(tree, hole);
	} else {
		if (ready(tree))
			return -ENOMEM;
		tree->holes[hole].start = end;
		tree_propagate(tree, hole);
		tree_link(tree, new_hole(tree, below, start));
	}
	return 0;
}

int tree_give(struct tree *tree, uint64_t start, uint64_t end)
{
	uint32_t node = tree->root, before = TREE_NONE, after = TREE_NONE;
	struct tree_hole *holes;

	if (ready(tree))
		return -ENOMEM;
	holes = tree->holes;
	while (node) {
		if (end <= holes[node].start) {
			after = node;
			node = holes[node].left;
		} else {
			before = node;
			node = holes[node].right;
		}
	}
	if (after && holes[after].start != end)
		after = TREE_NONE;
	if (before && holes[before].end != start)
		before = TREE_NONE;
	if (after) {
		holes[after].start = start;
		tree_propagate(tree, after);
	}
	if (before && after) {
		end = holes[after].end;
		drop_hole(tree, after);
	}
	if (before) {
		holes[before].end = end;
		tree_propagate(tree, before);
	} else if (!after) {
		tree_link(tree, new_hole(tree, start, end));
	}
	return 0;
}
