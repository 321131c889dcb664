/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nine cases of Linux's test_vmalloc that nestbox is measured by (facts: one more loop, the
 * difference of two loop counts), on the simulated machine, for counting instructions:
 *
 *   valgrind --tool=callgrind --toggle-collect=measured build/tests/mm/bench_core CASE LOOPS
 *
 * tests/mm/bench_core.sh runs them all and does the sum. What a loop does is what Linux's does,
 * but for the touch of the memory: a vmalloc address means nothing on the host.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm/errno.h"
#include "mm/vmalloc.h"
#include "tests/mm/sim.h"

static struct sim *sim;
static u64 random_state = 1;

static u64 next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* What the guest does here costs a few instructions; the simulation's own records would not. */
static void op_nothing(void *arch, u64 start, u64 end)
{
}

static u64 allocate(u64 pages, u64 align, gfp_t gfp)
{
	const struct vmalloc_request request = {.size = pages << PAGE_SHIFT,
						.align = align,
						.start = VMALLOC_START,
						.end = VMALLOC_END,
						.prot = PAGE_KERNEL,
						.gfp = gfp,
						.node = NUMA_NO_NODE};
	u64 addr;
	int err = vmalloc_node_range(&sim->mm, &request, &addr);

	if (err) {
		fprintf(stderr, "vmalloc of %llu pages: %d\n", (unsigned long long)pages, err);
		exit(EXIT_FAILURE);
	}
	return addr;
}

static void release(u64 addr)
{
	if (vfree(&sim->mm, addr) != 0)
		exit(EXIT_FAILURE);
}

static void fix_size(u64 pages)
{
	release(allocate(pages, 1, GFP_KERNEL));
}

static void long_busy_list(u64 pages)
{
	u64 large = allocate(100, 1, GFP_KERNEL), small = allocate(1, 1, GFP_KERNEL);

	release(large);
	release(small);
}

static void random_size(u64 pages)
{
	fix_size(1 + next_random() % 100);
}

static void fix_align(u64 pages)
{
	release(allocate(5, 32768, GFP_KERNEL | __GFP_ZERO));
}

static void random_size_align(u64 pages)
{
	u64 r = next_random() & 0xff;

	release(allocate(r % 10 + 1, 1ull << (r % 23), GFP_KERNEL | __GFP_ZERO));
}

/* Every second of 16,384 one-page areas is free: as many holes of just one page and its guard. */
static void prepare_full_fit(void)
{
	static u64 junk[8192];

	for (u64 i = 0; i < ARRAY_SIZE(junk); i++) {
		allocate(1, 1, GFP_KERNEL);
		junk[i] = allocate(1, 1, GFP_KERNEL);
	}
	for (u64 i = 0; i < ARRAY_SIZE(junk); i++)
		release(junk[i]);
}

static void prepare_long_busy_list(void)
{
	for (u64 i = 0; i < 15000; i++)
		allocate(1, 1, GFP_KERNEL);
}

static const struct bench {
	const char *name;
	u64 pages;
	void (*prepare)(void);
	void (*body)(u64 pages);
} benches[] = {
	{"fix_size-1", 1, NULL, fix_size},
	{"fix_size-16", 16, NULL, fix_size},
	{"fix_size-128", 128, NULL, fix_size},
	{"fix_size-512", 512, NULL, fix_size},
	{"full_fit", 1, prepare_full_fit, fix_size},
	{"long_busy_list", 0, prepare_long_busy_list, long_busy_list},
	{"random_size", 0, NULL, random_size},
	{"fix_align", 0, NULL, fix_align},
	{"random_size_align", 0, NULL, random_size_align},
};

void measured(const struct bench *bench, u64 loops);

/* What callgrind collects; not static, not inlined, so that it has a name. */
__attribute__((noinline)) void measured(const struct bench *bench, u64 loops)
{
	while (loops--)
		bench->body(bench->pages);
}

static void run(const struct bench *bench, u64 loops)
{
	struct sim_config config = {.nr_cpus = 1};
	struct arch_ops ops;

	sim_add_ram(&config, 0, 512ull << 20, 0);
	sim_add_ram(&config, 4ull << 30, 512ull << 20, 0);
	sim = sim_create(&config);
	ops = *sim->mm.ops;
	ops.flush_cache_vmap = op_nothing;
	ops.flush_cache_vunmap = op_nothing;
	ops.flush_tlb_kernel_range = op_nothing;
	sim->mm.ops = &ops;
	if (bench->prepare)
		bench->prepare();
	measured(bench, loops);
	sim_destroy(sim);
}

int main(int argc, char **argv)
{
	for (u64 i = 0; i < ARRAY_SIZE(benches); i++) {
		if (argc < 3)
			printf("%s\n", benches[i].name);
		else if (strcmp(argv[1], benches[i].name) == 0)
			return run(&benches[i], strtoull(argv[2], NULL, 10)), EXIT_SUCCESS;
	}
	if (argc >= 3)
		fprintf(stderr, "%s: no such case\n", argv[1]);
	return argc >= 3 ? EXIT_FAILURE : EXIT_SUCCESS;
}
