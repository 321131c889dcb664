/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmalloc on the simulated machine: what an area is, from the address down to the leaf and the
 * frame; errors that leave nothing behind; frees of what is no area; several CPUs at once.
 */
#include "tests/harness.h"

#include <string.h>

#include "mm/errno.h"
#include "mm/vm_array.h"
#include "mm/vmalloc.h"
#include "tests/mm/sim.h"

static struct sim *sim;
static struct mm *mm;

static void setup_cpus(u32 nr_cpus)
{
	struct sim_config config = sim_default_config(nr_cpus);

	sim = sim_create(&config);
	mm = &sim->mm;
}

static void setup(void)
{
	setup_cpus(1);
}

static void teardown(void)
{
	sim_destroy(sim);
}

static struct vmalloc_request request_of(u64 size)
{
	return (struct vmalloc_request){.size = size,
					.align = 1,
					.start = VMALLOC_START,
					.end = VMALLOC_END,
					.prot = PAGE_KERNEL,
					.caller = 0xffffffff81000000ull,
					.gfp = GFP_KERNEL,
					.node = NUMA_NO_NODE};
}

static u64 must(const struct vmalloc_request *request)
{
	u64 addr = 0;

	ck_assert_int_eq(vmalloc_node_range(mm, request, &addr), 0);
	return addr;
}

static u64 must_pages(u64 pages)
{
	struct vmalloc_request request = request_of(pages << PAGE_SHIFT);

	return must(&request);
}

/* ---- what must hold ---- */

static u64 count_leaves(u64 table_phys, int level)
{
	const u64 *table = phys_to_virt(mm, table_phys);
	u64 leaves = 0;

	for (u32 i = 0; i < 512; i++) {
		if (table[i] & X86_PTE_P)
			leaves += level == 1
					  ? 1
					  : count_leaves(table[i] & X86_PTE_ADDR_MASK, level - 1);
	}
	return leaves;
}

/* The frames of @vm are those its range maps, each once, and the guard is not mapped. */
static const char *check_area(struct vm_struct *vm)
{
	u64 entry, count, i, guard = vm->addr + (vm->nr_pages << PAGE_SHIFT);
	struct page **pages;

	for (i = 0; i < vm->nr_pages; i += count) {
		pages = vm_pages_chunk(mm, vm, i, &count);
		for (u64 j = 0; j < count; j++) {
			if (pt_lookup(mm, &mm->pt, vm->addr + ((i + j) << PAGE_SHIFT), &entry) != 1)
				return "a page is not mapped";
			if (entry != (page_to_phys(mm, pages[j]) | vm->prot))
				return "a leaf is not that of the listed frame";
			if (pages[j]->state != PAGE_VMALLOC || pages[j]->owner != vm)
				return "a frame is not the area's";
		}
	}
	if (pt_lookup(mm, &mm->pt, guard, &entry))
		return "the guard is mapped";
	return NULL;
}

/* Everything: each structure's own check, each area, and no leaf that is no area's. */
static const char *check_all(void)
{
	const struct vmap_area *area;
	const char *wrong = vmap_check(mm);
	u64 pages = 0;

	if (!wrong)
		wrong = page_alloc_check(mm);
	for (u32 i = 0; i < NR_KMALLOC_CACHES && !wrong; i++)
		wrong = kmem_cache_check(mm, &mm->kmalloc[i]);
	if (wrong)
		return wrong;
	list_for_each_entry (area, &mm->vmap.tiles, tile) {
		if (area->state != VMAP_AREA_BUSY)
			continue;
		if (!area->vm)
			return "a busy area without bookkeeping";
		if (area->vm->addr != area->va_start ||
		    area->vm->size != area->va_end - area->va_start)
			return "an area's bookkeeping names another range";
		wrong = check_area(area->vm);
		if (wrong)
			return wrong;
		pages += area->vm->nr_pages;
	}
	return count_leaves(mm->pt.root_phys, 4) == pages ? NULL : "a stray leaf";
}

/* Frames in use that no cache keeps for later, page tables left out: they stay for good. */
static u64 frames_in_use(void)
{
	vmap_purge(mm);
	vmap_trim(mm);
	kmem_cache_shrink(mm, &mm->vmap.cache);
	for (u32 i = 0; i < NR_KMALLOC_CACHES; i++)
		kmem_cache_shrink(mm, &mm->kmalloc[i]);
	return mm->total_pages - nr_free_pages(mm) - mm->pt.nr_tables -
	       sim->nr_populated * SECTION_MEMMAP_BYTES / PAGE_SIZE;
}

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

struct array_case {
	u64 pages, flags;
	u32 array;
};

static const struct array_case array_cases[] = {
	{1, 0, VM_ARRAY_INLINE},
	{2, 0, VM_ARRAY_INLINE},
	{VM_INLINE_PAGES, 0, VM_ARRAY_INLINE},
	{VM_INLINE_PAGES + 1, 0, VM_ARRAY_KMALLOC},
	{512, 0, VM_ARRAY_KMALLOC},
	{512, VM_ARRAY_OUTSIDE, VM_ARRAY_KMALLOC},
	{513, 0, VM_ARRAY_VMALLOC},
	{513, VM_ARRAY_OUTSIDE, VM_ARRAY_DIRECTORY},
	{5000, 0, VM_ARRAY_VMALLOC},
	{5000, VM_ARRAY_OUTSIDE, VM_ARRAY_DIRECTORY},
};

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

/* ---- errors ---- */

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
	ck_assert(sim_logged(sim, "Trying to vfree() bad address (0xffffc90000000008)"));
	ck_assert_int_eq(vfree(mm, addr + PAGE_SIZE), -ENOENT);
	ck_assert(sim_logged(sim, "Trying to vfree() nonexistent vm area (0xffffc90000001000)"));
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

/* ---- random ---- */

#define RANDOM_AREAS 60

START_TEST(random_areas_are_what_they_should_be_all_the_time)
{
	u64 state = (u64)_i * 0x9e3779b97f4a7c15ull + 1, before = frames_in_use();
	u64 area[RANDOM_AREAS];
	const char *wrong;
	u32 nr = 0;

	printf("seed %d\n", _i);
	for (u32 n = 0; n < 4000; n++) {
		struct vmalloc_request request;
		u64 addr;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		if (nr && (nr == RANDOM_AREAS || state % 100 < 48)) {
			u32 pick = (u32)(state >> 20) % nr;

			ck_assert_int_eq(vfree(mm, area[pick]), 0);
			area[pick] = area[--nr];
		} else {
			request = request_of(1 + (state >> 20) % (state % 16 ? 12 << 12 : 3 << 20));
			request.align = 1ull << (state >> 50) % 16;
			request.flags = state >> 60 & 1 ? VM_ARRAY_OUTSIDE : 0;
			request.gfp |= state >> 61 & 1 ? __GFP_DMA32 : 0;
			if (vmalloc_node_range(mm, &request, &addr) == 0)
				area[nr++] = addr;
		}
		if (n % 500 == 0)
			vmap_set_mode(mm, (enum vmap_mode)((state >> 40) % 3));
		if (n % 50 == 0) {
			wrong = check_all();
			ck_assert_msg(!wrong, "step %u: %s", n, wrong);
		}
	}
	while (nr)
		vfree(mm, area[--nr]);
	ck_assert_ptr_null(check_all());
	ck_assert_uint_eq(frames_in_use(), before);
	ck_assert_uint_eq(mm->vmap.nr_free, 1);
}
END_TEST

/* ---- several CPUs ---- */

#define CPUS 4

static u64 nr_lost_frees;

static void *allocate_and_free(void *argument)
{
	u32 cpu = (u32)(uintptr_t)argument;
	u64 state = cpu + 1, kept[16] = {0};

	sim_set_cpu(cpu);
	for (u32 n = 0; n < 3000; n++) {
		u64 slot, addr = 0;
		struct vmalloc_request request;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		slot = (state >> 10) % 16;
		if (kept[slot]) {
			if (vfree(mm, kept[slot]))
				__atomic_fetch_add(&nr_lost_frees, 1, __ATOMIC_RELAXED);
			kept[slot] = 0;
			continue;
		}
		request = request_of(1 + (state >> 20) % (state % 64 ? 10 << 12 : 3 << 20));
		request.align = 1ull << (state >> 50) % 16;
		if (vmalloc_node_range(mm, &request, &addr))
			continue;
		/* The area is this CPU's, so nobody else may write its frames. */
		memset(page_address(mm, vmalloc_to_page(mm, addr)), (int)cpu, PAGE_SIZE);
		kept[slot] = addr;
		if (state % 512 == 0)
			vmap_purge(mm);
	}
	for (u32 i = 0; i < 16; i++) {
		if (kept[i] && vfree(mm, kept[i]))
			__atomic_fetch_add(&nr_lost_frees, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

START_TEST(cpus_allocate_and_free_at_the_same_time)
{
	pthread_t thread[CPUS];
	u64 before;

	teardown();
	setup_cpus(CPUS);
	mm->vmap.lazy_max_pages = 300;
	before = frames_in_use();
	for (u32 i = 0; i < CPUS; i++)
		pthread_create(&thread[i], NULL, allocate_and_free, (void *)(uintptr_t)i);
	for (u32 i = 0; i < CPUS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(nr_lost_frees, 0);
	ck_assert_ptr_null(check_all());
	ck_assert_uint_eq(mm->vmap.nr_busy, 0);
	ck_assert_uint_gt(mm->vmap.nr_purges, 10);
	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		sim_set_cpu(cpu);
		frames_in_use();
	}
	sim_set_cpu(0);
	ck_assert_uint_eq(frames_in_use(), before);
}
END_TEST

static u64 shared_addr, nr_freed, nr_refused;

static void *free_shared(void *argument)
{
	u64 last = 0, addr;

	sim_set_cpu((u32)(uintptr_t)argument);
	while ((addr = __atomic_load_n(&shared_addr, __ATOMIC_ACQUIRE)) != ~0ull) {
		if (addr == last)
			continue;
		last = addr;
		if (vfree(mm, addr) == 0)
			__atomic_fetch_add(&nr_freed, 1, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(&nr_refused, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Before 5.4 both could pass (Linux); the seed was saved by its one lock. */
START_TEST(of_two_frees_of_an_area_at_the_same_time_one_succeeds)
{
	pthread_t thread[2];
	u64 addr = 0;

	teardown();
	setup_cpus(3);
	vmap_set_mode(mm, VMAP_MANUAL); /* no address comes twice */
	for (u32 i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, free_shared, (void *)(uintptr_t)(i + 1));
	for (u32 n = 1; n <= 2000; n++) {
		addr = must_pages(2);
		__atomic_store_n(&shared_addr, addr, __ATOMIC_RELEASE);
		while (__atomic_load_n(&nr_freed, __ATOMIC_RELAXED) +
			       __atomic_load_n(&nr_refused, __ATOMIC_RELAXED) <
		       2 * n)
			sched_yield();
	}
	__atomic_store_n(&shared_addr, ~0ull, __ATOMIC_RELEASE);
	for (u32 i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(nr_freed, 2000);
	ck_assert_uint_eq(nr_refused, 2000);
	ck_assert_ptr_null(check_all());
}
END_TEST

static Suite *vmalloc_suite(void)
{
	Suite *suite = suite_create("vmalloc");
	TCase *tcase = tcase_create("vmalloc");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, an_area_maps_its_frames_and_a_guard_follows);
	tcase_add_test(tcase, an_area_without_guard_is_all_pages);
	tcase_add_test(tcase, alignment_and_window_are_kept);
	tcase_add_test(tcase, zeroed_frames_are_zero_whatever_was_in_them);
	tcase_add_loop_test(tcase, the_array_is_where_its_size_puts_it, 0, ARRAY_SIZE(array_cases));
	tcase_add_test(tcase, only_the_frames_come_from_the_zone_asked_for);
	tcase_add_test(tcase, senseless_requests_are_refused);
	tcase_add_test(tcase, failures_are_logged_as_linux_does_unless_nowarn);
	tcase_add_test(tcase, a_leaf_in_the_way_fails_the_allocation_and_stays);
	tcase_add_loop_test(tcase, any_allocation_may_fail_and_nothing_is_left_behind, 0,
			    NR_FAULTS * ARRAY_SIZE(array_cases));
	tcase_add_test(tcase, a_free_of_what_is_no_area_harms_nothing);
	tcase_add_test(tcase, each_kind_of_area_is_freed_by_its_own_call);
	tcase_add_test(tcase, a_reserved_area_is_a_range_with_a_guard);
	tcase_add_test(tcase, io_areas_are_aligned_to_their_size);
	tcase_add_test(tcase, a_reservation_that_cannot_be_is_refused);
	tcase_add_test(tcase, eagerly_freed_frames_are_flushed_before_they_are_free);
	tcase_add_test(tcase, pages_without_a_struct_page_are_no_pages);
	tcase_add_loop_test(tcase, random_areas_are_what_they_should_be_all_the_time, 0, 5);
	tcase_add_test(tcase, cpus_allocate_and_free_at_the_same_time);
	tcase_add_test(tcase, of_two_frees_of_an_area_at_the_same_time_one_succeeds);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vmalloc_suite());
}
