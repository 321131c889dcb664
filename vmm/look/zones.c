/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Zones. */
#include "vmm/look/zones.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/look/private.h"

#define PAGE INSPECT_PAGE_BYTES

/* ---- one zone ---- */

static void take_ram(struct inspector *inspector, struct look_zone *zone)
{
	const struct inspect_source *source = inspect_source_of(inspector);
	uint64_t first, last, last_pfn = 0;

	for (uint32_t i = 0; i < source->nr_ram; i++) {
		if (!inspect_zone_ram(inspector, zone->node, zone->zone, i, &first, &last))
			continue;
		if (zone->present == 0)
			zone->start_pfn = first;
		zone->present += last - first;
		last_pfn = last;
	}
	zone->spanned = zone->present ? last_pfn - zone->start_pfn : 0;
}

/* The blocks that [pfn, end) is, the largest that fit at each place. */
static void count_blocks(uint64_t pfn, uint64_t end, unsigned int max_order,
			 uint64_t blocks[LOOK_ORDERS_MAX])
{
	while (pfn < end) {
		unsigned int order = max_order;
		uint64_t count = 1;

		while (pfn % (1ull << order) != 0 || 1ull << order > end - pfn)
			order--;
		/* Those of the largest order at once: a span may have millions. */
		if (order == max_order)
			count = (end - pfn) >> order;
		blocks[order] += count;
		pfn += count << order;
	}
}

static void take_spans(struct inspector *inspector, struct look_zone *zone)
{
	const struct layout *l = inspect_layout(inspector);
	struct inspect_span span[INSPECT_SPANS_MAX];
	size_t count = inspect_zone_spans(inspector, zone->node, zone->zone, span);

	for (size_t i = 0; i < count; i++) {
		zone->fresh += span[i].end - span[i].start;
		count_blocks(span[i].start, span[i].end, (unsigned int)l->max_order,
			     zone->nr_fresh);
	}
}

static void take_counts(struct inspector *inspector, struct look_zone *zone)
{
	const struct layout *l = inspect_layout(inspector);
	uint64_t address = inspect_zone_address(inspector, zone->node, zone->zone);

	inspect_u64(inspector, address + l->zone.managed_pages, &zone->managed);
	inspect_u64(inspector, address + l->zone.free_pages, &zone->free);
	inspect_u64(inspector, address + l->zone.watermark_min, &zone->watermark_min);
	inspect_u32(inspector, address + l->zone.pcp_high, &zone->pcp_high);
	inspect_u32(inspector, address + l->zone.pcp_batch, &zone->pcp_batch);
	for (uint32_t order = 0; order <= l->max_order; order++)
		inspect_u64(inspector, address + l->zone.nr_free + order * sizeof(uint64_t),
			    &zone->nr_free[order]);
	for (uint32_t cpu = 0; cpu < zone->nr_cpus; cpu++)
		inspect_u32(inspector,
			    inspect_pcp_address(inspector, address, cpu) + l->page_pcp.count,
			    &zone->pcp_count[cpu]);
}

static uint32_t cpus_of(struct inspector *inspector)
{
	const struct layout *l = inspect_layout(inspector);
	uint32_t cpus = inspect_source_of(inspector)->nr_cpus;

	if (cpus > l->max_cpus)
		cpus = (uint32_t)l->max_cpus;
	return cpus < NB_MAX_VCPUS ? cpus : NB_MAX_VCPUS;
}

int look_zones(struct inspector *inspector, struct look_zones *zones_out)
{
	const struct layout *l = inspect_layout(inspector);
	struct look_zones zones = {.nr_orders = (unsigned int)l->max_order + 1};

	zones.zone = calloc(NB_MAX_NODES * LOOK_ZONES_MAX, sizeof(*zones.zone));
	if (!zones.zone)
		return -ENOMEM;
	inspect_refresh(inspector);
	for (uint32_t i = 0; i < NB_MAX_NODES * l->nr_zones; i++) {
		struct look_zone zone = {.node = (uint32_t)(i / l->nr_zones),
					 .zone = (uint32_t)(i % l->nr_zones)};

		take_ram(inspector, &zone);
		if (zone.present == 0 || zone.node >= l->max_nodes)
			continue;
		zone.name = inspect_zone_name(l, zone.zone);
		zone.nr_cpus = cpus_of(inspector);
		take_counts(inspector, &zone);
		take_spans(inspector, &zone);
		zones.zone[zones.nr_zones++] = zone;
	}
	*zones_out = zones;
	return 0;
}

void look_zones_free(struct look_zones *zones)
{
	free(zones->zone);
	*zones = (struct look_zones){.zone = NULL};
}
