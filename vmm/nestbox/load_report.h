/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a load comes to: JSON for programs, text for people, a document for pictures. */
#ifndef VMM_NESTBOX_LOAD_REPORT_H
#define VMM_NESTBOX_LOAD_REPORT_H

#include <jansson.h>

#include "vmm/load/workload.h"
#include "vmm/nestbox/load_run.h"

/* All of it the caller's. */
struct load_report {
	const char *name; /* of the workload: its file's last part */
	const struct workload *workload;
	const struct load_program *program;
	const struct load_result *sum;  /* of all runs */
	const struct load_result *runs; /* each of them */
	size_t nr_runs;
	bool exact; /* what is counted is the same each time: one vCPU, or a schedule */
	uint64_t memory_bytes;
	const char *unit; /* of ticks */
	const char *kvm_module, *second_stage;
};

/* A new reference; NULL: no memory. */
json_t *load_report_json(const struct load_report *report);
void load_report_print(const struct load_report *report, FILE *out);
json_t *load_report_picture(const struct load_report *report);

/* CLI_WRONG if an allocation failed or an audit found a violation. */
enum cli_status load_report_status(const struct load_report *report);

#endif
