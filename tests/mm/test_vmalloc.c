/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmalloc on the simulated machine: what an area is, from the address down to the leaf and the
 * frame, wherever its page array is; and ranges without frames.
 */
#include "tests/mm/vmalloc_fixture.h"

/* ---- one area ---- */

START_TEST(an_area_maps_its_frames_and_a_guard_follows)
{
	struct vmalloc_request request = request_of(3 * PAGE_SIZE - 5);
	struct vm_struct *vm;
	u64 addr;

	request.prot = PAGE_KERNEL_EXEC;
	addr = must(&request);
	ck_assert_uint_eq(addr, VMALLOC_START);
	vm = find_vm_area(mm, addr + 2 * PAGE_SIZE);
	ck_assert_ptr_nonnull(vm);
	ck_assert_uint_eq(vm->addr, addr);
	ck_assert_uint_eq(vm->size, 4 * PAGE_SIZE);
	ck_assert_uint_eq(vm->nr_pages, 3);
	ck_assert_uint_eq(vm->flags, VM_ALLOC);
	ck_assert_uint_eq(vm->caller, request.caller);
	ck_assert_uint_eq(vm->prot, PAGE_KERNEL_EXEC);
	ck_assert_ptr_null(check_all());
	ck_assert_ptr_eq(vmalloc_to_page(mm, addr + PAGE_SIZE + 17), vm->pages[1]);
	ck_assert_ptr_null(vmalloc_to_page(mm, addr + 3 * PAGE_SIZE));
	ck_assert_uint_eq(must_pages(1), addr + 4 * PAGE_SIZE);
	ck_assert_uint_eq(sim->nr_cache_vmap, 2);
	ck_assert_int_eq(vfree(mm, addr), 0);
	ck_assert_uint_eq(sim->nr_cache_vunmap, 1);
	ck_assert_ptr_null(find_vm_area(mm, addr));
	ck_assert_ptr_null(check_all());
}
END_TEST

START_TEST(an_area_without_guard_is_all_pages)
{
	struct vmalloc_request request = request_of(PAGE_SIZE);
	u64 addr;

	request.flags = VM_NO_GUARD;
	addr = must(&request);
	ck_assert_uint_eq(find_vm_area(mm, addr)->size, PAGE_SIZE);
	ck_assert_uint_eq(must(&request), addr + PAGE_SIZE);
	ck_assert_int_eq(vfree(mm, addr), 0);
	ck_assert_int_eq(vfree(mm, addr + PAGE_SIZE), 0);
	ck_assert_uint_eq(count_leaves(mm->pt.root_phys, 4), 0);
}
END_TEST

START_TEST(alignment_and_window_are_kept)
{
	struct vmalloc_request request = request_of(4 * PAGE_SIZE);
	u64 addr;

	must_pages(1);
	request.align = 16384;
	addr = must(&request);
	ck_assert_uint_eq(addr, VMALLOC_START + 16384);
	request.start = MODULES_VADDR;
	request.end = MODULES_END;
	request.align = PAGE_SIZE;
	ck_assert_uint_eq(must(&request), MODULES_VADDR);
	ck_assert_ptr_null(check_all());
}
END_TEST

/* As tests/mm/test_vmap.c has it: an aligned hole of just the size, which Linux passes over. */
START_TEST(linuxs_search_can_be_asked_for)
{
	struct vmalloc_request request = request_of(3 * PAGE_SIZE);
	u64 hole, addr;

	vmap_set_mode(mm, VMAP_EAGER);
	must(&request);
	hole = must(&request);
	must(&request);
	ck_assert_int_eq(vfree(mm, hole), 0);
	request.align = 4 * PAGE_SIZE;
	request.end = VMALLOC_START + 15 * PAGE_SIZE;
	request.flags = VM_LINUX_SEARCH;
	ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), -ENOSPC);
	request.flags = 0;
	ck_assert_uint_eq(must(&request), hole);
}
END_TEST

START_TEST(zeroed_frames_are_zero_whatever_was_in_them)
{
	struct vmalloc_request request = request_of(50 * PAGE_SIZE);
	struct vm_struct *vm;
	u64 addr = must(&request);

	vm = find_vm_area(mm, addr);
	for (u32 i = 0; i < 50; i++)
		memset(page_address(mm, vm->pages[i]), 0xaa, PAGE_SIZE);
	vfree(mm, addr);
	for (u64 pages = 1; pages <= 50; pages += 49) {
		request = request_of(pages << PAGE_SHIFT);
		request.gfp |= __GFP_ZERO;
		addr = must(&request);
		vm = find_vm_area(mm, addr);
		for (u64 i = 0; i < pages; i++) {
			const u64 *word = page_address(mm, vm->pages[i]);

			for (u32 j = 0; j < 512; j++) {
				if (word[j])
					ck_abort_msg("page %llu", (unsigned long long)i);
			}
		}
		vfree(mm, addr);
	}
}
END_TEST

/* ---- the page array ---- */

START_TEST(the_array_is_where_its_size_puts_it)
{
	const struct array_case *c = &array_cases[_i];
	struct vmalloc_request request = request_of(c->pages << PAGE_SHIFT);
	u64 before = frames_in_use(), addr;
	struct vm_struct *vm;

	request.flags = c->flags;
	addr = must(&request);
	vm = find_vm_area(mm, addr);
	ck_assert_uint_eq(vm->array, c->array);
	ck_assert_uint_eq(!!(vm->flags & VM_VPAGES), c->array == VM_ARRAY_VMALLOC);
	ck_assert_uint_eq(mm->vmap.nr_busy, c->array == VM_ARRAY_VMALLOC ? 2 : 1);
	if (c->array == VM_ARRAY_VMALLOC) {
		/* Linux takes the range first and the array's after it. */
		ck_assert_uint_eq((u64)(uintptr_t)vm->pages, addr + vm->size);
		ck_assert_uint_eq(find_vm_area(mm, addr + vm->size)->nr_pages,
				  (c->pages * 8 + PAGE_SIZE - 1) / PAGE_SIZE);
	}
	ck_assert_ptr_null(check_all());
	ck_assert_int_eq(vfree(mm, addr), 0);
	ck_assert_uint_eq(mm->vmap.nr_busy, 0);
	ck_assert_ptr_null(check_all());
	ck_assert_uint_eq(frames_in_use(), before);
}
END_TEST

START_TEST(a_nested_array_is_in_the_vmalloc_range_wherever_its_area_is)
{
	struct vmalloc_request request = request_of(600 * PAGE_SIZE);
	struct vm_struct *vm;

	request.start = MODULES_VADDR;
	request.end = MODULES_END;
	request.prot = PAGE_KERNEL_EXEC;
	vm = find_vm_area(mm, must(&request));
	ck_assert_uint_eq(vm->addr, MODULES_VADDR);
	ck_assert_uint_eq((u64)(uintptr_t)vm->pages, VMALLOC_START);
	ck_assert_uint_eq(find_vm_area(mm, VMALLOC_START)->prot, PAGE_KERNEL);
	ck_assert_ptr_null(check_all());
}
END_TEST

/* Zone flags are for the frames; the array does not need them (D18). */
START_TEST(only_the_frames_come_from_the_zone_asked_for)
{
	struct vmalloc_request request = request_of(1000 * PAGE_SIZE);
	struct vm_struct *vm, *nested;
	struct page **pages;
	u64 addr, count;

	request.gfp |= __GFP_DMA32;
	addr = must(&request);
	vm = find_vm_area(mm, addr);
	nested = find_vm_area(mm, (u64)(uintptr_t)vm->pages);
	for (u64 i = 0; i < 1000; i += count) {
		pages = vm_pages_chunk(mm, vm, i, &count);
		for (u64 j = 0; j < count; j++)
			ck_assert_uint_le(pages[j]->zone, ZONE_DMA32);
	}
	for (u64 i = 0; i < nested->nr_pages; i++)
		ck_assert_uint_eq(nested->pages[i]->zone, ZONE_NORMAL);
	ck_assert_uint_eq(virt_to_page(mm, vm)->zone, ZONE_NORMAL);
	ck_assert_uint_eq(virt_to_page(mm, vm->area)->zone, ZONE_NORMAL);
	ck_assert_int_eq(vfree(mm, addr), 0);
}
END_TEST

/* Nor is an area's own object of that zone, and there is one for each range. */
START_TEST(a_zone_is_not_the_bookkeepings)
{
	struct vmalloc_request request = request_of(PAGE_SIZE);

	request.gfp |= __GFP_DMA;
	for (u32 i = 0; i < 300; i++) {
		const struct vm_struct *vm = find_vm_area(mm, must(&request));

		ck_assert_uint_eq(vm->inline_pages[0]->zone, ZONE_DMA);
		ck_assert_uint_eq(virt_to_page(mm, vm)->zone, ZONE_NORMAL);
		ck_assert_uint_eq(virt_to_page(mm, vm->area)->zone, ZONE_NORMAL);
	}
	ck_assert_ptr_null(check_all());
}
END_TEST

/* From whichever page on: the frames there, in one piece of the array, and none behind the last. */
START_TEST(a_chunk_begins_where_it_is_asked_for)
{
	const struct array_case *its = &array_cases[_i];
	const u64 from[] = {0,   1,    7,    300,  511,  512,           513,
			    700, 1023, 1024, 1025, 4999, its->pages - 1};
	struct vmalloc_request request = request_of(its->pages * PAGE_SIZE);
	struct vm_struct *vm;
	struct page **chunk;
	u64 addr, count;

	request.flags = its->flags;
	addr = must(&request);
	vm = find_vm_area(mm, addr);
	ck_assert_uint_eq(vm->array, its->array);
	for (u32 i = 0; i < ARRAY_SIZE(from); i++) {
		if (from[i] >= its->pages)
			continue;
		chunk = vm_pages_chunk(mm, vm, from[i], &count);
		if (its->pages <= 512)
			ck_assert_uint_eq(count, its->pages - from[i]);
		else if (its->pages - from[i] < 512 - from[i] % 512)
			ck_assert_uint_eq(count, its->pages - from[i]);
		else
			ck_assert_uint_eq(count, 512 - from[i] % 512);
		for (u64 j = 0; j < count; j++) {
			if (chunk[j] != vmalloc_to_page(mm, addr + (from[i] + j) * PAGE_SIZE))
				ck_abort_msg("page %lu of %lu", (unsigned long)(from[i] + j),
					     (unsigned long)its->pages);
		}
	}
}
END_TEST

/* Whole pieces, one entry less and one more: what a directory takes it gives back, and no more. */
START_TEST(a_directory_is_as_long_as_its_array)
{
	static const u64 sizes[] = {1023, 1024, 1025, 1535, 1536};
	struct vmalloc_request request = request_of(sizes[_i] * PAGE_SIZE);
	u64 before;

	request.flags = VM_ARRAY_OUTSIDE;
	ck_assert_int_eq(vfree(mm, must(&request)), 0);
	before = frames_in_use();
	for (u32 round = 0; round < 3; round++) {
		u64 addr = must(&request);

		ck_assert_uint_eq(find_vm_area(mm, addr)->array, VM_ARRAY_DIRECTORY);
		ck_assert_ptr_null(check_all());
		ck_assert_int_eq(vfree(mm, addr), 0);
	}
	ck_assert_uint_eq(frames_in_use(), before);
	ck_assert_uint_eq(sim->nr_warnings, 0);
	ck_assert_uint_eq(sim->nr_logs, 0);
	ck_assert_ptr_null(check_all());
}
END_TEST

/* The first pages there are: what is freed of them is what the area has. */
START_TEST(areas_at_the_lowest_addresses_are_freed_alone)
{
	struct vmalloc_request request = request_of(PAGE_SIZE);
	u64 addr[4];

	request.start = PAGE_SIZE;
	request.end = 2ull << 20;
	request.flags = VM_NO_GUARD;
	for (u32 i = 0; i < 4; i++) {
		addr[i] = must(&request);
		ck_assert_uint_eq(addr[i], (1 + i) * PAGE_SIZE);
	}
	for (u32 i = 0; i < 4; i++) {
		ck_assert_int_eq(vfree(mm, addr[i]), 0);
		ck_assert_uint_eq(count_leaves(mm->pt.root_phys, 4), 3 - i);
	}
	ck_assert_ptr_null(check_all());
}
END_TEST

/* ---- ranges without frames ---- */

START_TEST(a_reserved_area_is_a_range_with_a_guard)
{
	struct vmalloc_request request = request_of(5 * PAGE_SIZE);
	struct vm_struct *vm;
	u64 addr;

	request.flags = VM_MAP;
	ck_assert_int_eq(get_vm_area_node(mm, &request, &addr), 0);
	vm = find_vm_area(mm, addr);
	ck_assert_uint_eq(vm->size, 6 * PAGE_SIZE);
	ck_assert_uint_eq(vm->nr_pages, 0);
	ck_assert_uint_eq(vm->flags, VM_MAP);
	ck_assert_uint_eq(count_leaves(mm->pt.root_phys, 4), 0);
	/* What its owner maps there goes with it. */
	ck_assert_int_eq(pt_map_range(mm, &mm->pt, addr, addr + 5 * PAGE_SIZE, 0, PAGE_KERNEL, 1),
			 0);
	ck_assert_int_eq(free_vm_area(mm, addr), 0);
	ck_assert_uint_eq(count_leaves(mm->pt.root_phys, 4), 0);
}
END_TEST

/* 2^n pages at 2^n pages (4.9's fix of D5), more than 512 KiB at 512 KiB. */
START_TEST(io_areas_are_aligned_to_their_size)
{
	static const u64 cases[][2] = {{1, PAGE_SIZE},        {PAGE_SIZE, PAGE_SIZE},
				       {PAGE_SIZE + 1, 8192}, {65536, 65536},
				       {65537, 131072},       {4ull << 30, 524288}};
	u64 addr;

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmalloc_request request = request_of(cases[i][0]);

		request.start += PAGE_SIZE;
		request.flags = VM_IOREMAP;
		ck_assert_int_eq(get_vm_area_node(mm, &request, &addr), 0);
		ck_assert_uint_eq(addr, ALIGN_UP(VMALLOC_START + PAGE_SIZE, cases[i][1]));
		ck_assert_int_eq(free_vm_area(mm, addr), 0);
		vmap_purge(mm);
	}
}
END_TEST

START_TEST(a_reservation_that_cannot_be_is_refused)
{
	static const u64 sizes[] = {0, ~0ull, ~0ull << PAGE_SHIFT, (~0ull << PAGE_SHIFT) - 1};
	struct vmalloc_request request;
	u64 addr;

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		request = request_of(sizes[i]);
		request.start = 0;
		request.end = ~0ull;
		ck_assert_int_eq(get_vm_area_node(mm, &request, &addr), -EINVAL);
	}
	request = request_of(64ull << 40);
	request.flags = VM_IOREMAP;
	ck_assert_int_eq(get_vm_area_node(mm, &request, &addr), -ENOSPC);
	ck_assert_ptr_null(check_all());
}
END_TEST

/* ---- flushes ---- */

START_TEST(eagerly_freed_frames_are_flushed_before_they_are_free)
{
	u64 addr = must_pages(4);

	vmap_set_mode(mm, VMAP_EAGER);
	ck_assert_int_eq(vfree(mm, addr), 0);
	ck_assert_uint_eq(sim->nr_flushes, 1);
	ck_assert_uint_eq(sim->flush[0].start, addr);
	ck_assert_uint_eq(sim->flush[0].end, addr + 5 * PAGE_SIZE);
	ck_assert_uint_eq(must_pages(4), addr);
}
END_TEST

START_TEST(pages_without_a_struct_page_are_no_pages)
{
	const u64 va = VMALLOC_START + (1 << 30);

	ck_assert_int_eq(pt_map_range(mm, &mm->pt, va, va + PAGE_SIZE, 0xfee00000, PAGE_KERNEL, 1),
			 0);
	ck_assert_ptr_null(vmalloc_to_page(mm, va));
	pt_unmap(mm, &mm->pt, va, va + PAGE_SIZE);
	ck_assert_int_eq(pt_map_range(mm, &mm->pt, va, va + PAGE_SIZE, 1ull << 51, PAGE_KERNEL, 1),
			 0);
	ck_assert_ptr_null(vmalloc_to_page(mm, va));
	ck_assert_ptr_null(vmalloc_to_page(mm, 1ull << 60));
}
END_TEST

static Suite *vmalloc_suite(void)
{
	Suite *suite = suite_create("vmalloc");
	TCase *tcase = tcase_create("vmalloc");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, an_area_maps_its_frames_and_a_guard_follows);
	tcase_add_test(tcase, an_area_without_guard_is_all_pages);
	tcase_add_test(tcase, alignment_and_window_are_kept);
	tcase_add_test(tcase, linuxs_search_can_be_asked_for);
	tcase_add_test(tcase, zeroed_frames_are_zero_whatever_was_in_them);
	tcase_add_loop_test(tcase, the_array_is_where_its_size_puts_it, 0, ARRAY_SIZE(array_cases));
	tcase_add_test(tcase, a_nested_array_is_in_the_vmalloc_range_wherever_its_area_is);
	tcase_add_test(tcase, only_the_frames_come_from_the_zone_asked_for);
	tcase_add_test(tcase, a_zone_is_not_the_bookkeepings);
	tcase_add_loop_test(tcase, a_directory_is_as_long_as_its_array, 0, 5);
	tcase_add_test(tcase, areas_at_the_lowest_addresses_are_freed_alone);
	tcase_add_loop_test(tcase, a_chunk_begins_where_it_is_asked_for, 0,
			    (int)ARRAY_SIZE(array_cases));
	tcase_add_test(tcase, a_reserved_area_is_a_range_with_a_guard);
	tcase_add_test(tcase, io_areas_are_aligned_to_their_size);
	tcase_add_test(tcase, a_reservation_that_cannot_be_is_refused);
	tcase_add_test(tcase, eagerly_freed_frames_are_flushed_before_they_are_free);
	tcase_add_test(tcase, pages_without_a_struct_page_are_no_pages);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vmalloc_suite());
}
