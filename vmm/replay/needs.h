/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a replay needs of its guest, and why one would come to nothing. */
#ifndef VMM_REPLAY_NEEDS_H
#define VMM_REPLAY_NEEDS_H

#include <jansson.h>

#include "vmm/replay/plan.h"

/*
 * Guest memory, in bytes, a whole number of 64 MiB, that the plan fits into with some to spare:
 * the most frames that are mapped at one time, twice those that had to lie below 4 GiB (half of a
 * guest's memory does), page tables, which are never given back, and bookkeeping. UINT64_MAX where
 * there is not that much.
 */
uint64_t replay_plan_memory(const struct replay_plan *plan);

/* How many CPUs the recording is of, at least 1 and at most @most. */
unsigned int replay_plan_cpus(const struct replay_plan *plan, unsigned int most);

/*
 * Why nothing would be compared: a line for a person, in @text, which has @size bytes. Returns
 * whether that is so: no allocation in the plan.
 */
bool replay_plan_is_empty(const struct replay_plan *plan, const struct ftrace_info *trace,
			  char *text, size_t size);

/* What a replay's JSON is then: a new reference, NULL for want of memory. */
json_t *replay_nothing_json(const char *name, const struct replay_plan *plan,
			    const struct ftrace_info *trace, const char *reason);

#endif
