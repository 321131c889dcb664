/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things end: memory that is not for everybody, what lies beyond the last node and CPU, the
 * largest request that can be met, the first number of a list.
 */
#include "tests/mm/process_fixture.h"

#include "mm/buddy.h"
#include "mm/slab.h"
#include "mm/vmap.h"

/* ---- the watermark ---- */

static struct vm_area_struct *vma;
static u64 user;

static int call_get_vm_area(u64 *addr_out)
{
	return get_vm_area(mm, PAGE_SIZE, VM_MAP, addr_out);
}

static int call_vmap(u64 *addr_out)
{
	return vmap(mm, pages, 1, VM_MAP, PAGE_KERNEL, addr_out);
}

static int call_vmalloc_node(u64 *addr_out)
{
	return vmalloc_node(mm, PAGE_SIZE, 0, addr_out);
}

static int call_process_create(u64 *addr_out)
{
	struct process *created;

	*addr_out = 0;
	return process_create(mm, &created);
}

static int call_vma_create(u64 *addr_out)
{
	struct vm_area_struct *created;

	*addr_out = 0;
	return vma_create(mm, process, BASE, BASE + PAGE_SIZE, VM_READ, &created);
}

static int call_insert(u64 *addr_out)
{
	*addr_out = 0;
	return vm_insert_page(mm, vma, vma->vm_start, pages[0]);
}

static int call_remap(u64 *addr_out)
{
	*addr_out = 0;
	return remap_vmalloc_range(mm, vma, user, 0);
}

#define SIZED(name)                              \
	static int call_##name(u64 *out)         \
	{                                        \
		return name(mm, PAGE_SIZE, out); \
	}
SIZED(vmalloc)
SIZED(vmalloc_exec)
SIZED(vmalloc_user)
SIZED(vmalloc_32)
SIZED(vmalloc_32_user)
SIZED(alloc_vm_area)

static const struct {
	int (*call)(u64 *addr_out);
	bool needs_frames; /* more than objects */
} calls[] = {
	{call_get_vm_area, false},   {call_vma_create, false},   {call_vmap, true},
	{call_vmalloc_node, true},   {call_vmalloc, true},       {call_vmalloc_exec, true},
	{call_vmalloc_user, true},   {call_vmalloc_32, true},    {call_vmalloc_32_user, true},
	{call_process_create, true}, {call_alloc_vm_area, true}, {call_insert, true},
	{call_remap, true},
};

/* All frames above the watermark, and with @objects all objects that there are. */
static void use_up(bool objects)
{
	static const gfp_t zones[] = {0, GFP_DMA32, GFP_DMA};

	for (u32 i = 0; i < ARRAY_SIZE(zones); i++) {
		while (alloc_pages(mm, GFP_KERNEL | __GFP_NOWARN | zones[i], 0, NUMA_NO_NODE,
				   PAGE_OTHER, sim))
			;
	}
	for (u32 i = 0; objects && i < NR_KMALLOC_CACHES; i++) {
		while (kmem_cache_alloc(mm, &mm->kmalloc[i], GFP_KERNEL | __GFP_NOWARN, -1))
			;
	}
	while (objects && kmem_cache_alloc(mm, &mm->vmap.cache, GFP_KERNEL | __GFP_NOWARN, -1))
		;
}

/* Objects first, then, when there are some, frames and tables: none of them below the watermark. */
START_TEST(what_is_below_the_watermark_is_not_for_the_seeds_calls)
{
	u64 addr, left;

	vma = must_vma(BASE + (1ull << 40), 1, VM_READ);
	user = must_user(1);
	take_pages(1);
	for (u32 objects = 0; objects < 2; objects++) {
		use_up(objects);
		left = nr_free_pages(mm);
		ck_assert_uint_gt(left, 100);
		for (u32 i = 0; i < ARRAY_SIZE(calls); i++) {
			/* The first area's tables are there. */
			if (!objects && (!calls[i].needs_frames || calls[i].call == call_vmap ||
					 calls[i].call == call_alloc_vm_area))
				continue;
			ck_assert_msg(calls[i].call(&addr) == -ENOMEM, "call %u", i);
			ck_assert_uint_eq(nr_free_pages(mm), left);
		}
	}
	ck_assert_ptr_null(page_alloc_check(mm));
}
END_TEST

/* ---- beyond the last ---- */

/* What is in the places of nodes and CPUs that are not there is nobody's business. */
START_TEST(nodes_and_cpus_that_are_not_there_are_left_alone)
{
	struct node *node = &mm->node[0], *absent = &mm->node[1];
	u64 left = nr_free_pages(mm), addr;
	struct page *page;

	memset(absent, 0xff, sizeof(*absent));
	for (u32 id = 0; id < NR_ZONES; id++)
		memset(&node->zone[id].pcp[1], 0xff, sizeof(node->zone[id].pcp[1]));
	for (u32 i = 0; i < NR_KMALLOC_CACHES; i++) {
		mm->kmalloc[i].node[1].partial.next = NULL;
		memset(&mm->kmalloc[i].cpu[1], 0xff, sizeof(mm->kmalloc[i].cpu[1]));
	}
	ck_assert_uint_eq(nr_free_pages(mm), left);
	addr = must_vmalloc(5 * PAGE_SIZE);
	ck_assert_int_eq(vfree(mm, addr), 0);
	drain_local_pages(mm);
	kmem_cache_shrink(mm, &mm->kmalloc[0]);
	ck_assert_uint_le(nr_free_pages(mm), left);
	while ((page = alloc_pages(mm, GFP_KERNEL | __GFP_NOWARN, 0, -1, PAGE_OTHER, sim)))
		ck_assert_uint_eq(page->node, 0);
	ck_assert_ptr_null(kmalloc_node(mm, 2048, GFP_KERNEL | __GFP_NOWARN, -1));
	ck_assert_ptr_null(page_alloc_check(mm));
}
END_TEST

/* The checker of frames looks at zones, and not at what lies behind the last of them. */
START_TEST(the_checker_of_frames_ends_at_the_last_zone)
{
	memset(mm->node[0].fallback, 0xff, sizeof(mm->node[0].fallback));
	ck_assert_ptr_null(page_alloc_check(mm));
}
END_TEST

/* ---- the largest, the first ---- */

/* Every frame of the machine once, in one range: one frame, shown as often. */
START_TEST(a_range_as_large_as_the_machine_is_shown)
{
	struct sim_config config = {.nr_cpus = 1};
	static struct page *same[4096];
	u64 nr, addr;

	teardown();
	sim_add_ram(&config, 16ull << 20, 8ull << 20, 0);
	sim = sim_create(&config);
	mm = &sim->mm;
	process = must_process();
	nr = mm->total_pages;
	ck_assert_uint_le(nr, ARRAY_SIZE(same));
	take_pages(1);
	for (u64 i = 0; i < nr; i++)
		same[i] = pages[0];
	ck_assert_int_eq(vmap(mm, same, nr, VM_USERMAP, PAGE_KERNEL, &addr), 0);
	vma = must_vma(BASE, nr, VM_READ);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0), 0);
	ck_assert_uint_eq(pages[0]->refcount, 1 + nr);
	vma_destroy(mm, vma);
	ck_assert_uint_eq(pages[0]->refcount, 1);
	vma = must_vma(BASE, nr + 1, VM_READ);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0), -EINVAL);
}
END_TEST

/* The references taken before a frame that has none to give are given back, each its own. */
START_TEST(a_range_that_ends_in_a_frame_of_others_takes_no_reference)
{
	u64 addr;

	take_pages(5);
	pages[5] = alloc_pages(mm, GFP_KERNEL, 1, 0, PAGE_OTHER, sim);
	ck_assert_int_eq(vmap(mm, pages, 6, VM_USERMAP, PAGE_KERNEL, &addr), 0);
	vma = must_vma(BASE, 6, VM_READ);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0), -EINVAL);
	for (u32 i = 0; i < 6; i++)
		ck_assert_uint_eq(pages[i]->refcount, 1);
	ck_assert_uint_eq(sim->nr_warnings, 0);
}
END_TEST

START_TEST(processes_are_numbered_from_one_and_their_root_says_its_level)
{
	struct page *root;

	for (u32 id = 1; id < 5; id++) {
		ck_assert_uint_eq(process->id, id);
		root = pfn_to_page(mm, process->pt.root_phys >> PAGE_SHIFT);
		ck_assert_uint_eq(root->index, 4);
		ck_assert_uint_eq(root->state, PAGE_TABLE);
		ck_assert_ptr_eq(root->owner, &process->pt);
		ck_assert_uint_eq(process->pt.nr_tables, 1);
		process = must_process();
	}
}
END_TEST

/* No more frames than the size asks for. */
START_TEST(large_objects_take_the_smallest_block_that_holds_them)
{
	for (u32 order = 0; order <= MAX_ORDER; order++) {
		u64 size = PAGE_SIZE << order;
		struct page *page = virt_to_page(mm, kmalloc_node(mm, size, GFP_KERNEL, 0));

		ck_assert_uint_eq(page->order, order);
		if (order) {
			page = virt_to_page(mm, kmalloc_node(mm, size / 2 + 1, GFP_KERNEL, 0));
			ck_assert_uint_eq(page->order, order);
		}
	}
	ck_assert_ptr_null(kmalloc_node(mm, KMALLOC_MAX_BYTES + 1, GFP_KERNEL, 0));
}
END_TEST

/* On one CPU as well as on several: its object is in a cache yet. */
START_TEST(the_object_freed_last_is_the_next)
{
	void *object[3];

	for (u32 i = 0; i < ARRAY_SIZE(object); i++)
		object[i] = kmalloc_node(mm, 64, GFP_KERNEL, NUMA_NO_NODE);
	for (u32 i = 0; i < ARRAY_SIZE(object); i++)
		kfree(mm, object[i]);
	for (u32 i = ARRAY_SIZE(object); i--;)
		ck_assert_ptr_eq(kmalloc_node(mm, 64, GFP_KERNEL, NUMA_NO_NODE), object[i]);
}
END_TEST

/* What is counted is what the machine was asked for: each eager free, and each purge. */
START_TEST(flushes_are_counted)
{
	u64 before = sim->nr_flushes, addr[4];

	ck_assert_uint_eq(mm->vmap.nr_flushes, 0);
	for (u32 i = 0; i < ARRAY_SIZE(addr); i++)
		addr[i] = must_vmalloc(PAGE_SIZE);
	ck_assert_int_eq(vfree(mm, addr[0]), 0);
	ck_assert_int_eq(vfree(mm, addr[1]), 0);
	ck_assert_uint_eq(vmap_purge(mm), 2);
	ck_assert_uint_eq(mm->vmap.nr_flushes, 1);
	ck_assert_uint_eq(mm->vmap.nr_purges, 1);
	vmap_set_mode(mm, VMAP_EAGER);
	ck_assert_int_eq(vfree(mm, addr[2]), 0);
	ck_assert_int_eq(vfree(mm, addr[3]), 0);
	ck_assert_uint_eq(vmap_purge(mm), 0);
	ck_assert_uint_eq(mm->vmap.nr_flushes, 3);
	ck_assert_uint_eq(mm->vmap.nr_purges, 1);
	ck_assert_uint_eq(sim->nr_flushes, before + 3);
}
END_TEST

/* ---- references ---- */

#define TAKERS 2u
#define TAKES  300000u

static void *take_references(void *unused)
{
	u32 taken = 0;

	for (u32 i = 0; i < TAKES; i++)
		taken += page_get(pages[0]);
	ck_assert_uint_eq(taken, TAKES);
	return unused;
}

/* Each of those who were told that they have a reference has one. */
START_TEST(no_reference_is_lost_between_cpus)
{
	pthread_t thread[TAKERS];

	take_pages(1);
	for (u32 i = 0; i < TAKERS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, take_references, NULL), 0);
	for (u32 i = 0; i < TAKERS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(pages[0]->refcount, 1 + TAKERS * TAKES);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tcase = tcase_create("limits");

	tcase_add_checked_fixture(tcase, setup_process, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, what_is_below_the_watermark_is_not_for_the_seeds_calls);
	tcase_add_test(tcase, nodes_and_cpus_that_are_not_there_are_left_alone);
	tcase_add_test(tcase, the_checker_of_frames_ends_at_the_last_zone);
	tcase_add_test(tcase, a_range_as_large_as_the_machine_is_shown);
	tcase_add_test(tcase, a_range_that_ends_in_a_frame_of_others_takes_no_reference);
	tcase_add_test(tcase, processes_are_numbered_from_one_and_their_root_says_its_level);
	tcase_add_test(tcase, large_objects_take_the_smallest_block_that_holds_them);
	tcase_add_test(tcase, the_object_freed_last_is_the_next);
	tcase_add_test(tcase, flushes_are_counted);
	tcase_add_test(tcase, no_reference_is_lost_between_cpus);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
