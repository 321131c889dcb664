/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Zones. */
#include "vmm/look/zones.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/look/private.h"

#define PAGE INSPECT_PAGE_BYTES

const char *look_zone_name(const struct layout *l, uint32_t zone)
{
	if (zone == l->zone_dma)
		return "DMA";
	if (zone == l->zone_dma32)
		return "DMA32";
	return zone == l->zone_normal ? "Normal" : "?";
}

void look_zone_bounds(const struct layout *l, uint32_t zone, uint64_t *start, uint64_t *end)
{
	*start = 0;
	*end = 0;
	if (zone == l->zone_dma) {
		*end = l->zone_dma_end_pfn;
	} else if (zone == l->zone_dma32) {
		*start = l->zone_dma_end_pfn;
		*end = l->zone_dma32_end_pfn;
	} else if (zone == l->zone_normal) {
		*start = l->zone_dma32_end_pfn;
		*end = NB_RAM_LIMIT / PAGE;
	}
}

int look_spans(struct inspector *inspector, uint32_t node, uint32_t zone,
	       struct look_span **span_out, size_t *count_out)
{
	const struct layout *l = inspect_layout(inspector);
	uint64_t address = inspect_zone_address(inspector, node, zone);
	uint64_t end_of_ram = inspect_end_pfn(inspector);
	struct look_span *span = calloc(l->max_spans, sizeof(*span));
	size_t count = 0;
	uint8_t said = 0;

	if (!span)
		return -ENOMEM;
	if (node < l->max_nodes && zone < l->nr_zones)
		inspect_u8(inspector, address + l->zone.nr_spans, &said);
	for (uint32_t i = 0; i < said && i < l->max_spans; i++) {
		struct look_span *one = &span[count];

		if (!inspect_span(inspector, address, i, &one->start, &one->end))
			break;
		if (one->end > end_of_ram)
			one->end = end_of_ram;
		count += one->start < one->end;
	}
	*span_out = span;
	*count_out = count;
	return 0;
}

/* ---- one zone ---- */

static void take_ram(struct inspector *inspector, struct look_zone *zone)
{
	const struct inspect_source *source = inspect_source_of(inspector);
	uint64_t start, end, last_pfn = 0;

	look_zone_bounds(inspect_layout(inspector), zone->zone, &start, &end);
	for (uint32_t i = 0; i < source->nr_ram; i++) {
		uint64_t first = source->ram[i].start / PAGE, last = source->ram[i].end / PAGE;

		if (source->ram[i].node != zone->node)
			continue;
		if (first < start)
			first = start;
		if (last > end)
			last = end;
		if (first >= last)
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

static int take_spans(struct inspector *inspector, struct look_zone *zone)
{
	const struct layout *l = inspect_layout(inspector);
	struct look_span *span;
	size_t count;
	int err = look_spans(inspector, zone->node, zone->zone, &span, &count);

	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		zone->fresh += span[i].end - span[i].start;
		count_blocks(span[i].start, span[i].end, (unsigned int)l->max_order,
			     zone->nr_fresh);
	}
	free(span);
	return 0;
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
	int err = 0;

	zones.zone = calloc(NB_MAX_NODES * LOOK_ZONES_MAX, sizeof(*zones.zone));
	if (!zones.zone)
		return -ENOMEM;
	inspect_refresh(inspector);
	for (uint32_t i = 0; i < NB_MAX_NODES * l->nr_zones && !err; i++) {
		struct look_zone zone = {.node = (uint32_t)(i / l->nr_zones),
					 .zone = (uint32_t)(i % l->nr_zones)};

		take_ram(inspector, &zone);
		if (zone.present == 0 || zone.node >= l->max_nodes)
			continue;
		zone.name = look_zone_name(l, zone.zone);
		zone.nr_cpus = cpus_of(inspector);
		take_counts(inspector, &zone);
		err = take_spans(inspector, &zone);
		zones.zone[zones.nr_zones++] = zone;
	}
	if (err)
		look_zones_free(&zones);
	else
		*zones_out = zones;
	return err;
}

void look_zones_free(struct look_zones *zones)
{
	free(zones->zone);
	*zones = (struct look_zones){.zone = NULL};
}
