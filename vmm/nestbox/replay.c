/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestbox replay: a guest does what a real kernel did, and its addresses, its end state and its
 * audit are held against the kernel's. Every folder is read whole before the first guest starts,
 * so bad input stops everything before anything was done.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "vmm/base/cli.h"
#include "vmm/nestbox/commands.h"
#include "vmm/nestbox/compare.h"
#include "vmm/machine/guest.h"
#include "vmm/attach/executor.h"
#include "vmm/nestbox/guest_options.h"
#include "vmm/nestbox/interrupt.h"
#include "vmm/nestbox/picture_options.h"
#include "vmm/nestbox/replay_job.h"
#include "vmm/replay/replay.h"
#include "vmm/replay/end.h"
#include "vmm/replay/explain.h"
#include "vmm/replay/model.h"
#include "vmm/replay/needs.h"
#include "vmm/replay/report.h"

struct settings {
	const struct program *program;
	bool json, parallel;
	struct job_options job;
	uint64_t explain; /* the number of an allocation; 0: none */
	struct guest_options guest;
	struct replay_options options;
	struct picture_files files;
	struct compare_options compare;
};

static int parse_audit(const char *text, void *value)
{
	return replay_audit_mode_parse(text, value);
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

/* Where a job is carried out: a guest, or the model if that is NULL. */
struct place {
	struct guest *guest;
	struct replay_executor executor;
};

/* The machine's part of the report. */
static void report_guest(const struct settings *settings, struct guest *guest,
			 struct replay_report *report)
{
	const struct kvm_host *host = guest_kvm_host(guest);
	const struct guest_times *times = guest_times(guest);

	report->cpus = guest_nr_vcpus(guest);
	report->memory_bytes = guest_memory_bytes(guest);
	report->image = guest_image(guest)->name;
	report->kvm_module = host->module;
	report->second_stage = host->second_stage;
	report->latency_unit = guest_options_program(settings->program, guest).tick_unit;
	report->start_seconds = times->begin + times->started - settings->program->started_seconds;
}

/* Holds the end against the snapshot, prints and draws. */
static enum cli_status conclude(const struct cli_command *command, struct settings *settings,
				struct job *job, struct guest *guest, struct replay_report *report)
{
	struct replay_end_state end = {0};
	enum cli_status status = CLI_WRONG;

	if (job->end_path && replay_end_compare(&job->plan, report->outcome, &job->end, &end)) {
		cli_error(command, "out of memory"), status = CLI_HOST;
	} else {
		report->end = job->end_path ? &end : NULL;
		if (guest)
			report_guest(settings, guest, report);
		status = print_report(command, settings, report, replay_report_status(report));
		if (picture_wanted(&settings->files))
			status = picture_save(command, picture_of_replay(report), &settings->files,
					      status);
	}
	replay_end_state_free(&end);
	return status;
}

/* Replays @job at @place, prints the report, and says how it went. */
static enum cli_status replay_in(const struct cli_command *command, struct settings *settings,
				 struct job *job, const struct place *place)
{
	struct replay_options options = settings->options;
	struct replay_outcome outcome;
	struct replay_report report = {
		.name = job->name,
		.trace_path = job->trace_path,
		.plan = &job->plan,
		.trace = &job->info,
		.outcome = &outcome,
		.settled = &job->settled,
		.rules = job->rules.text,
		.rules_known = job->rules.known,
		.end_path = job->end_path,
		.layout = &job->layout,
	};
	struct cli_progress progress;
	struct input_error error;
	enum cli_status status;
	double start = clock_seconds();
	int err;

	cli_progress_start(&progress, job->name);
	options.progress = show_progress;
	options.progress_context = &progress;
	if (place->guest)
		interrupt_begin(place->guest);
	err = replay_run(&job->plan, &place->executor, &options, &outcome, &error);
	if (place->guest)
		interrupt_end();
	cli_progress_end(&progress);
	if (err) {
		cli_error(command, "%s", error.text);
		if (place->guest && guest_failure(place->guest))
			report_print(guest_failure(place->guest), stderr);
		return err == -ENOMEM ? CLI_HOST : CLI_WRONG;
	}
	report.run_seconds = clock_seconds() - start;
	report.start_seconds = start - settings->program->started_seconds;
	status = conclude(command, settings, job, place->guest, &report);
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

static enum cli_status replay_in_guest(const struct cli_command *command, struct settings *settings,
				       struct job *job)
{
	struct guest_config config = guest_options_config(&settings->guest);
	struct guest_executor *executor;
	struct place place = {0};
	struct error error;
	enum cli_status status;
	int err;

	config.message = guest_message_print;
	config.memory_bytes = job->memory_bytes;
	if (settings->parallel && config.nr_vcpus == 0)
		config.nr_vcpus = replay_plan_cpus(&job->plan, NB_MAX_VCPUS);
	status = guest_options_start(command, &config, &place.guest);
	if (status != CLI_DONE)
		return status;
	err = guest_executor_create(place.guest, &executor, &error);
	if (err) {
		cli_error(command, "%s", error.text);
		status = cli_status_of(err);
	} else {
		if (settings->parallel)
			guest_executor_spread(executor);
		place.executor = guest_executor_interface(executor);
		status = replay_in(command, settings, job, &place);
		guest_executor_destroy(executor);
	}
	status = guest_options_save(command, place.guest, status);
	guest_destroy(place.guest);
	return status;
}

static enum cli_status replay_in_model(const struct cli_command *command, struct settings *settings,
				       struct job *job)
{
	struct replay_model *model = replay_model_create();
	enum cli_status status = CLI_HOST;

	if (!model) {
		cli_error(command, "out of memory");
	} else {
		struct place place = {.executor = replay_model_interface(model)};

		status = replay_in(command, settings, job, &place);
	}
	replay_model_destroy(model);
	return status;
}

static enum cli_status replay_job(const struct cli_command *command, struct settings *settings,
				  struct job *job)
{
	char reason[256];

	if (replay_plan_is_empty(&job->plan, &job->info, reason, sizeof(reason)))
		return replay_nothing(settings, job, reason);
	return settings->job.no_guest ? replay_in_model(command, settings, job)
				      : replay_in_guest(command, settings, job);
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
		err = job_open(folders[opened], &settings->job, &jobs[opened], &error);
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
		CLI_OPTION("no-guest", CLI_FLAG, NULL,
			   "carry it out in the model of Linux's rules alone: the same report in\n"
			   "a moment, without KVM, and without what only a guest can show",
			   &settings.job.no_guest),
		CLI_OPTION("no-inference", CLI_FLAG, NULL,
			   "look for no order and no start that the recording does not tell",
			   &settings.job.no_inference),
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
	settings.job.memory_bytes = settings.guest.memory_bytes;
	status = picture_confine(&command, &settings.guest, &settings.files);
	return status ? status
		      : replay_folders(&command, &settings, argv + first, (size_t)(argc - first));
}
