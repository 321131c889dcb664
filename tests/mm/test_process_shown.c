/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process may be shown of areas: ranges side by side, areas without frames, and one that
 * goes meanwhile.
 */
#include "tests/mm/process_fixture.h"

/* Side by side and all shown: one that goes takes its own pages along, and no neighbour's. */
START_TEST(a_range_leaves_its_neighbours_alone)
{
	struct vm_area_struct *vma[3];
	u64 addr = must_user(3 * 2), entry;

	for (u32 i = 0; i < 3; i++) {
		vma[i] = must_vma(BASE + 2 * i * PAGE_SIZE, 2, VM_READ);
		ck_assert_int_eq(remap_vmalloc_range(mm, vma[i], addr, 2 * i), 0);
	}
	vma_destroy(mm, vma[1]);
	ck_assert_uint_eq(process->nr_user_pages, 4);
	for (u32 i = 0; i < 6; i++) {
		int level = pt_lookup(mm, &process->pt, BASE + i * PAGE_SIZE, &entry);

		ck_assert_int_eq(level, i / 2 != 1);
		ck_assert_uint_eq(vmalloc_to_page(mm, addr + i * PAGE_SIZE)->refcount, 1 + level);
	}
	ck_assert_ptr_null(process_check(mm, process));
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* One frame shown over and over may be more than the machine: that is refused, at no cost. */
START_TEST(more_pages_than_there_are_cost_no_tables)
{
	const u64 nr = mm->total_pages + 1;
	u64 addr = must_get(nr * PAGE_SIZE, VM_USERMAP), tables;
	struct vm_area_struct *vma = must_vma(BASE, nr, VM_READ);
	static struct page *same[65536];

	take_pages(1);
	for (u64 i = 0; i < nr; i++)
		same[i] = pages[0];
	ck_assert_int_eq(map_vm_area(mm, addr, same, nr, PAGE_KERNEL), 0);
	tables = process->pt.nr_tables;
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0), -EINVAL);
	ck_assert_uint_eq(process->pt.nr_tables, tables);
}
END_TEST

/* What is not there cannot be shown: not an area without frames, nor one with a hole. */
START_TEST(an_area_without_frames_costs_no_tables)
{
	u64 addr = must_get(8 * PAGE_SIZE, VM_USERMAP), tables;
	struct vm_area_struct *vma = must_vma(BASE, 8, VM_READ);

	take_pages(8);
	tables = process->pt.nr_tables;
	for (u32 round = 0; round < 2; round++) {
		/* Nor is it for want of memory that it is refused. */
		mm->fault.fail[FAULT_TABLE] = mm->fault.fail[FAULT_FRAME] = 1;
		ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0), -EINVAL);
		ck_assert_uint_eq(process->pt.nr_tables, tables);
		mm->fault.fail[FAULT_TABLE] = mm->fault.fail[FAULT_FRAME] = 0;
		ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
		ck_assert_int_eq(map_vm_area(mm, addr, pages, 8, PAGE_KERNEL), 0);
		ck_assert_int_eq(unmap_kernel_range(mm, addr + 7 * PAGE_SIZE, PAGE_SIZE), 0);
	}
	for (u32 i = 0; i < 8; i++)
		ck_assert_uint_eq(pages[i]->refcount, 1);
	/* The part that is there can. */
	vma_destroy(mm, vma);
	vma = must_vma(BASE, 7, VM_READ);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0), 0);
	ck_assert_ptr_null(process_check(mm, process));
}
END_TEST

static const struct arch_ops *usual_ops;
static u64 to_free;

/* Which CPU this is is asked before a frame is taken: meanwhile somebody else frees the area. */
static u32 free_meanwhile(void *arch)
{
	u64 addr = to_free;

	to_free = 0;
	if (addr)
		ck_assert_int_eq(vfree(mm, addr), 0);
	return usual_ops->cpu_id(arch);
}

START_TEST(an_area_that_goes_while_tables_are_made_is_not_shown)
{
	struct sim_config config = sim_default_config(2);
	struct vm_area_struct *vma;
	struct arch_ops ops;
	u64 addr;

	teardown();
	sim = sim_create(&config);
	mm = &sim->mm;
	process = must_process();
	vma = must_vma(BASE, 2, VM_READ);
	addr = must_user(2);
	usual_ops = mm->ops;
	ops = *mm->ops;
	ops.cpu_id = free_meanwhile;
	mm->ops = &ops;
	to_free = addr;
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0), -EINVAL);
	mm->ops = usual_ops;
	ck_assert_uint_eq(to_free, 0);
	ck_assert_uint_gt(process->pt.nr_tables, 1);
	ck_assert_uint_eq(process->nr_user_pages, 0);
	ck_assert_uint_eq(vma->vm_flags, VM_READ);
	ck_assert_ptr_null(process_check(mm, process));
}
END_TEST

static Suite *process_shown_suite(void)
{
	Suite *suite = suite_create("process_shown");
	TCase *tcase = tcase_create("shown");

	tcase_add_checked_fixture(tcase, setup_process, teardown);
	tcase_add_test(tcase, a_range_leaves_its_neighbours_alone);
	tcase_add_test(tcase, more_pages_than_there_are_cost_no_tables);
	tcase_add_test(tcase, an_area_without_frames_costs_no_tables);
	tcase_add_test(tcase, an_area_that_goes_while_tables_are_made_is_not_shown);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(process_shown_suite());
}
