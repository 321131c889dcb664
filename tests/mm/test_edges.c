/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first and the last of everything: the place that just fits, the last node that there may be,
 * the first range that is reserved, both ends of a process's half.
 */
#include "mm/buddy.h"
#include "mm/pgtable_private.h"
#include "tests/mm/process_fixture.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* Another machine than setup's. */
static void start(const struct sim_config *config)
{
	teardown();
	sim = sim_create(config);
	mm = &sim->mm;
}

static struct page *one_frame(gfp_t gfp, int node)
{
	return alloc_pages(mm, gfp | __GFP_NOWARN, 0, node, PAGE_OTHER, sim);
}

/* ---- sections ---- */

/* 4 MiB, of which all but an aligned 2 MiB and what lies below are reserved. */
START_TEST(struct_pages_take_a_place_that_just_fits)
{
	struct sim_config config = {0};
	u64 section = 4 * GIB >> SECTION_SHIFT;

	sim_add_ram(&config, 16 * MIB, 16 * MIB, 0);
	sim_add_ram(&config, 4 * GIB, 4 * MIB, 0);
	sim_add_reserved(&config, 4 * GIB + 2 * MIB - PAGE_SIZE, PAGE_SIZE, RESERVED_BOOT);
	start(&config);
	ck_assert_uint_eq(mm->section_online[section], 2);
	for (u64 i = 0; i < 2 * MIB / PAGE_SIZE - 1; i++) {
		struct page *page = one_frame(GFP_KERNEL | __GFP_HIGH, NUMA_NO_NODE);

		ck_assert_ptr_nonnull(page);
		if (page_to_phys(mm, page) >= 4 * GIB)
			ck_assert_uint_lt(page_to_phys(mm, page), 4 * GIB + 2 * MIB - PAGE_SIZE);
	}
	ck_assert_ptr_null(page_alloc_check(mm));
}
END_TEST

/* The end of a range in a section too small for them: not below it either. */
START_TEST(struct_pages_lie_in_their_own_section)
{
	struct sim_config config = {0};
	struct page *page;
	u64 got = 0;

	sim_add_ram(&config, 124 * MIB, 8 * MIB, 0);
	sim_add_reserved(&config, 129 * MIB, PAGE_SIZE, RESERVED_BOOT);
	sim_add_reserved(&config, 131 * MIB, PAGE_SIZE, RESERVED_BOOT);
	teardown();
	sim = sim_create_frames(&config);
	mm = &sim->mm;
	while ((page = one_frame(GFP_KERNEL | __GFP_HIGH, NUMA_NO_NODE))) {
		ck_assert_uint_lt(page_to_phys(mm, page), 126 * MIB);
		got++;
	}
	ck_assert_uint_eq(got, 2 * MIB / PAGE_SIZE - 2);
	ck_assert_uint_eq(mm->section_online[1], 0);
	ck_assert_ptr_null(page_alloc_check(mm));
}
END_TEST

/* Nobody goes to a lower zone while a higher one has a section to start, useless ones before it. */
START_TEST(a_zone_is_used_to_its_last_section)
{
	struct sim_config config = {0};
	struct page *page;
	u64 got = 0;

	sim_add_ram(&config, 16 * MIB, 16 * MIB, 0);
	for (u64 at = 4 * GIB; at < 4 * GIB + 3 * SECTION_PAGES * PAGE_SIZE;
	     at += SECTION_PAGES * PAGE_SIZE) {
		sim_add_ram(&config, at, 4 * MIB, 0);
		sim_add_reserved(&config, at + MIB, PAGE_SIZE, RESERVED_BOOT);
		sim_add_reserved(&config, at + 3 * MIB, PAGE_SIZE, RESERVED_BOOT);
	}
	sim_add_ram(&config, 5 * GIB, 8 * MIB, 0);
	teardown();
	sim = sim_create_frames(&config);
	mm = &sim->mm;
	page = alloc_pages(mm, GFP_KERNEL, 3, NUMA_NO_NODE, PAGE_OTHER, sim);
	ck_assert_uint_ge(page_to_phys(mm, page), 5 * GIB);
	while ((page = one_frame(GFP_KERNEL | __GFP_HIGH, NUMA_NO_NODE)) &&
	       page_to_phys(mm, page) >= 5 * GIB)
		got++;
	ck_assert_uint_eq(got, 6 * MIB / PAGE_SIZE - 8);
	ck_assert_ptr_null(page_alloc_check(mm));
}
END_TEST

/* ---- nodes ---- */

static void start_all_nodes(void)
{
	struct sim_config config = {.nr_cpus = MAX_CPUS};

	for (u32 i = 0; i < MAX_NODES; i++)
		sim_add_ram(&config, 128 * i * MIB + 16 * MIB, 8 * MIB, i);
	for (u32 i = 0; i < MAX_CPUS; i++)
		config.cpu_node[i] = (u8)(i % MAX_NODES);
	start(&config);
}

/* Each CPU of as many as there may be, on each node of as many: its own frames first, and in the
 * end everybody's. */
START_TEST(as_many_nodes_and_cpus_as_there_may_be_are_used)
{
	u64 left, addr, got = 0;

	start_all_nodes();
	for (u32 cpu = 0; cpu < MAX_CPUS; cpu += MAX_CPUS - 1) {
		sim_set_cpu(cpu);
		ck_assert_uint_eq(one_frame(GFP_KERNEL, NUMA_NO_NODE)->node, cpu % MAX_NODES);
		ck_assert_int_eq(vmalloc(mm, 3 * PAGE_SIZE, &addr), 0);
		ck_assert_uint_eq(vmalloc_to_page(mm, addr)->node, cpu % MAX_NODES);
		ck_assert_int_eq(vfree(mm, addr), 0);
		drain_local_pages(mm);
	}
	ck_assert_int_eq(vmalloc_node(mm, PAGE_SIZE, MAX_NODES - 1, &addr), 0);
	ck_assert_uint_eq(vmalloc_to_page(mm, addr)->node, MAX_NODES - 1);
	ck_assert_int_eq(vmalloc_node(mm, PAGE_SIZE, MAX_NODES, &addr), -EINVAL);
	left = nr_free_pages(mm);
	ck_assert_ptr_null(core_check(sim));
	while (one_frame(GFP_KERNEL | __GFP_HIGH, 0))
		got++;
	ck_assert_uint_ge(got, left - MAX_NODES * (SECTION_MEMMAP_PAGES + 1024));
	ck_assert_uint_eq(nr_free_pages(mm), 0);
	ck_assert_ptr_null(core_check(sim));
	sim_set_cpu(0);
}
END_TEST

/* Of each node in turn, those that follow are of a node that is no farther than the next. */
START_TEST(no_nearer_node_is_passed_over)
{
	u32 seen[MAX_NODES], nr = 0;
	struct page *page;

	start_all_nodes();
	while ((page = one_frame(GFP_KERNEL | __GFP_HIGH, _i))) {
		if (nr && seen[nr - 1] == page->node)
			continue;
		ck_assert_uint_lt(nr, MAX_NODES);
		seen[nr++] = page->node;
	}
	ck_assert_uint_eq(nr, MAX_NODES);
	for (u32 i = 0; i + 1 < nr; i++)
		ck_assert_int_le(abs((int)seen[i] - _i), abs((int)seen[i + 1] - _i));
}
END_TEST

/* Whatever zone its frames must be of. */
START_TEST(every_kind_is_of_the_cpus_own_node)
{
	static int (*const calls[])(struct mm * mm, u64 size, u64 * addr_out) = {
		vmalloc, vmalloc_user, vmalloc_exec, vmalloc_32, vmalloc_32_user};
	u64 addr;

	start_all_nodes();
	sim_set_cpu(1);
	for (u32 kind = 0; kind < ARRAY_SIZE(calls); kind++) {
		ck_assert_int_eq(calls[kind](mm, 2 * PAGE_SIZE, &addr), 0);
		ck_assert_uint_eq(vmalloc_to_page(mm, addr)->node, 1);
		ck_assert_uint_eq(vmalloc_to_page(mm, addr + PAGE_SIZE)->node, 1);
		ck_assert_uint_eq(virt_to_page(mm, find_vm_area(mm, addr))->node, 1);
	}
	ck_assert_int_eq(vmalloc_prot(mm, PAGE_SIZE, GFP_KERNEL, PAGE_KERNEL_RO, &addr), 0);
	ck_assert_uint_eq(vmalloc_to_page(mm, addr)->node, 1);
	addr = must_get(PAGE_SIZE, 0);
	ck_assert_int_eq(vmalloc_area(mm, addr, GFP_KERNEL, PAGE_KERNEL), 0);
	ck_assert_uint_eq(find_vm_area(mm, addr)->flags, VM_ALLOC);
	ck_assert_uint_eq(vmalloc_to_page(mm, addr)->node, 1);
	sim_set_cpu(0);
}
END_TEST

/* ---- ranges of leaves ---- */

/* Wherever in a long range: what is neither clear nor present is said once, and cleared. */
START_TEST(what_is_spoiled_is_reported_wherever_it_is)
{
	const u64 nr = 40;
	u64 addr;
	int level;

	take_pages(nr);
	addr = must_get(nr * PAGE_SIZE, VM_MAP);
	for (u64 i = 0; i < nr; i++) {
		ck_assert_int_eq(map_vm_area(mm, addr, pages, nr, PAGE_KERNEL), 0);
		*pt_walk(mm, &mm->pt, addr + i * PAGE_SIZE, 1, &level) = 0x1000;
		ck_assert_int_eq(level, 1);
		ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
		ck_assert_uint_eq(sim->nr_warnings, i + 1);
		ck_assert_uint_eq(leaves(), 0);
	}
	ck_assert_int_eq(map_vm_area(mm, addr, pages, nr, PAGE_KERNEL), 0);
	ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
	ck_assert_uint_eq(sim->nr_warnings, nr);
}
END_TEST

/* A range up to the area's end, its guard included, is the area's; one page more is not. */
START_TEST(an_area_ends_behind_its_guard)
{
	u64 addr = must_get(3 * PAGE_SIZE, VM_MAP);

	take_pages(3);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 3, PAGE_KERNEL), 0);
	ck_assert_int_eq(unmap_kernel_range(mm, addr, 5 * PAGE_SIZE), -ENOENT);
	ck_assert_uint_eq(leaves(), 3);
	ck_assert_int_eq(unmap_kernel_range(mm, addr + PAGE_SIZE, 3 * PAGE_SIZE), 0);
	ck_assert_uint_eq(leaves(), 1);
	ck_assert_int_eq(unmap_kernel_range(mm, addr, 4 * PAGE_SIZE), 0);
	ck_assert_uint_eq(leaves(), 0);
}
END_TEST

/* Physical addresses end, and none wraps. */
START_TEST(no_leaf_leads_beyond_the_last_frame)
{
	const u64 last = (1ull << 52) - PAGE_SIZE, to = VMALLOC_START;
	const u64 none[] = {last + PAGE_SIZE, last, 0 - PAGE_SIZE, 0 - 2 * PAGE_SIZE, 1ull << 63};

	for (u32 i = 0; i < ARRAY_SIZE(none); i++)
		ck_assert_int_eq(
			pt_map_range(mm, &mm->pt, to, to + 2 * PAGE_SIZE, none[i], PAGE_KERNEL, 1),
			-EINVAL);
	ck_assert_int_eq(
		pt_map_range(mm, &mm->pt, to, to + 2 * PAGE_SIZE, last - PAGE_SIZE, PAGE_KERNEL, 1),
		0);
	pt_unmap(mm, &mm->pt, to, to + 2 * PAGE_SIZE);
	ck_assert_uint_eq(leaves(), 0);
}
END_TEST

/* ---- processes ---- */

/* The first page of the kernel's half is its own when a process goes, and nothing of the process's
 * half stays. */
START_TEST(a_process_takes_its_half_along_and_no_more)
{
	const u64 kernel = 0xffff800000000000ull, last = USER_END - PAGE_SIZE;
	u64 left, entry;

	teardown();
	setup();
	ck_assert_int_eq(pt_map_range(mm, &mm->pt, kernel, kernel + PAGE_SIZE, MIB, PAGE_KERNEL, 1),
			 0);
	process_destroy(mm, must_process());
	drain_local_pages(mm);
	left = nr_free_pages(mm);
	process = must_process();
	ck_assert_int_eq(pt_prepare(mm, &process->pt, USER_START, USER_START + PAGE_SIZE, 1), 0);
	ck_assert_int_eq(pt_prepare(mm, &process->pt, last, last + PAGE_SIZE, 1), 0);
	process_destroy(mm, process);
	drain_local_pages(mm);
	ck_assert_uint_eq(nr_free_pages(mm), left);
	ck_assert_int_eq(pt_lookup(mm, &mm->pt, kernel, &entry), 1);
	ck_assert_uint_eq(entry & X86_PTE_ADDR_MASK, MIB);
	pt_unmap(mm, &mm->pt, kernel, kernel + PAGE_SIZE);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* As large as a large leaf is, and aligned as one: a page is shown by an entry of its own. */
START_TEST(the_image_is_shown_page_by_page)
{
	struct sim_config config = sim_default_config(1);
	const u64 nr = 2 * MIB / PAGE_SIZE;
	struct vm_area_struct *vma;
	u64 entry;

	sim_add_reserved(&config, 4 * MIB, 2 * MIB, RESERVED_IMAGE);
	start(&config);
	process = must_process();
	vma = must_vma(BASE, nr, VM_READ);
	ck_assert_int_eq(remap_pfn_range(mm, vma, 4 * MIB >> PAGE_SHIFT), 0);
	ck_assert_uint_eq(process->nr_user_pages, nr);
	for (u64 i = 0; i < nr; i++) {
		ck_assert_int_eq(pt_lookup(mm, &process->pt, BASE + i * PAGE_SIZE, &entry), 1);
		ck_assert_uint_eq(entry & X86_PTE_ADDR_MASK, 4 * MIB + i * PAGE_SIZE);
	}
	ck_assert_ptr_null(process_check(mm, process));
	vma_destroy(mm, vma);
	ck_assert_uint_eq(process->nr_user_pages, 0);
}
END_TEST

/* A machine whose image is the first thing reserved. */
START_TEST(the_image_may_be_the_first_range)
{
	struct vm_area_struct *vma = must_vma(BASE, 1, VM_READ);

	ck_assert_uint_eq(mm->reserved[0].start, 0);
	ck_assert_int_eq(remap_pfn_range(mm, vma, 0), -EINVAL);
	mm->reserved[0].kind = RESERVED_IMAGE;
	ck_assert_int_eq(remap_pfn_range(mm, vma, 0), 0);
	ck_assert_ptr_null(process_check(mm, process));
}
END_TEST

/* ---- frames ---- */

static u64 take_all(gfp_t gfp)
{
	static struct page *all[65536];

	return alloc_pages_bulk(mm, gfp | __GFP_NOWARN, 0, PAGE_OTHER, sim, ARRAY_SIZE(all), all);
}

/* Tables are no more urgent than what they are for: the last frames are not theirs. */
START_TEST(tables_leave_what_is_below_the_watermark)
{
	const u64 far = VMALLOC_START + (1ull << 39);
	u64 addr, left;

	take_all(GFP_KERNEL);
	left = nr_free_pages(mm);
	ck_assert_uint_gt(left, 8);
	ck_assert_int_eq(pt_map_range(mm, &mm->pt, far, far + PAGE_SIZE, MIB, PAGE_KERNEL, 1),
			 -ENOMEM);
	ck_assert_int_eq(pt_prepare(mm, &mm->pt, far, far + PAGE_SIZE, 1), -ENOMEM);
	ck_assert_int_eq(alloc_vm_area(mm, PAGE_SIZE, &addr), -ENOMEM);
	ck_assert_uint_eq(nr_free_pages(mm), left);
	ck_assert_uint_eq(take_all(GFP_ATOMIC), left);
}
END_TEST

/* 2 MiB for struct pages, and two frames, both below the watermark: no machine starts there. */
START_TEST(a_machine_starts_above_the_watermark_or_not_at_all)
{
	struct sim_config config = {0};
	struct sim *other = NULL;

	sim_add_ram(&config, 16 * MIB, 4 * MIB, 0);
	sim_add_reserved(&config, 16 * MIB + (2 + (u64)_i) * PAGE_SIZE,
			 2 * MIB - (2 + (u64)_i) * PAGE_SIZE, RESERVED_BOOT);
	ck_assert_int_eq(sim_try_create(&config, &other), _i < 3 ? -ENOMEM : 0);
	if (other)
		sim_destroy(other);
}
END_TEST

/* Where nothing is reserved before it, frame 0 is one like any other. */
START_TEST(the_first_frame_may_be_used)
{
	struct sim_config config = sim_default_config(1);
	struct mm_config core = {.nr_cpus = 1, .nr_ram = 2, .nr_reserved = 1};
	struct page *page;
	bool seen = false;

	teardown();
	sim = sim_create_frames(&config);
	mm = &sim->mm;
	core.ops = mm->ops;
	core.arch = mm->arch;
	core.direct_base = mm->direct_base;
	core.memmap = mm->memmap;
	core.root_phys = PAGE_SIZE;
	core.reserved[0] = (struct mem_range){PAGE_SIZE, 2 * PAGE_SIZE, 0, RESERVED_TABLES};
	memcpy(core.ram, config.ram, sizeof(core.ram));
	memset(mm, 0, sizeof(*mm));
	ck_assert_int_eq(mm_init_frames(mm, &core), 0);
	ck_assert_ptr_null(page_alloc_check(mm));
	while ((page = one_frame(GFP_DMA | __GFP_HIGH, 0))) {
		seen |= page == pfn_to_page(mm, 0);
		if (page_to_pfn(mm, page) < 8)
			ck_assert_ptr_null(page_alloc_check(mm));
	}
	ck_assert(seen);
	ck_assert_ptr_null(page_alloc_check(mm));
	free_pages(mm, pfn_to_page(mm, 0), 0);
	ck_assert_ptr_eq(one_frame(GFP_DMA | __GFP_HIGH, 0), pfn_to_page(mm, 0));
}
END_TEST

static Suite *edges_suite(void)
{
	Suite *suite = suite_create("edges");
	TCase *tcase = tcase_create("edges");

	tcase_add_checked_fixture(tcase, setup_process, teardown);
	tcase_add_test(tcase, struct_pages_take_a_place_that_just_fits);
	tcase_add_test(tcase, struct_pages_lie_in_their_own_section);
	tcase_add_test(tcase, a_zone_is_used_to_its_last_section);
	tcase_add_test(tcase, as_many_nodes_and_cpus_as_there_may_be_are_used);
	tcase_add_loop_test(tcase, no_nearer_node_is_passed_over, 0, MAX_NODES);
	tcase_add_test(tcase, every_kind_is_of_the_cpus_own_node);
	tcase_add_test(tcase, what_is_spoiled_is_reported_wherever_it_is);
	tcase_add_test(tcase, an_area_ends_behind_its_guard);
	tcase_add_test(tcase, no_leaf_leads_beyond_the_last_frame);
	tcase_add_test(tcase, a_process_takes_its_half_along_and_no_more);
	tcase_add_test(tcase, the_image_is_shown_page_by_page);
	tcase_add_test(tcase, the_image_may_be_the_first_range);
	tcase_add_test(tcase, the_first_frame_may_be_used);
	tcase_add_test(tcase, tables_leave_what_is_below_the_watermark);
	tcase_add_loop_test(tcase, a_machine_starts_above_the_watermark_or_not_at_all, 0, 6);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(edges_suite());
}
