/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long an audit takes: a simulated core with 128 MiB in use, in areas of one size, audited a
 * number of times; the shortest is printed, for all checks at once and for each alone.
 *
 *     bench_audit [PAGES_PER_AREA [PAGES [ROUNDS]]]
 */
#include <stdio.h>
#include <stdlib.h>

#include "mm/vmalloc.h"
#include "tests/vmm/inspect/core_source.h"
#include "vmm/audit/audit.h"

static uint64_t argument(int argc, char **argv, int index, uint64_t otherwise)
{
	return argc > index ? strtoull(argv[index], NULL, 0) : otherwise;
}

static uint64_t fill(struct sim *sim, uint64_t per_area, uint64_t pages)
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
	uint64_t areas = 0, addr;

	for (uint64_t got = 0; got < pages; got += per_area, areas++) {
		if (vmalloc_node_range(&sim->mm, &request, &addr)) {
			fprintf(stderr, "the core is out of memory\n");
			exit(EXIT_FAILURE);
		}
	}
	return areas;
}

/* The shortest of @rounds audits, in milliseconds. */
static double shortest(struct audit *audit, struct inspector *inspector, uint32_t which,
		       uint64_t rounds, struct audit_result *result_out)
{
	double best = 1e9;

	for (uint64_t i = 0; i < rounds; i++) {
		if (audit_run(audit, inspector, which, i, result_out)) {
			fprintf(stderr, "no memory for an audit\n");
			exit(EXIT_FAILURE);
		}
		if (result_out->seconds < best)
			best = result_out->seconds;
	}
	return best * 1e3;
}

int main(int argc, char **argv)
{
	uint64_t per_area = argument(argc, argv, 1, 16), pages = argument(argc, argv, 2, 32768);
	uint64_t rounds = argument(argc, argv, 3, 20), areas;
	struct sim_config config = {.nr_cpus = 1};
	struct core_source *source;
	struct audit_result result;
	struct audit *audit;
	struct sim *sim;
	double best;

	if (per_area == 0 || pages == 0 || rounds == 0) {
		fprintf(stderr, "usage: bench_audit [PAGES_PER_AREA [PAGES [ROUNDS]]]\n");
		return 2;
	}
	sim_add_ram(&config, 0, 512ull << 20, 0);
	sim_add_ram(&config, 4ull << 30, ALIGN_UP(2 * pages * PAGE_SIZE, 128ull << 20), 0);
	sim = sim_create(&config);
	areas = fill(sim, per_area, pages);
	source = core_source_create(sim);
	audit = audit_create();
	if (!audit)
		return EXIT_FAILURE;
	best = shortest(audit, source->inspector, AUDIT_ALL, rounds, &result);
	printf("%llu areas of %llu pages, %llu MiB: %llu items, %llu violations, %.2f ms\n",
	       (unsigned long long)areas, (unsigned long long)per_area,
	       (unsigned long long)(areas * per_area * PAGE_SIZE >> 20),
	       (unsigned long long)result.items, (unsigned long long)result.violations, best);
	for (unsigned int i = 0; i < AUDIT_NR_CHECKS; i++) {
		best = shortest(audit, source->inspector, AUDIT_BIT(i), rounds, &result);
		printf("  %-10s %8llu items %8.2f ms\n", audit_checks()[i].name,
		       (unsigned long long)result.items, best);
	}
	audit_destroy(audit);
	core_source_destroy(source);
	sim_destroy(sim);
	return EXIT_SUCCESS;
}
