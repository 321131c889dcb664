/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLB flushes and the ledger of them: whoever looks at the core from outside can tell whether a
 * page that maps another frame than before was flushed in between.
 */
#ifndef MM_FLUSH_H
#define MM_FLUSH_H

#include "mm/types.h"

struct mm;

#define NR_FLUSH_RECORDS 256

struct flush_record {
	u64 start, end; /* [start, end) */
};

/* The flush with number n, counted from 0, is record[n % NR_FLUSH_RECORDS]. */
struct flush_ledger {
	u64 nr; /* flushes that are over */
	struct flush_record record[NR_FLUSH_RECORDS];
};

/*
 * The flush_tlb_kernel_range() of mm/arch.h, with its rules, and a record of it once it is over.
 * Of two CPUs that flush at the same time either may have the lower number.
 */
void mm_flush_tlb(struct mm *mm, u64 start, u64 end);

#endif
