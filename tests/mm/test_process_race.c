/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A remap and a free at once, and mappings that come whole or not at all. */
#include "tests/mm/process_fixture.h"

#define RACES      300
#define RACE_PAGES 200

static u64 shared_addr;
static u32 stop;

/* Without laziness an address is free at once, and the next area gets it again. */
static void *free_again_and_again(void *unused)
{
	sim_set_cpu(1);
	for (u32 n = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); n++) {
		u64 addr;

		if (vmalloc_user(mm, RACE_PAGES * PAGE_SIZE, &addr))
			continue;
		__atomic_store_n(&shared_addr, addr, __ATOMIC_RELEASE);
		for (u32 i = 0; i < n % 4096; i++)
			__builtin_ia32_pause();
		vfree(mm, addr);
	}
	return NULL;
}

START_TEST(d30_a_free_and_a_remap_at_once_come_one_after_the_other)
{
	struct sim_config config = sim_default_config(2);
	struct vm_area_struct *vma;
	pthread_t thread;
	u32 nr_mapped = 0;
	u64 before, addr;

	teardown();
	sim = sim_create(&config);
	mm = &sim->mm;
	process = must_process();
	vma = must_vma(BASE, RACE_PAGES, VM_READ | VM_WRITE);
	before = core_frames_in_use(sim);
	vmap_set_mode(mm, VMAP_EAGER);
	ck_assert_int_eq(pthread_create(&thread, NULL, free_again_and_again, NULL), 0);
	while (nr_mapped < RACES) {
		addr = __atomic_load_n(&shared_addr, __ATOMIC_ACQUIRE);
		if (addr == 0 || remap_vmalloc_range(mm, vma, addr, 0))
			continue;
		nr_mapped++;
		for (u32 i = 0; i < RACE_PAGES; i++) {
			u64 pfn = user_entry(BASE + i * PAGE_SIZE) >> PAGE_SHIFT & 0xffffffffff;
			u64 word = __atomic_load_n(&pfn_to_page(mm, pfn)->word, __ATOMIC_RELAXED);
			u32 state = word & 0xff; /* its first byte */

			ck_assert(state == PAGE_VMALLOC || state == PAGE_OTHER);
		}
		vma_destroy(mm, vma);
		vma = must_vma(BASE, RACE_PAGES, VM_READ | VM_WRITE);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(sim->nr_warnings, 0);
	ck_assert_ptr_null(core_check(sim));
	sim_set_cpu(1); /* the slabs it kept */
	core_frames_in_use(sim);
	sim_set_cpu(0);
	ck_assert_uint_eq(core_frames_in_use(sim), before);
}
END_TEST

static u32 remap_done;

static void *remap_once(void *vma)
{
	sim_set_cpu(1);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, shared_addr, 0), 0);
	__atomic_store_n(&remap_done, 1, __ATOMIC_RELEASE);
	return NULL;
}

START_TEST(d30_a_remap_waits_for_the_lock_that_a_free_begins_with)
{
	struct sim_config config = sim_default_config(2);
	struct vm_area_struct *vma;
	pthread_t thread;

	teardown();
	sim = sim_create(&config);
	mm = &sim->mm;
	process = must_process();
	vma = must_vma(BASE, 4, VM_READ);
	shared_addr = must_user(4);
	spin_lock(&mm->vmap.lock);
	ck_assert_int_eq(pthread_create(&thread, NULL, remap_once, vma), 0);
	usleep(200000);
	ck_assert_uint_eq(__atomic_load_n(&remap_done, __ATOMIC_ACQUIRE), 0);
	ck_assert_uint_eq(vmalloc_to_page(mm, shared_addr)->refcount, 1);
	spin_unlock(&mm->vmap.lock);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(process->nr_user_pages, 4);
}
END_TEST

START_TEST(d31_a_range_is_mapped_whole_or_not_at_all)
{
	struct vm_area_struct *vma = must_vma(BASE, 4, VM_READ);
	u64 addr = must_user(4), mapped;

	/* Something in the way, at the end. */
	take_pages(2);
	ck_assert_int_eq(vm_insert_page(mm, vma, BASE + 3 * PAGE_SIZE, pages[0]), 0);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0), -EBUSY);
	ck_assert_uint_eq(process->nr_user_pages, 1);
	ck_assert_uint_eq(user_entry(BASE), 0);
	ck_assert_uint_eq(vma->vm_flags, VM_READ | VM_MIXEDMAP);
	ck_assert_ptr_null(core_check(sim));
	vma_destroy(mm, vma);
	/* A frame at the end that cannot be shown. */
	pages[1] = alloc_pages(mm, GFP_KERNEL, 1, 0, PAGE_OTHER, sim);
	ck_assert_int_eq(vmap(mm, pages, 2, VM_USERMAP, PAGE_KERNEL, &mapped), 0);
	vma = must_vma(BASE, 2, VM_READ);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, mapped, 0), -EINVAL);
	ck_assert_uint_eq(pages[0]->refcount, 1);
	ck_assert_uint_eq(process->nr_user_pages, 0);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("process_race");
	TCase *tcase = tcase_create("process");

	tcase_add_checked_fixture(tcase, setup_process, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, d30_a_free_and_a_remap_at_once_come_one_after_the_other);
	tcase_add_test(tcase, d30_a_remap_waits_for_the_lock_that_a_free_begins_with);
	tcase_add_test(tcase, d31_a_range_is_mapped_whole_or_not_at_all);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
