/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The report of a replay for a person: the verdict first, then a line or a few per subject, then
 * what was odd. Nothing is listed that did not happen.
 */
#include "vmm/replay/report.h"

#include <inttypes.h>
#include <string.h>

#define LABEL_COLUMNS 12

/* How many of a kind are listed; the JSON has more. */
#define LISTED 8

static void label(FILE *out, const char *text)
{
	fprintf(out, "  %-*s", LABEL_COLUMNS, text);
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void print_count(FILE *out, const char *before, uint64_t count, const char *what)
{
	fprintf(out, "%s%" PRIu64 " %s%s", before, count, what, plural(count));
}

/* The last part of a path: the folder is named once, at the top. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void print_place(FILE *out, const struct replay_report *report, unsigned long line)
{
	if (line)
		fprintf(out, " (%s:%lu)", base_name(report->trace_path), line);
}

static void print_address(FILE *out, uint64_t address)
{
	if (address)
		fprintf(out, "0x%016" PRIx64, address);
	else
		fputs("no address", out);
}

/* Says that a list goes on. */
static void print_rest(FILE *out, uint64_t count, uint64_t listed)
{
	if (count > listed)
		fprintf(out, "    and %" PRIu64 " more\n", count - listed);
}

static void print_differences(FILE *out, const struct replay_report *report,
			      const struct replay_differences *differences)
{
	const struct replay_difference *from;
	uint64_t i;

	for (i = 0; i < differences->count && i < LISTED; i++) {
		from = &differences->first[i];
		fputs("    ", out);
		print_address(out, from->expected);
		fputs(" in Linux, here ", out);
		if (from->status)
			fputs(strerror(-from->status), out);
		else
			print_address(out, from->got);
		if (from->op < report->plan->initial_ops)
			fputs(" (initial state)", out);
		print_place(out, report, replay_op_line(&report->plan->ops[from->op]));
		fputc('\n', out);
	}
	print_rest(out, differences->count, i);
}

static void print_notes(FILE *out, const struct replay_report *report,
			const struct replay_notes *notes)
{
	uint64_t i;

	for (i = 0; i < notes->count && i < LISTED; i++) {
		fputs("    ", out);
		print_address(out, notes->first[i].address);
		print_place(out, report, notes->first[i].line);
		fputc('\n', out);
	}
	print_rest(out, notes->count, i);
}

/* ---- the sections ---- */

static void print_verdict(FILE *out, const struct replay_report *report)
{
	const struct replay_outcome *outcome = report->outcome;
	uint64_t matched = outcome->exact + outcome->by_order + outcome->by_start;
	uint64_t allocs = matched + outcome->explained.count + outcome->other.count;
	const char *doubt = replay_report_doubt(report), *verdict = doubt ? "done" : "right";

	if (replay_report_status(report) != CLI_DONE)
		verdict = "WRONG";
	fprintf(out, "%s: %s; %" PRIu64 " of %" PRIu64 " addresses as in Linux", report->name,
		verdict, matched, allocs);
	if (doubt)
		fprintf(out, " (not promised: %s)", doubt);
	if (outcome->failed)
		print_count(out, ", ", outcome->failed, "failed operation");
	if (outcome->audit_violations)
		print_count(out, ", ", outcome->audit_violations, "audit violation");
	else if (outcome->audit_runs)
		fputs(", audit clean", out);
	fputs("\n\n", out);
}

static void print_trace(FILE *out, const struct replay_report *report)
{
	const struct replay_plan *plan = report->plan;
	const struct ftrace_info *trace = report->trace;

	label(out, "trace");
	fprintf(out, "%s\n", report->trace_path);
	label(out, "");
	print_count(out, "", trace->events, "event");
	print_count(out, ": ", plan->allocs, "allocation");
	fprintf(out, " (%" PRIu64 " by vmalloc)", plan->maps);
	print_count(out, ", ", plan->frees, "free");
	print_count(out, ", ", plan->purges, "purge");
	fputc('\n', out);
	label(out, "");
	if (plan->has_snapshot)
		print_count(out, "started from ", plan->initial_areas, "area");
	else
		fputs("started from nothing: no vmallocinfo.begin", out);
	if (trace->skipped)
		print_count(out, "; ", trace->skipped, "event");
	if (trace->skipped)
		fputs(" skipped", out);
	if (plan->reordered)
		print_count(out, "; ", plan->reordered, "overlapping operation");
	if (plan->reordered)
		fputs(" put in order", out);
	fputc('\n', out);
}

static void print_layout(FILE *out, const struct replay_report *report)
{
	const struct replay_layout *layout = report->layout;

	if (!layout || !layout->moved)
		return;
	label(out, "layout");
	fprintf(out, "0x%016" PRIx64 "-0x%016" PRIx64 " of the recording is at\n",
		layout->recorded_start, layout->recorded_end);
	label(out, "");
	fprintf(out, "0x%016" PRIx64 "-0x%016" PRIx64 " here; addresses below are those here\n",
		layout->moved_start, layout->moved_end);
}

/* What was not in the recording and had to be found, and how. */
static void print_inference(FILE *out, const struct replay_report *report)
{
	const struct replay_outcome *outcome = report->outcome;
	const struct settle_report *settled = report->settled;

	if (!settled)
		return;
	label(out, "");
	fprintf(out, "by the rules of %s%s\n", report->rules,
		report->rules_known ? "" : " (they fit best: the recording names no release)");
	label(out, "");
	fprintf(out, "free tree at the start: %" PRIu64 " ranges, %s", settled->holes,
		replay_report_start(report));
	if (settled->start_found)
		fprintf(out, " (%" PRIu64 " tried): %" PRIu64 " addresses depend on it",
			settled->tried, outcome->by_start);
	fputc('\n', out);
	if (settled->nodes_found) {
		label(out, "");
		print_count(out, "lazy at the start: the node of ", settled->nodes_found, "range");
		fprintf(out, " inferred: %" PRIu64 " addresses depend on the start\n",
			outcome->by_start);
	}
	if (!settled->moved)
		return;
	label(out, "");
	print_count(out, "order: ", settled->moved, "overlapping operation");
	fprintf(out, " moved: %" PRIu64 " addresses depend on it\n", outcome->by_order);
}

/* Those were asked for as they were in Linux, so that there is no other address to show. */
static void print_explained(FILE *out, const struct replay_report *report)
{
	const struct replay_differences *explained = &report->outcome->explained;
	uint64_t i;

	for (i = 0; i < explained->count && i < LISTED; i++) {
		fputs("    ", out);
		print_address(out, explained->first[i].expected);
		print_place(out, report,
			    replay_op_line(&report->plan->ops[explained->first[i].op]));
		fputc('\n', out);
	}
	print_rest(out, explained->count, i);
}

static void print_addresses(FILE *out, const struct replay_report *report)
{
	const struct replay_outcome *outcome = report->outcome;

	label(out, "addresses");
	fprintf(out,
		"%" PRIu64 " exact, %" PRIu64 " inferred, %" PRIu64 " explained, %" PRIu64
		" missed\n",
		outcome->exact, outcome->by_order + outcome->by_start, outcome->explained.count,
		outcome->other.count);
	print_inference(out, report);
	if (outcome->other.count) {
		label(out, "");
		fputs("missed: where no rule allows Linux's address\n", out);
	}
	print_differences(out, report, &outcome->other);
	if (outcome->explained.count) {
		label(out, "");
		fputs("explained: as a rule allows in a state that nobody recorded\n", out);
	}
	print_explained(out, report);
	if (outcome->misplaced.count) {
		label(out, "");
		print_count(out, "", outcome->misplaced.count, "area");
		fputs(" of the initial state elsewhere\n", out);
		print_differences(out, report, &outcome->misplaced);
	}
}

static void print_failures(FILE *out, const struct replay_report *report)
{
	const struct replay_outcome *outcome = report->outcome;

	label(out, "failed");
	print_count(out, "", outcome->failed, "operation");
	if (outcome->skipped)
		print_count(out, ", so ", outcome->skipped, "free");
	if (outcome->skipped)
		fputs(" left out", out);
	if (report->plan->expected_failures)
		fprintf(out, "; %" PRIu64 " of %" PRIu64 " that failed in Linux failed here",
			outcome->failed_as_expected, report->plan->expected_failures);
	fputc('\n', out);
	print_differences(out, report, &outcome->failures);
	print_differences(out, report, &outcome->unexpected);
}

static void print_end_difference(FILE *out, const struct replay_report *report,
				 const struct replay_end_difference *from)
{
	fprintf(out, "    %-10s 0x%016" PRIx64 "-0x%016" PRIx64 "  %s%s",
		replay_end_kind_name(from->kind), from->start, from->end,
		from->explained ? "" : "NOT EXPLAINED: ", from->reason);
	print_place(out, report, from->trace_line);
	if (from->snapshot_line)
		fprintf(out, " (%s:%lu)", base_name(report->end_path), from->snapshot_line);
	fputc('\n', out);
}

/* The first of those of a kind, of which there are @count. */
static void print_end_differences(FILE *out, const struct replay_report *report,
				  enum replay_end_kind kind, uint64_t count)
{
	const struct replay_end_state *end = report->end;
	uint64_t listed = 0;
	size_t i;

	for (i = 0; i < end->difference_count && listed < LISTED; i++) {
		if (end->differences[i].kind == kind) {
			print_end_difference(out, report, &end->differences[i]);
			listed++;
		}
	}
	print_rest(out, count, listed);
}

static void print_end_state(FILE *out, const struct replay_report *report)
{
	const struct replay_end_state *end = report->end;
	char matching[32], expected[32], extra[32];

	label(out, "end state");
	if (!end) {
		fputs("not compared: no vmallocinfo.end\n", out);
		return;
	}
	fprintf(out,
		"%" PRIu64 " of %" PRIu64 " areas as in Linux, %" PRIu64 " missing, %" PRIu64
		" extra\n",
		end->matching, end->expected, end->missing, end->extra);
	cli_size_format(end->lazy_matching_bytes, matching, sizeof(matching));
	cli_size_format(end->lazy_expected_bytes, expected, sizeof(expected));
	print_end_differences(out, report, REPLAY_END_MISSING, end->missing);
	print_end_differences(out, report, REPLAY_END_EXTRA, end->extra);
	print_end_differences(out, report, REPLAY_END_OTHER_KIND, end->other_kind);
	label(out, "");
	fprintf(out, "lazily freed: %s of %s as in Linux", matching, expected);
	if (end->lazy_extra_bytes) {
		cli_size_format(end->lazy_extra_bytes, extra, sizeof(extra));
		fprintf(out, ", and %s that Linux has not", extra);
	}
	fputc('\n', out);
}

static void print_audit(FILE *out, const struct replay_report *report)
{
	const struct replay_outcome *outcome = report->outcome;
	size_t i;

	label(out, "audit");
	if (!outcome->audit_runs) {
		fputs("none\n", out);
		return;
	}
	print_count(out, "", outcome->audit_runs, "run");
	print_count(out, ", ", outcome->audit_checks, "check");
	print_count(out, ", ", outcome->audit_violations, "violation");
	fputc('\n', out);
	for (i = 0; i < outcome->violation_count && i < LISTED; i++) {
		fprintf(out, "    after operation %" PRIu64, outcome->violations[i].after_ops);
		print_place(out, report, outcome->violations[i].line);
		fprintf(out, ": %s\n", outcome->violations[i].text);
	}
	print_rest(out, outcome->violation_count, i);
}

static void print_latency(FILE *out, const char *name, struct latency *latency, const char *unit)
{
	label(out, name);
	if (!latency->count) {
		fputs("none measured\n", out);
		return;
	}
	fprintf(out,
		"p50 %" PRIu64 ", p90 %" PRIu64 ", p99 %" PRIu64 ", max %" PRIu64
		" %s (%zu measured)\n",
		latency_percentile(latency, 50), latency_percentile(latency, 90),
		latency_percentile(latency, 99), latency_percentile(latency, 100), unit,
		latency->count);
}

static void print_machine(FILE *out, const struct replay_report *report)
{
	uint64_t operations = report->outcome->operations;
	char memory[32];

	label(out, "time");
	print_count(out, "", operations, "operation");
	fprintf(out, " in %.3f s", report->run_seconds);
	if (report->run_seconds > 0)
		fprintf(out, " (%.0f a second)", (double)operations / report->run_seconds);
	fprintf(out, "; start %.3f s\n", report->start_seconds);
	if (!report->cpus) {
		label(out, "guest");
		fputs("none: carried out in the model of Linux's rules\n", out);
		return;
	}
	cli_size_format(report->memory_bytes, memory, sizeof(memory));
	label(out, "guest");
	print_count(out, "", report->cpus, "CPU");
	fprintf(out, ", %s, image %s\n", memory, report->image);
	label(out, "host");
	fprintf(out, "%s, second stage: %s\n", report->kvm_module, report->second_stage);
}

static void print_lost(FILE *out, const struct replay_report *report)
{
	const struct ftrace_info *trace = report->trace;

	if (!ftrace_lost(trace))
		return;
	label(out, "lost");
	print_count(out, "", ftrace_lost(trace), "event");
	fprintf(out, ": %" PRIu64 " overwritten, %" PRIu64 " dropped, %" PRIu64 " not in the file",
		trace->lost_overwritten, trace->lost_dropped, trace->lost_from_file);
	if (trace->lost_unknown)
		print_count(out, ", ", trace->lost_unknown, "gap");
	if (trace->lost_unknown)
		fputs(" of unknown length", out);
	fputs(";\n", out);
	label(out, "");
	fputs("addresses cannot be promised\n", out);
}

static void print_skipped(FILE *out, const struct replay_report *report)
{
	const struct ftrace_info *trace = report->trace;
	size_t i;

	if (!trace->skipped)
		return;
	label(out, "skipped");
	for (i = 0; i < trace->skipped_name_count && i < LISTED; i++)
		fprintf(out, "%s%s %" PRIu64, i ? ", " : "", trace->skipped_names[i].name,
			trace->skipped_names[i].count);
	if (trace->skipped_name_count > i)
		fprintf(out, " and %zu more names", trace->skipped_name_count - i);
	fputc('\n', out);
}

static void print_oddity(FILE *out, uint64_t count, const char *what)
{
	if (count) {
		label(out, "");
		fprintf(out, "%" PRIu64 " %s\n", count, what);
	}
}

static void print_oddities(FILE *out, const struct replay_report *report)
{
	const struct replay_plan *plan = report->plan;

	print_lost(out, report);
	print_skipped(out, report);
	if (plan->unknown_frees.count) {
		label(out, "frees");
		fprintf(out, "%" PRIu64 " of addresses never seen\n", plan->unknown_frees.count);
		print_notes(out, report, &plan->unknown_frees);
	}
	if (plan->conflicts.count) {
		label(out, "conflicts");
		fprintf(out,
			"%" PRIu64 " allocated where the trace has no room: events are missing\n",
			plan->conflicts.count);
		print_notes(out, report, &plan->conflicts);
	}
	if (plan->before_snapshot + plan->exits_without_enter + plan->enters_without_exit +
	    plan->duplicates + plan->retries + plan->implied_purges + report->trace->out_of_order)
		fprintf(out, "  also\n");
	print_oddity(out, plan->before_snapshot,
		     "events before the snapshot, which has their effect");
	print_oddity(out, plan->exits_without_enter, "exits without their enter");
	print_oddity(out, plan->enters_without_exit, "enters without their exit");
	print_oddity(out, plan->duplicates, "events told by a probe and a tracepoint");
	print_oddity(out, plan->implied_purges,
		     "purges that the trace lost, known by their effect");
	print_oddity(out, plan->retries, "searches that a purge made good");
	print_oddity(out, report->trace->out_of_order, "events older than the one above");
}

void replay_report_print(const struct replay_report *report, FILE *out)
{
	print_verdict(out, report);
	print_trace(out, report);
	print_layout(out, report);
	print_addresses(out, report);
	print_failures(out, report);
	print_end_state(out, report);
	print_audit(out, report);
	if (report->cpus) {
		print_latency(out, "alloc", &report->outcome->allocs, report->latency_unit);
		print_latency(out, "free", &report->outcome->frees, report->latency_unit);
	}
	print_machine(out, report);
	print_oddities(out, report);
}
