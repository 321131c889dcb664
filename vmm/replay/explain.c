/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running a settled plan up to one allocation, and looking over the search's shoulder. */
#include "vmm/replay/explain.h"

#include <errno.h>
#include <inttypes.h>

#include "vmm/replay/settle_private.h"

#define PAGE UINT64_C(4096)

/* Which operation is the allocation with this number. */
static const struct replay_op *find_alloc(const struct replay_plan *plan, uint64_t number)
{
	size_t i;

	/* Areas come in the order of the lines that end their allocations. */
	if (!number || number > plan->area_count - plan->initial_areas - plan->pooled_areas)
		return NULL;
	number += plan->initial_areas - 1;
	for (i = plan->initial_ops; i < plan->op_count; i++) {
		if (step_is_alloc(&plan->ops[i]) && plan->ops[i].area == number)
			return &plan->ops[i];
	}
	return NULL;
}

static void print_hole(FILE *out, const struct tree_hole *hole)
{
	fprintf(out, "0x%016" PRIx64 "-0x%016" PRIx64 " (%" PRIu64 " pages)", hole->start,
		hole->end, (hole->end - hole->start) / PAGE);
}

static void print_visit(void *context, const struct tree_hole *hole, enum tree_visit visit)
{
	static const char *const what[] = {
		[TREE_WENT_LEFT] = "long enough a hole below it to the left: there",
		[TREE_WENT_RIGHT] = "does not fit; long enough a hole to the right: there",
		[TREE_DEAD_END] = "does not fit, and nothing long enough below it: up again",
		[TREE_CLIMBED] = "does not fit, nothing new to its right: further up",
		[TREE_TOOK] = "fits: taken",
	};
	FILE *out = context;

	fputs("    ", out);
	print_hole(out, hole);
	fprintf(out, "  %s\n", what[visit]);
}

static void print_pool(const struct settle *settle, const struct replay_op *op,
		       const struct space_choice *choice, FILE *out)
{
	const struct replay_area *area = &settle->plan->areas[op->area];
	const struct space_rules *rules = &settle->options->rules;

	if (rules->nodes < 2)
		return;
	if (!area->va_node || area->vstart != rules->pool_start || area->vend != rules->pool_end)
		fputs("  pools: none serves this request\n", out);
	else if (op->detached)
		fprintf(out, "  pools: node %u's were away, in a decay\n", area->va_node - 1);
	else if (choice->source == SPACE_POOL)
		fprintf(out, "  pools: the first of node %u's is 0x%016" PRIx64 ": taken\n",
			area->va_node - 1, choice->address);
	else
		fprintf(out, "  pools: node %u has %s\n", area->va_node - 1,
			choice->passed ? "one first that is not aligned: it goes to the end"
				       : "none of that length");
}

/* Where Linux's range is in the model's state. */
static void print_where(const struct settle *settle, const struct replay_area *area, FILE *out)
{
	uint64_t end = area->address + area->va_bytes;
	uint32_t held = tree_holding(&settle->run.tree, area->address, end);
	struct space_range range;
	enum space_source source = space_find(&settle->run, area->address, end, &range);

	fputs("  Linux's range ", out);
	if (held) {
		fputs("lies in the hole ", out);
		print_hole(out, &settle->run.tree.holes[held]);
		fputs(area->verdict == REPLAY_EXPLAINED
			      ? ",\n  which fits: a tree of another shape has it on the way\n"
			      : ",\n  which no tree of these holes would have come to first\n",
		      out);
	} else if (source == SPACE_LAZY) {
		fputs("is lazy here: no purge has given it back\n", out);
	} else if (source == SPACE_POOL) {
		fprintf(out, "is in a pool of node %u here\n", range.node - 1);
	} else {
		fputs("is in use here\n", out);
	}
}

static void explain(struct settle *settle, const struct replay_op *op, FILE *out)
{
	static const char *const verdicts[] = {
		[REPLAY_EXACT] = "exact",
		[REPLAY_INFERRED_ORDER] = "exact, given an inferred order",
		[REPLAY_INFERRED_START] = "exact, given an inferred start",
		[REPLAY_EXPLAINED] = "not matched, explained",
		[REPLAY_MISSED] = "missed",
	};
	const struct replay_area *area = &settle->plan->areas[op->area];
	struct tree_request request = settle_request(settle, area);
	uint32_t node = op->detached ? 0 : settle->nodes[op->area];
	struct space_choice choice = space_choose(&settle->run, &request, node);
	uint64_t address = 0;

	fprintf(out,
		"allocation of %" PRIu64 " bytes, align %" PRIu64 ", in 0x%016" PRIx64
		"-0x%016" PRIx64 ", lines %lu to %lu, CPU %u\n",
		area->va_bytes, area->align, area->vstart, area->vend, area->begin_line, area->line,
		area->cpu);
	fprintf(out, "  in Linux 0x%016" PRIx64 ", here 0x%016" PRIx64 ": %s\n", area->address,
		choice.address, verdicts[area->verdict]);
	print_pool(settle, op, &choice, out);
	fprintf(out,
		"  subtrees without a hole of %" PRIu64 " bytes are passed over; from the root:\n",
		tree_length(&request));
	tree_find(&settle->run.tree, &request, &address, print_visit, out);
	if (area->address && choice.address != area->address)
		print_where(settle, area, out);
}

int settle_explain_alloc(struct replay_plan *plan, const struct settle_options *options,
			 uint64_t number, FILE *out, struct input_error *error)
{
	const struct replay_op *op = find_alloc(plan, number);
	struct settle_options known = *options;
	struct settle *settle;
	size_t i;
	int err;

	if (!op) {
		input_fail(error, NULL, 0, "there is no allocation %" PRIu64 " in it", number);
		return -ENOENT;
	}
	known.start.shape = plan->shape;
	known.start.shape_count = plan->shape_count;
	err = settle_open(plan, &known, &settle, error);
	if (err)
		return err;
	settle_restart(settle);
	for (i = 0; &settle->plan->ops[settle->plan->initial_ops + i] != op; i++)
		settle_step(settle, &settle->run, &settle->steps[i]);
	if (settle->failed)
		err = -ENOMEM;
	else
		explain(settle, op, out);
	settle_close(settle);
	return err;
}
