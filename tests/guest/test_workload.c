/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The workload interpreter over an allocator of the test's own, which records what each loop asks
 * for, can fail any call, and knows at the end whether everything came back.
 */
#include <stdlib.h>
#include <string.h>

#include "guest/workload.h"
#include "mm/errno.h"
#include "mm/vmalloc.h"
#include "tests/harness.h"

struct machine machine;

/* ---- the allocator ---- */

#define MAGIC   0x616c6c6f63617465ull
#define RECORDS 32768 /* more than any test here makes */
#define DRAWS   4096  /* loops of the tests that look at random numbers */

static struct nb_vcpu_area vcpu_area;

/* What an area's memory is preceded by. Only as much memory as is written is behind it. */
struct area {
	u64 magic, size;
	struct area *previous, *next;
};

static struct area live = {0, 0, &live, &live};
static unsigned nr_live, most_live, nr_allocs, nr_frees, fail_at, cancel_at;
static struct vmalloc_request asked[RECORDS]; /* by allocation */
static u8 first_byte[RECORDS];                /* when freed, by free */
static u64 last_size_freed;

int vmalloc_node_range(struct mm *mm, const struct vmalloc_request *request, u64 *addr_out)
{
	struct area *area;

	ck_assert_ptr_eq(mm, &machine.mm);
	ck_assert_uint_lt(nr_allocs, RECORDS);
	asked[nr_allocs] = *request;
	if (++nr_allocs == fail_at)
		return -ENOSPC;
	if (nr_allocs == cancel_at)
		vcpu_area.cancel = 1;
	/* Arrays of addresses are used whole, everything else by its first byte. */
	area = malloc(sizeof(*area) + (request->size > 2 * 1024 * 1024 ? 1 : request->size));
	ck_assert_ptr_nonnull(area);
	*area = (struct area){MAGIC, request->size, live.previous, &live};
	live.previous->next = area;
	live.previous = area;
	if (++nr_live > most_live)
		most_live = nr_live;
	*(u8 *)(area + 1) = 0xee;
	*addr_out = (u64)(area + 1);
	return 0;
}

int vfree(struct mm *mm, u64 addr)
{
	struct area *area;

	if (addr == 0)
		return 0;
	area = (struct area *)addr - 1;
	ck_assert_uint_eq(area->magic, MAGIC);
	first_byte[nr_frees++] = *(u8 *)addr;
	last_size_freed = area->size;
	area->previous->next = area->next;
	area->next->previous = area->previous;
	nr_live--;
	area->magic = 0;
	free(area);
	return 0;
}

/* How many allocations there had been at the last purge. */
static unsigned allocs_at_purge;

u64 vmap_purge(struct mm *mm)
{
	ck_assert_ptr_eq(mm, &machine.mm);
	allocs_at_purge = nr_allocs;
	return 0;
}

/* ---- running a case ---- */

static u64 result[4];

static s64 bench(u64 nr, u64 loops, u64 pages, u64 seed, u64 stamps)
{
	struct cpu *cpu = &machine.cpu[0];

	cpu->area = &vcpu_area;
	memset(&vcpu_area, 0, sizeof(vcpu_area));
	memset(result, 0, sizeof(result));
	nr_allocs = nr_frees = most_live = 0;
	allocs_at_purge = UINT32_MAX;
	return workload_bench(cpu, (const u64[12]){nr, loops, pages, seed, stamps}, result);
}

static void all_is_freed(void)
{
	ck_assert_uint_eq(nr_live, 0);
}

static void plain_request(const struct vmalloc_request *request)
{
	ck_assert_uint_eq(request->start, VMALLOC_START);
	ck_assert_uint_eq(request->end, VMALLOC_END);
	ck_assert_uint_eq(request->prot, PAGE_KERNEL);
	ck_assert_uint_eq(request->flags, 0);
}

START_TEST(fix_size_allocates_touches_and_frees_each_loop)
{
	static const u64 pages[] = {1, 16, 128, 512};
	unsigned i;

	fail_at = 0;
	ck_assert_int_eq(bench(NB_BENCH_FIX_SIZE, 10, pages[_i], 0, 0), 0);
	ck_assert_uint_eq(nr_allocs, 10);
	ck_assert_uint_eq(allocs_at_purge, 0);
	ck_assert_uint_eq(nr_frees, 10);
	ck_assert_uint_eq(most_live, 1);
	for (i = 0; i < 10; i++) {
		plain_request(&asked[i]);
		ck_assert_uint_eq(asked[i].size, pages[_i] * PAGE_SIZE);
		ck_assert_uint_eq(asked[i].align, 1);
		ck_assert_uint_eq(asked[i].gfp, GFP_KERNEL);
		ck_assert_int_eq(asked[i].node, NUMA_NO_NODE);
		ck_assert_uint_eq(first_byte[i], 0);
	}
	ck_assert_uint_eq(result[1], 10);
	ck_assert_uint_ge(vcpu_area.progress, 10);
	all_is_freed();
}
END_TEST

START_TEST(full_fit_runs_beside_holes_of_one_page)
{
	const unsigned half = 8192;
	unsigned i;

	fail_at = 0;
	ck_assert_int_eq(bench(NB_BENCH_FULL_FIT, 7, 0, 0, 0), 0);
	ck_assert_uint_eq(nr_allocs, 1 + 2 * half + 7);
	ck_assert_uint_eq(allocs_at_purge, 1 + 2 * half); /* nothing lazy when loops start */
	ck_assert_uint_eq(most_live, 1 + 2 * half);
	/* First the holes are made, then the loops run, and only they write. */
	ck_assert_uint_eq(nr_frees, nr_allocs);
	ck_assert_uint_eq(asked[(nr_allocs - 1)].size, PAGE_SIZE);
	for (i = 0; i < nr_frees - 1; i++)
		ck_assert_uint_eq(first_byte[i], i >= half && i < half + 7 ? 1 : 0xee);
	ck_assert_uint_eq(last_size_freed, 2 * half * sizeof(u64));
	all_is_freed();
}
END_TEST

START_TEST(long_busy_list_runs_beside_15000_areas)
{
	fail_at = 0;
	ck_assert_int_eq(bench(NB_BENCH_LONG_BUSY_LIST, 5, 0, 0, 0), 0);
	ck_assert_uint_eq(nr_allocs, 1 + 15000 + 2 * 5);
	ck_assert_uint_eq(most_live, 1 + 15000 + 2);
	ck_assert_uint_eq(asked[(nr_allocs - 2)].size, 100 * PAGE_SIZE);
	ck_assert_uint_eq(asked[(nr_allocs - 1)].size, PAGE_SIZE);
	ck_assert_uint_eq(first_byte[0], 0);
	ck_assert_uint_eq(first_byte[1], 1);
	all_is_freed();
}
END_TEST

START_TEST(random_size_covers_1_to_100_pages_evenly)
{
	unsigned seen[101] = {0}, i;

	fail_at = 0;
	ck_assert_int_eq(bench(NB_BENCH_RANDOM_SIZE, DRAWS, 0, 42, 0), 0);
	for (i = 0; i < DRAWS; i++) {
		u64 pages = asked[i].size / PAGE_SIZE;

		ck_assert(pages >= 1 && pages <= 100 && asked[i].size % PAGE_SIZE == 0);
		seen[pages]++;
		ck_assert_uint_eq(asked[i].align, 1);
		ck_assert_uint_eq(first_byte[i], 1);
	}
	/* 41 expected of each; a third of that is seven standard deviations away. */
	for (i = 1; i <= 100; i++)
		ck_assert_msg(seen[i] > 13 && seen[i] < 90, "%u pages: %u times", i, seen[i]);
	all_is_freed();
}
END_TEST

START_TEST(aligned_cases_are_zeroed_on_node_0_and_not_touched)
{
	unsigned i;

	fail_at = 0;
	ck_assert_int_eq(bench(NB_BENCH_FIX_ALIGN, 10, 0, 0, 0), 0);
	ck_assert_uint_eq(nr_allocs, 10);
	for (i = 0; i < 10; i++) {
		plain_request(&asked[i]);
		ck_assert_uint_eq(asked[i].size, 5 * PAGE_SIZE);
		ck_assert_uint_eq(asked[i].align, 32768);
		ck_assert_uint_eq(asked[i].gfp, GFP_KERNEL | __GFP_ZERO);
		ck_assert_int_eq(asked[i].node, 0);
		ck_assert_uint_eq(first_byte[i], 0xee);
	}
	all_is_freed();
}
END_TEST

START_TEST(random_size_align_draws_both_from_one_byte)
{
	bool sizes[11] = {false}, aligns[23] = {false};
	unsigned i, shift;

	fail_at = 0;
	ck_assert_int_eq(bench(NB_BENCH_RANDOM_SIZE_ALIGN, DRAWS, 0, 9, 0), 0);
	for (i = 0; i < DRAWS; i++) {
		u64 pages = asked[i].size / PAGE_SIZE;

		ck_assert(pages >= 1 && pages <= 10);
		ck_assert(is_power_of_2(asked[i].align) && asked[i].align <= 4 * 1024 * 1024);
		ck_assert_uint_eq(asked[i].gfp, GFP_KERNEL | __GFP_ZERO);
		shift = (unsigned)__builtin_ctzll(asked[i].align);
		sizes[pages] = true;
		aligns[shift] = true;
	}
	for (i = 1; i <= 10; i++)
		ck_assert_msg(sizes[i], "never %u pages", i);
	for (i = 0; i < 23; i++)
		ck_assert_msg(aligns[i], "never aligned to 2^%u", i);
	all_is_freed();
}
END_TEST

START_TEST(the_same_seed_gives_the_same_sizes)
{
	static struct vmalloc_request before[100];
	unsigned i, same = 0;

	fail_at = 0;
	ck_assert_int_eq(bench(NB_BENCH_RANDOM_SIZE, 100, 0, 5, 0), 0);
	memcpy(before, asked, sizeof(before));
	ck_assert_int_eq(bench(NB_BENCH_RANDOM_SIZE, 100, 0, 5, 0), 0);
	for (i = 0; i < 100; i++)
		ck_assert_uint_eq(before[i].size, asked[i].size);
	ck_assert_int_eq(bench(NB_BENCH_RANDOM_SIZE, 100, 0, 6, 0), 0);
	for (i = 0; i < 100; i++)
		same += before[i].size == asked[i].size;
	ck_assert_uint_lt(same, 20);
	ck_assert_int_eq(bench(NB_BENCH_RANDOM_SIZE, 100, 0, 0, 0), 0);
	ck_assert_uint_ne(asked[50].size, asked[51].size);
}
END_TEST

/* Fails the first, the last, and some calls between; in set-up and in loops. */
START_TEST(whichever_allocation_fails_all_is_freed)
{
	static const struct {
		u64 nr, pages, allocs;
	} runs[] = {
		{NB_BENCH_FIX_SIZE, 4, 3},
		{NB_BENCH_FULL_FIT, 0, 1 + 16384 + 3},
		{NB_BENCH_LONG_BUSY_LIST, 0, 15001 + 6},
		{NB_BENCH_RANDOM_SIZE, 0, 3},
		{NB_BENCH_FIX_ALIGN, 0, 3},
		{NB_BENCH_RANDOM_SIZE_ALIGN, 0, 3},
	};
	u64 allocs = runs[_i].allocs;
	u64 step = allocs > 10 ? allocs / 3 : 1;
	u64 n;

	for (n = 1; n <= allocs; n = n == 1 || n + step > allocs ? n + 1 : n + step) {
		fail_at = (unsigned)n;
		ck_assert_int_eq(bench(runs[_i].nr, 3, runs[_i].pages, 1, 0), -ENOSPC);
		ck_assert_uint_eq(nr_allocs, n);
		ck_assert_uint_eq(result[0] | result[1], 0);
		all_is_freed();
		if (step > 1 && n + step > allocs && n < allocs - 7)
			n = allocs - 7;
	}
}
END_TEST

START_TEST(stamps_say_what_each_loop_took)
{
	const u32 *stamp = (const u32 *)vcpu_area.data;
	u64 sum = 0;
	unsigned i;

	fail_at = 0;
	ck_assert_int_eq(bench(NB_BENCH_FIX_SIZE, 100, 1, 0, 1), 0);
	for (i = 0; i < 100; i++) {
		ck_assert_uint_ne(stamp[i], 0);
		sum += stamp[i];
	}
	ck_assert_uint_eq(stamp[100], 0);
	ck_assert_uint_le(sum, result[0]);
	ck_assert_int_eq(bench(NB_BENCH_FIX_SIZE, NB_BENCH_STAMPS_MAX, 1, 0, 1), 0);
	ck_assert_uint_ne(stamp[NB_BENCH_STAMPS_MAX - 1], 0);
	ck_assert_int_eq(bench(NB_BENCH_FIX_SIZE, 10, 1, 0, 0), 0);
	ck_assert_uint_eq(stamp[0], 0);
}
END_TEST

/* What set-up is under way is finished, the next is not begun; loops are looked at by 256. */
START_TEST(a_cancelled_case_says_how_many_loops_it_ran)
{
	static const struct {
		u64 nr, pages;
		unsigned at, allocs;
		u64 loops;
	} runs[] = {
		{NB_BENCH_FIX_SIZE, 1, 3, 256, 256},
		{NB_BENCH_LONG_BUSY_LIST, 0, 15001 + 600, 15001 + 1024, 512},
		{NB_BENCH_LONG_BUSY_LIST, 0, 100, 100, 0},
		{NB_BENCH_FULL_FIT, 0, 1 + 10, 1 + 10, 0},
	};

	fail_at = 0;
	cancel_at = runs[_i].at;
	ck_assert_int_eq(bench(runs[_i].nr, 5000, runs[_i].pages, 1, 0), 0);
	ck_assert_uint_eq(result[1], runs[_i].loops);
	ck_assert_uint_eq(nr_allocs, runs[_i].allocs);
	all_is_freed();
	/* Stamped loops are looked at one by one. */
	cancel_at = 3;
	ck_assert_int_eq(bench(NB_BENCH_FIX_SIZE, 50, 1, 1, 1), 0);
	cancel_at = 0;
	ck_assert_uint_eq(result[1], 3);
	all_is_freed();
}
END_TEST

START_TEST(arguments_that_make_no_sense_are_refused)
{
	static const u64 bad[][5] = {
		{6, 1, 0, 0, 0}, /* no such case */
		{~0ull, 1, 0, 0, 0},
		{NB_BENCH_FIX_SIZE, 0, 1, 0, 0},     /* no loops */
		{NB_BENCH_FIX_SIZE, 1, 0, 0, 0},     /* no pages */
		{NB_BENCH_FIX_SIZE, 1, ~0ull, 0, 0}, /* bytes that wrap */
		{NB_BENCH_FIX_SIZE, 1, 1ull << 52, 0, 0},
		{NB_BENCH_FULL_FIT, 1, 1, 0, 0}, /* pages where they mean nothing */
		{NB_BENCH_FIX_SIZE, 1, 1, 0, 2},
		{NB_BENCH_FIX_SIZE, NB_BENCH_STAMPS_MAX + 1, 1, 0, 1},
	};

	fail_at = 0;
	ck_assert_int_eq(bench(bad[_i][0], bad[_i][1], bad[_i][2], bad[_i][3], bad[_i][4]),
			 -EINVAL);
	ck_assert_uint_eq(nr_allocs, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guest/workload");
	TCase *tests = tcase_create("cases");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, fix_size_allocates_touches_and_frees_each_loop, 0, 4);
	tcase_add_test(tests, full_fit_runs_beside_holes_of_one_page);
	tcase_add_test(tests, long_busy_list_runs_beside_15000_areas);
	tcase_add_test(tests, random_size_covers_1_to_100_pages_evenly);
	tcase_add_test(tests, aligned_cases_are_zeroed_on_node_0_and_not_touched);
	tcase_add_test(tests, random_size_align_draws_both_from_one_byte);
	tcase_add_test(tests, the_same_seed_gives_the_same_sizes);
	tcase_add_loop_test(tests, whichever_allocation_fails_all_is_freed, 0, 6);
	tcase_add_test(tests, stamps_say_what_each_loop_took);
	tcase_add_loop_test(tests, a_cancelled_case_says_how_many_loops_it_ran, 0, 4);
	tcase_add_loop_test(tests, arguments_that_make_no_sense_are_refused, 0, 9);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
