/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Object caches and kmalloc(): what each call promises, planted faults for the checker, and a long
 * random run against a model.
 */
#include "tests/harness.h"
#include "tests/mm/sim.h"

#include <string.h>

#define MIB  (1ull << 20)
#define GIB  (1ull << 30)
#define MOST 20000

static struct sim *sim;
static struct mm *mm;
static struct kmem_cache cache;
static void *objects[MOST];

static void start(void)
{
	struct sim_config config = {.nr_cpus = 2};

	sim_add_ram(&config, 0, 64 * MIB, 0);
	sim_add_ram(&config, 4 * GIB, 64 * MIB, 0);
	sim_add_ram(&config, 8 * GIB, 64 * MIB, 1);
	sim = sim_create_frames(&config);
	mm = &sim->mm;
	memset(&cache, 0, sizeof(cache));
	kmem_cache_init(&cache, "test", 96);
}

static void assert_sound(void)
{
	const char *wrong = kmem_cache_check(mm, &cache);

	for (u32 i = 0; i < NR_KMALLOC_CACHES && !wrong; i++)
		wrong = kmem_cache_check(mm, &mm->kmalloc[i]);
	if (!wrong)
		wrong = page_alloc_check(mm);
	ck_assert_msg(!wrong, "%s", wrong);
}

static void stop(void)
{
	assert_sound();
	sim_destroy(sim);
}

static void *take(gfp_t gfp, int node)
{
	return kmem_cache_alloc(mm, &cache, gfp, node);
}

static void give(void *object)
{
	kmem_cache_free(mm, &cache, object);
}

/* ---- caches ---- */

START_TEST(objects_are_disjoint_and_in_one_frame)
{
	for (u32 bytes = 8; bytes <= 2048; bytes += 8) {
		u32 per_slab = 4096 / bytes;
		struct page *slab;

		memset(&cache, 0, sizeof(cache));
		kmem_cache_init(&cache, "sizes", bytes);
		for (u32 i = 0; i < per_slab; i++) {
			objects[i] = take(GFP_KERNEL, NUMA_NO_NODE);
			memset(objects[i], (int)i, bytes);
		}
		slab = virt_to_page(mm, objects[0]);
		for (u32 i = 0; i < per_slab; i++) {
			ck_assert_ptr_eq(virt_to_page(mm, objects[i]), slab);
			ck_assert_uint_eq((uintptr_t)objects[i] % 4096 % bytes, 0);
			for (u32 byte = 0; byte < bytes; byte++) {
				if (((u8 *)objects[i])[byte] != (u8)i)
					ck_abort_msg("%u bytes: object %u is overwritten", bytes,
						     i);
			}
		}
		objects[per_slab] = take(GFP_KERNEL, NUMA_NO_NODE);
		ck_assert_ptr_ne(virt_to_page(mm, objects[per_slab]), slab);
		assert_sound();
		for (u32 i = 0; i <= per_slab; i++)
			give(objects[i]);
		kmem_cache_shrink(mm, &cache);
		ck_assert_uint_eq(cache.node[0].nr_slabs, 0);
	}
}
END_TEST

START_TEST(every_offset_but_an_objects_is_refused)
{
	static const u32 sizes[] = {8, 24, 56, 64, 72, 96, 192, 1344, 1360, 2040, 2048};
	u32 bytes = sizes[_i];
	u8 *object;

	memset(&cache, 0, sizeof(cache));
	kmem_cache_init(&cache, "offsets", bytes);
	object = take(GFP_KERNEL, NUMA_NO_NODE);
	for (u32 offset = 1; offset < 4096; offset++) {
		u64 before = sim->nr_warnings;

		if (offset % bytes == 0 && offset + bytes <= 4096)
			continue;
		/* From its own CPU, and from another. */
		give(object + offset);
		sim_set_cpu(1);
		give(object + offset);
		sim_set_cpu(0);
		ck_assert_uint_eq(sim->nr_warnings, before + 2);
	}
	ck_assert_ptr_null(kmem_cache_check(mm, &cache));
	give(object);
	ck_assert_uint_eq(cache.node[0].nr_slabs, 1);
}
END_TEST

START_TEST(zero_flag_zeroes_the_object)
{
	static const u8 zero[96];
	u8 *object = take(GFP_KERNEL, NUMA_NO_NODE), *after = take(GFP_KERNEL, NUMA_NO_NODE);

	memset(object, 0xff, 96);
	memset(after, 0xff, 96);
	give(object);
	ck_assert_ptr_eq(take(GFP_KERNEL | __GFP_ZERO, NUMA_NO_NODE), object);
	ck_assert_mem_eq(object, zero, 96);
	ck_assert_uint_eq(after[0], 0xff);
}
END_TEST

START_TEST(the_last_freed_comes_first)
{
	void *first = take(GFP_KERNEL, NUMA_NO_NODE), *second = take(GFP_KERNEL, NUMA_NO_NODE);

	give(first);
	give(second);
	ck_assert_ptr_eq(take(GFP_KERNEL, NUMA_NO_NODE), second);
	ck_assert_ptr_eq(take(GFP_KERNEL, NUMA_NO_NODE), first);
}
END_TEST

START_TEST(one_empty_slab_is_kept_and_the_rest_go_back)
{
	u64 free;

	/* CPU 1 frees what CPU 0 took: no slab is CPU 1's. */
	for (u32 i = 0; i < 42 * 10; i++)
		objects[i] = take(GFP_KERNEL, NUMA_NO_NODE);
	ck_assert_uint_eq(cache.node[0].nr_slabs, 10);
	free = nr_free_pages(mm);
	sim_set_cpu(1);
	for (u32 i = 0; i < 42 * 10; i++) {
		give(objects[i]);
		assert_sound();
	}
	/* The tenth is still CPU 0's. */
	ck_assert_uint_eq(cache.node[0].nr_empty, 1);
	ck_assert_uint_eq(cache.node[0].nr_slabs, 2);
	ck_assert_uint_eq(nr_free_pages(mm), free + 8);
	ck_assert_uint_eq(kmem_cache_shrink(mm, &cache), 1);
	sim_set_cpu(0);
	ck_assert_uint_eq(kmem_cache_shrink(mm, &cache), 1);
	ck_assert_uint_eq(cache.node[0].nr_slabs, 0);
	ck_assert_uint_eq(nr_free_pages(mm), free + 10);
}
END_TEST

START_TEST(what_another_cpu_freed_is_found_again)
{
	for (u32 i = 0; i < 42; i++)
		objects[i] = take(GFP_KERNEL, NUMA_NO_NODE);
	sim_set_cpu(1);
	for (u32 i = 0; i < 42; i += 2)
		give(objects[i]);
	assert_sound();
	sim_set_cpu(0);
	for (u32 i = 0; i < 21; i++)
		ck_assert_ptr_eq(virt_to_page(mm, take(GFP_KERNEL, NUMA_NO_NODE)),
				 virt_to_page(mm, objects[1]));
	ck_assert_uint_eq(cache.node[0].nr_slabs, 1);
}
END_TEST

START_TEST(partial_slabs_are_used_before_new_frames)
{
	for (u32 i = 0; i < 42 * 4; i++)
		objects[i] = take(GFP_KERNEL, NUMA_NO_NODE);
	for (u32 i = 0; i < 42 * 4; i += 3)
		give(objects[i]);
	assert_sound();
	for (u32 i = 0; i < 42 * 4; i += 3)
		objects[i] = take(GFP_KERNEL, NUMA_NO_NODE);
	ck_assert_uint_eq(cache.node[0].nr_slabs, 4);
	ck_assert_uint_eq(cache.node[0].nr_partial, 0);
}
END_TEST

/* Of those with free objects, the one that has them since the shortest time. */
START_TEST(the_partial_slab_listed_last_is_the_next)
{
	for (u32 i = 0; i < 42 * 4; i++)
		objects[i] = take(GFP_KERNEL, NUMA_NO_NODE);
	for (u32 i = 0; i < 3; i++)
		give(objects[42 * i]);
	for (u32 i = 3; i--;)
		ck_assert_ptr_eq(take(GFP_KERNEL, NUMA_NO_NODE), objects[42 * i]);
}
END_TEST

START_TEST(objects_come_from_the_node_asked_for)
{
	for (u32 i = 0; i < 200; i++) {
		int node = (int)(i / 7 % 2);

		ck_assert_uint_eq(virt_to_page(mm, take(GFP_KERNEL, node))->node, node);
		assert_sound();
	}
	ck_assert_uint_eq(cache.node[0].nr_slabs, 3);
	ck_assert_uint_eq(cache.node[1].nr_slabs, 3);
}
END_TEST

START_TEST(a_full_node_costs_no_frame_an_object)
{
	u64 free;

	while (alloc_pages(mm, GFP_KERNEL | __GFP_THISNODE | __GFP_HIGH | __GFP_NOWARN, 0, 1,
			   PAGE_OTHER, NULL))
		;
	ck_assert_ptr_null(take(GFP_KERNEL | __GFP_THISNODE | __GFP_NOWARN, 1));
	free = nr_free_pages(mm);
	for (u32 i = 0; i < 42 * 3; i++)
		ck_assert_ptr_nonnull(take(GFP_KERNEL, 1));
	ck_assert_uint_ge(nr_free_pages(mm), free - 3 - 2 * 512);
	ck_assert_uint_eq(cache.node[0].nr_slabs, 3);
}
END_TEST

START_TEST(exhaustion_returns_null_and_mends)
{
	u64 nr = 0;

	memset(&cache, 0, sizeof(cache));
	kmem_cache_init(&cache, "large", 2048);
	while (alloc_pages(mm, GFP_KERNEL | __GFP_HIGH | __GFP_NOWARN, 4, 0, PAGE_OTHER, NULL))
		;
	while ((objects[nr] = take(GFP_KERNEL | __GFP_HIGH | __GFP_NOWARN, NUMA_NO_NODE)))
		ck_assert_uint_lt(++nr, MOST);
	ck_assert_uint_gt(nr, 0);
	assert_sound();
	give(objects[nr / 2]);
	ck_assert_ptr_eq(take(GFP_KERNEL, NUMA_NO_NODE), objects[nr / 2]);
}
END_TEST

static void assert_refused(void *object)
{
	u64 before = sim->nr_warnings;

	give(object);
	ck_assert_uint_eq(sim->nr_warnings, before + 1);
	assert_sound();
}

START_TEST(bad_frees_are_reported_and_change_nothing)
{
	struct page *frame = alloc_pages(mm, GFP_KERNEL, 0, 0, PAGE_OTHER, NULL);
	char *object = take(GFP_KERNEL, NUMA_NO_NODE);
	void *other = kmalloc_node(mm, 96, GFP_KERNEL, NUMA_NO_NODE);

	assert_refused(object + 8);
	assert_refused(other);
	assert_refused(NULL);
	assert_refused((void *)8);
	assert_refused(&cache);
	assert_refused(page_address(mm, frame));
	assert_refused(phys_to_virt(mm, 2 * GIB));
	assert_refused(phys_to_virt(mm, 1ull << 41));
	give(object);
	assert_refused(object);
	sim_set_cpu(1);
	object = take(GFP_KERNEL, NUMA_NO_NODE);
	sim_set_cpu(0);
	give(object);
	assert_refused(object);
	ck_assert(sim_logged(sim, "bad free of object"));
}
END_TEST

START_TEST(the_nth_object_fails)
{
	for (u32 n = 1; n < 100; n++) {
		mm->fault.fail[FAULT_SLAB] = n;
		for (u32 i = 1; i < n; i++)
			ck_assert_ptr_nonnull(i % 2 ? take(GFP_KERNEL, NUMA_NO_NODE)
						    : kmalloc_node(mm, i * 50, GFP_KERNEL, 0));
		ck_assert_ptr_null(n % 2 ? take(GFP_KERNEL, NUMA_NO_NODE)
					 : kmalloc_node(mm, n * 50, GFP_KERNEL, 0));
		ck_assert_ptr_nonnull(take(GFP_KERNEL, NUMA_NO_NODE));
	}
}
END_TEST

/* ---- kmalloc ---- */

START_TEST(kmalloc_gives_aligned_memory_of_the_size)
{
	for (u64 size = 1; size <= 20000; size += size < 2100 ? 1 : 97) {
		u8 *object = kmalloc_node(mm, size, GFP_KERNEL, NUMA_NO_NODE);
		u64 align = !is_power_of_2(size) ? 8 : size < PAGE_SIZE ? size : PAGE_SIZE;
		struct page *page = virt_to_page(mm, object);

		ck_assert_ptr_nonnull(object);
		ck_assert_uint_eq((uintptr_t)object % (align < 8 ? 8 : align), 0);
		if (size <= KMALLOC_MAX_CACHE_BYTES) {
			struct kmem_cache *its = page->owner;

			ck_assert_uint_ge(its->object_bytes, size);
			ck_assert(its == mm->kmalloc || its[-1].object_bytes < size);
		} else {
			ck_assert_uint_eq(page->state, PAGE_KMALLOC);
			ck_assert_uint_ge(PAGE_SIZE << page->order, size);
			ck_assert_uint_lt(PAGE_SIZE << page->order, 2 * size + PAGE_SIZE);
		}
		memset(object, 0xee, size);
		kfree(mm, object);
	}
	ck_assert_uint_eq(sim->nr_warnings, 0);
}
END_TEST

START_TEST(kmalloc_refuses_senseless_sizes)
{
	ck_assert_ptr_null(kmalloc_node(mm, 0, GFP_KERNEL, NUMA_NO_NODE));
	ck_assert_ptr_null(kmalloc_node(mm, KMALLOC_MAX_BYTES + 1, GFP_KERNEL, NUMA_NO_NODE));
	ck_assert_ptr_null(kmalloc_node(mm, ~0ull, GFP_KERNEL, NUMA_NO_NODE));
	ck_assert_ptr_null(kmalloc_node(mm, 1ull << 63, GFP_KERNEL, NUMA_NO_NODE));
	ck_assert_ptr_nonnull(kmalloc_node(mm, KMALLOC_MAX_BYTES, GFP_KERNEL, NUMA_NO_NODE));
}
END_TEST

START_TEST(kmalloc_honours_zone_node_and_zero)
{
	for (u64 size = 8; size <= 16384; size *= 2) {
		u8 *object = kmalloc_node(mm, size, GFP_KERNEL, 0);

		ck_assert_uint_ge(virt_to_phys(mm, object), 4 * GIB);
		object = kmalloc_node(mm, size, GFP_KERNEL | GFP_DMA, 0);
		ck_assert_uint_lt(virt_to_phys(mm, object), 16 * MIB);
		kfree(mm, object);
		object = kmalloc_node(mm, size, GFP_KERNEL | GFP_DMA32, 0);
		ck_assert_uint_lt(virt_to_phys(mm, object), 4 * GIB);
		kfree(mm, object);
		object = kmalloc_node(mm, size, GFP_KERNEL, 1);
		ck_assert_uint_eq(virt_to_page(mm, object)->node, 1);
		memset(object, 0xff, size);
		kfree(mm, object);
		object = kmalloc_node(mm, size, GFP_KERNEL | __GFP_ZERO, 1);
		for (u64 i = 0; i < size; i++)
			ck_assert(object[i] == 0);
		kfree(mm, object);
	}
	kfree(mm, NULL);
	ck_assert_uint_eq(sim->nr_warnings, 0);
}
END_TEST

START_TEST(kfree_refuses_what_is_not_kmallocs)
{
	struct page *frame = alloc_pages(mm, GFP_KERNEL, 0, 0, PAGE_OTHER, NULL);
	char *large = kmalloc_node(mm, 10000, GFP_KERNEL, NUMA_NO_NODE);
	char *small = kmalloc_node(mm, 100, GFP_KERNEL, NUMA_NO_NODE);
	void *bad[] = {
		(void *)8,    &cache,    page_address(mm, frame),   large + 8,
		large + 4096, small + 8, phys_to_virt(mm, 2 * GIB), phys_to_virt(mm, 1ull << 41)};

	for (u64 i = 0; i < ARRAY_SIZE(bad); i++) {
		kfree(mm, bad[i]);
		ck_assert_uint_eq(sim->nr_warnings, i + 1);
		assert_sound();
	}
	kfree(mm, large);
	kfree(mm, large);
	ck_assert_uint_eq(sim->nr_warnings, ARRAY_SIZE(bad) + 1);
	kfree(mm, small);
	kfree(mm, small);
	ck_assert_uint_eq(sim->nr_warnings, ARRAY_SIZE(bad) + 2);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("slab");
	TCase *caches = tcase_create("caches"), *kmalloc = tcase_create("kmalloc");

	tcase_add_checked_fixture(caches, start, stop);
	tcase_add_test(caches, objects_are_disjoint_and_in_one_frame);
	tcase_add_loop_test(caches, every_offset_but_an_objects_is_refused, 0, 11);
	tcase_add_test(caches, zero_flag_zeroes_the_object);
	tcase_add_test(caches, the_last_freed_comes_first);
	tcase_add_test(caches, one_empty_slab_is_kept_and_the_rest_go_back);
	tcase_add_test(caches, what_another_cpu_freed_is_found_again);
	tcase_add_test(caches, partial_slabs_are_used_before_new_frames);
	tcase_add_test(caches, the_partial_slab_listed_last_is_the_next);
	tcase_add_test(caches, objects_come_from_the_node_asked_for);
	tcase_add_test(caches, a_full_node_costs_no_frame_an_object);
	tcase_add_test(caches, exhaustion_returns_null_and_mends);
	tcase_add_test(caches, bad_frees_are_reported_and_change_nothing);
	tcase_add_test(caches, the_nth_object_fails);
	suite_add_tcase(suite, caches);
	tcase_add_checked_fixture(kmalloc, start, stop);
	tcase_add_test(kmalloc, kmalloc_gives_aligned_memory_of_the_size);
	tcase_add_test(kmalloc, kmalloc_refuses_senseless_sizes);
	tcase_add_test(kmalloc, kmalloc_honours_zone_node_and_zero);
	tcase_add_test(kmalloc, kfree_refuses_what_is_not_kmallocs);
	suite_add_tcase(suite, kmalloc);
	return suite;
}

int main(void)
{
	return harness_run(suite());
}
