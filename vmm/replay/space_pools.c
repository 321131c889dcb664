/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model's pools of Linux 6.9: chains through one array. */
#include "vmm/replay/space_pools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct space_pool *space_pool_of(const struct space *space, uint32_t node, uint64_t bytes)
{
	size_t at = (size_t)(node - 1) * POOLS_A_NODE + bytes / SPACE_PAGE_BYTES;

	if (!node || bytes / SPACE_PAGE_BYTES > SPACE_POOL_PAGES || at >= space->pooled.nr_pools)
		return NULL;
	return &space->pooled.pools[at];
}

int space_pools_copy(struct space_pools *to, const struct space_pools *from)
{
	void *grown;

	if (to->nr_pools != from->nr_pools) {
		grown = realloc(to->pools, from->nr_pools * sizeof(*to->pools) + 1);
		if (!grown)
			return -ENOMEM;
		to->pools = grown;
		to->nr_pools = from->nr_pools;
	}
	if (to->room < from->used) {
		grown = realloc(to->entries, from->room * sizeof(*to->entries));
		if (!grown)
			return -ENOMEM;
		to->entries = grown;
		to->room = from->room;
	}
	if (from->nr_pools)
		memcpy(to->pools, from->pools, from->nr_pools * sizeof(*to->pools));
	if (from->used)
		memcpy(to->entries, from->entries, from->used * sizeof(*to->entries));
	to->used = from->used;
	to->unused = from->unused;
	to->count = from->count;
	return 0;
}

/* An entry that is in no pool, or 0 without memory. */
static uint32_t entry_get(struct space_pools *pools)
{
	uint32_t entry = pools->unused, room = pools->room ? 2 * pools->room : 64;
	struct space_pooled *grown;

	if (entry) {
		pools->unused = pools->entries[entry].next;
		return entry;
	}
	if (pools->used == pools->room) {
		grown = realloc(pools->entries, room * sizeof(*grown));
		if (!grown)
			return 0;
		pools->entries = grown;
		pools->room = room;
	}
	if (!pools->used)
		pools->entries[pools->used++] = (struct space_pooled){0};
	return pools->used++;
}

int space_pool_add(struct space *space, const struct space_range *range, bool front)
{
	struct space_pool *pool = space_pool_of(space, range->node, range->end - range->start);
	struct space_pools *pools = &space->pooled;
	uint32_t at;

	if (!pool)
		return -EINVAL;
	at = entry_get(pools);
	if (!at)
		return -ENOMEM;
	pools->entries[at] = (struct space_pooled){.start = range->start,
						   .next = front ? pool->first : 0,
						   .node = range->node,
						   .pages = (uint16_t)space_pages_of(range)};
	if (!front && pool->last)
		pools->entries[pool->last].next = at;
	if (front || !pool->first)
		pool->first = at;
	if (!front || !pool->last)
		pool->last = at;
	pool->count++;
	pools->count++;
	return 0;
}

struct space_range space_pool_remove(struct space *space, struct space_pool *pool, uint32_t before)
{
	struct space_pools *pools = &space->pooled;
	uint32_t at = before ? pools->entries[before].next : pool->first;
	struct space_pooled *entry = &pools->entries[at];

	if (before)
		pools->entries[before].next = entry->next;
	else
		pool->first = entry->next;
	if (pool->last == at)
		pool->last = before;
	entry->next = pools->unused;
	pools->unused = at;
	pool->count--;
	pools->count--;
	return space_range_of(entry);
}

bool space_pools_take(struct space *space, uint64_t start, uint64_t end)
{
	struct space_pool *pool;
	uint32_t node, at, before;

	for (node = 1; node <= space->rules.nodes; node++) {
		pool = space_pool_of(space, node, end - start);
		if (!pool)
			return false;
		for (at = pool->first, before = 0; at;
		     before = at, at = space->pooled.entries[at].next) {
			if (space->pooled.entries[at].start == start) {
				space_pool_remove(space, pool, before);
				return true;
			}
		}
	}
	return false;
}

static bool overlap(const struct space_range *range, uint64_t start, uint64_t end)
{
	return range->start < end && start < range->end;
}

bool space_find_pooled(const struct space *space, uint64_t start, uint64_t end,
		       struct space_range *range_out)
{
	const struct space_pools *pools = &space->pooled;
	uint32_t i, at;

	for (i = 0; i < pools->nr_pools && pools->count; i++) {
		for (at = pools->pools[i].first; at; at = pools->entries[at].next) {
			struct space_range range = space_range_of(&pools->entries[at]);

			if (overlap(&range, start, end)) {
				*range_out = range;
				return true;
			}
		}
	}
	return false;
}

uint64_t space_pooled_bytes(const struct space *space)
{
	const struct space_pools *pools = &space->pooled;
	uint64_t bytes = 0;
	uint32_t i;

	for (i = 0; i < pools->nr_pools; i++)
		bytes += (uint64_t)pools->pools[i].count * (i % POOLS_A_NODE) * SPACE_PAGE_BYTES;
	return bytes;
}
