/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Made-up histories of kernels on several CPUs, whose true order is known: the plan has to find an
 * order that leads to the same addresses, from the lines of the trace alone.
 */
#include "tests/harness.h"

#include <stdbool.h>

#include "tests/vmm/replay/history.h"
#include "tests/vmm/replay/model_executor.h"
#include "tests/scratch.h"

#define HISTORIES 6

struct score {
	uint64_t allocs;
	uint64_t other;
	uint64_t reordered;
};

static struct score play(const struct history_options *options, uint64_t seed)
{
	struct replay_options replay = {.audit = REPLAY_AUDIT_NONE};
	struct replay_outcome outcome;
	struct model_executor model;
	struct replay_plan plan;
	struct ftrace_info info;
	struct input_error error;
	struct score score;
	const char *wrong;
	char *text;

	text = history_make(options, &seed);
	ck_assert_msg(!replay_plan_read(scratch_write(text), NULL, &plan, &info, &error), "%s",
		      error.text);
	scratch_remove();
	free(text);
	wrong = replay_plan_check(&plan);
	ck_assert_msg(!wrong, "%s", wrong);
	ck_assert_uint_eq(plan.unknown_frees.count + plan.conflicts.count, 0);
	model_executor_init(&model, 64);
	ck_assert_int_eq(replay_run(&plan, &model.executor, &replay, &outcome, &error), 0);
	ck_assert_uint_eq(outcome.failed, 0);
	score = (struct score){plan.allocs, outcome.other.count, plan.reordered};
	replay_outcome_free(&outcome);
	model_executor_deinit(&model);
	replay_plan_free(&plan);
	free(info.skipped_names);
	return score;
}

static struct score play_all(const struct history_options *options)
{
	struct score sum = {0}, one;
	uint64_t seed;

	for (seed = 1; seed <= HISTORIES; seed++) {
		one = play(options, seed * 0x9e3779b97f4a7c15u);
		sum.allocs += one.allocs;
		sum.other += one.other;
		sum.reordered += one.reordered;
	}
	printf("tasks %u, overlap %u %%, %s, %s: %llu of %llu elsewhere, %llu moved\n",
	       options->tasks, options->overlap, options->tracepoints ? "tracepoints" : "probes",
	       options->quiet_purges ? "quiet purges" : "purges overlap",
	       (unsigned long long)sum.other, (unsigned long long)sum.allocs,
	       (unsigned long long)sum.reordered);
	return sum;
}

/* Without overlap there is nothing to choose. */
START_TEST(calls_one_after_the_other_give_every_address)
{
	struct history_options options = {.tasks = 4, .events = 3000, .tracepoints = _i};
	struct score score = play_all(&options);

	ck_assert_uint_eq(score.other, 0);
	ck_assert_uint_eq(score.reordered, 0);
}
END_TEST

/* Two CPUs allocate at once, all the time, and each address comes out. */
START_TEST(allocations_of_two_cpus_that_overlap_give_every_address)
{
	static const unsigned int overlaps[] = {1, 10, 60};
	struct history_options options = {
		.tasks = 2, .events = 3000, .overlap = overlaps[_i], .quiet_purges = true};
	struct score score = play_all(&options);

	ck_assert_uint_eq(score.other, 0);
	ck_assert_uint_gt(score.reordered, 0);
}
END_TEST

/*
 * Where frees and purges overlap too, there may be more than one order that explains what is
 * known so far, and a wrong one shows only later. Such overlaps are far rarer than here.
 */
START_TEST(overlaps_of_every_kind_give_nearly_every_address)
{
	struct history_options options = {
		.tasks = 2, .events = 3000, .overlap = 1, .tracepoints = _i};
	struct score score = play_all(&options);

	ck_assert_uint_lt(20 * score.other, _i ? 3 * score.allocs : score.allocs);
}
END_TEST

/* Four tasks in a muddle: the plan keeps its rules, whatever comes of the addresses. */
START_TEST(a_muddle_makes_a_plan_that_keeps_its_rules)
{
	struct history_options options = {
		.tasks = 4, .events = 3000, .overlap = 60, .tracepoints = _i};

	ck_assert_uint_gt(play_all(&options).allocs, 0);
}
END_TEST

static Suite *history_suite(void)
{
	Suite *suite = suite_create("history");
	TCase *all = tcase_create("all");

	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, calls_one_after_the_other_give_every_address, 0, 2);
	tcase_add_loop_test(all, allocations_of_two_cpus_that_overlap_give_every_address, 0, 3);
	tcase_add_loop_test(all, overlaps_of_every_kind_give_nearly_every_address, 0, 2);
	tcase_add_loop_test(all, a_muddle_makes_a_plan_that_keeps_its_rules, 0, 2);
	suite_add_tcase(suite, all);
	return suite;
}

int main(void)
{
	return harness_run(history_suite());
}
