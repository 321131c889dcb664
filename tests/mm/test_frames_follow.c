/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames that are followed (arch.h, frames_note): what is noted is what happens, and the core never
 * touches a frame that was given up: here it is out of reach, as under the host's trap.
 */
#include <sys/mman.h>

#include "tests/mm/vmalloc_fixture.h"

#define FRAMES (1u << 22) /* of the simulated machine, at most */

static struct arch_ops ops;
static pthread_mutex_t noted_lock = PTHREAD_MUTEX_INITIALIZER;
static u8 taken_now[FRAMES];
static u8 ever[FRAMES];
static u64 unsettled[MAX_CPUS], nr_taken, nr_given_up, nr_settles;

static void set_access(u64 pfn, u64 nr, int access)
{
	void *at = phys_to_virt(mm, pfn << PAGE_SHIFT);

	ck_assert_int_eq(mprotect(at, nr << PAGE_SHIFT, access), 0);
}

static void note(void *arch, u64 pfn, u64 nr, bool taken)
{
	pthread_mutex_lock(&noted_lock);
	for (u64 i = pfn; i < pfn + nr; i++) {
		ck_assert_uint_lt(i, FRAMES);
		/* Not before it is noted can anybody else have it. */
		ck_assert(taken || i != pfn || pfn_to_page(mm, i)->state > PAGE_PCP);
		/* Frames of before the following started are given up untaken. */
		if (ever[i])
			ck_assert_int_ne(taken_now[i], taken);
		ever[i] = 1;
		taken_now[i] = taken;
	}
	set_access(pfn, nr, taken ? PROT_READ | PROT_WRITE : PROT_NONE);
	unsettled[cpu_id(mm)]++;
	*(taken ? &nr_taken : &nr_given_up) += nr;
	pthread_mutex_unlock(&noted_lock);
}

static void settle(void *arch)
{
	pthread_mutex_lock(&noted_lock);
	unsettled[cpu_id(mm)] = 0;
	nr_settles++;
	pthread_mutex_unlock(&noted_lock);
}

static void follow_cpus(u32 nr_cpus)
{
	setup_cpus(nr_cpus);
	ops = *mm->ops;
	ops.frames_note = note;
	ops.frames_settle = settle;
	mm->ops = &ops;
	mm->slow_frames = 1;
	memset(ever, 0, sizeof(ever));
	nr_taken = nr_given_up = nr_settles = 0;
}

static void follow(void)
{
	follow_cpus(1);
}

/* Every frame of the area is noted as taken. */
static void must_be_taken(u64 addr, u64 pages)
{
	for (u64 i = 0; i < pages; i++) {
		u64 pfn = page_to_pfn(mm, vmalloc_to_page(mm, addr + (i << PAGE_SHIFT)));

		ck_assert(ever[pfn] && taken_now[pfn]);
	}
}

START_TEST(a_batch_is_settled_once)
{
	u64 addr = must_pages(1), before;

	vfree(mm, addr);
	before = nr_settles;
	addr = must_pages(16);
	/* One for the frames; the range's tables may be new. */
	ck_assert_uint_le(nr_settles, before + 3);
	must_be_taken(addr, 16);
	before = nr_settles;
	nr_given_up = 0;
	vfree(mm, addr);
	ck_assert_uint_eq(nr_settles, before + 1);
	ck_assert_uint_eq(nr_given_up, 16);
}
END_TEST

START_TEST(blocks_and_objects_are_followed)
{
	struct page *page =
		alloc_pages(mm, GFP_KERNEL | __GFP_ZERO, 3, NUMA_NO_NODE, PAGE_OTHER, NULL);
	u64 pfn = page_to_pfn(mm, page);
	void *object;

	for (u64 i = pfn; i < pfn + 8; i++)
		ck_assert(ever[i] && taken_now[i]);
	free_pages(mm, page, 3);
	for (u64 i = pfn; i < pfn + 8; i++)
		ck_assert(!taken_now[i]);
	object = kmalloc_node(mm, 40000, GFP_KERNEL, NUMA_NO_NODE);
	ck_assert(taken_now[virt_to_phys(mm, object) >> PAGE_SHIFT]);
	kfree(mm, object);
	ck_assert(!taken_now[virt_to_phys(mm, object) >> PAGE_SHIFT]);
}
END_TEST

static u64 noted_pfn;

static void note_last(void *arch, u64 pfn, u64 nr, bool taken)
{
	noted_pfn = pfn;
}

START_TEST(a_frame_that_is_followed_is_of_the_cpus_own_node)
{
	struct sim_config config = {.nr_cpus = 2, .cpu_node = {1, 0}};
	struct page *page;

	teardown();
	sim_add_ram(&config, 0, 64ull << 20, 0);
	sim_add_ram(&config, 4ull << 30, 64ull << 20, 1);
	sim = sim_create(&config);
	mm = &sim->mm;
	ops = *mm->ops;
	ops.frames_note = note_last;
	ops.frames_settle = settle;
	mm->ops = &ops;
	mm->slow_frames = 1;
	page = alloc_pages(mm, GFP_KERNEL, 0, NUMA_NO_NODE, PAGE_OTHER, NULL);
	ck_assert_uint_eq(page->node, 1);
	ck_assert_uint_eq(noted_pfn, page_to_pfn(mm, page));
}
END_TEST

/* Nor is a process's last table read when it is out of reach. */
START_TEST(a_process_gives_up_its_tables_when_it_needs_them_no_more)
{
	struct vm_area_struct *vma;
	struct process *process;
	u64 before = nr_given_up;

	ck_assert_int_eq(process_create(mm, &process), 0);
	ck_assert_int_eq(vma_create(mm, process, 0x10000, 0x12000, VM_READ, &vma), 0);
	ck_assert_int_eq(pt_prepare(mm, &process->pt, 0x10000, 0x12000, 1), 0);
	process_destroy(mm, process);
	ck_assert_uint_eq(nr_given_up, before + 4);
}
END_TEST

START_TEST(a_bad_free_gives_nothing_up)
{
	struct page *page = alloc_pages(mm, GFP_KERNEL, 0, NUMA_NO_NODE, PAGE_OTHER, NULL);

	free_pages(mm, page, 0);
	nr_given_up = 0;
	free_pages(mm, page, 0);
	free_pages_bulk(mm, 1, &page);
	ck_assert_uint_eq(nr_given_up, 0);
	ck_assert_uint_eq(sim->nr_warnings, 2);
}
END_TEST

static void *allocate_and_free(void *argument)
{
	u64 state = 88172645463325252ull + (uintptr_t)argument, area[32];
	u32 nr = 0;

	sim_set_cpu((u32)(uintptr_t)argument);
	for (u32 step = 0; step < 600; step++) {
		struct vmalloc_request request;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		request = request_of((1 + state % 70) << PAGE_SHIFT);
		request.gfp |= state >> 40 & 1 ? __GFP_ZERO : 0;
		request.flags = state >> 41 & 1 ? VM_ARRAY_OUTSIDE : 0;
		if ((nr == 32 || (nr && state >> 50 & 1)))
			ck_assert_int_eq(vfree(mm, area[--nr]), 0);
		else
			area[nr++] = must(&request);
		ck_assert_uint_eq(unsettled[(uintptr_t)argument], 0);
	}
	while (nr)
		vfree(mm, area[--nr]);
	return NULL;
}

START_TEST(the_core_never_touches_what_it_gave_up)
{
	u32 cpus = _i ? 4 : 1;
	pthread_t thread[4];

	sim_destroy(sim);
	follow_cpus(cpus);
	for (u32 cpu = 1; cpu < cpus; cpu++)
		pthread_create(&thread[cpu], NULL, allocate_and_free, (void *)(uintptr_t)cpu);
	allocate_and_free(NULL);
	for (u32 cpu = 1; cpu < cpus; cpu++)
		pthread_join(thread[cpu], NULL);
	ck_assert_uint_gt(nr_given_up, 600);
	ck_assert_uint_ge(nr_taken, nr_given_up);
	ck_assert_ptr_null(check_all());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frames_follow");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, follow, teardown);
	tcase_add_test(tcase, a_batch_is_settled_once);
	tcase_add_test(tcase, blocks_and_objects_are_followed);
	tcase_add_test(tcase, a_frame_that_is_followed_is_of_the_cpus_own_node);
	tcase_add_test(tcase, a_process_gives_up_its_tables_when_it_needs_them_no_more);
	tcase_add_test(tcase, a_bad_free_gives_nothing_up);
	tcase_add_loop_test(tcase, the_core_never_touches_what_it_gave_up, 0, 2);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
