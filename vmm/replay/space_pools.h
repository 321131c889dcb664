/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pools of a space (vmm/replay/space.h); for the files of the space alone. */
#ifndef VMM_REPLAY_SPACE_POOLS_H
#define VMM_REPLAY_SPACE_POOLS_H

#include "vmm/replay/space.h"

#define POOLS_A_NODE (SPACE_POOL_PAGES + 1)

static inline uint64_t space_pages_of(const struct space_range *range)
{
	return (range->end - range->start) / SPACE_PAGE_BYTES;
}

static inline struct space_range space_range_of(const struct space_pooled *entry)
{
	return (struct space_range){.start = entry->start,
				    .end = entry->start + entry->pages * SPACE_PAGE_BYTES,
				    .node = entry->node,
				    .list = entry->node};
}

/* The pool of node @node - 1 for @bytes, or NULL. */
struct space_pool *space_pool_of(const struct space *space, uint32_t node, uint64_t bytes);

int space_pools_copy(struct space_pools *to, const struct space_pools *from);

/* Returns 0, -ENOMEM, or -EINVAL where the range has no pool. */
int space_pool_add(struct space *space, const struct space_range *range, bool front);

/* Takes the range behind the entry @before out of the pool, the first one if that is 0. */
struct space_range space_pool_remove(struct space *space, struct space_pool *pool, uint32_t before);

/* Takes [start, end) out of whatever pool it is in. Returns whether it was in one. */
bool space_pools_take(struct space *space, uint64_t start, uint64_t end);

/* The first range in a pool, whosever, with a byte of [start, end): pools know no addresses. */
bool space_find_pooled(const struct space *space, uint64_t start, uint64_t end,
		       struct space_range *range_out);

#endif
