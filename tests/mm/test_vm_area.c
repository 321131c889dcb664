/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Areas by hand, vmap() and the seed's kinds of vmalloc().
 */
#include "tests/mm/seed_fixture.h"

#include "mm/vaccess.h"

/* ---- kinds of vmalloc ---- */

static int vmalloc_any_node(struct mm *core, u64 size, u64 *addr_out)
{
	return vmalloc_node(core, size, NUMA_NO_NODE, addr_out);
}

static int vmalloc_ro(struct mm *core, u64 size, u64 *addr_out)
{
	return vmalloc_prot(core, size, GFP_ATOMIC, PAGE_KERNEL_RO, addr_out);
}

static int vmalloc_ro_node(struct mm *core, u64 size, u64 *addr_out)
{
	return vmalloc_prot_node(core, size, GFP_ATOMIC, PAGE_KERNEL_RO, 0, addr_out);
}

static const struct kind {
	int (*call)(struct mm *mm, u64 size, u64 *addr_out);
	u64 prot, flags;
	gfp_t gfp;
	u32 highest_zone;
	bool zeroed;
} kinds[] = {
	{vmalloc, PAGE_KERNEL, VM_ALLOC, GFP_KERNEL | __GFP_HIGHMEM, ZONE_NORMAL, false},
	{vmalloc_any_node, PAGE_KERNEL, VM_ALLOC, GFP_KERNEL | __GFP_HIGHMEM, ZONE_NORMAL, false},
	{vmalloc_ro, PAGE_KERNEL_RO, VM_ALLOC, GFP_ATOMIC, ZONE_NORMAL, false},
	{vmalloc_ro_node, PAGE_KERNEL_RO, VM_ALLOC, GFP_ATOMIC, ZONE_NORMAL, false},
	{vmalloc_32, PAGE_KERNEL, VM_ALLOC, GFP_KERNEL | GFP_DMA32, ZONE_DMA32, false},
	{vmalloc_user, PAGE_KERNEL, VM_ALLOC | VM_USERMAP, GFP_KERNEL | __GFP_HIGHMEM | __GFP_ZERO,
	 ZONE_NORMAL, true},
	{vmalloc_32_user, PAGE_KERNEL, VM_ALLOC | VM_USERMAP, GFP_KERNEL | GFP_DMA32 | __GFP_ZERO,
	 ZONE_DMA32, true},
	{vmalloc_exec, PAGE_KERNEL_EXEC, VM_ALLOC, GFP_KERNEL | __GFP_HIGHMEM, ZONE_NORMAL, false},
};

START_TEST(each_kind_of_vmalloc_is_what_its_name_says)
{
	const struct kind *kind = &kinds[_i];
	struct vm_struct *vm;
	u64 addr;

	/* Frames with something in them, of both zones. */
	for (u32 i = 0; i < 2; i++) {
		ck_assert_int_eq((i ? vmalloc : vmalloc_32)(mm, 20 * PAGE_SIZE, &addr), 0);
		for (u32 j = 0; j < 20; j++)
			memset(page_address(mm, vmalloc_to_page(mm, addr + j * PAGE_SIZE)), 0x5a,
			       PAGE_SIZE);
		ck_assert_int_eq(vfree(mm, addr), 0);
	}
	ck_assert_int_eq(kind->call(mm, 20 * PAGE_SIZE, &addr), 0);
	vm = find_vm_area(mm, addr);
	ck_assert_uint_eq(vm->flags, kind->flags);
	ck_assert_uint_eq(vm->gfp, kind->gfp);
	ck_assert_uint_eq(vm->prot, kind->prot);
	ck_assert_uint_ne(vm->caller, 0);
	for (u32 i = 0; i < 20; i++) {
		struct page *page = vmalloc_to_page(mm, addr + i * PAGE_SIZE);
		const u64 *word = page_address(mm, page);

		ck_assert_uint_eq(entry_at(addr + i * PAGE_SIZE) & ~X86_PTE_ADDR_MASK, kind->prot);
		ck_assert_uint_le(page->zone, kind->highest_zone);
		ck_assert_uint_eq(word[i], kind->zeroed ? 0 : 0x5a5a5a5a5a5a5a5aull);
	}
	ck_assert_ptr_null(core_check(sim));
	ck_assert_int_eq(vfree(mm, addr), 0);
}
END_TEST

/* Wherever in the list the wrong one is, it is seen before anything is done. */
START_TEST(every_page_for_vmap_is_looked_at_first)
{
	u64 tables = mm->pt.nr_tables, addr = 77;

	take_pages(9);
	for (u32 i = 0; i < 9; i++) {
		struct page *page = pages[i];

		pages[i] = NULL;
		ck_assert_int_eq(vmap(mm, pages, 9, 0, PAGE_KERNEL, &addr), -EINVAL);
		ck_assert_int_eq(vmap(mm, pages, 9, VM_MAP_PUT_PAGES, PAGE_KERNEL, &addr), -EINVAL);
		pages[i] = page;
		page->refcount = 0;
		ck_assert_int_eq(vmap(mm, pages, 9, VM_MAP_PUT_PAGES, PAGE_KERNEL, &addr), -EINVAL);
		page->refcount = 1;
		page->state = PAGE_TABLE;
		ck_assert_int_eq(vmap(mm, pages, 9, VM_MAP_PUT_PAGES, PAGE_KERNEL, &addr), -EINVAL);
		page->state = PAGE_OTHER;
		page->order = 1;
		ck_assert_int_eq(vmap(mm, pages, 9, VM_MAP_PUT_PAGES, PAGE_KERNEL, &addr), -EINVAL);
		page->order = 0;
		ck_assert_uint_eq(page->refcount, 1);
	}
	ck_assert_uint_eq(addr, 77);
	ck_assert_uint_eq(sim->nr_cache_vmap, 0);
	ck_assert_uint_eq(mm->pt.nr_tables, tables);
	ck_assert_uint_eq(mm->vmap.nr_busy, 0);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* What the outer area was asked to be is not for the area that holds its array. */
START_TEST(an_array_is_an_ordinary_area)
{
	struct vm_struct *vm, *array;
	u64 addr;

	ck_assert_int_eq(vmalloc_user(mm, 600 * PAGE_SIZE, &addr), 0);
	vm = find_vm_area(mm, addr);
	ck_assert_uint_eq(vm->flags, VM_ALLOC | VM_USERMAP | VM_VPAGES);
	array = find_vm_area(mm, (u64)(uintptr_t)vm->pages);
	ck_assert_uint_eq(array->flags, VM_ALLOC);
	ck_assert_uint_eq(array->prot, PAGE_KERNEL);
	ck_assert_uint_eq(array->caller, vm->caller);
	ck_assert_uint_eq(array->size, 3 * PAGE_SIZE);
}
END_TEST

/* Nothing follows the last range of RAM, the last node and the end of what can be RAM. */
START_TEST(as_many_ranges_and_nodes_as_there_may_be)
{
	struct sim_config config = {.nr_cpus = 1};
	char buf[8] = {1, 1, 1, 1, 1, 1, 1, 1};
	u64 addr;

	teardown();
	for (u64 i = 0; i < MAX_RAM; i++)
		sim_add_ram(&config,
			    i + 1 < MAX_RAM ? i << 28
					    : ((u64)MAX_SECTIONS << SECTION_SHIFT) - (64ull << 20),
			    64ull << 20, (u32)(i % MAX_NODES));
	sim = sim_create(&config);
	mm = &sim->mm;
	ck_assert_uint_eq(mm->nr_nodes, MAX_NODES);
	for (int node = 0; node < MAX_NODES; node++) {
		ck_assert_int_eq(vmalloc_node(mm, PAGE_SIZE, node, &addr), 0);
		ck_assert_uint_eq(vmalloc_to_page(mm, addr)->node, (u32)node);
	}
	/* Between the last range and nowhere. */
	addr = must_get(PAGE_SIZE, 0);
	ck_assert_int_eq(pt_map_range(mm, &mm->pt, addr, addr + PAGE_SIZE, (u64)MAX_RAM << 28,
				      PAGE_KERNEL, 1),
			 0);
	ck_assert_uint_eq(vread(mm, buf, addr, sizeof(buf)), sizeof(buf));
	for (u32 i = 0; i < sizeof(buf); i++)
		ck_assert_int_eq(buf[i], 0);
	ck_assert_ptr_null(page_alloc_check(mm));
}
END_TEST

START_TEST(a_node_is_preferred)
{
	struct sim_config config = sim_default_config(1);
	u64 addr;

	teardown();
	sim_add_ram(&config, 8ull << 30, 64ull << 20, 1);
	sim = sim_create(&config);
	mm = &sim->mm;
	for (int node = 0; node < 2; node++) {
		ck_assert_int_eq(vmalloc_node(mm, PAGE_SIZE, node, &addr), 0);
		ck_assert_int_eq(vmalloc_to_page(mm, addr)->node, node);
		ck_assert_int_eq(
			vmalloc_prot_node(mm, PAGE_SIZE, GFP_KERNEL, PAGE_KERNEL_RO, node, &addr),
			0);
		ck_assert_int_eq(vmalloc_to_page(mm, addr)->node, node);
		ck_assert_uint_eq(entry_at(addr) & ~X86_PTE_ADDR_MASK, PAGE_KERNEL_RO);
	}
}
END_TEST

/*
 * Executable memory is made by vmalloc_exec(), and by vmalloc_area() for module_alloc() alone; and
 * no protection smuggles an address in.
 */
START_TEST(executable_memory_is_made_by_two_calls_alone)
{
	static const pgprot_t bad[] = {
		PAGE_KERNEL_EXEC,    PAGE_KERNEL_ROX,          0,
		PAGE_KERNEL & ~1ull, PAGE_KERNEL | 1ull << 12, PAGE_KERNEL | 1ull << 52};
	u64 range = must_get(PAGE_SIZE, VM_MAP), addr;

	take_pages(1);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(vmalloc_prot(mm, PAGE_SIZE, GFP_KERNEL, bad[i], &addr), -EINVAL);
		ck_assert_int_eq(vmalloc_prot_node(mm, PAGE_SIZE, GFP_KERNEL, bad[i], 0, &addr),
				 -EINVAL);
		if (i > 1)
			ck_assert_int_eq(vmalloc_area(mm, range, GFP_KERNEL, bad[i]), -EINVAL);
		ck_assert_int_eq(vmap(mm, pages, 1, 0, bad[i], &addr), -EINVAL);
		ck_assert_int_eq(map_vm_area(mm, range, pages, 1, bad[i]), -EINVAL);
	}
	ck_assert_uint_eq(leaves(), 0);
	ck_assert_uint_eq(mm->vmap.nr_busy, 1);
	ck_assert_int_eq(vmalloc_area(mm, range, GFP_KERNEL, PAGE_KERNEL_EXEC), 0);
	ck_assert_uint_eq(entry_at(range) & ~X86_PTE_ADDR_MASK, PAGE_KERNEL_EXEC);
	ck_assert_uint_eq(find_vm_area(mm, range)->prot, PAGE_KERNEL_EXEC);
}
END_TEST

START_TEST(a_reserved_area_can_be_filled_with_frames)
{
	static const u64 sizes[] = {1, 2, 300, 512, 513, 2000};
	u64 before = core_frames_in_use(sim);

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 addr = must_get(sizes[i] << PAGE_SHIFT, 0);

		ck_assert_int_eq(vmalloc_area(mm, addr, GFP_KERNEL, PAGE_KERNEL), 0);
		ck_assert_int_eq(vmalloc_area(mm, addr, GFP_KERNEL, PAGE_KERNEL), -EBUSY);
		ck_assert_uint_eq(find_vm_area(mm, addr)->nr_pages, sizes[i]);
		ck_assert_ptr_null(core_check(sim));
		ck_assert_int_eq(free_vm_area(mm, addr), -EBUSY);
		ck_assert_int_eq(vfree(mm, addr), 0);
		ck_assert_uint_eq(core_frames_in_use(sim), before);
	}
	ck_assert_int_eq(vmalloc_area(mm, VMALLOC_START, GFP_KERNEL, PAGE_KERNEL), -ENOENT);
}
END_TEST

START_TEST(an_area_with_something_in_it_is_not_filled)
{
	u64 addr = must_get(4 * PAGE_SIZE, VM_MAP), last = addr + 3 * PAGE_SIZE;

	ck_assert_int_eq(pt_map_range(mm, &mm->pt, last, last + PAGE_SIZE, 0, PAGE_KERNEL, 1), 0);
	ck_assert_int_eq(vmalloc_area(mm, addr, GFP_KERNEL, PAGE_KERNEL), -EBUSY);
	ck_assert_uint_eq(leaves(), 1);
	ck_assert_int_eq(free_vm_area(mm, addr), 0);
	ck_assert_uint_eq(leaves(), 0);
}
END_TEST

/* ---- pages that are given, areas that are taken out ---- */

START_TEST(pages_put_into_an_area_are_freed_with_it)
{
	static const u64 counts[] = {1, 40, 600};
	u64 before = core_frames_in_use(sim);

	for (u32 i = 0; i < ARRAY_SIZE(counts); i++) {
		u64 bytes = counts[i] * sizeof(struct page *), addr;
		struct page **array = kmalloc_node(mm, bytes, GFP_KERNEL, NUMA_NO_NODE);

		take_pages(counts[i]);
		memcpy(array, pages, bytes);
		ck_assert_int_eq(vmap(mm, array, counts[i], VM_MAP_PUT_PAGES, PAGE_KERNEL, &addr),
				 0);
		ck_assert_ptr_null(core_check(sim));
		ck_assert_int_eq(vunmap(mm, addr), -EBUSY);
		ck_assert_int_eq(vfree(mm, addr), 0);
		ck_assert_uint_eq(core_frames_in_use(sim), before);
	}
	pages[0] = alloc_pages(mm, GFP_KERNEL, 1, 0, PAGE_OTHER, sim);
	pages[1] = pages[0] + 1;
	for (u32 i = 0; i < 2; i++)
		ck_assert_int_eq(vmap(mm, &pages[i], 1, VM_MAP_PUT_PAGES, PAGE_KERNEL, &before),
				 -EINVAL);
	/* Whichever of them it is. */
	pages[1] = pages[0];
	pages[0] = alloc_pages(mm, GFP_KERNEL, 0, 0, PAGE_OTHER, sim);
	ck_assert_int_eq(vmap(mm, pages, 2, VM_MAP_PUT_PAGES, PAGE_KERNEL, &before), -EINVAL);
}
END_TEST

START_TEST(an_area_taken_out_is_the_callers)
{
	struct vm_struct *vm = NULL;
	u64 before, addr;

	take_pages(2);
	before = core_frames_in_use(sim);
	ck_assert_int_eq(remove_vm_area(mm, 0, &vm), -EINVAL);
	ck_assert_int_eq(remove_vm_area(mm, VMALLOC_START + 1, &vm), -EINVAL);
	ck_assert_int_eq(remove_vm_area(mm, VMALLOC_START, &vm), -ENOENT);
	for (u32 i = 0; i < 4; i++) {
		if (i == 0)
			addr = must_get(2 * PAGE_SIZE, VM_IOREMAP);
		else if (i == 1)
			ck_assert_int_eq(vmap(mm, pages, 2, 0, PAGE_KERNEL, &addr), 0);
		else
			addr = must_vmalloc((i == 2 ? 2 : 1000) * PAGE_SIZE);
		ck_assert_int_eq(remove_vm_area(mm, addr, &vm), 0);
		ck_assert_uint_eq(vm->addr, addr);
		ck_assert_uint_eq(vm->size, (i == 3 ? 1000 : 2) * PAGE_SIZE);
		ck_assert_ptr_null(find_vm_area(mm, addr));
		ck_assert_uint_eq(entry_at(addr), 0);
		vm_struct_free(mm, vm);
		ck_assert_ptr_null(core_check(sim));
		ck_assert_uint_eq(core_frames_in_use(sim), before);
	}
	vm_struct_free(mm, NULL);
}
END_TEST

static Suite *vm_area_suite(void)
{
	Suite *suite = suite_create("vm_area");
	TCase *tcase = tcase_create("vm_area");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, each_kind_of_vmalloc_is_what_its_name_says, 0,
			    ARRAY_SIZE(kinds));
	tcase_add_test(tcase, every_page_for_vmap_is_looked_at_first);
	tcase_add_test(tcase, an_array_is_an_ordinary_area);
	tcase_add_test(tcase, as_many_ranges_and_nodes_as_there_may_be);
	tcase_add_test(tcase, a_node_is_preferred);
	tcase_add_test(tcase, executable_memory_is_made_by_two_calls_alone);
	tcase_add_test(tcase, a_reserved_area_can_be_filled_with_frames);
	tcase_add_test(tcase, an_area_with_something_in_it_is_not_filled);
	tcase_add_test(tcase, pages_put_into_an_area_are_freed_with_it);
	tcase_add_test(tcase, an_area_taken_out_is_the_callers);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vm_area_suite());
}
