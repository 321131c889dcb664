/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sweeps' documents: merged, judged, printed (vmm/nestbox/sweep.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/histogram.h"
#include "vmm/nestbox/sweep.h"

/* ---- merging ---- */

static bool is_sweep(const json_t *document)
{
	const json_t *results = json_object_get(document, "results"), *one;
	json_int_t points = json_integer_value(json_object_get(document, "points"));
	size_t i;

	if (!json_is_string(json_object_get(document, "sweep")) || !json_is_array(results) ||
	    !json_is_array(json_object_get(document, "parameters")) || points < 1 ||
	    points > SWEEP_POINTS_MAX)
		return false;
	json_array_foreach (results, i, one) {
		json_int_t point = json_integer_value(json_object_get(one, "point"));

		if (!json_is_integer(json_object_get(one, "point")) || point < 0 ||
		    point >= points || !json_is_object(json_object_get(one, "set")) ||
		    !json_is_object(json_object_get(one, "report")))
			return false;
	}
	return true;
}

static bool same_sweep(const json_t *a, const json_t *b)
{
	return json_equal(json_object_get(a, "sweep"), json_object_get(b, "sweep")) &&
	       json_equal(json_object_get(a, "parameters"), json_object_get(b, "parameters"));
}

static json_t *read_sweep(const struct cli_command *command, const char *path)
{
	json_error_t where;
	json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &where);

	if (!document) {
		if (where.line > 0)
			cli_error(command, "%s:%d:%d: %s", path, where.line, where.column,
				  where.text);
		else
			cli_error(command, "%s", where.text);
	} else if (!is_sweep(document)) {
		cli_error(command, "%s is no report of a sweep", path);
		json_decref(document);
		return NULL;
	}
	return document;
}

/* Keeps the results of @from by point. Returns false if one is there already, which is said. */
static bool add_results(const struct cli_command *command, const json_t *from, const char *path,
			json_t **by_point)
{
	json_t *one;
	size_t i;

	json_array_foreach (json_object_get(from, "results"), i, one) {
		json_int_t point = json_integer_value(json_object_get(one, "point"));

		if (by_point[point]) {
			cli_error(command, "%s: point %lld is in another report too", path,
				  (long long)point);
			return false;
		}
		by_point[point] = json_incref(one);
	}
	return true;
}

json_t *sweep_merge(const struct cli_command *command, char **paths, size_t count)
{
	json_t **by_point = calloc(SWEEP_POINTS_MAX, sizeof(*by_point));
	json_t *all = NULL, *results = json_array();
	bool good = by_point;

	for (size_t i = 0; i < count && good; i++) {
		json_t *one = read_sweep(command, paths[i]);

		good = one;
		if (good && !all)
			all = json_copy(one);
		if (good && !same_sweep(all, one)) {
			cli_error(command, "%s is of another sweep than %s", paths[i], paths[0]);
			good = false;
		}
		good = good && add_results(command, one, paths[i], by_point);
		json_decref(one);
	}
	for (size_t i = 0; i < SWEEP_POINTS_MAX && by_point; i++)
		if (by_point[i])
			json_array_append_new(results, by_point[i]);
	free(by_point);
	if (all) {
		json_object_del(all, "shard");
		json_object_set(all, "results", results);
	}
	json_decref(results);
	if (good)
		return all;
	json_decref(all);
	return NULL;
}

/* ---- judging ---- */

static json_int_t number_of(const json_t *report, const char *section, const char *key)
{
	const json_t *object = section ? json_object_get(report, section) : report;

	return json_integer_value(json_object_get(object, key));
}

static bool went_wrong(const json_t *report)
{
	return number_of(report, NULL, "failed") || number_of(report, "audit", "violations");
}

enum cli_status sweep_status(const json_t *sweep)
{
	const json_t *results = json_object_get(sweep, "results"), *one;
	json_int_t points = json_integer_value(json_object_get(sweep, "points"));
	bool shard = json_is_string(json_object_get(sweep, "shard"));
	size_t i;

	json_array_foreach (results, i, one) {
		if (went_wrong(json_object_get(one, "report")))
			return CLI_WRONG;
	}
	return shard || (json_int_t)json_array_size(results) == points ? CLI_DONE : CLI_WRONG;
}

/* ---- printing ---- */

/* What is printed in one line. */
struct row {
	char *set;
	struct histogram alloc, release;
	json_int_t most_pages, wrong;
	double fragmentation;
	size_t runs;
};

/* "cpus=2 mode=eager", the seed left out; free() it. */
static char *describe(const json_t *set)
{
	char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);
	const char *name;
	json_t *value;

	if (!file)
		return NULL;
	json_object_foreach ((json_t *)(uintptr_t)set, name, value) {
		if (strcmp(name, "seed") != 0)
			fprintf(file, "%s%s=%s", ftell(file) ? " " : "", name,
				json_string_value(value) ?: "?");
	}
	return fclose(file) ? NULL : text;
}

static void add_report(struct row *row, const json_t *report)
{
	const json_t *placement = json_object_get(report, "placement"), *call;
	double fragmentation = json_number_value(json_object_get(placement, "fragmentation"));
	json_int_t pages = json_integer_value(json_object_get(placement, "most_pages"));
	size_t i;

	json_array_foreach (json_object_get(report, "calls"), i, call) {
		const char *name = json_string_value(json_object_get(call, "name")) ?: "";
		const json_t *counts = json_object_get(call, "histogram");

		if (!strcmp(name, "alloc"))
			row->wrong += histogram_add_json(&row->alloc, counts) != 0;
		else if (!strcmp(name, "free"))
			row->wrong += histogram_add_json(&row->release, counts) != 0;
	}
	row->runs++;
	row->wrong += went_wrong(report);
	row->most_pages = pages > row->most_pages ? pages : row->most_pages;
	row->fragmentation =
		fragmentation > row->fragmentation ? fragmentation : row->fragmentation;
}

static void print_row(const struct row *row)
{
	printf("%-32s %5zu %10llu %10llu %10llu %10llu %10lld %9.3f%s\n",
	       *row->set ? row->set : "(as it is)", row->runs,
	       (unsigned long long)histogram_percentile(&row->alloc, 50),
	       (unsigned long long)histogram_percentile(&row->alloc, 99),
	       (unsigned long long)histogram_percentile(&row->release, 50),
	       (unsigned long long)histogram_percentile(&row->release, 99),
	       (long long)row->most_pages, 100 * row->fragmentation, row->wrong ? "  WRONG" : "");
}

void sweep_print(const json_t *sweep)
{
	const json_t *results = json_object_get(sweep, "results"), *one;
	size_t count = json_array_size(results), nr_rows = 0, i, at;
	struct row *rows = calloc(count + 1, sizeof(*rows));

	json_array_foreach (results, i, one) {
		char *set = rows ? describe(json_object_get(one, "set")) : NULL;

		if (!set)
			break;
		for (at = 0; at < nr_rows && strcmp(rows[at].set, set) != 0;)
			at++;
		if (at < nr_rows)
			free(set);
		else
			rows[nr_rows++].set = set;
		add_report(&rows[at], json_object_get(one, "report"));
	}
	printf("%s: %zu of %lld points\n\n%-32s %5s %10s %10s %10s %10s %10s %9s\n",
	       json_string_value(json_object_get(sweep, "sweep")), count,
	       (long long)json_integer_value(json_object_get(sweep, "points")), "", "runs",
	       "alloc p50", "alloc p99", "free p50", "free p99", "pages", "frag. %");
	for (i = 0; i < nr_rows; i++) {
		print_row(&rows[i]);
		free(rows[i].set);
	}
	free(rows);
}
