/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The address space case by case: placement, the edges of 64-bit arithmetic, claims, the lazy list.
 * No page is mapped.
 */
#include "tests/mm/vmap_fixture.h"

/* ---- placement ---- */

START_TEST(a_new_space_is_one_free_tile)
{
	struct vmap_space *space = &sim->mm.vmap;

	ck_assert_ptr_null(vmap_check(&sim->mm));
	ck_assert_uint_eq(space->nr_free, 1);
	ck_assert_uint_eq(space->nr_busy + space->nr_lazy, 0);
	ck_assert_uint_eq(area_of(space->free.node)->va_start, 1);
	ck_assert_uint_eq(area_of(space->free.node)->va_end, ~0ull);
	/* Linux: fls(1) * 32 MiB, in pages. */
	ck_assert_uint_eq(space->lazy_max_pages, 8192);
}
END_TEST

START_TEST(the_lowest_hole_that_fits_is_taken)
{
	u64 a = must_take(0x2000, 1, BASE, BASE + 0x100000);
	u64 b = must_take(0x5000, 1, BASE, BASE + 0x100000);
	u64 c = must_take(0x2000, 1, BASE, BASE + 0x100000);

	ck_assert_uint_eq(a, BASE);
	ck_assert_uint_eq(b, BASE + 0x2000);
	ck_assert_uint_eq(c, BASE + 0x7000);
	vmap_set_mode(&sim->mm, VMAP_EAGER);
	give(a);
	give(b);
	ck_assert_uint_eq(must_take(0x7000, 1, BASE, BASE + 0x100000), BASE);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(a_start_that_is_no_page_is_rounded_up)
{
	ck_assert_uint_eq(must_take(0x1000, 1, BASE + 0x123, BASE + 0x10000), BASE + 0x1000);
	ck_assert_uint_eq(must_take(0x1000, 1, 0, ~0ull), 0x1000);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(an_end_in_mid_page_bounds_the_area)
{
	ck_assert_int_eq(must_fail(0x2000, 1, BASE, BASE + 0x1fff), -ENOSPC);
	ck_assert_uint_eq(must_take(0x1000, 1, BASE, BASE + 0x1fff), BASE);
	ck_assert_int_eq(must_fail(0x1000, 1, BASE, BASE + 0x1fff), -ENOSPC);
}
END_TEST

/* A window just as long as the request, at an address aligned as asked (5.15's fix). */
START_TEST(an_exact_window_needs_no_room_for_alignment)
{
	ck_assert_uint_eq(must_take(0x4000, 0x4000, BASE + 0x4000, BASE + 0x8000), BASE + 0x4000);
	ck_assert_int_eq(must_fail(0x4000, 0x4000, BASE + 0x4000, BASE + 0x8000), -ENOSPC);
}
END_TEST

/*
 *   | busy | hole, aligned, 4 pages | busy | free ...      4 pages, aligned to 4
 *
 * Linux looks for 4 pages + 16 KiB - 1 and passes the hole over. Only when that leaves the window
 * is the hole found, and not at all with VMAP_LINUX_SEARCH.
 */
START_TEST(a_large_alignment_skips_a_hole_that_would_do_unless_nothing_else_does)
{
	u64 hole, wall;
	struct vmap_request request = request_of(0x4000, 0x4000, BASE, BASE + 0x100000);
	struct vmap_area *area;

	vmap_set_mode(&sim->mm, VMAP_EAGER);
	must_take(0x4000, 1, BASE, BASE + 0x100000);
	hole = must_take(0x4000, 1, BASE, BASE + 0x100000);
	wall = must_take(0x1000, 1, BASE, BASE + 0x100000);
	ck_assert_uint_eq(hole, BASE + 0x4000);
	give(hole);
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
	ck_assert_uint_eq(area->va_start, BASE + 0xc000);
	vmap_free(&sim->mm, area);

	request.end = BASE + 0xf000;
	request.flags = VMAP_LINUX_SEARCH;
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), -ENOSPC);
	request.flags = 0;
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
	ck_assert_uint_eq(area->va_start, hole);
	ck_assert_uint_eq(wall, BASE + 0x8000);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(what_is_no_request_is_refused)
{
	struct vmap_area *area;
	struct vmap_request request;

	static const u64 bad[][4] = {
		{0, 1, BASE, BASE + 0x10000},         {0x1001, 1, BASE, BASE + 0x10000},
		{0x1000, 0, BASE, BASE + 0x10000},    {0x1000, 3, BASE, BASE + 0x10000},
		{0x1000, 0x3000, BASE, BASE + 0x100}, {0x1000, 1, BASE, BASE},
		{0x1000, 1, BASE + 1, BASE},          {~0ull, 1, BASE, BASE + 0x10000},
	};
	for (u64 i = 0; i < ARRAY_SIZE(bad); i++) {
		request = request_of(bad[i][0], bad[i][1], bad[i][2], bad[i][3]);
		ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), -EINVAL);
	}
	ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
}
END_TEST

/* The seed returned areas beyond the end, wrapped ones, ones of no length (D1 to D3). */
START_TEST(nothing_is_placed_beyond_the_window_or_the_end_of_addresses)
{
	const u64 huge = 0xfffffffffffff000ull, top = 0x8000000000000000ull;

	ck_assert_int_eq(must_fail(64ull << 40, 1, BASE, 0xffffe8ffffffffffull), -ENOSPC);
	ck_assert_int_eq(must_fail(2ull << 30, 1, 0xffffffffa0000000ull, ~0ull), -ENOSPC);
	ck_assert_int_eq(must_fail(0x30000000, 1, 0x10000000, 0x20000000), -ENOSPC);
	ck_assert_int_eq(must_fail(huge, 1, 0, ~0ull), -ENOSPC);
	ck_assert_int_eq(must_fail(huge, 1, huge, ~0ull), -ENOSPC);
	ck_assert_int_eq(must_fail(huge, top, 0, ~0ull), -ENOSPC);
	ck_assert_int_eq(must_fail(huge - 0x1000, top, 1, ~0ull), -ENOSPC);
	ck_assert_int_eq(must_fail(0x1000, top, top + 1, ~0ull), -ENOSPC);
	ck_assert_int_eq(must_fail(0x1000, 1, ~0ull - 0x1fff, ~0ull - 0x1000), -ENOSPC);
	ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);

	ck_assert_uint_eq(must_take(0x1000, top, 1, ~0ull), top);
	ck_assert_uint_eq(must_take(0x1000, 1, ~0ull - 0x2ffe, ~0ull), ~0ull - 0x1fff);
	ck_assert_int_eq(must_fail(0x1000, 1, ~0ull - 0x1fff, ~0ull), -ENOSPC);
	ck_assert_uint_eq(must_take(top - 0x2000, 1, 0, ~0ull), 0x1000);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(the_largest_request_is_the_whole_space)
{
	struct vmap_area *area;
	struct vmap_request request = request_of(~0ull - 0x1fff, 1, 0, ~0ull);

	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
	ck_assert_uint_eq(area->va_start, 0x1000);
	ck_assert_uint_eq(area->va_end, ~0ull - 0xfff);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	vmap_free(&sim->mm, area);
	vmap_purge(&sim->mm);
	ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

/* Without bookkeeping memory nothing changes, whichever object is the one that is missing. */
START_TEST(a_cut_without_memory_leaves_the_hole_whole)
{
	struct vmap_area *area;
	struct vmap_request request = request_of(0x1000, 1, BASE, BASE + 0x1000);

	for (u32 nth = 1; nth <= 2; nth++) {
		sim->mm.fault.fail[FAULT_SLAB] = nth;
		ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), -ENOMEM);
		ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
		/* Of two objects the one that was there is kept. */
		ck_assert_uint_eq(sim->mm.vmap.nr_spare, nth - 1);
		ck_assert_ptr_null(vmap_check(&sim->mm));
	}
	sim->mm.fault.fail[FAULT_SLAB] = 3;
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
	request.end += 0x10000;
	sim->mm.fault.fail[FAULT_AREA] = 1;
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), -ENOSPC);
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
}
END_TEST

START_TEST(spare_objects_are_used_first_and_can_be_given_back)
{
	struct vmap_space *space = &sim->mm.vmap;
	struct vmap_area *area;
	u64 addr[3];

	for (u32 i = 0; i < 3; i++)
		addr[i] = must_take(0x1000, 1, BASE, BASE + 0x10000);
	ck_assert_uint_eq(space->nr_spare, 0);
	for (u32 i = 0; i < 3; i++)
		give(addr[i]);
	vmap_purge(&sim->mm);
	/* Three tiles and the hole after them became one. */
	ck_assert_uint_eq(space->nr_spare, 4);
	area = space->spare;
	ck_assert_ptr_eq(vmap_find(&sim->mm, must_take(0x1000, 1, 0x10000, 0x20000)), area);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	vmap_trim(&sim->mm);
	ck_assert_uint_eq(space->nr_spare, 0);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	ck_assert_ptr_null(kmem_cache_check(&sim->mm, &space->cache));

	/* Not more than a full lazy list has. */
	space->lazy_max_pages = 4;
	for (u32 i = 0; i < 3; i++)
		addr[i] = must_take(0x1000, 1, BASE, BASE + 0x10000);
	for (u32 i = 0; i < 3; i++)
		give(addr[i]);
	vmap_purge(&sim->mm);
	ck_assert_uint_eq(space->nr_spare, 2);
}
END_TEST

/* ---- finding and claiming ---- */

START_TEST(an_area_is_found_by_its_start_or_by_what_it_contains)
{
	u64 a = must_take(0x3000, 1, BASE, BASE + 0x100000);
	u64 b = must_take(0x2000, 1, BASE, BASE + 0x100000);

	ck_assert_uint_eq(vmap_find(&sim->mm, a)->va_start, a);
	ck_assert_ptr_null(vmap_find(&sim->mm, a + 0x1000));
	ck_assert_uint_eq(vmap_find_containing(&sim->mm, a)->va_start, a);
	ck_assert_uint_eq(vmap_find_containing(&sim->mm, b - 1)->va_start, a);
	ck_assert_uint_eq(vmap_find_containing(&sim->mm, b)->va_start, b);
	ck_assert_ptr_null(vmap_find_containing(&sim->mm, b + 0x2000));
	ck_assert_ptr_null(vmap_find_containing(&sim->mm, a - 1));
	ck_assert_ptr_eq(vmap_find_vm(&sim->mm, b + 0x1fff), token(b));
	ck_assert_ptr_null(vmap_find_vm(&sim->mm, b + 0x2000));
}
END_TEST

START_TEST(only_one_claim_of_a_complete_area_succeeds)
{
	struct vmap_request request = request_of(0x1000, 1, BASE, BASE + 0x100000);
	struct vmap_area *area, *claimed = NULL;
	struct vm_struct *vm = NULL;

	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
	ck_assert_int_eq(vmap_claim(&sim->mm, BASE, VMAP_RESERVED, &claimed, &vm), -ENOENT);
	vmap_publish(&sim->mm, area, token(7), VMAP_FRAMES);
	ck_assert_int_eq(vmap_claim(&sim->mm, BASE, VMAP_RESERVED, &claimed, &vm), -EBUSY);
	ck_assert_int_eq(vmap_claim(&sim->mm, BASE + 1, VMAP_FRAMES, &claimed, &vm), -ENOENT);
	ck_assert_ptr_null(claimed);
	ck_assert_int_eq(vmap_claim(&sim->mm, BASE, VMAP_FRAMES, &claimed, &vm), 0);
	ck_assert_ptr_eq(claimed, area);
	ck_assert_ptr_eq(vm, token(7));
	ck_assert_int_eq(vmap_claim(&sim->mm, BASE, VMAP_FRAMES, &claimed, &vm), -ENOENT);
	vmap_free(&sim->mm, area);
	ck_assert_int_eq(vmap_claim(&sim->mm, BASE, VMAP_FRAMES, &claimed, &vm), -ENOENT);
	ck_assert_ptr_null(vmap_find(&sim->mm, BASE));
}
END_TEST

/* Whatever its object was before: new, a hole, or a spare one. */
START_TEST(an_area_that_is_not_complete_is_not_found)
{
	struct vmap_request request = request_of(0x1000, 1, BASE, BASE + 0x1000);
	struct vmap_area *area, *claimed;
	struct vm_struct *vm;

	for (u32 round = 0; round < 3; round++) {
		ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
		ck_assert_ptr_null(vmap_find_vm(&sim->mm, BASE));
		for (u32 kind = VMAP_RESERVED; kind <= VMAP_FRAMES; kind++)
			ck_assert_int_eq(
				vmap_claim(&sim->mm, BASE, (enum vmap_kind)kind, &claimed, &vm),
				-ENOENT);
		vmap_free(&sim->mm, area);
		/* The second time the hole is just as large; the third time it is larger again. */
		if (round == 0)
			must_take(0x1000, 1, BASE - 0x1000, BASE);
		must_take(0x1000, 1, BASE + 0x1000 * (round + 1), BASE + 0x1000 * (round + 2));
		vmap_purge(&sim->mm);
		if (round == 1)
			give(BASE + 0x1000);
	}
}
END_TEST

/* ---- lazy, eager, manual ---- */

START_TEST(a_lazy_range_is_not_used_again_before_the_purge_that_flushes_it)
{
	u64 a = must_take(0x2000, 1, BASE, BASE + 0x100000);
	u64 b = must_take(0x3000, 1, BASE, BASE + 0x100000);
	u64 c = must_take(0x1000, 1, BASE, BASE + 0x100000);

	give(b);
	give(a);
	ck_assert_uint_eq(sim->nr_flushes, 0);
	ck_assert_uint_eq(must_take(0x1000, 1, BASE, BASE + 0x100000), c + 0x1000);
	ck_assert_uint_eq(vmap_purge(&sim->mm), 2);
	ck_assert_uint_eq(sim->nr_flushes, 1);
	ck_assert_uint_eq(sim->flush[0].start, a);
	ck_assert_uint_eq(sim->flush[0].end, c);
	ck_assert_uint_eq(must_take(0x5000, 1, BASE, BASE + 0x100000), a);
	ck_assert_uint_eq(vmap_purge(&sim->mm), 0);
	ck_assert_uint_eq(sim->nr_flushes, 1);
	ck_assert_uint_eq(sim->mm.vmap.nr_purges, 1);
}
END_TEST

START_TEST(one_flush_covers_all_ranges_whatever_their_order)
{
	u64 addr[3];

	for (u32 order = 0; order < 3; order++) {
		for (u32 i = 0; i < 3; i++)
			addr[i] = must_take(0x2000, 1, BASE, BASE + 0x100000);
		for (u32 i = 0; i < 3; i++)
			give(addr[(order + i) % 3]);
		vmap_purge(&sim->mm);
		ck_assert_uint_eq(sim->nr_flushes, order + 1);
		ck_assert_uint_eq(sim->flush[order].start, BASE);
		ck_assert_uint_eq(sim->flush[order].end, BASE + 0x6000);
	}
}
END_TEST

START_TEST(an_eager_free_is_flushed_alone_and_at_once)
{
	u64 a;

	vmap_set_mode(&sim->mm, VMAP_EAGER);
	a = must_take(0x2000, 1, BASE, BASE + 0x100000);
	give(a);
	ck_assert_uint_eq(sim->nr_flushes, 1);
	ck_assert_uint_eq(sim->flush[0].start, a);
	ck_assert_uint_eq(sim->flush[0].end, a + 0x2000);
	ck_assert_uint_eq(must_take(0x2000, 1, BASE, BASE + 0x100000), a);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(a_full_window_is_purged_before_it_fails_but_not_in_manual_mode)
{
	u64 a = must_take(0x4000, 1, BASE, BASE + 0x4000);

	give(a);
	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	ck_assert_int_eq(must_fail(0x1000, 1, BASE, BASE + 0x4000), -ENOSPC);
	vmap_set_mode(&sim->mm, VMAP_LAZY);
	ck_assert_uint_eq(must_take(0x1000, 1, BASE, BASE + 0x4000), BASE);
	ck_assert_uint_eq(sim->mm.vmap.nr_purges, 1);
}
END_TEST

START_TEST(too_many_lazy_pages_start_a_purge_but_not_in_manual_mode)
{
	u64 addr[4];

	sim->mm.vmap.lazy_max_pages = 10;
	for (u32 i = 0; i < 4; i++)
		addr[i] = must_take(0x5000, 1, BASE, BASE + 0x100000);
	give(addr[0]);
	give(addr[1]);
	ck_assert_uint_eq(sim->mm.vmap.nr_lazy_pages, 10);
	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	give(addr[2]);
	ck_assert_uint_eq(sim->mm.vmap.nr_lazy_pages, 15);
	vmap_set_mode(&sim->mm, VMAP_LAZY);
	give(addr[3]);
	ck_assert_uint_eq(sim->mm.vmap.nr_lazy_pages, 0);
	ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

/* Freed in every order, the space is whole again: every way of merging with neighbours. */
START_TEST(everything_freed_is_one_tile_again)
{
	u64 addr[5];

	for (u32 order = 0; order < 120; order++) {
		u32 left = 5, code = order;

		for (u32 i = 0; i < 5; i++)
			addr[i] = must_take(0x1000ull << i, 1, BASE, BASE + 0x100000);
		vmap_set_mode(&sim->mm, order & 1 ? VMAP_EAGER : VMAP_MANUAL);
		while (left) {
			u32 pick = code % left;

			code /= left;
			give(addr[pick]);
			addr[pick] = addr[--left];
			if (code & 2)
				vmap_purge(&sim->mm);
		}
		vmap_purge(&sim->mm);
		ck_assert_ptr_null(vmap_check(&sim->mm));
		ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
	}
}
END_TEST

static Suite *vmap_suite(void)
{
	Suite *suite = suite_create("vmap");
	TCase *tcase = tcase_create("vmap");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_new_space_is_one_free_tile);
	tcase_add_test(tcase, the_lowest_hole_that_fits_is_taken);
	tcase_add_test(tcase, a_start_that_is_no_page_is_rounded_up);
	tcase_add_test(tcase, an_end_in_mid_page_bounds_the_area);
	tcase_add_test(tcase, an_exact_window_needs_no_room_for_alignment);
	tcase_add_test(tcase,
		       a_large_alignment_skips_a_hole_that_would_do_unless_nothing_else_does);
	tcase_add_test(tcase, what_is_no_request_is_refused);
	tcase_add_test(tcase, nothing_is_placed_beyond_the_window_or_the_end_of_addresses);
	tcase_add_test(tcase, the_largest_request_is_the_whole_space);
	tcase_add_test(tcase, a_cut_without_memory_leaves_the_hole_whole);
	tcase_add_test(tcase, spare_objects_are_used_first_and_can_be_given_back);
	tcase_add_test(tcase, an_area_is_found_by_its_start_or_by_what_it_contains);
	tcase_add_test(tcase, an_area_that_is_not_complete_is_not_found);
	tcase_add_test(tcase, only_one_claim_of_a_complete_area_succeeds);
	tcase_add_test(tcase, a_lazy_range_is_not_used_again_before_the_purge_that_flushes_it);
	tcase_add_test(tcase, one_flush_covers_all_ranges_whatever_their_order);
	tcase_add_test(tcase, an_eager_free_is_flushed_alone_and_at_once);
	tcase_add_test(tcase, a_full_window_is_purged_before_it_fails_but_not_in_manual_mode);
	tcase_add_test(tcase, too_many_lazy_pages_start_a_purge_but_not_in_manual_mode);
	tcase_add_test(tcase, everything_freed_is_one_tile_again);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vmap_suite());
}
