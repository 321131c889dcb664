/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How areas lie in the address space, in numbers that are the same of a recording and of a guest:
 *
 *   |area|..hole..|area|area|lazy|...........................|area|
 *   holes: free ranges shorter than 16 MiB between two that are not free; a longer one is room, not
 *   a hole. Fragmentation: the holes' share of holes, areas and lazy ranges.
 */
#ifndef VMM_LOAD_PLACEMENT_H
#define VMM_LOAD_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACEMENT_HOLE_MAX (UINT64_C(16) << 20)

struct placement_range {
	uint64_t start, end; /* [start, end) */
	uint64_t pages;      /* frames behind it */
	bool lazy;
};

struct placement {
	uint64_t areas, pages, lazy;
	uint64_t area_bytes, lazy_bytes, hole_bytes;
	uint64_t holes;
};

/* Of ranges that are neither free nor overlap; sorts them by address. */
void placement_measure(struct placement_range *ranges, size_t count, struct placement *out);

/* From 0 to 1. */
double placement_fragmentation(const struct placement *placement);

/* What moments come to: the most, and the mean fragmentation. A zeroed one has seen none. */
struct placement_sum {
	uint64_t moments, most_areas, most_pages;
	double fragmentation; /* of all moments together */
};

void placement_add(struct placement_sum *sum, const struct placement *placement);

#endif
