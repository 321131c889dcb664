/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files that settle a plan share (vmm/replay/settle.h). */
#ifndef VMM_REPLAY_SETTLE_PRIVATE_H
#define VMM_REPLAY_SETTLE_PRIVATE_H

#include "vmm/replay/settle.h"

/* Copies of the space, one every MARK_EVERY steps; the last MARKS of them are kept. */
#define MARKS      64
#define MARK_EVERY 16

struct settle {
	struct replay_plan *plan;
	const struct settle_options *options;
	uint16_t *nodes; /* of each area: 1 + the pools' node, or 0 */

	/* The operations after the initial state, in the order that is being tried. */
	struct replay_op *steps;
	size_t count;

	struct space start; /* before steps[0] */
	struct space run;   /* the one that runs */
	struct space marks[MARKS];
	size_t mark_at[MARKS]; /* before which step; SIZE_MAX: none */
	size_t at;             /* before which step run is */

	unsigned char *missed; /* of each area: its cost in the last full run */
	uint64_t work;
	uint64_t moved; /* edits that stayed */
	bool failed;    /* out of memory */
};

/* How one step went. */
struct step_result {
	bool compared; /* an allocation that succeeded in Linux */
	bool matched;
	bool in_use; /* not matched, and of Linux's range a part is in use here: no order of Linux's
		      */
	struct space_choice choice;
};

/* What an allocation costs an order whose steps are counted: what cannot be is worse than a miss.
 */
#define COST_IN_USE 64u

static inline uint64_t step_cost(const struct step_result *result)
{
	if (!result->compared || result->matched)
		return 0;
	return result->in_use ? COST_IN_USE : 1;
}

/*
 * A settle of @plan at its start, to be closed. Returns 0, or a negative errno with @error filled
 * in: -ENOMEM, or -EINVAL for a known start that does not fit the snapshot.
 */
int settle_open(struct replay_plan *plan, const struct settle_options *options,
		struct settle **settle_out, struct input_error *error);
void settle_close(struct settle *settle);

static inline bool step_is_alloc(const struct replay_op *op)
{
	return op->type == REPLAY_MAP || op->type == REPLAY_RESERVE;
}

/* What Linux was asked for. */
struct tree_request settle_request(const struct settle *settle, const struct replay_area *area);

/* Carries one step out on @space, an allocation at Linux's address whatever the model says. */
struct step_result settle_step(struct settle *settle, struct space *space,
			       const struct replay_op *op);

/* Puts run before steps[0] and forgets the marks: they may be of another start. */
void settle_restart(struct settle *settle);

/* Puts run before steps[@index], from the last mark before it. */
void settle_rewind(struct settle *settle, size_t index);

/* Runs up to steps[@end], setting marks. Returns how many allocations did not match. */
uint64_t settle_advance(struct settle *settle, size_t end);

/* Runs @space over steps[@from, @to); no more once the cost is @limit. Returns the cost. */
uint64_t settle_count(struct settle *settle, struct space *space, size_t from, size_t to,
		      uint64_t limit);

/* Whether @a was surely over before @b began. */
bool settle_precedes(const struct settle *settle, const struct replay_op *a,
		     const struct replay_op *b);

/* Whether the rules allow Linux's address for the allocation @op in another state of that kind. */
bool settle_explains(const struct settle *settle, const struct space *space,
		     const struct replay_op *op);

/*
 * Finds the nodes of the snapshot's lazy ranges that nobody has told. Returns the misses that are
 * left of @misses; the start is the best found.
 */
uint64_t settle_origins(struct settle *settle, uint64_t misses, struct settle_report *report);

/*
 * Tells from the addresses how far a purge had come when an allocation fell into it. Returns the
 * misses that are left; steps are as before unless these are fewer than @misses.
 */
uint64_t settle_purges(struct settle *settle, uint64_t misses);

/*
 * Runs all steps from the start, and at each miss looks for another order near by. Returns the
 * misses that are left; missed[] says where.
 */
uint64_t settle_order(struct settle *settle);

/* Looks for a start with fewer misses than @misses. Returns the fewest found; start is it. */
uint64_t settle_find_start(struct settle *settle, uint64_t misses, struct settle_report *report);

#endif
