/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settling a plan: the start, the runs, the verdicts, and the plan as it is then. */
#include "vmm/replay/settle_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/u64_map.h"

static int no_memory(struct input_error *error)
{
	input_fail(error, NULL, 0, "no memory to settle the plan");
	return -ENOMEM;
}

/* ---- the start ---- */

/* By the trace, else by the CPU, which a task may have left meanwhile; 0 where pools do not serve.
 */
static uint16_t node_of(const struct settle *settle, const struct replay_area *area)
{
	const struct space_rules *rules = &settle->options->rules;

	if (rules->nodes < 2)
		return 0;
	if (area->has_va_node)
		return area->va_node <= rules->nodes ? area->va_node : 0;
	if (area->initial || area->vstart != rules->pool_start || area->vend != rules->pool_end)
		return 0;
	return (uint16_t)(1 + area->cpu % rules->nodes);
}

static int add_initial(struct settle *settle, const struct replay_op *op)
{
	const struct replay_area *area = &settle->plan->areas[op->area];
	uint64_t end = area->address + area->va_bytes;

	if (op->type == REPLAY_PURGE)
		return space_give_lazy(&settle->start, false, 0);
	if (op->type == REPLAY_FREE)
		return space_free(&settle->start, area->address, end, settle->nodes[op->area]);
	return space_take(&settle->start, area->address, end);
}

/* The pools' ranges are free by the snapshot, which does not show them. */
static int add_pooled(struct settle *settle, const struct space_range *range)
{
	int err = space_take(&settle->start, range->start, range->end);

	return err ? err : space_pool(&settle->start, range);
}

static int make_start(struct settle *settle, struct input_error *error)
{
	const struct settle_start *known = &settle->options->start;
	const struct replay_plan *plan = settle->plan;
	int err = space_init(&settle->start, &settle->options->rules);
	size_t i;

	for (i = 0; i < plan->initial_ops && !err; i++)
		err = add_initial(settle, &plan->ops[i]);
	for (i = 0; i < known->pooled_count && !err && !plan->pooled_areas; i++)
		err = add_pooled(settle, &known->pooled[i]);
	if (!err && known->shape)
		err = tree_set_shape(&settle->start.tree, known->shape, known->shape_count);
	if (err == -ENOMEM)
		return no_memory(error);
	if (err)
		return input_fail(error, NULL, 0,
				  "the state is not that of the snapshot: its free ranges or pools "
				  "are other ones");
	return 0;
}

/*
 * Where there are pools, a purge is two steps: its decay, which comes first, and, after the flush,
 * what is lazy. What goes on meanwhile on another CPU may stand between them.
 */
static void add_step(struct settle *settle, const struct replay_op *op)
{
	struct replay_op step = *op;

	if (op->type == REPLAY_PURGE && settle->options->rules.nodes > 1 && !op->decayed) {
		step.type = REPLAY_DECAY;
		settle->steps[settle->count++] = step;
		step.type = REPLAY_PURGE;
		step.decayed = true;
	}
	settle->steps[settle->count++] = step;
}

static int prepare(struct settle *settle, struct input_error *error)
{
	struct replay_plan *plan = settle->plan;
	size_t i;

	settle->nodes = calloc(plan->area_count + 1, sizeof(*settle->nodes));
	settle->missed = calloc(plan->area_count + 1, sizeof(*settle->missed));
	settle->steps = calloc(2 * plan->op_count + 1, sizeof(*settle->steps));
	if (!settle->nodes || !settle->missed || !settle->steps)
		return no_memory(error);
	for (i = plan->initial_ops; i < plan->op_count; i++)
		add_step(settle, &plan->ops[i]);
	for (i = 0; i < plan->area_count; i++)
		settle->nodes[i] = i + plan->pooled_areas >= plan->area_count
					   ? plan->areas[i].va_node
					   : node_of(settle, &plan->areas[i]);
	return make_start(settle, error);
}

void settle_close(struct settle *settle)
{
	size_t i;

	for (i = 0; i < MARKS; i++)
		space_deinit(&settle->marks[i]);
	space_deinit(&settle->start);
	space_deinit(&settle->run);
	free(settle->nodes);
	free(settle->missed);
	free(settle->steps);
	free(settle);
}

int settle_open(struct replay_plan *plan, const struct settle_options *options,
		struct settle **settle_out, struct input_error *error)
{
	struct settle *settle = calloc(1, sizeof(*settle));
	int err;

	if (!settle)
		return no_memory(error);
	settle->plan = plan;
	settle->options = options;
	err = prepare(settle, error);
	if (err)
		settle_close(settle);
	else
		*settle_out = settle;
	return err;
}

/* ---- verdicts ---- */

/*
 * A run as things stand, without looking for anything. Each area that it is the first to match gets
 * @verdict.
 */
static uint64_t mark_matched(struct settle *settle, enum replay_verdict verdict)
{
	struct replay_area *areas = settle->plan->areas;
	uint64_t misses;
	size_t i;

	settle_restart(settle);
	misses = settle_advance(settle, settle->count);
	for (i = 0; i < settle->count; i++) {
		uint32_t number = settle->steps[i].area;

		if (step_is_alloc(&settle->steps[i]) && !settle->missed[number] &&
		    areas[number].verdict == REPLAY_MISSED)
			areas[number].verdict = verdict;
	}
	return misses;
}

static void forget_verdicts(struct settle *settle)
{
	size_t i;

	for (i = 0; i < settle->plan->area_count; i++)
		settle->plan->areas[i].verdict =
			settle->plan->areas[i].initial ? REPLAY_EXACT : REPLAY_MISSED;
}

/*
 * From the best known to the last thought of. What an earlier run matched, and the last one does
 * not, is no match: the plan is the last one's.
 */
static int infer(struct settle *settle, struct settle_report *report)
{
	struct replay_area *areas = settle->plan->areas;
	uint64_t misses;
	size_t i;

	forget_verdicts(settle);
	misses = mark_matched(settle, REPLAY_EXACT);
	if (misses && settle->options->work && !settle->options->start.shape) {
		misses = settle_origins(settle, misses, report);
		if (report->nodes_found)
			misses = mark_matched(settle, REPLAY_INFERRED_START);
	}
	if (misses && settle->options->work) {
		misses = settle_purges(settle, misses);
		if (misses)
			misses = settle_order(settle);
		mark_matched(settle, REPLAY_INFERRED_ORDER);
	}
	if (misses && settle->options->work && !settle->options->start.shape &&
	    settle->start.tree.count <= settle->options->shape_max) {
		settle_find_start(settle, misses, report);
		mark_matched(settle, REPLAY_INFERRED_START);
	}
	for (i = 0; i < settle->count; i++) {
		if (step_is_alloc(&settle->steps[i]) && settle->missed[settle->steps[i].area])
			areas[settle->steps[i].area].verdict = REPLAY_MISSED;
	}
	return settle->failed ? -ENOMEM : 0;
}

/* ---- the plan as it is then ---- */

struct output {
	struct replay_op *ops;
	size_t count, room;
	struct u64_map freed; /* address -> the area that was freed there last */
};

static int put(struct output *output, const struct replay_op *op)
{
	size_t room = output->room ? 2 * output->room : 1024;
	struct replay_op *grown;

	if (output->count == output->room) {
		grown = realloc(output->ops, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		output->ops = grown;
		output->room = room;
	}
	output->ops[output->count++] = *op;
	return 0;
}

/* What the model has to take from lists, the executor does too: each range is released before. */
static int put_releases(struct settle *settle, struct output *output, const struct replay_op *op)
{
	const struct replay_area *area = &settle->plan->areas[op->area];
	struct replay_op release = {.type = REPLAY_RELEASE};
	enum space_source source;
	struct space_range range;
	int err = 0;

	while (!err &&
	       (source = space_find(&settle->run, area->address, area->address + area->va_bytes,
				    &range)) != SPACE_NOWHERE) {
		release.area = u64_map_get(&output->freed, range.start);
		err = space_release(&settle->run, source, &range);
		if (!err && release.area != U64_MAP_NONE)
			err = put(output, &release);
	}
	return err;
}

/* One step of the last run. What did not match is asked for as it was in Linux. */
static int put_step(struct settle *settle, struct output *output, const struct replay_op *op,
		    struct settle_report *report)
{
	struct replay_area *area;
	struct step_result result;
	int err = 0;

	if (step_is_alloc(op) && settle->missed[op->area]) {
		area = &settle->plan->areas[op->area];
		if (settle_explains(settle, &settle->run, op))
			area->verdict = REPLAY_EXPLAINED;
		err = put_releases(settle, output, op);
	}
	if (!err)
		err = put(output, op);
	if (!err && op->type == REPLAY_FREE)
		err = u64_map_set(&output->freed, settle->plan->areas[op->area].address, op->area);
	result = settle_step(settle, &settle->run, op);
	report->from_pools += result.matched && result.choice.source == SPACE_POOL;
	if (result.compared)
		report->verdicts[settle->plan->areas[op->area].verdict]++;
	return settle->failed ? -ENOMEM : err;
}

static int put_initial(struct settle *settle, struct output *output, const struct replay_op *op)
{
	int err = put(output, op);

	if (!err && op->type == REPLAY_FREE)
		err = u64_map_set(&output->freed, settle->plan->areas[op->area].address, op->area);
	return err;
}

/*
 * The pools of the start, for the executor, which can be told of none: before all else each range
 * is reserved, freed and purged, a pool's last before its first, because a purge puts in front.
 */
static int put_pooled(struct settle *settle, struct output *output)
{
	const struct settle_start *known = &settle->options->start;
	struct replay_plan *plan = settle->plan;
	struct replay_area *areas;
	size_t i = known->pooled_count, at;
	int err = 0;

	if (!i || plan->pooled_areas)
		return 0;
	areas = realloc(plan->areas, (plan->area_count + i) * sizeof(*areas));
	if (!areas)
		return -ENOMEM;
	plan->areas = areas;
	for (at = plan->area_count; i > 0 && !err; at++) {
		const struct space_range *range = &known->pooled[--i];
		struct replay_op op = {.type = REPLAY_RESERVE, .area = (uint32_t)at};

		areas[at] = (struct replay_area){.address = range->start,
						 .va_bytes = range->end - range->start,
						 .align = REPLAY_PAGE_BYTES,
						 .vstart = range->start,
						 .vend = range->end,
						 .node = -1,
						 .va_node = range->node,
						 .initial = true,
						 .unpurged = true};
		err = put(output, &op);
		op.type = REPLAY_FREE;
		if (!err)
			err = put(output, &op);
		op = (struct replay_op){.type = REPLAY_PURGE, .decayed = true};
		if (!err)
			err = put(output, &op);
	}
	return err;
}

static int put_all(struct settle *settle, struct output *output, struct settle_report *report)
{
	const struct replay_plan *plan = settle->plan;
	int err = space_copy(&settle->run, &settle->start);
	size_t i;

	if (!err)
		err = put_pooled(settle, output);
	for (i = 0; i < plan->initial_ops && !err; i++)
		err = put_initial(settle, output, &plan->ops[i]);
	for (i = 0; i < settle->count && !err; i++)
		err = put_step(settle, output, &settle->steps[i], report);
	return err;
}

/* The shape goes into the plan where it is not what inserting by address gives. */
static int keep_shape(struct settle *settle, struct settle_report *report)
{
	struct replay_plan *plan = settle->plan;

	report->holes = settle->start.tree.count;
	if (!report->start_known && !report->start_found)
		return 0;
	plan->shape = calloc(settle->start.tree.count, sizeof(*plan->shape));
	if (!plan->shape)
		return -ENOMEM;
	plan->shape_count = settle->start.tree.count;
	tree_get_shape(&settle->start.tree, plan->shape);
	return 0;
}

static int finish(struct settle *settle, struct settle_report *report)
{
	struct replay_plan *plan = settle->plan;
	struct output output = {0};
	int err = put_all(settle, &output, report);
	size_t i;

	if (!err)
		err = keep_shape(settle, report);
	u64_map_clear(&output.freed);
	if (err) {
		free(output.ops);
		return err;
	}
	for (i = 0; i < plan->area_count; i++)
		plan->areas[i].va_node = settle->nodes[i];
	if (!plan->pooled_areas) {
		plan->pooled_areas = settle->options->start.pooled_count;
		plan->area_count += plan->pooled_areas;
		plan->initial_ops += 3 * plan->pooled_areas;
	}
	free(plan->ops);
	plan->ops = output.ops;
	plan->op_count = output.count;
	plan->rules = settle->options->rules;
	return 0;
}

int settle_plan(struct replay_plan *plan, const struct settle_options *options,
		struct settle_report *report_out, struct input_error *error)
{
	struct settle_report report = {.start_known = options->start.shape != NULL};
	struct settle *settle;
	int err = settle_open(plan, options, &settle, error);

	if (err)
		return err;
	err = infer(settle, &report);
	if (!err)
		err = finish(settle, &report);
	if (err)
		no_memory(error);
	report.work = settle->work;
	report.moved = settle->moved;
	settle_close(settle);
	if (!err)
		*report_out = report;
	return err;
}

int settle_measure(struct replay_plan *plan, const struct settle_options *options,
		   uint64_t *misses_out, struct input_error *error)
{
	struct settle_report report = {0};
	struct settle *settle;
	uint64_t misses = 0;
	size_t i;
	int err = settle_open(plan, options, &settle, error);

	if (err)
		return err;
	err = infer(settle, &report);
	if (err)
		no_memory(error);
	for (i = 0; i < settle->count; i++) {
		if (step_is_alloc(&settle->steps[i]))
			misses += settle->missed[settle->steps[i].area];
	}
	*misses_out = misses;
	settle_close(settle);
	return err;
}
