/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nestbox sweep: a workload under every combination of some parameters (vmm/nestbox/sweep.h). */
#include "vmm/nestbox/sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/out_file.h"
#include "vmm/nestbox/commands.h"
#include "vmm/nestbox/load.h"

#define PARAMETERS_MAX 8u
#define VALUES_MAX     1000u

/* `--vary NAME=VALUE,VALUE`, each value as it was written. */
struct parameter {
	const struct knob *knob;
	char *values[VALUES_MAX];
	size_t nr_values;
};

struct settings {
	bool json, merge;
	const char *out;
	uint64_t shard, shards; /* 1 of 1 */
	struct parameter *parameters[PARAMETERS_MAX];
	size_t nr_parameters;
	struct load_job job;
};

/* ---- parameters ---- */

/* Sets what a value says in @job. Returns 0 or -EINVAL. */
struct knob {
	const char *name;
	int (*set)(struct load_job *job, const char *text);
};

static int set_number(const char *text, uint64_t max, uint64_t *value)
{
	uint64_t number;

	if (number_parse(text, strlen(text), &number) || !number || number > max)
		return -EINVAL;
	*value = number;
	return 0;
}

static int set_cpus(struct load_job *job, const char *text)
{
	return set_number(text, NB_MAX_VCPUS, &job->guest.cpus);
}

static int set_nodes(struct load_job *job, const char *text)
{
	return set_number(text, NB_MAX_NODES, &job->guest.nodes);
}

static int set_memory(struct load_job *job, const char *text)
{
	uint64_t bytes;

	if (cli_size_parse(text, &bytes) || bytes < MEMORY_BYTES_MIN || bytes > MEMORY_BYTES_MAX)
		return -EINVAL;
	job->guest.memory_bytes = bytes;
	return 0;
}

static int set_seed(struct load_job *job, const char *text)
{
	return load_parse_seed(text, job);
}

static int set_mode(struct load_job *job, const char *text)
{
	return load_parse_mode(text, job);
}

static const struct knob knobs[] = {{"cpus", set_cpus},
				    {"nodes", set_nodes},
				    {"memory", set_memory},
				    {"seed", set_seed},
				    {"mode", set_mode}};

static int add_value(struct parameter *parameter, const char *text)
{
	struct load_job scratch = {0};

	if (parameter->nr_values == VALUES_MAX || parameter->knob->set(&scratch, text))
		return -EINVAL;
	parameter->values[parameter->nr_values] = strdup(text);
	return parameter->values[parameter->nr_values++] ? 0 : -EINVAL;
}

/* `A`, or `A..B` for all numbers from A to B. */
static int add_values(struct parameter *parameter, const char *text)
{
	const char *dots = strstr(text, "..");
	uint64_t from, to;
	char number[24];
	int err = 0;

	if (!dots)
		return add_value(parameter, text);
	if (number_parse(text, (size_t)(dots - text), &from) ||
	    number_parse(dots + 2, strlen(dots + 2), &to) || to < from || to - from >= VALUES_MAX)
		return -EINVAL;
	for (; from <= to && !err; from++) {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)from);
		err = add_value(parameter, number);
	}
	return err;
}

static const struct knob *find_knob(const char *name)
{
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		if (!strcmp(knobs[i].name, name))
			return &knobs[i];
	}
	return NULL;
}

static void free_parameter(struct parameter *parameter)
{
	for (size_t i = 0; parameter && i < parameter->nr_values; i++)
		free(parameter->values[i]);
	free(parameter);
}

static int parse_vary(const char *text, void *value)
{
	struct settings *settings = value;
	struct parameter *parameter = calloc(1, sizeof(*parameter));
	char *copy = strdup(text), *list = copy ? strchr(copy, '=') : NULL, *one, *rest;
	int err = list && parameter && settings->nr_parameters < PARAMETERS_MAX ? 0 : -EINVAL;

	if (!err) {
		*list++ = '\0';
		parameter->knob = find_knob(copy);
		err = parameter->knob ? 0 : -EINVAL;
		for (size_t i = 0; i < settings->nr_parameters && !err; i++)
			err = settings->parameters[i]->knob == parameter->knob ? -EINVAL : 0;
		for (one = strtok_r(list, ",", &rest); one && !err;
		     one = strtok_r(NULL, ",", &rest))
			err = add_values(parameter, one);
		if (!err && !parameter->nr_values)
			err = -EINVAL;
	}
	free(copy);
	if (err)
		free_parameter(parameter);
	else
		settings->parameters[settings->nr_parameters++] = parameter;
	return err;
}

/* `I/N`. */
static int parse_shard(const char *text, void *value)
{
	struct settings *settings = value;
	const char *slash = strchr(text, '/');
	uint64_t shard, shards;

	if (!slash || number_parse(text, (size_t)(slash - text), &shard) ||
	    number_parse(slash + 1, strlen(slash + 1), &shards) || !shard || shard > shards ||
	    shards > SWEEP_POINTS_MAX)
		return -EINVAL;
	settings->shard = shard;
	settings->shards = shards;
	return 0;
}

/* ---- running ---- */

static uint64_t nr_points(const struct settings *settings)
{
	uint64_t points = 1;

	for (size_t i = 0; i < settings->nr_parameters && points <= SWEEP_POINTS_MAX; i++)
		points *= settings->parameters[i]->nr_values;
	return points;
}

/* The values of point @number, set in @job; returns them by name. */
static json_t *set_point(const struct settings *settings, uint64_t number, struct load_job *job)
{
	uint64_t stride = nr_points(settings);
	json_t *set = json_object();

	for (size_t i = 0; i < settings->nr_parameters; i++) {
		const struct parameter *parameter = settings->parameters[i];
		const char *text;

		stride /= parameter->nr_values;
		text = parameter->values[number / stride % parameter->nr_values];
		parameter->knob->set(job, text);
		json_object_set_new(set, parameter->knob->name, json_string(text));
	}
	return set;
}

static enum cli_status run_point(const struct cli_command *command, const struct settings *settings,
				 uint64_t number, json_t *results)
{
	struct load_job job = settings->job;
	json_t *set = set_point(settings, number, &job);
	struct load_report report;
	struct input_error error;
	enum cli_status status;

	if (load_job_open(&job, &error)) {
		cli_error(command, "%s", error.text);
		json_decref(set);
		return CLI_BAD_INPUT;
	}
	status = load_job_run(command, &job);
	if (status == CLI_DONE) {
		report = load_job_report(&job);
		json_array_append_new(results,
				      json_pack("{s:I, s:O, s:o}", "point", (json_int_t)number,
						"set", set, "report", load_report_json(&report)));
	}
	load_job_end(&job);
	load_job_close(&job);
	json_decref(set);
	return status;
}

static json_t *describe(const struct settings *settings)
{
	json_t *parameters = json_array(), *document;

	for (size_t i = 0; i < settings->nr_parameters; i++) {
		json_t *values = json_array();

		for (size_t j = 0; j < settings->parameters[i]->nr_values; j++)
			json_array_append_new(values,
					      json_string(settings->parameters[i]->values[j]));
		json_array_append_new(parameters, json_pack("{s:s, s:o}", "name",
							    settings->parameters[i]->knob->name,
							    "values", values));
	}
	document = json_pack("{s:s, s:o, s:I, s:[]}", "sweep", settings->job.path, "parameters",
			     parameters, "points", (json_int_t)nr_points(settings), "results");
	if (settings->shards > 1)
		json_object_set_new(document, "shard",
				    json_sprintf("%llu/%llu", (unsigned long long)settings->shard,
						 (unsigned long long)settings->shards));
	return document;
}

/* ---- what comes of it ---- */

static enum cli_status save(const struct cli_command *command, const json_t *sweep,
			    const char *path)
{
	struct out_file out;
	struct error error;

	if (out_file_begin(&out, path, &error))
		return cli_error(command, "%s", error.text), CLI_BAD_INPUT;
	if (json_dumpfd(sweep, out.fd, JSON_INDENT(1) | JSON_REAL_PRECISION(9))) {
		out_file_discard(&out);
		return cli_error(command, "%s: it could not be written", path), CLI_HOST;
	}
	if (out_file_commit(&out, &error))
		return cli_error(command, "%s", error.text), CLI_HOST;
	return CLI_DONE;
}

static enum cli_status finish(const struct cli_command *command, const struct settings *settings,
			      const json_t *sweep)
{
	enum cli_status status = sweep_status(sweep), saved = CLI_DONE;

	if (settings->json) {
		json_dumpf(sweep, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
		putchar('\n');
	} else {
		sweep_print(sweep);
	}
	if (settings->out)
		saved = save(command, sweep, settings->out);
	return saved != CLI_DONE ? saved : status;
}

static enum cli_status sweep(const struct cli_command *command, struct settings *settings)
{
	uint64_t points = nr_points(settings);
	enum cli_status status = CLI_DONE;
	json_t *document;

	if (points > SWEEP_POINTS_MAX) {
		cli_error(command, "more than %u combinations", SWEEP_POINTS_MAX);
		return CLI_BAD_INPUT;
	}
	document = describe(settings);
	for (uint64_t i = settings->shard - 1; i < points && status == CLI_DONE;
	     i += settings->shards)
		status = run_point(command, settings, i, json_object_get(document, "results"));
	if (status == CLI_DONE)
		status = finish(command, settings, document);
	json_decref(document);
	return status;
}

int command_sweep(const struct program *program, int argc, char **argv)
{
	struct settings settings = {
		.shard = 1,
		.shards = 1,
		.job = {.of = program, .repeat = 1, .guest = GUEST_OPTIONS_DEFAULT}};
	struct load_job *job = &settings.job;
	const struct cli_option options[] = {
		CLI_OPTION_JSON(&settings.json),
		CLI_OPTION("vary", CLI_CUSTOM, "NAME=VALUE,...",
			   "a parameter and its values, crossed with the others': cpus, nodes,\n"
			   "memory, seed, mode; A..B is every number from A to B",
			   &settings, .parse = parse_vary,
			   .expects = "cpus=, nodes=, memory=, seed= or mode= and values"),
		CLI_OPTION("shard", CLI_CUSTOM, "I/N", "this part of N, which others run (1/1)",
			   &settings, .parse = parse_shard, .expects = "I/N, I from 1 to N"),
		CLI_OPTION("merge", CLI_FLAG, NULL,
			   "the operands are shards' reports: make one of them", &settings.merge),
		CLI_OPTION("out", CLI_TEXT, "FILE", "write the report there, as JSON",
			   &settings.out),
		CLI_OPTION("repeat", CLI_NUMBER, "N", "runs of each combination (1)", &job->repeat,
			   .min = 1, .max = 1000),
		CLI_OPTION("audit", CLI_CUSTOM, "WHEN", "as of nestbox load (end)", &job->audit,
			   .parse = load_parse_audit, .expects = "end, every=N or none"),
		GUEST_OPTIONS_OF(&job->guest, "what the workload needs, at least 512M"),
		{0},
	};
	const struct cli_command command = {
		.name = "nestbox sweep",
		.operands = "FILE...",
		.summary = "Runs a workload under every combination of parameters, or a part of "
			   "them,\n"
			   "and merges such parts.",
		.options = options,
		.notes = "Status 1 if a run went wrong, or a point is missing of what was merged.\n"
			 "docs/sweeps.md shows it under GNU parallel and Slurm.",
		.min_operands = 1,
		.max_operands = -1,
	};
	enum cli_status status;
	int first;

	job->guest.cpus = job->guest.memory_bytes = job->guest.nodes = 0;
	job->guest.checks = 0;
	if (!cli_parse(&command, argc, argv, &first, &status))
		goto free;
	if (settings.merge) {
		json_t *merged = sweep_merge(&command, argv + first, (size_t)(argc - first));

		status = merged ? finish(&command, &settings, merged) : CLI_BAD_INPUT;
		json_decref(merged);
	} else if (argc - first > 1) {
		cli_error(&command, "one workload at a time");
		status = CLI_BAD_INPUT;
	} else {
		job->path = argv[first];
		status = sweep(&command, &settings);
	}
free:
	for (size_t i = 0; i < settings.nr_parameters; i++)
		free_parameter(settings.parameters[i]);
	return (int)status;
}
