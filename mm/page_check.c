/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checker of the page allocator. It believes nothing: every walk is bounded by what the counts
 * allow, and no pointer is followed before it is known to lead to a struct page that is mapped.
 */
#include "mm/buddy.h"

/* What the walks over one zone found, to be compared with each other. */
struct tally {
	u64 listed[MAX_ORDER + 1], seen[MAX_ORDER + 1]; /* free blocks: by lists, by frames */
	u64 pcp_listed, pcp_seen;
};

bool page_is_mapped(const struct mm *mm, const struct page *page)
{
	u64 offset = (u64)(uintptr_t)page - (u64)(uintptr_t)mm->memmap;
	u64 section = offset / SECTION_MEMMAP_BYTES;

	return offset % sizeof(struct page) == 0 && section < MAX_SECTIONS &&
	       mm->section_online[section];
}

static bool is_section_memmap(const struct mm *mm, u64 pfn)
{
	u64 section = pfn / SECTION_PAGES;

	return section_memmap_pfn(section, mm->section_online[section]) == pfn;
}

static bool span_is_sane(const struct fresh_span *span)
{
	return span->first_pfn <= span->start_pfn && span->start_pfn <= span->end_pfn &&
	       span->end_pfn <= MAX_SECTIONS * SECTION_PAGES;
}

/* ---- the walk over blocks ---- */

/* Goes on to the next span that has eaten frames, if this one is at its end. */
static bool walk_to_frame(struct mm *mm, struct block_walk *walk)
{
	for (; walk->node < mm->nr_nodes; walk->node++, walk->zone_id = 0) {
		for (; walk->zone_id < NR_ZONES; walk->zone_id++, walk->span = 0) {
			struct zone *zone = &mm->node[walk->node].zone[walk->zone_id];

			for (; walk->span < zone->nr_spans && walk->span < MAX_SPANS;
			     walk->span++) {
				struct fresh_span *span = &zone->span[walk->span];

				if (!span_is_sane(span)) {
					walk->error = "a span is no range of frames";
					return false;
				}
				if (walk->pfn < span->first_pfn)
					walk->pfn = span->first_pfn;
				walk->zone = zone;
				if (walk->pfn < span->start_pfn)
					return true;
				walk->pfn = 0;
			}
		}
	}
	return false;
}

/* What is wrong with walk->page as the first frame of a block, and its order. */
static const char *look_at_head(struct block_walk *walk, bool memmap)
{
	const struct page *page = walk->page;
	bool held = page->state >= PAGE_MEMMAP;

	walk->order = page->order;
	if (page->state == PAGE_FRESH || page->state == PAGE_BODY)
		return "a frame is in no block";
	if (page->state >= PAGE_NR_STATES)
		return "a frame's state is none";
	if (page->order > MAX_ORDER || (page->state == PAGE_PCP && page->order))
		return "a block's order is none";
	if (page->zone != walk->zone->id || page->node != walk->zone->node)
		return "a frame's zone is not the one it lies in";
	if (page_is_shareable(page->word) ? page->refcount == 0 : page->refcount != held)
		return "a frame's reference count does not go with its state";
	if (memmap != (page->state == PAGE_MEMMAP))
		return "struct pages are not where their section has them";
	if (!IS_ALIGNED(walk->pfn, 1ull << page->order))
		return "a block is not aligned";
	if (walk->pfn + (1ull << page->order) > walk->zone->span[walk->span].start_pfn)
		return "a block reaches into fresh memory";
	return NULL;
}

bool block_walk_next(struct mm *mm, struct block_walk *walk)
{
	if (walk->page)
		walk->pfn += 1ull << walk->order;
	while (walk_to_frame(mm, walk)) {
		if (!mm->section_online[walk->pfn / SECTION_PAGES]) {
			/* Given up: too little RAM for its struct pages. */
			walk->pfn = ALIGN_DOWN(walk->pfn, SECTION_PAGES) + SECTION_PAGES;
			walk->page = NULL;
			continue;
		}
		walk->page = pfn_to_page(mm, walk->pfn);
		walk->error = look_at_head(walk, is_section_memmap(mm, walk->pfn));
		return walk->error == NULL;
	}
	return false;
}

/* ---- lists ---- */

/* Whether @page lies in what was eaten of @zone. */
static bool is_eaten(const struct zone *zone, u64 pfn)
{
	for (u32 i = 0; i < zone->nr_spans; i++) {
		if (pfn >= zone->span[i].first_pfn && pfn < zone->span[i].start_pfn)
			return true;
	}
	return false;
}

static const char *check_listed_block(struct mm *mm, const struct zone *zone,
				      const struct page *page, u32 order)
{
	u64 pfn;

	if (!page_is_mapped(mm, page))
		return "a free list leads to no struct page";
	pfn = page_to_pfn(mm, page);
	if (!is_eaten(zone, pfn))
		return "a free list leads out of its zone";
	if (page->word != page_word(zone, PAGE_FREE, order))
		return "a block on a free list is not free, or of another order or zone";
	if (!IS_ALIGNED(pfn, 1ull << order))
		return "a free block is not aligned";
	if (order < MAX_ORDER &&
	    pfn_to_page(mm, pfn ^ 1ull << order)->word == page_word(zone, PAGE_FREE, order))
		return "two free buddies are not merged";
	return NULL;
}

static const char *check_free_list(struct mm *mm, const struct zone *zone, u32 order,
				   struct tally *tally)
{
	const struct list_head *head = &zone->free[order], *link = head;

	for (u64 left = zone->nr_free[order];; left--) {
		const struct list_head *next = link->next;
		const char *wrong;

		if (next == head)
			return left || head->prev != link ? "a free list and its count differ"
							  : NULL;
		if (left == 0)
			return "a free list is longer than its count";
		if (!next)
			return "a free list ends";
		wrong = check_listed_block(mm, zone, list_entry(next, struct page, list), order);
		if (wrong)
			return wrong;
		if (next->prev != link)
			return "a free list's links do not agree";
		tally->listed[order]++;
		link = next;
	}
}

static const char *check_pcp(struct mm *mm, const struct zone *zone, const struct page_pcp *pcp,
			     struct tally *tally)
{
	const struct page *page = pcp->top;

	for (u64 left = pcp->count; left; left--) {
		if (!page_is_mapped(mm, page))
			return page ? "a per-CPU list leads to no struct page"
				    : "a per-CPU list is shorter than its count";
		if (!is_eaten(zone, page_to_pfn(mm, page)))
			return "a per-CPU list leads out of its zone";
		if (page->word != page_word(zone, PAGE_PCP, 0))
			return "a frame on a per-CPU list is not marked so";
		tally->pcp_listed++;
		page = page->next;
	}
	return page ? "a per-CPU list is longer than its count" : NULL;
}

static const char *check_lists(struct mm *mm, const struct zone *zone, struct tally *tally)
{
	const char *wrong = NULL;

	for (u32 order = 0; order <= MAX_ORDER && !wrong; order++)
		wrong = check_free_list(mm, zone, order, tally);
	for (u32 cpu = 0; cpu < mm->nr_cpus && !wrong; cpu++)
		wrong = check_pcp(mm, zone, &zone->pcp[cpu], tally);
	return wrong;
}

/* ---- frames ---- */

static const char *check_body(const struct block_walk *walk)
{
	u64 body = page_word(walk->zone, PAGE_BODY, 0);

	for (u64 i = 1; i < 1ull << walk->order; i++) {
		u64 word = walk->page[i].word;

		if (word != body && word != PAGE_FRESH && walk->page->state != PAGE_MEMMAP)
			return "a frame inside a block says it is something else";
	}
	return NULL;
}

static const char *check_blocks(struct mm *mm, struct tally tally[MAX_NODES][NR_ZONES])
{
	struct block_walk walk = {0};

	while (block_walk_next(mm, &walk)) {
		struct tally *its = &tally[walk.zone->node][walk.zone->id];
		const char *wrong = check_body(&walk);

		if (wrong)
			return wrong;
		its->seen[walk.order] += walk.page->state == PAGE_FREE;
		its->pcp_seen += walk.page->state == PAGE_PCP;
	}
	return walk.error;
}

/* Fresh frames [pfn, end) of an online section, less its own struct pages, added to *@count. */
static const char *count_fresh_online(struct mm *mm, const struct zone *zone, u64 pfn, u64 end,
				      u64 *count)
{
	while (pfn < end) {
		u64 word = pfn_to_page(mm, pfn)->word;

		if (!is_section_memmap(mm, pfn)) {
			if (word != PAGE_FRESH)
				return "a fresh frame's struct page is not zero";
			pfn++;
			*count += 1;
			continue;
		}
		if (word != page_word_held(zone, PAGE_MEMMAP, SECTION_MEMMAP_ORDER))
			return "a section's struct pages are not marked so";
		pfn += SECTION_MEMMAP_PAGES;
	}
	return NULL;
}

/* All fresh frames of a zone. In sections that are online, their struct pages are all zeroes. */
static const char *count_fresh(struct mm *mm, const struct zone *zone, u64 *count)
{
	const char *wrong = NULL;
	u64 pfn = 0, end;

	*count = 0;
	for (u32 i = 0; i < zone->nr_spans; i++) {
		const struct fresh_span *span = &zone->span[i];

		if (!span_is_sane(span) || span->first_pfn < pfn)
			return "a zone's spans are not in order";
		for (pfn = span->start_pfn; pfn < span->end_pfn && !wrong; pfn = end) {
			end = ALIGN_DOWN(pfn, SECTION_PAGES) + SECTION_PAGES;
			if (end > span->end_pfn)
				end = span->end_pfn;
			if (mm->section_online[pfn / SECTION_PAGES])
				wrong = count_fresh_online(mm, zone, pfn, end, count);
			else
				*count += end - pfn;
		}
	}
	return wrong;
}

static const char *check_counts(struct mm *mm, const struct zone *zone, const struct tally *tally)
{
	u64 free, managed = 0;
	const char *wrong = count_fresh(mm, zone, &free);

	if (wrong)
		return wrong;
	for (u32 order = 0; order <= MAX_ORDER; order++) {
		if (tally->listed[order] != tally->seen[order])
			return "a free block is on no list, or on two";
		free += tally->listed[order] << order;
	}
	if (tally->pcp_listed != tally->pcp_seen)
		return "a per-CPU frame is on no list, or on two";
	if (free != zone->free_pages)
		return "a zone's count of free frames is wrong";
	for (u32 i = 0; i < zone->nr_spans; i++)
		managed += zone->span[i].end_pfn - zone->span[i].first_pfn;
	return managed == zone->managed_pages ? NULL : "a zone's count of frames is wrong";
}

const char *page_alloc_check(struct mm *mm)
{
	struct tally tally[MAX_NODES][NR_ZONES] = {0};
	const char *wrong = check_blocks(mm, tally);

	for (u32 node = 0; node < mm->nr_nodes; node++) {
		for (u32 id = 0; id < NR_ZONES && !wrong; id++) {
			const struct zone *zone = &mm->node[node].zone[id];

			if (zone->nr_spans == 0)
				continue;
			if (zone->nr_spans > MAX_SPANS)
				return "a zone's count of spans is wrong";
			wrong = check_lists(mm, zone, &tally[node][id]);
			if (!wrong)
				wrong = check_counts(mm, zone, &tally[node][id]);
		}
	}
	return wrong;
}
