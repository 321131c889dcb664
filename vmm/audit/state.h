/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an audit remembers between runs. Private to this room. */
#ifndef VMM_AUDIT_STATE_H
#define VMM_AUDIT_STATE_H

#include "vmm/audit/audit.h"

/* A page that a TLB may know, with the frame it mapped when @nr flushes were over. */
struct tlb_page {
	uint64_t gva, pfn, nr;
};

struct tlb_pages {
	struct tlb_page *page; /* ascending by gva */
	size_t count;
};

struct audit {
	uint64_t runs, checks, violations;
	size_t nr_kept, kept_of[AUDIT_NR_CHECKS];
	struct audit_violation kept[AUDIT_KEPT_MAX];
	/* Expectations by address, open addressing; a slot with size 0 is empty. */
	struct audit_expectation *expected;
	size_t expected_slots, nr_expected;
	struct tlb_pages tlb;
	bool (*go_on)(void *context, unsigned int done, unsigned int total); /* or NULL */
	void *go_on_context;
	struct audit_prober prober; /* load is NULL where nobody probes */
};

#endif
