/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The address space: placement against the oracle (tests/mm/vmap_model.h), the lazy list, the
 * edges of 64-bit arithmetic, and vmap_check() against planted corruption. No page is mapped.
 */
#include "tests/harness.h"

#include <string.h>

#include "mm/errno.h"
#include "mm/vmap_private.h"
#include "tests/mm/sim.h"
#include "tests/mm/vmap_model.h"

#define BASE 0xffffc90000000000ull

static struct sim *sim;

static void setup(void)
{
	struct sim_config config = sim_default_config(1);

	sim = sim_create(&config);
}

static void teardown(void)
{
	sim_destroy(sim);
}

static struct vmap_request request_of(u64 size, u64 align, u64 start, u64 end)
{
	return (struct vmap_request){.size = size,
				     .align = align,
				     .start = start,
				     .end = end,
				     .gfp = GFP_KERNEL,
				     .node = NUMA_NO_NODE};
}

static struct vm_struct *token(u64 value)
{
	return (struct vm_struct *)(uintptr_t)value;
}

/* Allocates, publishes, and returns the address; 0 after an error, which is in *@err_out. */
static u64 take(u64 size, u64 align, u64 start, u64 end, int *err_out)
{
	struct vmap_request request = request_of(size, align, start, end);
	struct vmap_area *area;

	*err_out = vmap_alloc(&sim->mm, &request, &area);
	if (*err_out)
		return 0;
	vmap_publish(&sim->mm, area, token(area->va_start), VMAP_FRAMES);
	return area->va_start;
}

static u64 must_take(u64 size, u64 align, u64 start, u64 end)
{
	int err;
	u64 addr = take(size, align, start, end, &err);

	ck_assert_int_eq(err, 0);
	return addr;
}

static int must_fail(u64 size, u64 align, u64 start, u64 end)
{
	int err;

	take(size, align, start, end, &err);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	return err;
}

static void give(u64 addr)
{
	struct vmap_area *area;
	struct vm_struct *vm;

	if (vmap_claim(&sim->mm, addr, VMAP_FRAMES, &area, &vm) != 0 || vm != token(addr))
		ck_abort_msg("0x%llx cannot be claimed", (unsigned long long)addr);
	vmap_free(&sim->mm, area);
}

/* ---- placement, case by case ---- */

START_TEST(a_new_space_is_one_free_tile)
{
	struct vmap_space *space = &sim->mm.vmap;

	ck_assert_ptr_null(vmap_check(&sim->mm));
	ck_assert_uint_eq(space->nr_free, 1);
	ck_assert_uint_eq(space->nr_busy + space->nr_lazy, 0);
	ck_assert_uint_eq(area_of(space->free.node)->va_start, 1);
	ck_assert_uint_eq(area_of(space->free.node)->va_end, ~0ull);
	/* Linux: fls(1) * 32 MiB, in pages. */
	ck_assert_uint_eq(space->lazy_max_pages, 8192);
}
END_TEST

START_TEST(the_lowest_hole_that_fits_is_taken)
{
	u64 a = must_take(0x2000, 1, BASE, BASE + 0x100000);
	u64 b = must_take(0x5000, 1, BASE, BASE + 0x100000);
	u64 c = must_take(0x2000, 1, BASE, BASE + 0x100000);

	ck_assert_uint_eq(a, BASE);
	ck_assert_uint_eq(b, BASE + 0x2000);
	ck_assert_uint_eq(c, BASE + 0x7000);
	vmap_set_mode(&sim->mm, VMAP_EAGER);
	give(a);
	give(b);
	ck_assert_uint_eq(must_take(0x7000, 1, BASE, BASE + 0x100000), BASE);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(a_start_that_is_no_page_is_rounded_up)
{
	ck_assert_uint_eq(must_take(0x1000, 1, BASE + 0x123, BASE + 0x10000), BASE + 0x1000);
	ck_assert_uint_eq(must_take(0x1000, 1, 0, ~0ull), 0x1000);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(an_end_in_mid_page_bounds_the_area)
{
	ck_assert_int_eq(must_fail(0x2000, 1, BASE, BASE + 0x1fff), -ENOSPC);
	ck_assert_uint_eq(must_take(0x1000, 1, BASE, BASE + 0x1fff), BASE);
	ck_assert_int_eq(must_fail(0x1000, 1, BASE, BASE + 0x1fff), -ENOSPC);
}
END_TEST

/* A window just as long as the request, at an address aligned as asked (5.15's fix). */
START_TEST(an_exact_window_needs_no_room_for_alignment)
{
	ck_assert_uint_eq(must_take(0x4000, 0x4000, BASE + 0x4000, BASE + 0x8000), BASE + 0x4000);
	ck_assert_int_eq(must_fail(0x4000, 0x4000, BASE + 0x4000, BASE + 0x8000), -ENOSPC);
}
END_TEST

/*
 *   | busy | hole, aligned, 4 pages | busy | free ...      4 pages, aligned to 4
 *
 * Linux looks for 4 pages + 16 KiB - 1 and passes the hole over. Only when that leaves the window
 * is the hole found, and not at all with VMAP_LINUX_SEARCH.
 */
START_TEST(a_large_alignment_skips_a_hole_that_would_do_unless_nothing_else_does)
{
	u64 hole, wall;
	struct vmap_request request = request_of(0x4000, 0x4000, BASE, BASE + 0x100000);
	struct vmap_area *area;

	vmap_set_mode(&sim->mm, VMAP_EAGER);
	must_take(0x4000, 1, BASE, BASE + 0x100000);
	hole = must_take(0x4000, 1, BASE, BASE + 0x100000);
	wall = must_take(0x1000, 1, BASE, BASE + 0x100000);
	ck_assert_uint_eq(hole, BASE + 0x4000);
	give(hole);
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
	ck_assert_uint_eq(area->va_start, BASE + 0xc000);
	vmap_free(&sim->mm, area);

	request.end = BASE + 0xf000;
	request.flags = VMAP_LINUX_SEARCH;
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), -ENOSPC);
	request.flags = 0;
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
	ck_assert_uint_eq(area->va_start, hole);
	ck_assert_uint_eq(wall, BASE + 0x8000);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(what_is_no_request_is_refused)
{
	struct vmap_area *area;
	struct vmap_request request;

	static const u64 bad[][4] = {
		{0, 1, BASE, BASE + 0x10000},         {0x1001, 1, BASE, BASE + 0x10000},
		{0x1000, 0, BASE, BASE + 0x10000},    {0x1000, 3, BASE, BASE + 0x10000},
		{0x1000, 0x3000, BASE, BASE + 0x100}, {0x1000, 1, BASE, BASE},
		{0x1000, 1, BASE + 1, BASE},          {~0ull, 1, BASE, BASE + 0x10000},
	};
	for (u64 i = 0; i < ARRAY_SIZE(bad); i++) {
		request = request_of(bad[i][0], bad[i][1], bad[i][2], bad[i][3]);
		ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), -EINVAL);
	}
	ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
}
END_TEST

/* The seed returned areas beyond the end, wrapped ones, ones of no length (D1 to D3). */
START_TEST(nothing_is_placed_beyond_the_window_or_the_end_of_addresses)
{
	const u64 huge = 0xfffffffffffff000ull, top = 0x8000000000000000ull;

	ck_assert_int_eq(must_fail(64ull << 40, 1, BASE, 0xffffe8ffffffffffull), -ENOSPC);
	ck_assert_int_eq(must_fail(2ull << 30, 1, 0xffffffffa0000000ull, ~0ull), -ENOSPC);
	ck_assert_int_eq(must_fail(0x30000000, 1, 0x10000000, 0x20000000), -ENOSPC);
	ck_assert_int_eq(must_fail(huge, 1, 0, ~0ull), -ENOSPC);
	ck_assert_int_eq(must_fail(huge, 1, huge, ~0ull), -ENOSPC);
	ck_assert_int_eq(must_fail(huge, top, 0, ~0ull), -ENOSPC);
	ck_assert_int_eq(must_fail(huge - 0x1000, top, 1, ~0ull), -ENOSPC);
	ck_assert_int_eq(must_fail(0x1000, top, top + 1, ~0ull), -ENOSPC);
	ck_assert_int_eq(must_fail(0x1000, 1, ~0ull - 0x1fff, ~0ull - 0x1000), -ENOSPC);
	ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);

	ck_assert_uint_eq(must_take(0x1000, top, 1, ~0ull), top);
	ck_assert_uint_eq(must_take(0x1000, 1, ~0ull - 0x2ffe, ~0ull), ~0ull - 0x1fff);
	ck_assert_int_eq(must_fail(0x1000, 1, ~0ull - 0x1fff, ~0ull), -ENOSPC);
	ck_assert_uint_eq(must_take(top - 0x2000, 1, 0, ~0ull), 0x1000);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(the_largest_request_is_the_whole_space)
{
	struct vmap_area *area;
	struct vmap_request request = request_of(~0ull - 0x1fff, 1, 0, ~0ull);

	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
	ck_assert_uint_eq(area->va_start, 0x1000);
	ck_assert_uint_eq(area->va_end, ~0ull - 0xfff);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	vmap_free(&sim->mm, area);
	vmap_purge(&sim->mm);
	ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

/* Without bookkeeping memory nothing changes, whichever object is the one that is missing. */
START_TEST(a_cut_without_memory_leaves_the_hole_whole)
{
	struct vmap_area *area;
	struct vmap_request request = request_of(0x1000, 1, BASE, BASE + 0x1000);

	for (u32 nth = 1; nth <= 2; nth++) {
		sim->mm.fault.fail[FAULT_SLAB] = nth;
		ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), -ENOMEM);
		ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
		ck_assert_ptr_null(vmap_check(&sim->mm));
	}
	sim->mm.fault.fail[FAULT_SLAB] = 3;
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
	sim->mm.fault.fail[FAULT_AREA] = 1;
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), -ENOSPC);
}
END_TEST

START_TEST(spare_objects_are_used_first_and_can_be_given_back)
{
	struct vmap_space *space = &sim->mm.vmap;
	struct vmap_area *area;
	u64 addr[3];

	for (u32 i = 0; i < 3; i++)
		addr[i] = must_take(0x1000, 1, BASE, BASE + 0x10000);
	ck_assert_uint_eq(space->nr_spare, 0);
	for (u32 i = 0; i < 3; i++)
		give(addr[i]);
	vmap_purge(&sim->mm);
	/* Three tiles and the hole after them became one. */
	ck_assert_uint_eq(space->nr_spare, 4);
	area = space->spare;
	ck_assert_ptr_eq(vmap_find(&sim->mm, must_take(0x1000, 1, 0x10000, 0x20000)), area);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	vmap_trim(&sim->mm);
	ck_assert_uint_eq(space->nr_spare, 0);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	ck_assert_ptr_null(kmem_cache_check(&sim->mm, &space->cache));

	/* Not more than a full lazy list has. */
	space->lazy_max_pages = 4;
	for (u32 i = 0; i < 3; i++)
		addr[i] = must_take(0x1000, 1, BASE, BASE + 0x10000);
	for (u32 i = 0; i < 3; i++)
		give(addr[i]);
	vmap_purge(&sim->mm);
	ck_assert_uint_eq(space->nr_spare, 2);
}
END_TEST

/* ---- finding and claiming ---- */

START_TEST(an_area_is_found_by_its_start_or_by_what_it_contains)
{
	u64 a = must_take(0x3000, 1, BASE, BASE + 0x100000);
	u64 b = must_take(0x2000, 1, BASE, BASE + 0x100000);

	ck_assert_uint_eq(vmap_find(&sim->mm, a)->va_start, a);
	ck_assert_ptr_null(vmap_find(&sim->mm, a + 0x1000));
	ck_assert_uint_eq(vmap_find_containing(&sim->mm, a)->va_start, a);
	ck_assert_uint_eq(vmap_find_containing(&sim->mm, b - 1)->va_start, a);
	ck_assert_uint_eq(vmap_find_containing(&sim->mm, b)->va_start, b);
	ck_assert_ptr_null(vmap_find_containing(&sim->mm, b + 0x2000));
	ck_assert_ptr_null(vmap_find_containing(&sim->mm, a - 1));
	ck_assert_ptr_eq(vmap_find_vm(&sim->mm, b + 0x1fff), token(b));
	ck_assert_ptr_null(vmap_find_vm(&sim->mm, b + 0x2000));
}
END_TEST

START_TEST(only_one_claim_of_a_complete_area_succeeds)
{
	struct vmap_request request = request_of(0x1000, 1, BASE, BASE + 0x100000);
	struct vmap_area *area, *claimed = NULL;
	struct vm_struct *vm = NULL;

	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
	ck_assert_int_eq(vmap_claim(&sim->mm, BASE, VMAP_RESERVED, &claimed, &vm), -ENOENT);
	vmap_publish(&sim->mm, area, token(7), VMAP_FRAMES);
	ck_assert_int_eq(vmap_claim(&sim->mm, BASE, VMAP_RESERVED, &claimed, &vm), -EBUSY);
	ck_assert_int_eq(vmap_claim(&sim->mm, BASE + 1, VMAP_FRAMES, &claimed, &vm), -ENOENT);
	ck_assert_ptr_null(claimed);
	ck_assert_int_eq(vmap_claim(&sim->mm, BASE, VMAP_FRAMES, &claimed, &vm), 0);
	ck_assert_ptr_eq(claimed, area);
	ck_assert_ptr_eq(vm, token(7));
	ck_assert_int_eq(vmap_claim(&sim->mm, BASE, VMAP_FRAMES, &claimed, &vm), -ENOENT);
	vmap_free(&sim->mm, area);
	ck_assert_int_eq(vmap_claim(&sim->mm, BASE, VMAP_FRAMES, &claimed, &vm), -ENOENT);
	ck_assert_ptr_null(vmap_find(&sim->mm, BASE));
}
END_TEST

/* ---- lazy, eager, manual ---- */

START_TEST(a_lazy_range_is_not_used_again_before_the_purge_that_flushes_it)
{
	u64 a = must_take(0x2000, 1, BASE, BASE + 0x100000);
	u64 b = must_take(0x3000, 1, BASE, BASE + 0x100000);
	u64 c = must_take(0x1000, 1, BASE, BASE + 0x100000);

	give(b);
	give(a);
	ck_assert_uint_eq(sim->nr_flushes, 0);
	ck_assert_uint_eq(must_take(0x1000, 1, BASE, BASE + 0x100000), c + 0x1000);
	ck_assert_uint_eq(vmap_purge(&sim->mm), 2);
	ck_assert_uint_eq(sim->nr_flushes, 1);
	ck_assert_uint_eq(sim->flush[0].start, a);
	ck_assert_uint_eq(sim->flush[0].end, c);
	ck_assert_uint_eq(must_take(0x5000, 1, BASE, BASE + 0x100000), a);
	ck_assert_uint_eq(vmap_purge(&sim->mm), 0);
	ck_assert_uint_eq(sim->nr_flushes, 1);
	ck_assert_uint_eq(sim->mm.vmap.nr_purges, 1);
}
END_TEST

START_TEST(an_eager_free_is_flushed_alone_and_at_once)
{
	u64 a;

	vmap_set_mode(&sim->mm, VMAP_EAGER);
	a = must_take(0x2000, 1, BASE, BASE + 0x100000);
	give(a);
	ck_assert_uint_eq(sim->nr_flushes, 1);
	ck_assert_uint_eq(sim->flush[0].start, a);
	ck_assert_uint_eq(sim->flush[0].end, a + 0x2000);
	ck_assert_uint_eq(must_take(0x2000, 1, BASE, BASE + 0x100000), a);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(a_full_window_is_purged_before_it_fails_but_not_in_manual_mode)
{
	u64 a = must_take(0x4000, 1, BASE, BASE + 0x4000);

	give(a);
	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	ck_assert_int_eq(must_fail(0x1000, 1, BASE, BASE + 0x4000), -ENOSPC);
	vmap_set_mode(&sim->mm, VMAP_LAZY);
	ck_assert_uint_eq(must_take(0x1000, 1, BASE, BASE + 0x4000), BASE);
	ck_assert_uint_eq(sim->mm.vmap.nr_purges, 1);
}
END_TEST

START_TEST(too_many_lazy_pages_start_a_purge_but_not_in_manual_mode)
{
	u64 addr[4];

	sim->mm.vmap.lazy_max_pages = 10;
	for (u32 i = 0; i < 4; i++)
		addr[i] = must_take(0x5000, 1, BASE, BASE + 0x100000);
	give(addr[0]);
	give(addr[1]);
	ck_assert_uint_eq(sim->mm.vmap.nr_lazy_pages, 10);
	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	give(addr[2]);
	ck_assert_uint_eq(sim->mm.vmap.nr_lazy_pages, 15);
	vmap_set_mode(&sim->mm, VMAP_LAZY);
	give(addr[3]);
	ck_assert_uint_eq(sim->mm.vmap.nr_lazy_pages, 0);
	ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

/* Freed in every order, the space is whole again: every way of merging with neighbours. */
START_TEST(everything_freed_is_one_tile_again)
{
	u64 addr[5];

	for (u32 order = 0; order < 120; order++) {
		u32 left = 5, code = order;

		for (u32 i = 0; i < 5; i++)
			addr[i] = must_take(0x1000ull << i, 1, BASE, BASE + 0x100000);
		vmap_set_mode(&sim->mm, order & 1 ? VMAP_EAGER : VMAP_MANUAL);
		while (left) {
			u32 pick = code % left;

			code /= left;
			give(addr[pick]);
			addr[pick] = addr[--left];
			if (code & 2)
				vmap_purge(&sim->mm);
		}
		vmap_purge(&sim->mm);
		ck_assert_ptr_null(vmap_check(&sim->mm));
		ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
	}
}
END_TEST

/* ---- against the oracle ---- */

struct arena {
	u64 state; /* of the random numbers */
	u64 base, pages;
	u64 max_pages;     /* of a request */
	u32 max_align_log; /* in pages */
	u32 check_every;
	struct vmap_model model;
	u32 nr_busy;
	u64 busy[4096];
};

static u64 next_random(struct arena *arena)
{
	arena->state ^= arena->state << 13;
	arena->state ^= arena->state >> 7;
	arena->state ^= arena->state << 17;
	return arena->state;
}

static u64 below(struct arena *arena, u64 limit)
{
	return next_random(arena) % limit;
}

/* Mostly the whole arena; sometimes a part of it, odd ends, an exact window, senseless sizes. */
static struct vmap_request random_request(struct arena *arena)
{
	struct vmap_request r = request_of((1 + below(arena, arena->max_pages)) << PAGE_SHIFT, 1,
					   arena->base, arena->base + (arena->pages << PAGE_SHIFT));

	if (below(arena, 2))
		r.align = 1ull << below(arena, PAGE_SHIFT + 1 + arena->max_align_log);
	if (below(arena, 4) == 0)
		r.start += below(arena, arena->pages << PAGE_SHIFT);
	if (below(arena, 4) == 0 && r.end - r.start > 1)
		r.end -= below(arena, r.end - r.start - 1);
	if (below(arena, 8) == 0)
		r.end = r.start + r.size > r.start ? r.start + r.size : ~0ull;
	if (below(arena, 64) == 0)
		r.size = (next_random(arena) >> below(arena, 52)) & PAGE_MASK;
	if (below(arena, 64) == 0)
		r.align = 1ull << below(arena, 64);
	if (r.size == 0)
		r.size = PAGE_SIZE;
	if (below(arena, 2))
		r.flags = VMAP_LINUX_SEARCH;
	return r;
}

static bool model_expects(struct arena *arena, const struct vmap_request *request, u64 *addr_out)
{
	if (model_place(&arena->model, request, addr_out))
		return true;
	if (sim->mm.vmap.mode != VMAP_MANUAL) {
		model_purge(&arena->model);
		if (model_place(&arena->model, request, addr_out))
			return true;
	}
	return !(request->flags & VMAP_LINUX_SEARCH) &&
	       model_place_exact(&arena->model, request, addr_out);
}

static void step_alloc(struct arena *arena)
{
	struct vmap_request request = random_request(arena);
	struct vmap_area *area = NULL;
	u64 expected = 0;
	bool fits = model_expects(arena, &request, &expected);
	int err = vmap_alloc(&sim->mm, &request, &area);

	if (err != (fits ? 0 : -ENOSPC) || (fits && area->va_start != expected))
		ck_abort_msg("size 0x%llx align 0x%llx window 0x%llx-0x%llx: result %d 0x%llx, "
			     "expected %s 0x%llx",
			     (unsigned long long)request.size, (unsigned long long)request.align,
			     (unsigned long long)request.start, (unsigned long long)request.end,
			     err, area ? (unsigned long long)area->va_start : 0,
			     fits ? "success" : "failure", (unsigned long long)expected);
	if (err)
		return;
	vmap_publish(&sim->mm, area, token(expected), VMAP_FRAMES);
	model_take(&arena->model, expected, request.size);
	arena->busy[arena->nr_busy++] = expected;
}

static void step_free(struct arena *arena)
{
	u32 pick = (u32)below(arena, arena->nr_busy);
	u64 addr = arena->busy[pick];

	arena->busy[pick] = arena->busy[--arena->nr_busy];
	give(addr);
	if (sim->mm.vmap.mode == VMAP_EAGER) {
		model_remove(&arena->model, addr);
		return;
	}
	model_make_lazy(&arena->model, addr);
	if (sim->mm.vmap.mode == VMAP_LAZY &&
	    model_lazy_pages(&arena->model) > sim->mm.vmap.lazy_max_pages)
		model_purge(&arena->model);
}

static void step(struct arena *arena)
{
	u64 kind = below(arena, 100);

	if (kind < 2) {
		vmap_purge(&sim->mm);
		model_purge(&arena->model);
	} else if (kind < 3) {
		vmap_set_mode(&sim->mm, (enum vmap_mode)below(arena, 3));
	} else if (arena->nr_busy && (kind < 40 || arena->nr_busy == ARRAY_SIZE(arena->busy))) {
		step_free(arena);
	} else {
		step_alloc(arena);
	}
}

static void random_steps(struct arena *arena, u64 steps)
{
	const char *wrong;

	for (u64 i = 0; i < steps; i++) {
		step(arena);
		if (i % arena->check_every != 0)
			continue;
		wrong = vmap_check(&sim->mm);
		if (wrong || !model_same(&arena->model, &sim->mm.vmap))
			ck_abort_msg("step %llu: %s", (unsigned long long)i,
				     wrong ? wrong : "the tiles differ from the model's");
	}
	while (arena->nr_busy)
		step_free(arena);
	vmap_purge(&sim->mm);
	ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	model_deinit(&arena->model);
}

static struct arena arena_of(int seed, u64 base, u64 pages)
{
	struct arena arena = {
		.state = (u64)seed * 0x9e3779b97f4a7c15ull + 1, .base = base, .pages = pages};

	printf("seed %d\n", seed);
	model_init(&arena.model);
	return arena;
}

START_TEST(small_spaces_are_placed_as_the_oracle_says)
{
	/* The middle of the space, its very start, and its very end. */
	const u64 pages = 120 + 200 * (u64)(_i % 4);
	const u64 bases[] = {BASE, 0, 0ull - (pages << PAGE_SHIFT)};
	struct arena arena = arena_of(_i, bases[_i % 3], pages);

	arena.max_pages = 12;
	arena.max_align_log = 4;
	arena.check_every = 1;
	sim->mm.vmap.lazy_max_pages = pages / 3;
	if (_i % 3 == 2)
		arena.pages--; /* the space ends one byte early */
	random_steps(&arena, 100000);
}
END_TEST

START_TEST(large_spaces_are_placed_as_the_oracle_says)
{
	struct arena arena = arena_of(_i, BASE, 1 << 16);

	arena.max_pages = 100;
	arena.max_align_log = 10;
	arena.check_every = 1000;
	random_steps(&arena, 100000);
}
END_TEST

/* ---- vmap_check() ---- */

/*
 *   | free | a busy | b busy | c lazy | d busy | e busy | free
 */
static struct vmap_area *a, *b, *c, *d, *e;

static void five_tiles(void)
{
	struct vmap_area **const all[] = {&a, &b, &c, &d, &e};

	setup();
	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	for (u32 i = 0; i < 5; i++)
		*all[i] = vmap_find(&sim->mm, must_take(0x2000, 1, BASE, BASE + 0x100000));
	give(c->va_start);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}

#define expect_wrong(text) ck_assert_str_eq(vmap_check(&sim->mm), text)

START_TEST(check_names_broken_tiles)
{
	c->va_start += PAGE_SIZE;
	expect_wrong("a tile does not begin where the one before it ends");
	c->va_start -= PAGE_SIZE;

	c->va_end = c->va_start;
	expect_wrong("a tile has no length");
	c->va_end = d->va_start;

	a->va_end++;
	b->va_start++;
	expect_wrong("a tile's end is not page aligned");
	a->va_end--;
	b->va_start--;

	c->state = 3;
	expect_wrong("a tile has no known state");
	c->state = VMAP_AREA_LAZY;

	b->kind = 9;
	expect_wrong("a busy tile has no known kind");
	b->kind = VMAP_FRAMES;

	b->tile.prev = &d->tile;
	expect_wrong("the tile list is broken");
	b->tile.prev = &a->tile;
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(check_names_a_space_not_covered)
{
	struct vmap_area *last = next_tile(e);

	last->va_end -= 0xfff;
	rb_propagate(&last->node, hole_summarise);
	expect_wrong("the tiles do not cover the space");
}
END_TEST

START_TEST(check_names_free_tiles_that_touch)
{
	rb_erase(&sim->mm.vmap.busy, &e->node, NULL);
	hole_insert(&sim->mm.vmap, e);
	expect_wrong("two free tiles touch");
}
END_TEST

START_TEST(check_names_what_is_wrong_in_the_trees)
{
	struct vmap_space *space = &sim->mm.vmap;
	struct vmap_area *last = next_tile(e);

	rb_erase(&space->busy, &b->node, NULL);
	expect_wrong("a busy tile is not in its place in the busy tree");
	rb_insert_after(&space->busy, &b->node, &d->node, NULL);
	expect_wrong("a busy tile is not in its place in the busy tree");
	rb_erase(&space->busy, &b->node, NULL);
	rb_insert_after(&space->busy, &b->node, &a->node, NULL);
	ck_assert_ptr_null(vmap_check(&sim->mm));

	hole_erase(space, last);
	expect_wrong("a free tile is not in its place in the free tree");
	hole_insert(space, last);

	last->subtree_max--;
	expect_wrong("a node's summary is wrong");
	ck_assert_ptr_null(vmap_check(&sim->mm));

	space->busy.node->parent_color |= RB_RED;
	expect_wrong("the root is red");
}
END_TEST

START_TEST(check_names_a_tree_node_that_is_no_tile)
{
	list_del(&e->tile);
	d->va_end = e->va_end;
	expect_wrong("a tree holds what is no tile");
}
END_TEST

START_TEST(check_names_a_broken_lazy_list)
{
	struct vmap_space *space = &sim->mm.vmap;

	give(a->va_start);
	ck_assert_ptr_eq(space->lazy, a);
	space->lazy = c;
	expect_wrong("a lazy tile is not on the lazy list");
	/* One that a purge is at is on that list instead. */
	space->purging = a;
	a->next_lazy = NULL;
	ck_assert_ptr_null(vmap_check(&sim->mm));
	a->next_lazy = c;
	expect_wrong("the lazy list is longer than there are lazy tiles");
	space->purging = NULL;
	space->lazy = a;
	c->next_lazy = a;
	expect_wrong("the lazy list is longer than there are lazy tiles");
	c->next_lazy = b;
	expect_wrong("a tile on the lazy list is not lazy");
	c->next_lazy = NULL;
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(check_names_a_recent_tile_that_is_not_busy)
{
	struct vmap_area **slot = recent_slot(&sim->mm.vmap, c->va_start);

	ck_assert_ptr_null(*slot);
	*slot = c;
	expect_wrong("a recent tile is not busy");
	*slot = NULL;
	ck_assert_ptr_eq(*recent_slot(&sim->mm.vmap, e->va_start), e);
	*recent_slot(&sim->mm.vmap, e->va_start) = d;
	expect_wrong("a recent tile is not busy");
}
END_TEST

START_TEST(check_names_a_wrong_hint)
{
	struct vmap_hint *hint = &sim->mm.vmap.hint;
	struct vmap_area *last = next_tile(e);

	ck_assert_ptr_eq(hint->hole, last);
	*hint = (struct vmap_hint){c, hint->start, ~0ull};
	expect_wrong("the hint's hole is no free tile");
	*hint = (struct vmap_hint){last, hint->start, 0x2000};
	rb_erase(&sim->mm.vmap.busy, &b->node, NULL);
	sim->mm.vmap.nr_busy--;
	*recent_slot(&sim->mm.vmap, b->va_start) = NULL;
	hole_insert(&sim->mm.vmap, b);
	expect_wrong("the hint leaves out a hole");
	hint->bytes = 0x3000;
	ck_assert_ptr_null(vmap_check(&sim->mm));
	hint->bytes = 0x1000;
	hint->start = b->va_start + 0x1000;
	expect_wrong("the hint leaves out a hole");
	hint->start += 1;
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(check_names_each_wrong_count)
{
	struct vmap_space *space = &sim->mm.vmap;

	space->nr_busy++;
	expect_wrong("the count of busy tiles is wrong");
	space->nr_busy--;
	space->nr_free++;
	expect_wrong("the count of free tiles is wrong");
	space->nr_free--;
	space->nr_lazy++;
	expect_wrong("the count of lazy tiles is wrong");
	space->nr_lazy--;
	space->nr_lazy_pages++;
	expect_wrong("the count of lazy pages is wrong");
	space->nr_lazy_pages--;
	give(d->va_start);
	vmap_purge(&sim->mm);
	ck_assert_uint_gt(space->nr_spare, 0);
	space->nr_spare++;
	expect_wrong("the count of spare objects is wrong");
	space->nr_spare -= 2;
	expect_wrong("the count of spare objects is wrong");
	space->nr_spare++;
	space->spare->next_lazy = space->spare;
	expect_wrong("the count of spare objects is wrong");
}
END_TEST

static Suite *vmap_suite(void)
{
	Suite *suite = suite_create("vmap");
	TCase *cases = tcase_create("cases"), *oracle = tcase_create("oracle");
	TCase *check = tcase_create("check");

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, a_new_space_is_one_free_tile);
	tcase_add_test(cases, the_lowest_hole_that_fits_is_taken);
	tcase_add_test(cases, a_start_that_is_no_page_is_rounded_up);
	tcase_add_test(cases, an_end_in_mid_page_bounds_the_area);
	tcase_add_test(cases, an_exact_window_needs_no_room_for_alignment);
	tcase_add_test(cases,
		       a_large_alignment_skips_a_hole_that_would_do_unless_nothing_else_does);
	tcase_add_test(cases, what_is_no_request_is_refused);
	tcase_add_test(cases, nothing_is_placed_beyond_the_window_or_the_end_of_addresses);
	tcase_add_test(cases, the_largest_request_is_the_whole_space);
	tcase_add_test(cases, a_cut_without_memory_leaves_the_hole_whole);
	tcase_add_test(cases, spare_objects_are_used_first_and_can_be_given_back);
	tcase_add_test(cases, an_area_is_found_by_its_start_or_by_what_it_contains);
	tcase_add_test(cases, only_one_claim_of_a_complete_area_succeeds);
	tcase_add_test(cases, a_lazy_range_is_not_used_again_before_the_purge_that_flushes_it);
	tcase_add_test(cases, an_eager_free_is_flushed_alone_and_at_once);
	tcase_add_test(cases, a_full_window_is_purged_before_it_fails_but_not_in_manual_mode);
	tcase_add_test(cases, too_many_lazy_pages_start_a_purge_but_not_in_manual_mode);
	tcase_add_test(cases, everything_freed_is_one_tile_again);
	suite_add_tcase(suite, cases);

	tcase_add_checked_fixture(oracle, setup, teardown);
	tcase_set_timeout(oracle, 120);
	tcase_add_loop_test(oracle, small_spaces_are_placed_as_the_oracle_says, 0, 20);
	tcase_add_loop_test(oracle, large_spaces_are_placed_as_the_oracle_says, 0, 20);
	suite_add_tcase(suite, oracle);

	tcase_add_checked_fixture(check, five_tiles, teardown);
	tcase_add_test(check, check_names_broken_tiles);
	tcase_add_test(check, check_names_a_space_not_covered);
	tcase_add_test(check, check_names_free_tiles_that_touch);
	tcase_add_test(check, check_names_what_is_wrong_in_the_trees);
	tcase_add_test(check, check_names_a_tree_node_that_is_no_tile);
	tcase_add_test(check, check_names_a_broken_lazy_list);
	tcase_add_test(check, check_names_a_recent_tile_that_is_not_busy);
	tcase_add_test(check, check_names_a_wrong_hint);
	tcase_add_test(check, check_names_each_wrong_count);
	suite_add_tcase(suite, check);
	return suite;
}

int main(void)
{
	return harness_run(vmap_suite());
}
