/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes: user ranges, frames shown in them and what keeps those frames, the kernel's half.
 * Test dNN_ is the input that shows defect NN of the seed.
 */
#include "tests/mm/process_fixture.h"

/* ---- ranges ---- */

START_TEST(ranges_are_user_addresses_and_disjoint)
{
	static const struct {
		u64 start, end, flags;
		int err;
	} cases[] = {
		{BASE, BASE, VM_READ, -EINVAL},
		{BASE + 8, BASE + PAGE_SIZE, VM_READ, -EINVAL},
		{BASE, BASE + 8, VM_READ, -EINVAL},
		{BASE + PAGE_SIZE, BASE, VM_READ, -EINVAL},
		{0, PAGE_SIZE, VM_READ, -EINVAL},
		{USER_END - PAGE_SIZE, USER_END + PAGE_SIZE, VM_READ, -EINVAL},
		{VMALLOC_START, VMALLOC_START + PAGE_SIZE, VM_READ, -EINVAL},
		{BASE, ~0ull << PAGE_SHIFT, VM_READ, -EINVAL},
		{BASE, BASE + PAGE_SIZE, 0, -EINVAL},
		{BASE, BASE + PAGE_SIZE, VM_SHARED, -EINVAL},
		{BASE, BASE + PAGE_SIZE, VM_READ | 0x10, -EINVAL},
		{BASE, BASE + PAGE_SIZE, VM_READ | VM_PFNMAP, -EINVAL},
		{BASE, BASE + PAGE_SIZE, VM_WRITE | VM_EXEC, -EINVAL},
		{BASE, BASE + 4 * PAGE_SIZE, VM_READ, 0},
		{BASE + PAGE_SIZE, BASE + 2 * PAGE_SIZE, VM_READ, -EBUSY},
		{BASE - PAGE_SIZE, BASE + PAGE_SIZE, VM_READ, -EBUSY},
		{BASE + 3 * PAGE_SIZE, BASE + 5 * PAGE_SIZE, VM_READ, -EBUSY},
		{BASE - PAGE_SIZE, BASE + 9 * PAGE_SIZE, VM_READ, -EBUSY},
		{BASE + 4 * PAGE_SIZE, BASE + 5 * PAGE_SIZE, VM_READ, 0},
		{BASE - PAGE_SIZE, BASE, VM_READ, 0},
		{USER_START, USER_START + PAGE_SIZE, VM_EXEC, 0},
		{USER_END - PAGE_SIZE, USER_END, VM_WRITE, 0},
	};
	struct vm_area_struct *vma;

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		int err =
			vma_create(mm, process, cases[i].start, cases[i].end, cases[i].flags, &vma);

		ck_assert_msg(err == cases[i].err, "case %u: %d", i, err);
		ck_assert_ptr_null(process_check(mm, process));
	}
	ck_assert_uint_eq(find_vma(process, BASE + 4 * PAGE_SIZE - 1)->vm_start, BASE);
	ck_assert_uint_eq(find_vma(process, BASE - 1)->vm_end, BASE);
	ck_assert_ptr_null(find_vma(process, BASE + 5 * PAGE_SIZE));
}
END_TEST

START_TEST(the_range_decides_the_protection)
{
	static const u64 cases[][2] = {
		{VM_READ, X86_PTE_NX},
		{VM_READ | VM_WRITE, X86_PTE_NX | X86_PTE_RW},
		{VM_READ | VM_EXEC, 0},
	};
	const u64 common = X86_PTE_P | X86_PTE_US | X86_PTE_A;
	u64 addr = must_user(1);

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 at = BASE + i * (1ull << 39), entry;
		struct vm_area_struct *vma = must_vma(at, 1, cases[i][0]);

		ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0), 0);
		ck_assert_uint_eq(user_entry(at), page_to_phys(mm, vmalloc_to_page(mm, addr)) |
							  common | cases[i][1]);
		/* Every table on the way lets users through. */
		entry = process->pt.root_phys;
		for (int level = 4; level > 1; level--) {
			const u64 *table = phys_to_virt(mm, entry & X86_PTE_ADDR_MASK);

			entry = table[at >> X86_LEVEL_SHIFT(level) & 511];
			ck_assert_uint_eq(entry & (X86_PTE_P | X86_PTE_RW | X86_PTE_US),
					  X86_PTE_P | X86_PTE_RW | X86_PTE_US);
		}
	}
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* ---- frames ---- */

START_TEST(a_page_is_inserted_where_nothing_is)
{
	struct vm_area_struct *vma = must_vma(BASE, 2, VM_READ);
	struct page *block, *table;

	take_pages(1);
	block = alloc_pages(mm, GFP_KERNEL, 1, 0, PAGE_OTHER, sim);
	table = alloc_pages(mm, GFP_KERNEL, 0, 0, PAGE_TABLE, sim);
	ck_assert_int_eq(vm_insert_page(mm, vma, BASE - PAGE_SIZE, pages[0]), -EFAULT);
	ck_assert_int_eq(vm_insert_page(mm, vma, BASE + 2 * PAGE_SIZE, pages[0]), -EFAULT);
	ck_assert_int_eq(vm_insert_page(mm, vma, BASE + 8, pages[0]), -EFAULT);
	ck_assert_int_eq(vm_insert_page(mm, vma, BASE, NULL), -EINVAL);
	ck_assert_int_eq(vm_insert_page(mm, vma, BASE, block), -EINVAL);
	ck_assert_int_eq(vm_insert_page(mm, vma, BASE, block + 1), -EINVAL);
	ck_assert_int_eq(vm_insert_page(mm, vma, BASE, table), -EINVAL);
	ck_assert_int_eq(vm_insert_page(mm, vma, BASE, pages[0]), 0);
	ck_assert_int_eq(vm_insert_page(mm, vma, BASE, pages[0]), -EBUSY);
	ck_assert_uint_eq(pages[0]->refcount, 2);
	ck_assert_int_eq(vm_insert_page(mm, vma, BASE + PAGE_SIZE, pages[0]), 0);
	ck_assert_uint_eq(pages[0]->refcount, 3);
	ck_assert_ptr_null(process_check(mm, process));
	vma_destroy(mm, vma);
	ck_assert_uint_eq(pages[0]->refcount, 1);
	ck_assert_uint_eq(process->nr_user_pages, 0);
	free_pages(mm, table, 0);
}
END_TEST

/* Whoever goes last, the area, one process or the other, takes the frames along. */
START_TEST(frames_live_as_long_as_the_last_who_shows_them)
{
	u64 before = core_frames_in_use(sim);

	for (u32 order = 0; order < 6; order++) {
		/* All orders of three: the n-th of 0, 1, 2 and then the two others. */
		u32 first = order / 2, second = (first + 1 + order % 2) % 3;
		u32 turn[3] = {first, second, 3 - first - second};
		struct process *two = must_process(), *keep = process;
		struct vm_area_struct *vma[2];
		u64 addr = must_user(5);

		vma[0] = must_vma(BASE, 5, VM_READ | VM_WRITE);
		process = two;
		vma[1] = must_vma(BASE * 2, 5, VM_READ);
		process = keep;
		for (u32 i = 0; i < 2; i++)
			ck_assert_int_eq(remap_vmalloc_range(mm, vma[i], addr, 0), 0);
		ck_assert_uint_eq(vma[0]->vm_flags,
				  VM_READ | VM_WRITE | VM_DONTEXPAND | VM_DONTDUMP);
		for (u32 i = 0; i < 3; i++) {
			u64 used = core_frames_in_use(sim);

			if (turn[i] == 2)
				ck_assert_int_eq(vfree(mm, addr), 0);
			else
				vma_destroy(mm, vma[turn[i]]);
			ck_assert_ptr_null(core_check(sim));
			ck_assert_uint_eq(used - core_frames_in_use(sim) >= 5, i == 2);
		}
		process_destroy(mm, two);
		ck_assert_uint_eq(core_frames_in_use(sim), before);
	}
	ck_assert_uint_eq(sim->nr_warnings, 0);
}
END_TEST

static struct page *watched;

/* No frame may be free before the flush of the range that showed it. */
static void flush_before_free(void *arch, u64 start, u64 end)
{
	sim->nr_flushes++;
	ck_assert_uint_eq(start, BASE);
	ck_assert_uint_eq(end, BASE + PAGE_SIZE);
	ck_assert_uint_eq(watched->refcount, 1);
	ck_assert_uint_eq(user_entry(BASE), 0);
}

START_TEST(a_user_page_is_flushed_before_its_frame_is_free)
{
	struct vm_area_struct *vma = must_vma(BASE, 1, VM_READ);
	u64 addr = must_user(1);
	struct arch_ops ops = *mm->ops;

	watched = vmalloc_to_page(mm, addr);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0), 0);
	ck_assert_int_eq(vfree(mm, addr), 0);
	ck_assert_uint_eq(watched->state, PAGE_OTHER);
	ops.flush_tlb_kernel_range = flush_before_free;
	mm->ops = &ops;
	vma_destroy(mm, vma);
	ck_assert_uint_eq(sim->nr_flushes, 1);
	ck_assert_uint_eq(watched->refcount, 0);
}
END_TEST

START_TEST(d29_offsets_beyond_the_area_are_refused)
{
	static const u64 offsets[] = {
		0xfffffffffffffull, 0xffffffffffffeull, 1ull << 52, ~0ull, 8, 7, 1ull << 63};
	u64 neighbour = must_user(8), addr = must_user(8), after = must_user(8);
	struct vm_area_struct *vma = must_vma(BASE, 2, VM_READ);

	ck_assert_uint_eq(addr, neighbour + 9 * PAGE_SIZE);
	ck_assert_uint_eq(after, addr + 9 * PAGE_SIZE);
	for (u32 i = 0; i < ARRAY_SIZE(offsets); i++)
		ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, offsets[i]), -EINVAL);
	vma_destroy(mm, vma);
	vma = must_vma(BASE, 3, VM_READ);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0xffffffffffffeull), -EINVAL);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 6), -EINVAL);
	ck_assert_uint_eq(process->nr_user_pages, 0);
	ck_assert_uint_eq(vma->vm_flags, VM_READ);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 5), 0);
	ck_assert_uint_eq(user_entry(BASE + 2 * PAGE_SIZE) & X86_PTE_ADDR_MASK,
			  page_to_phys(mm, vmalloc_to_page(mm, addr + 7 * PAGE_SIZE)));
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* No guard between the two: what comes before the area is a page that could be shown. */
START_TEST(d29_offsets_do_not_wrap_into_the_area_before)
{
	struct vmalloc_request request = {.size = 8 * PAGE_SIZE,
					  .align = 1,
					  .start = VMALLOC_START,
					  .end = VMALLOC_END,
					  .prot = PAGE_KERNEL,
					  .flags = VM_NO_GUARD | VM_USERMAP,
					  .gfp = GFP_KERNEL,
					  .node = NUMA_NO_NODE};
	u64 before, addr;

	ck_assert_int_eq(vmalloc_node_range(mm, &request, &before), 0);
	ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), 0);
	ck_assert_uint_eq(addr, before + 8 * PAGE_SIZE);
	for (u64 nr = 1; nr <= 3; nr++) {
		struct vm_area_struct *vma = must_vma(BASE, nr, VM_READ);

		for (u64 back = 1; back <= 3; back++) {
			ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0 - back), -EINVAL);
			ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, (1ull << 52) - back),
					 -EINVAL);
		}
		vma_destroy(mm, vma);
	}
}
END_TEST

START_TEST(only_user_areas_are_shown_and_only_from_their_start)
{
	struct vm_area_struct *vma = must_vma(BASE, 1, VM_READ);
	u64 frames = must_vmalloc(PAGE_SIZE), addr = must_user(2), range, mapped;

	range = must_get(PAGE_SIZE, VM_USERMAP);
	take_pages(1);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, frames, 0), -EINVAL);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr + 1, 0), -EINVAL);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr + PAGE_SIZE, 0), -EINVAL);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, 0, 0), -EINVAL);
	/* Nothing is mapped in it. */
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, range, 0), -EINVAL);
	ck_assert_int_eq(vmap(mm, pages, 1, VM_USERMAP, PAGE_KERNEL, &mapped), 0);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, mapped, 0), 0);
	ck_assert_uint_eq(pages[0]->refcount, 2);
	ck_assert_int_eq(vunmap(mm, mapped), 0);
	free_pages(mm, pages[0], 0);
	ck_assert_uint_eq(pages[0]->refcount, 1);
	ck_assert_ptr_null(process_check(mm, process));
}
END_TEST

#define IMAGE_PHYS 0x200000ull

/* Boot memory is nobody's: no reference is taken, none is dropped. */
START_TEST(the_image_is_shown_read_only_and_stays)
{
	struct sim_config config = sim_default_config(1);
	const u64 pfn = IMAGE_PHYS >> PAGE_SHIFT;
	struct vm_area_struct *vma;

	teardown();
	sim_add_reserved(&config, IMAGE_PHYS, 4 * PAGE_SIZE, RESERVED_IMAGE);
	sim = sim_create(&config);
	mm = &sim->mm;
	process = must_process();
	vma = must_vma(BASE, 2, VM_READ | VM_WRITE);
	ck_assert_int_eq(remap_pfn_range(mm, vma, pfn), -EINVAL);
	vma_destroy(mm, vma);
	vma = must_vma(BASE, 2, VM_READ | VM_EXEC);
	ck_assert_int_eq(remap_pfn_range(mm, vma, pfn - 1), -EINVAL);
	ck_assert_int_eq(remap_pfn_range(mm, vma, pfn + 3), -EINVAL);
	ck_assert_int_eq(remap_pfn_range(mm, vma, pfn | 1ull << 52), -EINVAL);
	ck_assert_int_eq(remap_pfn_range(mm, vma, ~0ull), -EINVAL);
	ck_assert_uint_eq(process->nr_user_pages, 0);
	ck_assert_int_eq(remap_pfn_range(mm, vma, pfn + 2), 0);
	ck_assert_int_eq(remap_pfn_range(mm, vma, pfn + 2), -EBUSY);
	ck_assert_uint_eq(vma->vm_flags,
			  VM_READ | VM_EXEC | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	ck_assert_uint_eq(user_entry(BASE + PAGE_SIZE),
			  (IMAGE_PHYS + 3 * PAGE_SIZE) | X86_PTE_P | X86_PTE_US | X86_PTE_A);
	ck_assert_ptr_null(core_check(sim));
	vma_destroy(mm, vma);
	ck_assert_uint_eq(process->nr_user_pages, 0);
	ck_assert_uint_eq(sim->nr_warnings, 0);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

START_TEST(a_process_is_one_callers_at_a_time)
{
	struct process *claimed = NULL;

	ck_assert_int_eq(process_claim(mm, process->id, &claimed), -EBUSY);
	process_release(mm, process);
	ck_assert_int_eq(process_claim(mm, process->id + 1, &claimed), -ESRCH);
	ck_assert_int_eq(process_claim(mm, 0, &claimed), -ESRCH);
	ck_assert_int_eq(process_claim(mm, process->id | 1ull << 32, &claimed), -ESRCH);
	ck_assert_ptr_null(claimed);
	ck_assert_int_eq(process_claim(mm, process->id, &claimed), 0);
	ck_assert_ptr_eq(claimed, process);
	ck_assert_int_eq(process_claim(mm, process->id, &claimed), -EBUSY);
}
END_TEST

/* ---- the kernel's half, and the end ---- */

START_TEST(every_process_sees_new_kernel_mappings_after_a_sync)
{
	struct process *process_of[3];
	const u64 far = VMALLOC_START + (3ull << 39);
	u64 addr, entry, own;

	for (u32 i = 0; i < 3; i++)
		process_of[i] = must_process();
	must_vmalloc(PAGE_SIZE);
	ck_assert_int_eq(get_vm_area_window(mm, PAGE_SIZE, 0, far, VMALLOC_END, &addr), 0);
	take_pages(1);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 1, PAGE_KERNEL), 0);
	for (u32 i = 0; i < 3; i++)
		ck_assert_int_eq(pt_lookup(mm, &process_of[i]->pt, addr, &entry), 0);
	vmalloc_sync_all(mm);
	pt_lookup(mm, &mm->pt, addr, &entry);
	for (u32 i = 0; i < 3; i++) {
		ck_assert_int_eq(pt_lookup(mm, &process_of[i]->pt, addr, &own), 1);
		ck_assert_uint_eq(own, entry);
		ck_assert_int_eq(pt_lookup(mm, &process_of[i]->pt, VMALLOC_START, &own), 1);
	}
	/* Below an entry that is there, nothing needs to be done. */
	addr = must_vmalloc(PAGE_SIZE);
	ck_assert_int_eq(pt_lookup(mm, &process->pt, addr, &own), 1);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

START_TEST(alloc_vm_area_needs_no_sync)
{
	const u64 *kernel, *own;
	u64 addr;

	ck_assert_int_eq(alloc_vm_area(mm, PAGE_SIZE, &addr), 0);
	kernel = phys_to_virt(mm, mm->pt.root_phys);
	own = phys_to_virt(mm, process->pt.root_phys);
	ck_assert_uint_ne(kernel[addr >> 39 & 511], 0);
	ck_assert_uint_eq(own[addr >> 39 & 511], kernel[addr >> 39 & 511]);
}
END_TEST

START_TEST(a_process_ends_with_everything_it_had)
{
	u64 before = nr_free_pages(mm), addr, frames, tables;
	struct process *other;

	must_user(1);
	addr = must_user(700);
	core_frames_in_use(sim);
	frames = nr_free_pages(mm);
	tables = mm->pt.nr_tables;
	other = process;
	process = must_process();
	for (u32 i = 0; i < 4; i++)
		ck_assert_int_eq(remap_vmalloc_range(
					 mm,
					 must_vma(BASE + i * (1ull << 41), 700, VM_READ | VM_WRITE),
					 addr, 0),
				 0);
	ck_assert_uint_eq(process->nr_user_pages, 2800);
	ck_assert_uint_eq(process->pt.nr_tables, 1 + 4 * 4);
	ck_assert_ptr_null(core_check(sim));
	process_destroy(mm, process);
	process = other;
	core_frames_in_use(sim);
	ck_assert_uint_eq(nr_free_pages(mm), frames);
	ck_assert_uint_eq(mm->pt.nr_tables, tables);
	ck_assert_uint_eq(mm->processes.nr, 1);
	ck_assert_ptr_null(core_check(sim));
	ck_assert_uint_lt(frames, before);
}
END_TEST

static Suite *process_suite(void)
{
	Suite *suite = suite_create("process");
	TCase *tcase = tcase_create("process");

	tcase_add_checked_fixture(tcase, setup_process, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, ranges_are_user_addresses_and_disjoint);
	tcase_add_test(tcase, the_range_decides_the_protection);
	tcase_add_test(tcase, a_page_is_inserted_where_nothing_is);
	tcase_add_test(tcase, frames_live_as_long_as_the_last_who_shows_them);
	tcase_add_test(tcase, a_user_page_is_flushed_before_its_frame_is_free);
	tcase_add_test(tcase, d29_offsets_beyond_the_area_are_refused);
	tcase_add_test(tcase, d29_offsets_do_not_wrap_into_the_area_before);
	tcase_add_test(tcase, only_user_areas_are_shown_and_only_from_their_start);
	tcase_add_test(tcase, the_image_is_shown_read_only_and_stays);
	tcase_add_test(tcase, a_process_is_one_callers_at_a_time);
	tcase_add_test(tcase, every_process_sees_new_kernel_mappings_after_a_sync);
	tcase_add_test(tcase, alloc_vm_area_needs_no_sync);
	tcase_add_test(tcase, a_process_ends_with_everything_it_had);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(process_suite());
}
