/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestbox model: a workload from a recording, and how well it fits: it is run, and what comes of it
 * is held against what was recorded.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/out_file.h"
#include "lib/printable.h"
#include "vmm/load/model.h"
#include "vmm/nestbox/commands.h"
#include "vmm/nestbox/load.h"

/* So far, in per cent, may the load's placement be from the recording's. */
#define FIT_PERCENT 10
/* So many phases are tried first, then twice as many, and so on. */
#define PHASES_FIRST 4u

struct settings {
	bool json;
	const char *out;
	uint64_t phases;
	struct load_job job;
};

/* What was recorded, and how it lay. */
struct recording {
	struct replay_plan plan;
	struct ftrace_info info;
	struct vmallocinfo begin;
	bool has_begin;
	struct placement_sum placement;
	struct placement end;
};

/* Figures beside each other. */
struct figure {
	const char *name;
	double recorded, loaded;
};

/* ---- reading ---- */

static bool there_is(const char *folder, const char *file, char *path, size_t bytes)
{
	int length = snprintf(path, bytes, "%s/%s", folder, file);

	return length > 0 && (size_t)length < bytes && !access(path, F_OK);
}

static int read_recording(const char *folder, struct recording *recording,
			  struct input_error *error)
{
	char trace[4096], path[4096];
	struct stat status;
	int err = 0;

	if (!stat(folder, &status) && !S_ISDIR(status.st_mode))
		snprintf(trace, sizeof(trace), "%s", folder);
	else if (!there_is(folder, "trace", trace, sizeof(trace)) &&
		 !there_is(folder, "trace.dat", trace, sizeof(trace)) &&
		 !there_is(folder, "trace.txt", trace, sizeof(trace)))
		return input_fail(error, folder, 0, "there is no trace, trace.dat or trace.txt");
	if (there_is(folder, "vmallocinfo.begin", path, sizeof(path))) {
		err = vmallocinfo_read(path, &recording->begin, error);
		recording->has_begin = !err;
	}
	if (!err)
		err = replay_plan_read(trace, recording->has_begin ? &recording->begin : NULL,
				       &recording->plan, &recording->info, error);
	if (!err && there_is(folder, "meta", path, sizeof(path)))
		err = ftrace_read_meta(path, &recording->info, error);
	return err;
}

static void close_recording(struct recording *recording)
{
	replay_plan_free(&recording->plan);
	vmallocinfo_free(&recording->begin);
	free(recording->info.skipped_names);
}

/* The folder's last part. */
static void name_of(const char *folder, char *name, size_t bytes)
{
	size_t end = strlen(folder), start;

	while (end > 1 && folder[end - 1] == '/')
		end--;
	for (start = end; start > 0 && folder[start - 1] != '/';)
		start--;
	snprintf(name, bytes, "%.*s", (int)(end - start), folder + start);
}

/* ---- writing ---- */

static int write_text(const struct recording *recording, const struct model_options *options,
		      int fd)
{
	int copy = dup(fd), err;
	FILE *file = copy < 0 ? NULL : fdopen(copy, "w");

	if (!file) {
		if (copy >= 0)
			close(copy);
		return -ENOMEM;
	}
	err = model_write(&recording->plan, &recording->info, options, file);
	if (fclose(file) && !err)
		err = -EIO;
	return err;
}

static enum cli_status say_error(const struct cli_command *command, int err, const char *folder)
{
	if (err == -ENODATA)
		cli_error(command, "%s: there is no allocation in it", folder);
	else
		cli_error(command, "%s: the model: %s", folder, strerror(-err));
	return err == -ENODATA ? CLI_BAD_INPUT : CLI_HOST;
}

/* The workload goes where the user wants it. */
static enum cli_status save(const struct cli_command *command, const struct settings *settings,
			    const struct recording *recording, const struct model_options *options)
{
	struct out_file out;
	struct error error;
	int err = out_file_begin(&out, settings->out, &error);

	if (err)
		return cli_error(command, "%s", error.text), CLI_BAD_INPUT;
	err = write_text(recording, options, out.fd);
	if (err) {
		out_file_discard(&out);
		return say_error(command, err, options->name);
	}
	if (out_file_commit(&out, &error))
		return cli_error(command, "%s", error.text), CLI_HOST;
	return CLI_DONE;
}

/* ---- how well it fits ---- */

/* One of two numbers of each birth; free() it. */
static uint64_t *column(const struct program_birth *births, size_t count, bool size)
{
	uint64_t *values = calloc(count + 1, sizeof(*values));

	for (size_t i = 0; i < count && values; i++)
		values[i] = size ? births[i].va_bytes : births[i].lifetime;
	return values;
}

static const double percents[] = {10, 50, 90, 99, 100};
#define NR_PERCENTS (sizeof(percents) / sizeof(percents[0]))

struct distribution {
	uint64_t recorded[NR_PERCENTS], loaded[NR_PERCENTS];
	double distance;
};

static int compare_column(const struct program_birth *a, size_t nr_a, const struct program_birth *b,
			  size_t nr_b, bool size, struct distribution *out)
{
	uint64_t *one = column(a, nr_a, size), *other = column(b, nr_b, size);

	if (one && other) {
		out->distance = model_distance(one, nr_a, other, nr_b);
		for (size_t i = 0; i < NR_PERCENTS; i++) {
			double part = percents[i] / 100;

			out->recorded[i] = nr_a ? one[(size_t)((double)(nr_a - 1) * part)] : 0;
			out->loaded[i] = nr_b ? other[(size_t)((double)(nr_b - 1) * part)] : 0;
		}
	}
	free(one);
	free(other);
	return one && other ? 0 : -ENOMEM;
}

static double change_percent(const struct figure *figure)
{
	return figure->recorded != 0 ? (figure->loaded / figure->recorded - 1) * 100
				     : (figure->loaded != 0) * 100;
}

static bool fits(const struct figure *figures, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!(fabs(change_percent(&figures[i])) <= FIT_PERCENT))
			return false;
	return true;
}

static void print_life(uint64_t value, bool size)
{
	if (value >= DRAW_PHASE)
		printf(" %10s", "forever");
	else if (size)
		printf(" %9lluK", (unsigned long long)value >> 10);
	else
		printf(" %10llu", (unsigned long long)value);
}

static void print_distribution(const char *name, const struct distribution *distribution, bool size)
{
	for (int loaded = 0; loaded < 2; loaded++) {
		printf("%-10s %-9s", loaded ? "" : name, loaded ? "load" : "recording");
		for (size_t i = 0; i < NR_PERCENTS; i++)
			print_life(loaded ? distribution->loaded[i] : distribution->recorded[i],
				   size);
		putchar('\n');
	}
	printf("%-10s at most %.2f %% of the allocations apart (Kolmogorov-Smirnov)\n", "",
	       100 * distribution->distance);
}

static void print_fit(const struct model_options *options, const struct figure *figures,
		      size_t count, const struct distribution *sizes,
		      const struct distribution *lifetimes)
{
	printf("%s: %s, in %u phases\n\n%-24s %14s %14s %9s\n", options->name,
	       fits(figures, count) ? "the load fits" : "the load does NOT fit", options->phases,
	       "placement", "recording", "load", "off by");
	for (size_t i = 0; i < count; i++)
		printf("%-24s %14.6g %14.6g %+8.2f%%\n", figures[i].name, figures[i].recorded,
		       figures[i].loaded, change_percent(&figures[i]));
	printf("\n%-20s %10s %10s %10s %10s %10s\n", "", "p10", "p50", "p90", "p99", "max");
	print_distribution("size", sizes, true);
	print_distribution("lifetime", lifetimes, false);
}

static json_t *distribution_json(const struct distribution *distribution)
{
	json_t *recorded = json_array(), *loaded = json_array();

	for (size_t i = 0; i < NR_PERCENTS; i++) {
		uint64_t a = distribution->recorded[i], b = distribution->loaded[i];

		json_array_append_new(recorded,
				      a >= DRAW_PHASE ? json_null() : json_integer((json_int_t)a));
		json_array_append_new(loaded,
				      b >= DRAW_PHASE ? json_null() : json_integer((json_int_t)b));
	}
	return json_pack("{s:[i, i, i, i, i], s:o, s:o, s:f}", "percents", 10, 50, 90, 99, 100,
			 "recording", recorded, "load", loaded, "distance", distribution->distance);
}

static void print_json(const struct model_options *options, const struct figure *figures,
		       size_t count, const struct distribution *sizes,
		       const struct distribution *lifetimes)
{
	json_t *list = json_array(), *json;

	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:f, s:f, s:f}", "name", figures[i].name,
					"recording", figures[i].recorded, "load", figures[i].loaded,
					"percent", change_percent(&figures[i])));
	json = json_pack("{s:s, s:i, s:b, s:o, s:o, s:o}", "model", options->name, "phases",
			 (int)options->phases, "fits", fits(figures, count), "placement", list,
			 "size", distribution_json(sizes), "lifetime",
			 distribution_json(lifetimes));
	json_dumpf(json, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(json);
}

#define NR_FIGURES 3

static void make_figures(const struct settings *settings, const struct recording *recording,
			 struct figure *figures)
{
	const struct placement_sum *was = &recording->placement;
	const struct placement_sum *is = &settings->job.sum->placement;

	figures[0] =
		(struct figure){"most frames", (double)was->most_pages, (double)is->most_pages};
	figures[1] = (struct figure){"most areas", (double)was->most_areas, (double)is->most_areas};
	figures[2] = (struct figure){"fragmentation, mean", was->fragmentation, is->fragmentation};
}

static enum cli_status report(const struct cli_command *command, const struct settings *settings,
			      const struct recording *recording,
			      const struct model_options *options)
{
	const struct load_job *job = &settings->job;
	struct figure figures[NR_FIGURES];
	struct distribution sizes = {.distance = 0}, lifetimes = {.distance = 0};
	struct program_birth *births;
	size_t nr;
	int err = model_births(&recording->plan, &births, &nr);

	if (!err)
		err = compare_column(births, nr, job->program.births, job->program.nr_births, true,
				     &sizes);
	if (!err)
		err = compare_column(births, nr, job->program.births, job->program.nr_births, false,
				     &lifetimes);
	if (err)
		return cli_error(command, "out of memory"), CLI_HOST;
	free(births);
	make_figures(settings, recording, figures);
	(settings->json ? print_json : print_fit)(options, figures, NR_FIGURES, &sizes, &lifetimes);
	return fits(figures, NR_FIGURES) && !job->sum->failed && !job->sum->violations ? CLI_DONE
										       : CLI_WRONG;
}

/* ---- the command ---- */

/* Runs the workload in @fd and holds it against the recording; the job is to be closed. */
static enum cli_status run(const struct cli_command *command, struct load_job *job,
			   struct recording *recording, const char *name, int fd)
{
	struct input_error error;
	enum cli_status status;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	job->path = path;
	if (load_job_open(job, &error))
		return cli_error(command, "%s", error.text), CLI_WRONG;
	job->name = name;
	status = load_job_run(command, job);
	if (status == CLI_DONE && model_measure(&recording->plan, load_job_moment(job),
						&recording->placement, &recording->end)) {
		cli_error(command, "out of memory");
		status = CLI_HOST;
	}
	return status;
}

static void close_job(struct load_job *job, const struct load_job *fresh)
{
	load_job_end(job);
	load_job_close(job);
	*job = *fresh;
}

/* Models it with more and more phases, until it fits or there are no more. */
static enum cli_status fit(const struct cli_command *command, struct settings *settings,
			   struct recording *recording, struct model_options *options)
{
	const struct load_job fresh = settings->job;
	enum cli_status status = CLI_DONE;
	struct figure figures[NR_FIGURES] = {0};
	bool last = false;
	char said[128];

	options->phases = settings->phases ? (unsigned int)settings->phases : PHASES_FIRST;
	while (status == CLI_DONE && !last) {
		int fd = memfd_create("workload", MFD_CLOEXEC);
		int err = fd < 0 ? -errno : write_text(recording, options, fd);

		status = err ? say_error(command, err, options->name)
			     : run(command, &settings->job, recording, options->name, fd);
		if (fd >= 0)
			close(fd);
		if (status != CLI_DONE)
			break;
		make_figures(settings, recording, figures);
		last = settings->phases || fits(figures, NR_FIGURES) ||
		       options->phases >= MODEL_PHASES_MAX ||
		       options->phases > recording->plan.allocs / 4;
		if (!last) {
			options->phases *= 2;
			close_job(&settings->job, &fresh);
		}
	}
	snprintf(said, sizeof(said),
		 "Off by: most frames %+.1f %%, most areas %+.1f %%, fragmentation %+.1f %%.",
		 change_percent(&figures[0]), change_percent(&figures[1]),
		 change_percent(&figures[2]));
	options->fit = said;
	if (status == CLI_DONE && settings->out)
		status = save(command, settings, recording, options);
	if (status == CLI_DONE)
		status = report(command, settings, recording, options);
	close_job(&settings->job, &fresh);
	return status;
}

static enum cli_status model(const struct cli_command *command, struct settings *settings,
			     const char *folder)
{
	struct recording recording = {.has_begin = false};
	struct model_options options = {.seed = 1};
	enum cli_status status = CLI_BAD_INPUT;
	struct input_error error;
	char name[64];

	name_of(folder, name, sizeof(name));
	printable(name);
	options.name = name;
	if (read_recording(folder, &recording, &error))
		cli_error(command, "%s", error.text);
	else
		status = fit(command, settings, &recording, &options);
	close_recording(&recording);
	return status;
}

int command_model(const struct program *program, int argc, char **argv)
{
	struct settings settings = {.job = {.of = program,
					    .repeat = 1,
					    .keep_births = true,
					    .guest = GUEST_OPTIONS_DEFAULT}};
	struct load_job *job = &settings.job;
	const struct cli_option options[] = {
		CLI_OPTION_JSON(&settings.json),
		CLI_OPTION("out", CLI_TEXT, "FILE", "write the workload there", &settings.out),
		CLI_OPTION("phases", CLI_NUMBER, "N",
			   "stretches of the recording that differ (4, 8, ... 256: as few as fit)",
			   &settings.phases, .min = 1, .max = MODEL_PHASES_MAX),
		GUEST_OPTIONS_OF(&job->guest, "what the workload needs, at least 512M"),
		{0},
	};
	const struct cli_command command = {
		.name = "nestbox model",
		.operands = "DIR",
		.summary = "Makes a workload that is like a recording (of scripts/capture), runs "
			   "it, and\n"
			   "says how well it fits: sizes, lifetimes, and how areas lay.",
		.options = options,
		.notes = "Status 1 if its most frames, most areas or mean fragmentation are more "
			 "than\n"
			 "10 % off. docs/workloads.md has the language and what is kept of a "
			 "recording.",
		.min_operands = 1,
		.max_operands = 1,
	};
	enum cli_status status;
	int operand;

	job->guest.cpus = job->guest.memory_bytes = job->guest.nodes = 0;
	job->guest.checks = 0;
	if (!cli_parse(&command, argc, argv, &operand, &status))
		return (int)status;
	return (int)model(&command, &settings, argv[operand]);
}
