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
#include "vmm/machine/guest.h"
#include "vmm/attach/executor.h"
#include "vmm/nestbox/guest_options.h"
#include "vmm/replay/replay.h"
#include "vmm/replay/end.h"
#include "vmm/replay/report.h"

struct settings {
	const struct program *program;
	bool json;
	struct guest_options guest;
	struct replay_options options;
};

/* One folder, read. */
struct job {
	char *name, *trace_path, *begin_path,
		*end_path; /* of the snapshots: NULL if there is none */
	struct vmallocinfo begin, end;
	struct replay_plan plan;
	struct ftrace_info info;
};

static int parse_audit(const char *text, void *value)
{
	return replay_audit_mode_parse(text, value);
}

/* ---- reading ---- */

static char *in_folder(const char *folder, const char *file)
{
	char *path;

	return asprintf(&path, "%s/%s", folder, file) < 0 ? NULL : path;
}

/* The last part of a folder's path: what its trace is called. */
static char *folder_name(const char *folder)
{
	size_t end = strlen(folder), start;

	while (end > 1 && folder[end - 1] == '/')
		end--;
	for (start = end; start > 0 && folder[start - 1] != '/';)
		start--;
	return strndup(folder + start, end - start);
}

/* Reads a snapshot the folder may have; one that cannot be read is an error, none is not. */
static int read_snapshot(const char *folder, const char *file, char **path_out,
			 struct vmallocinfo *info_out, struct input_error *error)
{
	char *path = in_folder(folder, file);
	int err;

	if (!path)
		return -ENOMEM;
	if (access(path, F_OK) != 0 && errno == ENOENT) {
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
	free(job->info.skipped_names);
	vmallocinfo_free(&job->begin);
	vmallocinfo_free(&job->end);
	free(job->name);
	free(job->trace_path);
	free(job->begin_path);
	free(job->end_path);
}

/* On failure the job is closed. */
static int job_open(const char *folder, struct job *job, struct input_error *error)
{
	int err = -ENOMEM;

	*job = (struct job){.name = folder_name(folder), .trace_path = in_folder(folder, "trace")};
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
		return 0;
err_close:
	job_close(job);
	return err;
}

/* ---- running ---- */

static void show_progress(void *context, uint64_t done, uint64_t total)
{
	cli_progress_update(context, done, total);
}

static void print_report(struct settings *settings, const struct replay_report *report)
{
	json_t *json;

	if (!settings->json) {
		replay_report_print(report, stdout);
		return;
	}
	json = replay_report_json(report);
	if (json)
		json_dumpf(json, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(json);
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
	err = replay_run(&job->plan, &interface, &options, &outcome, &error);
	cli_progress_end(&progress);
	if (err) {
		cli_error(command, "%s", error.text);
		if (guest_failure(guest))
			report_print(guest_failure(guest), stderr);
		return CLI_WRONG;
	}
	start = clock_seconds() - start;
	if (job->end_path && replay_end_compare(&job->plan, &outcome, &job->end, &end)) {
		cli_error(command, "out of memory");
	} else {
		struct replay_report report = {
			.name = job->name,
			.trace_path = job->trace_path,
			.plan = &job->plan,
			.trace = &job->info,
			.outcome = &outcome,
			.end = job->end_path ? &end : NULL,
			.end_path = job->end_path,
			.cpus = guest_nr_vcpus(guest),
			.memory_bytes = guest_memory_bytes(guest),
			.image = guest_image(guest)->name,
			.kvm_module = host->module,
			.second_stage = host->second_stage,
			.latency_unit = guest_options_program(settings->program, guest).tick_unit,
			.start_seconds =
				times->begin + times->started - settings->program->started_seconds,
			.run_seconds = start,
		};

		print_report(settings, &report);
		status = replay_report_status(&report);
	}
	replay_end_state_free(&end);
	replay_outcome_free(&outcome);
	return status;
}

static enum cli_status replay_job(const struct cli_command *command, struct settings *settings,
				  struct job *job)
{
	struct guest_config config = guest_options_config(&settings->guest);
	struct guest_executor *executor;
	struct error error;
	enum cli_status status;
	struct guest *guest;
	int err;

	config.message = guest_message_print;
	status = guest_options_start(command, &config, &guest);
	if (status != CLI_DONE)
		return status;
	err = guest_executor_create(guest, &executor, &error);
	if (err) {
		cli_error(command, "%s", error.text);
		status = guest_exit_status(err);
	} else {
		status = replay_in(command, settings, job, guest, executor);
		guest_executor_destroy(executor);
	}
	status = guest_options_save(command, guest, status);
	guest_destroy(guest);
	return status;
}

static enum cli_status replay_folders(const struct cli_command *command, struct settings *settings,
				      char **folders, size_t count)
{
	struct job *jobs = calloc(count, sizeof(*jobs));
	enum cli_status status = CLI_DONE, one;
	struct input_error error;
	size_t opened, i;

	if (!jobs)
		return cli_error(command, "out of memory"), CLI_HOST;
	for (opened = 0; opened < count; opened++) {
		if (job_open(folders[opened], &jobs[opened], &error)) {
			cli_error(command, "%s", error.text);
			status = CLI_BAD_INPUT;
			break;
		}
	}
	for (i = 0; i < count && opened == count; i++) {
		one = replay_job(command, settings, &jobs[i]);
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
	};
	const struct cli_option options[] = {
		CLI_OPTION_JSON(&settings.json),
		GUEST_OPTIONS(&settings.guest),
		{.name = "audit",
		 .kind = CLI_CUSTOM,
		 .argument = "WHEN",
		 .help = "end: after the last operation (the default)\n"
			 "every=N: after every N operations too\nnone: never",
		 .value = &settings.options,
		 .parse = parse_audit,
		 .expects = "end, every=N or none"},
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
		.notes = "DIR holds `trace` (ftrace's text), and may hold `vmallocinfo.begin` and\n"
			 "`vmallocinfo.end`, the areas before and after.",
		.min_operands = 1,
		.max_operands = -1,
	};
	enum cli_status status;
	int first;

	if (!cli_parse(&command, argc, argv, &first, &status))
		return (int)status;
	return (int)replay_folders(&command, &settings, argv + first, (size_t)(argc - first));
}
