/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks of one zone: free lists by order, merging, and fresh memory. A block's first frame
 * carries all there is to know in page->word; the others are PAGE_BODY, or PAGE_FRESH where
 * nobody has touched them yet. So taking a block of any size out of a fresh span is one store.
 *
 * Fresh memory comes as large blocks, cut at the span's end and around the section's own struct
 * pages. Such a block never has a free buddy: the buddy holds at least one frame of what cut it.
 */
#include "mm/buddy.h"

#include "mm/errno.h"

static void list_block(struct zone *zone, struct page *page, u32 order)
{
	lockdep_assert_held(&zone->lock);
	page_set_word(page, page_word(zone, PAGE_FREE, order));
	list_add(&page->list, &zone->free[order]);
	zone->nr_free[order]++;
}

static void unlist_block(struct zone *zone, struct page *page, u32 order)
{
	lockdep_assert_held(&zone->lock);
	list_del(&page->list);
	zone->nr_free[order]--;
}

/* Cuts a block of @from down to @order, lists the upper halves, returns the lowest part. */
static struct page *split_block(struct zone *zone, struct page *page, u32 from, u32 order)
{
	while (from > order) {
		from--;
		list_block(zone, page + (1ull << from), from);
	}
	return page;
}

static struct page *take_listed(struct zone *zone, u32 order)
{
	for (u32 from = order; from <= MAX_ORDER; from++) {
		struct page *page;

		if (zone->nr_free[from] == 0)
			continue;
		page = list_entry(zone->free[from].next, struct page, list);
		unlist_block(zone, page, from);
		return split_block(zone, page, from, order);
	}
	return NULL;
}

/* The part of @span's fresh frames that lies in the section of its first one: its end. */
static u64 section_limit(const struct fresh_span *span)
{
	u64 next = ALIGN_DOWN(span->start_pfn, SECTION_PAGES) + SECTION_PAGES;

	return next < span->end_pfn ? next : span->end_pfn;
}

/* Cuts the largest block off the front of @span, not beyond @limit. */
static struct page *eat_span(struct mm *mm, struct fresh_span *span, u64 limit, u32 *order_out)
{
	u64 pfn = span->start_pfn;
	u32 order = 0;

	while (order < MAX_ORDER && IS_ALIGNED(pfn, 2ull << order) &&
	       pfn + (2ull << order) <= limit)
		order++;
	span->start_pfn = pfn + (1ull << order);
	*order_out = order;
	return pfn_to_page(mm, pfn);
}

/*
 * Takes the next block of fresh memory, of whatever order it has. Returns NULL at the end of the
 * zone, or, with the section's number in *@offline_out, where a section must come to life first.
 */
static struct page *take_fresh(struct mm *mm, struct zone *zone, u32 *order_out, u64 *offline_out)
{
	while (zone->next_span < zone->nr_spans) {
		struct fresh_span *span = &zone->span[zone->next_span];
		u64 section = span->start_pfn / SECTION_PAGES, limit, memmap;
		u8 online;

		if (span->start_pfn == span->end_pfn) {
			zone->next_span++;
			continue;
		}
		online = smp_load_acquire(&mm->section_online[section]);
		if (!online) {
			*offline_out = section;
			return NULL;
		}
		limit = section_limit(span);
		memmap = section_memmap_pfn(section, online);
		if (span->start_pfn == memmap) {
			span->start_pfn += SECTION_MEMMAP_PAGES;
			continue;
		}
		if (span->start_pfn < memmap && memmap < limit)
			limit = memmap;
		return eat_span(mm, span, limit, order_out);
	}
	return NULL;
}

/*
 * Brings @section to life, or gives up the rest of @zone's frames there. Returns whether the zone
 * is worth another try.
 */
static bool start_or_skip(struct mm *mm, struct zone *zone, u64 section)
{
	int err = section_start(mm, section);

	if (err != -ENOSPC)
		return err == 0;
	spin_lock(&zone->lock);
	for (u32 i = 0; i < zone->nr_spans; i++) {
		struct fresh_span *span = &zone->span[i];
		u64 limit = section_limit(span);

		if (span->start_pfn / SECTION_PAGES != section)
			continue;
		zone->free_pages -= limit - span->start_pfn;
		span->start_pfn = limit;
	}
	spin_unlock(&zone->lock);
	return true;
}

/* Takes a block of @order, from the lists if they have one. zone->lock is held. */
static struct page *take_block(struct mm *mm, struct zone *zone, u32 order, u64 *offline_out)
{
	struct page *page = take_listed(zone, order);
	u32 fresh_order;

	lockdep_assert_held(&zone->lock);
	if (page)
		return page;
	while ((page = take_fresh(mm, zone, &fresh_order, offline_out))) {
		if (fresh_order >= order)
			return split_block(zone, page, fresh_order, order);
		list_block(zone, page, fresh_order);
	}
	return NULL;
}

struct page *buddy_alloc(struct mm *mm, struct zone *zone, u32 order, u64 word, u64 floor)
{
	struct page *page = NULL;
	u64 offline;

	do {
		offline = MAX_SECTIONS;
		spin_lock(&zone->lock);
		if (zone->free_pages >= floor + (1ull << order))
			page = take_block(mm, zone, order, &offline);
		if (page) {
			page_set_word(page, word);
			zone->free_pages -= 1ull << order;
		}
		spin_unlock(&zone->lock);
	} while (!page && offline < MAX_SECTIONS && start_or_skip(mm, zone, offline));
	return page;
}

void buddy_free(struct mm *mm, struct zone *zone, struct page *page, u32 order)
{
	u64 pfn = page_to_pfn(mm, page);

	zone->free_pages += 1ull << order;
	while (order < MAX_ORDER) {
		struct page *buddy = pfn_to_page(mm, pfn ^ 1ull << order);

		if (page_get_word(buddy) != page_word(zone, PAGE_FREE, order))
			break;
		unlist_block(zone, buddy, order);
		pfn &= ~(1ull << order);
		page_set_word(pfn_to_page(mm, pfn | 1ull << order), page_word(zone, PAGE_BODY, 0));
		order++;
	}
	list_block(zone, pfn_to_page(mm, pfn), order);
}
