/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the page tables share: a machine, frames, and a count of tables and leaves. For
 * the one .c file of a test program.
 */
#ifndef TESTS_MM_PGTABLE_FIXTURE_H
#define TESTS_MM_PGTABLE_FIXTURE_H

#include "tests/harness.h"

#include <string.h>

#include "mm/errno.h"
#include "mm/mm.h"
#include "tests/mm/sim.h"

#define BASE 0xffffc90000000000ull
#define MIB2 (1ull << 21)
#define GIB  (1ull << 30)

static struct sim *sim;
static struct mm *mm;
static struct page_table *pt;

static inline void setup_cpus(u32 nr_cpus)
{
	struct sim_config config = sim_default_config(nr_cpus);

	sim = sim_create(&config);
	mm = &sim->mm;
	pt = &mm->pt;
}

static inline void setup(void)
{
	setup_cpus(1);
}

static inline void teardown(void)
{
	sim_destroy(sim);
}

static inline u64 lookup(u64 va)
{
	u64 entry = 0;

	pt_lookup(mm, pt, va, &entry);
	return entry;
}

/*
 * Counts the tables below @table, of @level, and the present leaves, and sees that each table is
 * what its frame says it is.
 */
static inline u64 count_tables(u64 table_phys, int level, u64 *leaves)
{
	const u64 *table = phys_to_virt(mm, table_phys);
	u64 tables = 0, child;

	for (u32 i = 0; i < 512; i++) {
		if (!(table[i] & X86_PTE_P))
			continue;
		child = table[i] & X86_PTE_ADDR_MASK;
		if (level == 1 || (table[i] & X86_PTE_PS)) {
			++*leaves;
			continue;
		}
		ck_assert_uint_eq(pfn_to_page(mm, child >> PAGE_SHIFT)->state, PAGE_TABLE);
		ck_assert_uint_eq(pfn_to_page(mm, child >> PAGE_SHIFT)->index, (u64)level - 1);
		ck_assert_ptr_eq(pfn_to_page(mm, child >> PAGE_SHIFT)->owner, pt);
		ck_assert_uint_eq(table[i] & ~X86_PTE_ADDR_MASK,
				  X86_PTE_P | X86_PTE_RW | X86_PTE_A);
		tables += 1 + count_tables(child, level - 1, leaves);
	}
	return tables;
}

static inline u64 count_leaves(void)
{
	u64 leaves = 0;

	ck_assert_uint_eq(count_tables(pt->root_phys, 4, &leaves), pt->nr_tables);
	return leaves;
}

static inline void get_frames(u64 nr, struct page **pages)
{
	ck_assert_uint_eq(
		alloc_pages_bulk(mm, GFP_KERNEL, NUMA_NO_NODE, PAGE_OTHER, NULL, nr, pages), nr);
}

static inline u64 leaf_of(const struct page *page, pgprot_t prot)
{
	return page_to_phys(mm, page) | prot;
}

#endif
