/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Searching the simulated core's memory: everything that was put there is found, once, in order. */
#include "tests/harness.h"

#include <errno.h>
#include <string.h>

#include "tests/vmm/inspect/core_mix.h"
#include "vmm/look/search.h"

#define HITS_MAX 64

static const char needle[] = "what nobody else would write there";
#define NEEDLE_BYTES (sizeof(needle) - 1)

struct hits {
	uint64_t address[HITS_MAX];
	size_t count;
	int answer;
};

static int keep(void *context, uint64_t address)
{
	struct hits *hits = context;

	ck_assert_uint_lt(hits->count, HITS_MAX);
	hits->address[hits->count++] = address;
	return hits->answer;
}

static struct look_search_sum search(struct mix *mix, const struct look_search_query *query,
				     struct hits *hits)
{
	struct look_search_sum sum;

	*hits = (struct hits){.count = 0};
	ck_assert_int_eq(look_search(mix->source->inspector, query, keep, hits, &sum), 0);
	ck_assert_uint_eq(sum.hits, hits->count);
	return sum;
}

/* Writes at a virtual address of an area, across pages. */
static void put(struct mix *mix, u64 va, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		struct page *page = mix_page(mix, (va + i) & PAGE_MASK);

		((char *)page_address(mix->mm, page))[(va + i) % PAGE_SIZE] =
			((const char *)bytes)[i];
	}
}

/* At a page's start, its end, in its middle, and across two and the frames behind them. */
START_TEST(virtual_matches_are_found_across_pages)
{
	struct mix *mix = mix_create();
	const u64 at[] = {mix->inlined, mix->inlined + PAGE_SIZE - 5,
			  mix->inlined + 3 * PAGE_SIZE + 99,
			  mix->inlined + 10 * PAGE_SIZE - NEEDLE_BYTES};
	struct look_search_query query = {.pattern = needle, .pattern_bytes = NEEDLE_BYTES};
	struct hits hits;

	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		put(mix, at[i], needle, NEEDLE_BYTES);
	search(mix, &query, &hits);
	ck_assert_uint_eq(hits.count, ARRAY_SIZE(at));
	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		ck_assert_uint_eq(hits.address[i], at[i]);
	/* A window: what begins before it or ends after it is not in it. */
	query.start = at[1] + 1;
	query.end = at[2] + NEEDLE_BYTES;
	search(mix, &query, &hits);
	ck_assert_uint_eq(hits.count, 1);
	ck_assert_uint_eq(hits.address[0], at[2]);
	query.end--;
	ck_assert_uint_eq(search(mix, &query, &hits).hits, 0);
	mix_destroy(mix);
}
END_TEST

START_TEST(physical_matches_are_found_across_frames)
{
	struct mix *mix = mix_create();
	const u64 at[] = {0x300000, 0x301ffe, MIX_FAR_PHYS + 12345,
			  MIX_FAR_PHYS + (128ull << 20) - NEEDLE_BYTES};
	struct look_search_query query = {
		.physical = true, .pattern = needle, .pattern_bytes = NEEDLE_BYTES};
	struct look_search_sum sum;
	struct hits hits;

	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		memcpy(phys_to_virt(mix->mm, at[i]), needle, NEEDLE_BYTES);
	sum = search(mix, &query, &hits);
	ck_assert_uint_eq(hits.count, ARRAY_SIZE(at));
	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		ck_assert_uint_eq(hits.address[i], at[i]);
	ck_assert_uint_eq(sum.bytes, 256ull << 20);
	query.start = 0x301fff;
	query.end = MIX_FAR_PHYS + 12345 + NEEDLE_BYTES;
	search(mix, &query, &hits);
	ck_assert_uint_eq(hits.count, 1);
	ck_assert_uint_eq(hits.address[0], at[2]);
	mix_destroy(mix);
}
END_TEST

START_TEST(numbers_are_found_where_they_are_aligned)
{
	struct mix *mix = mix_create();
	const u64 number = 0x0123456789abcdefull;
	struct look_search_query query = {
		.pattern = &number, .pattern_bytes = sizeof(number), .align = 8};
	struct hits hits;

	put(mix, mix->single + 16, &number, 8);
	put(mix, mix->single + 27, &number, 8);
	put(mix, mix->single + PAGE_SIZE - 8, &number, 8);
	search(mix, &query, &hits);
	ck_assert_uint_eq(hits.count, 2);
	ck_assert_uint_eq(hits.address[0], mix->single + 16);
	ck_assert_uint_eq(hits.address[1], mix->single + PAGE_SIZE - 8);
	query.align = 1;
	ck_assert_uint_eq(search(mix, &query, &hits).hits, 3);
	mix_destroy(mix);
}
END_TEST

/* "aaaa" holds "aa" three times. */
START_TEST(overlapping_matches_and_limits)
{
	struct mix *mix = mix_create();
	struct look_search_query query = {.pattern = "\1\2\1\2\1", .pattern_bytes = 5};
	struct look_search_sum sum;
	struct hits hits;

	put(mix, mix->single + 50, "\1\2\1\2\1\2\1\2\1", 9);
	search(mix, &query, &hits);
	ck_assert_uint_eq(hits.count, 3);
	ck_assert_uint_eq(hits.address[2], mix->single + 54);
	query.max_hits = 2;
	sum = search(mix, &query, &hits);
	ck_assert_uint_eq(hits.count, 2);
	ck_assert(sum.cut);
	query.max_hits = 3;
	ck_assert(!search(mix, &query, &hits).cut);
	hits = (struct hits){.answer = 77};
	ck_assert_int_eq(look_search(mix->source->inspector, &query, keep, &hits, &sum), 77);
	query.pattern_bytes = 0;
	ck_assert_int_eq(look_search(mix->source->inspector, &query, keep, &hits, &sum), -EINVAL);
	query.pattern_bytes = LOOK_PATTERN_BYTES_MAX + 1;
	ck_assert_int_eq(look_search(mix->source->inspector, &query, keep, &hits, &sum), -EINVAL);
	query.pattern_bytes = 5;
	query.align = 3;
	ck_assert_int_eq(look_search(mix->source->inspector, &query, keep, &hits, &sum), -EINVAL);
	mix_destroy(mix);
}
END_TEST

/* Only [1 MiB, 2 MiB) and one page of what lies at 4 GiB are said to be touched. */
static bool some_touched(void *context, uint64_t gpa, uint64_t *start_out, uint64_t *end_out)
{
	const uint64_t piece[2][2] = {{1 << 20, 2 << 20},
				      {(4ull << 30) + 4096, (4ull << 30) + 8192}};

	for (int i = 0; i < 2; i++) {
		if (gpa >= piece[i][1])
			continue;
		*start_out = gpa > piece[i][0] ? gpa : piece[i][0];
		*end_out = piece[i][1];
		return true;
	}
	return false;
}

/* What was never touched is neither read nor counted, by either kind of address. */
START_TEST(untouched_memory_is_passed_over)
{
	struct mix *mix = mix_create();
	struct inspect_source source = *inspect_source_of(mix->source->inspector);
	struct look_search_query query = {
		.physical = true, .pattern = needle, .pattern_bytes = NEEDLE_BYTES};
	struct look_search_sum sum;
	struct inspector *inspector;
	struct hits hits = {.count = 0};
	uint64_t start, end;

	source.touched = some_touched;
	ck_assert_int_eq(inspector_create(&source, &mix->source->layout, &inspector, NULL), 0);
	ck_assert(inspect_touched(inspector, 0, &start, &end));
	ck_assert_uint_eq(start, 1 << 20);
	ck_assert_uint_eq(end, 2 << 20);
	ck_assert(inspect_touched(inspector, 2 << 20, &start, &end));
	ck_assert_uint_eq(start, (4ull << 30) + 4096);
	ck_assert(!inspect_touched(inspector, (4ull << 30) + 8192, &start, &end));
	memcpy(phys_to_virt(mix->mm, (1 << 20) + 4000), needle, NEEDLE_BYTES);
	memcpy(phys_to_virt(mix->mm, 40 << 20), needle, NEEDLE_BYTES);
	mix_map(mix, mix->reserved, 1 << 20, PAGE_KERNEL);
	mix_map(mix, mix->reserved + PAGE_SIZE, 40 << 20, PAGE_KERNEL);
	ck_assert_int_eq(look_search(inspector, &query, keep, &hits, &sum), 0);
	ck_assert_uint_eq(hits.count, 1);
	ck_assert_uint_eq(hits.address[0], (1 << 20) + 4000);
	ck_assert_uint_eq(sum.bytes, (1 << 20) + 4096);
	query.physical = false;
	query.start = mix->reserved;
	query.end = mix->reserved + 4 * PAGE_SIZE;
	hits.count = 0;
	ck_assert_int_eq(look_search(inspector, &query, keep, &hits, &sum), 0);
	ck_assert_uint_eq(hits.count, 1);
	ck_assert_uint_eq(hits.address[0], mix->reserved + 4000);
	ck_assert_uint_eq(sum.bytes, PAGE_SIZE);
	inspector_destroy(inspector);
	mix_destroy(mix);
}
END_TEST

/* One PDPT of 1 GiB leaves, 255 times: all of them map the first GiB, more or less. */
START_TEST(memory_mapped_without_end_is_searched_a_few_times)
{
	struct mix *mix = mix_create();
	u64 top = *mix_entry(mix, mix->single, 4);
	u64 *root = phys_to_virt(mix->mm, mix->mm->pt.root_phys);
	u64 *pdpt = phys_to_virt(mix->mm, top & X86_PTE_ADDR_MASK);
	struct look_search_query query = {.pattern = needle, .pattern_bytes = NEEDLE_BYTES};
	struct look_search_sum sum;
	struct hits hits;

	for (int i = 0; i < 512; i++)
		pdpt[i] = (i % 2 ? 0 : 3ull << 30) | PAGE_KERNEL | X86_PTE_PS;
	for (int i = 257; i < 512; i++)
		root[i] = top;
	sum = search(mix, &query, &hits);
	ck_assert(sum.cut);
	ck_assert_uint_le(sum.bytes, LOOK_SEARCH_TIMES * (256ull << 20) + PAGE_SIZE);
	mix_destroy(mix);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("look_search");
	TCase *tests = tcase_create("search");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, virtual_matches_are_found_across_pages);
	tcase_add_test(tests, physical_matches_are_found_across_frames);
	tcase_add_test(tests, numbers_are_found_where_they_are_aligned);
	tcase_add_test(tests, overlapping_matches_and_limits);
	tcase_add_test(tests, untouched_memory_is_passed_over);
	tcase_add_test(tests, memory_mapped_without_end_is_searched_a_few_times);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
