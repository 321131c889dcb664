/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "zones": the frames of an area come from where its request allowed: not above the zone
 * its gfp flags name, and from the one node a request insisted on, as far as the host knows it.
 */
#include "vmm/audit/private.h"

#define PAGE INSPECT_PAGE_BYTES

/* The first frame number above what @gfp allows. */
static uint64_t zone_limit(const struct layout *l, uint32_t gfp)
{
	if (gfp & l->gfp_dma)
		return l->zone_dma_end_pfn;
	if (gfp & l->gfp_dma32)
		return l->zone_dma32_end_pfn;
	return UINT64_MAX;
}

/* The node that every frame must be of, or -1. */
static int64_t only_node(const struct audit_pass *pass, const struct inspect_area *area)
{
	const struct audit_expectation *expected = audit_expected(pass->audit, area->start);

	if (!expected || expected->node < 0 || !(expected->gfp & pass->l->gfp_thisnode))
		return -1;
	return expected->node;
}

/* Returns false where the area's frames cannot be read further. */
static bool check_frame(struct audit_pass *pass, const struct inspect_area *area, uint64_t index,
			uint64_t limit, int64_t node)
{
	const struct nb_range *ram;
	uint64_t pfn;

	if (!audit_area_frame(pass, area, index, &pfn))
		return false;
	if (pfn == AUDIT_NO_FRAME)
		return true;
	ram = inspect_ram_range(pass->inspector, pfn);
	if (pfn >= limit)
		audit_found(pass, area->start + index * PAGE, pfn * PAGE, limit * PAGE,
			    "a frame above the zone the request named");
	if (node >= 0 && ram && ram->node != node)
		audit_found(pass, area->start + index * PAGE, ram->node, (uint64_t)node,
			    "a frame of another node than the request insisted on");
	return true;
}

int audit_zones(struct audit_pass *pass)
{
	for (size_t i = 0; i < pass->areas.count; i++) {
		const struct inspect_area *area = &pass->areas.area[i];
		uint64_t limit, index = 0;
		int64_t node;

		if (!audit_owns_frames(pass, area))
			continue;
		limit = zone_limit(pass->l, area->gfp);
		node = only_node(pass, area);
		if (limit == UINT64_MAX && node < 0)
			continue;
		while (index < area->nr_pages && check_frame(pass, area, index, limit, node))
			index++;
		audit_looked(pass, index);
	}
	return 0;
}
