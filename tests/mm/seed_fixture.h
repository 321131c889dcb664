/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the seed's calls start from: one simulated machine a test, and calls that
 * must succeed. Include it in the one .c file of a test program.
 */
#ifndef TESTS_MM_SEED_FIXTURE_H
#define TESTS_MM_SEED_FIXTURE_H

#include "tests/harness.h"

#include <string.h>

#include "mm/errno.h"
#include "mm/vm_area.h"
#include "tests/mm/core_check.h"

static struct sim *sim;
static struct mm *mm;
static struct page *pages[600];

static inline void setup(void)
{
	struct sim_config config = sim_default_config(1);

	sim = sim_create(&config);
	mm = &sim->mm;
}

static inline void teardown(void)
{
	sim_destroy(sim);
}

/* @nr frames of the test's own in pages[]. */
static inline void take_pages(u64 nr)
{
	ck_assert_uint_eq(
		alloc_pages_bulk(mm, GFP_KERNEL, NUMA_NO_NODE, PAGE_OTHER, sim, nr, pages), nr);
}

static inline u64 must_get(u64 size, u64 flags)
{
	u64 addr = 0;

	ck_assert_int_eq(get_vm_area(mm, size, flags, &addr), 0);
	return addr;
}

static inline u64 must_vmalloc(u64 size)
{
	u64 addr = 0;

	ck_assert_int_eq(vmalloc(mm, size, &addr), 0);
	return addr;
}

static inline u64 leaves(void)
{
	return core_count_leaves(sim, mm->pt.root_phys, 4);
}

static inline u64 entry_at(u64 va)
{
	u64 entry = 0;

	pt_lookup(mm, &mm->pt, va, &entry);
	return entry;
}

#endif
