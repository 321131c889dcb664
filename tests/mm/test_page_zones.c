/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The choice of zone and node for a frame: flags, distance, watermarks and reserves.
 */
#include "tests/harness.h"
#include "mm/errno.h"
#include "tests/mm/sim.h"

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

/* Nodes 0, 1 and 3; each 64 MiB, node 0 from 0, the others above 4 GiB; one CPU. */
static void start_nodes(void)
{
	struct sim_config config = {0};

	sim_add_ram(&config, 0, 64 * MIB, 0);
	sim_add_ram(&config, 4 * GIB, 64 * MIB, 3);
	sim_add_ram(&config, 5 * GIB, 64 * MIB, 1);
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

START_TEST(zone_flags_bound_the_zone)
{
	struct page *page;
	u64 nr;

	for (u32 order = 0; order <= 4; order += 4) {
		ck_assert_uint_ge(page_to_phys(mm, take(GFP_KERNEL, order, 0)), 4 * GIB);
		page = take(GFP_KERNEL | GFP_DMA32, order, 0);
		ck_assert_uint_ge(page_to_phys(mm, page), 16 * MIB);
		ck_assert_uint_lt(page_to_phys(mm, page), 4 * GIB);
		page = take(GFP_KERNEL | GFP_DMA, order, 0);
		ck_assert_uint_lt(page_to_phys(mm, page), 16 * MIB);
		page = take(GFP_KERNEL | GFP_DMA | GFP_DMA32, order, 0);
		ck_assert_uint_lt(page_to_phys(mm, page), 16 * MIB);
	}
	nr = alloc_pages_bulk(mm, GFP_DMA32 | __GFP_HIGH | __GFP_NOWARN, 0, PAGE_OTHER, sim, MOST,
			      pages);
	for (u64 i = 0; i < nr; i++)
		ck_assert_uint_lt(page_to_phys(mm, pages[i]), 4 * GIB);
	ck_assert_uint_gt(nr, 50 * MIB / 4096);
}
END_TEST

START_TEST(nodes_are_tried_by_distance)
{
	static const int order_of[4][3] = {{0, 1, 3}, {1, 0, 3}, {1, 3, 0}, {3, 1, 0}};
	int seen[3], nr = 0;
	struct page *page;

	while ((page = take(GFP_KERNEL | __GFP_HIGH | __GFP_NOWARN, 3, _i))) {
		if (nr == 0 || seen[nr - 1] != page->node) {
			ck_assert_int_lt(nr, 3);
			seen[nr++] = page->node;
		}
	}
	ck_assert_int_eq(nr, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(seen[i], order_of[_i][i]);
}
END_TEST

START_TEST(thisnode_stays_there)
{
	struct page *page;
	u64 nr = 0;

	for (; (page = take(GFP_KERNEL | __GFP_THISNODE | __GFP_NOWARN, 0, 1)); nr++)
		ck_assert_uint_eq(page->node, 1);
	ck_assert_uint_gt(nr, 60 * MIB / 4096);
	ck_assert_uint_eq(alloc_pages_bulk(mm, GFP_KERNEL | __GFP_THISNODE | __GFP_NOWARN, 1,
					   PAGE_OTHER, sim, 5, pages),
			  0);
	ck_assert_ptr_null(take(GFP_KERNEL | __GFP_THISNODE | __GFP_NOWARN, 0, 2));
	ck_assert_uint_ne(take(GFP_KERNEL, 0, 1)->node, 1);
}
END_TEST

/* Of a node without RAM, its nearest; of one that is not there, nothing, and that is reported. */
START_TEST(a_node_that_is_not_there_has_no_frames)
{
	static const int none[] = {4, 7, 99, 1 << 30};

	for (u32 i = 0; i < ARRAY_SIZE(none); i++) {
		ck_assert_ptr_null(take(GFP_KERNEL, 0, none[i]));
		ck_assert_ptr_null(take(GFP_KERNEL | __GFP_NOFAIL, 2, none[i]));
		ck_assert_uint_eq(
			alloc_pages_bulk(mm, GFP_KERNEL, none[i], PAGE_OTHER, sim, 5, pages), 0);
		ck_assert_ptr_null(kmalloc_node(mm, 64, GFP_KERNEL, none[i]));
		ck_assert_uint_eq(sim->nr_warnings, 4 * (i + 1));
	}
	ck_assert_ptr_nonnull(strstr(sim->warning, "of a node that is not there"));
	ck_assert_uint_eq(take(GFP_KERNEL, 0, 2)->node, 1);
}
END_TEST

/*
 * Below 0 is the CPU's own node, by each way to a frame, and where that has no more, the next. CPUs
 * 0 to 3 of nodes 0, 1, 3 and 1.
 */
START_TEST(any_node_is_the_cpus_own)
{
	static const u8 own[] = {0, 1, 3, 1};
	struct sim_config config = {.nr_cpus = 4, .cpu_node = {0, 1, 3, 1}};
	u64 nr = 0;

	sim_destroy(sim);
	sim_add_ram(&config, 0, 64 * MIB, 0);
	sim_add_ram(&config, 4 * GIB, 64 * MIB, 3);
	sim_add_ram(&config, 5 * GIB, 64 * MIB, 1);
	sim = sim_create_frames(&config);
	mm = &sim->mm;
	for (u32 cpu = 0; cpu < 4; cpu++) {
		void *object;

		sim_set_cpu(cpu);
		for (int node = -7; node < 0; node++) {
			ck_assert_uint_eq(take(GFP_KERNEL, 0, node)->node, own[cpu]);
			ck_assert_uint_eq(take(GFP_KERNEL, 2, node)->node, own[cpu]);
			ck_assert_uint_eq(take(GFP_KERNEL | __GFP_ZERO, 0, node)->node, own[cpu]);
			ck_assert_uint_eq(take(GFP_KERNEL | __GFP_THISNODE, 0, node)->node,
					  own[cpu]);
			ck_assert_uint_eq(
				alloc_pages_bulk(mm, GFP_KERNEL, node, PAGE_OTHER, sim, 9, pages),
				9);
			for (u32 i = 0; i < 9; i++)
				ck_assert_uint_eq(pages[i]->node, own[cpu]);
			object = kmalloc_node(mm, 64, GFP_KERNEL, node);
			ck_assert_uint_eq(virt_to_page(mm, object)->node, own[cpu]);
			object = kmalloc_node(mm, 96, GFP_KERNEL | __GFP_THISNODE, node);
			ck_assert_uint_eq(virt_to_page(mm, object)->node, own[cpu]);
		}
	}
	/* The last CPU's is node 1: then its neighbours. */
	while (take(GFP_KERNEL | __GFP_THISNODE | __GFP_NOWARN, 0, -1))
		nr++;
	ck_assert_uint_gt(nr, 50 * MIB / 4096);
	ck_assert_uint_eq(take(GFP_KERNEL, 0, -1)->node, 0);
	sim_set_cpu(2);
	ck_assert_uint_eq(take(GFP_KERNEL, 0, -1)->node, 3);
	sim_set_cpu(0);
}
END_TEST

/* A slab with free objects of the CPU's own node goes before another's. */
START_TEST(objects_of_the_own_node_go_first)
{
	struct sim_config config = {.nr_cpus = 2, .cpu_node = {0, 1}};
	void *object[2];

	sim_destroy(sim);
	sim_add_ram(&config, 0, 64 * MIB, 0);
	sim_add_ram(&config, 4 * GIB, 64 * MIB, 1);
	sim = sim_create_frames(&config);
	mm = &sim->mm;
	for (int node = 0; node < 2; node++) {
		object[0] = kmalloc_node(mm, 256, GFP_KERNEL, node);
		object[1] = kmalloc_node(mm, 256, GFP_KERNEL, node);
		kfree(mm, object[1]);
		kmem_cache_shrink(mm, &mm->kmalloc[mm->kmalloc_index[16]]);
	}
	for (u32 cpu = 0; cpu < 2; cpu++) {
		sim_set_cpu(cpu);
		object[0] = kmalloc_node(mm, 256, GFP_KERNEL, NUMA_NO_NODE);
		ck_assert_uint_eq(virt_to_page(mm, object[0])->node, cpu);
	}
	sim_set_cpu(0);
}
END_TEST

/* A free object of another node goes before a new slab. */
START_TEST(objects_of_another_node_go_before_new_memory)
{
	struct sim_config config = {.nr_cpus = 1};
	void *object[2];

	sim_destroy(sim);
	for (u32 node = 0; node < 3; node++)
		sim_add_ram(&config, (u64)node << 32, 64 * MIB, node);
	sim = sim_create_frames(&config);
	mm = &sim->mm;
	for (int node = 1; node < 3; node++) {
		object[0] = kmalloc_node(mm, 256, GFP_KERNEL, node);
		object[1] = kmalloc_node(mm, 256, GFP_KERNEL, node);
		kfree(mm, object[1]);
		kmem_cache_shrink(mm, &mm->kmalloc[mm->kmalloc_index[16]]);
		if (node == 1)
			kfree(mm, object[0]);
		kmem_cache_shrink(mm, &mm->kmalloc[mm->kmalloc_index[16]]);
	}
	/* Node 0 has no slab, nor has node 1 any longer. */
	object[0] = kmalloc_node(mm, 256, GFP_KERNEL, NUMA_NO_NODE);
	ck_assert_uint_eq(virt_to_page(mm, object[0])->node, 2);
}
END_TEST

START_TEST(a_cpu_of_a_node_that_is_not_there_is_refused)
{
	struct sim_config config = {.nr_cpus = 2, .cpu_node = {0, 1}};
	struct sim *none = NULL;

	sim_add_ram(&config, 0, 64 * MIB, 0);
	ck_assert_int_eq(sim_try_create(&config, &none), -EINVAL);
	config.cpu_node[1] = 255;
	ck_assert_int_eq(sim_try_create(&config, &none), -EINVAL);
	config.cpu_node[1] = 0;
	config.cpu_node[2] = 7; /* beyond its CPUs */
	ck_assert_int_eq(sim_try_create(&config, &none), 0);
	sim_destroy(none);
}
END_TEST

START_TEST(watermark_is_kept_for_the_urgent)
{
	struct zone *normal = &mm->node[0].zone[ZONE_NORMAL];
	struct zone *dma = &mm->node[0].zone[ZONE_DMA];
	u64 kept;

	take_all(GFP_KERNEL, 0, 0, pages, MOST);
	ck_assert_uint_eq(normal->free_pages, normal->watermark_min);
	ck_assert_uint_gt(normal->watermark_min, 0);
	ck_assert_uint_eq(dma->free_pages, dma->watermark_min + dma->reserve[ZONE_NORMAL]);
	take_all(GFP_KERNEL | GFP_DMA32, 0, 0, pages, MOST);
	take_all(GFP_KERNEL | GFP_DMA, 0, 0, pages, MOST);
	ck_assert_uint_eq(dma->free_pages, dma->watermark_min);
	kept = nr_free_pages(mm);
	ck_assert_uint_eq(take_all(GFP_KERNEL | __GFP_HIGH, 0, 0, pages, MOST), kept);
}
END_TEST

START_TEST(a_request_that_could_go_higher_leaves_a_reserve)
{
	struct zone *dma = &mm->node[0].zone[ZONE_DMA];

	take_all(GFP_KERNEL, 0, 0, pages, MOST);
	ck_assert_uint_gt(dma->reserve[ZONE_NORMAL], dma->reserve[ZONE_DMA32]);
	ck_assert_uint_gt(dma->reserve[ZONE_DMA32], 0);
	ck_assert_uint_eq(take_all(GFP_KERNEL | GFP_DMA, 0, 0, pages, MOST),
			  dma->reserve[ZONE_NORMAL]);
}
END_TEST

START_TEST(nofail_fails_only_when_nothing_is_left)
{
	u64 got;

	take_all(GFP_KERNEL | GFP_DMA, 0, 0, pages, MOST);
	take_all(GFP_KERNEL, 0, 0, pages, MOST);
	got = nr_free_pages(mm);
	ck_assert_uint_gt(got, 0);
	ck_assert_uint_eq(take_all(GFP_KERNEL | __GFP_NOFAIL, 0, 0, pages, MOST), got);
	ck_assert_uint_eq(nr_free_pages(mm), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("page_zones");
	TCase *one = tcase_create("one node"), *nodes = tcase_create("nodes");

	tcase_add_checked_fixture(one, start_default, stop);
	tcase_add_checked_fixture(nodes, start_nodes, stop);
	tcase_add_test(one, zone_flags_bound_the_zone);
	tcase_add_test(one, watermark_is_kept_for_the_urgent);
	tcase_add_test(one, a_request_that_could_go_higher_leaves_a_reserve);
	tcase_add_test(one, nofail_fails_only_when_nothing_is_left);
	tcase_add_loop_test(nodes, nodes_are_tried_by_distance, 0, 4);
	tcase_add_test(nodes, thisnode_stays_there);
	tcase_add_test(nodes, a_node_that_is_not_there_has_no_frames);
	tcase_add_test(nodes, any_node_is_the_cpus_own);
	tcase_add_test(nodes, objects_of_the_own_node_go_first);
	tcase_add_test(nodes, objects_of_another_node_go_before_new_memory);
	tcase_add_test(nodes, a_cpu_of_a_node_that_is_not_there_is_refused);
	suite_add_tcase(suite, one);
	suite_add_tcase(suite, nodes);
	return suite;
}

int main(void)
{
	return harness_run(suite());
}
