/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What allocation flags promise (mm/gfp.h), held against every way to allocate: blocks, frames in
 * bulk, kmalloc() and vmalloc(). Zones and nodes for single blocks are in test_page_zones.c.
 */
#include "tests/harness.h"

#include <string.h>

#include "mm/errno.h"
#include "mm/vmalloc.h"
#include "tests/mm/sim.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

#define MOST 65536

static struct sim *sim;
static struct mm *mm;
static struct page *pages[MOST];

/* 64 MiB at 0 and at 4 GiB, one node. */
static void start_zones(void)
{
	struct sim_config config = sim_default_config(1);

	sim = sim_create(&config);
	mm = &sim->mm;
}

/* Nodes 0 and 1; each 64 MiB, node 0 from 0. */
static void start_nodes(void)
{
	struct sim_config config = {.nr_cpus = 1};

	sim_add_ram(&config, 0, 64 * MIB, 0);
	sim_add_ram(&config, 4 * GIB, 64 * MIB, 1);
	sim = sim_create(&config);
	mm = &sim->mm;
}

static void stop(void)
{
	const char *wrong = page_alloc_check(mm);

	ck_assert_msg(!wrong, "%s", wrong);
	sim_destroy(sim);
}

static struct page *take(gfp_t gfp, u32 order)
{
	return alloc_pages(mm, gfp, order, NUMA_NO_NODE, PAGE_OTHER, sim);
}

static u64 take_bulk(gfp_t gfp, int node)
{
	return alloc_pages_bulk(mm, gfp | __GFP_NOWARN, node, PAGE_OTHER, sim, MOST, pages);
}

static struct vmalloc_request request_of(u64 pages_wanted, gfp_t gfp, int node)
{
	return (struct vmalloc_request){.size = pages_wanted * PAGE_SIZE,
					.align = 1,
					.start = VMALLOC_START,
					.end = VMALLOC_END,
					.prot = PAGE_KERNEL,
					.gfp = gfp,
					.node = node};
}

static int vmalloc_gfp(u64 pages_wanted, gfp_t gfp, int node, u64 *addr_out)
{
	const struct vmalloc_request request = request_of(pages_wanted, gfp, node);

	return vmalloc_node_range(mm, &request, addr_out);
}

/* ---- how hard to try ---- */

/* No block is left, but what the CPU's own list holds would make one. */
START_TEST(noretry_leaves_the_cpus_lists_alone)
{
	struct zone *normal = &mm->node[0].zone[ZONE_NORMAL];
	struct page *block;
	u32 count;

	while ((block = take(GFP_KERNEL | __GFP_HIGH | __GFP_NOWARN, 0)))
		pages[page_to_pfn(mm, block) % 2] = block;
	block = page_to_pfn(mm, pages[0]) < page_to_pfn(mm, pages[1]) ? pages[0] : pages[1];
	block = pfn_to_page(mm, page_to_pfn(mm, block) & ~1ull);
	free_pages(mm, block, 0);
	free_pages(mm, block + 1, 0);
	count = normal->pcp[0].count + mm->node[0].zone[ZONE_DMA].pcp[0].count +
		mm->node[0].zone[ZONE_DMA32].pcp[0].count;
	ck_assert_uint_eq(count, 2);
	ck_assert_ptr_null(take(GFP_KERNEL | __GFP_HIGH | __GFP_NORETRY | __GFP_NOWARN, 1));
	ck_assert_uint_eq(normal->pcp[0].count + mm->node[0].zone[ZONE_DMA].pcp[0].count +
				  mm->node[0].zone[ZONE_DMA32].pcp[0].count,
			  2);
	ck_assert_ptr_eq(take(GFP_KERNEL | __GFP_HIGH, 1), block);
}
END_TEST

START_TEST(nofail_is_not_failed_on_demand)
{
	u64 addr;

	for (u32 kind = FAULT_FRAME; kind <= FAULT_SLAB; kind++)
		mm->fault.fail[kind] = 1;
	ck_assert_ptr_nonnull(take(GFP_KERNEL | __GFP_NOFAIL, 0));
	ck_assert_ptr_nonnull(take(GFP_KERNEL | __GFP_NOFAIL, 3));
	ck_assert_uint_eq(
		alloc_pages_bulk(mm, GFP_KERNEL | __GFP_NOFAIL, 0, PAGE_OTHER, sim, 9, pages), 9);
	ck_assert_ptr_nonnull(kmalloc_node(mm, 100, GFP_KERNEL | __GFP_NOFAIL, 0));
	ck_assert_ptr_nonnull(kmalloc_node(mm, 9000, GFP_KERNEL | __GFP_NOFAIL, 0));
	ck_assert_uint_eq(mm->fault.fail[FAULT_FRAME], 1);
	ck_assert_uint_eq(mm->fault.fail[FAULT_SLAB], 1);
	mm->fault.fail[FAULT_SLAB] = 0;
	/* Frames and bookkeeping; the tables of this first area are not asked for that way. */
	mm->fault.fail[FAULT_FRAME] = 0;
	ck_assert_int_eq(vmalloc_gfp(1, GFP_KERNEL, 0, &addr), 0);
	mm->fault.fail[FAULT_FRAME] = mm->fault.fail[FAULT_SLAB] = 1;
	ck_assert_int_eq(vmalloc_gfp(3, GFP_KERNEL | __GFP_NOFAIL, 0, &addr), 0);
	ck_assert_int_eq(vmalloc_gfp(3, GFP_KERNEL, 0, &addr), -ENOMEM);
}
END_TEST

START_TEST(nofail_takes_the_last_frame_and_then_says_so)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_NOFAIL | __GFP_NOWARN;
	u64 left;

	take_bulk(GFP_KERNEL, 0);
	left = nr_free_pages(mm);
	ck_assert_uint_gt(left, 0);
	ck_assert_ptr_null(take(GFP_KERNEL | __GFP_NOWARN, 0));
	ck_assert_uint_eq(sim->nr_warnings, 0);
	ck_assert_uint_eq(take_bulk(gfp, 0), left);
	ck_assert_uint_eq(sim->nr_warnings, 1);
	ck_assert_ptr_null(take(gfp, 0));
	ck_assert_uint_eq(sim->nr_warnings, 2);
	ck_assert_ptr_nonnull(strstr(sim->warning, "__GFP_NOFAIL"));
	ck_assert_uint_eq(nr_free_pages(mm), 0);
}
END_TEST

/* ---- what is said ---- */

static void alloc_block(gfp_t gfp)
{
	ck_assert_ptr_null(take(gfp, MAX_ORDER));
}

static void alloc_single(gfp_t gfp)
{
	ck_assert_ptr_null(take(gfp, 0));
}

static void alloc_bulk(gfp_t gfp)
{
	ck_assert_uint_eq(alloc_pages_bulk(mm, gfp, 0, PAGE_OTHER, sim, 5, pages), 0);
}

static void alloc_kmalloc(gfp_t gfp)
{
	ck_assert_ptr_null(kmalloc_node(mm, 100000, gfp, 0));
}

static void alloc_vmalloc(gfp_t gfp)
{
	u64 addr;

	ck_assert_int_eq(vmalloc_gfp(2, gfp, 0, &addr), -ENOMEM);
}

static void (*const allocations[])(gfp_t) = {alloc_block, alloc_single, alloc_bulk, alloc_kmalloc,
					     alloc_vmalloc};

START_TEST(nowarn_is_silent_and_its_absence_is_not)
{
	u64 lines;

	take_bulk(GFP_KERNEL, 0);
	lines = sim->nr_logs;
	allocations[_i](GFP_KERNEL | __GFP_NOWARN);
	allocations[_i](GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY);
	ck_assert_uint_eq(sim->nr_logs, lines);
	allocations[_i](GFP_KERNEL);
	ck_assert_uint_gt(sim->nr_logs, lines);
	ck_assert_uint_eq(sim->nr_warnings, 0);
}
END_TEST

/* ---- from where ---- */

START_TEST(blocks_and_bulk_keep_the_watermark)
{
	struct zone *normal = &mm->node[0].zone[ZONE_NORMAL];
	u64 nr = 0, left;

	while (take(GFP_KERNEL | __GFP_NOWARN, 3))
		nr++;
	ck_assert_uint_gt(nr, 0);
	ck_assert_uint_ge(normal->free_pages, normal->watermark_min);
	ck_assert_uint_lt(normal->free_pages, normal->watermark_min + 8);
	take_bulk(GFP_KERNEL, 0);
	ck_assert_uint_eq(normal->free_pages, normal->watermark_min);
	left = nr_free_pages(mm);
	ck_assert_uint_eq(take_bulk(GFP_KERNEL, 0), 0);
	ck_assert_uint_eq(take_bulk(GFP_KERNEL | __GFP_MEMALLOC, 0), left);
}
END_TEST

START_TEST(a_zone_binds_bulk_kmalloc_and_vmalloc)
{
	static const struct {
		gfp_t gfp;
		u64 end;
	} zones[] = {{GFP_DMA, 16 * MIB}, {GFP_DMA32, 4 * GIB}};
	const gfp_t gfp = GFP_KERNEL | zones[_i].gfp;
	const u64 end = zones[_i].end;
	u64 addr, nr;
	void *object;

	for (u64 size = 64; size <= 65536; size *= 32) {
		object = kmalloc_node(mm, size, gfp, 0);
		ck_assert_ptr_nonnull(object);
		ck_assert_uint_lt(virt_to_phys(mm, object), end);
	}
	ck_assert_int_eq(vmalloc_gfp(20, gfp, 0, &addr), 0);
	for (u64 i = 0; i < 20; i++)
		ck_assert_uint_lt(page_to_phys(mm, vmalloc_to_page(mm, addr + i * PAGE_SIZE)), end);
	nr = take_bulk(gfp | __GFP_HIGH, 0);
	ck_assert_uint_gt(nr, 1000);
	for (u64 i = 0; i < nr; i++)
		ck_assert_uint_lt(page_to_phys(mm, pages[i]), end);
	/* There is memory yet, but not there. */
	ck_assert_uint_gt(nr_free_pages(mm), 10000);
	ck_assert_int_eq(vmalloc_gfp(1, gfp | __GFP_NOWARN, 0, &addr), -ENOMEM);
	ck_assert_ptr_null(kmalloc_node(mm, 64, gfp | __GFP_NOWARN, 0));
}
END_TEST

START_TEST(thisnode_binds_every_way_to_allocate)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_THISNODE | __GFP_NOWARN;
	void *object = kmalloc_node(mm, 100, gfp, 1);
	u64 addr, nr;

	ck_assert_ptr_nonnull(object);
	ck_assert_uint_eq(virt_to_page(mm, object)->node, 1);
	ck_assert_int_eq(vmalloc_gfp(20, gfp, 1, &addr), 0);
	for (u64 i = 0; i < 20; i++)
		ck_assert_uint_eq(vmalloc_to_page(mm, addr + i * PAGE_SIZE)->node, 1);
	nr = take_bulk(gfp, 1);
	ck_assert_uint_gt(nr, 10000);
	for (u64 i = 0; i < nr; i++)
		ck_assert_uint_eq(pages[i]->node, 1);
	ck_assert_int_eq(vmalloc_gfp(20, gfp, 1, &addr), -ENOMEM);
	ck_assert_ptr_null(kmalloc_node(mm, 100000, gfp, 1));
	ck_assert_ptr_null(alloc_pages(mm, gfp, 4, 1, PAGE_OTHER, sim));
	/* Who only prefers the node goes on elsewhere. */
	ck_assert_int_eq(vmalloc_gfp(20, GFP_KERNEL, 1, &addr), 0);
	ck_assert_uint_eq(vmalloc_to_page(mm, addr)->node, 0);
}
END_TEST

START_TEST(zero_is_zero_where_something_was)
{
	static const u64 bytes[] = {16, 100, 2048, 5000, 40000};
	char *object;

	for (u32 i = 0; i < ARRAY_SIZE(bytes); i++) {
		for (u32 round = 0; round < 2; round++) {
			object = kmalloc_node(mm, bytes[i], GFP_KERNEL | __GFP_ZERO, 0);
			ck_assert_ptr_nonnull(object);
			for (u64 at = 0; at < bytes[i]; at++)
				ck_assert_int_eq(object[at], 0);
			memset(object, 0xaa, bytes[i]);
			kfree(mm, object);
		}
	}
	for (u32 round = 0; round < 2; round++) {
		ck_assert_uint_eq(alloc_pages_bulk(mm, GFP_KERNEL | __GFP_ZERO, 0, PAGE_OTHER, sim,
						   40, pages),
				  40);
		for (u32 i = 0; i < 40; i++) {
			u64 *words = page_address(mm, pages[i]);

			for (u32 at = 0; at < PAGE_SIZE / 8; at++)
				ck_assert_uint_eq(words[at], 0);
			memset(words, 0x55, PAGE_SIZE);
		}
		free_pages_bulk(mm, 40, pages);
	}
}
END_TEST

static u64 zeroed_pfn, zeroed_nr;

static void zero_faster(void *arch, u64 pfn, u64 nr)
{
	zeroed_pfn = pfn;
	zeroed_nr = nr;
	memset(phys_to_virt(mm, pfn << PAGE_SHIFT), 0, nr << PAGE_SHIFT);
}

/* The machine's own way is asked for exactly what was allocated, but never for a table. */
START_TEST(a_machine_zeroes_its_own_way)
{
	static const gfp_t gfp = GFP_KERNEL | __GFP_ZERO;
	struct arch_ops ops = *mm->ops;
	struct page *page;

	ops.zero_frames = zero_faster;
	mm->ops = &ops;
	for (u32 order = 0; order < 6; order++) {
		page = alloc_pages(mm, GFP_KERNEL, order, 0, PAGE_OTHER, sim);
		memset(page_address(mm, page), 0x55, PAGE_SIZE << order);
		free_pages(mm, page, order);
		zeroed_nr = 0;
		page = alloc_pages(mm, gfp, order, 0, PAGE_OTHER, sim);
		ck_assert_uint_eq(zeroed_pfn, page_to_pfn(mm, page));
		ck_assert_uint_eq(zeroed_nr, 1ull << order);
	}
	zeroed_nr = 0;
	page = alloc_pages(mm, gfp, 0, 0, PAGE_TABLE, sim);
	for (u32 at = 0; at < PAGE_SIZE; at++)
		ck_assert_int_eq(((char *)page_address(mm, page))[at], 0);
	take(GFP_KERNEL, 3);
	/* Nor for a slab: an object is zeroed by itself. */
	for (u32 i = 0; i < 100; i++)
		ck_assert_ptr_nonnull(kmalloc_node(mm, 1000, gfp, 0));
	ck_assert_uint_eq(zeroed_nr, 0);
}
END_TEST

/* Nor is a block that is freed as if it were a frame changed by that. */
START_TEST(a_bad_free_changes_nothing)
{
	struct page *block = take(GFP_KERNEL, 3), *page = take(GFP_KERNEL, 0);
	struct page copy = *block;

	free_pages(mm, block, 0);
	ck_assert_int_eq(memcmp(block, &copy, sizeof(copy)), 0);
	free_pages(mm, block, 2);
	free_pages_bulk(mm, 1, &block);
	ck_assert_int_eq(memcmp(block, &copy, sizeof(copy)), 0);
	copy = *page;
	free_pages(mm, page, 1);
	free_pages(mm, page, MAX_ORDER + 1);
	ck_assert_int_eq(memcmp(page, &copy, sizeof(copy)), 0);
	ck_assert_uint_eq(sim->nr_warnings, 5);
	ck_assert(sim_logged(sim, "order 0: state 9, order 3, refcount 1"));
	free_pages(mm, block, 3);
	free_pages(mm, page, 0);
	ck_assert_uint_eq(sim->nr_warnings, 5);
}
END_TEST

static Suite *gfp_suite(void)
{
	Suite *suite = suite_create("gfp");
	TCase *zones = tcase_create("zones"), *nodes = tcase_create("nodes");

	tcase_add_checked_fixture(zones, start_zones, stop);
	tcase_add_checked_fixture(nodes, start_nodes, stop);
	tcase_add_test(zones, noretry_leaves_the_cpus_lists_alone);
	tcase_add_test(zones, nofail_is_not_failed_on_demand);
	tcase_add_test(zones, nofail_takes_the_last_frame_and_then_says_so);
	tcase_add_loop_test(zones, nowarn_is_silent_and_its_absence_is_not, 0,
			    (int)ARRAY_SIZE(allocations));
	tcase_add_test(zones, blocks_and_bulk_keep_the_watermark);
	tcase_add_loop_test(zones, a_zone_binds_bulk_kmalloc_and_vmalloc, 0, 2);
	tcase_add_test(zones, zero_is_zero_where_something_was);
	tcase_add_test(zones, a_machine_zeroes_its_own_way);
	tcase_add_test(zones, a_bad_free_changes_nothing);
	tcase_add_test(nodes, thisnode_binds_every_way_to_allocate);
	suite_add_tcase(suite, zones);
	suite_add_tcase(suite, nodes);
	return suite;
}

int main(void)
{
	return harness_run(gfp_suite());
}
