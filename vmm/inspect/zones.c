/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The zones: which frames one may have, what RAM that is, and its spans of fresh frames. */
#include "vmm/inspect/private.h"

const char *inspect_zone_name(const struct layout *l, uint32_t zone)
{
	if (zone == l->zone_dma)
		return "DMA";
	if (zone == l->zone_dma32)
		return "DMA32";
	return zone == l->zone_normal ? "Normal" : "?";
}

uint64_t inspect_zone_address(const struct inspector *inspector, uint32_t node, uint32_t zone)
{
	const struct layout *l = &inspector->layout;

	return inspector->mm + l->mm.node + (uint64_t)node * l->node.bytes + l->node.zone +
	       (uint64_t)zone * l->zone.bytes;
}

uint64_t inspect_pcp_address(const struct inspector *inspector, uint64_t zone, uint32_t cpu)
{
	const struct layout *l = &inspector->layout;

	return zone + l->zone.pcp + (uint64_t)cpu * l->page_pcp.bytes;
}

static void zone_bounds(const struct layout *l, uint32_t zone, uint64_t *start, uint64_t *end)
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
		*end = NB_RAM_LIMIT / INSPECT_PAGE_BYTES;
	}
}

bool inspect_zone_ram(const struct inspector *inspector, uint32_t node, uint32_t zone,
		      uint32_t range, uint64_t *start_pfn_out, uint64_t *end_pfn_out)
{
	const struct nb_range *ram = &inspector->source.ram[range];
	uint64_t first = ram->start / INSPECT_PAGE_BYTES, last = ram->end / INSPECT_PAGE_BYTES;
	uint64_t start, end;

	zone_bounds(&inspector->layout, zone, &start, &end);
	if (first < start)
		first = start;
	if (last > end)
		last = end;
	if (ram->node != node || first >= last)
		return false;
	*start_pfn_out = first;
	*end_pfn_out = last;
	return true;
}

size_t inspect_zone_spans(struct inspector *inspector, uint32_t node, uint32_t zone,
			  struct inspect_span spans_out[INSPECT_SPANS_MAX])
{
	const struct layout *l = &inspector->layout;
	uint64_t address = inspect_zone_address(inspector, node, zone);
	uint64_t end_of_ram = inspect_end_pfn(inspector);
	size_t count = 0;
	uint8_t said = 0;

	if (node < l->max_nodes && zone < l->nr_zones)
		inspect_u8(inspector, address + l->zone.nr_spans, &said);
	for (uint32_t i = 0; i < said && i < l->max_spans; i++) {
		uint64_t at = address + l->zone.span + (uint64_t)i * l->fresh_span.bytes;
		struct inspect_span *span = &spans_out[count];

		if (!inspect_u64(inspector, at + l->fresh_span.first_pfn, &span->first) ||
		    !inspect_u64(inspector, at + l->fresh_span.start_pfn, &span->start) ||
		    !inspect_u64(inspector, at + l->fresh_span.end_pfn, &span->end))
			break;
		if (span->end > end_of_ram)
			span->end = end_of_ram;
		if (span->start > span->end)
			span->start = span->end;
		count++;
	}
	return count;
}
