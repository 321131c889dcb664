/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a recording to a workload that is like it: how many areas of each kind came in each stretch
 * of the recording and how long they lived, as decks; what was there before, with its holes, as a
 * setup. What is lost is the order inside a stretch, and which CPU did what.
 */
#ifndef VMM_LOAD_MODEL_H
#define VMM_LOAD_MODEL_H

#include <stdio.h>

#include "vmm/load/placement.h"
#include "vmm/load/program.h"
#include "vmm/replay/plan.h"

/* Kinds of their own; what is left is put together by window. */
#define MODEL_KINDS_MAX  24u
#define MODEL_PHASES_MAX 256u

struct model_options {
	const char *name;    /* of the recording */
	unsigned int phases; /* stretches, 1 to MODEL_PHASES_MAX */
	uint64_t seed;
	const char *fit; /* a line on how well it fits; NULL: not known */
};

/*
 * Writes the workload of @plan, as replay_plan_read() made it, to @out. Returns 0, -ENOMEM, or
 * -ENODATA: there is no allocation in it.
 */
int model_write(const struct replay_plan *plan, const struct ftrace_info *info,
		const struct model_options *options, FILE *out);

/* How areas lay in the recording, after every @every allocations and at the end. -ENOMEM. */
int model_measure(const struct replay_plan *plan, uint64_t every, struct placement_sum *sum_out,
		  struct placement *end_out);

/* Sizes and lifetimes of the recording's allocations, initial ones left out. -ENOMEM; free() it. */
int model_births(const struct replay_plan *plan, struct program_birth **births_out,
		 size_t *count_out);

/* The most two distributions of numbers differ: sup |F - G| (Kolmogorov and Smirnov). Sorts. */
double model_distance(uint64_t *a, size_t nr_a, uint64_t *b, size_t nr_b);

#endif
