/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report of a replay as JSON, and the exit status. The one for a person is in replay_text.c. */
#include "vmm/replay/report.h"

#include <inttypes.h>
#include <string.h>

const char *replay_report_doubt(const struct replay_report *report)
{
	if (!report->plan->has_snapshot)
		return "no vmallocinfo.begin";
	if (ftrace_lost(report->trace))
		return "events were lost";
	return report->plan->conflicts.count ? "events are missing" : NULL;
}

const char *replay_report_start(const struct replay_report *report)
{
	if (!report->settled)
		return "as it comes";
	if (report->settled->start_known)
		return "state file";
	return report->settled->start_found ? "inferred" : "by address";
}

enum cli_status replay_report_status(const struct replay_report *report)
{
	const struct replay_outcome *outcome = report->outcome;
	bool promised = !replay_report_doubt(report);

	if (outcome->failed || outcome->unexpected.count || outcome->misplaced.count ||
	    outcome->audit_violations)
		return CLI_WRONG;
	if (promised && (outcome->other.count || (report->end && report->end->unexplained)))
		return CLI_WRONG;
	return CLI_DONE;
}

static json_t *number(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *address(uint64_t value)
{
	char text[24];

	if (!value)
		return json_null();
	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return json_string(text);
}

/* Strings from outside may hold bytes that are no UTF-8, which JSON cannot. */
static json_t *text(const char *value)
{
	json_t *string = json_string(value);

	return string ? string : json_string("?");
}

static void add(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, number(value));
}

static json_t *differences_json(const struct replay_report *report,
				const struct replay_differences *differences)
{
	json_t *array = json_array(), *entry;
	const struct replay_difference *from;
	const struct replay_op *op;
	uint64_t i;

	for (i = 0; i < differences->count && i < REPLAY_DETAILS_MAX; i++) {
		from = &differences->first[i];
		op = &report->plan->ops[from->op];
		entry = json_object();
		add(entry, "line", replay_op_line(op));
		json_object_set_new(entry, "expected", address(from->expected));
		json_object_set_new(entry, "got", address(from->got));
		if (from->status) {
			json_object_set_new(entry, "error", text(strerror(-from->status)));
			json_object_set_new(entry, "initial",
					    json_boolean(from->op < report->plan->initial_ops));
		}
		json_array_append_new(array, entry);
	}
	return array;
}

static json_t *notes_json(const struct replay_notes *notes)
{
	json_t *object = json_object(), *array = json_array(), *entry;
	uint64_t i;

	for (i = 0; i < notes->count && i < REPLAY_NOTES_MAX; i++) {
		entry = json_object();
		json_object_set_new(entry, "address", address(notes->first[i].address));
		add(entry, "line", notes->first[i].line);
		json_array_append_new(array, entry);
	}
	add(object, "count", notes->count);
	json_object_set_new(object, "first", array);
	return object;
}

static json_t *address_json(const struct replay_report *report)
{
	const struct replay_outcome *outcome = report->outcome;
	json_t *object = json_object();

	add(object, "exact", outcome->exact);
	add(object, "inferred", outcome->by_order + outcome->by_start);
	add(object, "explained", outcome->explained.count);
	add(object, "missed", outcome->other.count);
	add(object, "other", outcome->other.count);
	add(object, "inferred_by_order", outcome->by_order);
	add(object, "inferred_by_start", outcome->by_start);
	json_object_set_new(object, "differences", differences_json(report, &outcome->other));
	json_object_set_new(object, "explained_differences",
			    differences_json(report, &outcome->explained));
	return object;
}

/* What was inferred, and how hard it was looked for. */
static json_t *inference_json(const struct replay_report *report)
{
	const struct settle_report *settled = report->settled;
	json_t *object = json_object();

	json_object_set_new(object, "rules", text(report->rules ? report->rules : ""));
	json_object_set_new(object, "rules_known", json_boolean(report->rules_known));
	json_object_set_new(object, "start", text(replay_report_start(report)));
	if (!settled)
		return object;
	add(object, "operations_moved", settled->moved);
	add(object, "starts_tried", settled->tried);
	add(object, "lazy_nodes_found", settled->nodes_found);
	add(object, "steps", settled->work);
	add(object, "from_pools", settled->from_pools);
	add(object, "free_ranges", settled->holes);
	return object;
}

static json_t *end_differences_json(const struct replay_end_state *end)
{
	json_t *array = json_array(), *entry;
	const struct replay_end_difference *from;
	size_t i;

	for (i = 0; i < end->difference_count; i++) {
		from = &end->differences[i];
		entry = json_object();
		json_object_set_new(entry, "kind", text(replay_end_kind_name(from->kind)));
		json_object_set_new(entry, "start", address(from->start));
		json_object_set_new(entry, "end", address(from->end));
		json_object_set_new(entry, "reason", text(from->reason));
		json_object_set_new(entry, "explained", json_boolean(from->explained));
		if (from->snapshot_line)
			add(entry, "snapshot_line", from->snapshot_line);
		if (from->trace_line)
			add(entry, "trace_line", from->trace_line);
		json_array_append_new(array, entry);
	}
	return array;
}

static json_t *end_json(const struct replay_end_state *end)
{
	static const struct replay_end_state none;
	json_t *object = json_object(), *lazy = json_object();
	bool compared = end != NULL;

	if (!end)
		end = &none;
	json_object_set_new(object, "compared", json_boolean(compared));
	add(object, "expected", end->expected);
	add(object, "matching", end->matching);
	add(object, "missing", end->missing);
	add(object, "extra", end->extra);
	add(object, "other_kind", end->other_kind);
	add(object, "unexplained", end->unexplained);
	add(lazy, "expected_bytes", end->lazy_expected_bytes);
	add(lazy, "matching_bytes", end->lazy_matching_bytes);
	add(lazy, "missing_bytes", end->lazy_missing_bytes);
	add(lazy, "extra_bytes", end->lazy_extra_bytes);
	json_object_set_new(object, "lazy", lazy);
	json_object_set_new(object, "differences", end_differences_json(end));
	return object;
}

static json_t *audit_json(const struct replay_outcome *outcome)
{
	json_t *object = json_object(), *array = json_array(), *entry;
	size_t i;

	for (i = 0; i < outcome->violation_count; i++) {
		entry = json_object();
		add(entry, "after_operations", outcome->violations[i].after_ops);
		add(entry, "line", outcome->violations[i].line);
		json_object_set_new(entry, "text", text(outcome->violations[i].text));
		json_array_append_new(array, entry);
	}
	add(object, "runs", outcome->audit_runs);
	add(object, "checks", outcome->audit_checks);
	add(object, "violations", outcome->audit_violations);
	json_object_set_new(object, "first", array);
	return object;
}

static json_t *lost_json(const struct ftrace_info *trace)
{
	json_t *object = json_object();

	add(object, "count", ftrace_lost(trace));
	add(object, "overwritten", trace->lost_overwritten);
	add(object, "dropped", trace->lost_dropped);
	add(object, "unknown", trace->lost_unknown);
	add(object, "not_in_file", trace->lost_from_file);
	return object;
}

static json_t *skipped_json(const struct ftrace_info *trace)
{
	json_t *object = json_object(), *count;
	size_t i;

	for (i = 0; i < trace->skipped_name_count; i++) {
		count = number(trace->skipped_names[i].count);
		/* A name that is no UTF-8 is no key, and its count goes with it. */
		if (json_object_set_new(object, trace->skipped_names[i].name, count))
			json_object_set_new(object, "?", number(trace->skipped_names[i].count));
	}
	return object;
}

static json_t *latency_json(struct latency *latency)
{
	json_t *object = json_object();

	add(object, "p50", latency_percentile(latency, 50));
	add(object, "p90", latency_percentile(latency, 90));
	add(object, "p99", latency_percentile(latency, 99));
	add(object, "max", latency_percentile(latency, 100));
	return object;
}

static void add_machine(json_t *root, const struct replay_report *report)
{
	json_t *guest = json_object(), *kvm = json_object(), *latency = json_object();
	double seconds = report->run_seconds;

	add(guest, "cpus", report->cpus);
	add(guest, "memory_bytes", report->memory_bytes);
	json_object_set_new(guest, "image", text(report->image ? report->image : "none"));
	json_object_set_new(root, "guest", guest);
	json_object_set_new(kvm, "module", text(report->kvm_module ? report->kvm_module : "none"));
	json_object_set_new(kvm, "second_stage",
			    text(report->second_stage ? report->second_stage : "none"));
	json_object_set_new(root, "kvm", kvm);
	json_object_set_new(root, "start_seconds", json_real(report->start_seconds));
	json_object_set_new(root, "run_seconds", json_real(seconds));
	json_object_set_new(
		root, "ops_per_second",
		json_real(seconds > 0 ? (double)report->outcome->operations / seconds : 0.0));
	json_object_set_new(latency, "alloc", latency_json(&report->outcome->allocs));
	json_object_set_new(latency, "free", latency_json(&report->outcome->frees));
	json_object_set_new(root, "latency_ticks", latency);
	json_object_set_new(root, "latency_unit",
			    text(report->latency_unit ? report->latency_unit : "none"));
}

static json_t *layout_json(const struct replay_layout *layout)
{
	json_t *array = json_array(), *piece;
	size_t i;

	for (i = 0; layout && i < layout->count; i++) {
		piece = json_object();
		json_object_set_new(piece, "recorded_start", address(layout->pieces[i].start));
		json_object_set_new(piece, "recorded_end", address(layout->pieces[i].end));
		json_object_set_new(piece, "start", address(layout->pieces[i].to));
		json_array_append_new(array, piece);
	}
	return array;
}

static void add_oddities(json_t *root, const struct replay_report *report)
{
	const struct replay_plan *plan = report->plan;
	const struct replay_outcome *outcome = report->outcome;

	add(root, "operations", outcome->operations);
	add(root, "vmallocs", plan->maps);
	add(root, "initial_areas", plan->initial_areas);
	json_object_set_new(root, "initial_state_from_snapshot", json_boolean(plan->has_snapshot));
	json_object_set_new(root, "layout", layout_json(report->layout));
	json_object_set_new(root, "skipped_events", skipped_json(report->trace));
	json_object_set_new(root, "lost_events", lost_json(report->trace));
	json_object_set_new(root, "failures", differences_json(report, &outcome->failures));
	add(root, "failed_in_original", plan->expected_failures);
	add(root, "failed_as_in_original", outcome->failed_as_expected);
	json_object_set_new(root, "not_failed_as_in_original",
			    differences_json(report, &outcome->unexpected));
	json_object_set_new(root, "misplaced_initial_areas",
			    differences_json(report, &outcome->misplaced));
	json_object_set_new(root, "unknown_frees", notes_json(&plan->unknown_frees));
	json_object_set_new(root, "conflicts", notes_json(&plan->conflicts));
	add(root, "reordered", plan->reordered);
	add(root, "implied_purges", plan->implied_purges);
	add(root, "retries", plan->retries);
	add(root, "duplicates", plan->duplicates);
	add(root, "before_snapshot", plan->before_snapshot);
	add(root, "exits_without_enter", plan->exits_without_enter);
	add(root, "enters_without_exit", plan->enters_without_exit);
	add(root, "out_of_order", report->trace->out_of_order);
	add(root, "frees_skipped", outcome->skipped);
}

json_t *replay_report_json(const struct replay_report *report)
{
	json_t *root = json_object();

	if (!root)
		return NULL;
	json_object_set_new(root, "trace", text(report->name));
	add(root, "events", report->trace->events);
	add(root, "allocs", report->plan->allocs);
	add(root, "frees", report->plan->frees);
	add(root, "purges", report->plan->purges);
	add(root, "skipped", report->trace->skipped);
	add(root, "failed", report->outcome->failed);
	json_object_set_new(root, "address", address_json(report));
	json_object_set_new(root, "inference", inference_json(report));
	json_object_set_new(root, "end_state", end_json(report->end));
	json_object_set_new(root, "audit", audit_json(report->outcome));
	add_machine(root, report);
	add_oddities(root, report);
	return root;
}
