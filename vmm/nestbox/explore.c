/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nestbox explore: run after run with seeds of its shard, until one fails or the bound is met. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "vmm/nestbox/commands.h"
#include "vmm/nestbox/explore.h"
#include "vmm/nestbox/explore_print.h"
#include "vmm/nestbox/guest_options.h"
#include "vmm/nestbox/picture_options.h"

#define RUNS_DEFAULT   100
#define ROUNDS_DEFAULT 6
#define MEMORY         (16ull << 20)
#define MEMORY_TEXT    "16M"
#define RUNS_ALL       10000
#define ROUNDS_ALL     2
#define SHRINK_RUNS    300
#define NO_SWITCHES    UINT64_MAX

struct shard {
	unsigned int index, of; /* index from 0 */
};

struct settings {
	bool json;
	uint64_t runs, rounds; /* 0: what is usual */
	uint64_t seconds, seed, depth, shrink_runs;
	uint64_t switches; /* or NO_SWITCHES */
	struct shard shard;
	struct picture_files files;
	struct guest_options guest;
};

static bool is_exhaustive(const struct settings *settings)
{
	return settings->switches != NO_SWITCHES;
}

static int parse_shard(const char *text, void *value)
{
	struct shard *shard = value;
	unsigned int index, of;
	int end = 0;

	if (sscanf(text, "%u/%u%n", &index, &of, &end) != 2 || text[end] || !of || index < 1 ||
	    index > of)
		return -EINVAL;
	*shard = (struct shard){index - 1, of};
	return 0;
}

/* ---- runs ---- */

struct found {
	uint64_t seed;
	struct explore_work work;
	struct explore_plan plan;
	struct explore_outcome outcome;
};

static struct guest_config config_of(struct settings *settings)
{
	struct guest_config config = guest_options_config(&settings->guest);

	config.engine = KVM_SOFT;
	return config;
}

static int run_seed(struct settings *settings, const struct guest_config *config, uint64_t seed,
		    struct found *found, struct error *error)
{
	int err;

	found->seed = seed;
	explore_work_make(&found->work, seed, (unsigned int)settings->guest.cpus,
			  (unsigned int)settings->rounds);
	explore_plan_make(&found->plan, seed, (unsigned int)settings->depth);
	err = explore_run(config, &found->work, &found->plan, &found->outcome, error);
	if (err || !found->outcome.wrong)
		explore_outcome_free(&found->outcome);
	return err;
}

/* The next seed of the shard. */
static uint64_t seed_of(const struct settings *settings, uint64_t number)
{
	return settings->seed + settings->shard.index + number * settings->shard.of;
}

/* Workload after workload by an order that its seed draws. */
static int search_by_seed(struct settings *settings, const struct guest_config *config,
			  const struct explore_limits *limits, struct found *found,
			  struct explore_summary *summary, struct error *error)
{
	int err = 0;

	while (!err && !found->outcome.wrong && summary->runs < limits->runs &&
	       (!limits->end || clock_seconds() < limits->end)) {
		err = run_seed(settings, config, seed_of(settings, summary->runs), found, error);
		summary->runs++;
		if (!err && !found->outcome.wrong)
			summary->instructions += found->outcome.instructions;
	}
	return err;
}

/* Workload after workload, each by all orders. */
static int search_all(struct settings *settings, const struct guest_config *config,
		      const struct explore_limits *limits, struct found *found,
		      struct explore_summary *summary, struct error *error)
{
	bool over = false;
	int err = 0;

	while (!err && !over && !found->outcome.wrong) {
		struct explore_limits left = {limits->runs - summary->runs, limits->end};
		struct explore_search search;

		found->seed = seed_of(settings, summary->workloads);
		explore_work_make(&found->work, found->seed, (unsigned int)settings->guest.cpus,
				  (unsigned int)settings->rounds);
		err = explore_all(config, &found->work, (unsigned int)settings->switches, &left,
				  &search, error);
		summary->workloads++;
		summary->finished += search.all;
		summary->runs += search.runs;
		summary->instructions += search.instructions;
		found->outcome = search.outcome;
		over = summary->runs >= limits->runs ||
		       (limits->end && clock_seconds() >= limits->end);
	}
	if (!err && found->outcome.wrong)
		err = explore_plan_take(&found->plan, &found->outcome);
	return err;
}

/* Done again, it must come to the same. */
static int reproduce(const struct guest_config *config, const struct found *found, bool *same_out,
		     struct error *error)
{
	struct explore_outcome again;
	int err = explore_run(config, &found->work, &found->plan, &again, error);

	*same_out = !err && again.wrong && strcmp(again.kind, found->outcome.kind) == 0 &&
		    again.instructions == found->outcome.instructions;
	explore_outcome_free(&again);
	return err;
}

static int explain(struct settings *settings, const struct guest_config *config,
		   struct found *found, struct explore_summary *summary, struct error *error)
{
	int err = reproduce(config, found, &summary->reproduced, error);

	summary->seed = found->seed;
	summary->ops_before = found->work.nr_ops;
	for (unsigned int i = 0; i < EXPLORE_ROUNDS_MAX; i++)
		summary->switches_before += found->outcome.taken.nr_switches[i];
	if (!err && settings->shrink_runs)
		err = explore_shrink(config, &found->work, &found->plan, &found->outcome,
				     settings->shrink_runs, &summary->shrink_runs, error);
	return err;
}

/* Says what was found, as the options want it. */
static enum cli_status tell(const struct cli_command *command, struct settings *settings,
			    const struct guest_config *config,
			    const struct explore_summary *summary, const struct found *found)
{
	enum cli_status status = found->outcome.wrong ? CLI_WRONG : CLI_DONE;
	json_t *answer;

	if (!settings->json)
		explore_print(config, summary, &found->work, &found->outcome, stdout);
	if (!settings->json && !picture_wanted(&settings->files))
		return status;
	answer = explore_json(config, summary, &found->work, &found->outcome);
	if (settings->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	if (picture_wanted(&settings->files))
		status =
			picture_save(command, picture_of_explore(answer), &settings->files, status);
	json_decref(answer);
	return status;
}

static enum cli_status explore(const struct cli_command *command, struct settings *settings)
{
	struct guest_config config = config_of(settings);
	struct explore_summary summary = {
		.vcpus = (unsigned int)settings->guest.cpus,
		.exhaustive = is_exhaustive(settings),
		.switches = (unsigned int)settings->switches,
	};
	struct found *found = calloc(1, sizeof(*found));
	double start = clock_seconds();
	const struct explore_limits limits = {
		settings->runs, settings->seconds ? start + (double)settings->seconds : 0};
	enum cli_status status;
	struct error error;
	int err = found ? 0 : error_set(&error, -ENOMEM, "no memory for a run");

	if (!err)
		err = (summary.exhaustive ? search_all : search_by_seed)(settings, &config, &limits,
									 found, &summary, &error);
	summary.seconds = clock_seconds() - start;
	if (!err && found->outcome.wrong)
		err = explain(settings, &config, found, &summary, &error);
	if (err) {
		cli_error(command, "%s", error.text);
		status = guest_exit_status(err);
	} else {
		status = tell(command, settings, &config, &summary, found);
	}
	if (found) {
		explore_outcome_free(&found->outcome);
		explore_plan_free(&found->plan);
		free(found);
	}
	return status;
}

/* What is not given: a search through all orders needs more runs of less. */
static bool settle(const struct cli_command *command, struct settings *settings)
{
	bool all = is_exhaustive(settings);

	if (settings->guest.cpus > EXPLORE_VCPUS_MAX || settings->guest.engine == KVM_HOST) {
		cli_error(command, "explore runs 1 to %u vCPUs on the soft engine",
			  EXPLORE_VCPUS_MAX);
		return false;
	}
	if (all && settings->depth) {
		cli_error(command, "--pct draws orders, and --switches takes all");
		return false;
	}
	if (all && !(settings->guest.checks & SOFT_CHECK_RACE)) {
		cli_error(command, "--switches needs the check race: without it an order may be "
				   "missed");
		return false;
	}
	if (!settings->runs)
		settings->runs = all ? RUNS_ALL : RUNS_DEFAULT;
	if (!settings->rounds)
		settings->rounds = all ? ROUNDS_ALL : ROUNDS_DEFAULT;
	return true;
}

int command_explore(const struct program *program, int argc, char **argv)
{
	struct settings settings = {
		.seed = 1,
		.shrink_runs = SHRINK_RUNS,
		.switches = NO_SWITCHES,
		.shard = {0, 1},
		.guest = GUEST_OPTIONS_DEFAULT,
	};
	const struct cli_option options[] = {
		CLI_OPTION_JSON(&settings.json),
		CLI_OPTION("html", CLI_TEXT, "FILE", "write a page there that shows the failure",
			   &settings.files.html),
		{.name = "runs",
		 .kind = CLI_NUMBER,
		 .argument = "N",
		 .help = "at most so many runs (100; with --switches 10000)",
		 .value = &settings.runs,
		 .min = 1},
		{.name = "seconds",
		 .kind = CLI_NUMBER,
		 .argument = "N",
		 .help = "begin no run after so many seconds",
		 .value = &settings.seconds},
		{.name = "rounds",
		 .kind = CLI_NUMBER,
		 .argument = "N",
		 .help = "of operations, in each run (6; with --switches 2)",
		 .value = &settings.rounds,
		 .min = 1,
		 .max = EXPLORE_ROUNDS_MAX},
		{.name = "seed",
		 .kind = CLI_NUMBER,
		 .argument = "N",
		 .help = "of the first run; the next has the next (1)",
		 .value = &settings.seed},
		{.name = "shard",
		 .kind = CLI_CUSTOM,
		 .argument = "I/N",
		 .help = "of N processes this is number I, from 1: every Nth seed",
		 .value = &settings.shard,
		 .parse = parse_shard,
		 .expects = "I/N, with I from 1 to N"},
		{.name = "pct",
		 .kind = CLI_NUMBER,
		 .argument = "D",
		 .help = "priorities that change D - 1 times in every run, and no random\n"
			 "walks (half of the runs, D from 2 to 5)",
		 .value = &settings.depth,
		 .min = 1,
		 .max = SOFT_PLAN_DEPTH_MAX},
		{.name = "switches",
		 .kind = CLI_NUMBER,
		 .argument = "N",
		 .help = "of each seed's workload all orders with at most N switches that no\n"
			 "vCPU asked for (0 to 8), the fewest first",
		 .value = &settings.switches,
		 .max = EXPLORE_SWITCHES_MAX},
		{.name = "shrink",
		 .kind = CLI_NUMBER,
		 .argument = "RUNS",
		 .help = "to make a failure smaller, at most (300)",
		 .value = &settings.shrink_runs},
		GUEST_OPTIONS_OF(&settings.guest, MEMORY_TEXT),
		{0},
	};
	const struct cli_command command = {
		.name = "nestbox explore",
		.operands = "",
		.summary =
			"Runs workloads on several vCPUs of the soft engine, each under an order\n"
			"of turns of its own, checks every access, audits between operations,\n"
			"and says of a failure how little it takes.",
		.options = options,
		.notes = "Without --cpus there are two vCPUs, and all checks are on.\n"
			 "The same seed gives the same run, instruction for instruction.\n"
			 "docs/explore.md says how to read a failure.",
	};
	enum cli_status status;
	int operand;

	(void)program;
	settings.guest.cpus = 2;
	settings.guest.memory_bytes = MEMORY;
	settings.guest.checks = SOFT_CHECK_ALL;
	if (!cli_parse(&command, argc, argv, &operand, &status))
		return (int)status;
	if (!settle(&command, &settings))
		return CLI_BAD_INPUT;
	status = picture_confine(&command, &settings.guest, &settings.files);
	return (int)(status == CLI_DONE ? explore(&command, &settings) : status);
}
