/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long audits and looks of a real guest take: so many pages in areas of one size, the
 * shortest of some rounds. Not a test.
 *
 *     bench_look [PAGES [PAGES_PER_AREA [ROUNDS]]]
 *
 * Where the guest's kernel mode is emulated, 32,768 pages in areas of 128 take some seconds to
 * allocate, and areas of one page a minute.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mm/vmalloc.h"
#include "tests/engine.h"
#include "vmm/audit/audit.h"
#include "vmm/attach/inspector.h"
#include "vmm/look/diff.h"
#include "vmm/look/maps.h"
#include "vmm/look/walk.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "bench_look: %s: error %d\n", what, err);
	exit(EXIT_FAILURE);
}

static void fill(struct guest *guest, uint64_t pages, uint64_t per_area)
{
	struct nb_submission sqe[NB_RING_ENTRIES];
	struct nb_completion cqe[NB_RING_ENTRIES];
	uint64_t areas = (pages + per_area - 1) / per_area;

	for (size_t i = 0; i < NB_RING_ENTRIES; i++)
		sqe[i] = (struct nb_submission){
			.opcode = NB_OP_VMALLOC,
			.arg = {per_area * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END, GFP_KERNEL,
				PAGE_KERNEL, VM_ALLOC, (uint64_t)-1},
		};
	while (areas > 0) {
		size_t count = areas < NB_RING_ENTRIES ? areas : NB_RING_ENTRIES;

		check(guest_call_batch(guest, 0, sqe, count, cqe, NULL), "a batch");
		for (size_t i = 0; i < count; i++)
			check((int)cqe[i].status, "an allocation");
		areas -= count;
	}
}

static int count_map(void *context, const struct look_map *map)
{
	return 0;
}

static void time_audit(struct inspector *inspector, uint64_t rounds)
{
	struct audit *audit = audit_create();
	struct audit_result result = {0};
	double best = 1e9;

	for (uint64_t i = 0; audit && i < rounds; i++) {
		check(audit_run(audit, inspector, AUDIT_ALL, i, &result), "an audit");
		best = result.seconds < best ? result.seconds : best;
	}
	printf("  %-12s %10.3f ms  %llu items, %llu violations\n", "audit", best * 1e3,
	       (unsigned long long)result.items, (unsigned long long)result.violations);
	for (unsigned int check_index = 0; audit && check_index < AUDIT_NR_CHECKS; check_index++) {
		best = 1e9;
		for (uint64_t i = 0; i < rounds; i++) {
			check(audit_run(audit, inspector, AUDIT_BIT(check_index), i, &result),
			      "an audit");
			best = result.seconds < best ? result.seconds : best;
		}
		printf("    %-10s %10.3f ms\n", audit_checks()[check_index].name, best * 1e3);
	}
	audit_destroy(audit);
}

static void time_looks(struct inspector *inspector, uint64_t rounds)
{
	const struct look_maps_query query = {.start = 0};
	double maps = 1e9, walk = 1e9, snapshot = 1e9;
	struct look_maps_sum sum = {0};

	for (uint64_t i = 0; i < rounds; i++) {
		struct look_snapshot *taken;
		struct look_walk walked;
		double start = now();

		check(look_maps(inspector, &query, count_map, NULL, &sum), "maps");
		maps = now() - start < maps ? now() - start : maps;
		start = now();
		look_walk(inspector, NULL, VMALLOC_START, NULL, &walked);
		walk = now() - start < walk ? now() - start : walk;
		start = now();
		check(look_snapshot(inspector, &taken), "a snapshot");
		snapshot = now() - start < snapshot ? now() - start : snapshot;
		look_snapshot_free(taken);
	}
	printf("  %-12s %10.3f ms  %llu leaves, %llu ranges\n", "maps", maps * 1e3,
	       (unsigned long long)sum.leaves, (unsigned long long)sum.ranges);
	printf("  %-12s %10.3f ms\n", "walk", walk * 1e3);
	printf("  %-12s %10.3f ms\n", "snapshot", snapshot * 1e3);
}

static uint64_t argument(int argc, char **argv, int index, uint64_t otherwise)
{
	return argc > index ? strtoull(argv[index], NULL, 0) : otherwise;
}

int main(int argc, char **argv)
{
	uint64_t pages = argument(argc, argv, 1, 32768), rounds = argument(argc, argv, 3, 5);
	uint64_t per_area = argument(argc, argv, 2, 128);
	const struct guest_config config = {
		.engine = harness_engine(),
		.memory_bytes = ALIGN_UP(3 * pages * PAGE_SIZE, 8ull << 20) + (256ull << 20)};
	struct inspector *inspector;
	struct error error = {""};
	struct guest_report report;
	struct guest *guest;
	double start;

	if (pages == 0 || per_area == 0 || rounds == 0) {
		fprintf(stderr, "usage: bench_look [PAGES [PAGES_PER_AREA [ROUNDS]]]\n");
		return 2;
	}
	if (guest_start(&config, &guest, &report, &error)) {
		fprintf(stderr, "bench_look: %s\n", error.text);
		return EXIT_FAILURE;
	}
	start = now();
	fill(guest, pages, per_area);
	printf("%s: %llu pages in areas of %llu, allocated in %.2f s\n",
	       guest_kvm_host(guest)->module, (unsigned long long)pages,
	       (unsigned long long)per_area, now() - start);
	check(inspector_create_for_guest(guest, &inspector, &error), error.text);
	time_audit(inspector, rounds);
	time_looks(inspector, rounds);
	inspector_destroy(inspector);
	guest_destroy(guest);
	return EXIT_SUCCESS;
}
