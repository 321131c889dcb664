/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that reads faults and answers them. It never touches the watched memory itself: it
 * would wait for its own answer.
 */
#include <errno.h>
#include <sys/mman.h>

#include "ept/trap_private.h"
#include "lib/thread.h"

/* Pages after one that nobody watches that are opened with it. */
#define AROUND_PAGES 16

static struct trap_region *region_of(const struct trap_set *set, uint64_t address,
				     uint64_t *page_out)
{
	for (size_t i = 0; i < set->nr_regions; i++) {
		struct trap_region *region = &set->regions[i];
		uint64_t page = (address - (uintptr_t)region->slot_host) / EPT_PAGE_BYTES;

		if (address < (uintptr_t)region->slot_host || page >= region->nr_pages)
			continue;
		*page_out = page;
		return region;
	}
	return NULL;
}

/*
 * Gives @page what is in the file, or zeroes where nothing is; with @wake, wakes who waits. Not
 * there (any more) to be filled: woken all the same, the kernel looks again.
 */
static void fill(const struct trap_set *set, const struct trap_region *region, uint64_t page,
		 bool wake)
{
	char *at = trap_slot_page(region, page);
	int64_t done = uffd_continue(set->uffd, at, EPT_PAGE_BYTES, wake);

	if (done == -EFAULT)
		done = uffd_zero(set->uffd, at, EPT_PAGE_BYTES, wake);
	if (done < 0 && wake)
		(void)uffd_wake(set->uffd, at, EPT_PAGE_BYTES);
}

/* Entries for pages after @page that have none, that nobody watches and that the file has. */
static void fill_around(const struct trap_set *set, const struct trap_region *region, uint64_t page)
{
	uint64_t limit = (page | (region->chunk_pages - 1)) + 1, end;

	if (limit > region->nr_pages)
		limit = region->nr_pages;
	if (limit > page + AROUND_PAGES)
		limit = page + AROUND_PAGES;
	for (end = page + 1; end < limit && region->pages[end] == 0; end++)
		;
	if (end > page + 1)
		(void)uffd_continue(set->uffd, trap_slot_page(region, page + 1),
				    (end - page - 1) * EPT_PAGE_BYTES, true);
}

/* A fault that nobody is told: of a page not watched, open, or read where writes are watched. */
static void pass(struct trap_set *set, struct trap_region *region, uint64_t page,
		 const struct uffd_fault *fault)
{
	uint8_t state = region->pages[page];
	char *at = trap_slot_page(region, page);

	set->counts.passed++;
	if (state == (PAGE_OPEN | TRAP_ANY) || state == 0)
		fill(set, region, page, true);
	else if (state & PAGE_OPEN)
		fault->protect ? (void)uffd_protect(set->uffd, at, EPT_PAGE_BYTES, false, true)
			       : fill(set, region, page, true);
	else { /* its entry was taken away, by memory pressure: it comes back protected */
		fill(set, region, page, false);
		(void)uffd_protect(set->uffd, at, EPT_PAGE_BYTES, true, false);
		(void)uffd_wake(set->uffd, at, EPT_PAGE_BYTES);
	}
	if (state == 0)
		fill_around(set, region, page);
}

/* With lock held; the page is closed. */
static void obey(struct trap_set *set, struct trap_region *region, uint64_t page,
		 enum trap_answer answer, const struct uffd_fault *fault)
{
	char *at = trap_slot_page(region, page);

	switch (answer) {
	case TRAP_LET:
		region->pages[page] |= PAGE_OPEN;
		pass(set, region, page, fault);
		set->counts.passed--;
		return;
	case TRAP_HOLD:
		region->pages[page] |= PAGE_HELD;
		return;
	case TRAP_FAIL:
		region->pages[page] |= PAGE_FAILED;
		(void)mprotect(at, EPT_PAGE_BYTES, PROT_NONE);
		(void)uffd_wake(set->uffd, at, EPT_PAGE_BYTES);
		return;
	}
}

static void on_fault(void *context, const struct uffd_fault *fault)
{
	struct trap_set *set = context;
	struct trap_region *region;
	struct trap_event event;
	enum trap_answer answer;
	uint64_t page;
	uint8_t state;

	pthread_mutex_lock(&set->lock);
	region = region_of(set, fault->address, &page);
	if (!region)
		goto unlock; /* its removal woke who waited */
	state = region->pages[page];
	if (!trap_closed(state) || ((state & PAGE_WATCH) == TRAP_WRITE && !fault->write)) {
		pass(set, region, page, fault);
		goto unlock;
	}
	event = (struct trap_event){
		.gpa = gpa_add(region->start, fault->address - (uintptr_t)region->slot_host),
		.watched = state & PAGE_WATCH,
		.write = fault->write,
		.thread = fault->thread,
	};
	set->counts.events++;
	pthread_mutex_unlock(&set->lock);
	answer = set->fn(set->context, &event);
	pthread_mutex_lock(&set->lock);
	region = region_of(set, fault->address, &page);
	if (region && trap_closed(region->pages[page]))
		obey(set, region, page, answer, fault);
	else if (region)
		pass(set, region, page, fault);
unlock:
	pthread_mutex_unlock(&set->lock);
}

void *trap_thread(void *context)
{
	struct trap_set *set = context;

	thread_begin(THREAD_TRAP);
	uffd_serve(set->uffd, set->stop, on_fault, set);
	return NULL;
}
