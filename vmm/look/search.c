/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Searching: pages are copied, once, into a window that keeps the end of what came before, so that
 * a match may begin there; a page that does not follow begins a new window.
 */
#include "vmm/look/search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE           INSPECT_PAGE_BYTES
#define PROGRESS_BYTES (16ull << 20)
#define SEARCH_CUT     1

struct search {
	struct inspector *inspector;
	const struct look_search_query *query;
	look_hit_fn hit;
	void *context;
	struct look_search_sum sum;
	uint64_t align;
	uint64_t bytes_max; /* of memory to search */
	uint64_t until_progress;
	/* RAM is untouched in [asked, touched_start), and then touched up to touched_end. */
	uint64_t asked, touched_start, touched_end;
	uint64_t window_start; /* the address of window[0] */
	size_t window_bytes;
	uint8_t window[LOOK_PATTERN_BYTES_MAX + PAGE];
};

static int report(struct search *search, uint64_t address)
{
	if (search->query->max_hits && search->sum.hits == search->query->max_hits) {
		search->sum.cut = true;
		return SEARCH_CUT;
	}
	search->sum.hits++;
	return search->hit(search->context, address);
}

/* The first multiple of the alignment at or above @offset of the window. */
static size_t align_up(const struct search *search, size_t offset)
{
	uint64_t address = search->window_start + offset;

	return offset + (size_t)((0 - address) & (search->align - 1));
}

/* Finds matches that begin in the window from @from on. */
static int find(struct search *search, size_t from)
{
	const struct look_search_query *query = search->query;

	for (size_t at = align_up(search, from); at < search->window_bytes;) {
		const uint8_t *found = memmem(search->window + at, search->window_bytes - at,
					      query->pattern, query->pattern_bytes);
		size_t offset;

		if (!found)
			return 0;
		offset = (size_t)(found - search->window);
		if (align_up(search, offset) == offset) {
			int err = report(search, search->window_start + offset);

			if (err)
				return err;
		}
		at = align_up(search, offset + 1);
	}
	return 0;
}

static int tell_progress(struct search *search, uint64_t bytes)
{
	search->sum.bytes += bytes;
	if (search->sum.bytes > search->bytes_max) {
		search->sum.cut = true;
		return SEARCH_CUT;
	}
	search->until_progress += bytes;
	if (!search->query->progress || search->until_progress < PROGRESS_BYTES)
		return 0;
	search->until_progress = 0;
	return search->query->progress(search->context, search->sum.bytes);
}

/* Adds [address, address + bytes) of one page, at @from in this process. */
static int feed(struct search *search, uint64_t address, const void *from, size_t bytes)
{
	size_t keep = search->query->pattern_bytes - 1;
	int err;

	if (search->window_bytes == 0 || search->window_start + search->window_bytes != address) {
		search->window_bytes = 0;
		search->window_start = address;
	} else if (search->window_bytes > keep) {
		memmove(search->window, search->window + search->window_bytes - keep, keep);
		search->window_start += search->window_bytes - keep;
		search->window_bytes = keep;
	}
	memcpy(search->window + search->window_bytes, from, bytes);
	search->window_bytes += bytes;
	err = find(search, 0);
	return err ? err : tell_progress(search, bytes);
}

/* Whether the page at @gpa may hold anything. */
static bool is_touched(struct search *search, uint64_t gpa)
{
	if (gpa < search->asked || gpa >= search->touched_end) {
		search->asked = gpa;
		if (!inspect_touched(search->inspector, gpa, &search->touched_start,
				     &search->touched_end))
			search->touched_start = search->touched_end = UINT64_MAX;
	}
	return gpa >= search->touched_start && gpa < search->touched_end;
}

/* Searches [address, address + bytes), which lies in one page, that at @gpa. */
static int search_part(struct search *search, uint64_t address, uint64_t gpa, size_t bytes)
{
	const struct inspect_source *source = inspect_source_of(search->inspector);
	const void *from;

	from = source->physical(source->context, gpa, bytes);
	return from ? feed(search, address, from, bytes) : 0;
}

/* ---- physical ---- */

static int search_physical(struct search *search, uint64_t start, uint64_t end)
{
	uint64_t first, last;
	int err = 0;

	while (!err && start < end &&
	       inspect_touched(search->inspector, start & ~(PAGE - 1), &first, &last)) {
		if (start < first)
			start = first;
		while (!err && start < last && start < end) {
			uint64_t part = PAGE - start % PAGE;

			if (part > end - start)
				part = end - start;
			err = search_part(search, start, start, part);
			start += part;
		}
	}
	return err;
}

/* ---- virtual ---- */

static int search_leaf(void *context, const struct paging_leaf *leaf)
{
	struct search *search = context;
	uint64_t start = leaf->gva.value, last = start + (leaf->page_bytes - 1);
	uint64_t from = search->query->start, to = search->query->end - 1;

	if (start < from)
		start = from;
	if (last > to)
		last = to;
	for (;;) {
		uint64_t gpa = leaf->gpa.value + (start - leaf->gva.value);
		uint64_t part = PAGE - start % PAGE;
		int err = 0;

		/* Over what was never touched in one step: there may be much of it. */
		if (!is_touched(search, gpa & ~(PAGE - 1)))
			part = search->touched_start - gpa;
		else if (part - 1 <= last - start)
			err = search_part(search, start, gpa, part);
		else
			err = search_part(search, start, gpa, last - start + 1);
		if (err || part - 1 >= last - start)
			return err;
		start += part;
	}
}

static int search_virtual(struct search *search, uint64_t start, uint64_t end)
{
	const struct paging_visitor visitor = {.leaf = search_leaf, .context = search};

	return look_for_each(search->inspector, search->query->paging, start, end, &visitor, NULL);
}

/* Virtual memory below and above the direct map; @query is changed. */
static int search_around_direct(struct search *search, struct look_search_query *query)
{
	const struct layout *l = inspect_layout(search->inspector);
	uint64_t end = query->end, hole = l->direct_base;
	uint64_t hole_end = hole + inspect_end_pfn(search->inspector) * PAGE;
	int err = 0;

	if (query->start < hole) {
		if (end == 0 || end > hole)
			query->end = hole;
		err = search_virtual(search, query->start, query->end);
	}
	query->end = end;
	if (query->start < hole_end)
		query->start = hole_end;
	if (!err && (end == 0 || query->start < end))
		err = search_virtual(search, query->start, end);
	return err;
}

/* ---- the call ---- */

static bool query_good(const struct look_search_query *query)
{
	return query->pattern_bytes >= 1 && query->pattern_bytes <= LOOK_PATTERN_BYTES_MAX &&
	       query->align <= PAGE && (query->align & (query->align - 1)) == 0 &&
	       (query->end == 0 || query->start <= query->end);
}

int look_search(struct inspector *inspector, const struct look_search_query *query, look_hit_fn hit,
		void *context, struct look_search_sum *sum_out)
{
	struct look_search_query mine = *query;
	struct search *search;
	int err;

	if (!query_good(query))
		return -EINVAL;
	search = calloc(1, sizeof(*search));
	if (!search)
		return -ENOMEM;
	search->inspector = inspector;
	search->query = &mine;
	search->hit = hit;
	search->context = context;
	search->align = query->align ? query->align : 1;
	search->bytes_max = LOOK_SEARCH_TIMES * inspect_ram_pages(inspector) * PAGE;
	inspect_refresh(inspector);
	if (query->physical)
		err = search_physical(search, query->start, query->end ? query->end : NB_RAM_LIMIT);
	else if (query->skip_direct)
		err = search_around_direct(search, &mine);
	else
		err = search_virtual(search, query->start, query->end);
	if (err == -ELOOP || (err == SEARCH_CUT && search->sum.cut)) {
		search->sum.cut = true;
		err = 0;
	}
	if (!err)
		*sum_out = search->sum;
	free(search);
	return err;
}
