/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A load as commands use it: read and compiled, run once or more, reported. */
#ifndef VMM_NESTBOX_LOAD_H
#define VMM_NESTBOX_LOAD_H

#include "vmm/nestbox/guest_options.h"
#include "vmm/nestbox/load_report.h"

struct load_audit {
	bool none;
	uint64_t every; /* allocations; 0: at the end alone */
};

struct load_job {
	/* What is asked for; of the guest's options 0 is what the workload says. */
	const struct program *of; /* the program this is in */
	const char *path;
	struct guest_options guest;
	struct load_audit audit;
	uint64_t repeat;
	bool where; /* count instructions */
	bool want_areas, keep_births;
	bool has_seed, has_mode; /* in place of the workload's: */
	uint64_t seed;
	enum workload_mode mode;

	/* Since load_job_open(). */
	const char *name;
	struct workload workload;
	struct load_program program;

	/* Since load_job_run(). */
	struct load_result *runs, *sum;
	uint64_t memory_bytes;
	struct kvm_host host;
	const char *unit;
};

/* Reads and compiles. Errors: workload_read()'s and program_compile()'s. */
int load_job_open(struct load_job *job, struct input_error *error);

/*
 * Runs it; what went wrong is said in @command's name. CLI_DONE: runs and sum are good. To be ended
 * by load_job_end() either way.
 */
enum cli_status load_job_run(const struct cli_command *command, struct load_job *job);
struct load_report load_job_report(const struct load_job *job);
void load_job_end(struct load_job *job);
void load_job_close(struct load_job *job);

/* How many allocations are between two measurements of how areas lie. */
uint64_t load_job_moment(const struct load_job *job);

/* cli_option's parse() for a struct load_audit, and for a load_job's seed and mode. */
int load_parse_audit(const char *text, void *value);
int load_parse_seed(const char *text, void *value);
int load_parse_mode(const char *text, void *value);

#endif
