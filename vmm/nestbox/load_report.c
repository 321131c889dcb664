/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports of loads (vmm/nestbox/load_report.h). */
#include "vmm/nestbox/load_report.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/picture/picture.h"

static const struct {
	const char *name;
	double percent;
} ranks[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p999", 99.9}, {"max", 100}};
#define NR_RANKS (sizeof(ranks) / sizeof(ranks[0]))

/* ---- JSON ---- */

/* One figure of one call in each run. */
static json_t *figure_of_runs(const struct load_report *report, unsigned int op, double percent)
{
	json_t *list = json_array();

	for (size_t i = 0; i < report->nr_runs; i++) {
		const struct histogram *one = &report->runs[i].latency[op];

		json_array_append_new(
			list,
			percent < 0 ? json_real(histogram_mean(one))
				    : json_integer((json_int_t)histogram_percentile(one, percent)));
	}
	return list;
}

static json_t *call_json(const struct load_report *report, unsigned int op)
{
	const struct histogram *histogram = &report->sum->latency[op];
	json_t *call = json_pack("{s:s, s:I, s:f}", "name", load_op_name(op), "count",
				 (json_int_t)histogram->count, "mean", histogram_mean(histogram));
	json_t *runs = json_object();

	json_object_set_new(runs, "mean", figure_of_runs(report, op, -1));
	for (size_t i = 0; i < NR_RANKS; i++) {
		json_object_set_new(call, ranks[i].name,
				    json_integer((json_int_t)histogram_percentile(
					    histogram, ranks[i].percent)));
		json_object_set_new(runs, ranks[i].name,
				    figure_of_runs(report, op, ranks[i].percent));
	}
	json_object_set_new(call, "runs", runs);
	json_object_set_new(call, "histogram", histogram_json(histogram));
	return call;
}

static double ticks_per_operation(const struct load_result *result)
{
	return result->operations ? (double)result->ticks / (double)result->operations : 0;
}

static json_t *instructions_json(const struct load_result *sum)
{
	uint64_t outside = sum->instructions - sum->instructions_mm;

	if (!sum->instructions)
		return json_null();
	return json_pack("{s:I, s:I, s:f}", "all", (json_int_t)sum->instructions, "mm",
			 (json_int_t)sum->instructions_mm, "outside_percent",
			 100.0 * (double)outside / (double)sum->instructions);
}

static json_t *placement_json(const struct load_result *sum)
{
	const struct placement *end = &sum->end;

	return json_pack("{s:I, s:I, s:f, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:f}}", "most_pages",
			 (json_int_t)sum->placement.most_pages, "most_areas",
			 (json_int_t)sum->placement.most_areas, "fragmentation",
			 sum->placement.fragmentation, "moments",
			 (json_int_t)sum->placement.moments, "end", "areas", (json_int_t)end->areas,
			 "pages", (json_int_t)end->pages, "lazy", (json_int_t)end->lazy, "holes",
			 (json_int_t)end->holes, "hole_bytes", (json_int_t)end->hole_bytes,
			 "fragmentation", placement_fragmentation(end));
}

json_t *load_report_json(const struct load_report *report)
{
	const struct load_result *sum = report->sum;
	json_t *calls = json_array(), *runs = json_array(), *json;

	for (unsigned int op = 0; op < NB_LOAD_OPS; op++)
		if (sum->latency[op].count)
			json_array_append_new(calls, call_json(report, op));
	for (size_t i = 0; i < report->nr_runs; i++)
		json_array_append_new(runs, json_real(ticks_per_operation(&report->runs[i])));
	json = json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:s, s:b, s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:o, s:o}",
		"load", report->name, "cpus", (json_int_t)report->workload->cpus, "seed",
		(json_int_t)report->workload->seed, "memory_bytes",
		(json_int_t)report->memory_bytes, "repeat", (json_int_t)report->nr_runs, "unit",
		report->unit, "exact", report->exact, "allocations",
		(json_int_t)report->program->allocations, "frees",
		(json_int_t)report->program->frees, "operations", (json_int_t)sum->operations,
		"failed", (json_int_t)sum->failed, "ticks_per_operation", ticks_per_operation(sum),
		"ticks_runs", runs, "calls", calls, "instructions", instructions_json(sum),
		"placement", placement_json(sum));
	json_object_set_new(json, "audit",
			    json_pack("{s:I, s:I, s:I, s:s}", "audits", (json_int_t)sum->audits,
				      "checks", (json_int_t)sum->audit_items, "violations",
				      (json_int_t)sum->violations, "first", sum->violation));
	json_object_set_new(json, "run_seconds", json_real(sum->seconds));
	json_object_set_new(json, "kvm",
			    json_pack("{s:s, s:s}", "module", report->kvm_module, "second_stage",
				      report->second_stage));
	return json;
}

/* ---- text ---- */

enum cli_status load_report_status(const struct load_report *report)
{
	return report->sum->failed || report->sum->violations ? CLI_WRONG : CLI_DONE;
}

static void print_calls(const struct load_report *report, FILE *out)
{
	const struct load_result *sum = report->sum;

	fprintf(out, "\n%-8s %10s %12s %10s %10s %10s %10s %10s\n", report->unit, "calls", "mean",
		"p50", "p90", "p99", "p99.9", "max");
	for (unsigned int op = 0; op < NB_LOAD_OPS; op++) {
		const struct histogram *histogram = &sum->latency[op];

		if (!histogram->count)
			continue;
		fprintf(out, "%-8s %10llu %12.1f", load_op_name(op),
			(unsigned long long)histogram->count, histogram_mean(histogram));
		for (size_t i = 0; i < NR_RANKS; i++)
			fprintf(out, " %10llu",
				(unsigned long long)histogram_percentile(histogram,
									 ranks[i].percent));
		fputc('\n', out);
	}
	fprintf(out, "%.1f %s an operation, time stamps included; figures are within 0.4 %%\n\n",
		ticks_per_operation(sum), report->unit);
}

void load_report_print(const struct load_report *report, FILE *out)
{
	const struct load_result *sum = report->sum;
	char most[32];

	cli_size_format(sum->placement.most_pages << 12, most, sizeof(most));
	fprintf(out, "%s: %s; ", report->name,
		load_report_status(report) == CLI_DONE ? "right" : "WRONG");
	if (sum->failed)
		fprintf(out, "%llu allocations failed (%s), ", (unsigned long long)sum->failed,
			strerror(sum->last_errno));
	if (sum->violations)
		fprintf(out, "%llu violations\n  %s\n", (unsigned long long)sum->violations,
			sum->violation);
	else
		fprintf(out, "%s\n", sum->audits ? "audit clean" : "not audited");
	fprintf(out,
		"  load        %llu allocations, %llu frees on %u vCPU%s, seed %llu, %zu run%s\n",
		(unsigned long long)report->program->allocations,
		(unsigned long long)report->program->frees, report->workload->cpus,
		report->workload->cpus == 1 ? "" : "s", (unsigned long long)report->workload->seed,
		report->nr_runs, report->nr_runs == 1 ? "" : "s");
	fprintf(out,
		"  placement   most: %llu areas, %s of frames; fragmentation %.2f %% (mean of "
		"%llu)\n",
		(unsigned long long)sum->placement.most_areas, most,
		100 * sum->placement.fragmentation, (unsigned long long)sum->placement.moments);
	fprintf(out, "  audit       %llu audits, %llu checks\n", (unsigned long long)sum->audits,
		(unsigned long long)sum->audit_items);
	fprintf(out, "  on          %s, second stage: %s; %.2f s\n", report->kvm_module,
		report->second_stage, sum->seconds);
	if (sum->instructions)
		fprintf(out, "  guest       %llu instructions, %.2f %% of them outside mm/\n",
			(unsigned long long)sum->instructions,
			100.0 * (double)(sum->instructions - sum->instructions_mm) /
				(double)sum->instructions);
	print_calls(report, out);
}

/* ---- pictures ---- */

/* A picture's histogram is made of samples: each bucket's middle, so often. */
static json_t *histogram_picture(const struct histogram *histogram, const char *name,
				 const char *unit)
{
	struct latency latency = {0};
	json_t *picture = NULL;
	uint64_t low, high;
	int err = 0;

	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS && !err; i++) {
		histogram_range(i, &low, &high);
		for (uint64_t j = 0; j < histogram->buckets[i] && !err; j++)
			err = latency_add(&latency, low + (high - low) / 2);
	}
	if (!err)
		picture = picture_histogram(name, unit, &latency);
	latency_deinit(&latency);
	return picture;
}

json_t *load_report_picture(const struct load_report *report)
{
	const struct load_result *sum = report->sum;
	json_t *document = picture_create(report->name), *list = json_array(), *rows = json_array();

	picture_about(document, "load", "%llu allocations on %u vCPU%s, seed %llu",
		      (unsigned long long)report->program->allocations, report->workload->cpus,
		      report->workload->cpus == 1 ? "" : "s",
		      (unsigned long long)report->workload->seed);
	picture_about(document, "on", "%s, second stage: %s", report->kvm_module,
		      report->second_stage);
	picture_about(document, "most", "%llu areas, %llu pages",
		      (unsigned long long)sum->placement.most_areas,
		      (unsigned long long)sum->placement.most_pages);
	picture_about(document, "fragmentation", "%.2f %%", 100 * sum->placement.fragmentation);
	if (sum->areas)
		json_object_set_new(document, "areas", picture_areas(sum->areas));
	for (unsigned int op = 0; op < NB_LOAD_OPS; op++) {
		const struct histogram *one = &sum->latency[op];
		json_t *picture = histogram_picture(one, load_op_name(op), report->unit);

		if (picture)
			json_array_append_new(list, picture);
		if (one->count)
			json_array_append_new(
				rows, json_pack("[s, I, I, I, I]", load_op_name(op),
						(json_int_t)one->count,
						(json_int_t)histogram_percentile(one, 50),
						(json_int_t)histogram_percentile(one, 99),
						(json_int_t)histogram_percentile(one, 100)));
	}
	json_object_set_new(document, "latency", list);
	json_object_set_new(document, "table",
			    json_pack("[{s:s, s:s, s:[s, s, s, s, s], s:o}]", "id", "calls",
				      "heading", "Calls", "columns", "call", "count", "p50", "p99",
				      "max", "rows", rows));
	return document;
}
