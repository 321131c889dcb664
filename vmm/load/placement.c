/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Placement in numbers (vmm/load/placement.h). */
#include "vmm/load/placement.h"

#include <stdlib.h>
#include <string.h>

static int by_start(const void *a, const void *b)
{
	uint64_t one = ((const struct placement_range *)a)->start;
	uint64_t other = ((const struct placement_range *)b)->start;

	return one < other ? -1 : one > other;
}

void placement_measure(struct placement_range *ranges, size_t count, struct placement *out)
{
	struct placement placement = {0};
	uint64_t end = 0;

	qsort(ranges, count, sizeof(*ranges), by_start);
	for (size_t i = 0; i < count; i++) {
		const struct placement_range *range = &ranges[i];
		uint64_t hole = end && range->start > end ? range->start - end : 0;

		if (range->lazy) {
			placement.lazy++;
			placement.lazy_bytes += range->end - range->start;
		} else {
			placement.areas++;
			placement.pages += range->pages;
			placement.area_bytes += range->end - range->start;
		}
		if (hole && hole < PLACEMENT_HOLE_MAX) {
			placement.holes++;
			placement.hole_bytes += hole;
		}
		end = range->end > end ? range->end : end;
	}
	*out = placement;
}

double placement_fragmentation(const struct placement *placement)
{
	uint64_t all = placement->area_bytes + placement->lazy_bytes + placement->hole_bytes;

	return all ? (double)placement->hole_bytes / (double)all : 0;
}

void placement_add(struct placement_sum *sum, const struct placement *placement)
{
	double part = placement_fragmentation(placement);

	sum->moments++;
	sum->fragmentation += (part - sum->fragmentation) / (double)sum->moments;
	if (placement->areas > sum->most_areas)
		sum->most_areas = placement->areas;
	if (placement->pages > sum->most_pages)
		sum->most_pages = placement->pages;
}
