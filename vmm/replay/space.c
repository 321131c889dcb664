/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model of Linux's vmap space: lists around the tree. */
#include "vmm/replay/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE      UINT64_C(4096)
#define ZONE_SIZE (16 * PAGE) /* addresses are dealt to the nodes in pieces of this */

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

static int list_add(struct space_list *list, uint32_t at, const struct space_range *range)
{
	if (list_room(list, list->count + 1))
		return -ENOMEM;
	memmove(&list->ranges[at + 1], &list->ranges[at],
		(list->count - at) * sizeof(*list->ranges));
	list->ranges[at] = *range;
	list->count++;
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
	return tree_reset(&space->tree);
}

void space_deinit(struct space *space)
{
	tree_free(&space->tree);
	free(space->lazy.ranges);
	free(space->pooled.ranges);
	memset(space, 0, sizeof(*space));
}

int space_copy(struct space *to, const struct space *from)
{
	to->rules = from->rules;
	if (tree_copy(&to->tree, &from->tree) || list_copy(&to->lazy, &from->lazy) ||
	    list_copy(&to->pooled, &from->pooled))
		return -ENOMEM;
	return 0;
}

static uint64_t pages_of(const struct space_range *range)
{
	return (range->end - range->start) / PAGE;
}

/* The first range of that length in the node's pool, or pooled.count. */
static uint32_t first_pooled(const struct space *space, uint32_t node, uint64_t bytes)
{
	const struct space_list *pooled = &space->pooled;
	uint32_t i;

	for (i = 0; i < pooled->count; i++) {
		if (pooled->ranges[i].node == node &&
		    pooled->ranges[i].end - pooled->ranges[i].start == bytes)
			break;
	}
	return i;
}

struct space_choice space_choose(const struct space *space, const struct tree_request *request,
				 uint32_t node)
{
	const struct space_list *pooled = &space->pooled;
	struct space_choice choice = {.source = SPACE_TREE};
	uint32_t at;

	if (space->rules.nodes && node && request->start == space->rules.pool_start &&
	    request->end == space->rules.pool_end) {
		at = first_pooled(space, node, request->size);
		if (at < pooled->count) {
			choice.address = pooled->ranges[at].start;
			if (!(choice.address & (request->align - 1))) {
				choice.source = SPACE_POOL;
				return choice;
			}
			choice.passed = at + 1;
			choice.address = 0;
		}
	}
	choice.hole = tree_find(&space->tree, request, &choice.address, NULL, NULL);
	if (!choice.hole)
		choice.source = SPACE_NOWHERE;
	return choice;
}

void space_pass(struct space *space, const struct space_choice *choice)
{
	struct space_range range;

	if (!choice->passed)
		return;
	range = space->pooled.ranges[choice->passed - 1];
	list_remove(&space->pooled, choice->passed - 1);
	list_add(&space->pooled, space->pooled.count, &range); /* there is room */
}

int space_take(struct space *space, uint64_t start, uint64_t end)
{
	uint32_t hole = tree_holding(&space->tree, start, end), i;

	if (hole)
		return tree_take(&space->tree, hole, start, end);
	for (i = 0; i < space->pooled.count; i++) {
		if (space->pooled.ranges[i].start == start && space->pooled.ranges[i].end == end) {
			list_remove(&space->pooled, i);
			return 0;
		}
	}
	return -ENOENT;
}

int space_pool(struct space *space, const struct space_range *range)
{
	return list_add(&space->pooled, space->pooled.count, range);
}

int space_free(struct space *space, uint64_t start, uint64_t end, uint32_t node)
{
	struct space_range range = {.start = start, .end = end};

	if (space->rules.nodes) {
		range.node = node <= space->rules.nodes ? (uint16_t)node : 0;
		range.list = range.node ? range.node
					: (uint16_t)(1 + start / ZONE_SIZE % space->rules.nodes);
	}
	return list_add(&space->lazy, space->lazy.count, &range);
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
	struct space_list *pooled = &space->pooled;
	uint32_t length[SPACE_POOL_PAGES + 1] = {0}, kept = 0, i;
	struct space_range *range;

	for (i = 0; i < pooled->count; i++) {
		if (pooled->ranges[i].node == node)
			length[pages_of(&pooled->ranges[i])]++;
	}
	for (i = 0; i <= SPACE_POOL_PAGES; i++)
		length[i] = decays(space, length[i], full);
	for (i = 0; i < pooled->count; i++) {
		range = &pooled->ranges[i];
		if (range->node == node && length[pages_of(range)]) {
			length[pages_of(range)]--;
			out->ranges[out->count++] = *range;
		} else {
			pooled->ranges[kept++] = *range;
		}
	}
	pooled->count = kept;
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

int space_decay(struct space *space, bool full)
{
	struct space_list out = {0};
	uint32_t node;
	int err = 0;

	if (!space->pooled.count)
		return 0;
	if (list_room(&out, space->pooled.count))
		return -ENOMEM;
	for (node = 1; node <= space->rules.nodes && !err; node++) {
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
	}
	if (out->count)
		qsort(out->ranges, out->count, sizeof(*out->ranges), by_start);
	for (i = 0; i < out->count && !err; i++) {
		range = &out->ranges[i];
		if (range->node && space->rules.nodes > 1 && !full &&
		    pages_of(range) <= SPACE_POOL_PAGES)
			err = list_add(&space->pooled, 0, range);
		else
			out->ranges[kept++] = *range;
	}
	out->count = kept;
	return err ? err : give_all(space, out, true);
}

static int give_nodes(struct space *space, bool full)
{
	struct space_list out = {0};
	uint32_t node;
	int err = 0;

	if (list_room(&out, space->lazy.count))
		return -ENOMEM;
	for (node = 1; node <= space->rules.nodes && !err; node++)
		err = give_node(space, node, full, &out);
	free(out.ranges);
	return err;
}

int space_give_lazy(struct space *space, bool full)
{
	bool sorted = space->rules.order == SPACE_BY_ADDRESS;
	int err;

	if (!space->lazy.count)
		return 0;
	if (space->rules.nodes) {
		err = give_nodes(space, full);
	} else {
		if (sorted)
			list_merge(&space->lazy);
		err = give_all(space, &space->lazy, !sorted);
	}
	space->lazy.count = 0;
	return err;
}

/* ---- what the trace does not tell ---- */

static bool find_in(const struct space_list *list, uint64_t start, uint64_t end,
		    struct space_range *range_out)
{
	uint32_t i;

	for (i = 0; i < list->count; i++) {
		if (list->ranges[i].start < end && start < list->ranges[i].end) {
			*range_out = list->ranges[i];
			return true;
		}
	}
	return false;
}

enum space_source space_find(const struct space *space, uint64_t start, uint64_t end,
			     struct space_range *range_out)
{
	if (find_in(&space->lazy, start, end, range_out))
		return SPACE_LAZY;
	return find_in(&space->pooled, start, end, range_out) ? SPACE_POOL : SPACE_NOWHERE;
}

int space_release(struct space *space, enum space_source source, const struct space_range *range)
{
	struct space_list *list = source == SPACE_LAZY ? &space->lazy : &space->pooled;
	uint32_t i;

	for (i = 0; i < list->count; i++) {
		if (list->ranges[i].start == range->start)
			break;
	}
	if (i == list->count)
		return -ENOENT;
	list_remove(list, i);
	return tree_give(&space->tree, range->start, range->end);
}
