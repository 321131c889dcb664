/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables: physical ranges mapped with leaves of any size, and the end of a process's tables.
 */
#include "mm/errno.h"
#include "mm/pgtable_private.h"
#include "mm/string.h"

/* ---- mapping physical ranges ---- */

/* A leaf of @level: in large ones PS is set and the PAT bit has another place. */
static u64 make_leaf(u64 phys, pgprot_t prot, int level)
{
	if (level == 1)
		return phys | prot;
	if (prot & X86_PTE_PAT)
		prot |= X86_PTE_PAT_BIG;
	return phys | prot | X86_PTE_PS;
}

/* The largest level a leaf at @va may have; a table in its place, even an empty one, stays. */
static int leaf_level(const struct mm *mm, const struct page_table *pt, u64 va, u64 end, u64 phys,
		      int max_level)
{
	int level = max_level, at;

	while (level > 1 &&
	       (!IS_ALIGNED(va | phys, level_bytes(level)) || end - va < level_bytes(level) ||
		(is_table(entry_read(pt_walk(mm, pt, va, level, &at))) && at == level)))
		level--;
	return level;
}

/* Makes the tables for every leaf of the range and sees that the leaves' places are clear. */
static int prepare_range(struct mm *mm, struct page_table *pt, u64 start, u64 end, u64 phys,
			 int max_level)
{
	int level, at, err;

	for (u64 va = start; va != end; va += level_bytes(level)) {
		level = leaf_level(mm, pt, va, end, phys + (va - start), max_level);
		err = pt_make_tables(mm, pt, va, level, GFP_KERNEL);
		if (err)
			return err;
		if (entry_read(pt_walk(mm, pt, va, level, &at)))
			return -EBUSY;
	}
	return 0;
}

int pt_map_range(struct mm *mm, struct page_table *pt, u64 start, u64 end, u64 phys, pgprot_t prot,
		 int max_level)
{
	int level, at, err;

	if (start >= end || !is_canonical_range(start, end - 1) ||
	    !IS_ALIGNED(start | end | phys, PAGE_SIZE) || max_level < 1 || max_level > 3 ||
	    phys >> X86_PHYSICAL_BITS_MAX || (phys + (end - start) - 1) >> X86_PHYSICAL_BITS_MAX)
		return -EINVAL;
	err = prepare_range(mm, pt, start, end, phys, max_level);
	if (err)
		return err;
	for (u64 va = start; va != end; va += level_bytes(level)) {
		u64 to = phys + (va - start);

		level = leaf_level(mm, pt, va, end, to, max_level);
		WRITE_ONCE(*pt_walk(mm, pt, va, level, &at), make_leaf(to, prot, level));
	}
	return 0;
}

/* ---- the end of tables ---- */

/* Frees the table @entry names, of @level, and those it leads to. */
static void free_table(struct mm *mm, struct page_table *pt, u64 entry, int level)
{
	const u64 *table = table_at(mm, entry);

	for (u32 i = 0; level > 1 && i < X86_TABLE_ENTRIES; i++) {
		if (is_table(table[i]))
			free_table(mm, pt, table[i], level - 1);
	}
	free_pages(mm, pfn_to_page(mm, (entry & X86_PTE_ADDR_MASK) >> PAGE_SHIFT), 0);
	pt->nr_tables--;
}

void pt_free_lower_half(struct mm *mm, struct page_table *pt)
{
	u64 *root = table_at(mm, pt->root_phys);

	for (u32 i = 0; i < X86_TABLE_ENTRIES / 2; i++) {
		u64 entry = root[i];

		root[i] = 0;
		if (is_table(entry))
			free_table(mm, pt, entry, 3);
	}
	memset(pt->walk, 0, sizeof(pt->walk));
}
