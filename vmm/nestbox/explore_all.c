/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All orders of turns of one workload with at most so many switches that no vCPU asked for: first
 * those with none, then with one, and so on, so that what is found needs no fewer.
 *
 * An order is a list of switches. A run by it says where it could have switched as well
 * (soft_plan_points()); one more switch at any of those after the list's last is another order, and
 * each order is made in one way only. Runs of the orders that others are made from are done again
 * for each bound: they are few beside those made from them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "vmm/nestbox/explore.h"

struct listed {
	unsigned int round;
	struct soft_switch at;
	size_t point; /* its place among the round's points, in the run without it */
};

struct search {
	const struct guest_config *config;
	const struct explore_work *work;
	const struct explore_limits *limits;
	struct explore_search *found;
	struct listed list[EXPLORE_SWITCHES_MAX];
	unsigned int nr_list;
	bool reached; /* there is an order with as many as the bound */
	struct error *error;
};

static bool is_over(const struct search *search)
{
	const struct explore_limits *limits = search->limits;

	return search->found->runs >= limits->runs ||
	       (limits->end && clock_seconds() >= limits->end);
}

/* The list as a plan; of its switches, which are the search's own, none is the plan's to free. */
static void plan_of(struct search *search, struct explore_plan *plan,
		    struct soft_switch switches[EXPLORE_SWITCHES_MAX])
{
	*plan = (struct explore_plan){.listed = true, .plan.points = true};
	for (unsigned int i = 0; i < search->nr_list; i++) {
		unsigned int round = search->list[i].round;

		switches[i] = search->list[i].at;
		if (!plan->nr_switches[round]++)
			plan->switches[round] = &switches[i];
	}
}

/* Returns 1 if the order fails, 0 if it does not, or -errno. What it gives is @outcome's. */
static int run(struct search *search, struct explore_outcome *outcome)
{
	struct soft_switch switches[EXPLORE_SWITCHES_MAX];
	struct explore_plan plan;
	int err;

	plan_of(search, &plan, switches);
	err = explore_run(search->config, search->work, &plan, outcome, search->error);
	search->found->runs++;
	search->found->instructions += outcome->instructions;
	return err ? err : outcome->wrong;
}

/* A switch is in the list already: the vCPU is where it was when it gave way. */
static bool is_listed(const struct search *search, unsigned int round, const struct soft_switch *at)
{
	for (unsigned int i = 0; i < search->nr_list; i++)
		if (search->list[i].round == round && search->list[i].at.from == at->from &&
		    search->list[i].at.at == at->at)
			return true;
	return false;
}

static int descend(struct search *search, unsigned int more);

/* One more switch, at each point of @outcome's after the list's last. */
static int extend(struct search *search, const struct explore_outcome *outcome, unsigned int more)
{
	const struct listed *last = search->nr_list ? &search->list[search->nr_list - 1] : NULL;
	unsigned int first = last ? last->round : 0;
	int got = 0;

	for (unsigned int round = first; round < search->work->rounds; round++) {
		size_t point = last && round == first ? last->point : 0;

		for (; !got && point < outcome->nr_points[round]; point++) {
			const struct soft_switch *at = &outcome->points[round][point];

			if (is_listed(search, round, at))
				continue;
			search->list[search->nr_list++] = (struct listed){round, *at, point};
			got = descend(search, more - 1);
			/* A failure's list stays. */
			if (!got)
				search->nr_list--;
		}
	}
	return got;
}

/* Orders of the list and @more switches. Returns as run(); -EINTR at the end of the limits. */
static int descend(struct search *search, unsigned int more)
{
	struct explore_outcome outcome;
	int got;

	if (is_over(search))
		return -EINTR;
	got = run(search, &outcome);
	if (got == 1) {
		search->found->outcome = outcome;
		return 1;
	}
	search->reached |= !more;
	if (!got && more)
		got = extend(search, &outcome, more);
	explore_outcome_free(&outcome);
	return got;
}

int explore_all(const struct guest_config *config, const struct explore_work *work,
		unsigned int switches, const struct explore_limits *limits,
		struct explore_search *found_out, struct error *error)
{
	struct search search = {config, work, limits, found_out, .error = error};
	int got = 0;

	*found_out = (struct explore_search){.runs = 0};
	search.reached = true;
	for (unsigned int bound = 0; !got && search.reached && bound <= switches; bound++) {
		search.reached = false;
		got = descend(&search, bound);
	}
	found_out->all = got == 0;
	return got == 1 || got == -EINTR ? 0 : got;
}
