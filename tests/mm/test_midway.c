/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What somebody else does in the middle of a call, at a place that is the same each time. Memory
 * the call is about to touch is taken away; the fault is the moment, its handler the other CPU.
 * After one instruction the memory is gone again, so that each touch of it can be that moment.
 */
#include "mm/pgtable_private.h"

#include "tests/mm/seed_fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "mm/vaccess.h"

#define TRAP_FLAG 0x100

/* The memory, how often it was touched, at which touch @act is called, and whether it was. */
static struct {
	char *memory;
	u64 bytes;
	u32 touched, at;
	void (*act)(void);
	bool acted;
} midway;

static void protect(int how)
{
	ck_assert_int_eq(mprotect(midway.memory, midway.bytes, how), 0);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	ucontext_t *machine = context;
	u64 offset = (u64)((char *)info->si_addr - midway.memory);

	if (signal == SIGTRAP) {
		machine->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
		protect(PROT_NONE);
		return;
	}
	if (offset >= midway.bytes)
		abort();
	protect(PROT_READ | PROT_WRITE);
	if (++midway.touched == midway.at) {
		midway.acted = true;
		midway.act();
		return;
	}
	machine->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

/* Until disarm(), or until it has happened, touch number @at of @memory calls @act first. */
static void arm(void *memory, u64 bytes, u32 at, void (*act)(void))
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

	midway.memory = memory;
	midway.bytes = bytes;
	midway.touched = 0;
	midway.at = at;
	midway.act = act;
	midway.acted = false;
	ck_assert_int_eq(sigaction(SIGSEGV, &action, NULL), 0);
	ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
	protect(PROT_NONE);
}

/* Whether it happened. */
static bool disarm(void)
{
	protect(PROT_READ | PROT_WRITE);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGTRAP, SIG_DFL);
	return midway.acted;
}

/* ---- reading and writing against a free ---- */

static u64 first, second;
static char *buf;

static void fill_area(u64 addr, int value)
{
	memset(page_address(mm, vmalloc_to_page(mm, addr)), value, PAGE_SIZE);
}

/* Two areas of one page, with the guard of the first between them, and room for all three pages. */
static void setup_areas(void)
{
	setup();
	first = must_vmalloc(PAGE_SIZE);
	second = must_vmalloc(PAGE_SIZE);
	ck_assert_uint_eq(second, first + 2 * PAGE_SIZE);
	fill_area(first, 1);
	fill_area(second, 2);
	buf = mmap(NULL, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(buf, MAP_FAILED);
	memset(buf, 9, 3 * PAGE_SIZE);
}

static void assert_page(const char *page, int value)
{
	for (u64 i = 0; i < PAGE_SIZE; i++)
		ck_assert_int_eq(page[i], value);
}

static void free_second(void)
{
	ck_assert_int_eq(vfree(mm, second), 0);
}

static void free_both(void)
{
	ck_assert_int_eq(vfree(mm, first), 0);
	free_second();
	/* And the frames are somebody else's. */
	take_pages(100);
	for (u32 i = 0; i < 100; i++)
		memset(page_address(mm, pages[i]), 7, PAGE_SIZE);
}

/* While the guard is filled in, no lock is held: what comes next may go. */
START_TEST(an_area_freed_while_a_read_is_before_it_reads_as_zero)
{
	arm(buf + PAGE_SIZE, PAGE_SIZE, 1, _i ? free_both : free_second);
	ck_assert_uint_eq(vread(mm, buf, first, 3 * PAGE_SIZE), 3 * PAGE_SIZE);
	ck_assert(disarm());
	assert_page(buf, 1);
	assert_page(buf + PAGE_SIZE, 0);
	assert_page(buf + 2 * PAGE_SIZE, 0);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* A free begins with a claim, and that takes the lock. */
static void expect_locked(void)
{
	ck_assert_uint_eq(mm->vmap.lock.word, 1);
	ck_assert_uint_eq(vmalloc_to_page(mm, first)->state, PAGE_VMALLOC);
}

START_TEST(nobody_frees_an_area_while_its_page_is_copied)
{
	u64 stored;

	arm(buf, PAGE_SIZE, 1, expect_locked);
	ck_assert_uint_eq(vread(mm, buf, first, PAGE_SIZE), PAGE_SIZE);
	ck_assert(disarm());
	assert_page(buf, 1);
	memset(buf, 5, PAGE_SIZE);
	arm(buf, PAGE_SIZE, 1, expect_locked);
	ck_assert_uint_eq(vwrite(mm, buf, first, PAGE_SIZE, &stored), PAGE_SIZE);
	ck_assert(disarm());
	ck_assert_uint_eq(stored, PAGE_SIZE);
	assert_page(page_address(mm, vmalloc_to_page(mm, first)), 5);
	ck_assert_uint_eq(mm->vmap.lock.word, 0);
}
END_TEST

/* The frame is touched under the lock, too. */
START_TEST(nobody_frees_an_area_while_its_frame_is_touched)
{
	u64 stored;

	arm(page_address(mm, vmalloc_to_page(mm, first)), PAGE_SIZE, 1, expect_locked);
	ck_assert_uint_eq(vread(mm, buf, first + 3, 9), 9);
	ck_assert(disarm());
	arm(page_address(mm, vmalloc_to_page(mm, first)), PAGE_SIZE, 1, expect_locked);
	ck_assert_uint_eq(vwrite(mm, buf, first + 3, 9, &stored), 9);
	ck_assert(disarm());
	ck_assert_uint_eq(stored, 9);
}
END_TEST

/* ---- the last two references ---- */

static void put_first(void)
{
	page_put(mm, pages[0]);
}

/*
 * One of two leaves, by each way there is, and in the middle, at each touch of the frame's word, so
 * does the other: the frame is free then, once.
 */
START_TEST(a_frame_whose_last_two_leave_at_once_is_free)
{
	u64 nr_moments = 0, nr_free;
	bool acted;

	do {
		take_pages(1);
		nr_free = nr_free_pages(mm);
		ck_assert(page_get(pages[0]));
		arm((void *)((uintptr_t)pages[0] & ~(PAGE_SIZE - 1)), PAGE_SIZE,
		    (u32)nr_moments + 1, put_first);
		if (_i == 0)
			page_put(mm, pages[0]);
		else if (_i == 1)
			free_pages(mm, pages[0], 0);
		else
			free_pages_bulk(mm, 1, pages);
		acted = disarm();
		nr_moments += acted;
		ck_assert_uint_eq(pages[0]->refcount, !acted);
		if (!acted)
			put_first();
		ck_assert_uint_le(pages[0]->state, PAGE_PCP);
		ck_assert_uint_eq(nr_free_pages(mm), nr_free + 1);
		ck_assert_uint_eq(sim->nr_warnings, 0);
		ck_assert_ptr_null(page_alloc_check(mm));
	} while (acted && nr_moments < 2 + (u64)_i);
	ck_assert_uint_ge(nr_moments, 2);
}
END_TEST

/* ---- unmapping beside somebody who maps ---- */

#define PART  (2ull << 20)
#define PLACE (VMALLOC_START + (1ull << 40))

static u64 other_addr;

/* Another CPU's area, in the same part of 2 MiB, which had no page table. */
static void map_other(void)
{
	ck_assert_int_eq(pt_map_pages(mm, &mm->pt, other_addr, pages, 1, PAGE_KERNEL), 0);
}

/*
 * A range without page tables is unmapped, and one appears in the middle: at each touch of the
 * table whose entries are looked at. It is neither a large page nor rubbish, and stays.
 */
START_TEST(a_table_that_appears_while_a_hole_is_unmapped_stays)
{
	u64 addr = PLACE, nr_moments = 0, *entry, value;
	bool acted;
	int level;

	take_pages(1);
	ck_assert_int_eq(pt_prepare(mm, &mm->pt, addr, addr + PART, 2), 0);
	do {
		addr += PART;
		other_addr = addr + PART - PAGE_SIZE;
		entry = pt_walk(mm, &mm->pt, addr, 2, &level);
		ck_assert_int_eq(level, 2);
		ck_assert_uint_eq(*entry, 0);
		arm((void *)((uintptr_t)entry & ~(PAGE_SIZE - 1)), PAGE_SIZE, (u32)nr_moments + 1,
		    map_other);
		pt_unmap(mm, &mm->pt, addr, addr + PART - PAGE_SIZE);
		acted = disarm();
		nr_moments += acted;
		ck_assert_uint_eq(pt_lookup(mm, &mm->pt, other_addr, &value), acted);
		ck_assert_uint_eq(sim->nr_warnings, 0);
		ck_assert_uint_eq(sim->nr_logs, 0);
	} while (acted);
	/* One walk of the quick way and one of the other, which looks again: three at least. */
	ck_assert_uint_ge(nr_moments, 3);
}
END_TEST

static Suite *midway_suite(void)
{
	Suite *suite = suite_create("midway");
	TCase *areas = tcase_create("areas"), *tables = tcase_create("tables");

	tcase_add_checked_fixture(areas, setup_areas, teardown);
	tcase_add_loop_test(areas, an_area_freed_while_a_read_is_before_it_reads_as_zero, 0, 2);
	tcase_add_test(areas, nobody_frees_an_area_while_its_page_is_copied);
	tcase_add_test(areas, nobody_frees_an_area_while_its_frame_is_touched);
	suite_add_tcase(suite, areas);
	tcase_add_checked_fixture(tables, setup, teardown);
	tcase_add_loop_test(tables, a_frame_whose_last_two_leave_at_once_is_free, 0, 3);
	tcase_add_test(tables, a_table_that_appears_while_a_hole_is_unmapped_stays);
	suite_add_tcase(suite, tables);
	return suite;
}

int main(void)
{
	return harness_run(midway_suite());
}
