/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestbox explore: workloads of a few vCPUs, each under an order of turns of its own, until one
 * goes wrong.
 *
 * A workload (struct explore_work) is made from a seed: rounds, and in each a few operations for
 * each vCPU, which begin at the same moment. A run boots a guest, does the rounds by a plan
 * (vmm/soft/plan.h), and audits between them. Work and plan decide everything: the same two give
 * the same run.
 */
#ifndef VMM_NESTBOX_EXPLORE_H
#define VMM_NESTBOX_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/cli.h"
#include "vmm/machine/guest.h"
#include "vmm/soft/plan.h"

#define EXPLORE_VCPUS_MAX  8
#define EXPLORE_ROUNDS_MAX 64
#define EXPLORE_OPS_MAX    512
/* More than can be seen to its end. */
#define EXPLORE_SWITCHES_MAX 8

enum explore_kind {
	EXPLORE_VMALLOC,
	EXPLORE_VFREE,
	EXPLORE_TOUCH,
	EXPLORE_PURGE,
	EXPLORE_KMALLOC,
	EXPLORE_KFREE,
	EXPLORE_KINDS
};

struct explore_op {
	uint8_t round, vcpu, kind;
	uint16_t slot;  /* what an allocation gives has its number; frees and touches name it */
	uint32_t bytes; /* of an allocation */
};

struct explore_work {
	unsigned int vcpus, rounds;
	size_t nr_ops;
	struct explore_op ops[EXPLORE_OPS_MAX]; /* by round */
};

/* How the turns are given: drawn, or as written down, round by round. */
struct explore_plan {
	struct soft_plan plan; /* seed is mixed with the round's number */
	bool listed;
	struct soft_switch *switches[EXPLORE_ROUNDS_MAX];
	size_t nr_switches[EXPLORE_ROUNDS_MAX];
};

/* What became of a run. */
struct explore_outcome {
	bool wrong;
	char kind[64];  /* what two failures must share to be the same: "check stale", "audit areas"
			 */
	char text[640]; /* the first that was wrong */
	unsigned int round;
	uint64_t instructions;       /* of the rounds */
	struct guest_report *report; /* of a guest that died: the outcome's */
	struct explore_plan taken;   /* the switches there were */
	/* Where there could have been others, by round, if the plan wanted to know. */
	struct soft_switch *points[EXPLORE_ROUNDS_MAX];
	size_t nr_points[EXPLORE_ROUNDS_MAX];
};

void explore_work_make(struct explore_work *work, uint64_t seed, unsigned int vcpus,
		       unsigned int rounds);

/* The plan of run @seed: random walks and PCT in turn, with parameters drawn; @depth not 0: PCT. */
void explore_plan_make(struct explore_plan *plan, uint64_t seed, unsigned int depth);
void explore_plan_free(struct explore_plan *plan);
/* *@plan lists the switches that @outcome had. Returns 0 or -ENOMEM. */
int explore_plan_take(struct explore_plan *plan, const struct explore_outcome *outcome);

/* Errors: guest_start()'s, with the reason in @error; -ENOMEM. A guest that dies is an outcome. */
int explore_run(const struct guest_config *config, const struct explore_work *work,
		const struct explore_plan *plan, struct explore_outcome *outcome_out,
		struct error *error);
void explore_outcome_free(struct explore_outcome *outcome);

struct explore_limits {
	uint64_t runs;
	double end; /* of clock_seconds(); 0: none */
};

struct explore_search {
	uint64_t runs, instructions;
	bool all;                       /* all orders were run, and none failed */
	struct explore_outcome outcome; /* of the one that failed, if there is one */
};

/*
 * Runs @work by every order of turns with at most @switches that no vCPU asked for, the fewest
 * first, until one fails. RACE must be among the checks. Errors: explore_run()'s.
 */
int explore_all(const struct guest_config *config, const struct explore_work *work,
		unsigned int switches, const struct explore_limits *limits,
		struct explore_search *found_out, struct error *error);

/*
 * Takes operations and switches away from what failed as @outcome says, as long as it fails in the
 * same way, in at most @runs; *@work, *@plan and *@outcome become the smallest found. The same
 * failure becomes the same.
 */
int explore_shrink(const struct guest_config *config, struct explore_work *work,
		   struct explore_plan *plan, struct explore_outcome *outcome, uint64_t runs,
		   uint64_t *runs_out, struct error *error);

/* "vmalloc", ... */
const char *explore_kind_name(enum explore_kind kind);

#endif
