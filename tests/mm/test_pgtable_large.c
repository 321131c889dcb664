/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables with large leaves, and what is in their way.
 */
#include "tests/mm/pgtable_fixture.h"

START_TEST(a_range_is_mapped_with_the_largest_leaves_that_fit)
{
	static const struct {
		u64 va, phys, bytes, leaves;
		int max_level, level; /* of the leaf at va */
	} cases[] = {
		{BASE, 0x40000000, GIB, 1, 3, 3},
		{BASE, 0x40000000, GIB, 512, 2, 2},
		{BASE, 0x40200000, GIB, 512, 3, 2},
		{BASE, 0x40001000, MIB2, 512, 3, 1},
		{BASE, 0x40000000, MIB2, 512, 1, 1},
		{BASE + MIB2 - PAGE_SIZE, 0x401ff000, MIB2 + 2 * PAGE_SIZE, 3, 3, 1},
		{BASE, 0x40000000, 2 * GIB + 3 * MIB2 + 5 * PAGE_SIZE, 10, 3, 3},
		{0ull - GIB, (1ull << 52) - GIB, GIB - PAGE_SIZE, 511 + 511, 3, 2},
	};
	u64 entry, phys;

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 end = cases[i].va + cases[i].bytes;

		teardown();
		setup();
		ck_assert_int_eq(pt_map_range(mm, pt, cases[i].va, end, cases[i].phys, PAGE_KERNEL,
					      cases[i].max_level),
				 0);
		ck_assert_uint_eq(count_leaves(), cases[i].leaves);
		ck_assert_int_eq(pt_lookup(mm, pt, cases[i].va, &entry), cases[i].level);
		ck_assert_uint_eq(!!(entry & X86_PTE_PS), cases[i].level > 1);
		for (u64 at = 0; at < cases[i].bytes; at += 0x7f123) {
			if (!pt_translate(mm, pt, cases[i].va + at, &phys) ||
			    phys != cases[i].phys + at)
				ck_abort_msg("case %u at 0x%llx", i, (unsigned long long)at);
		}
		ck_assert(!pt_translate(mm, pt, end, &phys));
		pt_unmap(mm, pt, cases[i].va, end);
		ck_assert_uint_eq(count_leaves(), 0);
		ck_assert_uint_eq(sim->nr_warnings, 0);
	}
}
END_TEST

/* Among the address bits of a small leaf, so a translation must not take it for one. */
START_TEST(a_large_leaf_has_its_pat_bit_elsewhere)
{
	u64 entry, phys;

	ck_assert_int_eq(pt_map_range(mm, pt, BASE, BASE + MIB2, 0, PAGE_KERNEL | X86_PTE_PAT, 2),
			 0);
	ck_assert_int_eq(pt_lookup(mm, pt, BASE, &entry), 2);
	ck_assert_uint_eq(entry, PAGE_KERNEL | X86_PTE_PS | X86_PTE_PAT_BIG);
	ck_assert(pt_translate(mm, pt, BASE + 0x4567, &phys));
	ck_assert_uint_eq(phys, 0x4567);
}
END_TEST

/* The seed cleared them whole, neighbours and all (D11). */
START_TEST(a_part_of_a_large_leaf_stays_mapped_and_is_reported)
{
	ck_assert_int_eq(pt_map_range(mm, pt, BASE, BASE + 2 * MIB2, 0, PAGE_KERNEL, 2), 0);
	pt_unmap(mm, pt, BASE + MIB2 - PAGE_SIZE, BASE + 2 * MIB2);
	ck_assert_uint_eq(sim->nr_warnings, 1);
	ck_assert_uint_ne(lookup(BASE), 0);
	ck_assert_uint_eq(lookup(BASE + MIB2), 0);
	pt_unmap(mm, pt, BASE, BASE + PAGE_SIZE);
	ck_assert_uint_eq(sim->nr_warnings, 2);
	ck_assert_uint_eq(count_leaves(), 1);
}
END_TEST

START_TEST(a_large_leaf_in_the_way_changes_nothing)
{
	static struct page *pages[600];

	get_frames(600, pages);
	ck_assert_int_eq(pt_map_range(mm, pt, BASE + MIB2, BASE + 2 * MIB2, 0, PAGE_KERNEL, 2), 0);
	ck_assert_int_eq(pt_map_pages(mm, pt, BASE, pages, 600, PAGE_KERNEL), -EBUSY);
	ck_assert_int_eq(pt_map_range(mm, pt, BASE, BASE + GIB, 0, PAGE_KERNEL, 2), -EBUSY);
	ck_assert_int_eq(pt_map_range(mm, pt, BASE + MIB2, BASE + 2 * MIB2, 0, PAGE_KERNEL, 1),
			 -EBUSY);
	ck_assert_uint_eq(count_leaves(), 1);
}
END_TEST

START_TEST(an_empty_table_in_a_large_leafs_place_stays_and_gets_small_leaves)
{
	struct page *page;
	u64 entry;

	get_frames(1, &page);
	ck_assert_int_eq(pt_map_pages(mm, pt, BASE + MIB2, &page, 1, PAGE_KERNEL), 0);
	pt_unmap(mm, pt, BASE + MIB2, BASE + MIB2 + PAGE_SIZE);
	ck_assert_int_eq(pt_map_range(mm, pt, BASE, BASE + 3 * MIB2, 0, PAGE_KERNEL, 3), 0);
	ck_assert_uint_eq(count_leaves(), 1 + 512 + 1);
	ck_assert_int_eq(pt_lookup(mm, pt, BASE + MIB2, &entry), 1);
	ck_assert_uint_eq(entry, MIB2 | PAGE_KERNEL);
}
END_TEST

START_TEST(no_table_for_a_range_leaves_no_leaf_behind)
{
	int err = -ENOMEM;

	for (u32 nth = 1; err; nth++) {
		mm->fault.fail[FAULT_TABLE] = nth;
		err = pt_map_range(mm, pt, BASE - PAGE_SIZE, BASE + GIB + PAGE_SIZE,
				   GIB - PAGE_SIZE, PAGE_KERNEL, 2);
		if (err) {
			ck_assert_int_eq(err, -ENOMEM);
			ck_assert_uint_eq(count_leaves(), 0);
		}
	}
	ck_assert_uint_eq(count_leaves(), 1 + 512 + 1);
}
END_TEST

START_TEST(a_senseless_physical_range_is_refused)
{
	ck_assert_int_eq(pt_map_range(mm, pt, BASE, BASE + PAGE_SIZE, 1ull << 52, PAGE_KERNEL, 1),
			 -EINVAL);
	ck_assert_int_eq(pt_map_range(mm, pt, BASE, BASE + 2 * PAGE_SIZE, (1ull << 52) - PAGE_SIZE,
				      PAGE_KERNEL, 1),
			 -EINVAL);
	ck_assert_int_eq(pt_map_range(mm, pt, BASE, BASE + PAGE_SIZE, 8, PAGE_KERNEL, 1), -EINVAL);
	ck_assert_int_eq(pt_map_range(mm, pt, BASE + 8, BASE + PAGE_SIZE, 0, PAGE_KERNEL, 1),
			 -EINVAL);
	ck_assert_int_eq(pt_map_range(mm, pt, BASE, BASE + PAGE_SIZE + 8, 0, PAGE_KERNEL, 1),
			 -EINVAL);
	ck_assert_int_eq(pt_map_range(mm, pt, BASE, BASE + PAGE_SIZE, 0, PAGE_KERNEL, 4), -EINVAL);
	ck_assert_int_eq(pt_map_range(mm, pt, BASE, BASE + PAGE_SIZE, 0, PAGE_KERNEL, 0), -EINVAL);
	ck_assert_int_eq(pt_map_range(mm, pt, BASE, BASE, 0, PAGE_KERNEL, 1), -EINVAL);
	ck_assert_uint_eq(count_leaves(), 0);
}
END_TEST

/* An entry that is not present but not clear either is nobody's to use. */
START_TEST(rubbish_where_a_table_would_go_is_not_overwritten)
{
	struct page *page;
	u64 *root = phys_to_virt(mm, pt->root_phys);

	get_frames(1, &page);
	root[(BASE >> 39) & 511] = 0x1000;
	ck_assert_int_eq(pt_map_pages(mm, pt, BASE, &page, 1, PAGE_KERNEL), -EBUSY);
	ck_assert_uint_eq(root[(BASE >> 39) & 511], 0x1000);
	ck_assert_uint_eq(pt->nr_tables, 0);
}
END_TEST

static Suite *pgtable_large_suite(void)
{
	Suite *suite = suite_create("pgtable_large");
	TCase *tcase = tcase_create("pgtable_large");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_range_is_mapped_with_the_largest_leaves_that_fit);
	tcase_add_test(tcase, a_large_leaf_has_its_pat_bit_elsewhere);
	tcase_add_test(tcase, a_part_of_a_large_leaf_stays_mapped_and_is_reported);
	tcase_add_test(tcase, a_large_leaf_in_the_way_changes_nothing);
	tcase_add_test(tcase, an_empty_table_in_a_large_leafs_place_stays_and_gets_small_leaves);
	tcase_add_test(tcase, no_table_for_a_range_leaves_no_leaf_behind);
	tcase_add_test(tcase, a_senseless_physical_range_is_refused);
	tcase_add_test(tcase, rubbish_where_a_table_would_go_is_not_overwritten);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(pgtable_large_suite());
}
