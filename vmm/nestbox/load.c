/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestbox load: a workload (vmm/load/workload.h) in a guest, several times if one likes, each time
 * in a new one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/nestbox/commands.h"
#include "vmm/nestbox/compare.h"
#include "vmm/nestbox/load.h"
#include "vmm/nestbox/picture_options.h"

#define REPEAT_MAX 1000u
/* How areas lie is measured so often in a run. */
#define MOMENTS 128u
/* Not more often than after so many allocations: each part of a run costs the guest some. */
#define MOMENT_MIN 32u

struct settings {
	bool json;
	struct picture_files files;
	struct compare_options compare;
	struct load_job job;
};

/* ---- a job ---- */

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

uint64_t load_job_moment(const struct load_job *job)
{
	uint64_t every = job->workload.operations / MOMENTS + 1;

	return every < MOMENT_MIN ? MOMENT_MIN : every;
}

int load_job_open(struct load_job *job, struct input_error *error)
{
	struct program_options options = {.part_max = LOAD_PART_MAX,
					  .slots_max = LOAD_SLOTS_MAX,
					  .keep_births = job->keep_births};
	int err = workload_read(job->path, &job->workload, error);

	if (err)
		return err;
	job->name = last_part(job->path);
	if (job->guest.cpus)
		job->workload.cpus = (uint32_t)job->guest.cpus;
	if (job->guest.nodes)
		job->workload.nodes = (uint32_t)job->guest.nodes;
	if (job->has_seed)
		job->workload.seed = job->seed;
	if (job->has_mode)
		job->workload.mode = job->mode;
	options.every = load_job_moment(job);
	if (job->audit.every && job->audit.every < options.every)
		options.every = job->audit.every;
	err = program_compile(&job->workload, job->path, &options, &job->program, error);
	if (err)
		workload_free(&job->workload);
	return err;
}

void load_job_close(struct load_job *job)
{
	program_free(&job->program);
	workload_free(&job->workload);
}

/* The guest's memory: what is said, or twice what the workload has in use at most. */
static uint64_t memory_of(const struct load_job *job)
{
	uint64_t needed = (job->program.most_pages << 13) +
			  ((uint64_t)job->program.cpus << (12 + LOAD_BLOCK_ORDER));

	if (job->guest.memory_bytes)
		return job->guest.memory_bytes;
	if (job->workload.memory_bytes)
		return job->workload.memory_bytes;
	needed = (needed + NB_RAM_ALIGN - 1) / NB_RAM_ALIGN * NB_RAM_ALIGN;
	if (needed > MEMORY_BYTES_MAX)
		needed = MEMORY_BYTES_MAX;
	return needed > MEMORY_BYTES_DEFAULT ? needed : MEMORY_BYTES_DEFAULT;
}

static enum cli_status run_once(const struct cli_command *command, struct load_job *job,
				const struct load_options *options, struct load_result *result)
{
	struct guest_config config;
	enum cli_status status;
	struct guest *guest;
	struct error error;
	int err;

	job->guest.cpus = job->workload.cpus;
	job->guest.nodes = job->workload.nodes;
	config = guest_options_config(&job->guest);
	config.memory_bytes = memory_of(job);
	config.message = guest_message_print;
	config.count_instructions = job->where;
	status = guest_options_start(command, &config, &guest);
	if (status != CLI_DONE)
		return status;
	job->memory_bytes = guest_memory_bytes(guest);
	job->host = *guest_kvm_host(guest);
	job->unit = guest_options_program(job->of, guest).tick_unit;
	err = load_run(guest, &job->program, options, result, &error);
	if (err) {
		cli_error(command, "%s: %s", job->path, error.text);
		if (guest_failure(guest))
			report_print(guest_failure(guest), stderr);
		status = err == -ENOMEM ? CLI_HOST : CLI_WRONG;
	}
	status = guest_options_save(command, guest, status);
	guest_destroy(guest);
	return status;
}

static void add_run(struct load_result *sum, const struct load_result *one)
{
	struct placement_sum *placement = &sum->placement;
	double share = one->placement.moments
			       ? (double)one->placement.moments /
					 (double)(placement->moments + one->placement.moments)
			       : 0;

	for (unsigned int op = 0; op < NB_LOAD_OPS; op++)
		histogram_merge(&sum->latency[op], &one->latency[op]);
	sum->ticks += one->ticks;
	sum->operations += one->operations;
	sum->failed += one->failed;
	sum->last_errno = one->last_errno ? one->last_errno : sum->last_errno;
	placement->fragmentation +=
		(one->placement.fragmentation - placement->fragmentation) * share;
	placement->moments += one->placement.moments;
	if (one->placement.most_areas > placement->most_areas)
		placement->most_areas = one->placement.most_areas;
	if (one->placement.most_pages > placement->most_pages)
		placement->most_pages = one->placement.most_pages;
	sum->end = one->end;
	sum->audits += one->audits;
	sum->audit_items += one->audit_items;
	sum->violations += one->violations;
	if (!*sum->violation)
		memcpy(sum->violation, one->violation, sizeof(sum->violation));
	sum->seconds += one->seconds;
	sum->instructions += one->instructions;
	sum->instructions_mm += one->instructions_mm;
	sum->areas = one->areas;
}

enum cli_status load_job_run(const struct cli_command *command, struct load_job *job)
{
	struct cli_progress progress;
	struct load_options options = {
		.mode = job->workload.mode,
		.scheduled = job->guest.plan.kind != SOFT_PLAN_ROUND,
		.audit_every = job->audit.every,
		.no_audit = job->audit.none,
		.measure_every = load_job_moment(job),
		.progress = &progress,
	};
	bool *setups = calloc(job->workload.nr_phases, sizeof(*setups));
	enum cli_status status = CLI_DONE;

	job->runs = calloc(job->repeat, sizeof(*job->runs));
	job->sum = calloc(1, sizeof(*job->sum));
	if (!setups || !job->runs || !job->sum) {
		free(setups);
		return cli_error(command, "out of memory"), CLI_HOST;
	}
	for (size_t i = 0; i < job->workload.nr_phases; i++)
		setups[i] = job->workload.phases[i].setup;
	options.setups = setups;
	cli_progress_start(&progress, job->name);
	for (uint64_t i = 0; i < job->repeat && status == CLI_DONE; i++) {
		if (job->want_areas && i + 1 == job->repeat)
			job->runs[i].areas = json_array();
		status = run_once(command, job, &options, &job->runs[i]);
		if (status == CLI_DONE)
			add_run(job->sum, &job->runs[i]);
	}
	cli_progress_end(&progress);
	free(setups);
	return status;
}

struct load_report load_job_report(const struct load_job *job)
{
	return (struct load_report){
		.name = job->name,
		.workload = &job->workload,
		.program = &job->program,
		.sum = job->sum,
		.runs = job->runs,
		.nr_runs = job->repeat,
		.exact = job->workload.cpus == 1 || job->guest.plan.kind != SOFT_PLAN_ROUND,
		.memory_bytes = job->memory_bytes,
		.unit = job->unit,
		.kvm_module = job->host.module,
		.second_stage = job->host.second_stage,
	};
}

void load_job_end(struct load_job *job)
{
	if (job->sum)
		json_decref(job->sum->areas);
	free(job->runs);
	free(job->sum);
	job->runs = NULL;
	job->sum = NULL;
}

/* ---- the command ---- */

int load_parse_audit(const char *text, void *value)
{
	struct load_audit *audit = value;
	uint64_t every;

	if (!strcmp(text, "none") || !strcmp(text, "end")) {
		*audit = (struct load_audit){.none = !strcmp(text, "none")};
		return 0;
	}
	if (strncmp(text, "every=", 6) || number_parse(text + 6, strlen(text + 6), &every) ||
	    !every)
		return -EINVAL;
	*audit = (struct load_audit){.every = every};
	return 0;
}

int load_parse_seed(const char *text, void *value)
{
	struct load_job *job = value;

	if (number_parse(text, strlen(text), &job->seed))
		return -EINVAL;
	job->has_seed = true;
	return 0;
}

int load_parse_mode(const char *text, void *value)
{
	static const char *const words[] = {"lazy", "eager", "manual"};
	struct load_job *job = value;

	for (unsigned int i = 0; i < 3; i++) {
		if (strcmp(text, words[i]))
			continue;
		job->mode = (enum workload_mode)i;
		job->has_mode = true;
		return 0;
	}
	return -EINVAL;
}

static enum cli_status load(const struct cli_command *command, struct settings *settings)
{
	struct load_job *job = &settings->job;
	struct load_report report;
	struct input_error error;
	enum cli_status status;
	json_t *json;

	job->want_areas = picture_wanted(&settings->files);
	if (load_job_open(job, &error)) {
		cli_error(command, "%s", error.text);
		return CLI_BAD_INPUT;
	}
	status = picture_confine(command, &job->guest, &settings->files);
	if (status == CLI_DONE)
		status = load_job_run(command, job);
	if (status == CLI_DONE) {
		report = load_job_report(job);
		json = load_report_json(&report);
		if (!settings->json)
			load_report_print(&report, stdout);
		status = compare_and_print(command, json, &settings->compare, settings->json,
					   load_report_status(&report));
		json_decref(json);
		if (picture_wanted(&settings->files))
			status = picture_save(command, load_report_picture(&report),
					      &settings->files, status);
	}
	load_job_end(job);
	load_job_close(job);
	return status;
}

int command_load(const struct program *program, int argc, char **argv)
{
	struct settings settings = {
		.compare = {.threshold = -1},
		.job = {.of = program, .repeat = 1, .guest = GUEST_OPTIONS_DEFAULT},
	};
	struct load_job *job = &settings.job;
	const struct cli_option options[] = {
		CLI_OPTION_JSON(&settings.json),
		CLI_OPTION("seed", CLI_CUSTOM, "N", "in place of the workload's", job,
			   .parse = load_parse_seed, .expects = "a number"),
		CLI_OPTION("mode", CLI_CUSTOM, "MODE",
			   "in place of the workload's: lazy, eager or manual", job,
			   .parse = load_parse_mode, .expects = "lazy, eager or manual"),
		CLI_OPTION("repeat", CLI_NUMBER, "N", "so many runs, each in a new guest (1)",
			   &job->repeat, .min = 1, .max = REPEAT_MAX),
		CLI_OPTION("audit", CLI_CUSTOM, "WHEN",
			   "end: after the last operation (the default)\n"
			   "every=N: after every N allocations too\nnone: never",
			   &job->audit, .parse = load_parse_audit,
			   .expects = "end, every=N or none"),
		CLI_OPTION("where", CLI_FLAG, NULL,
			   "with the soft engine: say how many of the guest's instructions are\n"
			   "outside mm/",
			   &job->where),
		PICTURE_OPTIONS(&settings.files),
		COMPARE_OPTIONS(&settings.compare),
		GUEST_OPTIONS_OF(&job->guest, "what the workload needs, at least 512M"),
		{0},
	};
	const struct cli_command command = {
		.name = "nestbox load",
		.operands = "FILE",
		.summary =
			"Runs a workload: allocations and frees by distribution, on all vCPUs at\n"
			"once, without an exit; says what each call took, and audits.",
		.options = options,
		.notes = "docs/workloads.md has the language of FILE; `nestbox model` makes one\n"
			 "from a recording.",
		.min_operands = 1,
		.max_operands = 1,
	};
	enum cli_status status;
	int operand;

	/* The workload's, unless they are given. */
	job->guest.cpus = job->guest.memory_bytes = job->guest.nodes = 0;
	job->guest.checks = 0;
	if (!cli_parse(&command, argc, argv, &operand, &status))
		return (int)status;
	job->path = argv[operand];
	return (int)load(&command, &settings);
}
