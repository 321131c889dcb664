/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmalloc's errors: requests that cannot be, allocations that fail one after the other, frees of
 * what is no area. Nothing may be left behind, nothing harmed.
 */
#include "tests/mm/vmalloc_fixture.h"

START_TEST(senseless_requests_are_refused)
{
	static const struct {
		u64 size, align, start, end;
		int err;
	} bad[] = {
		{0, 1, VMALLOC_START, VMALLOC_END, -EINVAL},
		{~0ull, 1, VMALLOC_START, VMALLOC_END, -EINVAL},
		{~0ull - 0xffe, 1, VMALLOC_START, VMALLOC_END, -EINVAL},
		{~0ull - 0xfff, 1, VMALLOC_START, VMALLOC_END, -ENOMEM},
		{1ull << 63, 1, VMALLOC_START, VMALLOC_END, -ENOMEM},
		{PAGE_SIZE, 0, VMALLOC_START, VMALLOC_END, -EINVAL},
		{PAGE_SIZE, 3, VMALLOC_START, VMALLOC_END, -EINVAL},
		{PAGE_SIZE, 1, VMALLOC_START, VMALLOC_START, -EINVAL},
		{PAGE_SIZE, 1, VMALLOC_END, VMALLOC_START, -EINVAL},
		{PAGE_SIZE, 1ull << 63, VMALLOC_START, VMALLOC_END, -ENOSPC},
		{PAGE_SIZE, 1, VMALLOC_START, VMALLOC_START + PAGE_SIZE, -ENOSPC},
		/* A range that no page table can map: reserved, then found out. */
		{PAGE_SIZE, 1, 1ull << 60, 1ull << 61, -EINVAL},
	};
	struct vmalloc_request request;
	u64 addr = 77, before = frames_in_use();

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		request = request_of(bad[i].size);
		request.align = bad[i].align;
		request.start = bad[i].start;
		request.end = bad[i].end;
		if (vmalloc_node_range(mm, &request, &addr) != bad[i].err)
			ck_abort_msg("case %u", i);
		ck_assert_uint_eq(mm->vmap.nr_busy, 0);
		ck_assert_ptr_null(check_all());
	}
	ck_assert_uint_eq(addr, 77);
	ck_assert_uint_eq(frames_in_use(), before);
	ck_assert_uint_eq(sim->nr_warnings, 0);
}
END_TEST

START_TEST(failures_are_logged_as_linux_does_unless_nowarn)
{
	struct vmalloc_request request = request_of((mm->total_pages + 1) << PAGE_SHIFT);
	u64 addr;

	ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), -ENOMEM);
	ck_assert(sim_logged(sim, "exceeds total pages"));
	request = request_of(PAGE_SIZE);
	request.end = request.start + PAGE_SIZE;
	ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), -ENOSPC);
	ck_assert(sim_logged(sim, "vmap allocation for size 8192 failed: use vmalloc=<size>"));
	request = request_of((mm->total_pages - 100) << PAGE_SHIFT);
	ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), -ENOMEM);
	ck_assert(sim_logged(sim, "failed to allocate pages"));
	request.gfp |= __GFP_NOWARN;
	sim->nr_logs = 0;
	memset(sim->log, 0, sizeof(sim->log));
	ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), -ENOMEM);
	ck_assert_uint_eq(sim->nr_logs, 0);
}
END_TEST

START_TEST(a_leaf_in_the_way_fails_the_allocation_and_stays)
{
	static const u64 sizes[] = {1, 10, 600};
	u64 before = frames_in_use(), addr, entry;

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct vmalloc_request request = request_of(sizes[i] << PAGE_SHIFT);
		u64 va = VMALLOC_START + (64 << 20) * (i + 1);

		request.start = va;
		va += (sizes[i] - 1) * PAGE_SIZE;
		ck_assert_int_eq(pt_map_range(mm, &mm->pt, va, va + PAGE_SIZE, 0, PAGE_KERNEL, 1),
				 0);
		ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), -EBUSY);
		ck_assert_uint_eq(count_leaves(mm->pt.root_phys, 4), 1);
		ck_assert_int_eq(pt_lookup(mm, &mm->pt, va, &entry), 1);
		pt_unmap(mm, &mm->pt, va, va + PAGE_SIZE);
		ck_assert_uint_eq(frames_in_use(), before);
		ck_assert_ptr_null(check_all());
	}
	ck_assert(sim_logged(sim, "failed to map pages"));
}
END_TEST

/*
 * The n-th allocation of one kind fails, for every n until the call succeeds; after each failure
 * everything is as it was. A fresh machine each time, so that nothing is kept from before.
 */
START_TEST(any_allocation_may_fail_and_nothing_is_left_behind)
{
	const struct array_case *c = &array_cases[_i % (int)ARRAY_SIZE(array_cases)];
	const enum fault_kind kind = (enum fault_kind)(_i / (int)ARRAY_SIZE(array_cases));
	struct vmalloc_request request = request_of(c->pages << PAGE_SHIFT);
	u32 step = kind == FAULT_FRAME && c->pages > 10 ? 41 : 1;
	int err = -ENOMEM;
	u64 addr, before;

	request.flags = c->flags;
	for (u32 nth = 1; err; nth += step) {
		teardown();
		setup();
		before = frames_in_use();
		mm->fault.fail[kind] = nth;
		err = vmalloc_node_range(mm, &request, &addr);
		mm->fault.fail[kind] = 0;
		if (!err)
			break;
		ck_assert_int_eq(err, kind == FAULT_AREA ? -ENOSPC : -ENOMEM);
		ck_assert_uint_eq(mm->vmap.nr_busy, 0);
		ck_assert_ptr_null(check_all());
		ck_assert_uint_eq(frames_in_use(), before);
		/* Without its tables an area gets no leaf that would have to be undone. */
		if (kind == FAULT_TABLE && c->array != VM_ARRAY_VMALLOC)
			ck_assert_uint_eq(sim->nr_cache_vunmap, 0);
		ck_assert_uint_lt(nth, 10000);
	}
	ck_assert_ptr_null(check_all());
	ck_assert_int_eq(vfree(mm, addr), 0);
	ck_assert_uint_eq(frames_in_use(), before);
}
END_TEST

/* ---- frees that are none ---- */

START_TEST(a_free_of_what_is_no_area_harms_nothing)
{
	u64 addr = must_pages(3);

	ck_assert_int_eq(vfree(mm, 0), 0);
	ck_assert_uint_eq(sim->nr_warnings, 0);
	ck_assert_int_eq(vfree(mm, addr + 8), -EINVAL);
	ck_assert(sim_logged(sim, "Trying to vfree() bad address (ffffc90000000008)"));
	ck_assert_int_eq(vfree(mm, addr + PAGE_SIZE), -ENOENT);
	ck_assert(sim_logged(sim, "Trying to vfree() nonexistent vm area (ffffc90000001000)"));
	ck_assert_int_eq(vfree(mm, addr + 3 * PAGE_SIZE), -ENOENT);
	ck_assert_int_eq(vfree(mm, PAGE_SIZE), -ENOENT);
	ck_assert_int_eq(vfree(mm, ~0ull << PAGE_SHIFT), -ENOENT);
	ck_assert_uint_eq(sim->nr_warnings, 5);
	ck_assert_ptr_null(check_all());
	ck_assert_int_eq(vfree(mm, addr), 0);
	ck_assert_int_eq(vfree(mm, addr), -ENOENT);
	ck_assert_uint_eq(sim->nr_warnings, 6);
	ck_assert_ptr_null(check_all());
}
END_TEST

/* The seed leaked the one and accepted the other (D19). */
START_TEST(each_kind_of_area_is_freed_by_its_own_call)
{
	struct vmalloc_request request = request_of(2 * PAGE_SIZE);
	u64 frames = must_pages(2), range, before;

	before = frames_in_use();
	ck_assert_int_eq(get_vm_area_node(mm, &request, &range), 0);
	ck_assert_int_eq(vfree(mm, range), -EBUSY);
	ck_assert(sim_logged(sim, "Trying to vfree() vm area without pages"));
	ck_assert_int_eq(free_vm_area(mm, frames), -EBUSY);
	ck_assert_int_eq(free_vm_area(mm, frames + 1), -EINVAL);
	ck_assert_int_eq(free_vm_area(mm, 0), -EINVAL);
	ck_assert_int_eq(free_vm_area(mm, frames + PAGE_SIZE), -ENOENT);
	ck_assert_uint_eq(sim->nr_warnings, 5);
	ck_assert_ptr_null(check_all());
	ck_assert_int_eq(free_vm_area(mm, range), 0);
	ck_assert_int_eq(free_vm_area(mm, range), -ENOENT);
	ck_assert_uint_eq(frames_in_use(), before);
	ck_assert_int_eq(vfree(mm, frames), 0);
	ck_assert_ptr_null(check_all());
}
END_TEST

static Suite *vmalloc_errors_suite(void)
{
	Suite *suite = suite_create("vmalloc_errors");
	TCase *tcase = tcase_create("vmalloc_errors");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, senseless_requests_are_refused);
	tcase_add_test(tcase, failures_are_logged_as_linux_does_unless_nowarn);
	tcase_add_test(tcase, a_leaf_in_the_way_fails_the_allocation_and_stays);
	tcase_add_loop_test(tcase, any_allocation_may_fail_and_nothing_is_left_behind, 0,
			    NR_FAULTS * ARRAY_SIZE(array_cases));
	tcase_add_test(tcase, a_free_of_what_is_no_area_harms_nothing);
	tcase_add_test(tcase, each_kind_of_area_is_freed_by_its_own_call);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vmalloc_errors_suite());
}
