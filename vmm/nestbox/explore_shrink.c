/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes a failure small: whatever can be left out with the same failure is. Operations go first,
 * half of them at a time, then a quarter and so on (Zeller and Hildebrandt's ddmin without its
 * complements); then switches of turns, in the same way. Where operations are gone the written
 * switches may not lead to the failure any more; some seeds are tried as well.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/nestbox/explore.h"

/* Seeds tried for a smaller set of operations. */
#define SEEDS 4

struct shrink {
	const struct guest_config *config;
	struct explore_work *work;
	struct explore_plan *plan;
	struct explore_outcome *outcome;
	uint64_t most, runs;
	struct error *error;
};

/* Returns 1 if @work by @plan fails in the same way, and keeps both; 0 if not; -errno. */
static int try(struct shrink *shrink, const struct explore_work *work,
	       const struct explore_plan *plan)
{
	struct explore_outcome outcome;
	int err = explore_run(shrink->config, work, plan, &outcome, shrink->error);

	shrink->runs++;
	if (err || !outcome.wrong || strcmp(outcome.kind, shrink->outcome->kind) != 0) {
		explore_outcome_free(&outcome);
		return err;
	}
	explore_outcome_free(shrink->outcome);
	*shrink->outcome = outcome;
	if (work != shrink->work)
		*shrink->work = *work;
	return 1;
}

int explore_plan_take(struct explore_plan *plan, const struct explore_outcome *outcome)
{
	const struct explore_plan *taken = &outcome->taken;

	explore_plan_free(plan);
	plan->listed = true;
	for (unsigned int i = 0; i < EXPLORE_ROUNDS_MAX; i++) {
		size_t bytes = taken->nr_switches[i] * sizeof(struct soft_switch);

		plan->nr_switches[i] = 0;
		if (!bytes)
			continue;
		plan->switches[i] = malloc(bytes);
		if (!plan->switches[i])
			return -ENOMEM;
		memcpy(plan->switches[i], taken->switches[i], bytes);
		plan->nr_switches[i] = taken->nr_switches[i];
	}
	return 0;
}

static int try_work(struct shrink *shrink, const struct explore_work *work)
{
	int got = try(shrink, work, shrink->plan);

	for (uint64_t seed = 0; got == 0 && seed <= SEEDS && shrink->runs < shrink->most; seed++) {
		struct explore_plan plan = {.plan = shrink->plan->plan}; /* as it was drawn */

		if (seed)
			explore_plan_make(&plan, shrink->plan->plan.seed * 1000 + seed, 0);
		got = try(shrink, work, &plan);
	}
	if (got != 1)
		return got;
	got = explore_plan_take(shrink->plan, shrink->outcome);
	return got ? got : 1;
}

static int shrink_ops(struct shrink *shrink)
{
	struct explore_work *less = malloc(sizeof(*less));
	int got = 0;

	if (!less)
		return -ENOMEM;
	for (size_t piece = (shrink->work->nr_ops + 1) / 2; piece && got >= 0; piece /= 2) {
		for (size_t at = 0; at < shrink->work->nr_ops && got >= 0;) {
			size_t end = at + piece, nr = shrink->work->nr_ops;

			if (shrink->runs >= shrink->most)
				goto out;
			end = end < nr ? end : nr;
			*less = *shrink->work;
			memmove(less->ops + at, less->ops + end, (nr - end) * sizeof(less->ops[0]));
			less->nr_ops = nr - (end - at);
			got = try_work(shrink, less);
			if (got == 0)
				at = end;
		}
	}
out:
	free(less);
	return got < 0 ? got : 0;
}

static int shrink_switches(struct shrink *shrink, unsigned int round)
{
	struct explore_plan *plan = shrink->plan;
	size_t nr = plan->nr_switches[round];
	struct soft_switch *all = plan->switches[round];

	for (size_t piece = (nr + 1) / 2; piece; piece /= 2) {
		for (size_t at = 0; at < nr && shrink->runs < shrink->most;) {
			size_t end = at + piece < nr ? at + piece : nr;
			struct soft_switch *less = malloc((nr + 1) * sizeof(*less));
			int got;

			if (!less)
				return -ENOMEM;
			memcpy(less, all, at * sizeof(*less));
			memcpy(less + at, all + end, (nr - end) * sizeof(*less));
			plan->switches[round] = less;
			plan->nr_switches[round] = nr - (end - at);
			got = try(shrink, shrink->work, plan);
			if (got == 1) {
				free(all);
				all = less;
				nr = plan->nr_switches[round];
				continue;
			}
			free(less);
			plan->switches[round] = all;
			plan->nr_switches[round] = nr;
			if (got < 0)
				return got;
			at = end;
		}
	}
	return 0;
}

int explore_shrink(const struct guest_config *config, struct explore_work *work,
		   struct explore_plan *plan, struct explore_outcome *outcome, uint64_t runs,
		   uint64_t *runs_out, struct error *error)
{
	struct shrink shrink = {config, work, plan, outcome, runs, 0, error};
	int err;

	/* What comes after the failing round never happened. */
	while (work->nr_ops && work->ops[work->nr_ops - 1].round > outcome->round)
		work->nr_ops--;
	work->rounds = outcome->round + 1;
	err = explore_plan_take(plan, outcome);
	/* Where some went, what was needed with them may go now. */
	for (size_t before = work->nr_ops + 1; !err && work->nr_ops < before;) {
		before = work->nr_ops;
		err = shrink_ops(&shrink);
	}
	for (unsigned int round = 0; !err && round < work->rounds; round++)
		err = shrink_switches(&shrink, round);
	*runs_out = shrink.runs;
	return err;
}
