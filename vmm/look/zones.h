/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Zones, as /proc/buddyinfo and /proc/zoneinfo show them, and slabs, as /proc/slabinfo does. */
#ifndef VMM_LOOK_ZONES_H
#define VMM_LOOK_ZONES_H

#include "vmm/look/look.h"
#include "vmm/look/frames.h"

#define LOOK_ORDERS_MAX 19 /* LAYOUT's MAX_ORDER is at most 18 */

/* Numbers are the guest's own counts, but for present, fresh and the blocks of fresh memory. */
struct look_zone {
	uint32_t node, zone;
	const char *name;          /* "DMA", "DMA32", "Normal" */
	uint64_t start_pfn;        /* of its lowest RAM */
	uint64_t spanned;          /* from there to its last RAM, in frames */
	uint64_t present, managed; /* RAM; what the allocator owns */
	uint64_t free;             /* in blocks and fresh, not on per-CPU lists */
	uint64_t fresh;            /* never handed out */
	uint64_t watermark_min;
	uint32_t pcp_high, pcp_batch;
	uint64_t nr_free[LOOK_ORDERS_MAX];  /* blocks on the free lists, by order */
	uint64_t nr_fresh[LOOK_ORDERS_MAX]; /* blocks the fresh spans would give */
	uint32_t nr_cpus;
	uint32_t pcp_count[NB_MAX_VCPUS]; /* frames on each CPU's list */
};

struct look_zones {
	struct look_zone *zone; /* those with RAM, by node, then zone */
	size_t nr_zones;
	unsigned int nr_orders; /* MAX_ORDER + 1 */
};

/* -ENOMEM. Pair with look_zones_free(). */
int look_zones(struct inspector *inspector, struct look_zones *zones_out);
void look_zones_free(struct look_zones *zones);

struct look_slab {
	uint64_t address; /* of the cache */
	char name[LOOK_NAME_BYTES];
	uint32_t object_bytes, objects; /* in a slab, which is one frame */
	uint64_t slabs, partial;        /* the cache's own counts */
	uint64_t found;                 /* slabs found in the page array */
	uint64_t in_use, total;         /* objects of those */
};

struct look_slabs {
	struct look_slab *slab; /* the kmalloc caches by size, then the address space's */
	size_t nr_slabs;
};

/*
 * Reads the struct page of every frame of sections in use. Objects free on a CPU's own list count
 * as free. -ENOMEM. Pair with look_slabs_free().
 */
int look_slabs(struct inspector *inspector, struct look_slabs *slabs_out);
void look_slabs_free(struct look_slabs *slabs);

#endif
