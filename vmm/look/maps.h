/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables as ranges: neighbouring leaves of the same size and effective rights are one range.
 * A million pages take some tens of milliseconds.
 */
#ifndef VMM_LOOK_MAPS_H
#define VMM_LOOK_MAPS_H

#include "vmm/look/look.h"

struct look_map {
	uint64_t start, end; /* [start, end); an end of 0 is 2^64 */
	uint64_t gpa;        /* what start maps to */
	uint64_t page_bytes; /* of each leaf: 4 KiB, 2 MiB or 1 GiB */
	uint64_t leaves;     /* (end - start) / page_bytes */
	uint64_t runs;       /* pieces of following frames: 1 means contiguous */
	unsigned int rights; /* PAGING_R..: what every entry on the way allows */
	bool global;         /* the leaves' G */
	enum look_region region;
};
typedef int (*look_map_fn)(void *context, const struct look_map *map);

/* All zero: everything of the kernel's tables, merged. */
struct look_maps_query {
	const struct paging_mode *paging; /* NULL: the kernel's; a process's has its own root */
	uint64_t start, end;              /* [start, end); both 0: everything */
	bool split_frames;                /* a range ends where the frames do not follow */
	uint64_t max_ranges;              /* visit no more; 0: no limit */
};

struct look_maps_sum {
	uint64_t ranges, leaves, bytes;
	uint64_t leaves_4k, leaves_2m, leaves_1g;
	uint64_t tables;      /* read on the way */
	uint64_t bad_entries; /* present, and reserved bits or no table behind */
	uint64_t first_bad;   /* the first address such an entry governs, where there is one */
	bool cut;             /* max_ranges was reached, or tables that refer to themselves */
};

/*
 * Visits the ranges in address order. A range is cut at query's start and end only to whole
 * leaves; ranges never merge across look_place()'s regions. Errors: -EINVAL (end before start,
 * not 4 KiB aligned), -ENOMEM, the callback's. @sum_out may be NULL.
 */
int look_maps(struct inspector *inspector, const struct look_maps_query *query, look_map_fn map,
	      void *context, struct look_maps_sum *sum_out);

#endif
