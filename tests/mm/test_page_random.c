/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Long random runs against a model of frames: who holds which. Every operation's result is held
 * against what the flags allow, every held frame carries a stamp that only its holder may change,
 * and at the end everything is freed and the largest blocks must be there again.
 *
 * SEED and OPS in the environment choose another run; a failure prints the seed.
 */
#include "tests/harness.h"
#include "tests/mm/sim.h"

#include <string.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

#define MAX_BLOCKS 40000
#define BULK       700
#define STAMP      0x9e3779b97f4a7c15ull

struct block {
	struct page *page;
	u32 order;
};

struct run {
	struct sim *sim;
	struct mm *mm;
	u64 seed, state;
	u64 nr_nofail;  /* __GFP_NOFAIL allocations that failed */
	u64 first_free; /* frames free at the start */
	u64 end_pfn;    /* of all RAM */
	u8 *held;       /* by pfn: 1 while it is handed out */
	u64 nr_held;    /* frames */
	u32 nr_blocks, steps;
	struct block block[MAX_BLOCKS];
};

static u32 draw(struct run *run, u32 below)
{
	run->state ^= run->state << 13;
	run->state ^= run->state >> 7;
	run->state ^= run->state << 17;
	return (u32)(run->state >> 32) % below;
}

/* Check's own assertions write to a pipe each time; these are too many for that. */
#define run_assert(run, condition)                                                        \
	do {                                                                              \
		if (!(condition))                                                         \
			ck_abort_msg("seed %lu, step %u: %s", (unsigned long)(run)->seed, \
				     (run)->steps, #condition);                           \
	} while (0)

static void check_sound(struct run *run)
{
	const char *wrong = page_alloc_check(run->mm);

	if (wrong)
		ck_abort_msg("seed %lu, step %u: %s", (unsigned long)run->seed, run->steps, wrong);
	run_assert(run, nr_free_pages(run->mm) ==
				run->first_free - run->nr_held - 512 * run->sim->nr_populated);
}

static u64 *stamp_of(struct run *run, struct page *page)
{
	return page_address(run->mm, page);
}

static int node_of(struct run *run, u64 phys)
{
	for (u32 i = 0; i < run->mm->nr_ram; i++) {
		if (phys >= run->mm->ram[i].start && phys < run->mm->ram[i].end)
			return (int)run->mm->ram[i].node;
	}
	return -1;
}

static bool is_reserved(struct run *run, u64 phys)
{
	for (u32 i = 0; i < run->mm->nr_reserved; i++) {
		if (phys >= run->mm->reserved[i].start && phys < run->mm->reserved[i].end)
			return true;
	}
	return false;
}

static void enter(struct run *run, struct page *page, u32 order, gfp_t gfp, int node)
{
	u64 pfn = page_to_pfn(run->mm, page);
	u64 limit = gfp & GFP_DMA ? ZONE_DMA_END_PFN : gfp & GFP_DMA32 ? ZONE_DMA32_END_PFN : ~0ull;

	run_assert(run, pfn + (1ull << order) <= run->end_pfn && pfn % (1ull << order) == 0);
	run_assert(run, pfn + (1ull << order) <= limit);
	run_assert(run, page->order == order && page->state == PAGE_OTHER && page->refcount == 1);
	run_assert(run, page->owner == run);
	for (u64 i = 0; i < 1ull << order; i++) {
		u64 phys = (pfn + i) << PAGE_SHIFT;
		u64 *stamp = stamp_of(run, page + i);

		run_assert(run, !run->held[pfn + i] && !is_reserved(run, phys));
		run_assert(run, node_of(run, phys) == page->node);
		if (gfp & __GFP_THISNODE)
			run_assert(run, page->node == node);
		if (gfp & __GFP_ZERO)
			run_assert(run, stamp[0] == 0 && stamp[511] == 0);
		run->held[pfn + i] = 1;
		stamp[0] = stamp[511] = (pfn + i) * STAMP + 1;
	}
	run->nr_held += 1ull << order;
	run->block[run->nr_blocks++] = (struct block){page, order};
}

/* Takes block @index out of the model, and looks whether anybody else wrote to it. */
static struct block leave(struct run *run, u32 index)
{
	struct block block = run->block[index];
	u64 pfn = page_to_pfn(run->mm, block.page);

	run->block[index] = run->block[--run->nr_blocks];
	for (u64 i = 0; i < 1ull << block.order; i++) {
		u64 *stamp = stamp_of(run, block.page + i);

		run_assert(run, stamp[0] == (pfn + i) * STAMP + 1 && stamp[511] == stamp[0]);
		run_assert(run, run->held[pfn + i]);
		run->held[pfn + i] = 0;
	}
	run->nr_held -= 1ull << block.order;
	return block;
}

static gfp_t draw_gfp(struct run *run)
{
	static const gfp_t some[] = {
		0,           0, 0, 0, GFP_DMA, GFP_DMA32, __GFP_HIGH, __GFP_ZERO, __GFP_THISNODE,
		__GFP_NOFAIL};

	return GFP_KERNEL | __GFP_NOWARN | some[draw(run, ARRAY_SIZE(some))];
}

/* One that was not to fail is the only thing to be warned of. */
static void count_failure(struct run *run, gfp_t gfp)
{
	run->nr_nofail += !!(gfp & __GFP_NOFAIL);
}

static void step_alloc(struct run *run)
{
	u32 order = draw(run, 4) ? draw(run, 4) : draw(run, MAX_ORDER + 1);
	gfp_t gfp = draw_gfp(run);
	int node = (int)draw(run, run->mm->nr_nodes);
	struct page *page = alloc_pages(run->mm, gfp, order, node, PAGE_OTHER, run);

	if (page)
		enter(run, page, order, gfp, node);
	else
		count_failure(run, gfp);
}

static void step_alloc_bulk(struct run *run)
{
	u64 want = draw(run, BULK), got;
	gfp_t gfp = draw_gfp(run);
	int node = (int)draw(run, run->mm->nr_nodes);
	struct page *pages[BULK];

	got = alloc_pages_bulk(run->mm, gfp, node, PAGE_OTHER, run, want, pages);
	run_assert(run, got <= want);
	if (got < want)
		count_failure(run, gfp);
	for (u64 i = 0; i < got; i++)
		enter(run, pages[i], 0, gfp, node);
}

static void step_free(struct run *run)
{
	struct block block;

	if (run->nr_blocks == 0)
		return;
	block = leave(run, draw(run, run->nr_blocks));
	free_pages(run->mm, block.page, block.order);
}

static void step_free_bulk(struct run *run)
{
	u32 want = draw(run, BULK), nr = 0;
	struct page *pages[BULK];

	for (u32 i = 0; i < want && run->nr_blocks; i++) {
		u32 index = draw(run, run->nr_blocks);
		struct block block;

		if (run->block[index].order)
			continue;
		block = leave(run, index);
		pages[nr++] = block.page;
	}
	free_pages_bulk(run->mm, nr, pages);
}

static void step(struct run *run)
{
	u32 what = draw(run, 1000);

	/* Waves: now more comes in, now more goes out, so that both ends are reached. */
	bool filling = run->steps / 3000 % 2 == 0;

	run->steps++;
	sim_set_cpu(draw(run, run->mm->nr_cpus));
	if (what < 5)
		drain_local_pages(run->mm);
	else if (what < 45 && run->nr_blocks + BULK < MAX_BLOCKS)
		step_alloc_bulk(run);
	else if (what < (filling ? 80 : 100))
		step_free_bulk(run);
	else if (what < (filling ? 600 : 450) && run->nr_blocks < MAX_BLOCKS)
		step_alloc(run);
	else
		step_free(run);
}

static void free_everything(struct run *run)
{
	while (run->nr_blocks) {
		struct block block = leave(run, draw(run, run->nr_blocks));

		free_pages(run->mm, block.page, block.order);
	}
	for (u32 cpu = 0; cpu < run->mm->nr_cpus; cpu++)
		drain_pages(run->mm, cpu);
	check_sound(run);
}

/* Whether the 4 MiB at @pfn are RAM that was never anything but frames to hand out. */
static bool is_large_block(struct run *run, u64 pfn)
{
	if (node_of(run, pfn << PAGE_SHIFT) < 0 || !run->mm->section_online[pfn / SECTION_PAGES])
		return false;
	for (u64 i = 0; i < MAX_ORDER_PAGES; i++) {
		if (is_reserved(run, (pfn + i) << PAGE_SHIFT) ||
		    pfn_to_page(run->mm, pfn + i)->state == PAGE_MEMMAP)
			return false;
	}
	return true;
}

/* With everything freed, every 4 MiB that can be one block must be to be had as one. */
static void take_all_large(struct run *run)
{
	u64 expected = 0, got = 0;

	while (alloc_pages(run->mm, GFP_KERNEL | __GFP_HIGH | __GFP_NOWARN, MAX_ORDER, 0,
			   PAGE_OTHER, run))
		got++;
	for (u64 pfn = 0; pfn < run->end_pfn; pfn += MAX_ORDER_PAGES)
		expected += is_large_block(run, pfn);
	ck_assert_msg(got == expected, "seed %lu: %lu large blocks of %lu",
		      (unsigned long)run->seed, (unsigned long)got, (unsigned long)expected);
	ck_assert_ptr_null(page_alloc_check(run->mm));
}

static struct run *start_run(const struct sim_config *config, u64 seed)
{
	struct run *run = calloc(1, sizeof(*run));

	run->sim = sim_create_frames(config);
	run->mm = &run->sim->mm;
	run->seed = seed;
	run->state = seed * STAMP + 1;
	run->first_free = nr_free_pages(run->mm);
	run->end_pfn = run->sim->ram_bytes >> PAGE_SHIFT;
	run->held = calloc(run->end_pfn, 1);
	return run;
}

static void end_run(struct run *run)
{
	ck_assert_uint_eq(run->sim->nr_warnings, run->nr_nofail);
	sim_destroy(run->sim);
	free(run->held);
	free(run);
}

static struct sim_config machine(int which)
{
	struct sim_config config = {0};

	switch (which) {
	case 0:
		return sim_default_config(2);
	case 1:
		config.nr_cpus = 4;
		sim_add_ram(&config, 0, 32 * MIB, 0);
		sim_add_ram(&config, 32 * MIB, 32 * MIB, 2);
		sim_add_ram(&config, 64 * MIB, 160 * MIB, 0);
		sim_add_ram(&config, 4 * GIB, 20 * MIB, 1);
		sim_add_reserved(&config, 15 * MIB, 2 * MIB, RESERVED_IMAGE);
		sim_add_reserved(&config, 100 * MIB + 4096, 5 * 4096, RESERVED_BOOT);
		sim_add_reserved(&config, 127 * MIB, 4096, RESERVED_BOOT);
		return config;
	default:
		config.nr_cpus = 1;
		sim_add_ram(&config, 0, 8 * MIB, 0);
		sim_add_reserved(&config, MIB, MIB / 2, RESERVED_IMAGE);
		return config;
	}
}

static u64 setting(const char *name, u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void run_steps(int which, u64 seed, u64 ops, u32 every)
{
	struct sim_config config = machine(which);
	struct run *run = start_run(&config, seed);

	while (run->steps < ops) {
		step(run);
		if (run->steps % every == 0)
			check_sound(run);
	}
	free_everything(run);
	take_all_large(run);
	end_run(run);
}

START_TEST(short_runs_are_sound_after_each_step)
{
	run_steps(_i, setting("SEED", 1000 + (u64)_i), 1500, 1);
}
END_TEST

START_TEST(long_runs_end_where_they_began)
{
	u64 seed = setting("SEED", (u64)_i / 3);

	run_steps(_i % 3, seed, setting("OPS", 100000), 2000);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("page_random");
	TCase *tcase = tcase_create("random");

	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, short_runs_are_sound_after_each_step, 0, 3);
	tcase_add_loop_test(tcase, long_runs_end_where_they_began, 0, 6);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(suite());
}
