/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Driving a plan through an executor. A batch ends where the executor's limit is, where an audit
 * is due, and before a free whose area is still in the batch: its address is not known yet.
 */
#include "vmm/replay/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One batch is no larger than this, whatever the executor takes. */
#define MAX_BATCH 4096

struct run {
	const struct replay_plan *plan;
	const struct replay_executor *executor;
	const struct replay_options *options;
	struct input_error *error;
	struct replay_outcome outcome;

	size_t max_batch;
	size_t count; /* operations in the batch */
	struct replay_request *requests;
	struct replay_result *results;
	size_t *op_of;            /* which operation of the plan each request is */
	unsigned char *in_flight; /* per area: its allocation is in the batch */

	size_t done; /* operations of the plan behind us */
	uint64_t since_audit;
	bool audited; /* nothing has happened since the last audit */
};

int replay_audit_mode_parse(const char *text, struct replay_options *options)
{
	uint64_t every;

	if (!strcmp(text, "end")) {
		options->audit = REPLAY_AUDIT_END;
		return 0;
	}
	if (!strcmp(text, "none")) {
		options->audit = REPLAY_AUDIT_NONE;
		return 0;
	}
	if (strncmp(text, "every=", 6) || number_parse(text + 6, strlen(text + 6), &every) ||
	    !every)
		return -EINVAL;
	options->audit = REPLAY_AUDIT_EVERY;
	options->audit_every = every;
	return 0;
}

static int no_memory(struct run *run)
{
	if (run->error)
		snprintf(run->error->text, sizeof(run->error->text), "no memory for the replay");
	return -ENOMEM;
}

static void note(struct replay_differences *differences, size_t op, uint64_t expected,
		 const struct replay_result *result)
{
	struct replay_difference *difference;

	if (differences->count < REPLAY_DETAILS_MAX) {
		difference = &differences->first[differences->count];
		difference->op = op;
		difference->expected = expected;
		difference->got = result->status ? 0 : result->address;
		difference->status = result->status;
	}
	differences->count++;
}

/* ---- results ---- */

static void judge_failure(struct run *run, size_t index, const struct replay_result *result)
{
	const struct replay_op *op = &run->plan->ops[index];
	uint64_t expected = 0;

	if (replay_op_has_area(op))
		expected = run->plan->areas[op->area].address;
	run->outcome.failed++;
	note(&run->outcome.failures, index, expected, result);
}

/*
 * The executor was asked for Linux's very address where the model chooses another, so that all goes
 * on from there: what it answers says nothing then.
 */
static void judge_address(struct run *run, size_t index, const struct replay_result *result)
{
	struct replay_outcome *outcome = &run->outcome;
	const struct replay_area *area = &run->plan->areas[run->plan->ops[index].area];

	if (result->address != area->address || area->verdict == REPLAY_MISSED)
		note(&outcome->other, index, area->address, result);
	else if (area->verdict == REPLAY_EXPLAINED)
		note(&outcome->explained, index, area->address, result);
	else if (area->verdict == REPLAY_INFERRED_ORDER)
		outcome->by_order++;
	else if (area->verdict == REPLAY_INFERRED_START)
		outcome->by_start++;
	else
		outcome->exact++;
}

static void judge_alloc(struct run *run, size_t index, const struct replay_result *result)
{
	struct replay_outcome *outcome = &run->outcome;
	uint32_t number = run->plan->ops[index].area;
	const struct replay_area *area = &run->plan->areas[number];

	if (area->expect_failure) {
		if (result->status)
			outcome->failed_as_expected++;
		else
			note(&outcome->unexpected, index, 0, result);
	} else if (result->status) {
		judge_failure(run, index, result);
	} else if (area->initial) {
		if (result->address != area->address)
			note(&outcome->misplaced, index, area->address, result);
	} else {
		judge_address(run, index, result);
	}
	outcome->addresses[number] = result->status ? 0 : result->address;
}

static int take_result(struct run *run, size_t index, const struct replay_result *result)
{
	enum replay_op_type type = run->plan->ops[index].type;
	bool is_alloc = type == REPLAY_MAP || type == REPLAY_RESERVE;
	struct latency *latency = NULL;

	if (is_alloc) {
		judge_alloc(run, index, result);
		latency = &run->outcome.allocs;
	} else if (result->status) {
		judge_failure(run, index, result);
	} else if (type == REPLAY_FREE) {
		latency = &run->outcome.frees;
	}
	if (latency && index >= run->plan->initial_ops && !result->status &&
	    latency_add(latency, result->ticks))
		return no_memory(run);
	return 0;
}

static int ended(struct run *run)
{
	const struct replay_outcome *outcome = &run->outcome;

	if (run->error)
		snprintf(run->error->text, sizeof(run->error->text),
			 "interrupted after %zu of %zu operations: %" PRIu64
			 " allocations at Linux's address, %" PRIu64 " elsewhere, %" PRIu64
			 " failed, %" PRIu64 " violations so far",
			 run->done, run->plan->op_count,
			 outcome->exact + outcome->by_order + outcome->by_start,
			 outcome->explained.count + outcome->other.count, outcome->failed,
			 outcome->audit_violations);
	return -ECANCELED;
}

static int flush(struct run *run)
{
	size_t i;
	int err;

	if (!run->count)
		return 0;
	memset(run->results, 0, run->count * sizeof(*run->results));
	err = run->executor->submit(run->executor->context, run->requests, run->count, run->results,
				    run->error);
	if (err)
		return err;
	for (i = 0; i < run->count; i++) {
		err = take_result(run, run->op_of[i], &run->results[i]);
		if (err)
			return err;
		if (replay_op_has_area(&run->plan->ops[run->op_of[i]]))
			run->in_flight[run->plan->ops[run->op_of[i]].area] = 0;
	}
	run->outcome.operations += run->count;
	run->since_audit += run->count;
	run->audited = false;
	run->count = 0;
	if (run->options->progress)
		err = run->options->progress(run->options->progress_context, run->done,
					     run->plan->op_count);
	return err && run->done < run->plan->op_count ? ended(run) : 0;
}

/* ---- audits ---- */

static int audit(struct run *run)
{
	struct replay_outcome *outcome = &run->outcome;
	struct replay_violation *violation;
	struct replay_audit found = {0};
	int err;

	err = run->executor->audit(run->executor->context, &found, run->error);
	if (err)
		return err;
	outcome->audit_runs++;
	outcome->audit_checks += found.checks;
	outcome->audit_violations += found.violations;
	if (found.violations && outcome->violation_count < REPLAY_DETAILS_MAX) {
		violation = &outcome->violations[outcome->violation_count++];
		violation->after_ops = outcome->operations;
		violation->line = run->done ? replay_op_line(&run->plan->ops[run->done - 1]) : 0;
		memcpy(violation->text, found.first, sizeof(violation->text));
		violation->text[sizeof(violation->text) - 1] = '\0';
	}
	run->since_audit = 0;
	run->audited = true;
	return 0;
}

static bool audit_due(const struct run *run)
{
	return run->options->audit == REPLAY_AUDIT_EVERY &&
	       run->since_audit + run->count >= run->options->audit_every;
}

/* ---- requests ---- */

static void fill_request(struct run *run, const struct replay_op *op,
			 struct replay_request *request)
{
	const struct replay_area *area;

	memset(request, 0, sizeof(*request));
	request->type = op->type;
	request->full = op->full;
	request->decayed = op->decayed;
	request->part = op->node;
	request->through = op->through;
	if (op->line && op->line < run->plan->moment_count)
		request->cpu = run->plan->moments[op->line].cpu;
	if (!replay_op_has_area(op))
		return;
	area = &run->plan->areas[op->area];
	request->va_node = op->detached ? 0 : area->va_node;
	if (op->type == REPLAY_FREE || op->type == REPLAY_RELEASE) {
		request->address = run->outcome.addresses[op->area];
		request->mapped = area->mapped;
		return;
	}
	request->bytes = area->bytes;
	request->va_bytes = area->va_bytes;
	request->align = area->align;
	request->vstart = area->vstart;
	request->vend = area->vend;
	request->gfp = area->gfp;
	request->prot = area->prot;
	request->node = area->node;
	if (area->verdict >= REPLAY_EXPLAINED) {
		request->vstart = area->address;
		request->vend = area->address + area->va_bytes;
	}
	run->in_flight[op->area] = 1;
}

/* About an area that must have an address by then. */
static bool is_release(const struct replay_op *op)
{
	return op->type == REPLAY_FREE || op->type == REPLAY_RELEASE;
}

static int take_op(struct run *run, size_t index)
{
	const struct replay_op *op = &run->plan->ops[index];
	int err;

	if (is_release(op) && run->in_flight[op->area]) {
		err = flush(run);
		if (err)
			return err;
	}
	run->done = index + 1;
	if (is_release(op) && !run->outcome.addresses[op->area]) {
		run->outcome.skipped++;
		return 0;
	}
	fill_request(run, op, &run->requests[run->count]);
	run->op_of[run->count++] = index;
	if (run->count < run->max_batch && !audit_due(run))
		return 0;
	err = flush(run);
	if (!err && audit_due(run))
		err = audit(run);
	return err;
}

/* The initial state is in place: its free tree gets the shape that the recorded kernel's had. */
static int set_shape(struct run *run)
{
	int err = flush(run);

	if (err)
		return err;
	return run->executor->set_shape(run->executor->context, run->plan->shape,
					run->plan->shape_count, run->error);
}

static int carry_out(struct run *run)
{
	const struct replay_plan *plan = run->plan;
	const struct replay_executor *to = run->executor;
	size_t i;
	int err = 0;

	if (to->set_rules)
		err = to->set_rules(to->context, &plan->rules, run->error);
	for (i = 0; i < plan->op_count && !err; i++) {
		if (i == plan->initial_ops && plan->shape && to->set_shape)
			err = set_shape(run);
		if (!err)
			err = take_op(run, i);
	}
	if (!err)
		err = flush(run);
	if (!err && run->options->audit != REPLAY_AUDIT_NONE && !run->audited)
		err = audit(run);
	if (!err)
		err = run->executor->final_areas(run->executor->context, &run->outcome.final_areas,
						 &run->outcome.final_area_count, run->error);
	return err;
}

int replay_run(const struct replay_plan *plan, const struct replay_executor *executor,
	       const struct replay_options *options, struct replay_outcome *outcome_out,
	       struct input_error *error)
{
	struct run run = {.plan = plan, .executor = executor, .options = options, .error = error};
	int err;

	run.max_batch = executor->max_batch < MAX_BATCH ? executor->max_batch : MAX_BATCH;
	run.requests = calloc(run.max_batch, sizeof(*run.requests));
	run.results = calloc(run.max_batch, sizeof(*run.results));
	run.op_of = calloc(run.max_batch, sizeof(*run.op_of));
	run.in_flight = calloc(plan->area_count + 1, sizeof(*run.in_flight));
	run.outcome.addresses = calloc(plan->area_count + 1, sizeof(*run.outcome.addresses));
	if (run.requests && run.results && run.op_of && run.in_flight && run.outcome.addresses)
		err = carry_out(&run);
	else
		err = no_memory(&run);
	free(run.requests);
	free(run.results);
	free(run.op_of);
	free(run.in_flight);
	if (err)
		replay_outcome_free(&run.outcome);
	else
		*outcome_out = run.outcome;
	return err;
}

void replay_outcome_free(struct replay_outcome *outcome)
{
	latency_deinit(&outcome->allocs);
	latency_deinit(&outcome->frees);
	free(outcome->addresses);
	free(outcome->final_areas);
	memset(outcome, 0, sizeof(*outcome));
}
