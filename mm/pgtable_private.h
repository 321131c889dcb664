/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the page tables share: entries, the parts of a range, the walk.
 */
#ifndef MM_PGTABLE_PRIVATE_H
#define MM_PGTABLE_PRIVATE_H

#include "mm/mm.h"
#include "mm/pgtable.h"

static inline u64 level_bytes(int level)
{
	return 1ull << X86_LEVEL_SHIFT(level);
}

static inline u64 entry_index(u64 va, int level)
{
	return (va >> X86_LEVEL_SHIFT(level)) & (X86_TABLE_ENTRIES - 1);
}

static inline u64 entry_read(const u64 *entry)
{
	return smp_load_acquire(entry);
}

/*
 * Writes a leaf, which is its area's owner's alone, in one piece: of the processors that may walk
 * there meanwhile none sees a half.
 */
static inline void leaf_write(u64 *entry, u64 value)
{
	*(volatile u64 *)entry = value;
}

/*
 * Whether an upper entry names a table: its flags are those the core and the boot give one, and no
 * others but what the processor adds. Any other entry that is not clear is a large leaf or bad (the
 * seed's pmd_bad()).
 */
static inline bool is_table(u64 entry)
{
	return (entry & ~(X86_PTE_ADDR_MASK | X86_PTE_US | X86_PTE_A | X86_PTE_D)) ==
	       (X86_PTE_P | X86_PTE_RW);
}

static inline bool is_leaf(u64 entry, int level)
{
	return (entry & X86_PTE_P) && (level == 1 || (level < 4 && (entry & X86_PTE_PS)));
}

static inline u64 *table_at(const struct mm *mm, u64 entry)
{
	return phys_to_virt(mm, entry & X86_PTE_ADDR_MASK);
}

/* Both addresses in one canonical half (vol. 1, 3.3.7.1): bits 63:47 all alike, and the same. */
static inline bool is_canonical_range(u64 start, u64 last)
{
	s64 sign = (s64)start >> 47;

	return start <= last && sign == (s64)last >> 47 && (sign == 0 || sign == -1);
}

/* The end of the part of [va, end) below the next multiple of @step. */
static inline u64 part_end(u64 va, u64 end, u64 step)
{
	u64 last = va | (step - 1);

	return last < end - 1 ? last + 1 : end;
}

/*
 * Walks down to @level or to where no table leads on: returns that entry, its level in
 * *@level_out.
 */
u64 *pt_walk(const struct mm *mm, const struct page_table *pt, u64 va, int level, int *level_out);

/*
 * Makes what tables are missing until @va has an entry of @level. Returns 0; -EBUSY where a large
 * leaf or a bad entry is in the way; -ENOMEM.
 */
int pt_make_tables(struct mm *mm, struct page_table *pt, u64 va, int level, gfp_t gfp);

#endif
