/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Brings a plan to Linux's addresses. The plan's operations run through the model of Linux's vmap
 * space (vmm/replay/space.h), and each allocation's address there is held against the one that the
 * trace has. What the recording does not tell is looked for, in bounded work and always the same
 * way:
 *
 *   the order  of operations that overlapped in time on several CPUs: an operation moves where the
 *              trace allows it (vmm/replay/settle_order.c)
 *   the start  which node's list an unpurged range was on (vmm/replay/settle_origin.c), and the
 *              shape of the free tree (vmm/replay/settle_start.c)
 *
 * Best is what leaves the fewest addresses unmatched. After a miss the model goes on from Linux's
 * address, so that one unknown costs one allocation and not all that follow.
 */
#ifndef VMM_REPLAY_SETTLE_H
#define VMM_REPLAY_SETTLE_H

#include "vmm/replay/plan.h"
#include "vmm/replay/space.h"

/* What the recorded kernel's state was when the snapshot was taken, as far as it is known. */
struct settle_start {
	const struct tree_shape *shape; /* NULL: not known */
	size_t shape_count;
	const struct space_range *pooled; /* the pools, a pool's first before its second */
	size_t pooled_count;
	bool pools_known; /* pooled is all there was; else there may have been more */
};

struct settle_options {
	struct space_rules rules;
	struct settle_start start;
	size_t shape_max; /* holes of a shape that the executor takes: no other is looked for */
	uint64_t work;    /* model steps that may be spent on inference; 0: no inference */

	/* Called now and then; may be NULL. */
	void (*progress)(void *context, uint64_t done, uint64_t total, uint64_t missed);
	void *progress_context;
};

/* What was found. */
struct settle_report {
	uint64_t verdicts[REPLAY_MISSED + 1]; /* allocations that succeeded in Linux */
	uint64_t from_pools;                  /* of the matched ones */
	uint64_t moved;                       /* operations that were given another place */
	uint64_t holes;                       /* in the tree at the start */
	uint64_t work;                        /* model steps spent */
	uint64_t tried;                       /* starts tried */
	uint64_t nodes_found;                 /* of lazy ranges: inferred */
	bool start_known;                     /* a state file told the shape */
	bool start_found;                     /* inferred; else holes were inserted by address */
};

/*
 * Settles @plan: reorders its operations, gives each area its verdict and, where the model would
 * choose otherwise than Linux, marks it forced; and gives the plan the shape to start from. Returns
 * 0, or a negative errno with @error filled in and the plan unchanged: -ENOMEM, or -EINVAL for a
 * start that does not fit the snapshot.
 */
int settle_plan(struct replay_plan *plan, const struct settle_options *options,
		struct settle_report *report_out, struct input_error *error);

/*
 * How many allocations would not match, with as much inference as the options allow. Of the plan
 * only the verdicts change.
 */
int settle_measure(struct replay_plan *plan, const struct settle_options *options,
		   uint64_t *misses_out, struct input_error *error);

#endif
