/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestbox bench: the single-CPU cases of Linux's test_vmalloc, run inside the guest, a hypercall a
 * run. The cost of a loop is that of one more: the difference between two runs of different
 * length, so that set-up, entry and clearing up cancel out. Percentiles come from a third run, in
 * which every loop is stamped, which costs something itself.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli.h"
#include "vmm/commands.h"
#include "vmm/guest.h"
#include "vmm/guest_options.h"
#include "vmm/latency.h"

/*
 * Lazy pages that bring about a purge, on one CPU (Linux's 32 MiB). By default the two runs differ
 * by two purges' worth of loops, so that what purges cost is in the result.
 */
#define PURGE_PAGES    8192u
#define PURGES_COVERED 2u

struct bench_case {
	const char *name;
	enum nb_bench_case number;
	unsigned int pages;      /* fix_size: the argument; else 0 */
	unsigned int lazy_pages; /* a loop leaves behind, on average, guards included */
};

static const struct bench_case cases[] = {
	{"fix_size", NB_BENCH_FIX_SIZE, 1, 2},
	{"fix_size", NB_BENCH_FIX_SIZE, 16, 17},
	{"fix_size", NB_BENCH_FIX_SIZE, 128, 129},
	{"fix_size", NB_BENCH_FIX_SIZE, 512, 513},
	{"full_fit", NB_BENCH_FULL_FIT, 0, 2},
	{"long_busy_list", NB_BENCH_LONG_BUSY_LIST, 0, 103},
	{"random_size", NB_BENCH_RANDOM_SIZE, 0, 51},
	{"fix_align", NB_BENCH_FIX_ALIGN, 0, 6},
	{"random_size_align", NB_BENCH_RANDOM_SIZE_ALIGN, 0, 6},
};
#define NR_CASES (sizeof(cases) / sizeof(cases[0]))

struct settings {
	bool json;
	const char *case_name;
	uint64_t pages, loops, repeat, seed;
	struct guest_options guest;
};

struct result {
	const struct bench_case *bench_case;
	unsigned int pages;
	uint64_t loops; /* the two runs differ by */
	double ticks_per_loop;
	uint64_t p50, p99, max; /* ticks of a stamped loop */
};

/* In a lab that counts instructions, a tick is one: scripts/lab says so. */
static bool ticks_are_instructions(void)
{
	const char *value = getenv("NESTBOX_ICOUNT");

	return value && strcmp(value, "1") == 0;
}

/* ---- running ---- */

static int run_once(struct guest *guest, const struct settings *settings,
		    const struct bench_case *bench_case, unsigned int pages, uint64_t loops,
		    bool stamped, uint64_t *ticks_out)
{
	struct nb_submission submission = {
		.opcode = NB_OP_BENCH,
		.arg = {bench_case->number, loops, pages, settings->seed, stamped},
	};
	struct nb_completion completion;
	int err = guest_call(guest, 0, &submission, &completion);

	if (err)
		return err;
	if (completion.status)
		return (int)completion.status;
	*ticks_out = completion.result[0];
	return 0;
}

/* The fewest ticks of as many runs as asked for: what an interrupt of the host adds goes. */
static int run_best(struct guest *guest, const struct settings *settings,
		    const struct bench_case *bench_case, unsigned int pages, uint64_t loops,
		    uint64_t *ticks_out)
{
	uint64_t ticks = 0, best = UINT64_MAX, i;
	int err;

	for (i = 0; i < settings->repeat; i++) {
		err = run_once(guest, settings, bench_case, pages, loops, false, &ticks);
		if (err)
			return err;
		best = ticks < best ? ticks : best;
	}
	*ticks_out = best;
	return 0;
}

static int run_percentiles(struct guest *guest, const struct settings *settings,
			   struct result *result)
{
	uint64_t loops = result->loops, ticks = 0, i;
	struct latency latency = {0};
	const uint32_t *stamps;
	int err;

	if (loops > NB_BENCH_STAMPS_MAX)
		loops = NB_BENCH_STAMPS_MAX;
	err = run_once(guest, settings, result->bench_case, result->pages, loops, true, &ticks);
	stamps = guest_data(guest, 0);
	for (i = 0; !err && i < loops; i++)
		err = latency_add(&latency, stamps[i]);
	if (!err) {
		result->p50 = latency_percentile(&latency, 50);
		result->p99 = latency_percentile(&latency, 99);
		result->max = latency_percentile(&latency, 100);
	}
	latency_deinit(&latency);
	return err;
}

static int run_case(struct guest *guest, const struct settings *settings,
		    const struct bench_case *bench_case, struct result *result)
{
	unsigned int pages = bench_case->pages;
	uint64_t few, many, less = 0, more = 0;
	int err;

	if (pages && settings->pages)
		pages = (unsigned int)settings->pages;
	*result = (struct result){.bench_case = bench_case, .pages = pages};
	result->loops = settings->loops;
	if (!result->loops)
		result->loops = PURGES_COVERED * PURGE_PAGES /
					(pages ? pages + 1 : bench_case->lazy_pages) +
				1;
	few = result->loops / 4 + 1;
	many = few + result->loops;
	err = run_best(guest, settings, bench_case, pages, few, &less);
	if (!err)
		err = run_best(guest, settings, bench_case, pages, many, &more);
	if (err)
		return err;
	result->ticks_per_loop = ((double)more - (double)less) / (double)result->loops;
	return run_percentiles(guest, settings, result);
}

/* ---- saying ---- */

static json_t *result_json(const struct result *result)
{
	return json_pack("{s:s, s:i, s:I, s:f, s:o, s:I, s:I, s:I}", "name",
			 result->bench_case->name, "pages", (int)result->pages, "loops",
			 (json_int_t)result->loops, "ticks_per_loop", result->ticks_per_loop,
			 "instructions_per_loop",
			 ticks_are_instructions() ? json_real(result->ticks_per_loop) : json_null(),
			 "p50", (json_int_t)result->p50, "p99", (json_int_t)result->p99, "max",
			 (json_int_t)result->max);
}

static void print_json(const struct guest *guest, const struct result *results, size_t count)
{
	const struct kvm_host *host = guest_kvm_host(guest);
	json_t *list = json_array(), *report;
	size_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(list, result_json(&results[i]));
	report = json_pack("{s:o, s:{s:s, s:s}}", "cases", list, "kvm", "module", host->module,
			   "second_stage", host->second_stage);
	json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(report);
}

static void print_text(const struct guest *guest, const struct result *results, size_t count)
{
	const struct kvm_host *host = guest_kvm_host(guest);
	const char *unit = ticks_are_instructions() ? "instructions" : "ticks";
	char name[40];
	size_t i;

	printf("%s, second stage: %s; %s of the guest for one more loop\n\n", host->module,
	       host->second_stage, unit);
	printf("%-20s %8s %14s %12s %12s %12s\n", "case", "loops", unit, "p50", "p99", "max");
	for (i = 0; i < count; i++) {
		const struct result *r = &results[i];

		snprintf(name, sizeof(name), "%s", r->bench_case->name);
		if (r->pages)
			snprintf(name, sizeof(name), "%s %u", r->bench_case->name, r->pages);
		printf("%-20s %8llu %14.1f %12llu %12llu %12llu\n", name,
		       (unsigned long long)r->loops, r->ticks_per_loop, (unsigned long long)r->p50,
		       (unsigned long long)r->p99, (unsigned long long)r->max);
	}
	printf("\np50, p99 and max are of loops with a time stamp at either end.\n");
}

/* ---- the command ---- */

static bool wanted(const struct settings *settings, size_t i)
{
	if (settings->case_name && strcmp(settings->case_name, cases[i].name) != 0)
		return false;
	/* --pages: one fix_size case of that size in place of the four. */
	return !settings->pages || (cases[i].pages != 0 && (i == 0 || !cases[i - 1].pages));
}

static enum cli_status run_cases(const struct cli_command *command, const struct settings *settings,
				 struct guest *guest)
{
	struct result results[NR_CASES];
	struct cli_progress progress;
	size_t i, count = 0;
	int err = 0;

	cli_progress_start(&progress, "bench");
	for (i = 0; i < NR_CASES && !err; i++) {
		cli_progress_update(&progress, i, NR_CASES);
		if (wanted(settings, i))
			err = run_case(guest, settings, &cases[i], &results[count++]);
	}
	cli_progress_end(&progress);
	if (err) {
		cli_error(command, "%s with %u pages: %s", cases[i - 1].name,
			  results[count - 1].pages, strerror(-err));
		if (guest_failure(guest))
			report_print(guest_failure(guest), stderr);
		return CLI_WRONG;
	}
	if (settings->json)
		print_json(guest, results, count);
	else
		print_text(guest, results, count);
	return CLI_DONE;
}

static bool case_exists(const char *name)
{
	size_t i;

	for (i = 0; i < NR_CASES; i++) {
		if (strcmp(cases[i].name, name) == 0)
			return true;
	}
	return false;
}

static bool settings_make_sense(const struct cli_command *command, const struct settings *settings)
{
	if (settings->case_name && !case_exists(settings->case_name)) {
		cli_error(command, "there is no case '%s'; --help lists them", settings->case_name);
		return false;
	}
	if (settings->pages &&
	    (!settings->case_name || strcmp(settings->case_name, "fix_size") != 0)) {
		cli_error(command, "--pages goes with --case fix_size");
		return false;
	}
	return true;
}

static enum cli_status bench(const struct cli_command *command, const struct settings *settings)
{
	struct guest_config config = guest_options_config(&settings->guest);
	struct guest_report report = {0};
	struct ept_error error;
	enum cli_status status;
	struct guest *guest;
	int err = guest_start(&config, &guest, &report, &error);

	if (err) {
		cli_error(command, "%s", error.text);
		if (err == -ENOTRECOVERABLE)
			report_print(&report, stderr);
		return (enum cli_status)guest_exit_status(err);
	}
	status = run_cases(command, settings, guest);
	guest_destroy(guest);
	return status;
}

int command_bench(int argc, char **argv)
{
	struct settings settings = {.repeat = 1, .seed = 1, .guest = GUEST_OPTIONS_DEFAULT};
	const struct cli_option options[] = {
		CLI_OPTION_JSON(&settings.json),
		{.name = "case",
		 .kind = CLI_TEXT,
		 .argument = "NAME",
		 .help = "this case alone",
		 .value = &settings.case_name},
		{.name = "pages",
		 .kind = CLI_NUMBER,
		 .argument = "N",
		 .help = "with --case fix_size: of N pages (1, 16, 128 and 512)",
		 .value = &settings.pages,
		 .min = 1,
		 .max = NB_RAM_LIMIT / 4096},
		{.name = "loops",
		 .kind = CLI_NUMBER,
		 .argument = "N",
		 .help = "the two runs differ by N loops (as many as two purges take)",
		 .value = &settings.loops,
		 .min = 1,
		 .max = 1u << 30},
		{.name = "repeat",
		 .kind = CLI_NUMBER,
		 .argument = "N",
		 .help = "do each run N times and take the fastest (1)",
		 .value = &settings.repeat,
		 .min = 1,
		 .max = 1000},
		{.name = "seed",
		 .kind = CLI_NUMBER,
		 .argument = "N",
		 .help = "of the random cases (1)",
		 .value = &settings.seed},
		GUEST_OPTIONS(&settings.guest),
		{0},
	};
	const struct cli_command command = {
		.name = "nestbox bench",
		.operands = "",
		.summary =
			"Runs the single-CPU cases of Linux's test_vmalloc inside the guest and\n"
			"says what one more loop costs.",
		.options = options,
		.notes = "Cases: fix_size full_fit long_busy_list random_size fix_align\n"
			 "random_size_align. The unit is the guest's time stamp counter; under\n"
			 "`scripts/lab npt --icount` it counts instructions.",
	};
	enum cli_status status;
	int operand;

	if (!cli_parse(&command, argc, argv, &operand, &status))
		return (int)status;
	if (!settings_make_sense(&command, &settings))
		return CLI_BAD_INPUT;
	return (int)bench(&command, &settings);
}
