/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The start that nobody has told: which shape the free tree had. Most shapes lead to the same
 * addresses, and what a shape gets wrong lies near the holes that it is wrong about. So a climb:
 * the best start so far is changed at one place, most often near a miss, and kept if it leaves no
 * more misses than before. Now and then the climb begins again, from holes planted in a random
 * order.
 */
#include "vmm/replay/settle_private.h"

#include <stdlib.h>

/* So many random orders are tried before the climb; so many changes without gain end one. */
#define PLANTINGS 24
#define PATIENCE  300

struct climb {
	struct settle *settle;
	struct settle_report *report;
	uint64_t random;
	struct space here, tried; /* where the climb stands, and the neighbour being looked at */
	uint64_t here_misses;
	struct space best;
	uint64_t best_misses;
	uint32_t *missed; /* areas that did not match when the order was settled last */
	size_t missed_count;
};

static uint64_t below(struct climb *climb, uint64_t bound)
{
	return tree_random(&climb->random) % bound;
}

/* The areas that a run did not match: where a change may help. */
static void note_missed(struct climb *climb)
{
	const struct settle *settle = climb->settle;
	size_t i;

	climb->missed_count = 0;
	for (i = 0; i < settle->count; i++) {
		if (step_is_alloc(&settle->steps[i]) && settle->missed[settle->steps[i].area])
			climb->missed[climb->missed_count++] = settle->steps[i].area;
	}
}

/* The root of a small subtree: above the hole where a missed area lies, or anywhere. */
static uint32_t pick_subtree(struct climb *climb, const struct tree *tree)
{
	const struct replay_area *areas = climb->settle->plan->areas;
	uint64_t address;
	uint32_t hole, up;

	if (climb->missed_count && below(climb, 4)) {
		address = areas[climb->missed[below(climb, climb->missed_count)]].address;
		hole = tree_from(tree, address);
	} else {
		do
			hole = (uint32_t)below(climb, tree->used);
		while (!hole || tree->holes[hole].start >= tree->holes[hole].end);
	}
	for (up = (uint32_t)below(climb, 7); up && tree->holes[hole].parent; up--)
		hole = tree->holes[hole].parent;
	return hole;
}

/* Another shape near the one where the climb stands. */
static void change(struct climb *climb)
{
	struct settle *settle = climb->settle;
	int err = space_copy(&climb->tried, &climb->here);

	if (!err)
		err = tree_shuffle(&climb->tried.tree, pick_subtree(climb, &climb->tried.tree),
				   &climb->random);
	settle->failed |= err != 0;
}

static uint64_t measure(struct climb *climb, uint64_t limit)
{
	struct settle *settle = climb->settle;

	climb->report->tried++;
	settle->failed |= space_copy(&settle->run, &climb->tried) != 0;
	return settle_count(settle, &settle->run, 0, settle->count, limit);
}

/* The climb stands at @tried from now on. A better one than all before gets an order of its own. */
static void go_to_tried(struct climb *climb, uint64_t misses)
{
	struct settle *settle = climb->settle;

	settle->failed |= space_copy(&climb->here, &climb->tried) != 0;
	climb->here_misses = misses;
	if (misses >= climb->best_misses)
		return;
	settle->failed |= space_copy(&climb->best, &climb->tried) != 0;
	settle->failed |= space_copy(&settle->start, &climb->tried) != 0;
	climb->report->start_found = true;
	climb->best_misses = climb->here_misses = settle_order(settle);
	note_missed(climb);
}

static bool goes_on(const struct climb *climb)
{
	const struct settle *settle = climb->settle;

	if (settle->options->progress)
		settle->options->progress(settle->options->progress_context, settle->work,
					  settle->options->work, climb->best_misses);
	return climb->best_misses && settle->work < settle->options->work && !settle->failed;
}

static void plant(struct climb *climb)
{
	struct settle *settle = climb->settle;

	settle->failed |= space_copy(&climb->tried, &climb->here) != 0 ||
			  tree_replant(&climb->tried.tree, &climb->random) != 0;
}

static void climb_up(struct climb *climb)
{
	uint64_t misses, idle = 0;

	while (goes_on(climb) && idle < PATIENCE) {
		change(climb);
		misses = measure(climb, climb->here_misses + 1);
		idle++;
		if (misses > climb->here_misses)
			continue;
		if (misses < climb->here_misses)
			idle = 0;
		go_to_tried(climb, misses);
	}
}

uint64_t settle_find_start(struct settle *settle, uint64_t misses, struct settle_report *report)
{
	struct climb climb = {.settle = settle,
			      .report = report,
			      .random = UINT64_C(0x9e3779b97f4a7c15),
			      .here_misses = misses,
			      .best_misses = misses};
	uint64_t here, round, i;

	climb.missed = calloc(settle->count + 1, sizeof(*climb.missed));
	settle->failed |= !climb.missed || space_copy(&climb.here, &settle->start) ||
			  space_copy(&climb.best, &settle->start);
	if (!settle->failed)
		note_missed(&climb);
	for (round = 0; goes_on(&climb); round++) {
		climb_up(&climb);
		climb.here_misses = UINT64_MAX;
		for (i = 0; i < PLANTINGS && goes_on(&climb); i++) {
			plant(&climb);
			here = measure(&climb, climb.here_misses);
			if (here < climb.here_misses)
				go_to_tried(&climb, here);
		}
		if (round % 2 == 0) {
			settle->failed |= space_copy(&climb.here, &climb.best) != 0;
			climb.here_misses = climb.best_misses;
		}
	}
	if (!settle->failed)
		settle->failed |= space_copy(&settle->start, &climb.best) != 0;
	space_deinit(&climb.here);
	space_deinit(&climb.tried);
	space_deinit(&climb.best);
	free(climb.missed);
	return climb.best_misses;
}
