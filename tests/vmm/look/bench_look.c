/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long looking takes, on a simulated core with so many pages mapped in areas of one size: the
 * shortest of a number of rounds of each look.
 *
 *     bench_look [PAGES [PAGES_PER_AREA [ROUNDS]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mm/vmalloc.h"
#include "tests/vmm/inspect/core_source.h"
#include "vmm/look/diff.h"
#include "vmm/look/maps.h"
#include "vmm/look/search.h"
#include "vmm/look/tree.h"
#include "vmm/look/walk.h"

#define WALKS 10000

struct bench {
	struct inspector *inspector;
	uint64_t first, bytes; /* the addresses that are mapped, more or less */
	uint64_t count;        /* what the look counted */
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(int err)
{
	if (!err)
		return;
	fprintf(stderr, "bench_look: error %d\n", err);
	exit(EXIT_FAILURE);
}

/* ---- the looks ---- */

static int count_map(void *context, const struct look_map *map)
{
	return 0;
}

static void run_maps(struct bench *bench)
{
	const struct look_maps_query query = {.start = 0};
	struct look_maps_sum sum;

	check(look_maps(bench->inspector, &query, count_map, NULL, &sum));
	bench->count = sum.leaves;
}

static void run_maps_split(struct bench *bench)
{
	const struct look_maps_query query = {.split_frames = true};
	struct look_maps_sum sum;

	check(look_maps(bench->inspector, &query, count_map, NULL, &sum));
	bench->count = sum.ranges;
}

static void run_walk(struct bench *bench)
{
	struct look_walk walk;
	uint64_t at = 0;

	bench->count = 0;
	for (int i = 0; i < WALKS; i++) {
		at = (at + 0x9e3779b97f4a7000ull) % bench->bytes;
		look_walk(bench->inspector, NULL, bench->first + at, NULL, &walk);
		bench->count += walk.entry_count;
	}
}

static int count_hit(void *context, uint64_t address)
{
	return 0;
}

static void run_search(struct bench *bench)
{
	const struct look_search_query query = {.pattern = "no such text", .pattern_bytes = 12};
	struct look_search_sum sum;

	check(look_search(bench->inspector, &query, count_hit, NULL, &sum));
	bench->count = sum.bytes >> 20;
}

static void run_frames(struct bench *bench)
{
	struct look_frames frames;

	check(look_frames(bench->inspector, &frames));
	bench->count = frames.total;
	look_frames_free(&frames);
}

static void run_slabs(struct bench *bench)
{
	struct look_slabs slabs;

	check(look_slabs(bench->inspector, &slabs));
	bench->count = slabs.nr_slabs;
	look_slabs_free(&slabs);
}

static void run_tree(struct bench *bench)
{
	struct look_tree tree;

	check(look_tree(bench->inspector, 0, 0, &tree));
	bench->count = tree.areas.count;
	look_tree_free(&tree);
}

static void run_snapshot(struct bench *bench)
{
	struct look_snapshot *snapshot;

	check(look_snapshot(bench->inspector, &snapshot));
	look_snapshot_free(snapshot);
	bench->count = 1;
}

static const struct {
	const char *name, *unit;
	void (*run)(struct bench *bench);
} looks[] = {
	{"maps", "leaves", run_maps},         {"maps, split", "ranges", run_maps_split},
	{"10000 walks", "entries", run_walk}, {"search", "MiB", run_search},
	{"frames", "frames", run_frames},     {"slabs", "caches", run_slabs},
	{"tree", "tiles", run_tree},          {"snapshot", "", run_snapshot},
};

/* ---- the core ---- */

static uint64_t argument(int argc, char **argv, int index, uint64_t otherwise)
{
	return argc > index ? strtoull(argv[index], NULL, 0) : otherwise;
}

static void fill(struct sim *sim, uint64_t pages, uint64_t per_area)
{
	const struct vmalloc_request request = {
		.size = per_area * PAGE_SIZE,
		.align = 1,
		.start = VMALLOC_START,
		.end = VMALLOC_END,
		.prot = PAGE_KERNEL,
		.gfp = GFP_KERNEL,
		.node = NUMA_NO_NODE,
	};
	uint64_t addr;

	for (uint64_t got = 0; got < pages; got += per_area)
		check(vmalloc_node_range(&sim->mm, &request, &addr));
}

int main(int argc, char **argv)
{
	uint64_t pages = argument(argc, argv, 1, 1000000), rounds = argument(argc, argv, 3, 5);
	uint64_t per_area = argument(argc, argv, 2, 64);
	struct sim_config config = {.nr_cpus = 1};
	struct core_source *source;
	struct bench bench;
	struct sim *sim;

	if (pages == 0 || per_area == 0 || rounds == 0) {
		fprintf(stderr, "usage: bench_look [PAGES [PAGES_PER_AREA [ROUNDS]]]\n");
		return 2;
	}
	sim_add_ram(&config, 0, 512ull << 20, 0);
	sim_add_ram(&config, 4ull << 30, ALIGN_UP(2 * pages * PAGE_SIZE, 128ull << 20), 0);
	sim = sim_create(&config);
	fill(sim, pages, per_area);
	source = core_source_create(sim);
	bench = (struct bench){.inspector = source->inspector,
			       .first = VMALLOC_START,
			       .bytes = pages / per_area * (per_area + 1) * PAGE_SIZE};
	printf("%llu pages in areas of %llu:\n", (unsigned long long)pages,
	       (unsigned long long)per_area);
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		double best = 1e9;

		/* Vmalloc memory nobody wrote: a search would only make it real. */
		if (looks[i].run == run_search && pages > 100000)
			continue;
		for (uint64_t round = 0; round < rounds; round++) {
			double start = now(), seconds;

			looks[i].run(&bench);
			seconds = now() - start;
			best = seconds < best ? seconds : best;
		}
		printf("  %-12s %10.3f ms  %llu %s\n", looks[i].name, best * 1e3,
		       (unsigned long long)bench.count, looks[i].unit);
	}
	core_source_destroy(source);
	sim_destroy(sim);
	return EXIT_SUCCESS;
}
