/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A failure for people and as JSON: its operations, and whose turn it was between which lines. */
#include "vmm/nestbox/explore_print.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

/* What turns the addresses of switches into source lines. */
struct lines {
	struct image image;
	struct backtrace_source *source;
};

static bool lines_open(struct lines *lines, const char *path)
{
	struct error error;
	int err;

	memset(lines, 0, sizeof(*lines));
	err = path ? image_load_file(path, &lines->image, &error)
		   : image_load_builtin(&lines->image, &error);
	if (err)
		return false;
	if (backtrace_source_create(&lines->image, &lines->source) != 0)
		lines->source = NULL;
	return lines->source != NULL;
}

static void lines_close(struct lines *lines)
{
	backtrace_source_destroy(lines->source);
	image_unload(&lines->image);
}

static bool read_nothing(void *context, uint64_t address, uint64_t *word_out)
{
	(void)context;
	(void)address;
	(void)word_out;
	return false;
}

static void place(const struct lines *lines, uint64_t rip, char *text, size_t bytes)
{
	uint64_t regs[NR_REGS] = {[REGS_RIP] = rip};
	struct backtrace trace;

	backtrace_take(lines->source, regs, read_nothing, NULL, &trace);
	if (trace.nr_frames && trace.frame[0].line)
		snprintf(text, bytes, "%s:%u, %s()", trace.frame[0].file, trace.frame[0].line,
			 trace.frame[0].function);
	else
		snprintf(text, bytes, "%#" PRIx64, rip);
}

static void print_op(const struct explore_op *op, size_t number, FILE *file)
{
	fprintf(file, "  %3zu  round %u, vCPU %u: %s", number, op->round, op->vcpu,
		explore_kind_name(op->kind));
	if (op->kind == EXPLORE_VMALLOC || op->kind == EXPLORE_KMALLOC)
		fprintf(file, "(%" PRIu32 ") -> #%u", op->bytes, op->slot);
	else if (op->kind != EXPLORE_PURGE)
		fprintf(file, "(#%u)", op->slot);
	fprintf(file, "\n");
}

static size_t count_switches(const struct explore_plan *plan)
{
	size_t count = 0;

	for (unsigned int i = 0; i < EXPLORE_ROUNDS_MAX; i++)
		count += plan->nr_switches[i];
	return count;
}

static void print_turns(const struct lines *lines, const struct explore_outcome *outcome,
			FILE *file)
{
	unsigned int round = outcome->round;

	fprintf(file, "turns of round %u\n", round);
	for (size_t i = 0; i < outcome->taken.nr_switches[round]; i++) {
		const struct soft_switch *turn = &outcome->taken.switches[round][i];
		char text[160];

		place(lines, turn->rip, text, sizeof(text));
		fprintf(file, "  vCPU %u, after %" PRIu64 " of its instructions, at %s: vCPU %u\n",
			turn->from, turn->at, text, turn->to);
	}
}

void explore_print(const struct guest_config *config, const struct explore_summary *summary,
		   const struct explore_work *work, const struct explore_outcome *outcome,
		   FILE *file)
{
	struct lines lines;

	fprintf(file,
		"explore: %s; %" PRIu64 " runs on %u vCPUs in %.1f s (%.1f a second), %.1f million "
		"instructions\n",
		outcome->wrong ? "WRONG" : "nothing found", summary->runs, summary->vcpus,
		summary->seconds, (double)summary->runs / (summary->seconds + 1e-9),
		(double)summary->instructions / 1e6);
	if (summary->exhaustive)
		fprintf(file, "all orders with at most %u switches: of %" PRIu64 " workloads%s\n",
			summary->switches, summary->finished,
			summary->finished == summary->workloads ? ""
			: outcome->wrong                        ? "; one more goes wrong"
								: "; one more not to its end");
	if (!outcome->wrong)
		return;
	fprintf(file, "seed %" PRIu64 ", in round %u: %s: %s\n", summary->seed, outcome->round,
		outcome->kind, outcome->text);
	fprintf(file, "done again by its seed: %s\n",
		summary->reproduced ? "the same, to the instruction" : "NOT THE SAME");
	fprintf(file, "shrunk in %" PRIu64 " runs: %zu operations of %zu, %zu switches of %zu\n",
		summary->shrink_runs, work->nr_ops, summary->ops_before,
		count_switches(&outcome->taken), summary->switches_before);
	fprintf(file, "operations\n");
	for (size_t i = 0; i < work->nr_ops; i++)
		print_op(&work->ops[i], i + 1, file);
	if (lines_open(&lines, config->image_path)) {
		print_turns(&lines, outcome, file);
		lines_close(&lines);
	}
	if (outcome->report)
		report_print(outcome->report, file);
}

/* ---- JSON ---- */

static json_t *ops_json(const struct explore_work *work)
{
	json_t *all = json_array();

	for (size_t i = 0; i < work->nr_ops; i++) {
		const struct explore_op *op = &work->ops[i];

		json_array_append_new(all, json_pack("{s:i, s:i, s:s, s:i, s:i}", "round",
						     op->round, "vcpu", op->vcpu, "operation",
						     explore_kind_name(op->kind), "slot", op->slot,
						     "bytes", (int)op->bytes));
	}
	return all;
}

static json_t *turns_json(const struct lines *lines, const struct explore_outcome *outcome)
{
	json_t *all = json_array();

	for (size_t i = 0; i < outcome->taken.nr_switches[outcome->round]; i++) {
		const struct soft_switch *turn = &outcome->taken.switches[outcome->round][i];
		char text[160];

		place(lines, turn->rip, text, sizeof(text));
		json_array_append_new(all, json_pack("{s:i, s:I, s:s, s:i}", "vcpu",
						     (int)turn->from, "after", (json_int_t)turn->at,
						     "at", text, "next", (int)turn->to));
	}
	return all;
}

json_t *explore_json(const struct guest_config *config, const struct explore_summary *summary,
		     const struct explore_work *work, const struct explore_outcome *outcome)
{
	json_t *json =
		json_pack("{s:b, s:I, s:i, s:f, s:I}", "wrong", outcome->wrong, "runs",
			  (json_int_t)summary->runs, "vcpus", (int)summary->vcpus, "seconds",
			  summary->seconds, "instructions", (json_int_t)summary->instructions);
	struct lines lines;

	if (summary->exhaustive)
		json_object_set_new(json, "exhaustive",
				    json_pack("{s:i, s:I, s:I}", "switches", (int)summary->switches,
					      "workloads", (json_int_t)summary->workloads,
					      "finished", (json_int_t)summary->finished));
	if (outcome->wrong) {
		json_object_set_new(json, "failure",
				    json_pack("{s:I, s:s, s:s, s:i, s:b, s:I, s:o}", "seed",
					      (json_int_t)summary->seed, "kind", outcome->kind,
					      "text", outcome->text, "round", (int)outcome->round,
					      "reproduced", summary->reproduced, "shrink_runs",
					      (json_int_t)summary->shrink_runs, "operations",
					      ops_json(work)));
		if (lines_open(&lines, config->image_path)) {
			json_object_set_new(json_object_get(json, "failure"), "turns",
					    turns_json(&lines, outcome));
			lines_close(&lines);
		}
		if (outcome->report)
			json_object_set_new(json_object_get(json, "failure"), "report",
					    report_json(outcome->report));
	}
	return json;
}
