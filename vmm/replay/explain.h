/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the search saw at one allocation of a settled plan, for `nestbox replay --explain`. */
#ifndef VMM_REPLAY_EXPLAIN_H
#define VMM_REPLAY_EXPLAIN_H

#include <stdio.h>

#include "vmm/replay/settle.h"

/*
 * Prints to @out how the model comes to an address for the allocation number @number, counted from
 * 1 in the order of the trace's lines: the pool, each node passed and what was done there, and, if
 * Linux chose otherwise, where its address lies. Returns 0; -ENOENT where the plan has no such
 * allocation; -ENOMEM.
 */
int settle_explain_alloc(struct replay_plan *plan, const struct settle_options *options,
			 uint64_t number, FILE *out, struct input_error *error);

#endif
