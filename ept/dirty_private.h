/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of dirty tracking share: dirty.c keeps the stamps, dirty_collect.c fills them
 * from KVM.
 */
#ifndef EPT_DIRTY_PRIVATE_H
#define EPT_DIRTY_PRIVATE_H

#include "ept/dirty.h"

struct kvm_dirty_gfn;

struct tracked {
	uint32_t region; /* gpa_region.id */
	gpa_t start;
	gpa_t end;
	bool on;
	uint32_t *stamps; /* one a page: the last epoch it was written in, 0 never */
};

struct ring {
	struct kvm_dirty_gfn *entries;
	uint32_t next;
};

struct dirty_tracker {
	int vm_fd;
	struct gpa_space *space;
	struct kvm_slots *slots;
	enum dirty_method method;
	bool manual; /* the bitmap is cleared by us only */
	uint32_t ring_entries;
	uint32_t epoch;
	uint64_t epoch_pages; /* pages first written in this epoch */
	struct tracked *tracked;
	size_t tracked_count;
	struct ring *rings;
	size_t ring_count;
	uint64_t *bitmap; /* scratch, for the largest slot so far */
	size_t bitmap_words;
	/* Welford's running mean and sum of squares of the pages a second. */
	struct dirty_rate rate;
	double squares;
};

static inline uint64_t dirty_pages_of(gpa_t start, gpa_t end)
{
	return (end.value - start.value) / EPT_PAGE_BYTES;
}

/* Stamps @page of @tracked, which is a page of it, with the current epoch. Any thread. */
void dirty_mark(struct dirty_tracker *tracker, struct tracked *tracked, uint64_t page);

/* The same for [start, start + size_bytes), inside the region and not empty. */
void dirty_mark_range(struct dirty_tracker *tracker, struct tracked *tracked, gpa_t start,
		      uint64_t size_bytes);

/* What is known of the region with this id, or NULL. */
struct tracked *dirty_find(const struct dirty_tracker *tracker, uint32_t region);

#endif
