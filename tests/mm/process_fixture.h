/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process of the simulated machine. */
#ifndef TESTS_MM_PROCESS_FIXTURE_H
#define TESTS_MM_PROCESS_FIXTURE_H

#include "tests/mm/seed_fixture.h"

#include "mm/process.h"

#define BASE 0x10000000ull

static struct process *process;

static inline struct process *must_process(void)
{
	struct process *created = NULL;

	ck_assert_int_eq(process_create(mm, &created), 0);
	return created;
}

static inline void setup_process(void)
{
	setup();
	process = must_process();
}

static inline struct vm_area_struct *must_vma(u64 start, u64 nr, u64 flags)
{
	struct vm_area_struct *vma = NULL;

	ck_assert_int_eq(vma_create(mm, process, start, start + nr * PAGE_SIZE, flags, &vma), 0);
	return vma;
}

static inline u64 must_user(u64 nr)
{
	u64 addr = 0;

	ck_assert_int_eq(vmalloc_user(mm, nr * PAGE_SIZE, &addr), 0);
	return addr;
}

static inline u64 user_entry(u64 va)
{
	u64 entry = 0;

	pt_lookup(mm, &process->pt, va, &entry);
	return entry;
}

#endif
