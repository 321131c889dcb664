/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page tables as ranges: leaves come in address order, and each either continues the last range. */
#include "vmm/look/maps.h"

#include <errno.h>

#include "mm/x86.h"

struct merge {
	struct inspector *inspector;
	const struct look_maps_query *query;
	look_map_fn map;
	void *context;
	struct look_maps_sum *sum;
	struct look_map range; /* the one that grows; no leaves: none */
	uint64_t next_gpa;     /* what would continue its frames */
	uint64_t region_end;
};

#define MERGE_CUT 1

static int finish(struct merge *merge)
{
	int err;

	if (merge->range.leaves == 0)
		return 0;
	merge->sum->ranges++;
	err = merge->map(merge->context, &merge->range);
	merge->range.leaves = 0;
	return err;
}

static void count(struct look_maps_sum *sum, const struct paging_leaf *leaf)
{
	sum->leaves++;
	sum->bytes += leaf->page_bytes;
	if (leaf->level == 1)
		sum->leaves_4k++;
	else if (leaf->level == 2)
		sum->leaves_2m++;
	else
		sum->leaves_1g++;
}

static bool continues(const struct merge *merge, const struct paging_leaf *leaf)
{
	const struct look_map *range = &merge->range;
	bool global = (leaf->entry.value & X86_PTE_G) != 0;

	return range->leaves != 0 && leaf->gva.value == range->end &&
	       leaf->page_bytes == range->page_bytes && leaf->rights == range->rights &&
	       global == range->global && leaf->gva.value != merge->region_end &&
	       !(merge->query->split_frames && leaf->gpa.value != merge->next_gpa);
}

static int begin(struct merge *merge, const struct paging_leaf *leaf)
{
	struct look_place place;
	int err = finish(merge);

	if (err)
		return err;
	if (merge->query->max_ranges && merge->sum->ranges == merge->query->max_ranges) {
		merge->sum->cut = true;
		return MERGE_CUT;
	}
	look_place(merge->inspector, leaf->gva.value, &place);
	merge->region_end = place.end;
	merge->range = (struct look_map){
		.start = leaf->gva.value,
		.gpa = leaf->gpa.value,
		.page_bytes = leaf->page_bytes,
		.rights = leaf->rights,
		.global = (leaf->entry.value & X86_PTE_G) != 0,
		.region = place.region,
		.runs = 1,
	};
	return 0;
}

static int merge_leaf(void *context, const struct paging_leaf *leaf)
{
	struct merge *merge = context;

	if (!continues(merge, leaf)) {
		int err = begin(merge, leaf);

		if (err)
			return err;
	} else if (leaf->gpa.value != merge->next_gpa) {
		merge->range.runs++;
	}
	count(merge->sum, leaf);
	merge->range.leaves++;
	merge->range.end = leaf->gva.value + leaf->page_bytes;
	merge->next_gpa = leaf->gpa.value + leaf->page_bytes;
	return 0;
}

static int count_bad(void *context, const struct paging_bad_entry *bad)
{
	struct merge *merge = context;

	if (merge->sum->bad_entries++ == 0)
		merge->sum->first_bad = bad->gva.value;
	return 0;
}

int look_maps(struct inspector *inspector, const struct look_maps_query *query, look_map_fn map,
	      void *context, struct look_maps_sum *sum_out)
{
	struct look_maps_sum sum = {0};
	struct merge merge = {.inspector = inspector,
			      .query = query,
			      .map = map,
			      .context = context,
			      .sum = &sum};
	const struct paging_visitor visitor = {
		.leaf = merge_leaf, .bad = count_bad, .context = &merge};
	int err;

	if ((query->start | query->end) % INSPECT_PAGE_BYTES != 0 ||
	    (query->end != 0 && query->end < query->start))
		return -EINVAL;
	inspect_refresh(inspector);
	err = look_for_each(inspector, query->paging, query->start, query->end, &visitor,
			    &sum.tables);
	if (err == -ELOOP || (err == MERGE_CUT && sum.cut)) {
		sum.cut = true;
		err = 0;
	}
	if (!err)
		err = finish(&merge);
	if (!err && sum_out)
		*sum_out = sum;
	return err;
}
