/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a replay comes to: the JSON that other programs rely on (keys may come, none goes:
 * test_replay_report has them), the same for a person, and the exit status that follows.
 *
 * Addresses are strings there ("0xffffc90000000000"), because JSON's numbers end at 2^53.
 */
#ifndef VMM_REPLAY_REPORT_H
#define VMM_REPLAY_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "vmm/base/cli.h"
#include "vmm/replay/end.h"
#include "vmm/replay/settle.h"
#include "vmm/replay/layout.h"

/* Everything a report is made of; all of it the caller's, nothing NULL but where said. */
struct replay_report {
	const char *name;       /* of the trace: its folder's last part */
	const char *trace_path; /* for "file:line" */
	const struct replay_plan *plan;
	const struct ftrace_info *trace;
	struct replay_outcome *outcome;      /* its latencies get sorted */
	const struct settle_report *settled; /* NULL: the plan was carried out as it was read */
	const char *rules;                   /* whose; NULL likewise */
	bool rules_known;                    /* by the release; else they fit best */
	const struct replay_end_state *end;  /* NULL without vmallocinfo.end */
	const char *end_path;                /* of vmallocinfo.end; NULL without it */
	const struct replay_layout *layout;  /* where addresses went; NULL where they stayed */

	unsigned int
		cpus; /* the guest's; 0 where the model of the rules stood in for one, which has */
	uint64_t memory_bytes; /* none of what follows */
	const char *image;

	const char *kvm_module;   /* kvm_intel, ... */
	const char *second_stage; /* ept, npt, shadow */

	const char *latency_unit; /* "ticks" or "instructions" */

	double start_seconds; /* from the process's start to the first operation */
	double run_seconds;   /* of the whole replay, its audits included */
};

/* The report as a new JSON object, the caller's reference; NULL when there is no memory. */
json_t *replay_report_json(const struct replay_report *report);

/* Where the free tree's shape at the start is from: "state file", "inferred", "by address". */
const char *replay_report_start(const struct replay_report *report);

/* Writes the report for a person. */
void replay_report_print(const struct replay_report *report, FILE *out);

/*
 * Why addresses and the end state need not be Linux's here, as a few words; NULL when they must:
 * from a snapshot on, with no event lost and none in conflict.
 */
const char *replay_report_doubt(const struct replay_report *report);

/*
 * CLI_WRONG if an operation failed that did not in Linux, or the other way round; if an audit
 * found a violation; or if addresses or the end state differ although they can be promised: from
 * a snapshot on, with no event lost and none in conflict. What came after the trace's end is no
 * reason. Else CLI_DONE.
 */
enum cli_status replay_report_status(const struct replay_report *report);

#endif
