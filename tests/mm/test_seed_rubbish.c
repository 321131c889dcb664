/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables with something in them that is neither a leaf nor a table's entry: reported as the
 * seed does, by unmap, map and vmalloc_area(), which cost nobody an area. And what must not cost
 * tables, or must not fail.
 */
#include "tests/mm/seed_fixture.h"

#include "mm/process.h"

/* The entry of @level that is for @va, in whatever it is. */
static u64 *entry_of(u64 va, int level)
{
	u64 *table = phys_to_virt(mm, mm->pt.root_phys);
	int at = 4;

	for (; at > level; at--)
		table = phys_to_virt(mm,
				     table[va >> X86_LEVEL_SHIFT(at) & 511] & X86_PTE_ADDR_MASK);
	return &table[va >> X86_LEVEL_SHIFT(at) & 511];
}

/* Not present; a swapped-out page's look; reserved bits; a table without a right it must have. */
static const u64 rubbish[] = {2, 0xdead000, 0xfff0000000000000ull, X86_PTE_NX};

START_TEST(pages_not_present_and_not_clear_are_reported_and_cleared)
{
	u64 addr = must_get(6 * PAGE_SIZE, VM_MAP), flushes;

	take_pages(6);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 6, PAGE_KERNEL), 0);
	ck_assert_int_eq(unmap_kernel_range(mm, addr + PAGE_SIZE, 3 * PAGE_SIZE), 0);
	ck_assert_uint_eq(sim->nr_warnings, 0);
	flushes = sim->nr_flushes;
	*entry_of(addr + PAGE_SIZE, 1) = rubbish[_i];
	*entry_of(addr + 3 * PAGE_SIZE, 1) = rubbish[_i];
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 6, PAGE_KERNEL), -EBUSY);
	ck_assert_uint_eq(sim->nr_warnings, 1);
	ck_assert_ptr_nonnull(strstr(sim->warning, "where a mapping was to go"));
	ck_assert_int_eq(unmap_kernel_range(mm, addr, 3 * PAGE_SIZE), 0);
	ck_assert_uint_eq(sim->nr_warnings, 2);
	ck_assert_ptr_nonnull(strstr(sim->warning, "not present and not clear"));
	ck_assert_uint_eq(*entry_of(addr + PAGE_SIZE, 1), 0);
	ck_assert_uint_eq(*entry_of(addr + 3 * PAGE_SIZE, 1), rubbish[_i]);
	ck_assert_int_eq(unmap_kernel_range(mm, addr + 3 * PAGE_SIZE, PAGE_SIZE), 0);
	ck_assert_uint_eq(sim->nr_warnings, 3);
	ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
	ck_assert_uint_eq(sim->nr_warnings, 3);
	ck_assert_uint_eq(sim->nr_flushes, flushes + 3);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 6, PAGE_KERNEL), 0);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* By a walk that comes for the first time, over several tables, and of every place in a table. */
START_TEST(each_such_page_is_reported_once)
{
	static const u64 counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 511, 600};
	u64 nr = 0;

	for (u32 i = 0; i < ARRAY_SIZE(counts); i++) {
		u64 addr = must_get(counts[i] * PAGE_SIZE, 0), end = addr + counts[i] * PAGE_SIZE;

		ck_assert_int_eq(pt_prepare(mm, &mm->pt, addr, end, 1), 0);
		for (u64 va = addr; va != end; va += PAGE_SIZE, nr++)
			*entry_of(va, 1) = rubbish[nr % ARRAY_SIZE(rubbish)];
		ck_assert_int_eq(free_vm_area(mm, addr), 0);
		ck_assert_uint_eq(sim->nr_warnings, nr);
	}
	vmap_purge(mm);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* One among many that are present, wherever it is. */
START_TEST(one_page_not_present_is_reported_wherever_it_is)
{
	u64 warnings = 0;

	take_pages(11);
	for (u64 nr = 1; nr <= 11; nr++) {
		for (u64 at = 0; at < nr; at++) {
			u64 addr = must_get(nr * PAGE_SIZE, 0);

			ck_assert_int_eq(map_vm_area(mm, addr, pages, nr, PAGE_KERNEL), 0);
			*entry_of(addr + at * PAGE_SIZE, 1) &= ~X86_PTE_P;
			ck_assert_int_eq(free_vm_area(mm, addr), 0);
			ck_assert_uint_eq(sim->nr_warnings, ++warnings);
			ck_assert_uint_eq(*entry_of(addr + at * PAGE_SIZE, 1), 0);
		}
	}
}
END_TEST

START_TEST(an_area_with_rubbish_in_it_is_not_filled_and_not_lost)
{
	u64 addr = must_get(4 * PAGE_SIZE, 0);

	ck_assert_int_eq(pt_prepare(mm, &mm->pt, addr, addr + 4 * PAGE_SIZE, 1), 0);
	*entry_of(addr + 2 * PAGE_SIZE, 1) = rubbish[_i];
	ck_assert_int_eq(vmalloc_area(mm, addr, GFP_KERNEL, PAGE_KERNEL), -EBUSY);
	ck_assert_uint_eq(sim->nr_warnings, 1);
	ck_assert_ptr_nonnull(find_vm_area(mm, addr));
	ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
	ck_assert_int_eq(vmalloc_area(mm, addr, GFP_KERNEL, PAGE_KERNEL), 0);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* A new area where rubbish is: the allocation fails, says why, and the next one elsewhere works. */
START_TEST(a_new_area_over_rubbish_is_given_back)
{
	u64 addr = must_get(PAGE_SIZE, 0), other = 3;

	take_pages(3);
	ck_assert_int_eq(pt_prepare(mm, &mm->pt, addr, addr + 16 * PAGE_SIZE, 1), 0);
	*entry_of(addr + 3 * PAGE_SIZE, 1) = rubbish[_i];
	ck_assert_int_eq(vmap(mm, pages, 3, 0, PAGE_KERNEL, &other), -EBUSY);
	ck_assert_uint_eq(sim->nr_warnings, 1);
	ck_assert_uint_eq(leaves(), 0);
	vmap_purge(mm);
	ck_assert_int_eq(vmalloc(mm, 3 * PAGE_SIZE, &other), -EBUSY);
	ck_assert_uint_eq(sim->nr_warnings, 2);
	ck_assert_uint_eq(leaves(), 0);
	ck_assert_uint_eq(other, 3);
	ck_assert_uint_eq(*entry_of(addr + 3 * PAGE_SIZE, 1), rubbish[_i]);
	ck_assert_uint_eq(mm->vmap.nr_busy, 1);
}
END_TEST

/* ---- entries above the leaves ---- */

static const char *const names[] = {"pte", "pmd", "pud", "pgd"};

START_TEST(bad_entries_above_the_leaves_are_reported_and_cleared)
{
	/* Present ones too, that name a table in no way the core or the boot does. */
	static const u64 bad[] = {2, 0xdead000, X86_PTE_P, X86_PTE_NX | 3, X86_PTE_P | X86_PTE_PWT};
	const int level = 2 + _i;
	const u64 start = 0xffffd00000000000ull, bytes = 2 * PAGE_SIZE;
	char text[64];
	u64 addr, good, tables;

	take_pages(2);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(get_vm_area_window(mm, bytes, 0, start, ~0ull >> 1 << 1, &addr),
				 0);
		ck_assert_uint_eq(addr, start);
		/* The CPU's way there is known: it was mapped before. */
		ck_assert_int_eq(map_vm_area(mm, addr, pages, 2, PAGE_KERNEL), 0);
		ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
		good = *entry_of(addr, level);
		*entry_of(addr, level) = bad[i];
		snprintf(text, sizeof(text), ": bad %s %016llx(%016llx).", names[level - 1],
			 (unsigned long long)(uintptr_t)entry_of(addr, level),
			 (unsigned long long)bad[i]);
		memset(sim->log, 0, sizeof(sim->log));
		sim->nr_logs = 0;
		ck_assert_int_eq(map_vm_area(mm, addr, pages, 2, PAGE_KERNEL), -EBUSY);
		ck_assert(sim_logged(sim, text));
		ck_assert_int_eq(vmalloc_area(mm, addr, GFP_KERNEL, PAGE_KERNEL), -EBUSY);
		ck_assert_uint_eq(sim->nr_logs, 2);
		ck_assert_uint_eq(sim->log_level[1], LOG_WARNING);
		ck_assert_uint_eq(*entry_of(addr, level), bad[i]);
		ck_assert_uint_eq(entry_at(addr), 0);
		ck_assert_ptr_null(vmalloc_to_page(mm, addr));
		ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
		ck_assert_uint_eq(sim->nr_logs, 3);
		ck_assert_uint_eq(*entry_of(addr, level), 0);
		ck_assert_uint_eq(sim->nr_warnings, 0);
		ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
		ck_assert_uint_eq(sim->nr_logs, 3);
		/* Nobody goes on by a way that is no more: new tables are made. */
		tables = mm->pt.nr_tables;
		ck_assert_int_eq(map_vm_area(mm, addr, pages, 2, PAGE_KERNEL), 0);
		ck_assert_uint_eq(mm->pt.nr_tables, tables + (u64)level - 1);
		ck_assert_uint_ne(entry_at(addr), 0);
		*entry_of(addr, level) = bad[i];
		ck_assert_int_eq(free_vm_area(mm, addr), 0);
		ck_assert_uint_eq(sim->nr_logs, 4);
		*entry_of(addr, level) = good;
		vmap_purge(mm);
	}
}
END_TEST

/* A large area whose tables would go where rubbish is: found before a frame is asked for. */
START_TEST(an_allocation_of_many_pages_reports_a_bad_entry)
{
	const u64 start = 0xffffd00000000000ull;
	struct vmalloc_request request = {.size = 600 * PAGE_SIZE,
					  .align = 1,
					  .start = start,
					  .end = start + (1ull << 30),
					  .prot = PAGE_KERNEL,
					  .gfp = GFP_KERNEL,
					  .node = NUMA_NO_NODE};
	u64 addr, before = core_frames_in_use(sim);

	ck_assert_int_eq(pt_prepare(mm, &mm->pt, start, start + (1 << 21), 2), 0);
	*entry_of(start, 2) = 2;
	for (u32 i = 0; i < 2; i++) {
		request.size = (i ? 3 : 600) * PAGE_SIZE;
		sim->nr_logs = 0;
		ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), -EBUSY);
		ck_assert(sim_logged(sim, "bad pmd"));
		ck_assert(sim_logged(sim, "failed to map pages"));
		ck_assert_uint_eq(sim->nr_logs, 2);
		ck_assert_uint_eq(core_frames_in_use(sim), before);
	}
}
END_TEST

/* Large leaves are not rubbish (D11), but in the way. */
START_TEST(a_large_leaf_is_no_bad_entry)
{
	u64 addr = must_get(4ull << 20, VM_IOREMAP), at = ALIGN_UP(addr, 2ull << 20);

	take_pages(2);
	ck_assert_int_eq(pt_map_range(mm, &mm->pt, at, at + (2ull << 20), 0, PAGE_KERNEL, 2), 0);
	ck_assert_int_eq(vmalloc_area(mm, addr, GFP_KERNEL, PAGE_KERNEL), -EBUSY);
	ck_assert_uint_eq(sim->nr_warnings, 1);
	ck_assert_uint_eq(sim->nr_logs, 0);
	ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
	ck_assert_uint_eq(sim->nr_warnings, 1);
	ck_assert_uint_eq(leaves(), 0);
}
END_TEST

/* ---- what must not cost tables, what must not fail ---- */

START_TEST(more_pages_than_there_are_get_no_tables)
{
	u64 before = core_frames_in_use(sim), addr = 9;

	ck_assert_int_eq(alloc_vm_area(mm, 1ull << 40, &addr), -ENOMEM);
	ck_assert_int_eq(alloc_vm_area(mm, (mm->total_pages << PAGE_SHIFT) + 1, &addr), -ENOMEM);
	ck_assert_int_eq(alloc_vm_area(mm, 0 - 3 * PAGE_SIZE, &addr), -ENOMEM);
	ck_assert_int_eq(alloc_vm_area(mm, 0 - 2 * PAGE_SIZE, &addr), -ENOMEM);
	ck_assert_int_eq(alloc_vm_area(mm, 0 - 2 * PAGE_SIZE + 1, &addr), -EINVAL);
	ck_assert_uint_eq(mm->pt.nr_tables, 0);
	ck_assert_uint_eq(mm->vmap.nr_busy, 0);
	ck_assert_uint_eq(addr, 9);
	ck_assert_int_eq(alloc_vm_area(mm, mm->total_pages << PAGE_SHIFT, &addr), 0);
	ck_assert_uint_eq(mm->pt.nr_tables, 2 + mm->total_pages / 512);
	ck_assert_int_eq(free_vm_area(mm, addr), 0);
	ck_assert_uint_eq(core_frames_in_use(sim), before);
}
END_TEST

START_TEST(a_remap_that_is_refused_costs_no_tables)
{
	struct vm_area_struct *vma;
	struct process *process;
	u64 plain = must_vmalloc(2 * PAGE_SIZE), user, tables;

	ck_assert_int_eq(vmalloc_user(mm, 2 * PAGE_SIZE, &user), 0);
	ck_assert_int_eq(process_create(mm, &process), 0);
	ck_assert_int_eq(vma_create(mm, process, 0x400000, 0x402000, VM_READ, &vma), 0);
	tables = process->pt.nr_tables;
	/* Each as if memory were short. */
	mm->fault.fail[FAULT_TABLE] = 1;
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, plain, 0), -EINVAL);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, user + PAGE_SIZE, 0), -EINVAL);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, user, 1), -EINVAL);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, user + 8, 0), -EINVAL);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, 0, 0), -EINVAL);
	ck_assert_uint_eq(process->pt.nr_tables, tables);
	ck_assert_uint_eq(vma->vm_flags, VM_READ);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, user, 0), -ENOMEM);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, user, 0), 0);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* No allocation inside a call with __GFP_NOFAIL is one that may fail on demand. */
START_TEST(nofail_holds_for_frames_tables_and_bookkeeping)
{
	static const u64 sizes[] = {1, 5, 300, 700};
	const u64 window = 0xffffd00000000000ull;
	u64 nth;

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (u32 kind = FAULT_FRAME; kind <= FAULT_TABLE; kind++) {
			for (nth = 1; nth < 6; nth++) {
				u64 at = window + ((u64)kind << 36) + (nth << 32) + ((u64)i << 30);
				struct vmalloc_request request = {.size = sizes[i] * PAGE_SIZE,
								  .align = 1,
								  .start = at,
								  .end = at + (1ull << 30),
								  .prot = PAGE_KERNEL,
								  .gfp = GFP_KERNEL | __GFP_NOFAIL,
								  .node = NUMA_NO_NODE};
				u64 addr;

				mm->fault.fail[kind] = (u32)nth;
				ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), 0);
				mm->fault.fail[kind] = 0;
			}
		}
	}
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* Below the watermark, which NOFAIL may go, there are tables as well. */
START_TEST(nofail_finds_its_tables_below_the_watermark)
{
	struct vmalloc_request request = {.size = 3 * PAGE_SIZE,
					  .align = 1,
					  .start = 0xffffd00000000000ull,
					  .end = 0xffffd00040000000ull,
					  .prot = PAGE_KERNEL,
					  .gfp = GFP_KERNEL | __GFP_NOWARN,
					  .node = NUMA_NO_NODE};
	u64 addr;

	must_get(PAGE_SIZE, 0);
	while (alloc_pages(mm, GFP_KERNEL | __GFP_NOWARN, 0, -1, PAGE_OTHER, sim))
		;
	ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), -ENOMEM);
	request.gfp |= __GFP_NOFAIL;
	ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), 0);
	ck_assert_uint_eq(mm->pt.nr_tables, 3);
	ck_assert_uint_eq(sim->nr_warnings, 0);
}
END_TEST

static Suite *rubbish_suite(void)
{
	Suite *suite = suite_create("seed_rubbish");
	TCase *tcase = tcase_create("seed_rubbish");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, pages_not_present_and_not_clear_are_reported_and_cleared, 0,
			    ARRAY_SIZE(rubbish));
	tcase_add_test(tcase, each_such_page_is_reported_once);
	tcase_add_test(tcase, one_page_not_present_is_reported_wherever_it_is);
	tcase_add_loop_test(tcase, an_area_with_rubbish_in_it_is_not_filled_and_not_lost, 0,
			    ARRAY_SIZE(rubbish));
	tcase_add_loop_test(tcase, a_new_area_over_rubbish_is_given_back, 0, ARRAY_SIZE(rubbish));
	tcase_add_loop_test(tcase, bad_entries_above_the_leaves_are_reported_and_cleared, 0, 3);
	tcase_add_test(tcase, an_allocation_of_many_pages_reports_a_bad_entry);
	tcase_add_test(tcase, a_large_leaf_is_no_bad_entry);
	tcase_add_test(tcase, more_pages_than_there_are_get_no_tables);
	tcase_add_test(tcase, a_remap_that_is_refused_costs_no_tables);
	tcase_add_test(tcase, nofail_holds_for_frames_tables_and_bookkeeping);
	tcase_add_test(tcase, nofail_finds_its_tables_below_the_watermark);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(rubbish_suite());
}
