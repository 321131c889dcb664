/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seed's defects in areas, leaves, frames and vmap(): test dNN_ is the input that shows defect
 * NN (docs/seed-map.md). Those of vread(), vwrite() and of user mappings are in test_vaccess.c and
 * test_process.c.
 */
#include "tests/mm/seed_fixture.h"

/* ---- the search ---- */

START_TEST(d01_no_area_ends_beyond_its_window)
{
	u64 addr = 7;

	ck_assert_int_eq(get_vm_area(mm, 64ull << 40, VM_IOREMAP, &addr), -ENOSPC);
	must_get(PAGE_SIZE, 0);
	ck_assert_int_eq(get_vm_area_window(mm, 0x10000, 0, VMALLOC_START + 0x100000,
					    VMALLOC_START + 0x104000, &addr),
			 -ENOSPC);
	ck_assert_int_eq(get_vm_area_window(mm, 2ull << 30, 0, 0xffffffffa0000000ull, ~0ull, &addr),
			 -ENOSPC);
	ck_assert_uint_eq(addr, 7);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

START_TEST(d02_sizes_that_wrap_are_refused)
{
	static const u64 sizes[] = {0, ~0ull, 0xfffffffffffff000ull, 0xffffffffffffe001ull};
	u64 addr, first;

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		ck_assert_int_eq(get_vm_area(mm, sizes[i], 0, &addr), -EINVAL);
		ck_assert_int_eq(alloc_vm_area(mm, sizes[i], &addr), -EINVAL);
	}
	first = must_get(PAGE_SIZE, 0);
	ck_assert_uint_eq(must_get(PAGE_SIZE, 0), first + 2 * PAGE_SIZE);
}
END_TEST

START_TEST(d03_a_window_at_low_addresses_bounds_its_areas)
{
	u64 addr;

	ck_assert_int_eq(get_vm_area_window(mm, PAGE_SIZE, 0, 0x10000000, 0x20000000, &addr), 0);
	ck_assert_int_eq(get_vm_area_window(mm, 0x30000000, 0, 0x10000000, 0x20000000, &addr),
			 -ENOSPC);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

START_TEST(d04_an_unaligned_window_gives_an_aligned_area)
{
	u64 addr;

	ck_assert_int_eq(
		get_vm_area_window(mm, 0x1000, 0, VMALLOC_START + 0x123, VMALLOC_END, &addr), 0);
	ck_assert_uint_eq(addr, VMALLOC_START + PAGE_SIZE);
	ck_assert_int_eq(free_vm_area(mm, addr), 0);
}
END_TEST

START_TEST(d05_io_alignment_is_the_size_rounded_up)
{
	u64 addr;

	must_get(PAGE_SIZE, 0);
	ck_assert_int_eq(get_vm_area(mm, 4ull << 30, VM_IOREMAP, &addr), 0);
	ck_assert_uint_eq(addr, VMALLOC_START + (512 << 10));
	/* Of 64 KiB aligned to 64 KiB, not to 128 KiB. */
	ck_assert_int_eq(get_vm_area(mm, 64 << 10, VM_IOREMAP, &addr), 0);
	ck_assert_uint_eq(addr, VMALLOC_START + (64 << 10));
}
END_TEST

START_TEST(d07_a_failure_says_what_failed)
{
	u64 addr;

	ck_assert_int_eq(get_vm_area(mm, 64ull << 40, 0, &addr), -ENOSPC);
	ck_assert(sim_logged(sim, "vmap allocation for size 70368744181760 failed"));
}
END_TEST

/* ---- leaves ---- */

START_TEST(d08_a_leaf_in_the_way_is_not_overwritten)
{
	u64 addr = must_get(8 * PAGE_SIZE, VM_MAP), entry;

	take_pages(9);
	ck_assert_int_eq(pt_map_pages(mm, &mm->pt, addr + 5 * PAGE_SIZE, &pages[8], 1, PAGE_KERNEL),
			 0);
	entry = entry_at(addr + 5 * PAGE_SIZE);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 8, PAGE_KERNEL), -EBUSY);
	ck_assert_uint_eq(leaves(), 1);
	ck_assert_uint_eq(entry_at(addr + 5 * PAGE_SIZE), entry);
	ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 8, PAGE_KERNEL), 0);
	ck_assert_uint_eq(leaves(), 8);
}
END_TEST

START_TEST(d09_a_null_page_maps_nothing)
{
	u64 addr = must_get(8 * PAGE_SIZE, VM_MAP), other = 5;
	struct page *third;

	take_pages(8);
	third = pages[3];
	pages[3] = NULL;
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 8, PAGE_KERNEL), -EINVAL);
	ck_assert_int_eq(vmap(mm, pages, 8, VM_MAP, PAGE_KERNEL, &other), -EINVAL);
	ck_assert_uint_eq(leaves(), 0);
	ck_assert_uint_eq(other, 5);
	pages[3] = third;
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 7, PAGE_KERNEL), -EINVAL);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 9, PAGE_KERNEL), -EINVAL);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 8, PAGE_KERNEL), 0);
	ck_assert_uint_eq(find_vm_area(mm, addr)->flags, VM_MAP);
	ck_assert_ptr_null(core_check(sim));
	ck_assert_int_eq(free_vm_area(mm, addr), 0);
	ck_assert_uint_eq(leaves(), 0);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 8, PAGE_KERNEL), -ENOENT);
}
END_TEST

START_TEST(d10_what_is_unmapped_is_a_range_of_pages_in_an_area)
{
	u64 addr = must_get(8 * PAGE_SIZE, VM_MAP), frames = must_vmalloc(PAGE_SIZE);

	take_pages(8);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 8, PAGE_KERNEL), 0);
	ck_assert_int_eq(unmap_kernel_range(mm, addr, 0x1800), -EINVAL);
	ck_assert_int_eq(unmap_kernel_range(mm, addr + 1, PAGE_SIZE), -EINVAL);
	ck_assert_int_eq(unmap_kernel_range(mm, addr, 0), -EINVAL);
	ck_assert_int_eq(unmap_kernel_range(mm, addr, 0 - addr), -EINVAL);
	ck_assert_int_eq(unmap_kernel_range(mm, addr, ~0ull << PAGE_SHIFT), -EINVAL);
	ck_assert_uint_eq(sim->nr_warnings, 5);
	ck_assert_int_eq(unmap_kernel_range(mm, addr, 10 * PAGE_SIZE), -ENOENT);
	ck_assert_int_eq(unmap_kernel_range(mm, addr - PAGE_SIZE, PAGE_SIZE), -ENOENT);
	ck_assert_int_eq(unmap_kernel_range(mm, frames, PAGE_SIZE), -EBUSY);
	ck_assert_int_eq(unmap_vm_area(mm, frames), -EBUSY);
	ck_assert_uint_eq(sim->nr_flushes, 0);
	ck_assert_uint_eq(leaves(), 9);
	ck_assert_int_eq(unmap_kernel_range(mm, addr + 2 * PAGE_SIZE, 3 * PAGE_SIZE), 0);
	ck_assert_uint_eq(leaves(), 6);
	ck_assert_uint_eq(sim->nr_flushes, 1);
	ck_assert_uint_eq(sim->flush[0].start, addr + 2 * PAGE_SIZE);
	ck_assert_uint_eq(sim->flush[0].end, addr + 5 * PAGE_SIZE);
	ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
	ck_assert_uint_eq(sim->nr_flushes, 2);
	ck_assert_uint_eq(leaves(), 1);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

START_TEST(d11_a_large_leaf_is_unmapped_as_one)
{
	u64 addr = must_get(4ull << 20, VM_MAP), big = ALIGN_UP(addr, 2ull << 20), entry;

	ck_assert_int_eq(
		pt_map_range(mm, &mm->pt, big, big + (2ull << 20), 32ull << 20, PAGE_KERNEL, 2), 0);
	ck_assert_int_eq(pt_lookup(mm, &mm->pt, big, &entry), 2);
	ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
	ck_assert_int_eq(pt_lookup(mm, &mm->pt, big, &entry), 0);
	ck_assert_uint_eq(sim->nr_warnings, 0);
}
END_TEST

/* Tables stay, as in Linux, but an address used again needs no new ones. */
START_TEST(d12_tables_do_not_grow_when_addresses_are_used_again)
{
	u64 tables = 0;

	for (u32 i = 0; i < 50; i++) {
		ck_assert_int_eq(vfree(mm, must_vmalloc(3ull << 20)), 0);
		vmap_purge(mm);
		if (i == 0)
			tables = mm->pt.nr_tables;
		ck_assert_uint_eq(mm->pt.nr_tables, tables);
	}
}
END_TEST

static void flush_without_locks(void *arch, u64 start, u64 end)
{
	ck_assert_uint_eq(mm->vmap.lock.word, 0);
	sim->nr_flushes++;
}

START_TEST(d14_no_flush_happens_under_the_lock_of_the_address_space)
{
	struct arch_ops ops = *mm->ops;
	u64 addr;

	ops.flush_tlb_kernel_range = flush_without_locks;
	mm->ops = &ops;
	take_pages(1);
	for (u32 mode = VMAP_LAZY; mode <= VMAP_EAGER; mode++) {
		vmap_set_mode(mm, (enum vmap_mode)mode);
		vfree(mm, must_vmalloc(PAGE_SIZE));
		ck_assert_int_eq(vmap(mm, pages, 1, 0, PAGE_KERNEL, &addr), 0);
		vunmap(mm, addr);
		addr = must_get(PAGE_SIZE, 0);
		unmap_vm_area(mm, addr);
		free_vm_area(mm, addr);
		vmap_purge(mm);
	}
	ck_assert_uint_eq(sim->nr_flushes, 2 + 4);
}
END_TEST

START_TEST(d15_a_freed_range_is_used_again_only_after_its_flush)
{
	u64 addr = must_vmalloc(PAGE_SIZE);

	ck_assert_int_eq(vfree(mm, addr), 0);
	ck_assert_uint_eq(entry_at(addr), 0);
	ck_assert_uint_ne(must_vmalloc(PAGE_SIZE), addr);
	ck_assert_uint_eq(vmap_purge(mm), 1);
	ck_assert_uint_eq(sim->nr_flushes, 1);
	ck_assert_uint_eq(must_vmalloc(PAGE_SIZE), addr);
}
END_TEST

/* ---- frames and page arrays ---- */

START_TEST(d16_page_counts_are_64_bits_wide)
{
	static const u64 sizes[] = {2ull << 40, (2ull << 40) + 4096, 17ull << 40};
	u64 before = core_frames_in_use(sim);

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 addr = must_get(sizes[i], 0);

		ck_assert_int_eq(vmalloc_area(mm, addr, GFP_KERNEL, PAGE_KERNEL), -ENOMEM);
		ck_assert_ptr_null(find_vm_area(mm, addr));
		ck_assert_uint_eq(core_frames_in_use(sim), before);
		ck_assert_int_eq(vmalloc(mm, sizes[i], &addr), -ENOMEM);
	}
	ck_assert_uint_eq(mm->pt.nr_tables, 0);
}
END_TEST

START_TEST(d17_vmap_count_does_not_wrap)
{
	static const u64 counts[] = {0x100001, (1ull << 52) + 1, ~0ull};
	u64 addr = 3;

	take_pages(1);
	for (u32 i = 0; i < ARRAY_SIZE(counts); i++)
		ck_assert_int_eq(vmap(mm, pages, counts[i], 0, PAGE_KERNEL, &addr), -ENOMEM);
	ck_assert_int_eq(vmap(mm, pages, 0, 0, PAGE_KERNEL, &addr), -EINVAL);
	ck_assert_uint_eq(addr, 3);
	ck_assert_uint_eq(mm->vmap.nr_busy, 0);
}
END_TEST

START_TEST(d19_areas_are_not_freed_by_each_others_calls)
{
	u64 before, frames = must_vmalloc(8 * PAGE_SIZE), range = must_get(PAGE_SIZE, 0), mapped;

	take_pages(8);
	ck_assert_int_eq(vmap(mm, pages, 8, VM_MAP, PAGE_KERNEL, &mapped), 0);
	before = core_frames_in_use(sim);
	ck_assert_int_eq(vunmap(mm, frames), -EBUSY);
	ck_assert(sim_logged(sim, "Trying to vunmap() vm area that vmap() did not make"));
	ck_assert_int_eq(vunmap(mm, range), -EBUSY);
	ck_assert_int_eq(vfree(mm, mapped), -EBUSY);
	ck_assert_int_eq(free_vm_area(mm, mapped), -EBUSY);
	ck_assert_uint_eq(sim->nr_warnings, 4);
	ck_assert_ptr_null(core_check(sim));
	ck_assert_int_eq(vunmap(mm, 0), 0);
	ck_assert_int_eq(vunmap(mm, mapped + 8), -EINVAL);
	ck_assert_int_eq(vunmap(mm, mapped + PAGE_SIZE), -ENOENT);
	ck_assert_uint_eq(core_frames_in_use(sim), before);
	ck_assert_int_eq(vunmap(mm, mapped), 0);
	ck_assert_int_eq(vunmap(mm, mapped), -ENOENT);
	ck_assert_int_eq(vfree(mm, frames), 0);
	ck_assert_int_eq(free_vm_area(mm, range), 0);
	free_pages_bulk(mm, 8, pages);
	ck_assert_ptr_null(core_check(sim));
	ck_assert_uint_eq(leaves(), 0);
}
END_TEST

/* ---- who sees an area, and when ---- */

static u32 nr_looks;

/* The last step before an area is complete, and the first of its end. */
static void look_for_area(void *arch, u64 start, u64 end)
{
	nr_looks++;
	ck_assert_ptr_null(find_vm_area(mm, start));
	ck_assert_int_eq(vfree(mm, start), -ENOENT);
}

START_TEST(d23_an_area_is_found_only_while_it_is_complete)
{
	struct arch_ops ops = *mm->ops;
	u64 addr;

	ops.flush_cache_vmap = look_for_area;
	ops.flush_cache_vunmap = look_for_area;
	mm->ops = &ops;
	take_pages(2);
	ck_assert_int_eq(vfree(mm, must_vmalloc(PAGE_SIZE)), 0);
	ck_assert_int_eq(vmap(mm, pages, 2, 0, PAGE_KERNEL, &addr), 0);
	ck_assert_int_eq(vunmap(mm, addr), 0);
	addr = must_get(2 * PAGE_SIZE, 0);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 2, PAGE_KERNEL), 0);
	ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
	ck_assert_int_eq(vmalloc_area(mm, addr, GFP_KERNEL, PAGE_KERNEL), 0);
	ck_assert_uint_eq(nr_looks, 7);
}
END_TEST

START_TEST(d32_user_areas_have_their_flag_from_the_first_moment)
{
	u64 addr;

	mm->fault.fail[FAULT_FRAME] = 1;
	ck_assert_int_ne(vmalloc_user(mm, PAGE_SIZE, &addr), 0);
	ck_assert_int_eq(vmalloc_user(mm, PAGE_SIZE, &addr), 0);
	ck_assert_uint_eq(find_vm_area(mm, addr)->flags, VM_ALLOC | VM_USERMAP);
}
END_TEST

START_TEST(d33_a_machine_without_low_memory_has_none_for_vmalloc_32)
{
	struct sim_config config = {.nr_cpus = 1};
	u64 addr;

	teardown();
	sim_add_ram(&config, 4ull << 30, 64ull << 20, 0);
	sim = sim_create(&config);
	mm = &sim->mm;
	ck_assert_int_eq(vmalloc_32(mm, PAGE_SIZE, &addr), -ENOMEM);
	ck_assert_int_eq(vmalloc_32_user(mm, PAGE_SIZE, &addr), -ENOMEM);
	ck_assert_int_eq(vmalloc(mm, PAGE_SIZE, &addr), 0);
}
END_TEST

START_TEST(d34_the_guard_needs_no_table)
{
	u64 addr, tables;

	ck_assert_int_eq(alloc_vm_area(mm, 2ull << 20, &addr), 0);
	ck_assert_uint_eq(addr, VMALLOC_START);
	ck_assert_uint_eq(mm->pt.nr_tables, 3);
	ck_assert_uint_eq(leaves(), 0);
	tables = mm->pt.nr_tables;
	take_pages(512);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 512, PAGE_KERNEL), 0);
	ck_assert_uint_eq(mm->pt.nr_tables, tables);
	ck_assert_int_eq(free_vm_area(mm, addr), 0);
}
END_TEST

START_TEST(d35_vmap_takes_no_flags_but_its_own)
{
	u64 addr;

	take_pages(1);
	for (u32 bit = 0; bit < 64; bit++) {
		u64 flag = 1ull << bit;

		if (!(flag & VMAP_FLAGS))
			ck_assert_int_eq(vmap(mm, pages, 1, flag, PAGE_KERNEL, &addr), -EINVAL);
	}
	ck_assert_int_eq(vmap(mm, pages, 1, VM_MAP | VM_USERMAP, PAGE_KERNEL, &addr), 0);
	ck_assert_uint_eq(find_vm_area(mm, addr)->flags, VM_MAP | VM_USERMAP);
	ck_assert_int_eq(vmap(mm, pages, 1, 0, PAGE_KERNEL, &addr), 0);
	ck_assert_uint_eq(find_vm_area(mm, addr)->flags, VM_MAP);
}
END_TEST

START_TEST(d36_nothing_is_no_size)
{
	static int (*const calls[])(struct mm *, u64, u64 *) = {
		vmalloc, vmalloc_32, vmalloc_user, vmalloc_32_user, vmalloc_exec, alloc_vm_area};
	u64 addr;

	for (u32 i = 0; i < ARRAY_SIZE(calls); i++)
		ck_assert_int_eq(calls[i](mm, 0, &addr), -EINVAL);
}
END_TEST

static Suite *seed_defects_suite(void)
{
	Suite *suite = suite_create("seed_defects");
	TCase *tcase = tcase_create("seed_defects");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, d01_no_area_ends_beyond_its_window);
	tcase_add_test(tcase, d02_sizes_that_wrap_are_refused);
	tcase_add_test(tcase, d03_a_window_at_low_addresses_bounds_its_areas);
	tcase_add_test(tcase, d04_an_unaligned_window_gives_an_aligned_area);
	tcase_add_test(tcase, d05_io_alignment_is_the_size_rounded_up);
	tcase_add_test(tcase, d07_a_failure_says_what_failed);
	tcase_add_test(tcase, d08_a_leaf_in_the_way_is_not_overwritten);
	tcase_add_test(tcase, d09_a_null_page_maps_nothing);
	tcase_add_test(tcase, d10_what_is_unmapped_is_a_range_of_pages_in_an_area);
	tcase_add_test(tcase, d11_a_large_leaf_is_unmapped_as_one);
	tcase_add_test(tcase, d12_tables_do_not_grow_when_addresses_are_used_again);
	tcase_add_test(tcase, d14_no_flush_happens_under_the_lock_of_the_address_space);
	tcase_add_test(tcase, d15_a_freed_range_is_used_again_only_after_its_flush);
	tcase_add_test(tcase, d16_page_counts_are_64_bits_wide);
	tcase_add_test(tcase, d17_vmap_count_does_not_wrap);
	tcase_add_test(tcase, d19_areas_are_not_freed_by_each_others_calls);
	tcase_add_test(tcase, d23_an_area_is_found_only_while_it_is_complete);
	tcase_add_test(tcase, d32_user_areas_have_their_flag_from_the_first_moment);
	tcase_add_test(tcase, d33_a_machine_without_low_memory_has_none_for_vmalloc_32);
	tcase_add_test(tcase, d34_the_guard_needs_no_table);
	tcase_add_test(tcase, d35_vmap_takes_no_flags_but_its_own);
	tcase_add_test(tcase, d36_nothing_is_no_size);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(seed_defects_suite());
}
