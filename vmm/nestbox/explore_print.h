/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nestbox explore says. */
#ifndef VMM_NESTBOX_EXPLORE_PRINT_H
#define VMM_NESTBOX_EXPLORE_PRINT_H

#include <jansson.h>
#include <stdio.h>

#include "vmm/nestbox/explore.h"

struct explore_summary {
	unsigned int vcpus;
	uint64_t runs, instructions;
	double seconds; /* before a failure was made smaller */
	uint64_t seed;  /* of the failure, and all below */
	bool reproduced;
	size_t ops_before, switches_before;
	uint64_t shrink_runs;
	unsigned int switches; /* the bound of an exhaustive search */
	bool exhaustive;
	uint64_t workloads, finished; /* then: begun; all orders of them run */
};

/* @outcome->wrong false: nothing was found. The image of @config gives the source lines. */
void explore_print(const struct guest_config *config, const struct explore_summary *summary,
		   const struct explore_work *work, const struct explore_outcome *outcome,
		   FILE *file);

/* What --json answers: a new reference. */
json_t *explore_json(const struct guest_config *config, const struct explore_summary *summary,
		     const struct explore_work *work, const struct explore_outcome *outcome);

#endif
