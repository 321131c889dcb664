/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Searching guest memory for bytes. Physical: RAM, where it was ever touched; memory nobody
 * touched holds zeroes and is passed over, because reading it would make it cost something.
 * Virtual: what the page tables map, in address order; a match may cross pages that follow each
 * other in virtual addresses. What the guest changes meanwhile may be missed or found once too
 * often.
 */
#ifndef VMM_LOOK_SEARCH_H
#define VMM_LOOK_SEARCH_H

#include "vmm/look/look.h"

#define LOOK_PATTERN_BYTES_MAX 4096

/* A guest's tables may map its RAM without end; a search ends after so many times all of it. */
#define LOOK_SEARCH_TIMES 16

struct look_search_query {
	bool physical;                    /* guest-physical addresses; else virtual ones */
	const struct paging_mode *paging; /* virtual: NULL: the kernel's */
	uint64_t start, end;              /* [start, end), any byte; both 0: everything */
	const void *pattern;
	size_t pattern_bytes; /* 1 to LOOK_PATTERN_BYTES_MAX; a u64: 8 bytes and align 8 */
	uint64_t align;       /* of a match: a power of two up to 4096; 0: 1 */
	uint64_t max_hits;    /* 0: no limit */
	/* Virtual: do not search the direct map, which is all of RAM once more. */
	bool skip_direct;
	/* Called now and then with the bytes searched; other than 0 ends the search. May be NULL.
	 */
	int (*progress)(void *context, uint64_t done_bytes);
};

struct look_search_sum {
	uint64_t hits;
	uint64_t bytes; /* searched */
	bool cut;       /* max_hits, tables that refer to themselves, or LOOK_SEARCH_TIMES */
};

/* @address is of the match's first byte. */
typedef int (*look_hit_fn)(void *context, uint64_t address);

/* Errors: -EINVAL (the query), -ENOMEM, a callback's. Overlapping matches are all found. */
int look_search(struct inspector *inspector, const struct look_search_query *query, look_hit_fn hit,
		void *context, struct look_search_sum *sum_out);

#endif
