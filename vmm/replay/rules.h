/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which Linux's rules a recording follows: by the release it names, or where it names none, by what
 * is in it and by which rules fit it best.
 */
#ifndef VMM_REPLAY_RULES_H
#define VMM_REPLAY_RULES_H

#include "vmm/replay/settle.h"

struct rules_found {
	struct space_rules rules;
	bool known;    /* the recording names its release; else these fit best */
	char text[96]; /* "Linux 6.9 and later, pools of 2 nodes", for a report */
};

/*
 * Finds the rules of @plan, which starts from what @start knows, and whose pools serve
 * [@pool_start, @pool_end). Returns 0, or a negative
 * errno with @error filled in.
 */
int rules_find(struct replay_plan *plan, const struct ftrace_info *info,
	       const struct settle_start *start, uint64_t pool_start, uint64_t pool_end,
	       struct rules_found *found_out, struct input_error *error);

#endif
