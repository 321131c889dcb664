/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filling and emptying the per-CPU lists. A list is a stack; both ways move many frames under one
 * zone->lock, and try to move them as blocks.
 */
#include "mm/buddy.h"

#define PCP_REFILL_ORDER 5

bool pcp_refill(struct mm *mm, struct zone *zone, struct page_pcp *pcp, u64 floor)
{
	u64 word = page_word(zone, PAGE_PCP, 0);
	struct page *first, *page, *top = pcp->top;
	u32 order;

	for (order = PCP_REFILL_ORDER;; order--) {
		first = buddy_alloc(mm, zone, order, word, floor);
		if (first)
			break;
		if (order == 0)
			return false;
	}
	for (page = first + (1u << order); page-- != first;) {
		page_set_word(page, word);
		page->next = top;
		top = page;
	}
	pcp->top = top;
	pcp->count += 1u << order;
	return true;
}

/*
 * Takes frames off @pcp that lie one after the other, at least one and at most @most, and makes
 * all but the first PAGE_BODY. Returns how many.
 */
static u32 pop_run(struct zone *zone, struct page_pcp *pcp, u32 most)
{
	u64 body = page_word(zone, PAGE_BODY, 0);
	struct page *first = pcp->top, *page = first->next;
	u32 run = 1;

	for (; run < most && page == first + run; run++) {
		page_set_word(page, body);
		page = page->next;
	}
	pcp->top = page;
	return run;
}

/* Gives @run frames from @page on back, in the largest blocks they make up. */
static void free_run(struct mm *mm, struct zone *zone, struct page *page, u32 run)
{
	while (run) {
		u64 pfn = page_to_pfn(mm, page);
		u32 order = 0;

		while (order < MAX_ORDER && IS_ALIGNED(pfn, 2ull << order) && 2u << order <= run)
			order++;
		buddy_free(mm, zone, page, order);
		page += 1u << order;
		run -= 1u << order;
	}
}

/*
 * What came from one block and was freed in bulk lies on the list in ascending order, and needs no
 * merging frame by frame.
 */
void pcp_drain(struct mm *mm, struct zone *zone, struct page_pcp *pcp, u32 nr)
{
	if (nr > pcp->count)
		nr = pcp->count;
	pcp->count -= nr;
	spin_lock(&zone->lock);
	while (nr) {
		struct page *first = pcp->top;
		u32 run = pop_run(zone, pcp, nr);

		free_run(mm, zone, first, run);
		nr -= run;
	}
	spin_unlock(&zone->lock);
}

void drain_pages(struct mm *mm, u32 cpu)
{
	for (u32 id = 0; id < mm->nr_nodes; id++) {
		for (u32 z = 0; z < NR_ZONES; z++) {
			struct zone *zone = &mm->node[id].zone[z];

			if (zone->pcp[cpu].count)
				pcp_drain(mm, zone, &zone->pcp[cpu], zone->pcp[cpu].count);
		}
	}
}

void drain_local_pages(struct mm *mm)
{
	drain_pages(mm, cpu_id(mm));
}
