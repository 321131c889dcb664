/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the address space share: a machine, and allocating and freeing with a token
 * for bookkeeping. For the one .c file of a test program.
 */
#ifndef TESTS_MM_VMAP_FIXTURE_H
#define TESTS_MM_VMAP_FIXTURE_H

#include "tests/harness.h"

#include <string.h>

#include "mm/errno.h"
#include "mm/vmap_private.h"
#include "tests/mm/sim.h"

#define BASE 0xffffc90000000000ull

static struct sim *sim;

static inline void setup(void)
{
	struct sim_config config = sim_default_config(1);

	sim = sim_create(&config);
}

static inline void teardown(void)
{
	sim_destroy(sim);
}

static inline struct vmap_request request_of(u64 size, u64 align, u64 start, u64 end)
{
	return (struct vmap_request){.size = size,
				     .align = align,
				     .start = start,
				     .end = end,
				     .gfp = GFP_KERNEL,
				     .node = NUMA_NO_NODE};
}

static inline struct vm_struct *token(u64 value)
{
	return (struct vm_struct *)(uintptr_t)value;
}

/* Allocates, publishes, and returns the address; 0 after an error, which is in *@err_out. */
static inline u64 take(u64 size, u64 align, u64 start, u64 end, int *err_out)
{
	struct vmap_request request = request_of(size, align, start, end);
	struct vmap_area *area;

	*err_out = vmap_alloc(&sim->mm, &request, &area);
	if (*err_out)
		return 0;
	vmap_publish(&sim->mm, area, token(area->va_start), VMAP_FRAMES);
	return area->va_start;
}

static inline u64 must_take(u64 size, u64 align, u64 start, u64 end)
{
	int err;
	u64 addr = take(size, align, start, end, &err);

	ck_assert_int_eq(err, 0);
	return addr;
}

static inline int must_fail(u64 size, u64 align, u64 start, u64 end)
{
	int err;

	take(size, align, start, end, &err);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	return err;
}

static inline void give(u64 addr)
{
	struct vmap_area *area;
	struct vm_struct *vm;

	if (vmap_claim(&sim->mm, addr, VMAP_FRAMES, &area, &vm) != 0 || vm != token(addr))
		ck_abort_msg("0x%llx cannot be claimed", (unsigned long long)addr);
	vmap_free(&sim->mm, area);
}

#endif
