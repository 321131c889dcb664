/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocating and freeing frames: what each call promises, one claim a test. The choice of zone and
 * node is in test_page_zones.c, long random runs are in test_page_random.c, and the checker's own
 * tests in test_page_check.c.
 */
#include "tests/harness.h"
#include "tests/mm/sim.h"

#include <string.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static struct sim *sim;
static struct mm *mm;

static void start_default(void)
{
	struct sim_config config = sim_default_config(2);

	sim = sim_create_frames(&config);
	mm = &sim->mm;
}

static void assert_sound(void)
{
	const char *wrong = page_alloc_check(mm);

	ck_assert_msg(!wrong, "%s", wrong);
}

static void stop(void)
{
	assert_sound();
	sim_destroy(sim);
}

static struct page *take(gfp_t gfp, u32 order, int node)
{
	return alloc_pages(mm, gfp, order, node, PAGE_OTHER, sim);
}

static u64 take_all(gfp_t gfp, u32 order, int node, struct page **pages, u64 most)
{
	u64 nr = 0;

	while (nr < most && (pages[nr] = take(gfp | __GFP_NOWARN, order, node)))
		nr++;
	ck_assert_uint_lt(nr, most);
	return nr;
}

#define MOST 65536
static struct page *pages[MOST];

START_TEST(allocating_marks_the_first_frame)
{
	for (u32 order = 0; order <= MAX_ORDER; order++) {
		struct page *page = alloc_pages(mm, GFP_KERNEL, order, 0, PAGE_TABLE, pages);

		ck_assert_ptr_nonnull(page);
		ck_assert_uint_eq(page->state, PAGE_TABLE);
		ck_assert_uint_eq(page->order, order);
		ck_assert_uint_eq(page->refcount, 1);
		ck_assert_ptr_eq(page->owner, pages);
		ck_assert_uint_eq(page_to_pfn(mm, page) % (1ull << order), 0);
		ck_assert_ptr_eq(page_zone(mm, page), &mm->node[0].zone[ZONE_NORMAL]);
		assert_sound();
	}
}
END_TEST

START_TEST(frames_come_out_in_ascending_order)
{
	u64 first = page_to_pfn(mm, take(GFP_KERNEL, 0, 0));

	for (u64 i = 1; i < 1000; i++)
		ck_assert_uint_eq(page_to_pfn(mm, take(GFP_KERNEL, 0, 0)), first + i);
}
END_TEST

START_TEST(every_cpu_has_its_own_list)
{
	struct zone *zone = &mm->node[0].zone[ZONE_NORMAL];
	struct page *first, *second;

	first = take(GFP_KERNEL, 0, 0);
	sim_set_cpu(1);
	second = take(GFP_KERNEL, 0, 0);
	ck_assert_uint_eq(zone->pcp[0].count, 31);
	ck_assert_uint_eq(zone->pcp[1].count, 31);
	free_pages(mm, first, 0);
	ck_assert_uint_eq(zone->pcp[1].count, 32);
	sim_set_cpu(0);
	free_pages(mm, second, 0);
	ck_assert_uint_eq(zone->pcp[0].count, 32);
	assert_sound();
	drain_local_pages(mm);
	ck_assert_uint_eq(zone->pcp[0].count, 0);
	ck_assert_uint_eq(zone->pcp[1].count, 32);
	drain_pages(mm, 1);
	ck_assert_uint_eq(zone->pcp[1].count, 0);
}
END_TEST

START_TEST(a_long_list_gives_a_batch_back)
{
	struct zone *zone = &mm->node[0].zone[ZONE_NORMAL];
	u32 high = zone->pcp_high, batch = zone->pcp_batch;

	ck_assert_uint_eq(high, 64 * MIB / 4096 / 32);
	ck_assert_uint_eq(batch, high / 8);
	for (u32 i = 0; i < 2 * high; i++)
		pages[i] = take(GFP_KERNEL, 0, 0);
	drain_local_pages(mm);
	for (u32 i = 0; i < high; i++)
		free_pages(mm, pages[i], 0);
	ck_assert_uint_eq(zone->pcp[0].count, high);
	free_pages(mm, pages[high], 0);
	ck_assert_uint_eq(zone->pcp[0].count, high + 1 - batch);
	assert_sound();
	free_pages_bulk(mm, high - 1, pages + high + 1);
	ck_assert_uint_le(zone->pcp[0].count, high);
	assert_sound();
}
END_TEST

START_TEST(zero_flag_zeroes)
{
	static const u8 zero[4096];

	for (u32 order = 0; order <= 3; order++) {
		struct page *page = take(GFP_KERNEL, order, 0);

		memset(page_address(mm, page), 0xaa, 4096u << order);
		free_pages(mm, page, order);
		page = take(GFP_KERNEL | __GFP_ZERO, order, 0);
		for (u32 i = 0; i < 1u << order; i++)
			ck_assert_mem_eq(page_address(mm, page + i), zero, 4096);
		memset(page_address(mm, page), 0xaa, 4096u << order);
		free_pages(mm, page, order);
	}
	ck_assert_uint_eq(
		alloc_pages_bulk(mm, GFP_KERNEL | __GFP_ZERO, 0, PAGE_OTHER, sim, 20, pages), 20);
	for (u32 i = 0; i < 20; i++)
		ck_assert_mem_eq(page_address(mm, pages[i]), zero, 4096);
}
END_TEST

/* Frees @nr blocks in an order that a small generator gives. */
static void free_shuffled(u64 nr, u32 order, u32 seed)
{
	for (u64 i = nr; i > 0; i--) {
		u64 other = (seed = seed * 1103515245u + 12345u) % i;
		struct page *page = pages[other];

		pages[other] = pages[i - 1];
		free_pages(mm, page, order);
	}
}

START_TEST(free_merges_buddies)
{
	u64 blocks = take_all(GFP_KERNEL | __GFP_HIGH, MAX_ORDER, 0, pages, MOST), frames;

	free_shuffled(blocks, MAX_ORDER, 1);
	assert_sound();
	frames = take_all(GFP_KERNEL | __GFP_HIGH, 0, 0, pages, MOST);
	ck_assert_uint_eq(nr_free_pages(mm), 0);
	ck_assert_uint_ge(frames, blocks << MAX_ORDER);
	free_shuffled(frames, 0, 2);
	assert_sound();
	drain_local_pages(mm);
	assert_sound();
	ck_assert_uint_eq(nr_free_pages(mm), frames);
	ck_assert_uint_eq(take_all(GFP_KERNEL | __GFP_HIGH, MAX_ORDER, 0, pages, MOST), blocks);
	assert_sound();
}
END_TEST

/* What was used last is in a cache yet. */
START_TEST(the_block_freed_last_is_the_next)
{
	u64 blocks = take_all(GFP_KERNEL | __GFP_HIGH, 3, 0, pages, MOST);

	/* Every other one: none merges. */
	for (u64 i = 0; i < 20; i += 2)
		free_pages(mm, pages[i], 3);
	for (u64 i = 20; i; i -= 2)
		ck_assert_ptr_eq(take(GFP_KERNEL | __GFP_HIGH, 3, 0), pages[i - 2]);
	ck_assert_uint_gt(blocks, 20);
}
END_TEST

START_TEST(a_block_in_pieces_on_the_local_list_is_found)
{
	u64 frames = take_all(GFP_KERNEL | __GFP_HIGH, 0, 0, pages, MOST);
	u64 first = frames;

	for (u64 i = 0; i < frames && first == frames; i++) {
		if (page_to_pfn(mm, pages[i]) % 8 == 0)
			first = i;
	}
	for (u64 i = 0; i < 8; i++)
		free_pages(mm, pages[first] + i, 0);
	ck_assert_ptr_eq(take(GFP_KERNEL | __GFP_HIGH, 3, 0), pages[first]);
}
END_TEST

START_TEST(exhaustion_is_logged_and_mends)
{
	u64 nr;

	ck_assert_ptr_null(take(GFP_KERNEL | __GFP_NOWARN, MAX_ORDER + 1, 0));
	nr = take_all(GFP_KERNEL, 0, 0, pages, MOST);
	ck_assert_uint_eq(sim->nr_logs, 0);
	ck_assert_ptr_null(take(GFP_KERNEL, 0, 0));
	ck_assert(sim_logged(sim, "page allocation failure: order:0, mode:cc0, missing:1"));
	ck_assert_ptr_null(take(GFP_KERNEL, 2, 0));
	ck_assert(sim_logged(sim, "page allocation failure: order:2, mode:cc0, missing:4"));
	ck_assert_uint_eq(alloc_pages_bulk(mm, GFP_KERNEL, 0, PAGE_OTHER, sim, 7, pages + nr), 0);
	ck_assert(sim_logged(sim, "page allocation failure: order:0, mode:cc0, missing:7"));
	ck_assert_uint_eq(sim->nr_logs, 3);
	ck_assert_ptr_null(take(GFP_KERNEL | __GFP_HIGH, MAX_ORDER + 1, 0));
	ck_assert(sim_logged(sim, "order:11, mode:ce0, missing:1"));
	free_pages_bulk(mm, nr, pages);
	ck_assert_uint_eq(take_all(GFP_KERNEL, 0, 0, pages, MOST), nr);
}
END_TEST

/* ---- bulk ---- */

START_TEST(bulk_is_so_many_single_frames)
{
	for (u64 nr = 0; nr <= 600; nr += 1 + nr / 4) {
		pages[nr] = (struct page *)pages;
		ck_assert_uint_eq(alloc_pages_bulk(mm, GFP_KERNEL, 0, PAGE_VMALLOC, sim, nr, pages),
				  nr);
		ck_assert_ptr_eq(pages[nr], pages);
		for (u64 i = 0; i < nr; i++) {
			ck_assert_uint_eq(pages[i]->state, PAGE_VMALLOC);
			ck_assert_uint_eq(pages[i]->order, 0);
			ck_assert_uint_eq(pages[i]->refcount, 1);
			ck_assert_ptr_eq(pages[i]->owner, sim);
		}
		assert_sound();
		free_pages_bulk(mm, nr, pages);
		assert_sound();
	}
}
END_TEST

START_TEST(bulk_gets_back_what_it_freed_in_the_same_order)
{
	struct page **again = pages + 1000;

	ck_assert_uint_eq(alloc_pages_bulk(mm, GFP_KERNEL, 0, PAGE_VMALLOC, sim, 300, pages), 300);
	free_pages_bulk(mm, 300, pages);
	ck_assert_uint_eq(alloc_pages_bulk(mm, GFP_KERNEL, 0, PAGE_VMALLOC, sim, 300, again), 300);
	ck_assert_mem_eq(pages, again, 300 * sizeof(pages[0]));
}
END_TEST

START_TEST(bulk_takes_what_there_is)
{
	u64 nr = alloc_pages_bulk(mm, GFP_KERNEL | __GFP_HIGH, 0, PAGE_OTHER, sim, MOST, pages);

	ck_assert_uint_eq(nr_free_pages(mm), 0);
	ck_assert_uint_gt(nr, 120 * MIB / 4096);
	ck_assert(sim_logged(sim, "page allocation failure"));
	assert_sound();
	free_pages_bulk(mm, nr, pages);
	ck_assert_uint_eq(nr_free_pages(mm), nr);
}
END_TEST

START_TEST(bulk_frees_frames_of_any_zone_and_state)
{
	static const enum page_state states[] = {PAGE_TABLE, PAGE_SLAB, PAGE_KMALLOC, PAGE_VMALLOC,
						 PAGE_OTHER};
	static const gfp_t zones[] = {0, GFP_DMA, GFP_DMA32};
	u64 before;

	for (u32 i = 0; i < 3; i++)
		free_pages(mm, take(GFP_KERNEL | zones[i], 0, 0), 0);
	before = nr_free_pages(mm);
	for (u32 i = 0; i < 60; i++)
		pages[i] = alloc_pages(mm, GFP_KERNEL | zones[i % 3], 0, 0, states[i % 5], sim);
	free_pages_bulk(mm, 60, pages);
	ck_assert_uint_eq(nr_free_pages(mm), before);
	ck_assert_uint_eq(sim->nr_warnings, 0);
}
END_TEST

/* ---- callers' bugs ---- */

static void assert_refused(struct page *page, u32 order)
{
	u64 warnings = sim->nr_warnings, free = nr_free_pages(mm), word = page->word;

	free_pages(mm, page, order);
	ck_assert_uint_eq(sim->nr_warnings, warnings + 1);
	ck_assert_uint_eq(nr_free_pages(mm), free);
	ck_assert_uint_eq(page->word, word);
	if (order == 0) {
		free_pages_bulk(mm, 1, &page);
		ck_assert_uint_eq(sim->nr_warnings, warnings + 2);
		ck_assert_uint_eq(nr_free_pages(mm), free);
		ck_assert_uint_eq(page->word, word);
	}
	assert_sound();
}

START_TEST(bad_frees_are_reported_and_change_nothing)
{
	struct page *block = take(GFP_KERNEL, 3, 0), *single = take(GFP_KERNEL, 0, 0);
	struct page *memmap = pfn_to_page(mm, (4 * GIB + 62 * MIB) >> 12);

	assert_refused(block, 0);
	assert_refused(block, 2);
	assert_refused(block, 4);
	assert_refused(block, MAX_ORDER + 1);
	assert_refused(block, ~0u);
	assert_refused(block + 1, 0);
	assert_refused(block + 4, 2);
	assert_refused(single, 1);
	ck_assert_uint_eq(memmap->state, PAGE_MEMMAP);
	assert_refused(memmap, 9);
	assert_refused(memmap, 0);
	assert_refused(memmap + 1, 0);
	assert_refused(pfn_to_page(mm, (4 * GIB + 32 * MIB) >> 12), 0);
	free_pages(mm, block, 3);
	assert_refused(block, 3);
	free_pages(mm, single, 0);
	assert_refused(single, 0);
	single = take(GFP_KERNEL, 0, 0);
	single->refcount = 0;
	free_pages(mm, single, 0);
	ck_assert_uint_eq(single->refcount, 0);
	ck_assert_uint_eq(single->state, PAGE_OTHER);
	single->refcount = 1;
	single->state = PAGE_NR_STATES;
	free_pages(mm, single, 0);
	ck_assert_uint_eq(single->state, PAGE_NR_STATES);
	single->state = PAGE_OTHER;
	ck_assert(sim_logged(sim, "bad free of frame"));
}
END_TEST

/* One frame freed by its owner and by two others, in every order and by each call. */
START_TEST(a_frame_is_free_with_its_last_reference)
{
	free_pages(mm, take(GFP_KERNEL, 0, 0), 0); /* the section lives from now on */
	for (u32 bulk = 0; bulk < 2; bulk++) {
		for (u32 owner_goes = 0; owner_goes < 3; owner_goes++) {
			u64 before = nr_free_pages(mm);
			struct page *page = alloc_pages(mm, GFP_KERNEL, 0, 0, PAGE_VMALLOC, sim);

			ck_assert(page_get(page) && page_get(page));
			for (u32 step = 0; step < 3; step++) {
				ck_assert_uint_eq(page->refcount, 3 - step);
				ck_assert_uint_eq(page->state,
						  step > owner_goes ? PAGE_OTHER : PAGE_VMALLOC);
				ck_assert_uint_eq(nr_free_pages(mm), before - 1);
				ck_assert_ptr_null(page_alloc_check(mm));
				if (step != owner_goes)
					page_put(mm, page);
				else if (bulk)
					free_pages_bulk(mm, 1, &page);
				else
					free_pages(mm, page, 0);
			}
			ck_assert_uint_eq(nr_free_pages(mm), before);
			ck_assert_ptr_null(page_alloc_check(mm));
		}
	}
	ck_assert_uint_eq(sim->nr_warnings, 0);
}
END_TEST

START_TEST(only_single_frames_of_areas_and_others_are_shared)
{
	struct page *page = take(GFP_KERNEL, 1, 0);

	ck_assert(!page_get(page));
	ck_assert(!page_get(page + 1));
	free_pages(mm, page, 1);
	ck_assert(!page_get(page));
	page = alloc_pages(mm, GFP_KERNEL, 0, 0, PAGE_TABLE, sim);
	ck_assert(!page_get(page));
	free_pages(mm, page, 0);
	page = take(GFP_KERNEL, 0, 0);
	page->refcount = 0x7fffffff;
	ck_assert(!page_get(page));
	page->refcount = 1;
	free_pages(mm, page, 0);
	page_put(mm, page);
	ck_assert_uint_eq(sim->nr_warnings, 1);
	ck_assert_ptr_null(page_alloc_check(mm));
}
END_TEST

START_TEST(bulk_leaves_out_what_is_wrong)
{
	u64 before;

	ck_assert_uint_eq(alloc_pages_bulk(mm, GFP_KERNEL, 0, PAGE_VMALLOC, sim, 64, pages), 64);
	/* Twice in a row, twice apart, in a place of its own, a body, and a block. */
	pages[10] = pages[9];
	pages[3] = pages[40];
	free_pages(mm, pages[63], 0);
	pages[20] = take(GFP_KERNEL, 4, 0) + 1;
	pages[30] = take(GFP_KERNEL, 1, 0);
	before = nr_free_pages(mm);
	free_pages_bulk(mm, 64, pages);
	ck_assert_uint_eq(sim->nr_warnings, 5);
	ck_assert_uint_eq(nr_free_pages(mm), before + 59);
}
END_TEST

/* ---- failures on demand ---- */

START_TEST(the_nth_frame_fails)
{
	for (u32 n = 1; n < 10; n++) {
		mm->fault.fail[FAULT_FRAME] = n;
		for (u32 i = 1; i < n; i++)
			ck_assert_ptr_nonnull(take(GFP_KERNEL | __GFP_NOWARN, i % 3, 0));
		ck_assert_ptr_null(take(GFP_KERNEL | __GFP_NOWARN, n % 3, 0));
		ck_assert_ptr_nonnull(take(GFP_KERNEL, n % 3, 0));
		mm->fault.fail[FAULT_FRAME] = n;
		ck_assert_uint_eq(alloc_pages_bulk(mm, GFP_KERNEL | __GFP_NOWARN, 0, PAGE_OTHER,
						   sim, 20, pages),
				  n - 1);
		ck_assert_uint_eq(mm->fault.fail[FAULT_FRAME], 0);
		mm->fault.fail[FAULT_FRAME] = 20 + n;
		ck_assert_uint_eq(alloc_pages_bulk(mm, GFP_KERNEL, 0, PAGE_OTHER, sim, 20, pages),
				  20);
		ck_assert_uint_eq(mm->fault.fail[FAULT_FRAME], n);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("page_alloc");
	TCase *one = tcase_create("frames");

	tcase_add_checked_fixture(one, start_default, stop);
	tcase_add_test(one, allocating_marks_the_first_frame);
	tcase_add_test(one, frames_come_out_in_ascending_order);
	tcase_add_test(one, every_cpu_has_its_own_list);
	tcase_add_test(one, a_long_list_gives_a_batch_back);
	tcase_add_test(one, zero_flag_zeroes);
	tcase_add_test(one, free_merges_buddies);
	tcase_add_test(one, the_block_freed_last_is_the_next);
	tcase_add_test(one, a_block_in_pieces_on_the_local_list_is_found);
	tcase_add_test(one, exhaustion_is_logged_and_mends);
	tcase_add_test(one, bulk_is_so_many_single_frames);
	tcase_add_test(one, bulk_gets_back_what_it_freed_in_the_same_order);
	tcase_add_test(one, bulk_takes_what_there_is);
	tcase_add_test(one, bulk_frees_frames_of_any_zone_and_state);
	tcase_add_test(one, bad_frees_are_reported_and_change_nothing);
	tcase_add_test(one, a_frame_is_free_with_its_last_reference);
	tcase_add_test(one, only_single_frames_of_areas_and_others_are_shared);
	tcase_add_test(one, bulk_leaves_out_what_is_wrong);
	tcase_add_test(one, the_nth_frame_fails);
	suite_add_tcase(suite, one);
	return suite;
}

int main(void)
{
	return harness_run(suite());
}
