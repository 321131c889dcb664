/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestbox replay: a guest does what a real kernel did, and its addresses, its end state and its
 * audit are held against the kernel's. Every folder is read whole before the first guest starts,
 * so bad input stops everything before anything was done.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "vmm/base/cli.h"
#include "vmm/nestbox/commands.h"
#include "vmm/nestbox/compare.h"
#include "vmm/machine/guest.h"
#include "vmm/attach/executor.h"
#include "vmm/nestbox/guest_options.h"
#include "vmm/nestbox/interrupt.h"
#include "vmm/nestbox/picture_options.h"
#include "vmm/nestbox/recording.h"
#include "vmm/replay/replay.h"
#include "vmm/replay/end.h"
#include "vmm/replay/explain.h"
#include "vmm/replay/layout.h"
#include "vmm/replay/needs.h"
#include "vmm/replay/report.h"
#include "vmm/replay/rules.h"
#include "vmm/replay/state.h"

struct settings {
	const struct program *program;
	bool json, no_inference, parallel;
	uint64_t explain; /* the number of an allocation; 0: none */
	struct guest_options guest;
	struct replay_options options;
	struct picture_files files;
	struct compare_options compare;
};

/* One folder, read. */
struct job {
	char *name, *trace_path, *begin_path,
		*end_path; /* of the snapshots: NULL if there is none */
	struct vmallocinfo begin, end;
	struct replay_plan plan;
	struct ftrace_info info;
	struct replay_layout layout;
	uint64_t memory_bytes; /* the guest's */
	struct replay_state state;
	struct rules_found rules;
	struct settle_options settle;
	struct settle_report settled;
};

/* What the guest's own ranges leave free: guest/border.h refuses areas in those. */
static const struct replay_room guest_room = {
	.low = NB_DIRECT_BASE + NB_RAM_LIMIT,
	.high = NB_MEMMAP_BASE,
	.vmalloc_start = NB_VMALLOC_START,
	.vmalloc_end = NB_VMALLOC_END,
	.modules_start = NB_MODULES_BASE,
	.modules_end = UINT64_MAX,
};

static int parse_audit(const char *text, void *value)
{
	return replay_audit_mode_parse(text, value);
}

/* ---- reading ---- */

/* Reads a snapshot the folder may have; one that cannot be read is an error, none is not. */
static int read_snapshot(const char *folder, const char *file, char **path_out,
			 struct vmallocinfo *info_out, struct input_error *error)
{
	char *path = recording_file(folder, file);
	int err;

	if (!path)
		return -ENOMEM;
	if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
		free(path);
		return 0;
	}
	err = vmallocinfo_read(path, info_out, error);
	if (err)
		free(path);
	else
		*path_out = path;
	return err;
}

static void job_close(struct job *job)
{
	replay_plan_free(&job->plan);
	replay_layout_free(&job->layout);
	replay_state_free(&job->state);
	free(job->info.skipped_names);
	vmallocinfo_free(&job->begin);
	vmallocinfo_free(&job->end);
	free(job->name);
	free(job->trace_path);
	free(job->begin_path);
	free(job->end_path);
}

/* Adds what the folder's `meta` says, if it has one. */
static int read_meta(const char *folder, struct ftrace_info *info, struct input_error *error)
{
	char *path = recording_file(folder, "meta");
	int err = path ? 0 : -ENOMEM;

	if (path && !access(path, F_OK))
		err = ftrace_read_meta(path, info, error);
	free(path);
	return err;
}

/* Moves the recording to where the guest can have it, and finds how much memory that takes. */
static int fit_guest(const char *folder, const struct guest_options *guest, struct job *job,
		     struct input_error *error)
{
	int err = replay_layout_find(&job->plan, job->begin_path ? &job->begin : NULL,
				     job->end_path ? &job->end : NULL, &guest_room, folder,
				     &job->layout, error);
	uint64_t needed = replay_plan_memory(&job->plan);
	char most[32];

	if (err)
		return err;
	replay_layout_move_plan(&job->layout, &job->plan);
	replay_layout_move_snapshot(&job->layout, &job->begin);
	replay_layout_move_snapshot(&job->layout, &job->end);
	job->memory_bytes = needed > MEMORY_BYTES_DEFAULT ? needed : MEMORY_BYTES_DEFAULT;
	if (guest->memory_bytes)
		job->memory_bytes = guest->memory_bytes;
	if (job->memory_bytes <= MEMORY_BYTES_MAX)
		return 0;
	cli_size_format(MEMORY_BYTES_MAX, most, sizeof(most));
	return input_fail(error, job->trace_path, 0,
			  "more is mapped at one time than a guest can have memory (%s); replay it "
			  "with --memory SIZE, and what does not fit will fail",
			  most);
}

/* Model steps that inference may spend: some seconds. */
#define INFERENCE_WORK UINT64_C(12000000)

static void show_inference(void *context, uint64_t done, uint64_t total, uint64_t missed)
{
	cli_progress_update(context, done, total);
}

/* Brings the plan to Linux's addresses. A state that does not fit the snapshot is said and left. */
static int settle(const struct settings *settings, const char *folder, struct job *job,
		  struct input_error *error)
{
	struct cli_progress progress;
	int err = replay_state_read_folder(folder, &job->layout, &job->state, error);

	if (err)
		return err;
	replay_state_apply(&job->state, &job->plan);
	if (job->state.shape_count > GUEST_EXECUTOR_SHAPE_MAX) {
		fprintf(stderr,
			"%s: a guest takes the shape of a free tree of %zu ranges at most, and the "
			"state's has %zu; its ranges are inserted by address instead\n",
			folder, GUEST_EXECUTOR_SHAPE_MAX, job->state.shape_count);
		free(job->state.shape);
		job->state.shape = NULL;
		job->state.shape_count = 0;
	}
	job->settle.start = (struct settle_start){
		.shape = job->state.shape,
		.shape_count = job->state.shape_count,
		.pooled = job->state.pooled,
		.pooled_count = job->state.pooled_count,
		.pools_known = job->state.pools_known,
	};
	err = rules_find(&job->plan, &job->info, &job->settle.start, guest_room.vmalloc_start,
			 guest_room.vmalloc_end, &job->rules, error);
	if (err)
		return err;
	cli_progress_start(&progress, job->name);
	job->settle.rules = job->rules.rules;
	job->settle.shape_max = GUEST_EXECUTOR_SHAPE_MAX;
	job->settle.work = settings->no_inference ? 0 : INFERENCE_WORK;
	job->settle.progress = show_inference;
	job->settle.progress_context = &progress;
	err = settle_plan(&job->plan, &job->settle, &job->settled, error);
	if (err == -EINVAL && job->state.shape) {
		fprintf(stderr, "%s: %s; going on without it\n", folder, error->text);
		job->settle.start = (struct settle_start){0};
		err = settle_plan(&job->plan, &job->settle, &job->settled, error);
	}
	cli_progress_end(&progress);
	job->settle.progress = NULL;
	return err;
}

/* On failure the job is closed. */
static int job_open(const char *folder, const struct settings *settings, struct job *job,
		    struct input_error *error)
{
	int err = -ENOMEM;

	*job = (struct job){.name = recording_name(folder), .trace_path = recording_trace(folder)};
	input_fail(error, folder, 0, "out of memory");
	if (!job->name || !job->trace_path)
		goto err_close;
	err = read_snapshot(folder, "vmallocinfo.begin", &job->begin_path, &job->begin, error);
	if (!err)
		err = read_snapshot(folder, "vmallocinfo.end", &job->end_path, &job->end, error);
	if (!err)
		err = replay_plan_read(job->trace_path, job->begin_path ? &job->begin : NULL,
				       &job->plan, &job->info, error);
	if (!err)
		err = read_meta(folder, &job->info, error);
	if (!err)
		err = fit_guest(folder, &settings->guest, job, error);
	if (!err)
		err = settle(settings, folder, job, error);
	if (!err)
		return 0;
err_close:
	job_close(job);
	return err;
}

/* ---- running ---- */

static int show_progress(void *context, uint64_t done, uint64_t total)
{
	cli_progress_update(context, done, total);
	return interrupt_seen();
}

/* Returns @status, or what the comparison makes of it. */
static enum cli_status print_report(const struct cli_command *command, struct settings *settings,
				    const struct replay_report *report, enum cli_status status)
{
	bool wanted = settings->json || settings->compare.file;
	json_t *json = wanted ? replay_report_json(report) : NULL;

	if (!settings->json)
		replay_report_print(report, stdout);
	status = compare_and_print(command, json, &settings->compare, settings->json, status);
	json_decref(json);
	return status;
}

/* Replays @job in @guest, prints the report, and says how it went. */
static enum cli_status replay_in(const struct cli_command *command, struct settings *settings,
				 struct job *job, struct guest *guest,
				 struct guest_executor *executor)
{
	struct replay_executor interface = guest_executor_interface(executor);
	struct replay_options options = settings->options;
	const struct kvm_host *host = guest_kvm_host(guest);
	const struct guest_times *times = guest_times(guest);
	struct replay_end_state end = {0};
	struct replay_outcome outcome;
	struct cli_progress progress;
	struct input_error error;
	enum cli_status status = CLI_WRONG;
	double start = clock_seconds();
	int err;

	cli_progress_start(&progress, job->name);
	options.progress = show_progress;
	options.progress_context = &progress;
	interrupt_begin(guest);
	err = replay_run(&job->plan, &interface, &options, &outcome, &error);
	interrupt_end();
	cli_progress_end(&progress);
	if (err) {
		cli_error(command, "%s", error.text);
		if (guest_failure(guest))
			report_print(guest_failure(guest), stderr);
		return err == -ENOMEM ? CLI_HOST : CLI_WRONG;
	}
	start = clock_seconds() - start;
	if (job->end_path && replay_end_compare(&job->plan, &outcome, &job->end, &end)) {
		cli_error(command, "out of memory"), status = CLI_HOST;
	} else {
		struct replay_report report = {
			.name = job->name,
			.trace_path = job->trace_path,
			.plan = &job->plan,
			.trace = &job->info,
			.outcome = &outcome,
			.settled = &job->settled,
			.rules = job->rules.text,
			.rules_known = job->rules.known,
			.end = job->end_path ? &end : NULL,
			.end_path = job->end_path,
			.cpus = guest_nr_vcpus(guest),
			.memory_bytes = guest_memory_bytes(guest),
			.layout = &job->layout,
			.image = guest_image(guest)->name,
			.kvm_module = host->module,
			.second_stage = host->second_stage,
			.latency_unit = guest_options_program(settings->program, guest).tick_unit,
			.start_seconds =
				times->begin + times->started - settings->program->started_seconds,
			.run_seconds = start,
		};

		status = print_report(command, settings, &report, replay_report_status(&report));
		if (picture_wanted(&settings->files))
			status = picture_save(command, picture_of_replay(&report), &settings->files,
					      status);
	}
	replay_end_state_free(&end);
	replay_outcome_free(&outcome);
	return status;
}

/* Says why there is nothing to replay; that is never right. */
static enum cli_status replay_nothing(const struct settings *settings, const struct job *job,
				      const char *reason)
{
	json_t *json;

	if (!settings->json) {
		printf("%s: WRONG; 0 of 0 addresses: %s\n", job->name, reason);
		return CLI_WRONG;
	}
	json = replay_nothing_json(job->name, &job->plan, &job->info, reason);
	if (json)
		json_dumpf(json, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(json);
	return CLI_WRONG;
}

static enum cli_status replay_job(const struct cli_command *command, struct settings *settings,
				  struct job *job)
{
	struct guest_config config = guest_options_config(&settings->guest);
	struct guest_executor *executor;
	struct error error;
	enum cli_status status;
	char reason[256];
	struct guest *guest;
	int err;

	if (replay_plan_is_empty(&job->plan, &job->info, reason, sizeof(reason)))
		return replay_nothing(settings, job, reason);
	config.message = guest_message_print;
	config.memory_bytes = job->memory_bytes;
	if (settings->parallel && config.nr_vcpus == 0)
		config.nr_vcpus = replay_plan_cpus(&job->plan, NB_MAX_VCPUS);
	status = guest_options_start(command, &config, &guest);
	if (status != CLI_DONE)
		return status;
	err = guest_executor_create(guest, &executor, &error);
	if (err) {
		cli_error(command, "%s", error.text);
		status = cli_status_of(err);
	} else {
		if (settings->parallel)
			guest_executor_spread(executor);
		status = replay_in(command, settings, job, guest, executor);
		guest_executor_destroy(executor);
	}
	status = guest_options_save(command, guest, status);
	guest_destroy(guest);
	return status;
}

static enum cli_status explain_job(const struct cli_command *command,
				   const struct settings *settings, struct job *job)
{
	struct input_error error;

	if (settle_explain_alloc(&job->plan, &job->settle, settings->explain, stdout, &error))
		return cli_error(command, "%s: %s", job->name, error.text), CLI_BAD_INPUT;
	return CLI_DONE;
}

static enum cli_status replay_folders(const struct cli_command *command, struct settings *settings,
				      char **folders, size_t count)
{
	struct job *jobs = calloc(count, sizeof(*jobs));
	enum cli_status status = CLI_DONE, one;
	size_t opened, i;
	struct input_error error;
	int err;

	if (!jobs)
		return cli_error(command, "out of memory"), CLI_HOST;
	for (opened = 0; opened < count; opened++) {
		err = job_open(folders[opened], settings, &jobs[opened], &error);
		if (err) {
			cli_error(command, "%s", error.text);
			status = err == -ENOMEM ? CLI_HOST : CLI_BAD_INPUT;
			break;
		}
	}
	for (i = 0; i < count && opened == count; i++) {
		one = settings->explain ? explain_job(command, settings, &jobs[i])
					: replay_job(command, settings, &jobs[i]);
		status = one > status ? one : status;
	}
	while (opened > 0)
		job_close(&jobs[--opened]);
	free(jobs);
	return status;
}

int command_replay(const struct program *program, int argc, char **argv)
{
	struct settings settings = {
		.program = program,
		.guest = GUEST_OPTIONS_DEFAULT,
		.options = {.audit = REPLAY_AUDIT_END},
		.compare = {.threshold = -1},
	};
	const struct cli_option options[] = {
		CLI_OPTION_JSON(&settings.json),
		PICTURE_OPTIONS(&settings.files),
		COMPARE_OPTIONS(&settings.compare),
		GUEST_OPTIONS_OF(&settings.guest, "what the recording needs, at least 512M"),
		CLI_OPTION("explain", CLI_NUMBER, "N",
			   "say what the search saw at the Nth allocation, and start no guest",
			   &settings.explain, .max = INT64_MAX),
		CLI_OPTION("no-inference", CLI_FLAG, NULL,
			   "look for no order and no start that the recording does not tell",
			   &settings.no_inference),
		CLI_OPTION("parallel", CLI_FLAG, NULL,
			   "each CPU's events on a vCPU of its own (as many as the recording has,\n"
			   "or --cpus), in the recording's order",
			   &settings.parallel),
		CLI_OPTION("audit", CLI_CUSTOM, "WHEN",
			   "end: after the last operation (the default)\n"
			   "every=N: after every N operations too\nnone: never",
			   &settings.options, .parse = parse_audit,
			   .expects = "end, every=N or none"),
		{0},
	};
	const struct cli_command command = {
		.name = "nestbox replay",
		.operands = "DIR...",
		.summary =
			"Replays what a real kernel's vmalloc did, recorded by scripts/capture,\n"
			"in a guest, and compares every address, the end state and the page\n"
			"tables with what they have to be.",
		.options = options,
		.notes = "DIR holds `trace` (text of ftrace, trace-cmd report or perf script) or\n"
			 "`trace.dat`, and may hold `vmallocinfo.begin` and `vmallocinfo.end` "
			 "(areas\n"
			 "before and after), `meta`, `state` (docs/replay.md). Or a trace alone.",
		.min_operands = 1,
		.max_operands = -1,
	};
	enum cli_status status;
	int first;

	settings.guest.memory_bytes = 0; /* sized by each recording */
	settings.guest.cpus = 0;         /* with --parallel as well */
	if (!cli_parse(&command, argc, argv, &first, &status))
		return (int)status;
	if ((picture_wanted(&settings.files) || settings.compare.file) && argc - first > 1) {
		cli_error(&command, "a picture and a comparison are of one replay");
		return CLI_BAD_INPUT;
	}
	status = picture_confine(&command, &settings.guest, &settings.files);
	return status ? status
		      : replay_folders(&command, &settings, argv + first, (size_t)(argc - first));
}
