/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames and objects on several CPUs at once, a thread each, which hand each other what they
 * allocated. At the end nothing may be missing.
 */
#include "tests/harness.h"
#include "tests/mm/sim.h"

#define THREADS 4
#define STEPS   60000
#define SHELF   256
#define STAMP   0x9e3779b97f4a7c15ull

/* What one thread has put down another may pick up. */
struct shelf {
	struct page *block[MAX_ORDER + 1][SHELF];
	u64 *object[SHELF];
};

static struct sim *sim;
static struct shelf shelf;
static u32 nr_wrong;

static void wrong_unless(bool right)
{
	if (!right)
		__atomic_add_fetch(&nr_wrong, 1, __ATOMIC_RELAXED);
}

static u64 *stamp_of(struct page *page)
{
	return page_address(&sim->mm, page);
}

/* Puts a block of @order, or none, at @at, and frees what lay there. */
static void swap_block(struct page *page, u32 order, u32 at)
{
	if (page)
		*stamp_of(page) = page_to_pfn(&sim->mm, page) * STAMP;
	page = __atomic_exchange_n(&shelf.block[order][at], page, __ATOMIC_ACQ_REL);
	if (!page)
		return;
	wrong_unless(*stamp_of(page) == page_to_pfn(&sim->mm, page) * STAMP);
	wrong_unless(page->order == order && page->state == PAGE_OTHER);
	free_pages(&sim->mm, page, order);
}

static void swap_object(u64 *object, u32 at)
{
	if (object)
		*object = (u64)(uintptr_t)object * STAMP;
	object = __atomic_exchange_n(&shelf.object[at], object, __ATOMIC_ACQ_REL);
	if (!object)
		return;
	wrong_unless(*object == (u64)(uintptr_t)object * STAMP);
	kfree(&sim->mm, object);
}

static void bulk(u32 nr)
{
	struct page *pages[300];
	u64 got = alloc_pages_bulk(&sim->mm, GFP_KERNEL | __GFP_NOWARN, 0, PAGE_VMALLOC, pages, nr,
				   pages);

	for (u64 i = 0; i < got; i++)
		*stamp_of(pages[i]) = page_to_pfn(&sim->mm, pages[i]) * STAMP;
	for (u64 i = 0; i < got; i++)
		wrong_unless(*stamp_of(pages[i]) == page_to_pfn(&sim->mm, pages[i]) * STAMP);
	free_pages_bulk(&sim->mm, got, pages);
}

static void *work(void *argument)
{
	u64 draw = ((u64)(uintptr_t)argument + 1) * STAMP;

	sim_set_cpu((u32)(uintptr_t)argument);
	for (u32 i = 0; i < STEPS; i++) {
		u32 order = (u32)(draw >> 33) % (i % 64 ? 3 : MAX_ORDER + 1);
		u32 at = (u32)(draw >> 50) % SHELF;

		draw ^= draw << 13;
		draw ^= draw >> 7;
		draw ^= draw << 17;
		switch (draw >> 60) {
		case 0 ... 5:
			swap_block(alloc_pages(&sim->mm, GFP_KERNEL | __GFP_NOWARN, order, 0,
					       PAGE_OTHER, NULL),
				   order, at);
			break;
		case 6 ... 13:
			swap_object(kmalloc_node(&sim->mm, 8 + (draw >> 20) % 600, GFP_KERNEL,
						 NUMA_NO_NODE),
				    at);
			break;
		default:
			bulk((u32)(draw >> 30) % 300);
		}
	}
	return NULL;
}

START_TEST(cpus_share_frames_and_objects)
{
	struct sim_config config = sim_default_config(THREADS);
	pthread_t thread[THREADS];
	const char *wrong;
	u64 before;

	sim = sim_create(&config);
	before = nr_free_pages(&sim->mm);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, work, (void *)i), 0);
	for (u32 i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(nr_wrong, 0);
	for (u32 at = 0; at < SHELF; at++) {
		swap_object(NULL, at);
		for (u32 order = 0; order <= MAX_ORDER; order++)
			swap_block(NULL, order, at);
	}
	for (u32 cpu = 0; cpu < THREADS; cpu++) {
		sim_set_cpu(cpu);
		for (u32 i = 0; i < NR_KMALLOC_CACHES; i++) {
			kmem_cache_shrink(&sim->mm, &sim->mm.kmalloc[i]);
			wrong = kmem_cache_check(&sim->mm, &sim->mm.kmalloc[i]);
			ck_assert_msg(!wrong, "%s", wrong);
		}
		drain_local_pages(&sim->mm);
	}
	wrong = page_alloc_check(&sim->mm);
	ck_assert_msg(!wrong, "%s", wrong);
	ck_assert_uint_eq(nr_free_pages(&sim->mm), before - 512 * sim->nr_populated);
	ck_assert_uint_eq(sim->nr_warnings, 0);
	sim_destroy(sim);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("frames_smp");
	TCase *tcase = tcase_create("threads");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, cpus_share_frames_and_objects);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(suite());
}
