/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model of Linux's vmap space: lists around the tree. */
#include "vmm/replay/space_pools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- lists ---- */

static int list_room(struct space_list *list, uint32_t count)
{
	uint32_t room = list->room ? list->room : 64;
	struct space_range *ranges;

	if (count <= list->room)
		return 0;
	while (room < count)
		room *= 2;
	ranges = realloc(list->ranges, room * sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	list->ranges = ranges;
	list->room = room;
	return 0;
}

static int list_copy(struct space_list *to, const struct space_list *from)
{
	if (list_room(to, from->count))
		return -ENOMEM;
	if (from->count)
		memcpy(to->ranges, from->ranges, from->count * sizeof(*to->ranges));
	to->count = from->count;
	return 0;
}

static int list_add(struct space_list *list, const struct space_range *range)
{
	if (list_room(list, list->count + 1))
		return -ENOMEM;
	list->ranges[list->count++] = *range;
	return 0;
}

static void list_remove(struct space_list *list, uint32_t at)
{
	list->count--;
	memmove(&list->ranges[at], &list->ranges[at + 1],
		(list->count - at) * sizeof(*list->ranges));
}

static int by_start(const void *a, const void *b)
{
	const struct space_range *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

/* Sorts by address and makes one of neighbours. */
static void list_merge(struct space_list *list)
{
	uint32_t i, kept = 0;

	if (!list->count)
		return;
	qsort(list->ranges, list->count, sizeof(*list->ranges), by_start);
	for (i = 1; i < list->count; i++) {
		if (list->ranges[kept].end == list->ranges[i].start)
			list->ranges[kept].end = list->ranges[i].end;
		else
			list->ranges[++kept] = list->ranges[i];
	}
	list->count = kept + 1;
}

/* ---- spaces ---- */

int space_init(struct space *space, const struct space_rules *rules)
{
	memset(space, 0, sizeof(*space));
	space->rules = *rules;
	space->pooled.nr_pools = rules->nodes * POOLS_A_NODE;
	space->pooled.pools = calloc(space->pooled.nr_pools + 1, sizeof(*space->pooled.pools));
	return space->pooled.pools ? tree_reset(&space->tree) : -ENOMEM;
}

void space_deinit(struct space *space)
{
	tree_free(&space->tree);
	free(space->lazy.ranges);
	free(space->pooled.entries);
	free(space->pooled.pools);
	memset(space, 0, sizeof(*space));
}

int space_copy(struct space *to, const struct space *from)
{
	to->rules = from->rules;
	if (tree_copy(&to->tree, &from->tree) || list_copy(&to->lazy, &from->lazy) ||
	    space_pools_copy(&to->pooled, &from->pooled))
		return -ENOMEM;
	return 0;
}

struct space_choice space_choose(const struct space *space, const struct tree_request *request,
				 uint32_t node)
{
	struct space_choice choice = {.source = SPACE_TREE};
	const struct space_pool *pool = NULL;

	if (space->rules.nodes && node && request->start == space->rules.pool_start &&
	    request->end == space->rules.pool_end)
		pool = space_pool_of(space, node, request->size);
	if (pool && pool->first) {
		choice.address = space->pooled.entries[pool->first].start;
		if (!(choice.address & (request->align - 1))) {
			choice.source = SPACE_POOL;
			return choice;
		}
		choice.passed = true;
		choice.address = 0;
	}
	choice.hole = tree_find(&space->tree, request, &choice.address, NULL, NULL);
	if (!choice.hole)
		choice.source = SPACE_NOWHERE;
	return choice;
}

void space_pass(struct space *space, const struct tree_request *request, uint32_t node,
		const struct space_choice *choice)
{
	struct space_pool *pool = choice->passed ? space_pool_of(space, node, request->size) : NULL;
	struct space_range range;

	if (!pool || !pool->first)
		return;
	range = space_pool_remove(space, pool, 0);
	space_pool_add(space, &range, false); /* there is room */
}

int space_take_first(struct space *space, const struct tree_request *request, uint32_t node)
{
	struct space_pool *pool = space_pool_of(space, node, request->size);

	if (!pool || !pool->first)
		return -ENOENT;
	space_pool_remove(space, pool, 0);
	return 0;
}

int space_take(struct space *space, uint64_t start, uint64_t end)
{
	uint32_t hole;

	if (space->pooled.count && space_pools_take(space, start, end))
		return 0;
	hole = tree_holding(&space->tree, start, end);
	return hole ? tree_take(&space->tree, hole, start, end) : -ENOENT;
}

int space_pool(struct space *space, const struct space_range *range)
{
	return space_pool_add(space, range, false);
}

int space_free(struct space *space, uint64_t start, uint64_t end, uint32_t node)
{
	struct space_range range = {.start = start,
				    .end = end,
				    .node = node <= space->rules.nodes ? (uint16_t)node : 0,
				    .list = space_lazy_list(&space->rules, start, node)};

	return list_add(&space->lazy, &range);
}

/* ---- purges ---- */

/* How many of a pool of @length a decay takes. */
static uint32_t decays(const struct space *space, uint32_t length, bool full)
{
	if (full)
		return length;
	if (length >> 2)
		return length >> 2;
	return space->rules.small_empty ? length : 0;
}

/* Moves what decays of the node's pools to @out, which has room. */
static void decay_node(struct space *space, uint32_t node, bool full, struct space_list *out)
{
	struct space_pool *pool = space_pool_of(space, node, 0);
	uint32_t i, left;

	for (i = 0; pool && i < POOLS_A_NODE; i++, pool++) {
		for (left = decays(space, pool->count, full); left; left--)
			out->ranges[out->count++] = space_pool_remove(space, pool, 0);
	}
}

/* Gives the ranges to the tree, forward or backward. */
static int give_all(struct space *space, const struct space_list *list, bool backward)
{
	const struct space_range *range;
	uint32_t i;
	int err = 0;

	for (i = 0; i < list->count && !err; i++) {
		range = &list->ranges[backward ? list->count - 1 - i : i];
		err = tree_give(&space->tree, range->start, range->end);
	}
	return err;
}

int space_decay(struct space *space, bool full, uint32_t node)
{
	uint32_t last = node ? node : space->rules.nodes;
	struct space_list out = {0};
	int err = 0;

	if (!space->pooled.count)
		return 0;
	if (list_room(&out, space->pooled.count))
		return -ENOMEM;
	for (node = node ? node : 1; node <= last && !err; node++) {
		out.count = 0;
		decay_node(space, node, full, &out);
		list_merge(&out);
		err = give_all(space, &out, false);
	}
	free(out.ranges);
	return err;
}

/* What one node's list holds, sorted: to the front of its pools, or backward to the tree. */
static int give_node(struct space *space, uint32_t list, bool full, struct space_list *out)
{
	const struct space_range *range;
	uint32_t i, kept = 0;
	int err = 0;

	out->count = 0;
	for (i = 0; i < space->lazy.count; i++) {
		if (space->lazy.ranges[i].list == list)
			out->ranges[out->count++] = space->lazy.ranges[i];
		else
			space->lazy.ranges[kept++] = space->lazy.ranges[i];
	}
	space->lazy.count = kept;
	kept = 0;
	if (out->count)
		qsort(out->ranges, out->count, sizeof(*out->ranges), by_start);
	for (i = 0; i < out->count && !err; i++) {
		range = &out->ranges[i];
		if (range->node && space->rules.nodes > 1 && !full &&
		    space_pages_of(range) <= SPACE_POOL_PAGES)
			err = space_pool_add(space, range, true);
		else
			out->ranges[kept++] = *range;
	}
	out->count = kept;
	return err ? err : give_all(space, out, true);
}

static int give_nodes(struct space *space, bool full, uint32_t node)
{
	uint32_t last = node ? node : space->rules.nodes;
	struct space_list out = {0};
	int err = 0;

	if (list_room(&out, space->lazy.count))
		return -ENOMEM;
	for (node = node ? node : 1; node <= last && !err; node++)
		err = give_node(space, node, full, &out);
	free(out.ranges);
	return err;
}

int space_give_lazy(struct space *space, bool full, uint32_t node)
{
	bool sorted = space->rules.order == SPACE_BY_ADDRESS;
	int err;

	if (!space->lazy.count)
		return 0;
	if (space->rules.nodes)
		return give_nodes(space, full, node);
	if (sorted)
		list_merge(&space->lazy);
	err = give_all(space, &space->lazy, !sorted);
	space->lazy.count = 0;
	return err;
}

uint64_t space_next_lazy(struct space *space)
{
	struct space_list *lazy = &space->lazy;

	if (!lazy->count)
		return 0;
	if (space->rules.order != SPACE_BY_ADDRESS)
		return lazy->ranges[lazy->count - 1].start;
	list_merge(lazy);
	return lazy->ranges[0].start;
}

int space_give_through(struct space *space, uint64_t through)
{
	struct space_list *lazy = &space->lazy;
	bool sorted = space->rules.order == SPACE_BY_ADDRESS;
	struct space_list part = {0};
	uint32_t at;
	int err;

	if (sorted)
		list_merge(lazy);
	for (at = 0; at < lazy->count && lazy->ranges[at].start != through;)
		at++;
	if (at == lazy->count)
		return 0;
	part.ranges = sorted ? lazy->ranges : &lazy->ranges[at];
	part.count = sorted ? at + 1 : lazy->count - at;
	err = give_all(space, &part, !sorted);
	lazy->count -= part.count;
	if (sorted)
		memmove(lazy->ranges, &lazy->ranges[part.count],
			lazy->count * sizeof(*lazy->ranges));
	return err;
}

static bool overlap(const struct space_range *range, uint64_t start, uint64_t end)
{
	return range->start < end && start < range->end;
}

enum space_source space_find(const struct space *space, uint64_t start, uint64_t end,
			     struct space_range *range_out)
{
	uint32_t i;

	for (i = 0; i < space->lazy.count; i++) {
		if (overlap(&space->lazy.ranges[i], start, end)) {
			*range_out = space->lazy.ranges[i];
			return SPACE_LAZY;
		}
	}
	return space_find_pooled(space, start, end, range_out) ? SPACE_POOL : SPACE_NOWHERE;
}

int space_release(struct space *space, enum space_source source, const struct space_range *range)
{
	uint32_t i;

	if (source == SPACE_POOL) {
		if (!space_pools_take(space, range->start, range->end))
			return -ENOENT;
		return tree_give(&space->tree, range->start, range->end);
	}
	for (i = 0; i < space->lazy.count; i++) {
		if (space->lazy.ranges[i].start == range->start)
			break;
	}
	if (i == space->lazy.count)
		return -ENOENT;
	list_remove(&space->lazy, i);
	return tree_give(&space->tree, range->start, range->end);
}
