/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What commands did, as documents of vmm/picture/. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/nestbox/picture_options.h"

enum cli_status picture_confine(const struct cli_command *command,
				const struct guest_options *options,
				const struct picture_files *files)
{
	const char *const written[] = {files->html, files->svg, files->dat};
	const struct confined_to to = {.nr_files = 3, .files = written, .reads_all = true};

	return guest_options_confine(command, options, &to);
}

enum cli_status picture_save(const struct cli_command *command, json_t *document,
			     const struct picture_files *files, enum cli_status status)
{
	struct error error = {"out of memory"};
	int err = document ? picture_write(document, files, &error) : -ENOMEM;

	json_decref(document);
	if (!err)
		return status;
	cli_error(command, "%s", error.text);
	return err == -ENOMEM || err == -ENOSPC || err == -EIO ? CLI_HOST : CLI_BAD_INPUT;
}

/* ---- replay ---- */

/* When each area came and went: numbers of operations of the trace; 0 is the initial state. */
struct life {
	int64_t born, freed, gone;
};

/* The areas that are freed and not yet given back. */
struct waiting {
	uint32_t *area;
	size_t count;
};

/* Those that the purge @op gives back are gone. */
static void purge(const struct replay_plan *plan, const struct replay_op *op, int64_t when,
		  struct life *lives, struct waiting *waiting)
{
	size_t kept = 0;

	for (size_t i = 0; i < waiting->count; i++) {
		uint32_t number = waiting->area[i];
		const struct replay_area *area = &plan->areas[number];

		if (lives[number].gone >= 0)
			continue; /* by an operation of its own */
		if (op->node &&
		    space_lazy_list(&plan->rules, area->address, area->va_node) != op->node)
			waiting->area[kept++] = number;
		else
			lives[number].gone = when;
	}
	waiting->count = kept;
}

static struct life *find_lives(const struct replay_plan *plan)
{
	struct life *lives = malloc((plan->area_count + 1) * sizeof(*lives));
	struct waiting waiting = {malloc((plan->area_count + 1) * sizeof(*waiting.area)), 0};

	if (!lives || !waiting.area) {
		free(lives);
		free(waiting.area);
		return NULL;
	}
	for (size_t i = 0; i < plan->area_count; i++)
		lives[i] = (struct life){-1, -1, -1};
	for (size_t i = 0; i < plan->op_count; i++) {
		const struct replay_op *op = &plan->ops[i];
		int64_t when = i < plan->initial_ops ? 0 : (int64_t)(i - plan->initial_ops + 1);

		if (op->type == REPLAY_PURGE)
			purge(plan, op, when, lives, &waiting);
		else if (op->type == REPLAY_MAP || op->type == REPLAY_RESERVE)
			lives[op->area].born = when;
		else if (op->type == REPLAY_RELEASE)
			lives[op->area].gone = when;
		else if (op->type == REPLAY_FREE && lives[op->area].freed < 0) {
			lives[op->area].freed = when;
			waiting.area[waiting.count++] = op->area;
		}
	}
	free(waiting.area);
	return lives;
}

static json_t *areas_json(const struct replay_plan *plan, const struct replay_outcome *outcome,
			  const struct life *lives)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->area_count; i++) {
		const struct replay_area *area = &plan->areas[i];
		uint64_t start = outcome->addresses[i];

		if (!start || lives[i].born < 0)
			continue;
		json_array_append_new(
			list,
			json_pack("{s:I, s:I, s:s, s:I, s:I, s:I, s:I}", "start", (json_int_t)start,
				  "end", (json_int_t)(start + area->va_bytes), "line",
				  area->mapped ? " vmalloc" : "", "pages",
				  (json_int_t)(area->mapped ? (area->bytes + 4095) / 4096 : 0),
				  "born", lives[i].born, "freed", lives[i].freed, "gone",
				  lives[i].gone));
	}
	return list;
}

/* Seconds since the first operation of the trace, after each. */
static json_t *seconds_json(const struct replay_plan *plan)
{
	json_t *seconds = json_array();
	uint64_t first = 0, last = 0;

	json_array_append_new(seconds, json_real(0));
	for (size_t i = plan->initial_ops; i < plan->op_count; i++) {
		unsigned long line = replay_op_line(&plan->ops[i]);
		uint64_t now = line < plan->moment_count ? plan->moments[line].time_ns : 0;

		if (!first)
			first = now;
		if (now > last)
			last = now;
		json_array_append_new(seconds, json_real((double)(last - first) / 1e9));
	}
	return seconds;
}

static json_t *addresses_table(const struct replay_outcome *outcome)
{
	return json_pack("{s:s, s:s, s:[s, s], s:[[s, I], [s, I], [s, I], [s, I], [s, I]]}", "id",
			 "addresses", "heading", "Addresses", "columns", "compared with Linux's",
			 "allocations", "rows", "exact", (json_int_t)outcome->exact,
			 "exact given an order that was inferred", (json_int_t)outcome->by_order,
			 "exact given a start that was inferred", (json_int_t)outcome->by_start,
			 "elsewhere, as Linux's rules allow", (json_int_t)outcome->explained.count,
			 "missed", (json_int_t)outcome->other.count);
}

static json_t *violations_json(const struct replay_outcome *outcome)
{
	json_t *list = json_array();

	for (size_t i = 0; i < outcome->violation_count; i++)
		json_array_append_new(list,
				      json_pack("{s:s}", "text", outcome->violations[i].text));
	return json_pack("{s:[], s:o}", "checks", "violations", list);
}

json_t *picture_of_replay(const struct replay_report *report)
{
	const struct replay_outcome *outcome = report->outcome;
	const struct replay_plan *plan = report->plan;
	struct latency *latencies[] = {(struct latency *)(uintptr_t)&outcome->allocs,
				       (struct latency *)(uintptr_t)&outcome->frees};
	struct life *lives = find_lives(plan);
	json_t *document = lives ? picture_create(report->name) : NULL, *list;

	if (!document) {
		free(lives);
		return NULL;
	}
	picture_about(document, "replay of", "%s", report->trace_path);
	picture_about(document, "guest", "%u CPU%s, %llu MiB", report->cpus,
		      report->cpus == 1 ? "" : "s", (unsigned long long)report->memory_bytes >> 20);
	picture_about(document, "on", "%s, second stage: %s", report->kvm_module,
		      report->second_stage);
	picture_about(document, "rules", "%s", report->rules);
	list = areas_json(plan, outcome, lives);
	json_object_set_new(document, "areas", picture_areas(list));
	json_decref(list);
	json_object_set_new(document, "history",
			    json_pack("{s:I, s:o}", "steps",
				      (json_int_t)(plan->op_count - plan->initial_ops), "seconds",
				      seconds_json(plan)));
	list = json_array();
	for (size_t i = 0; i < 2; i++) {
		json_t *one =
			picture_histogram(i ? "free" : "alloc", report->latency_unit, latencies[i]);

		if (one)
			json_array_append_new(list, one);
	}
	json_object_set_new(document, "latency", list);
	json_object_set_new(document, "table", json_pack("[o]", addresses_table(outcome)));
	json_object_set_new(document, "audit", violations_json(outcome));
	free(lives);
	return document;
}

/* ---- explore ---- */

/* A turn is told by where it ended; the lane shows that and how long it was. */
json_t *picture_of_explore(const json_t *answer)
{
	const json_t *failure = json_object_get(answer, "failure"), *turn;
	json_t *document =
		picture_create(failure ? "An interleaving that fails" : "Nothing was found");
	json_t *turns = json_array();
	size_t i;

	picture_about(document, "runs", "%lld",
		      (long long)json_integer_value(json_object_get(answer, "runs")));
	picture_about(document, "vCPUs", "%lld",
		      (long long)json_integer_value(json_object_get(answer, "vcpus")));
	if (failure)
		picture_about(document, "seed", "%lld",
			      (long long)json_integer_value(json_object_get(failure, "seed")));
	json_array_foreach (json_object_get(failure, "turns"), i, turn)
		json_array_append_new(
			turns,
			json_pack("{s:O, s:o}", "vcpu", json_object_get(turn, "vcpu"), "text",
				  json_sprintf("%lld instructions, then at %s",
					       (long long)json_integer_value(
						       json_object_get(turn, "after")),
					       json_string_value(json_object_get(turn, "at")))));
	if (!failure) {
		json_decref(turns);
		return document;
	}
	json_object_set_new(document, "explore",
			    json_pack("{s:O, s:O, s:o}", "vcpus", json_object_get(answer, "vcpus"),
				      "text", json_object_get(failure, "text"), "turns", turns));
	return document;
}
