/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of operations that overlapped in time.
 *
 *	CPU 0   alloc enter ......................... exit 0x...28000
 *	CPU 1         alloc enter .... exit 0x...30000
 *
 * By their exits CPU 1 was first, but then the model gives it 0x...28000. So CPU 0 chose first, and
 * was held up before it could return. At a miss each move of one operation that the trace allows,
 * near the miss or near one of the last purges, is tried over the steps that follow; the one that
 * leaves the fewest misses stays.
 */
#include "vmm/replay/settle_private.h"

#include <string.h>

/* How far operations are moved, in steps of any kind, and how many purges back. */
#define REACH        24
#define REACH_FREE   256
#define PURGES_BACK  64
#define REACH_PURGE  64
#define PURGE_WINDOW 2048

/* How far back a free is looked for, and which part of all work one miss may take. */
#define FREE_WINDOW 16384
#define MISS_SHARE  8

/* How many steps behind a miss a move is judged by; and the best one again, before it is made. */
#define HORIZON      24
#define LAST_HORIZON 2048

/*
 * steps[from] moves to where steps[to] is; what is between moves up or down. A purge that moves
 * towards the end has taken the lazy list before, and gives it back then: the frees on its way stay
 * behind it, unless it takes them too.
 *
 * A decay takes each pool away while it counts off what goes, decay_va_pool_node(): an allocation
 * of that node that looks meanwhile goes to the tree, which has not got the decay's ranges yet.
 */
struct edit {
	size_t from, to;
	bool leaves_frees;
	bool detaches; /* an allocation, which finds its pool away */
};

struct repair {
	struct settle *settle;
	size_t at;         /* of the miss */
	size_t end;        /* steps before this judge */
	uint64_t after;    /* misses in [at, end) without an edit */
	bool done;         /* an edit leaves none */
	uint64_t work_end; /* no more is tried then */
	int64_t best_gain; /* how many fewer the best edit leaves */
	struct edit best;
	struct replay_op kept[REACH_FREE + 1]; /* the steps that an edit moves, as they were */
};

static size_t low_of(const struct edit *edit)
{
	return edit->from < edit->to ? edit->from : edit->to;
}

static size_t high_of(const struct edit *edit)
{
	return edit->from < edit->to ? edit->to : edit->from;
}

/* Makes the edit of @kept, which is what the steps were, in them. */
static void apply(struct settle *settle, const struct edit *edit, const struct replay_op *kept)
{
	size_t low = low_of(edit), count = high_of(edit) - low + 1, moved = edit->from - low, i;
	struct replay_op *out = &settle->steps[low], *mine;

	mine = out;
	if (edit->from >= edit->to)
		*out++ = kept[moved];
	for (i = 0; i < count; i++) {
		if (i != moved && !(edit->leaves_frees && kept[i].type == REPLAY_FREE))
			*out++ = kept[i];
	}
	if (edit->from < edit->to) {
		mine = out;
		*out++ = kept[moved];
	}
	for (i = 0; i < count && edit->leaves_frees; i++) {
		if (kept[i].type == REPLAY_FREE)
			*out++ = kept[i];
	}
	mine->detached |= edit->detaches;
}

/*
 * Whether @a has to stay before @b. A free only puts a range on a list that no allocation looks at,
 * so these two change places at will: what comes between a free and the next use of its range is a
 * purge, and of that one both keep their side.
 */
static bool must_precede(const struct settle *settle, const struct replay_op *a,
			 const struct replay_op *b)
{
	if (a->area != b->area && ((a->type == REPLAY_FREE && step_is_alloc(b)) ||
				   (step_is_alloc(a) && b->type == REPLAY_FREE)))
		return false;
	return settle_precedes(settle, a, b);
}

/* Whether the trace allows it. */
static bool allowed(const struct settle *settle, const struct edit *edit)
{
	const struct replay_op *steps = settle->steps;
	size_t i;

	for (i = edit->to; i < edit->from; i++) {
		if (must_precede(settle, &steps[i], &steps[edit->from]))
			return false;
	}
	for (i = edit->from + 1; i <= edit->to; i++) {
		if (edit->leaves_frees && steps[i].type == REPLAY_FREE)
			continue;
		if (must_precede(settle, &steps[edit->from], &steps[i]))
			return false;
	}
	return true;
}

/* Misses in [from, at), as they were. */
static uint64_t misses_before(const struct repair *repair, size_t from)
{
	const struct settle *settle = repair->settle;
	uint64_t misses = 0;

	for (; from < repair->at; from++) {
		if (step_is_alloc(&settle->steps[from]))
			misses += settle->missed[settle->steps[from].area];
	}
	return misses;
}

static void try_this(struct repair *repair, const struct edit *edit)
{
	struct settle *settle = repair->settle;
	size_t low = low_of(edit), bytes = (high_of(edit) - low + 1) * sizeof(*settle->steps);
	uint64_t before, left;
	int64_t gain;

	if (repair->done || settle->work > repair->work_end ||
	    (edit->from == edit->to && !edit->detaches) || !allowed(settle, edit))
		return;
	before = misses_before(repair, low) + repair->after;
	settle_rewind(settle, low);
	memcpy(repair->kept, &settle->steps[low], bytes);
	apply(settle, edit, repair->kept);
	left = settle_count(settle, &settle->run, low, repair->end, before);
	memcpy(&settle->steps[low], repair->kept, bytes);
	gain = (int64_t)before - (int64_t)left;
	if (gain > repair->best_gain) {
		repair->best_gain = gain;
		repair->best = *edit;
		repair->done = !left;
	}
}

static void try_edit(struct repair *repair, size_t from, size_t to)
{
	try_this(repair, &(struct edit){.from = from, .to = to});
}

/* Of the step at @at: to before each one that it may have been before; and what may go before it.
 */
static void try_around(struct repair *repair, size_t at, bool later_too)
{
	const struct settle *settle = repair->settle;
	const struct replay_op *steps = settle->steps;
	size_t i;

	for (i = at; i > 0 && at - i < REACH_FREE; i--) {
		if (must_precede(settle, &steps[i - 1], &steps[at]))
			break;
		if (steps[i - 1].type != REPLAY_FREE)
			try_edit(repair, at, i - 1);
	}
	for (i = at + 1; later_too && i < settle->count && i - at <= REACH; i++) {
		if (steps[i].type != REPLAY_FREE && !must_precede(settle, &steps[at], &steps[i]))
			try_edit(repair, i, at);
	}
}

/* The allocation at @at, to before each decay of its node that it overlaps, and at it: without
 * pool. */
static void try_detached(struct repair *repair, size_t at)
{
	const struct settle *settle = repair->settle;
	const struct replay_op *steps = settle->steps;
	uint16_t node = settle->nodes[steps[at].area];
	size_t i = at > REACH_FREE ? at - REACH_FREE : 0;

	for (; node && i < settle->count && i <= at + REACH; i++) {
		struct edit edit = {.from = at, .to = at, .detaches = true};

		if (steps[i].type != REPLAY_DECAY || (steps[i].node && steps[i].node != node) ||
		    settle_precedes(settle, &steps[i], &steps[at]) ||
		    settle_precedes(settle, &steps[at], &steps[i]))
			continue;
		if (i > at)
			try_this(repair, &edit);
		edit.to = i < at ? i : i - 1;
		try_this(repair, &edit);
	}
}

/* The purge at @at, to behind each allocation that it may have let by. */
static void delay_purge(struct repair *repair, size_t at, bool leaves_frees)
{
	const struct settle *settle = repair->settle;
	const struct replay_op *steps = settle->steps;
	struct edit edit = {.from = at, .leaves_frees = leaves_frees};

	for (edit.to = at + 1; edit.to < settle->count && edit.to - at <= REACH_PURGE; edit.to++) {
		if (steps[edit.to].type == REPLAY_FREE)
			continue;
		if (!step_is_alloc(&steps[edit.to]) ||
		    must_precede(settle, &steps[at], &steps[edit.to]))
			break;
		try_this(repair, &edit);
	}
}

/* Around the purge at @at: frees and allocations to its other side. */
static void try_purge(struct repair *repair, size_t at)
{
	const struct settle *settle = repair->settle;
	const struct replay_op *steps = settle->steps;
	size_t i;

	for (i = at + 1; i < settle->count && i - at <= REACH_PURGE; i++) {
		if (!must_precede(settle, &steps[at], &steps[i]))
			try_edit(repair, i, at);
	}
	for (i = at; i > 0 && at - i < REACH_PURGE; i--) {
		if (!must_precede(settle, &steps[i - 1], &steps[at]))
			try_edit(repair, i - 1, at);
	}
}

/* The free at @at, to the other side of each purge near it: it was in time for it, or it was not.
 */
static void try_free(struct repair *repair, size_t at)
{
	const struct settle *settle = repair->settle;
	size_t i;

	for (i = at; i > 0 && at - i < REACH_FREE; i--) {
		if (settle->steps[i - 1].type == REPLAY_PURGE)
			try_edit(repair, at, i - 1);
	}
	for (i = at + 1; i < settle->count && i - at <= REACH_FREE; i++) {
		if (settle->steps[i].type == REPLAY_PURGE)
			try_edit(repair, at, i);
	}
}

/* The last free of what is at @address, before the miss. */
static void try_free_of(struct repair *repair, uint64_t address)
{
	const struct settle *settle = repair->settle;
	const struct replay_area *area;
	size_t i;

	for (i = repair->at; i > 0 && repair->at - i < FREE_WINDOW; i--) {
		if (settle->steps[i - 1].type != REPLAY_FREE)
			continue;
		area = &settle->plan->areas[settle->steps[i - 1].area];
		if (area->address <= address && address < area->address + area->va_bytes) {
			try_free(repair, i - 1);
			return;
		}
	}
}

/* What the model chose at the miss, and what Linux chose. */
static void try_frees(struct repair *repair)
{
	struct settle *settle = repair->settle;
	uint32_t number = settle->steps[repair->at].area;
	const struct replay_area *area = &settle->plan->areas[number];
	struct tree_request request = settle_request(settle, area);
	uint64_t chosen;

	settle_rewind(settle, repair->at);
	chosen = space_choose(&settle->run, &request, settle->nodes[number]).address;
	try_free_of(repair, area->address);
	try_free_of(repair, chosen);
}

/*
 * Makes the best edit, unless it leaves as much to miss further on as it mends here. Returns
 * whether it was made, with run before its first step; else run is behind the miss.
 */
static bool make_best(struct repair *repair)
{
	struct settle *settle = repair->settle;
	size_t low = low_of(&repair->best);
	size_t bytes = (high_of(&repair->best) - low + 1) * sizeof(*settle->steps);
	size_t end = settle->count - repair->at > LAST_HORIZON ? repair->at + LAST_HORIZON
							       : settle->count;
	uint64_t before;

	settle_rewind(settle, low);
	before = settle_count(settle, &settle->run, low, end, UINT64_MAX);
	settle_rewind(settle, low);
	memcpy(repair->kept, &settle->steps[low], bytes);
	apply(settle, &repair->best, repair->kept);
	if (settle_count(settle, &settle->run, low, end, before) < before) {
		settle_rewind(settle, low);
		settle->moved++;
		return true;
	}
	memcpy(&settle->steps[low], repair->kept, bytes);
	settle_rewind(settle, repair->at + 1);
	return false;
}

/* A miss at steps[@at]. Returns whether an edit was made, then with run before its first step. */
static bool repair_miss(struct settle *settle, size_t at)
{
	struct repair repair = {.settle = settle, .at = at};
	size_t i, purges = 0;

	repair.end = settle->count - at > HORIZON ? at + HORIZON : settle->count;
	settle_rewind(settle, at);
	repair.after = settle_count(settle, &settle->run, at, repair.end, UINT64_MAX);
	repair.work_end = settle->work + settle->options->work / MISS_SHARE;
	try_frees(&repair);
	try_around(&repair, at, true);
	try_detached(&repair, at);
	for (i = at; i > 0 && purges < PURGES_BACK && at - i < PURGE_WINDOW; i--) {
		if (!replay_op_has_area(&settle->steps[i - 1]))
			delay_purge(&repair, i - 1, true);
		if (settle->steps[i - 1].type == REPLAY_PURGE) {
			delay_purge(&repair, i - 1, false);
			try_purge(&repair, i - 1);
			purges++;
		}
	}
	for (i = at; i > 0 && at - i < REACH && !repair.best_gain; i--) {
		if (step_is_alloc(&settle->steps[i - 1]))
			try_around(&repair, i - 1, false);
	}
	if (!repair.best_gain) {
		settle_rewind(settle, at + 1);
		return false;
	}
	return make_best(&repair);
}

uint64_t settle_order(struct settle *settle)
{
	uint64_t misses = 0;
	size_t i, edits = 0;

	settle_restart(settle);
	while (settle->at < settle->count && !settle->failed) {
		size_t at = settle->at;

		if (settle_advance(settle, at + 1) && settle->work < settle->options->work &&
		    edits < 2 * settle->count)
			edits += repair_miss(settle, at);
	}
	for (i = 0; i < settle->count; i++) {
		if (step_is_alloc(&settle->steps[i]))
			misses += settle->missed[settle->steps[i].area];
	}
	return misses;
}
