/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation through both stages: a guest linear address by the guest's tables to a
 * guest-physical one, and by the second stage to the host. The guest's tables lie in
 * guest-physical memory, so reading each of them is a second-stage walk of its own: with four
 * levels each, 24 entries (Intel SDM vol. 3C, section 29.3; AMD APM vol. 2, section 15.25).
 *
 *      gva --> PML4E --> PDPTE --> PDE --> PTE --> gpa
 *               ^ 4       ^ 4      ^ 4     ^ 4      | 4    second-stage entries for each
 *                                                   v
 *                                                  host
 *
 * All tables may change while they are read, and the guest's may lie: see ept/paging.h.
 */
#ifndef EPT_WALK2D_H
#define EPT_WALK2D_H

#include "ept/gpa_space.h"
#include "ept/paging.h"
#include "ept/stage2.h"

/* Five levels on both sides: 5 * (5 + 1) + 5. */
#define WALK2D_ENTRIES_MAX 35

struct walk2d_entry {
	unsigned int stage; /* 1 the guest's, 2 the second stage's */
	unsigned int level; /* 5..1 */
	gpa_t gpa;          /* stage 1: where the entry is; stage 2: the address being translated */
	hpa_t hpa;          /* where the entry is */
	uint64_t value;
};

enum walk2d_end {
	WALK2D_MAPPED,
	WALK2D_STAGE1,             /* the guest's tables end it: a page fault in the guest */
	WALK2D_STAGE2_TABLE,       /* a guest table is not mapped by the second stage */
	WALK2D_STAGE2_TABLE_RIGHT, /* or not readable */
	WALK2D_STAGE2_PAGE,        /* the page itself is not mapped by the second stage */
};

struct walk2d {
	enum walk2d_end end;
	enum paging_status stage1; /* how the guest's walk ended */
	enum stage2_status stage2; /* how the last second-stage walk ended */
	unsigned int level;        /* of the guest's table or entry where it ended */
	unsigned int entry_count;
	struct walk2d_entry entries[WALK2D_ENTRIES_MAX]; /* in the order they are read */
	gpa_t gpa; /* valid for WALK2D_MAPPED and WALK2D_STAGE2_PAGE */
	uint64_t stage1_bytes;
	/* Valid for WALK2D_MAPPED: */
	hpa_t hpa;
	uint64_t stage2_bytes;
	uint64_t tlb_bytes;  /* the smaller of the two: what a TLB entry can cover */
	unsigned int rights; /* PAGING_R..: granted by both stages */
};

/*
 * Walks @gva; always fills @walk_out. @reader reads host-physical pages, the second stage's
 * tables and the guest's.
 */
void walk2d_walk(const struct paging_mode *stage1, const struct stage2_mode *stage2,
		 const struct stage2_reader *reader, gva_t gva, struct walk2d *walk_out);

/* ---- a second stage that is no tables ---- */

/* What the second stage has for a guest-physical address: one leaf. */
struct walk2d_leaf {
	gpa_t gpa; /* its first byte */
	uint64_t bytes;
	unsigned int rights; /* STAGE2_R.. */
	void *host;          /* where this process has it */
};

/*
 * @leaf returns false where nothing is mapped, with gpa and bytes of *leaf_out saying how far at
 * least that holds.
 */
struct walk2d_source {
	bool (*leaf)(void *context, gpa_t gpa, struct walk2d_leaf *leaf_out);
	void *context;
};

/* A source that is a gpa_space: leaves as large as the addresses of its regions allow. */
struct walk2d_source walk2d_source_space(const struct gpa_space *space);

#endif
