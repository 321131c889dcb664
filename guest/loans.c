/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames of the host's in areas.
 */
#include "guest/loans.h"

#include "mm/errno.h"

struct page *host_page(u64 pfn, u32 order)
{
	struct mm *mm = &machine.mm;
	struct page *page;

	if (pfn >= MAX_SECTIONS * SECTION_PAGES ||
	    !smp_load_acquire(&mm->section_online[pfn / SECTION_PAGES]))
		return NULL;
	page = pfn_to_page(mm, pfn);
	if (page->state != PAGE_OTHER || page->owner != host_owner() || page->order != order)
		return NULL;
	return page;
}

/* While a list is looked at, a frame of it belongs to nobody, so that it is not found twice. */
static void mark(struct page **pages, u64 nr, void *owner)
{
	for (u64 i = 0; i < nr; i++)
		pages[i]->owner = owner;
}

static int take_given(struct page **pages, const u64 *pfns, u64 nr)
{
	int err = 0;
	u64 i;

	for (i = 0; i < nr && !err; i++) {
		pages[i] = host_page(READ_ONCE(pfns[i]), 0);
		if (!pages[i])
			err = -EINVAL;
		else if (pages[i]->index)
			err = -EBUSY;
		else
			pages[i]->owner = NULL;
	}
	mark(pages, err ? i - 1 : nr, host_owner());
	return err;
}

static int take_shown(struct page **pages, const u64 *pfns, u64 nr)
{
	for (u64 i = 0; i < nr; i++) {
		pages[i] = host_page(READ_ONCE(pfns[i]), 0);
		if (!pages[i])
			return -EINVAL;
	}
	return 0;
}

int loan_make(const u64 *pfns, u64 nr, bool give, struct loan **loan_out)
{
	struct mm *mm = &machine.mm;
	struct loan *loan;
	int err;

	if (nr == 0)
		return -EINVAL;
	loan = kmalloc_node(mm, sizeof(*loan), GFP_KERNEL, NUMA_NO_NODE);
	if (!loan)
		return -ENOMEM;
	loan->pages = kmalloc_node(mm, nr * sizeof(loan->pages[0]), GFP_KERNEL, NUMA_NO_NODE);
	if (!loan->pages) {
		kfree(mm, loan);
		return -ENOMEM;
	}
	loan->nr_pages = nr;
	loan->nr_shown = 0;
	err = (give ? take_given : take_shown)(loan->pages, pfns, nr);
	if (err) {
		loan_drop(loan);
		return err;
	}
	*loan_out = loan;
	return 0;
}

void loan_drop(struct loan *loan)
{
	kfree(&machine.mm, loan->pages);
	kfree(&machine.mm, loan);
}

void loan_begin(struct loan *loan, u64 addr)
{
	loan_end(addr);
	for (u64 i = 0; i < loan->nr_pages; i++)
		loan->pages[i]->index++;
	loan->nr_shown = loan->nr_pages;
	loan->keyed.key = addr;
	keyed_insert(&machine.host.loans, &loan->keyed);
}

static void end_pages(struct loan *loan, u64 first, u64 last)
{
	for (u64 i = first; i < last && i < loan->nr_pages; i++) {
		if (!loan->pages[i])
			continue;
		loan->pages[i]->index--;
		loan->pages[i] = NULL;
		loan->nr_shown--;
	}
	if (loan->nr_shown)
		return;
	keyed_erase(&machine.host.loans, &loan->keyed);
	loan_drop(loan);
}

void loan_end_range(u64 addr, u64 bytes)
{
	struct keyed *found = keyed_at_or_below(&machine.host.loans, addr);
	u64 first;

	if (!found)
		return;
	first = (addr - found->key) >> PAGE_SHIFT;
	end_pages(container_of(found, struct loan, keyed), first, first + (bytes >> PAGE_SHIFT));
}

void loan_end(u64 addr)
{
	struct keyed *found = keyed_find(&machine.host.loans, addr);
	struct loan *loan;

	if (!found)
		return;
	loan = container_of(found, struct loan, keyed);
	end_pages(loan, 0, loan->nr_pages);
}
