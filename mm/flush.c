/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mm/flush.h"

#include "mm/mm.h"

void mm_flush_tlb(struct mm *mm, u64 start, u64 end)
{
	struct flush_record *record;

	mm->ops->flush_tlb_kernel_range(mm->arch, start, end);
	record = &mm->flushes.record[__atomic_fetch_add(&mm->flushes.nr, 1, __ATOMIC_ACQ_REL) %
				     NR_FLUSH_RECORDS];
	record->start = start;
	record->end = end;
}
