/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestbox bench: the single-CPU cases of Linux's test_vmalloc, run inside the guest, a hypercall a
 * run. The cost of a loop is that of one more: the difference between two runs of different
 * length, so that set-up, entry and clearing up cancel out. Percentiles come from a third run, in
 * which every loop is stamped, which costs something itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/base/cli.h"
#include "vmm/nestbox/bench.h"
#include "vmm/nestbox/compare.h"
#include "vmm/machine/guest.h"
#include "vmm/nestbox/guest_options.h"
#include "vmm/nestbox/interrupt.h"
#include "vmm/base/latency.h"
#include "vmm/soft/plan.h"

/*
 * More lazy pages than these, for each binary digit of the number of CPUs, and the guest purges
 * (Linux's 32 MiB). By default the two runs differ by the loops that whole purges take: what a
 * purge costs is spread over them exactly, and where in the row of purges a run ends is the same
 * for both. Random sizes have no such period, and among many areas no two runs are the same; there
 * many purges make one more, or an interrupt, small.
 */
#define PURGE_PAGES 8192u

/*
 * Instead of a longer run, which the lab kernel's timer would interrupt more often: the best of
 * some short ones has the fewest interrupts, usually none. And the first run of a case is one that
 * makes the tables and slabs that the others find: it must not be one of the two compared.
 */
#define REPEAT_COUNTING 5u
#define REPEAT_MAX      1000u

static const struct bench_case cases[] = {
	{"fix_size", NB_BENCH_FIX_SIZE, 1, 2, 2},
	{"fix_size", NB_BENCH_FIX_SIZE, 16, 17, 2},
	{"fix_size", NB_BENCH_FIX_SIZE, 128, 129, 4},
	{"fix_size", NB_BENCH_FIX_SIZE, 512, 513, 4},
	{"full_fit", NB_BENCH_FULL_FIT, 0, 2, 2},
	{"long_busy_list", NB_BENCH_LONG_BUSY_LIST, 0, 103, 24},
	{"random_size", NB_BENCH_RANDOM_SIZE, 0, 51, 16},
	{"fix_align", NB_BENCH_FIX_ALIGN, 0, 6, 1},
	{"random_size_align", NB_BENCH_RANDOM_SIZE_ALIGN, 0, 6, 2},
};
#define NR_CASES (sizeof(cases) / sizeof(cases[0]))

struct settings {
	const struct program *program;
	bool json;
	const char *case_name;
	uint64_t pages, loops, seed;
	uint64_t repeat;  /* 0: as the clock needs */
	uint64_t threads; /* 0: one vCPU alone */
	const char *unit; /* of ticks */
	struct picture_files files;
	struct compare_options compare;
	struct guest_options guest;
};

/* ---- running ---- */

/*
 * Frames that are written before anything is measured, as many as the largest case uses: the first
 * write to one costs a fault of the second stage, which is the host's and not the core's.
 */
#define WARM_AREAS 32u
#define WARM_BYTES (4ull << 20)

/* Allocates zeroed areas and frees them; a guest too small for all of them does what it can. */
static int warm_up(struct guest *guest)
{
	struct nb_submission allocate = {
		.opcode = NB_OP_VMALLOC,
		.arg = {WARM_BYTES, 1, NB_VMALLOC_START, NB_VMALLOC_END,
			NB_GFP_KERNEL | NB_GFP_ZERO | NB_GFP_NOWARN, NB_PAGE_KERNEL, NB_VM_ALLOC,
			(uint64_t)-1},
	};
	struct nb_submission release = {.opcode = NB_OP_VFREE};
	uint64_t address[WARM_AREAS];
	struct nb_completion completion;
	unsigned int count;
	int err = 0;

	for (count = 0; count < WARM_AREAS; count++) {
		err = guest_call(guest, 0, &allocate, &completion);
		if (err || completion.status)
			break;
		address[count] = completion.result[0];
	}
	while (!err && count > 0) {
		release.arg[0] = address[--count];
		err = guest_call(guest, 0, &release, &completion);
	}
	return err;
}

static int run_once(struct guest *guest, struct settings *settings,
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
	if (completion.result[1] < loops)
		return -EINTR;
	*ticks_out = completion.result[0];
	return 0;
}

/* Ticks of as many runs of @loops as asked for. */
static int run_all(struct guest *guest, struct settings *settings,
		   const struct bench_result *result, uint64_t loops, uint64_t *ticks_out)
{
	int err = 0;

	for (uint64_t i = 0; i < settings->repeat && !err; i++)
		err = run_once(guest, settings, result->bench_case, result->pages, loops, false,
			       &ticks_out[i]);
	return err;
}

/* The fewest: what an interrupt of the host adds goes. */
static uint64_t best_of(const uint64_t *ticks, uint64_t count)
{
	uint64_t best = ticks[0];

	for (uint64_t i = 1; i < count; i++)
		best = ticks[i] < best ? ticks[i] : best;
	return best;
}

static int run_percentiles(struct guest *guest, struct settings *settings,
			   struct bench_result *result)
{
	uint64_t loops = result->loops, ticks = 0, i;
	struct latency latency = {0};
	const uint32_t *stamps;
	char name[BENCH_NAME_BYTES];
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
		if (picture_wanted(&settings->files)) {
			bench_result_name(result, name);
			result->histogram = picture_histogram(name, settings->unit, &latency);
		}
	}
	latency_deinit(&latency);
	return err;
}

/* How many loops it takes, from nothing lazy on, to one purge; fixed sizes repeat that exactly. */
static uint64_t loops_to_purge(const struct guest *guest, unsigned int lazy_pages)
{
	unsigned int cpus = guest_nr_vcpus(guest), pages = 0;

	for (; cpus; cpus >>= 1)
		pages += PURGE_PAGES;
	return pages / lazy_pages + 1;
}

static double processor_seconds(void)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The same work, and how fast an engine that counts instructions went. */
static int run_both(struct guest *guest, struct settings *settings, struct bench_result *result,
		    uint64_t few, uint64_t *less, uint64_t *more)
{
	double start = processor_seconds();
	uint64_t before = 0, after = 0;
	int vm = guest_kvm_fd(guest, -1), err;
	bool counts = soft_instructions(vm, &before) == 0;

	err = run_all(guest, settings, result, few, less);
	if (!err)
		err = run_all(guest, settings, result, few + result->loops, more);
	if (!err && counts && soft_instructions(vm, &after) == 0)
		result->speed = (double)(after - before) / (processor_seconds() - start);
	return err;
}

static int run_threads(struct guest *guest, struct settings *settings, uint64_t few,
		       struct bench_result *result)
{
	const struct nb_submission call = {
		.opcode = NB_OP_BENCH,
		.arg = {result->bench_case->number, 0, result->pages, settings->seed},
	};

	return bench_threads_run(guest, &call, (unsigned int)settings->threads, few, result->loops,
				 settings->repeat, &result->together);
}

static int run_case(struct guest *guest, struct settings *settings,
		    const struct bench_case *bench_case, struct bench_result *result)
{
	unsigned int pages = bench_case->pages, lazy_pages = bench_case->lazy_pages;
	uint64_t less[REPEAT_MAX] = {0}, more[REPEAT_MAX] = {0}, few;
	double loops;
	int err;

	if (pages && settings->pages) {
		pages = (unsigned int)settings->pages;
		lazy_pages = pages + 1;
	}
	*result = (struct bench_result){.bench_case = bench_case, .pages = pages};
	few = loops_to_purge(guest, lazy_pages);
	result->loops = bench_case->purges * few;
	if (settings->loops) {
		result->loops = settings->loops;
		few = settings->loops / 4 + 1;
	}
	err = run_both(guest, settings, result, few, less, more);
	if (err)
		return err;
	loops = (double)result->loops;
	result->ticks_per_loop = ((double)best_of(more, settings->repeat) -
				  (double)best_of(less, settings->repeat)) /
				 loops;
	result->runs = json_array();
	for (uint64_t i = 0; i < settings->repeat; i++)
		json_array_append_new(result->runs,
				      json_real(((double)more[i] - (double)less[i]) / loops));
	err = run_percentiles(guest, settings, result);
	return err || !settings->threads ? err : run_threads(guest, settings, few, result);
}

/* ---- the command ---- */

static bool wanted(struct settings *settings, size_t i)
{
	if (settings->case_name && strcmp(settings->case_name, cases[i].name) != 0)
		return false;
	/* --pages: one fix_size case of that size in place of the four. */
	return !settings->pages || (cases[i].pages != 0 && (i == 0 || !cases[i - 1].pages));
}

/* Says what was measured, as the options want it. Returns @status, or what comes of it. */
static enum cli_status tell(const struct cli_command *command, const struct settings *settings,
			    const struct program *program, const struct guest *guest,
			    const struct bench_result *results, size_t count,
			    enum cli_status status)
{
	bool wanted = settings->json || settings->compare.file;
	json_t *report = wanted ? bench_report(program, guest, results, count) : NULL;

	if (!settings->json)
		bench_print(program, guest, results, count);
	status = compare_and_print(command, report, &settings->compare, settings->json, status);
	json_decref(report);
	if (picture_wanted(&settings->files))
		status = picture_save(command, bench_picture(guest, results, count),
				      &settings->files, status);
	return status;
}

/* Says why not all cases were run, the last of @count. Returns how many Ctrl-C leaves. */
static size_t failed(const struct cli_command *command, const struct guest *guest,
		     const struct bench_result *results, size_t count, int err)
{
	char name[BENCH_NAME_BYTES] = "warming up";

	if (count)
		bench_result_name(&results[count - 1], name);
	if (err == -EINTR && interrupt_seen()) {
		cli_error(command, "interrupted in %s: what was done before", name);
		return count ? count - 1 : 0;
	}
	cli_error(command, "%s: %s", name, strerror(-err));
	if (guest_failure(guest))
		report_print(guest_failure(guest), stderr);
	return 0;
}

static enum cli_status run_cases(const struct cli_command *command, struct settings *settings,
				 struct guest *guest)
{
	struct bench_result results[NR_CASES] = {0};
	struct program program;
	struct cli_progress progress;
	enum cli_status status = CLI_WRONG;
	size_t i, good, count = 0;
	int err;

	program = guest_options_program(settings->program, guest);
	settings->unit = program.tick_unit;
	if (!settings->repeat)
		settings->repeat = program.ticks_are_instructions ? REPEAT_COUNTING : 1;
	cli_progress_start(&progress, "bench");
	interrupt_begin(guest);
	err = warm_up(guest);
	for (i = 0; i < NR_CASES && !err; i++) {
		cli_progress_update(&progress, i, NR_CASES);
		if (wanted(settings, i))
			err = run_case(guest, settings, &cases[i], &results[count++]);
	}
	interrupt_end();
	cli_progress_end(&progress);
	if (err)
		good = failed(command, guest, results, count, err);
	else
		good = count;
	if (!err || good)
		status = tell(command, settings, &program, guest, results, good,
			      err ? CLI_WRONG : CLI_DONE);
	for (i = 0; i < count; i++) {
		json_decref(results[i].runs);
		json_decref(results[i].histogram);
	}
	return status;
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

static bool settings_make_sense(const struct cli_command *command, struct settings *settings)
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

static enum cli_status bench(const struct cli_command *command, struct settings *settings)
{
	struct guest_config config = guest_options_config(&settings->guest);
	enum cli_status status;
	struct guest *guest;

	config.message = guest_message_print;
	if (config.nr_vcpus < settings->threads)
		config.nr_vcpus = (unsigned int)settings->threads;
	status = picture_confine(command, &settings->guest, &settings->files);
	if (status != CLI_DONE)
		return status;
	status = guest_options_start(command, &config, &guest);
	if (status != CLI_DONE)
		return status;
	status = run_cases(command, settings, guest);
	status = guest_options_save(command, guest, status);
	guest_destroy(guest);
	return status;
}

int command_bench(const struct program *program, int argc, char **argv)
{
	struct settings settings = {.program = program,
				    .seed = 1,
				    .compare = {.threshold = -1},
				    .guest = GUEST_OPTIONS_DEFAULT};
	const struct cli_option options[] = {
		CLI_OPTION_JSON(&settings.json),
		CLI_OPTION("case", CLI_TEXT, "NAME", "this case alone", &settings.case_name),
		CLI_OPTION("pages", CLI_NUMBER, "N",
			   "with --case fix_size: of N pages (1, 16, 128 and 512)", &settings.pages,
			   .min = 1, .max = NB_RAM_LIMIT / 4096),
		CLI_OPTION("loops", CLI_NUMBER, "N",
			   "the two runs differ by N loops (as many as a few purges take)",
			   &settings.loops, .min = 1, .max = 1u << 30),
		CLI_OPTION("repeat", CLI_NUMBER, "N",
			   "do each run N times and take the fastest (1; counting, 5)",
			   &settings.repeat, .min = 1, .max = REPEAT_MAX),
		CLI_OPTION("threads", CLI_NUMBER, "N",
			   "on N vCPUs at once as well: what the others cost each",
			   &settings.threads, .min = 1, .max = NB_MAX_VCPUS),
		CLI_OPTION("seed", CLI_NUMBER, "N", "of the random cases (1)", &settings.seed),
		PICTURE_OPTIONS(&settings.files),
		COMPARE_OPTIONS(&settings.compare),
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
			 "random_size_align. The unit is the guest's time stamp counter; with\n"
			 "--kvm soft and under `scripts/lab npt --icount` it counts instructions.\n"
			 "docs/performance.md says what the numbers mean.",
	};
	enum cli_status status;
	int operand;

	/* What the guest says for the checks would be counted too. */
	settings.guest.checks = 0;
	if (!cli_parse(&command, argc, argv, &operand, &status))
		return (int)status;
	if (!settings_make_sense(&command, &settings))
		return CLI_BAD_INPUT;
	return (int)bench(&command, &settings);
}
