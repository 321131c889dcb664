/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Placement against the oracle (tests/mm/vmap_model.h), for random requests in spaces of several
 * sizes and in all modes.
 */
#include "tests/mm/vmap_fixture.h"
#include "tests/mm/vmap_model.h"

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

static Suite *vmap_oracle_suite(void)
{
	Suite *suite = suite_create("vmap_oracle");
	TCase *tcase = tcase_create("vmap_oracle");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, small_spaces_are_placed_as_the_oracle_says, 0, 20);
	tcase_add_loop_test(tcase, large_spaces_are_placed_as_the_oracle_says, 0, 20);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vmap_oracle_suite());
}
