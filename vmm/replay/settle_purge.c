/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a purge had come. With nodes it is not one step: the pools of each node decay, one node
 * after the other; then, after the flush, each node's lazy ranges go back:
 *
 *	purge        |decay 1|decay 2|      flush      |give 1|give 2|
 *	another CPU                    alloc                alloc
 *
 * An allocation that overlaps the purge shows by its address how much of that was done. So each
 * part waits until an address needs it, or until the trace says that it was over: one pass, which
 * chooses nothing that it takes back. What is freed meanwhile the purge does not take.
 *
 * Before 6.9 there is one list, given back range by range, and between two of them the purge drops
 * its lock where another CPU waits for it, or it has to let another task run (cond_resched_lock()).
 */
#include "vmm/replay/settle_private.h"

#include <limits.h>
#include <stdlib.h>

#include "lib/grow.h"

struct spread {
	struct settle *settle;
	struct space now, tried;
	struct replay_op *steps; /* as they come */
	size_t count;
	struct replay_op parts[2 * SPACE_NODES_MAX]; /* of the purge going on */
	size_t part, part_count;
	bool open;                     /* without nodes: one goes on */
	struct replay_op decay, purge; /* it, as two steps */
	struct replay_op *freed;       /* meanwhile */
	size_t freed_count;
	uint64_t misses;
};

static void keep(struct settle *settle, struct replay_op **ops, size_t *count,
		 const struct replay_op *op)
{
	if (GROW(*ops, *count))
		settle->failed = true;
	else
		(*ops)[(*count)++] = *op;
}

static void carry_out(struct spread *spread, const struct replay_op *op)
{
	struct step_result result = settle_step(spread->settle, &spread->now, op);

	spread->misses += result.compared && !result.matched;
	keep(spread->settle, &spread->steps, &spread->count, op);
}

/* Without nodes: the piece of the purge that ends with the range at @through, or its rest for 0. */
static void give_piece(struct spread *spread, uint64_t through)
{
	struct replay_op op = spread->purge;

	op.through = through;
	carry_out(spread, &op);
}

/* What is left of the purge is done: at once if nothing fell into it. */
static void end_purge(struct spread *spread)
{
	size_t i;

	if (spread->open)
		give_piece(spread, 0);
	spread->open = false;
	if (spread->part_count && !spread->part) {
		carry_out(spread, &spread->decay);
		carry_out(spread, &spread->purge);
		spread->part = spread->part_count;
	}
	while (spread->part < spread->part_count)
		carry_out(spread, &spread->parts[spread->part++]);
	spread->part = spread->part_count = 0;
	for (i = 0; i < spread->freed_count; i++)
		carry_out(spread, &spread->freed[i]);
	spread->freed_count = 0;
}

/* When the trace saw this part of the purge; or NULL. */
static const struct replay_part *part_seen(const struct settle *settle, uint32_t purge,
					   uint16_t node, bool give)
{
	const struct replay_plan *plan = settle->plan;
	size_t low = 0, high = plan->part_count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (plan->parts[middle].purge < purge)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < plan->part_count && plan->parts[low].purge == purge; low++) {
		if (plan->parts[low].node == node && plan->parts[low].give == give)
			return &plan->parts[low];
	}
	return NULL;
}

/* Narrows the part from the whole purge's lines to where the trace saw it. */
static void bound_part(const struct settle *settle, struct replay_op *op, uint32_t last, bool give)
{
	const struct replay_part *seen = part_seen(settle, op->purge, op->node, give);
	const struct replay_part *decays_end = part_seen(settle, op->purge, (uint16_t)last, false);

	if (give && decays_end)
		op->begin_line = decays_end->line;
	if (!seen)
		return;
	op->begin_line = seen->line;
	if (seen->ended != ULONG_MAX)
		op->line = seen->ended;
}

static void begin_purge(struct spread *spread, const struct replay_op *decay,
			const struct replay_op *purge)
{
	uint32_t nodes = spread->settle->options->rules.nodes, i;

	end_purge(spread);
	spread->decay = *decay;
	spread->purge = *purge;
	for (i = 0; i < nodes; i++) {
		spread->parts[i] = *decay;
		spread->parts[nodes + i] = *purge;
		spread->parts[i].node = spread->parts[nodes + i].node = (uint16_t)(i + 1);
		bound_part(spread->settle, &spread->parts[i], nodes, false);
		bound_part(spread->settle, &spread->parts[nodes + i], nodes, true);
	}
	spread->part_count = 2 * (size_t)nodes;
}

/*
 * Whether the purge that goes on took what was freed meanwhile. It takes a node's list right behind
 * that node's decay, so before the next one's begins; when it took the last one's nobody saw.
 */
static bool is_in_time(const struct spread *spread, const struct replay_op *op)
{
	const struct settle *settle = spread->settle;
	const struct replay_area *area = &settle->plan->areas[op->area];
	uint16_t list =
		space_lazy_list(&settle->options->rules, area->address, settle->nodes[op->area]);
	const struct replay_part *decay = part_seen(settle, spread->purge.purge, list, false);

	if (!decay)
		return false;
	return op->line < (decay->ended == ULONG_MAX ? decay->line : decay->ended);
}

/* The fewest parts more that lead to the address of @op; none if none do. */
static size_t parts_for(struct spread *spread, const struct replay_op *op)
{
	struct settle *settle = spread->settle;
	uint32_t number = op->area;
	const struct replay_area *area = &settle->plan->areas[number];
	struct tree_request request = settle_request(settle, area);
	size_t i;

	if (space_choose(&spread->now, &request, settle->nodes[number]).address == area->address)
		return 0;
	settle->failed |= space_copy(&spread->tried, &spread->now) != 0;
	for (i = spread->part; i < spread->part_count && !settle->failed; i++) {
		if (settle_precedes(settle, op, &spread->parts[i]))
			break;
		settle_step(settle, &spread->tried, &spread->parts[i]);
		if (space_choose(&spread->tried, &request, settle->nodes[number]).address ==
		    area->address)
			return i + 1 - spread->part;
	}
	return 0;
}

/* The range that the purge has to have come to, to lead to the address of @op; 0 if none does. */
static uint64_t piece_for(struct spread *spread, const struct replay_op *op)
{
	struct settle *settle = spread->settle;
	const struct replay_area *area = &settle->plan->areas[op->area];
	struct tree_request request = settle_request(settle, area);
	uint64_t through;

	if (space_choose(&spread->now, &request, 0).address == area->address)
		return 0;
	settle->failed |= space_copy(&spread->tried, &spread->now) != 0;
	while (!settle->failed && settle->work < settle->options->work &&
	       (through = space_next_lazy(&spread->tried))) {
		settle->work++;
		settle->failed |= space_give_through(&spread->tried, through) != 0;
		if (space_choose(&spread->tried, &request, 0).address == area->address)
			return through;
	}
	return 0;
}

/* A step without nodes. */
static void take_plain_step(struct spread *spread, const struct replay_op *op)
{
	const struct settle *settle = spread->settle;
	uint64_t through;

	if (spread->open &&
	    (op->type == REPLAY_PURGE || settle_precedes(settle, &spread->purge, op)))
		end_purge(spread);
	if (op->type == REPLAY_PURGE) {
		spread->purge = *op;
		spread->open = true;
		return;
	}
	if (spread->open && op->type == REPLAY_FREE) {
		keep(spread->settle, &spread->freed, &spread->freed_count, op);
		return;
	}
	if (spread->open && step_is_alloc(op) && !settle->plan->areas[op->area].expect_failure) {
		through = piece_for(spread, op);
		if (through)
			give_piece(spread, through);
	}
	carry_out(spread, op);
}

static void take_step(struct spread *spread, const struct replay_op *op)
{
	const struct settle *settle = spread->settle;
	size_t more;

	if (spread->part < spread->part_count &&
	    (!replay_op_has_area(op) || settle_precedes(settle, &spread->purge, op)))
		end_purge(spread);
	if (spread->part < spread->part_count && op->type == REPLAY_FREE &&
	    !is_in_time(spread, op)) {
		keep(spread->settle, &spread->freed, &spread->freed_count, op);
		return;
	}
	if (spread->part < spread->part_count && step_is_alloc(op) &&
	    !settle->plan->areas[op->area].expect_failure) {
		for (more = parts_for(spread, op); more; more--)
			carry_out(spread, &spread->parts[spread->part++]);
		if (spread->part == spread->part_count)
			end_purge(spread);
	}
	carry_out(spread, op);
}

uint64_t settle_purges(struct settle *settle, uint64_t misses)
{
	struct spread spread = {.settle = settle};
	const struct replay_op *steps = settle->steps;
	size_t i;

	if (settle->options->rules.nodes == 1)
		return misses;
	settle->failed |= space_copy(&spread.now, &settle->start) != 0;
	for (i = 0; i < settle->count && !settle->failed; i++) {
		if (!settle->options->rules.nodes) {
			take_plain_step(&spread, &steps[i]);
		} else if (steps[i].type == REPLAY_DECAY && i + 1 < settle->count &&
			   steps[i + 1].decayed) {
			begin_purge(&spread, &steps[i], &steps[i + 1]);
			i++;
		} else {
			take_step(&spread, &steps[i]);
		}
	}
	end_purge(&spread);
	if (!settle->failed && spread.misses < misses) {
		free(settle->steps);
		settle->steps = spread.steps;
		settle->count = spread.count;
		spread.steps = NULL;
		misses = spread.misses;
	}
	free(spread.steps);
	free(spread.freed);
	space_deinit(&spread.now);
	space_deinit(&spread.tried);
	return misses;
}
