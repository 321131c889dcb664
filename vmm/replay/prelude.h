/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a recording tells of the time before its snapshot: the file `prelude`, and what stands
 * above the marker in the trace. vmallocinfo shows a lazily freed range but not the node in its
 * flags, nor anything of pools; the event of its free has the former, and a shrinker that was seen
 * to empty the pools (scripts/capture has it run) says that they held nothing.
 *
 *	prelude   ... free A flags=0x200 ... decay full=1 (each node) ... free B flags=0x300
 *	snapshot  A, if no purge has come between, and B are lazy: of nodes 1 and 2; pools are empty
 */
#ifndef VMM_REPLAY_PRELUDE_H
#define VMM_REPLAY_PRELUDE_H

#include "lib/input.h"
#include "lib/u64_map.h"
#include "vmm/replay/plan.h"

struct replay_prelude {
	struct u64_map
		freed;    /* address -> 1 + the node in its flags, or 0: by the last free of it */
	bool pools_empty; /* at the snapshot */
};

/*
 * Reads what @folder's `prelude`, if there is one, and the trace at @trace_path before its marker
 * tell. Returns 0, to be freed with replay_prelude_free(), or a negative errno with @error filled
 * in: what ftrace_open() and ftrace_next() say, or -ENOMEM.
 */
int replay_prelude_read(const char *folder, const char *trace_path,
			struct replay_prelude *prelude_out, struct input_error *error);

/* Gives the plan's unpurged ranges, where they were recorded, the nodes of their frees. */
void replay_prelude_apply(const struct replay_prelude *prelude, struct replay_plan *plan);

void replay_prelude_free(struct replay_prelude *prelude);

#endif
