/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two reports compared (vmm/nestbox/compare.h). */
#include "vmm/nestbox/compare.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORT_BYTES_MAX (64 << 20)
#define NAME_BYTES       64

int compare_threshold_parse(const char *text, void *value)
{
	char *end;
	double percent = strtod(text, &end);

	if (end == text || (*end && strcmp(end, "%") != 0) || !(percent >= 0 && percent <= 1e6))
		return -EINVAL;
	*(double *)value = percent;
	return 0;
}

/* ---- Mann and Whitney ---- */

struct sample {
	double value;
	bool first; /* of the first list */
};

static int by_value(const void *a, const void *b)
{
	double one = ((const struct sample *)a)->value, other = ((const struct sample *)b)->value;

	return one < other ? -1 : one > other;
}

double compare_mann_whitney(const double *a, size_t nr_a, const double *b, size_t nr_b)
{
	size_t n = nr_a + nr_b, next;
	struct sample *all = calloc(n + 1, sizeof(*all));
	double ranks = 0, ties = 0, u, mean, variance;

	if (!all || !nr_a || !nr_b) {
		free(all);
		return 1;
	}
	for (size_t i = 0; i < n; i++)
		all[i] = (struct sample){i < nr_a ? a[i] : b[i - nr_a], i < nr_a};
	qsort(all, n, sizeof(*all), by_value);
	for (size_t i = 0; i < n; i = next) {
		double equal;

		for (next = i; next < n && all[next].value == all[i].value;)
			next++;
		equal = (double)(next - i);
		ties += equal * equal * equal - equal;
		/* Equal ones share the mean of their ranks, which begin at 1. */
		for (size_t j = i; j < next; j++)
			ranks += all[j].first ? (double)(i + next + 1) / 2 : 0;
	}
	free(all);
	u = ranks - (double)nr_a * ((double)nr_a + 1) / 2;
	mean = (double)nr_a * (double)nr_b / 2;
	variance = mean / 6 * ((double)n + 1 - ties / ((double)n * ((double)n - 1)));
	if (variance <= 0)
		return 1; /* all are equal */
	return erfc(fmax(fabs(u - mean) - 0.5, 0) / sqrt(variance) / sqrt(2));
}

/* ---- figures ---- */

/* Adds a figure to the object of them; @runs may be NULL. */
static void add_figure(json_t *figures, const char *name, const json_t *value, const char *unit,
		       bool counted, const json_t *runs)
{
	json_t *figure;

	if (!json_is_number(value))
		return;
	figure = json_pack("{s:f, s:s, s:b}", "value", json_number_value(value), "unit", unit,
			   "counted", counted);
	if (json_is_array(runs))
		json_object_set(figure, "runs", (json_t *)(uintptr_t)runs);
	json_object_set_new(figures, name, figure);
}

static const char *unit_of(const json_t *report, const char *key)
{
	return json_string_value(json_object_get(report, key)) ?: "ticks";
}

static void bench_figures(const json_t *report, json_t *figures)
{
	const char *unit = unit_of(report, "unit");
	const json_t *one;
	char name[NAME_BYTES];
	size_t i;

	json_array_foreach (json_object_get(report, "cases"), i, one) {
		long long pages = json_integer_value(json_object_get(one, "pages"));
		const char *called = json_string_value(json_object_get(one, "name")) ?: "?";

		if (pages)
			snprintf(name, sizeof(name), "%.40s %lld", called, pages);
		else
			snprintf(name, sizeof(name), "%.40s", called);
		add_figure(figures, name, json_object_get(one, "ticks_per_loop"), unit,
			   !strcmp(unit, "instructions"), json_object_get(one, "runs"));
	}
}

static void replay_figures(const json_t *report, json_t *figures)
{
	static const char *const ops[] = {"alloc", "free"};
	static const char *const ranks[] = {"p50", "p90", "p99", "max"};
	const json_t *latency = json_object_get(report, "latency_ticks");
	const char *unit = unit_of(report, "latency_unit");
	char name[NAME_BYTES];

	add_figure(figures, "addresses missed",
		   json_object_get(json_object_get(report, "address"), "missed"), "allocations",
		   true, NULL);
	add_figure(figures, "failed", json_object_get(report, "failed"), "operations", true, NULL);
	add_figure(figures, "violations",
		   json_object_get(json_object_get(report, "audit"), "violations"), "", true, NULL);
	for (size_t i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "%s %s", ops[i / 4], ranks[i % 4]);
		add_figure(figures, name,
			   json_object_get(json_object_get(latency, ops[i / 4]), ranks[i % 4]),
			   unit, !strcmp(unit, "instructions"), NULL);
	}
	add_figure(figures, "run", json_object_get(report, "run_seconds"), "seconds", false, NULL);
}

/* What a load took, call by call; runs of it as far as there were several. */
static void load_figures(const json_t *report, json_t *figures)
{
	static const char *const ranks[] = {"mean", "p50", "p99", "max"};
	const json_t *placement = json_object_get(report, "placement"), *one;
	const char *unit = unit_of(report, "unit");
	bool exact = json_is_true(json_object_get(report, "exact"));
	char name[NAME_BYTES];
	size_t i;

	add_figure(figures, "failed", json_object_get(report, "failed"), "allocations", true, NULL);
	add_figure(figures, "violations",
		   json_object_get(json_object_get(report, "audit"), "violations"), "", true, NULL);
	add_figure(figures, "most pages", json_object_get(placement, "most_pages"), "pages", exact,
		   NULL);
	add_figure(figures, "fragmentation", json_object_get(placement, "fragmentation"), "", exact,
		   NULL);
	add_figure(figures, "operation", json_object_get(report, "ticks_per_operation"), unit,
		   exact && !strcmp(unit, "instructions"), json_object_get(report, "ticks_runs"));
	json_array_foreach (json_object_get(report, "calls"), i, one) {
		for (size_t j = 0; j < 4; j++) {
			snprintf(name, sizeof(name), "%.40s %s",
				 json_string_value(json_object_get(one, "name")) ?: "?", ranks[j]);
			add_figure(figures, name, json_object_get(one, ranks[j]), unit,
				   exact && !strcmp(unit, "instructions"),
				   json_object_get(json_object_get(one, "runs"), ranks[j]));
		}
	}
}

/* The figures by name, in the report's order; NULL: it is no report of ours. */
static json_t *figures_of(const json_t *report)
{
	json_t *figures = json_object();

	if (json_is_array(json_object_get(report, "cases")))
		bench_figures(report, figures);
	else if (json_is_string(json_object_get(report, "load")))
		load_figures(report, figures);
	else if (json_is_string(json_object_get(report, "trace")))
		replay_figures(report, figures);
	if (json_object_size(figures))
		return figures;
	json_decref(figures);
	return NULL;
}

/* ---- comparing ---- */

/* Numbers of an array; free() them. */
static double *read_runs(const json_t *figure, size_t *count_out)
{
	const json_t *runs = json_object_get(figure, "runs"), *one;
	double *values = calloc(json_array_size(runs) + 1, sizeof(*values));
	size_t i;

	*count_out = 0;
	json_array_foreach (runs, i, one) {
		if (values && json_is_number(one))
			values[(*count_out)++] = json_number_value(one);
	}
	return values;
}

/* Whether two numbers are the same as reports print them. */
static bool same_number(double a, double b)
{
	return fabs(a - b) <= 1e-8 * fmax(fabs(a), fabs(b));
}

static json_t *compare_figure(const char *name, const json_t *before, const json_t *now,
			      double threshold)
{
	double was = json_number_value(json_object_get(before, "value"));
	double is = json_number_value(json_object_get(now, "value"));
	bool counted = json_is_true(json_object_get(before, "counted")) &&
		       json_is_true(json_object_get(now, "counted"));
	size_t nr_was, nr_is;
	double *runs_was = read_runs(before, &nr_was), *runs_is = read_runs(now, &nr_is);
	bool judged = nr_was >= COMPARE_RUNS_MIN && nr_is >= COMPARE_RUNS_MIN;
	double p = judged ? compare_mann_whitney(runs_was, nr_was, runs_is, nr_is) : 1;
	bool changed = counted ? !same_number(was, is) : judged && p < COMPARE_P;
	bool beyond = changed && threshold >= 0 && is > was * (1 + threshold / 100);
	json_t *answer = json_pack("{s:s, s:O, s:f, s:f}", "name", name, "unit",
				   json_object_get(now, "unit"), "before", was, "now", is);

	json_object_set_new(answer, "change_percent",
			    was != 0 ? json_real((is - was) / was * 100) : json_null());
	json_object_set_new(answer, "noise",
			    json_string(counted  ? "none"
					: judged ? "mann-whitney"
						 : "unknown"));
	json_object_set_new(answer, "p", judged && !counted ? json_real(p) : json_null());
	json_object_set_new(answer, "changed",
			    counted || judged ? json_boolean(changed) : json_null());
	json_object_set_new(answer, "beyond", json_boolean(beyond));
	free(runs_was);
	free(runs_is);
	return answer;
}

static json_t *compare_all(const json_t *before, json_t *now, const struct compare_options *options)
{
	json_t *list = json_array(), *only_now = json_array(), *only_before = json_array(), *one;
	json_int_t beyond = 0;
	const char *name;
	void *next;

	json_object_foreach (now, name, one) {
		const json_t *other = json_object_get(before, name);

		if (!other) {
			json_array_append_new(only_now, json_string(name));
			continue;
		}
		one = compare_figure(name, other, one, options->threshold);
		beyond += json_is_true(json_object_get(one, "beyond"));
		json_array_append_new(list, one);
	}
	for (next = json_object_iter((json_t *)(uintptr_t)before); next;
	     next = json_object_iter_next((json_t *)(uintptr_t)before, next)) {
		if (!json_object_get(now, json_object_iter_key(next)))
			json_array_append_new(only_before, json_string(json_object_iter_key(next)));
	}
	return json_pack("{s:s, s:o, s:o, s:o, s:I}", "file", options->file, "figures", list,
			 "only_before", only_before, "only_now", only_now, "beyond", beyond);
}

/* The file's report, or NULL with the reason said. */
static json_t *read_report(const struct cli_command *command, const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	json_t *report = NULL;
	json_error_t where;
	struct stat status;

	if (fd < 0 || fstat(fd, &status)) {
		cli_error(command, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(status.st_mode) || status.st_size > REPORT_BYTES_MAX) {
		cli_error(command, "%s: no regular file of at most %d MiB", path,
			  REPORT_BYTES_MAX >> 20);
	} else {
		report = json_loadfd(fd, JSON_REJECT_DUPLICATES, &where);
		if (!report)
			cli_error(command, "%s:%d: %s", path, where.line, where.text);
	}
	if (fd >= 0)
		close(fd);
	return report;
}

/* What there is to say, a new reference; NULL: the reason is said. */
static json_t *compare_reports(const struct cli_command *command, const json_t *report,
			       const struct compare_options *options)
{
	json_t *earlier = read_report(command, options->file), *before, *now, *answer = NULL;

	if (!earlier)
		return NULL;
	before = figures_of(earlier);
	now = figures_of(report);
	if (!before || !now)
		cli_error(command, "%s is no report of a bench, a load or a replay", options->file);
	else
		answer = compare_all(before, now, options);
	if (answer && !json_array_size(json_object_get(answer, "figures"))) {
		cli_error(command, "%s is of another job: it has none of these figures",
			  options->file);
		json_decref(answer);
		answer = NULL;
	}
	json_decref(before);
	json_decref(now);
	json_decref(earlier);
	return answer;
}

/* ---- saying ---- */

static void print_judgement(const json_t *figure, FILE *file)
{
	const json_t *changed = json_object_get(figure, "changed");
	const char *noise = json_string_value(json_object_get(figure, "noise"));

	if (!strcmp(noise, "unknown"))
		fprintf(file, "timed once: nothing to say");
	else if (!strcmp(noise, "none"))
		fprintf(file, json_is_true(changed) ? "counted: changed" : "counted: the same");
	else
		fprintf(file, "%s (Mann-Whitney, p %.3f)",
			json_is_true(changed) ? "beyond the noise" : "within the noise",
			json_number_value(json_object_get(figure, "p")));
	if (json_is_true(json_object_get(figure, "beyond")))
		fprintf(file, ", BEYOND THE THRESHOLD");
	fputc('\n', file);
}

static void print_missing(const json_t *names, const char *where, FILE *file)
{
	const json_t *name;
	size_t i;

	json_array_foreach (names, i, name)
		fprintf(file, "%-24s only %s\n", json_string_value(name), where);
}

static void print_answer(const json_t *answer, FILE *file)
{
	const json_t *figure;
	size_t i;

	fprintf(file, "\ncompared with %s\n%-24s %14s %14s %9s\n",
		json_string_value(json_object_get(answer, "file")), "figure", "before", "now",
		"change");
	json_array_foreach (json_object_get(answer, "figures"), i, figure) {
		const json_t *change = json_object_get(figure, "change_percent");

		fprintf(file, "%-24s %14.6g %14.6g ",
			json_string_value(json_object_get(figure, "name")),
			json_number_value(json_object_get(figure, "before")),
			json_number_value(json_object_get(figure, "now")));
		if (json_is_real(change))
			fprintf(file, "%+8.2f%%  ", json_number_value(change));
		else
			fprintf(file, "%9s  ", "-");
		print_judgement(figure, file);
	}
	print_missing(json_object_get(answer, "only_before"), "before", file);
	print_missing(json_object_get(answer, "only_now"), "now", file);
}

enum cli_status compare_and_print(const struct cli_command *command, json_t *report,
				  const struct compare_options *options, bool json,
				  enum cli_status status)
{
	json_t *answer;

	if (!json && !options->file)
		return status;
	if (!report)
		return cli_error(command, "out of memory"), CLI_HOST;
	answer = options->file ? compare_reports(command, report, options) : NULL;
	if (answer)
		json_object_set_new(report, "compare", answer);
	if (json) {
		json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
		putchar('\n');
	} else if (answer) {
		print_answer(answer, stdout);
	}
	if (options->file && !answer)
		return CLI_BAD_INPUT;
	if (json_integer_value(json_object_get(answer, "beyond")) > 0 && status == CLI_DONE)
		return CLI_WRONG;
	return status;
}
