/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole of Linux's vmap address space as the plan models it: the free tree (vmm/replay/tree.h),
 * the ranges freed lazily, and since 6.9 the pools of each CPU's node. All lie in arrays, so that a
 * space is copied cheaply.
 *
 *   allocation   the first range of the node's pool for that many pages, if its alignment is right
 *                (else it goes to the pool's end); then the free tree
 *   free         to the lazy list: of the node in its flags, else of (address / 64 KiB) % nodes
 *   purge        a quarter of each pool (or all, or all of fewer than four) goes to the tree; then
 *                what is lazy, node by node: into the pools, if it has a node, or to the tree
 *
 * Sources: mm/vmalloc.c: __alloc_vmap_area(), node_pool_del_va(), free_vmap_area_noflush(),
 * decay_va_pool_node(), purge_vmap_node(), and __purge_vmap_area_lazy() of each release.
 */
#ifndef VMM_REPLAY_SPACE_H
#define VMM_REPLAY_SPACE_H

#include "vmm/replay/tree.h"

#define SPACE_PAGE_BYTES UINT64_C(4096)
#define SPACE_NODES_MAX  128
#define SPACE_POOL_PAGES 256 /* a pool for each number of pages up to this */

/* In what order a purge gives lazily freed ranges back. */
enum space_order {
	SPACE_NEWEST_FIRST, /* 5.2 to 5.10: a list, one by one */
	SPACE_BY_ADDRESS,   /* 5.11 to 6.8: sorted, neighbours merged before */
};

struct space_rules {
	enum tree_rule search;
	enum space_order order;
	uint32_t nodes;   /* of 6.9 and later, the possible CPUs; 1 has no pools; 0: before 6.9 */
	bool small_empty; /* a decay by a quarter empties a pool of fewer than four */
	uint64_t pool_start, pool_end; /* the window that pools serve */
};

/* A range that is neither in use nor in the tree. */
struct space_range {
	uint64_t start, end;
	uint16_t node; /* 1 + the node in its flags; 0: none */
	uint16_t list; /* lazy: 1 + the node whose list it is on, or 0; pooled: as node */
};

struct space_list {
	struct space_range *ranges;
	uint32_t count, room;
};

/* A range in a pool; next: the one behind it in that pool, or the next unused one. 0: none. */
struct space_pooled {
	uint64_t start;
	uint32_t next;
	uint16_t node, pages;
};

struct space_pool {
	uint32_t first, last, count;
};

/* All pools: each is a chain through entries, of which 0 is none. */
struct space_pools {
	struct space_pooled *entries;
	uint32_t used, room, unused; /* entries ever used, and the first that is not any more */
	uint32_t count;              /* ranges in all pools */
	struct space_pool *pools;    /* of each node, one for each number of pages from 0 on */
	uint32_t nr_pools;
};

struct space {
	struct space_rules rules;
	struct tree tree;
	struct space_list lazy; /* in the order of the frees */
	struct space_pools pooled;
};

/* Where a range came from, or is. */
enum space_source { SPACE_TREE, SPACE_POOL, SPACE_LAZY, SPACE_NOWHERE };

/* An empty space, all of it free. Returns 0 or -ENOMEM. */
int space_init(struct space *space, const struct space_rules *rules);
void space_deinit(struct space *space);

/* Makes @to, zeroed or a space, the same as @from. Returns 0 or -ENOMEM; @to is a space still. */
int space_copy(struct space *to, const struct space *from);

/* What a request would get now. */
struct space_choice {
	enum space_source source;
	uint64_t address; /* 0 where there is no room */
	uint32_t hole;    /* TREE: in the tree */
	bool passed;      /* the pool's first range was not aligned */
};

/*
 * What Linux would choose for @request of a CPU whose node is @node - 1 (0: not known: no pool).
 * Nothing is changed. The choice's own side effect, that a pool's first range which is not aligned
 * moves to its end, is space_pass()'s.
 */
struct space_choice space_choose(const struct space *space, const struct tree_request *request,
				 uint32_t node);
void space_pass(struct space *space, const struct tree_request *request, uint32_t node,
		const struct space_choice *choice);

/* Takes the first of the request's pool, which space_choose() has chosen. Returns 0 or -ENOENT. */
int space_take_first(struct space *space, const struct tree_request *request, uint32_t node);

/*
 * Takes [start, end) from the tree, or the pool entry that is exactly it. Returns 0, -ENOENT where
 * it is in neither, or -ENOMEM.
 */
int space_take(struct space *space, uint64_t start, uint64_t end);

/*
 * Makes the range, which is nowhere, the last of its node's pool. Returns 0, -ENOMEM, or -EINVAL
 * where there is no such pool.
 */
int space_pool(struct space *space, const struct space_range *range);

/*
 * 1 + the node on whose lazy list a range waits that was freed; @node is 1 + the node in its flags,
 * or 0. 0: these rules have no nodes.
 */
static inline uint16_t space_lazy_list(const struct space_rules *rules, uint64_t start,
				       uint32_t node)
{
	const uint64_t zone =
		16 * SPACE_PAGE_BYTES; /* addresses are dealt to the nodes in pieces of this */

	if (node && node <= rules->nodes)
		return (uint16_t)node;
	return rules->nodes ? (uint16_t)(1 + start / zone % rules->nodes) : 0;
}

/* Frees a range that is in use; @node is 1 + the node in its flags, or 0. Returns 0 or -ENOMEM. */
int space_free(struct space *space, uint64_t start, uint64_t end, uint32_t node);

/*
 * The two halves of a purge: pools decay, lazy ranges go back. Of node @node - 1 alone, or of all
 * in turn if it is 0. Return 0 or -ENOMEM.
 */
int space_decay(struct space *space, bool full, uint32_t node);
int space_give_lazy(struct space *space, bool full, uint32_t node);

/*
 * A purge before 6.9 drops its lock between two ranges where others wait for it. The start of the
 * next one to go back, neighbours merged where the rules do so, or 0; and the part of the purge
 * that ends with the one that starts at @through (which gives nothing if there is none). The latter
 * two return 0 or -ENOMEM.
 */
uint64_t space_next_lazy(struct space *space);
int space_give_through(struct space *space, uint64_t through);

/*
 * Where a byte of [start, end) is that is not in the tree: in a lazy range or a pooled one, which
 * is in *@range_out; NOWHERE if all of it is in use or in the tree.
 */
enum space_source space_find(const struct space *space, uint64_t start, uint64_t end,
			     struct space_range *range_out);

/* How many bytes are in pools. */
uint64_t space_pooled_bytes(const struct space *space);

/* Gives one lazy or pooled range, as space_find() has found it, to the tree. */
int space_release(struct space *space, enum space_source source, const struct space_range *range);

#endif
