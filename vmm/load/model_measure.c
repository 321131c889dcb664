/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A recording in numbers: how its areas lay, how large they were and how long they lived. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/load/model.h"

enum state { ABSENT, LIVE, LAZY };

struct walk {
	const struct replay_plan *plan;
	uint64_t areas, pages; /* that live */
	uint8_t *states;
	struct placement_range *ranges;
};

/* Frames; the guard has none, and a range of one page has no guard. */
static uint64_t pages_of(const struct replay_area *area)
{
	uint64_t pages = area->va_bytes / REPLAY_PAGE_BYTES;

	return area->mapped ? pages - (pages > 1) : 0;
}

static void measure(const struct walk *walk, struct placement *out)
{
	size_t count = 0;

	for (size_t i = 0; i < walk->plan->area_count; i++) {
		const struct replay_area *area = &walk->plan->areas[i];

		if (walk->states[i] == ABSENT)
			continue;
		walk->ranges[count++] =
			(struct placement_range){area->address, area->address + area->va_bytes,
						 pages_of(area), walk->states[i] == LAZY};
	}
	placement_measure(walk->ranges, count, out);
}

/* Returns whether @op was an allocation of the recording proper. */
static bool step(struct walk *walk, size_t index)
{
	const struct replay_op *op = &walk->plan->ops[index];

	switch (op->type) {
	case REPLAY_MAP:
	case REPLAY_RESERVE:
		if (walk->plan->areas[op->area].expect_failure)
			return false;
		walk->states[op->area] = LIVE;
		walk->areas++;
		walk->pages += pages_of(&walk->plan->areas[op->area]);
		return index >= walk->plan->initial_ops;
	case REPLAY_FREE:
		walk->states[op->area] = LAZY;
		walk->areas--;
		walk->pages -= pages_of(&walk->plan->areas[op->area]);
		return false;
	case REPLAY_RELEASE:
		walk->states[op->area] = ABSENT;
		return false;
	case REPLAY_PURGE:
		for (size_t i = 0; i < walk->plan->area_count; i++)
			if (walk->states[i] == LAZY)
				walk->states[i] = ABSENT;
		return false;
	case REPLAY_DECAY:
		return false;
	}
	return false;
}

int model_measure(const struct replay_plan *plan, uint64_t every, struct placement_sum *sum_out,
		  struct placement *end_out)
{
	struct walk walk = {.plan = plan,
			    .states = calloc(plan->area_count + 1, 1),
			    .ranges = calloc(plan->area_count + 1, sizeof(*walk.ranges))};
	struct placement_sum sum = {0};
	uint64_t allocations = 0, most_areas = 0, most_pages = 0;
	int err = walk.states && walk.ranges ? 0 : -ENOMEM;

	for (size_t i = 0; i < plan->op_count && !err; i++) {
		bool born = step(&walk, i);

		if (i >= plan->initial_ops && walk.areas > most_areas)
			most_areas = walk.areas;
		if (i >= plan->initial_ops && walk.pages > most_pages)
			most_pages = walk.pages;
		if (!born || ++allocations % every)
			continue;
		measure(&walk, end_out);
		placement_add(&sum, end_out);
	}
	if (!err) {
		measure(&walk, end_out);
		placement_add(&sum, end_out);
		sum.most_areas = most_areas;
		sum.most_pages = most_pages;
		*sum_out = sum;
	}
	free(walk.states);
	free(walk.ranges);
	return err;
}

int model_births(const struct replay_plan *plan, struct program_birth **births_out,
		 size_t *count_out)
{
	struct program_birth *births = calloc(plan->area_count + 1, sizeof(*births));
	uint32_t *which = calloc(plan->area_count + 1, sizeof(*which));
	size_t count = 0;

	if (!births || !which) {
		free(births);
		free(which);
		return -ENOMEM;
	}
	for (size_t i = plan->initial_ops; i < plan->op_count; i++) {
		const struct replay_op *op = &plan->ops[i];
		bool begins = op->type == REPLAY_MAP || op->type == REPLAY_RESERVE;

		if (begins && !plan->areas[op->area].expect_failure) {
			births[count] = (struct program_birth){plan->areas[op->area].va_bytes,
							       DRAW_FOREVER};
			which[op->area] = (uint32_t)++count;
		} else if (op->type == REPLAY_FREE && which[op->area]) {
			births[which[op->area] - 1].lifetime = count - which[op->area] + 1;
		}
	}
	free(which);
	*births_out = births;
	*count_out = count;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return one < other ? -1 : one > other;
}

double model_distance(uint64_t *a, size_t nr_a, uint64_t *b, size_t nr_b)
{
	double most = 0;
	size_t i = 0, j = 0;

	qsort(a, nr_a, sizeof(*a), by_value);
	qsort(b, nr_b, sizeof(*b), by_value);
	while (i < nr_a && j < nr_b) {
		uint64_t value = a[i] < b[j] ? a[i] : b[j];
		double here;

		while (i < nr_a && a[i] == value)
			i++;
		while (j < nr_b && b[j] == value)
			j++;
		here = (double)i / (double)nr_a - (double)j / (double)nr_b;
		here = here < 0 ? -here : here;
		most = here > most ? here : most;
	}
	return nr_a && nr_b ? most : nr_a != nr_b;
}
