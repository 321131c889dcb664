/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the page allocator starts: from ranges of RAM, less what is reserved, to nodes, zones and
 * fallback lists. The work is a few dozen instructions a range, whatever the size of RAM.
 */
#include "mm/buddy.h"

#include "mm/errno.h"

/* A per-CPU list holds a 32nd of its zone, within these; it is filled and emptied by eighths. */
#define PCP_HIGH_MIN   64
#define PCP_HIGH_MAX   1024
#define PCP_BATCH_MIN  8
#define WATERMARK_PART 256 /* of a zone are kept for those who may go below the watermark */
#define WATERMARK_MAX  1024
#define RESERVE_PART   256 /* of the higher zones' size is what they must leave in a lower one */

static int check_ram(const struct mem_range *ram, u32 nr_ram)
{
	u64 last = 0;

	if (nr_ram == 0)
		return -EINVAL;
	for (u32 i = 0; i < nr_ram; i++) {
		const struct mem_range *range = &ram[i];

		if (range->start < last || range->start >= range->end)
			return -EINVAL;
		if (!IS_ALIGNED(range->start | range->end, MAX_ORDER_PAGES * PAGE_SIZE))
			return -EINVAL;
		if (range->node >= MAX_NODES || range->end > (u64)MAX_SECTIONS << SECTION_SHIFT)
			return -ENOSPC;
		last = range->end;
	}
	return 0;
}

static bool inside_one(const struct mem_range *inner, const struct mem_range *ram, u32 nr_ram)
{
	for (u32 i = 0; i < nr_ram; i++) {
		if (inner->start >= ram[i].start && inner->end <= ram[i].end)
			return true;
	}
	return false;
}

static int check_reserved(const struct mem_range *reserved, u32 nr_reserved,
			  const struct mem_range *ram, u32 nr_ram)
{
	u64 last = 0;

	for (u32 i = 0; i < nr_reserved; i++) {
		const struct mem_range *range = &reserved[i];

		if (range->start < last || range->start >= range->end)
			return -EINVAL;
		if (!IS_ALIGNED(range->start | range->end, PAGE_SIZE))
			return -EINVAL;
		if (!inside_one(range, ram, nr_ram))
			return -EINVAL;
		last = range->end;
	}
	return 0;
}

static void zone_init(struct zone *zone, u32 node, u32 id)
{
	zone->id = (u8)id;
	zone->node = (u8)node;
	zone->page_word = (u64)id << PAGE_WORD_ZONE_SHIFT | (u64)node << PAGE_WORD_NODE_SHIFT;
	for (u32 order = 0; order <= MAX_ORDER; order++)
		list_init(&zone->free[order]);
}

/* Adds [start, end) frames, all of one zone, above those the zone has. */
static int add_span(struct zone *zone, u64 start, u64 end)
{
	struct fresh_span *span = &zone->span[zone->nr_spans];

	zone->managed_pages += end - start;
	zone->free_pages += end - start;
	if (zone->nr_spans && span[-1].end_pfn == start) {
		span[-1].end_pfn = end;
		return 0;
	}
	if (zone->nr_spans == MAX_SPANS)
		return -ENOSPC;
	*span = (struct fresh_span){.start_pfn = start, .end_pfn = end, .first_pfn = start};
	zone->nr_spans++;
	return 0;
}

/* Adds [start, end) frames of one node, cut where zones end. */
static int add_frames(struct mm *mm, u32 node, u64 start, u64 end)
{
	static const u64 zone_end[NR_ZONES] = {ZONE_DMA_END_PFN, ZONE_DMA32_END_PFN, ~0ull};

	for (u32 id = 0; id < NR_ZONES; id++) {
		struct zone *zone = &mm->node[node].zone[id];
		u64 part_end = end < zone_end[id] ? end : zone_end[id];
		int err;

		if (start >= part_end)
			continue;
		if (zone->nr_spans == 0)
			zone_init(zone, node, id);
		err = add_span(zone, start, part_end);
		if (err)
			return err;
		start = part_end;
	}
	return 0;
}

/* Adds one range of RAM, less what is reserved of it. */
static int add_ram(struct mm *mm, const struct mem_range *range)
{
	struct node *node = &mm->node[range->node];
	u64 start = range->start;
	int err = 0;

	node->present = true;
	mm->total_pages += (range->end - range->start) >> PAGE_SHIFT;
	if (range->node >= mm->nr_nodes)
		mm->nr_nodes = range->node + 1;
	for (u32 i = 0; i < mm->nr_reserved && !err; i++) {
		const struct mem_range *hole = &mm->reserved[i];

		if (hole->start < range->start || hole->end > range->end)
			continue;
		if (start < hole->start)
			err = add_frames(mm, range->node, start >> PAGE_SHIFT,
					 hole->start >> PAGE_SHIFT);
		start = hole->end;
	}
	if (start < range->end && !err)
		err = add_frames(mm, range->node, start >> PAGE_SHIFT, range->end >> PAGE_SHIFT);
	return err;
}

static u64 clamp(u64 value, u64 low, u64 high)
{
	return value < low ? low : value > high ? high : value;
}

/* Sets the limits of a node's zones, now that their sizes are known. */
static void set_limits(struct node *node)
{
	for (u32 id = 0; id < NR_ZONES; id++) {
		struct zone *zone = &node->zone[id];
		u64 pages = zone->managed_pages, above = 0;

		zone->pcp_high = (u32)clamp(pages / 32, PCP_HIGH_MIN, PCP_HIGH_MAX);
		zone->pcp_batch = zone->pcp_high / 8;
		if (zone->pcp_batch < PCP_BATCH_MIN)
			zone->pcp_batch = PCP_BATCH_MIN;
		zone->watermark_min = clamp(pages / WATERMARK_PART, 0, WATERMARK_MAX);
		for (u32 highest = id + 1; highest < NR_ZONES; highest++) {
			above += node->zone[highest].managed_pages;
			zone->reserve[highest] = above / RESERVE_PART;
		}
	}
}

static void add_fallbacks(struct node *node, struct node *from)
{
	for (u32 id = NR_ZONES; id-- > 0;) {
		if (from->zone[id].managed_pages)
			node->fallback[node->nr_fallback++] = &from->zone[id];
	}
}

/* Nearest node first; of two as near, the lower. Nodes without RAM get a list too. */
static void build_fallback(struct mm *mm, u32 id)
{
	struct node *node = &mm->node[id];

	add_fallbacks(node, node);
	for (u32 distance = 1; distance < mm->nr_nodes; distance++) {
		if (id >= distance)
			add_fallbacks(node, &mm->node[id - distance]);
		if (id + distance < mm->nr_nodes)
			add_fallbacks(node, &mm->node[id + distance]);
	}
}

static int keep_ranges(struct mm *mm, const struct mem_range *ram, u32 nr_ram,
		       const struct mem_range *reserved, u32 nr_reserved)
{
	int err;

	if (nr_ram > MAX_RAM || nr_reserved > MAX_RESERVED)
		return -ENOSPC;
	err = check_ram(ram, nr_ram);
	if (!err)
		err = check_reserved(reserved, nr_reserved, ram, nr_ram);
	if (err)
		return err;
	mm->nr_ram = nr_ram;
	mm->nr_reserved = nr_reserved;
	for (u32 i = 0; i < nr_ram; i++)
		mm->ram[i] = ram[i];
	for (u32 i = 0; i < nr_reserved; i++)
		mm->reserved[i] = reserved[i];
	return 0;
}

int page_alloc_init(struct mm *mm, const struct mem_range *ram, u32 nr_ram,
		    const struct mem_range *reserved, u32 nr_reserved)
{
	int err = keep_ranges(mm, ram, nr_ram, reserved, nr_reserved);

	for (u32 i = 0; i < nr_ram && !err; i++)
		err = add_ram(mm, &mm->ram[i]);
	if (err)
		return err;
	for (u32 id = 0; id < mm->nr_nodes; id++) {
		mm->node[id].id = (u8)id;
		set_limits(&mm->node[id]);
		build_fallback(mm, id);
	}
	return mm->node[0].nr_fallback ? 0 : -ENOMEM;
}
