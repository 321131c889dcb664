/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables with 4 KiB leaves: what is mapped against a model, errors that must change no leaf,
 * tables made by several CPUs at once.
 */
#include "tests/mm/pgtable_fixture.h"

START_TEST(pages_are_mapped_one_by_one_with_their_protection)
{
	static const pgprot_t prots[] = {PAGE_KERNEL, PAGE_KERNEL_RO, PAGE_KERNEL_EXEC,
					 PAGE_KERNEL_ROX};
	struct page *pages[5];
	u64 phys;

	get_frames(5, pages);
	for (u32 p = 0; p < ARRAY_SIZE(prots); p++) {
		ck_assert_int_eq(pt_map_pages(mm, pt, BASE, pages, 5, prots[p]), 0);
		for (u32 i = 0; i < 5; i++) {
			u64 entry, va = BASE + i * PAGE_SIZE;

			ck_assert_int_eq(pt_lookup(mm, pt, va + 0x123, &entry), 1);
			ck_assert_uint_eq(entry, leaf_of(pages[i], prots[p]));
			ck_assert(pt_translate(mm, pt, va + 0x123, &phys));
			ck_assert_uint_eq(phys, page_to_phys(mm, pages[i]) + 0x123);
		}
		ck_assert_uint_eq(count_leaves(), 5);
		pt_unmap(mm, pt, BASE, BASE + 5 * PAGE_SIZE);
		ck_assert_uint_eq(count_leaves(), 0);
	}
	ck_assert(!pt_translate(mm, pt, BASE, &phys));
	ck_assert_uint_eq(pt->nr_tables, 3);
}
END_TEST

/* Across the ends of a page table, a page directory, and a PDPT; in both halves. */
START_TEST(a_mapping_crosses_the_ends_of_tables)
{
	static const u64 ends[] = {BASE + MIB2, BASE + GIB, BASE + (1ull << 39), 0x7f8000000000ull,
				   0ull - MIB2};
	static struct page *pages[1300];

	get_frames(1300, pages);
	for (u32 i = 0; i < ARRAY_SIZE(ends); i++) {
		u64 start = ends[i] - 600 * PAGE_SIZE;

		ck_assert_int_eq(pt_map_pages(mm, pt, start, pages, 1100, PAGE_KERNEL), 0);
		for (u32 j = 0; j < 1100; j++) {
			if (lookup(start + j * PAGE_SIZE) != leaf_of(pages[j], PAGE_KERNEL))
				ck_abort_msg("end %u, page %u", i, j);
		}
		ck_assert_uint_eq(count_leaves(), 1100);
		pt_unmap(mm, pt, start, start + 1100 * PAGE_SIZE);
		ck_assert_uint_eq(count_leaves(), 0);
	}
}
END_TEST

/* The seed wrote over them (D8), and left what it had written before an error (D9). */
START_TEST(a_leaf_in_the_way_or_a_missing_frame_changes_nothing)
{
	static struct page *pages[1100];
	struct page *other;
	const u64 start = BASE + MIB2 - 10 * PAGE_SIZE;

	get_frames(1100, pages);
	get_frames(1, &other);
	for (u32 at = 0; at < 1100; at += 7) {
		u64 va = start + at * PAGE_SIZE;
		struct page *kept = pages[at];

		ck_assert_int_eq(pt_map_pages(mm, pt, va, &other, 1, PAGE_KERNEL_RO), 0);
		ck_assert_int_eq(pt_map_pages(mm, pt, start, pages, 1100, PAGE_KERNEL), -EBUSY);
		ck_assert_uint_eq(lookup(va), leaf_of(other, PAGE_KERNEL_RO));
		ck_assert_uint_eq(count_leaves(), 1);
		pt_unmap(mm, pt, va, va + PAGE_SIZE);
		pages[at] = NULL;
		ck_assert_int_eq(pt_map_pages(mm, pt, start, pages, 1100, PAGE_KERNEL), -EINVAL);
		pages[at] = kept;
		ck_assert_uint_eq(count_leaves(), 0);
	}
}
END_TEST

START_TEST(a_table_that_cannot_be_made_changes_no_leaf)
{
	static struct page *pages[1100];
	const u64 start = BASE + GIB - 600 * PAGE_SIZE;
	u32 nth;
	int err = -ENOMEM;

	get_frames(1100, pages);
	for (nth = 1; err; nth++) {
		mm->fault.fail[FAULT_TABLE] = nth;
		err = pt_map_pages(mm, pt, start, pages, 1100, PAGE_KERNEL);
		if (err) {
			ck_assert_int_eq(err, -ENOMEM);
			ck_assert_uint_eq(count_leaves(), 0);
		}
	}
	/* Six tables: one PDPT, two PDs, three PTs. Those made are kept, so each try made more. */
	ck_assert_uint_eq(pt->nr_tables, 6);
	ck_assert_uint_gt(nth, 2);
	ck_assert_uint_eq(count_leaves(), 1100);
}
END_TEST

START_TEST(prepared_tables_make_a_later_mapping_certain)
{
	static struct page *pages[600];

	get_frames(600, pages);
	ck_assert_int_eq(pt_prepare(mm, pt, BASE, BASE + 600 * PAGE_SIZE, 1), 0);
	ck_assert_uint_eq(pt->nr_tables, 4);
	ck_assert_int_eq(pt_prepare(mm, pt, BASE, BASE + 600 * PAGE_SIZE, 1), 0);
	ck_assert_uint_eq(pt->nr_tables, 4);
	mm->fault.fail[FAULT_TABLE] = 1;
	ck_assert_int_eq(pt_map_pages(mm, pt, BASE, pages, 600, PAGE_KERNEL), 0);
	mm->fault.fail[FAULT_TABLE] = 0;
	ck_assert_int_eq(pt_prepare(mm, pt, BASE + GIB, BASE + GIB + MIB2, 2), 0);
	ck_assert_uint_eq(pt->nr_tables, 5);
	ck_assert_int_eq(pt_prepare(mm, pt, BASE + 512 * GIB, BASE + 514 * GIB, 3), 0);
	ck_assert_uint_eq(pt->nr_tables, 6);
	count_leaves();
}
END_TEST

/* Two addresses that differ in what no table looks at must not share a leaf. */
START_TEST(what_is_not_canonical_is_never_mapped)
{
	struct page *page;
	u64 entry, bad[] = {0x800000000000ull, 0x1c90000000000ull, BASE & ~(1ull << 63),
			    BASE ^ (1ull << 50)};

	get_frames(1, &page);
	ck_assert_int_eq(pt_map_pages(mm, pt, BASE, &page, 1, PAGE_KERNEL), 0);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(pt_map_pages(mm, pt, bad[i], &page, 1, PAGE_KERNEL), -EINVAL);
		ck_assert_int_eq(
			pt_map_range(mm, pt, bad[i], bad[i] + PAGE_SIZE, 0, PAGE_KERNEL, 3),
			-EINVAL);
		ck_assert_int_eq(pt_prepare(mm, pt, bad[i], bad[i] + PAGE_SIZE, 1), -EINVAL);
		ck_assert_int_eq(pt_lookup(mm, pt, bad[i], &entry), 0);
		pt_unmap(mm, pt, bad[i], bad[i] + PAGE_SIZE);
	}
	ck_assert_uint_eq(count_leaves(), 1);
	ck_assert_uint_eq(sim->nr_warnings, 0);
	/* From one half into the other, and around the end. */
	ck_assert_int_eq(pt_prepare(mm, pt, 0x7ffffffff000ull, 0xffff800000001000ull, 1), -EINVAL);
	ck_assert_int_eq(pt_map_pages(mm, pt, 0x7ffffffff000ull, &page, 2, PAGE_KERNEL), -EINVAL);
	ck_assert_int_eq(pt_map_pages(mm, pt, BASE + MIB2, &page, 0, PAGE_KERNEL), -EINVAL);
	ck_assert_int_eq(pt_map_pages(mm, pt, BASE + MIB2, &page, 1ull << 52, PAGE_KERNEL),
			 -EINVAL);
	ck_assert_int_eq(pt_map_pages(mm, pt, BASE + MIB2, &page, (1ull << 52) + 1, PAGE_KERNEL),
			 -EINVAL);
	ck_assert_int_eq(pt_map_pages(mm, pt, BASE + MIB2 + 8, &page, 1, PAGE_KERNEL), -EINVAL);
	ck_assert_uint_eq(count_leaves(), 1);
}
END_TEST

/* The first and the last 2 MiB of the address space: where a memory of walks could be fooled. */
START_TEST(the_ends_of_the_address_space_map_like_the_rest)
{
	static const u64 at[] = {0, MIB2 - PAGE_SIZE, 0ull - MIB2, 0ull - 2 * PAGE_SIZE};
	struct page *pages[4];

	get_frames(4, pages);
	for (u32 i = 0; i < 4; i++)
		pt_unmap(mm, pt, at[i], at[i] + PAGE_SIZE);
	for (u32 i = 0; i < 4; i++)
		ck_assert_int_eq(pt_map_pages(mm, pt, at[i], &pages[i], 1, PAGE_KERNEL), 0);
	for (u32 i = 0; i < 4; i++)
		ck_assert_uint_eq(lookup(at[i]), leaf_of(pages[i], PAGE_KERNEL));
	ck_assert_uint_eq(count_leaves(), 4);
}
END_TEST

START_TEST(a_senseless_range_to_unmap_is_reported)
{
	struct page *page;

	get_frames(1, &page);
	ck_assert_int_eq(pt_map_pages(mm, pt, BASE, &page, 1, PAGE_KERNEL), 0);
	pt_unmap(mm, pt, BASE, BASE + 0x800);
	pt_unmap(mm, pt, BASE + 8, BASE + PAGE_SIZE + 8);
	pt_unmap(mm, pt, BASE + PAGE_SIZE, BASE);
	pt_unmap(mm, pt, BASE, BASE);
	ck_assert_uint_eq(sim->nr_warnings, 4);
	/* Each end by itself, and a walk that is remembered. */
	pt_unmap_quick(mm, pt, BASE, BASE + PAGE_SIZE + 8);
	pt_unmap_quick(mm, pt, BASE + 8, BASE + 2 * PAGE_SIZE);
	pt_unmap_quick(mm, pt, BASE + 8, BASE + PAGE_SIZE + 8);
	ck_assert_uint_eq(sim->nr_warnings, 7);
	ck_assert_int_eq(pt_prepare(mm, pt, BASE + 8, BASE + PAGE_SIZE, 1), -EINVAL);
	ck_assert_int_eq(pt_prepare(mm, pt, BASE, BASE + PAGE_SIZE + 8, 1), -EINVAL);
	ck_assert_uint_eq(count_leaves(), 1);
}
END_TEST

START_TEST(holes_of_every_size_are_skipped)
{
	struct page *pages[3];
	const u64 at[] = {BASE, BASE + 3 * GIB + MIB2, BASE + 1000 * GIB};

	get_frames(3, pages);
	for (u32 i = 0; i < 3; i++)
		ck_assert_int_eq(pt_map_pages(mm, pt, at[i], &pages[i], 1, PAGE_KERNEL), 0);
	pt_unmap(mm, pt, BASE, BASE + 2000 * GIB);
	ck_assert_uint_eq(count_leaves(), 0);
	ck_assert_uint_eq(sim->nr_warnings, 0);
}
END_TEST

/* ---- random, against a model ---- */

#define MODEL_PAGES 3000

START_TEST(random_mappings_are_as_the_model_says)
{
	static u64 model[MODEL_PAGES];
	static struct page *pages[600];
	const u64 base = BASE + GIB - 1500 * PAGE_SIZE;
	u64 state = (u64)_i * 0x9e3779b97f4a7c15ull + 1;

	printf("seed %d\n", _i);
	memset(model, 0, sizeof(model));
	get_frames(600, pages);
	for (u32 n = 0; n < 20000; n++) {
		u64 at, nr, i, clear = 0;
		int err;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		at = state % MODEL_PAGES;
		nr = 1 + (state >> 20) % (state & 1 << 19 ? 600 : 8);
		if (nr > MODEL_PAGES - at)
			nr = MODEL_PAGES - at;
		for (i = at; i < at + nr; i++)
			clear += model[i] == 0;
		if (state >> 63) {
			pt_unmap(mm, pt, base + at * PAGE_SIZE, base + (at + nr) * PAGE_SIZE);
			memset(&model[at], 0, nr * sizeof(*model));
		} else {
			err = pt_map_pages(mm, pt, base + at * PAGE_SIZE, pages, nr, PAGE_KERNEL);
			if (err != (clear == nr ? 0 : -EBUSY))
				ck_abort_msg("step %u: %d", n, err);
			for (i = 0; i < nr && !err; i++)
				model[at + i] = leaf_of(pages[i], PAGE_KERNEL);
		}
		for (i = at > 2 ? at - 2 : 0; i < at + nr + 2 && i < MODEL_PAGES; i++) {
			if (lookup(base + i * PAGE_SIZE) != model[i])
				ck_abort_msg("step %u, page %llu", n, (unsigned long long)i);
		}
	}
	count_leaves();
}
END_TEST

/* ---- several CPUs ---- */

#define CPUS       4
#define CPU_PAGES  64
#define CPU_ROUNDS 40

static void *map_from_a_cpu(void *argument)
{
	u32 cpu = (u32)(uintptr_t)argument;
	struct page *pages[CPU_PAGES];

	sim_set_cpu(cpu);
	if (alloc_pages_bulk(mm, GFP_KERNEL, NUMA_NO_NODE, PAGE_OTHER, NULL, CPU_PAGES, pages) !=
	    CPU_PAGES)
		return (void *)(uintptr_t) "frames";
	for (u64 round = 0; round < CPU_ROUNDS; round++) {
		/* All CPUs come to a new table at the same time, each with leaves of its own. */
		u64 va = BASE + round * (round % 8 == 7 ? GIB : MIB2) + cpu * 128 * PAGE_SIZE;

		if (pt_map_pages(mm, pt, va, pages, CPU_PAGES, PAGE_KERNEL))
			return (void *)(uintptr_t) "map";
		for (u64 i = 0; i < CPU_PAGES; i++) {
			if (lookup(va + i * PAGE_SIZE) != leaf_of(pages[i], PAGE_KERNEL))
				return (void *)(uintptr_t) "lookup";
		}
		pt_unmap(mm, pt, va, va + CPU_PAGES * PAGE_SIZE);
	}
	return NULL;
}

/* The other CPU, at the very moment this one has a new table in hand. */
static struct page *rival;

static u32 cpu_id_and_race(void *arch)
{
	u64 *entry = (u64 *)phys_to_virt(mm, pt->root_phys) + ((BASE >> 39) & 511);

	if (rival && !*entry) {
		*entry = page_to_phys(mm, rival) | X86_PTE_P | X86_PTE_RW | X86_PTE_A;
		pt->nr_tables++;
	}
	return 0;
}

START_TEST(a_table_another_cpu_made_first_is_used_and_ours_given_back)
{
	struct arch_ops ops;
	struct page *page;
	u64 before;

	teardown();
	setup_cpus(2);
	get_frames(1, &page);
	rival = alloc_pages(mm, GFP_KERNEL | __GFP_ZERO, 0, NUMA_NO_NODE, PAGE_TABLE, pt);
	rival->index = 3;
	before = nr_free_pages(mm);
	ops = *mm->ops;
	ops.cpu_id = cpu_id_and_race;
	mm->ops = &ops;
	ck_assert_int_eq(pt_map_pages(mm, pt, BASE, &page, 1, PAGE_KERNEL), 0);
	ck_assert_uint_eq(lookup(BASE), leaf_of(page, PAGE_KERNEL));
	ck_assert_uint_eq(pt->nr_tables, 3);
	ck_assert_uint_eq(count_leaves(), 1);
	ck_assert_uint_eq(nr_free_pages(mm), before - 2);
}
END_TEST

START_TEST(cpus_that_make_the_same_table_end_up_with_one)
{
	pthread_t thread[CPUS];
	void *wrong;

	teardown();
	setup_cpus(CPUS);
	for (u32 i = 0; i < CPUS; i++)
		pthread_create(&thread[i], NULL, map_from_a_cpu, (void *)(uintptr_t)i);
	for (u32 i = 0; i < CPUS; i++) {
		pthread_join(thread[i], &wrong);
		ck_assert_msg(!wrong, "CPU %u: %s", i, (char *)wrong);
	}
	ck_assert_uint_eq(count_leaves(), 0);
	ck_assert_ptr_null(page_alloc_check(mm));
}
END_TEST

/* What a walk found is remembered for its 2 MiB, and only where a walk was. */
START_TEST(a_walk_is_remembered_as_the_header_says)
{
	const u64 va = 0xffffc91234567000ull, number = va >> 21;
	struct page *page[1];
	u64 table, end;

	get_frames(1, page);
	ck_assert_int_eq(pt_map_pages(mm, pt, va, page, 1, PAGE_KERNEL), 0);
	table = pt->walk[number % PT_WALKS];
	ck_assert_uint_eq(table >> 37, va << 16 >> 37);
	ck_assert_uint_eq(pfn_to_page(mm, table & ((1ull << 37) - 1))->index, 1);
	for (u32 i = 0; i < PT_WALKS; i++)
		ck_assert(i == number % PT_WALKS || pt->walk[i] == 0);
	/* Of the same slot, another table. */
	end = va + ((u64)PT_WALKS << 21);
	ck_assert_int_eq(pt_map_pages(mm, pt, end, page, 1, PAGE_KERNEL), 0);
	ck_assert_uint_ne(pt->walk[number % PT_WALKS], table);
	pt_unmap_quick(mm, pt, va, va + PAGE_SIZE);
	ck_assert_uint_eq(pt->walk[number % PT_WALKS], table);
	ck_assert_uint_eq(lookup(va), 0);
	ck_assert_uint_eq(lookup(end), leaf_of(page[0], PAGE_KERNEL));
}
END_TEST

/* Leaves of any look, at the ends of what is asked for, of both halves. */
START_TEST(what_is_in_the_way_is_found_wherever_it_is)
{
	static const u64 at[] = {0x7ffffffff000ull, 0x1000, BASE, 0xffffffffffffe000ull};
	struct page *page[1];

	get_frames(1, page);
	for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
		/* One that looks like a table's entry. */
		ck_assert(pt_expect_clear(mm, pt, at[i], at[i] + PAGE_SIZE));
		ck_assert_int_eq(
			pt_map_pages(mm, pt, at[i], page, 1, X86_PTE_P | X86_PTE_RW | X86_PTE_A),
			0);
		ck_assert(!pt_expect_clear(mm, pt, at[i], at[i] + PAGE_SIZE));
		ck_assert(!pt_expect_clear(mm, pt, at[i] - PAGE_SIZE, at[i] + PAGE_SIZE));
		ck_assert(pt_expect_clear(mm, pt, at[i] - PAGE_SIZE, at[i]));
		ck_assert(pt_expect_clear(mm, pt, at[i] + PAGE_SIZE, at[i]));
		pt_unmap_quick(mm, pt, at[i], at[i] + PAGE_SIZE);
		ck_assert_uint_eq(lookup(at[i]), 0);
		ck_assert(pt_expect_clear(mm, pt, at[i], at[i] + PAGE_SIZE));
	}
	ck_assert_uint_eq(sim->nr_warnings, 2 * ARRAY_SIZE(at));
}
END_TEST

static Suite *pgtable_suite(void)
{
	Suite *suite = suite_create("pgtable");
	TCase *tcase = tcase_create("pgtable");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, pages_are_mapped_one_by_one_with_their_protection);
	tcase_add_test(tcase, a_walk_is_remembered_as_the_header_says);
	tcase_add_test(tcase, what_is_in_the_way_is_found_wherever_it_is);
	tcase_add_test(tcase, a_mapping_crosses_the_ends_of_tables);
	tcase_add_test(tcase, a_leaf_in_the_way_or_a_missing_frame_changes_nothing);
	tcase_add_test(tcase, a_table_that_cannot_be_made_changes_no_leaf);
	tcase_add_test(tcase, prepared_tables_make_a_later_mapping_certain);
	tcase_add_test(tcase, what_is_not_canonical_is_never_mapped);
	tcase_add_test(tcase, the_ends_of_the_address_space_map_like_the_rest);
	tcase_add_test(tcase, a_senseless_range_to_unmap_is_reported);
	tcase_add_test(tcase, holes_of_every_size_are_skipped);
	tcase_add_loop_test(tcase, random_mappings_are_as_the_model_says, 0, 5);
	tcase_add_test(tcase, a_table_another_cpu_made_first_is_used_and_ours_given_back);
	tcase_add_test(tcase, cpus_that_make_the_same_table_end_up_with_one);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(pgtable_suite());
}
