/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sections: how 128 MiB of RAM get their struct pages, out of their own RAM, at the moment the
 * first of their frames is needed. Until then every frame of the section is fresh, in whichever
 * zones and nodes, so that its layout can be read from the spans.
 */
#include "mm/buddy.h"

#include "mm/errno.h"

/*
 * The highest place for struct pages in what @zone has of [first, last), which is fresh: its frame
 * number, or 0 where there is none (at frame 0 there would be nothing left to describe).
 */
static u64 place_in_zone(struct zone *zone, u64 first, u64 last)
{
	u64 best = 0;

	spin_lock(&zone->lock);
	for (u32 i = 0; i < zone->nr_spans; i++) {
		u64 start = zone->span[i].start_pfn, end = zone->span[i].end_pfn, place;

		if (start < first)
			start = first;
		if (end > last)
			end = last;
		if (end < start + SECTION_MEMMAP_PAGES)
			continue;
		place = ALIGN_DOWN(end, SECTION_MEMMAP_PAGES) - SECTION_MEMMAP_PAGES;
		if (place >= start && place > best)
			best = place;
	}
	spin_unlock(&zone->lock);
	return best;
}

/* The highest place in the section that starts at @first, and whose it is. */
static u64 find_place(struct mm *mm, u64 first, struct zone **zone_out)
{
	u64 best = 0;

	for (u32 node = 0; node < mm->nr_nodes; node++) {
		for (u32 id = 0; id < NR_ZONES; id++) {
			struct zone *zone = &mm->node[node].zone[id];
			u64 place;

			if (zone->nr_spans == 0)
				continue;
			place = place_in_zone(zone, first, first + SECTION_PAGES);
			if (place > best) {
				best = place;
				*zone_out = zone;
			}
		}
	}
	return best;
}

/* Makes the struct pages at @place appear, and their own frames somebody's. */
static int populate(struct mm *mm, struct zone *zone, u64 first, u64 place)
{
	int err = mm->ops->memmap_populate(mm->arch, first, place << PAGE_SHIFT);

	lockdep_assert_held(&mm->section_lock);
	if (err)
		return err;
	page_set_word(pfn_to_page(mm, place),
		      page_word_held(zone, PAGE_MEMMAP, SECTION_MEMMAP_ORDER));
	spin_lock(&zone->lock);
	zone->free_pages -= SECTION_MEMMAP_PAGES;
	spin_unlock(&zone->lock);
	return 0;
}

int section_start(struct mm *mm, u64 section)
{
	u64 first = section * SECTION_PAGES, place;
	struct zone *zone = NULL;
	int err = 0;

	spin_lock(&mm->section_lock);
	if (mm->section_online[section])
		goto unlock;
	place = find_place(mm, first, &zone);
	err = place ? populate(mm, zone, first, place) : -ENOSPC;
	if (err)
		goto unlock;
	smp_store_release(&mm->section_online[section],
			  (u8)(1 + (place - first) / SECTION_MEMMAP_PAGES));
unlock:
	spin_unlock(&mm->section_lock);
	return err;
}
