/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One recording of nestbox replay: a folder, read and settled. */
#ifndef VMM_NESTBOX_REPLAY_JOB_H
#define VMM_NESTBOX_REPLAY_JOB_H

#include "vmm/replay/layout.h"
#include "vmm/replay/prelude.h"
#include "vmm/replay/rules.h"
#include "vmm/replay/settle.h"
#include "vmm/replay/state.h"
#include "vmm/replay/vmallocinfo.h"

struct job_options {
	bool no_inference;     /* settle_options.work is 0 */
	bool no_guest;         /* it may need more memory than a guest can have */
	uint64_t memory_bytes; /* the guest's; 0: what the recording needs */
};

struct job {
	char *name, *trace_path, *begin_path,
		*end_path; /* of the snapshots: NULL if there is none */
	struct vmallocinfo begin, end;
	struct replay_plan plan;
	struct ftrace_info info;
	struct replay_layout layout;
	uint64_t memory_bytes; /* the guest's */
	struct replay_prelude prelude;
	struct replay_state state;
	struct rules_found rules;
	struct settle_options settle;
	struct settle_report settled;
};

/*
 * Reads @folder, or the trace alone if that is a file, moves it to where a guest can have it, and
 * settles the plan. What it can go on without is said on standard error. Returns 0 and the job, to
 * be closed; or a negative errno with @error filled in, and nothing to close.
 */
int job_open(const char *folder, const struct job_options *options, struct job *job_out,
	     struct input_error *error);

void job_close(struct job *job);

#endif
