/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmalloc at random, on one CPU with everything checked on the way, and on several at once.
 */
#include "tests/mm/vmalloc_fixture.h"

#define RANDOM_AREAS 60

START_TEST(random_areas_are_what_they_should_be_all_the_time)
{
	u64 state = (u64)_i * 0x9e3779b97f4a7c15ull + 1, before = frames_in_use();
	u64 area[RANDOM_AREAS];
	const char *wrong;
	u32 nr = 0;

	printf("seed %d\n", _i);
	for (u32 n = 0; n < 4000; n++) {
		struct vmalloc_request request;
		u64 addr;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		if (nr && (nr == RANDOM_AREAS || state % 100 < 48)) {
			u32 pick = (u32)(state >> 20) % nr;

			ck_assert_int_eq(vfree(mm, area[pick]), 0);
			area[pick] = area[--nr];
		} else {
			request = request_of(1 + (state >> 20) % (state % 16 ? 12 << 12 : 3 << 20));
			request.align = 1ull << (state >> 50) % 16;
			request.flags = state >> 60 & 1 ? VM_ARRAY_OUTSIDE : 0;
			request.gfp |= state >> 61 & 1 ? __GFP_DMA32 : 0;
			if (vmalloc_node_range(mm, &request, &addr) == 0)
				area[nr++] = addr;
		}
		if (n % 500 == 0)
			vmap_set_mode(mm, (enum vmap_mode)((state >> 40) % 3));
		if (n % 100 == 0) {
			wrong = check_all();
			ck_assert_msg(!wrong, "step %u: %s", n, wrong);
		}
	}
	while (nr)
		vfree(mm, area[--nr]);
	ck_assert_ptr_null(check_all());
	ck_assert_uint_eq(frames_in_use(), before);
	ck_assert_uint_eq(mm->vmap.nr_free, 1);
}
END_TEST

/* ---- several CPUs ---- */

#define CPUS 4

static u64 nr_lost_frees;

static void *allocate_and_free(void *argument)
{
	u32 cpu = (u32)(uintptr_t)argument;
	u64 state = cpu + 1, kept[16] = {0};

	sim_set_cpu(cpu);
	for (u32 n = 0; n < 2000; n++) {
		u64 slot, addr = 0;
		struct vmalloc_request request;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		slot = (state >> 10) % 16;
		if (kept[slot]) {
			if (vfree(mm, kept[slot]))
				__atomic_fetch_add(&nr_lost_frees, 1, __ATOMIC_RELAXED);
			kept[slot] = 0;
			continue;
		}
		request = request_of(1 + (state >> 20) % (state % 64 ? 10 << 12 : 3 << 20));
		request.align = 1ull << (state >> 50) % 16;
		if (vmalloc_node_range(mm, &request, &addr))
			continue;
		/* The area is this CPU's, so nobody else may write its frames. */
		memset(page_address(mm, vmalloc_to_page(mm, addr)), (int)cpu, PAGE_SIZE);
		kept[slot] = addr;
		if (state % 512 == 0)
			vmap_purge(mm);
	}
	for (u32 i = 0; i < 16; i++) {
		if (kept[i] && vfree(mm, kept[i]))
			__atomic_fetch_add(&nr_lost_frees, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

START_TEST(cpus_allocate_and_free_at_the_same_time)
{
	pthread_t thread[CPUS];
	u64 before;

	teardown();
	setup_cpus(CPUS);
	mm->vmap.lazy_max_pages = 300;
	before = frames_in_use();
	for (u32 i = 0; i < CPUS; i++)
		pthread_create(&thread[i], NULL, allocate_and_free, (void *)(uintptr_t)i);
	for (u32 i = 0; i < CPUS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(nr_lost_frees, 0);
	ck_assert_ptr_null(check_all());
	ck_assert_uint_eq(mm->vmap.nr_busy, 0);
	ck_assert_uint_gt(mm->vmap.nr_purges, 10);
	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		sim_set_cpu(cpu);
		frames_in_use();
	}
	sim_set_cpu(0);
	ck_assert_uint_eq(frames_in_use(), before);
}
END_TEST

static u64 shared_addr, nr_freed, nr_refused;

static void *free_shared(void *argument)
{
	u64 last = 0, addr;

	sim_set_cpu((u32)(uintptr_t)argument);
	while ((addr = __atomic_load_n(&shared_addr, __ATOMIC_ACQUIRE)) != ~0ull) {
		if (addr == last)
			continue;
		last = addr;
		if (vfree(mm, addr) == 0)
			__atomic_fetch_add(&nr_freed, 1, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(&nr_refused, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Before 5.4 both could pass (Linux); the seed was saved by its one lock. */
START_TEST(of_two_frees_of_an_area_at_the_same_time_one_succeeds)
{
	pthread_t thread[2];
	u64 addr = 0;

	teardown();
	setup_cpus(3);
	vmap_set_mode(mm, VMAP_MANUAL); /* no address comes twice */
	for (u32 i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, free_shared, (void *)(uintptr_t)(i + 1));
	for (u32 n = 1; n <= 500; n++) {
		addr = must_pages(2);
		__atomic_store_n(&shared_addr, addr, __ATOMIC_RELEASE);
		while (__atomic_load_n(&nr_freed, __ATOMIC_RELAXED) +
			       __atomic_load_n(&nr_refused, __ATOMIC_RELAXED) <
		       2 * n)
			sched_yield();
	}
	__atomic_store_n(&shared_addr, ~0ull, __ATOMIC_RELEASE);
	for (u32 i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ck_assert_uint_eq(nr_freed, 500);
	ck_assert_uint_eq(nr_refused, 500);
	ck_assert_ptr_null(check_all());
}
END_TEST

static Suite *vmalloc_random_suite(void)
{
	Suite *suite = suite_create("vmalloc_random");
	TCase *tcase = tcase_create("vmalloc_random");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, random_areas_are_what_they_should_be_all_the_time, 0, 5);
	tcase_add_test(tcase, cpus_allocate_and_free_at_the_same_time);
	tcase_add_test(tcase, of_two_frees_of_an_area_at_the_same_time_one_succeeds);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vmalloc_random_suite());
}
