/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting the page allocator, and sections coming to life: what becomes of any layout of RAM.
 */
#include "tests/harness.h"
#include "tests/mm/sim.h"

#include <sys/stat.h>

#include "mm/errno.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static struct zone *zone_of(struct sim *sim, u32 node, enum zone_id id)
{
	return &sim->mm.node[node].zone[id];
}

/* Bytes of RAM the host had to provide so far. */
static u64 touched_bytes(struct sim *sim)
{
	struct stat stat;

	ck_assert_int_eq(fstat(sim->fd, &stat), 0);
	return (u64)stat.st_blocks * 512;
}

static void assert_sound(struct sim *sim)
{
	const char *wrong = page_alloc_check(&sim->mm);

	ck_assert_msg(!wrong, "%s", wrong);
}

static struct page *one_frame(struct sim *sim, gfp_t gfp, int node)
{
	return alloc_pages(&sim->mm, gfp | __GFP_NOWARN, 0, node, PAGE_OTHER, sim);
}

/* Where section @section keeps its struct pages, as a physical address. */
static u64 memmap_phys(struct sim *sim, u64 section)
{
	u8 online = sim->mm.section_online[section];

	ck_assert_msg(online, "section %lu is not online", (unsigned long)section);
	return (section << SECTION_SHIFT) + (online - 1) * 2 * MIB;
}

START_TEST(init_touches_no_frame)
{
	struct sim_config config = {0};
	struct sim *sim;

	sim_add_ram(&config, 0, GIB, 0);
	sim_add_ram(&config, 4 * GIB, 1024 * GIB, 0);
	sim = sim_create_frames(&config);
	ck_assert_uint_eq(touched_bytes(sim), 0);
	ck_assert_uint_eq(sim->nr_populated, 0);
	ck_assert_uint_eq(sim->mm.total_pages, 1025 * GIB / PAGE_SIZE);
	sim_destroy(sim);
}
END_TEST

START_TEST(a_frame_of_a_terabyte_costs_a_few_pages)
{
	struct sim_config config = {0};
	struct sim *sim;

	sim_add_ram(&config, 0, GIB, 0);
	sim_add_ram(&config, 4 * GIB, 1024 * GIB, 0);
	sim = sim_create_frames(&config);
	ck_assert_ptr_nonnull(one_frame(sim, GFP_KERNEL, NUMA_NO_NODE));
	ck_assert_uint_eq(sim->nr_populated, 1);
	ck_assert_uint_le(touched_bytes(sim), 64 << 10);
	sim_destroy(sim);
}
END_TEST

START_TEST(zones_end_at_16_mib_and_4_gib)
{
	struct sim_config config = {0};
	struct sim *sim;

	sim_add_ram(&config, 0, 5 * GIB, 0);
	sim = sim_create_frames(&config);
	ck_assert_uint_eq(zone_of(sim, 0, ZONE_DMA)->managed_pages, 4096 - 2);
	ck_assert_uint_eq(zone_of(sim, 0, ZONE_DMA32)->managed_pages, (4 * GIB - 16 * MIB) >> 12);
	ck_assert_uint_eq(zone_of(sim, 0, ZONE_NORMAL)->managed_pages, GIB >> 12);
	ck_assert_uint_eq(nr_free_pages(&sim->mm), (5 * GIB >> 12) - 2);
	sim_destroy(sim);
}
END_TEST

START_TEST(reserved_ranges_cut_the_spans)
{
	struct sim_config config = {0};
	struct zone *zone;
	struct sim *sim;

	sim_add_ram(&config, 16 * MIB, 48 * MIB, 0);
	sim_add_reserved(&config, 20 * MIB, MIB, RESERVED_IMAGE);
	sim_add_reserved(&config, 21 * MIB, MIB, RESERVED_BOOT);
	sim_add_reserved(&config, 60 * MIB, 4 * MIB, RESERVED_BOOT);
	sim = sim_create_frames(&config);
	zone = zone_of(sim, 0, ZONE_DMA32);
	ck_assert_uint_eq(zone->nr_spans, 2);
	ck_assert_uint_eq(zone->span[0].start_pfn, (16 * MIB >> 12) + 2);
	ck_assert_uint_eq(zone->span[0].end_pfn, 20 * MIB >> 12);
	ck_assert_uint_eq(zone->span[1].start_pfn, 22 * MIB >> 12);
	ck_assert_uint_eq(zone->span[1].end_pfn, 60 * MIB >> 12);
	sim_destroy(sim);
}
END_TEST

START_TEST(adjacent_ranges_of_a_node_are_one_span)
{
	struct sim_config config = {0};
	struct sim *sim;

	for (u64 i = 0; i < MAX_RAM; i++)
		sim_add_ram(&config, 16 * MIB + i * 4 * MIB, 4 * MIB, 0);
	sim = sim_create_frames(&config);
	ck_assert_uint_eq(zone_of(sim, 0, ZONE_DMA32)->nr_spans, 1);
	ck_assert_uint_eq(zone_of(sim, 0, ZONE_DMA32)->managed_pages, (64 * MIB >> 12) - 2);
	sim_destroy(sim);
}
END_TEST

/* ---- spans ---- */

/* As many as fit, each used to its end; the checker looks at no more either. */
START_TEST(as_many_spans_as_fit_are_used)
{
	struct sim_config config = {0};
	struct sim *sim;
	u64 got = 0;

	/* Each of the first ranges is cut in two, and one is whole. */
	for (u64 i = 0; i < MAX_SPANS / 2; i++) {
		sim_add_ram(&config, (16 + 16 * i) * MIB, 12 * MIB, 0);
		if (i)
			sim_add_reserved(&config, (20 + 16 * i) * MIB, PAGE_SIZE, RESERVED_BOOT);
	}
	sim_add_ram(&config, 256 * MIB, 4 * MIB, 0);
	sim = sim_create_frames(&config);
	ck_assert_uint_eq(zone_of(sim, 0, ZONE_DMA32)->nr_spans, MAX_SPANS);
	while (one_frame(sim, GFP_KERNEL | __GFP_HIGH, NUMA_NO_NODE)) {
		if (got++ % 997 == 0)
			assert_sound(sim);
	}
	/* Two sections have struct pages; two frames are the simulation's. */
	ck_assert_uint_eq(got, ((96 - 4 + 4 - 2) * MIB >> 12) - (MAX_SPANS / 2 - 1) - 2);
	ck_assert_uint_eq(nr_free_pages(&sim->mm), 0);
	assert_sound(sim);
	sim_destroy(sim);
}
END_TEST

/* So are as many where all but the first lie in sections too small for their struct pages. */
START_TEST(as_many_spans_may_be_given_up)
{
	struct sim_config config = {0};
	struct sim *sim;
	u64 got = 0;

	sim_add_ram(&config, 16 * MIB, 16 * MIB, 0);
	for (u64 i = 1; i <= (MAX_SPANS - 1) / 3; i++) {
		sim_add_ram(&config, i << SECTION_SHIFT, 4 * MIB, 0);
		for (u64 at = 1; at < 4; at += 2)
			sim_add_reserved(&config, (i << SECTION_SHIFT) + at * MIB, PAGE_SIZE,
					 RESERVED_BOOT);
	}
	sim = sim_create_frames(&config);
	ck_assert_uint_eq(zone_of(sim, 0, ZONE_DMA32)->nr_spans, MAX_SPANS);
	while (one_frame(sim, GFP_KERNEL | __GFP_HIGH, NUMA_NO_NODE))
		got++;
	ck_assert_uint_eq(got, (14 * MIB >> 12) - 2);
	ck_assert_uint_eq(nr_free_pages(&sim->mm), 0);
	sim_destroy(sim);
}
END_TEST

/* A range that begins where a zone ends gives that zone nothing, not even a span of no frames. */
START_TEST(a_zone_without_frames_has_no_spans)
{
	struct sim_config config = {0};
	struct sim *sim;

	sim_add_ram(&config, 16 * MIB, 16 * MIB, 0);
	sim_add_ram(&config, 4 * GIB, 64 * MIB, 0);
	sim = sim_create_frames(&config);
	ck_assert_uint_eq(zone_of(sim, 0, ZONE_DMA)->nr_spans, 0);
	ck_assert_uint_eq(zone_of(sim, 0, ZONE_DMA32)->nr_spans, 1);
	ck_assert_uint_eq(zone_of(sim, 0, ZONE_NORMAL)->nr_spans, 1);
	ck_assert_uint_eq(sim->mm.node[0].nr_fallback, 2);
	assert_sound(sim);
	sim_destroy(sim);
}
END_TEST

START_TEST(a_senseless_machine_is_refused)
{
	struct sim_config config = sim_default_config(MAX_CPUS + 1);
	struct sim *sim = NULL;

	ck_assert_int_eq(sim_try_create(&config, &sim), -EINVAL);
	ck_assert_ptr_null(sim);
	config = sim_default_config(MAX_CPUS);
	ck_assert_int_eq(sim_try_create(&config, &sim), 0);
	sim_destroy(sim);
}
END_TEST

/* ---- sections ---- */

START_TEST(struct_pages_lie_at_the_end_of_their_section)
{
	struct sim_config config = {0};
	struct sim *sim;

	sim_add_ram(&config, 0, 512 * MIB, 0);
	sim = sim_create_frames(&config);
	while (one_frame(sim, GFP_KERNEL, NUMA_NO_NODE))
		;
	for (u64 section = 0; section < 4; section++)
		ck_assert_uint_eq(memmap_phys(sim, section), (section + 1) * 128 * MIB - 2 * MIB);
	ck_assert_uint_eq(sim->nr_populated, 4);
	assert_sound(sim);
	sim_destroy(sim);
}
END_TEST

START_TEST(a_section_starts_when_its_first_frame_is_needed)
{
	struct sim_config config = {0};
	struct sim *sim;

	sim_add_ram(&config, 16 * MIB, 240 * MIB, 0);
	sim = sim_create_frames(&config);
	/* Pieces smaller than what a per-CPU list takes at once are left for later. */
	for (u64 i = 0; i < (110 * MIB >> 12) - 64; i++) {
		ck_assert_ptr_nonnull(one_frame(sim, GFP_KERNEL, NUMA_NO_NODE));
		ck_assert_uint_eq(sim->nr_populated, 1);
	}
	for (u64 i = 0; i < 64; i++)
		ck_assert_ptr_nonnull(one_frame(sim, GFP_KERNEL, NUMA_NO_NODE));
	ck_assert_uint_eq(sim->nr_populated, 2);
	sim_destroy(sim);
}
END_TEST

START_TEST(a_shared_section_takes_struct_pages_from_the_higher_zone)
{
	struct sim_config config = {0};
	struct sim *sim;

	sim_add_ram(&config, 0, 32 * MIB, 0);
	sim = sim_create_frames(&config);
	ck_assert_ptr_nonnull(one_frame(sim, GFP_KERNEL | GFP_DMA, NUMA_NO_NODE));
	ck_assert_uint_eq(memmap_phys(sim, 0), 30 * MIB);
	ck_assert_uint_eq(zone_of(sim, 0, ZONE_DMA32)->free_pages, 14 * MIB >> 12);
	ck_assert_ptr_nonnull(one_frame(sim, GFP_KERNEL, NUMA_NO_NODE));
	ck_assert_uint_eq(sim->nr_populated, 1);
	assert_sound(sim);
	sim_destroy(sim);
}
END_TEST

START_TEST(struct_pages_go_to_the_highest_place_there_is)
{
	struct sim_config config = {0};
	struct sim *sim;

	/* The top 3 MiB leave an aligned place at 124 MiB only, of which frames are reserved. */
	sim_add_ram(&config, 0, 128 * MIB, 0);
	sim_add_reserved(&config, 125 * MIB, 4096, RESERVED_BOOT);
	sim_add_reserved(&config, 128 * MIB - 4096, 4096, RESERVED_BOOT);
	sim = sim_create_frames(&config);
	ck_assert_ptr_nonnull(one_frame(sim, GFP_KERNEL, NUMA_NO_NODE));
	ck_assert_uint_eq(memmap_phys(sim, 0), 122 * MIB);
	while (one_frame(sim, GFP_KERNEL | __GFP_HIGH, NUMA_NO_NODE))
		;
	assert_sound(sim);
	sim_destroy(sim);
}
END_TEST

START_TEST(nodes_may_share_a_section)
{
	struct sim_config config = {0};
	struct sim *sim;

	sim_add_ram(&config, 4 * GIB, 32 * MIB, 0);
	sim_add_ram(&config, 4 * GIB + 32 * MIB, 32 * MIB, 1);
	sim_add_ram(&config, 4 * GIB + 64 * MIB, 32 * MIB, 0);
	sim = sim_create_frames(&config);
	ck_assert_ptr_nonnull(one_frame(sim, GFP_KERNEL | __GFP_THISNODE, 1));
	ck_assert_uint_eq(memmap_phys(sim, 32), 4 * GIB + 94 * MIB);
	assert_sound(sim);
	while (one_frame(sim, GFP_KERNEL | __GFP_HIGH, 1))
		;
	ck_assert_uint_eq(sim->nr_populated, 1);
	ck_assert_uint_eq(nr_free_pages(&sim->mm), 0);
	assert_sound(sim);
	sim_destroy(sim);
}
END_TEST

START_TEST(a_section_too_small_for_its_struct_pages_is_not_used)
{
	struct sim_config config = {0};
	struct page *page;
	struct sim *sim;
	u64 got = 0;

	/* 4 MiB at 4 GiB, no aligned 2 MiB of which is free. */
	sim_add_ram(&config, 16 * MIB, 16 * MIB, 0);
	sim_add_ram(&config, 4 * GIB, 4 * MIB, 0);
	sim_add_reserved(&config, 4 * GIB + MIB, 4096, RESERVED_BOOT);
	sim_add_reserved(&config, 4 * GIB + 3 * MIB, 4096, RESERVED_BOOT);
	sim = sim_create_frames(&config);
	while ((page = one_frame(sim, GFP_KERNEL | __GFP_HIGH, NUMA_NO_NODE))) {
		ck_assert_uint_lt(page_to_phys(&sim->mm, page), 4 * GIB);
		got++;
	}
	ck_assert_uint_eq(got, (14 * MIB >> 12) - 2);
	ck_assert_uint_eq(sim->mm.section_online[32], 0);
	ck_assert_uint_eq(nr_free_pages(&sim->mm), 0);
	assert_sound(sim);
	sim_destroy(sim);
}
END_TEST

START_TEST(a_span_goes_on_after_a_section_that_is_too_small)
{
	struct sim_config config = {0};
	struct page *page;
	struct sim *sim;
	u64 got = 0;

	/* 1 MiB below 128 MiB, then a whole section. */
	sim_add_ram(&config, 124 * MIB, 132 * MIB, 0);
	sim_add_reserved(&config, 125 * MIB, 2 * MIB, RESERVED_BOOT);
	sim = sim_create_frames(&config);
	while ((page = one_frame(sim, GFP_KERNEL | __GFP_HIGH, NUMA_NO_NODE))) {
		ck_assert_uint_ge(page_to_phys(&sim->mm, page), 128 * MIB);
		got++;
	}
	ck_assert_uint_eq(got, 126 * MIB >> 12);
	ck_assert_uint_eq(sim->nr_populated, 1);
	ck_assert_uint_eq(nr_free_pages(&sim->mm), 0);
	assert_sound(sim);
	sim_destroy(sim);
}
END_TEST

START_TEST(eight_mib_are_a_machine)
{
	struct sim_config config = {0};
	struct sim *sim;
	u64 got = 0;

	sim_add_ram(&config, 0, 8 * MIB, 0);
	sim_add_reserved(&config, MIB, MIB, RESERVED_IMAGE);
	sim = sim_create_frames(&config);
	while (one_frame(sim, GFP_KERNEL | __GFP_HIGH, NUMA_NO_NODE))
		got++;
	ck_assert_uint_eq(got, (5 * MIB >> 12) - 2);
	assert_sound(sim);
	sim_destroy(sim);
}
END_TEST

START_TEST(a_machine_without_room_for_struct_pages_has_no_frames)
{
	struct sim_config config = {0};
	struct sim *sim;

	sim_add_ram(&config, 0, 4 * MIB, 0);
	sim_add_reserved(&config, 2 * MIB, 4096, RESERVED_IMAGE);
	sim = sim_create_frames(&config);
	ck_assert_ptr_null(one_frame(sim, GFP_KERNEL | __GFP_NOFAIL, NUMA_NO_NODE));
	ck_assert_uint_eq(nr_free_pages(&sim->mm), 0);
	assert_sound(sim);
	sim_destroy(sim);
}
END_TEST

START_TEST(a_section_that_could_not_start_is_tried_again)
{
	struct sim_config config = sim_default_config(1);
	struct sim *sim = sim_create_frames(&config);
	u64 before = nr_free_pages(&sim->mm);

	sim->populate_fail = 100;
	ck_assert_ptr_null(one_frame(sim, GFP_KERNEL, NUMA_NO_NODE));
	ck_assert_uint_eq(nr_free_pages(&sim->mm), before);
	assert_sound(sim);
	sim->populate_fail = 0;
	ck_assert_ptr_nonnull(one_frame(sim, GFP_KERNEL, NUMA_NO_NODE));
	assert_sound(sim);
	sim_destroy(sim);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("page_init");
	TCase *init = tcase_create("init"), *sections = tcase_create("sections");

	tcase_add_test(init, init_touches_no_frame);
	tcase_add_test(init, a_frame_of_a_terabyte_costs_a_few_pages);
	tcase_add_test(init, zones_end_at_16_mib_and_4_gib);
	tcase_add_test(init, reserved_ranges_cut_the_spans);
	tcase_add_test(init, adjacent_ranges_of_a_node_are_one_span);
	tcase_add_test(init, as_many_spans_as_fit_are_used);
	tcase_add_test(init, as_many_spans_may_be_given_up);
	tcase_add_test(init, a_zone_without_frames_has_no_spans);
	tcase_add_test(init, a_senseless_machine_is_refused);
	suite_add_tcase(suite, init);
	tcase_set_timeout(sections, 30);
	tcase_add_test(sections, struct_pages_lie_at_the_end_of_their_section);
	tcase_add_test(sections, a_section_starts_when_its_first_frame_is_needed);
	tcase_add_test(sections, a_shared_section_takes_struct_pages_from_the_higher_zone);
	tcase_add_test(sections, struct_pages_go_to_the_highest_place_there_is);
	tcase_add_test(sections, nodes_may_share_a_section);
	tcase_add_test(sections, a_section_too_small_for_its_struct_pages_is_not_used);
	tcase_add_test(sections, a_span_goes_on_after_a_section_that_is_too_small);
	tcase_add_test(sections, eight_mib_are_a_machine);
	tcase_add_test(sections, a_machine_without_room_for_struct_pages_has_no_frames);
	tcase_add_test(sections, a_section_that_could_not_start_is_tried_again);
	suite_add_tcase(suite, sections);
	return suite;
}

int main(void)
{
	return harness_run(suite());
}
