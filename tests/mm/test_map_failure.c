/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mapping that fails leaves nothing anybody could have reached: its frames go back to their owner
 * while the area lives on, and no flush follows.
 *
 * The array of pages is cut by a page nobody may read. The core's first read beyond the cut ends in
 * a handler, and there a leaf of the pages before must not be present.
 */
#include "tests/mm/seed_fixture.h"

#include <signal.h>
#include <sys/mman.h>

#define NR  8
#define CUT 3 /* pages before the cut */

static struct page **cut_pages;
static char *hidden;
static u64 area_addr;
static volatile u32 nr_cuts, nr_present;

static void at_the_cut(int number, siginfo_t *info, void *context)
{
	nr_cuts++;
	for (u64 i = 0; i < NR; i++)
		nr_present += entry_at(area_addr + i * PAGE_SIZE) != 0;
	mprotect(hidden, PAGE_SIZE, PROT_READ | PROT_WRITE);
}

static void cut_array(void)
{
	char *base = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	const struct sigaction action = {.sa_sigaction = at_the_cut, .sa_flags = SA_SIGINFO};

	ck_assert_ptr_ne(base, MAP_FAILED);
	hidden = base + PAGE_SIZE;
	cut_pages = (struct page **)hidden - CUT;
	take_pages(NR);
	memcpy(cut_pages, pages, NR * sizeof(pages[0]));
	ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
}

static void hide(void)
{
	nr_cuts = 0;
	nr_present = 0;
	ck_assert_int_eq(mprotect(hidden, PAGE_SIZE, PROT_NONE), 0);
}

/* A frame missing, then something in the way behind the cut, in the lazy and in the eager mode. */
START_TEST(no_leaf_of_a_mapping_that_fails_is_ever_present)
{
	struct page *last;
	u64 flushes;

	cut_array();
	vmap_set_mode(mm, _i ? VMAP_EAGER : VMAP_LAZY);
	area_addr = must_get(NR * PAGE_SIZE, VM_ALLOC);
	ck_assert_int_eq(map_vm_area(mm, area_addr, pages, NR, PAGE_KERNEL), 0);
	ck_assert_int_eq(unmap_kernel_range(mm, area_addr, (NR - 1) * PAGE_SIZE), 0);
	flushes = sim->nr_flushes;

	hide();
	ck_assert_int_eq(map_vm_area(mm, area_addr, cut_pages, NR, PAGE_KERNEL), -EBUSY);
	ck_assert_uint_eq(nr_cuts, 1);
	ck_assert_uint_eq(nr_present, 1); /* the one that was in the way before */
	ck_assert_uint_eq(leaves(), 1);
	ck_assert_int_eq(unmap_vm_area(mm, area_addr), 0);
	ck_assert_uint_eq(sim->nr_flushes, flushes + 1);

	last = cut_pages[NR - 1];
	cut_pages[NR - 1] = NULL;
	hide();
	ck_assert_int_eq(map_vm_area(mm, area_addr, cut_pages, NR, PAGE_KERNEL), -EINVAL);
	ck_assert_uint_eq(nr_cuts, 1);
	ck_assert_uint_eq(nr_present, 0);
	ck_assert_uint_eq(leaves(), 0);
	cut_pages[NR - 1] = last;
	ck_assert_int_eq(map_vm_area(mm, area_addr, cut_pages, NR, PAGE_KERNEL), 0);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* Neither the flags nor the protection of an area tell of a mapping that failed. */
START_TEST(an_area_is_the_same_after_a_mapping_that_failed)
{
	u64 addr = must_get(4 * PAGE_SIZE, VM_IOREMAP);
	struct vm_struct before = *find_vm_area(mm, addr);

	take_pages(4);
	pages[2] = NULL;
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 4, PAGE_KERNEL_RO), -EINVAL);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 2, PAGE_KERNEL_RO), -EINVAL);
	mm->fault.fail[FAULT_TABLE] = 1;
	pages[2] = pages[1];
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 4, PAGE_KERNEL_RO), -ENOMEM);
	ck_assert_int_eq(memcmp(&before, find_vm_area(mm, addr), sizeof(before)), 0);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 4, PAGE_KERNEL_RO), 0);
	ck_assert_uint_eq(find_vm_area(mm, addr)->flags, VM_IOREMAP | VM_MAP);
	ck_assert_uint_eq(find_vm_area(mm, addr)->prot, PAGE_KERNEL_RO);
}
END_TEST

static Suite *map_failure_suite(void)
{
	Suite *suite = suite_create("map_failure");
	TCase *tcase = tcase_create("map_failure");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, no_leaf_of_a_mapping_that_fails_is_ever_present, 0, 2);
	tcase_add_test(tcase, an_area_is_the_same_after_a_mapping_that_failed);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(map_failure_suite());
}
