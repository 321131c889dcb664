/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carrying out a plan: operations go to an executor in batches, what comes back is compared with
 * what Linux did, and the audit runs as often as asked.
 *
 * The executor is the guest, or in tests a model of it. It is reached through struct
 * replay_executor alone; nothing here knows of virtual machines.
 *
 *	plan --> replay_run() --submit--> executor     replay_run() --> outcome --> report
 *	                      <--results--                       end state --^
 */
#ifndef VMM_REPLAY_REPLAY_H
#define VMM_REPLAY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/latency.h"
#include "vmm/replay/plan.h"

/* How many mismatches, failures and violations are kept with their details; all are counted. */
#define REPLAY_DETAILS_MAX 32

/* One operation as the executor gets it. What an operation does not need is 0. */
struct replay_request {
	enum replay_op_type type;
	uint64_t bytes;    /* MAP: vmalloc's size */
	uint64_t va_bytes; /* MAP, RESERVE: length of the range, guard page included */
	uint64_t align;    /* MAP, RESERVE: of the range, a power of two */
	uint64_t vstart;   /* MAP, RESERVE: the range has to lie in [vstart, vend) */
	uint64_t vend;
	uint64_t gfp; /* MAP: Linux's bits as traced; 0 for the initial state */
	uint64_t prot;
	int64_t node;     /* -1 for any */
	uint16_t va_node; /* MAP, RESERVE, FREE: 1 + the pools' node, or 0 */
	bool full;        /* PURGE, DECAY: all of the pools */
	bool decayed;     /* PURGE: without the pools' part */
	uint16_t part;    /* PURGE, DECAY: of this node alone, 1 + its number; 0: of all */
	uint64_t through; /* PURGE: up to the range that starts there; 0: all */
	uint32_t cpu;     /* that did it in Linux, by the recording; 0 where it does not say */
	uint64_t address; /* FREE, RELEASE: what the executor returned for the area, */
	bool mapped;      /* and whether MAP made it */
};

struct replay_result {
	int status;       /* 0, or a negative errno: the operation failed and changed nothing */
	uint64_t address; /* MAP, RESERVE: where the range starts */
	uint64_t ticks;   /* what the operation took, in the executor's clock */
};

enum replay_area_kind {
	REPLAY_AREA_MAPPED,   /* made by MAP */
	REPLAY_AREA_RESERVED, /* made by RESERVE */
	REPLAY_AREA_LAZY,     /* freed, not purged; neighbours may come as one */
};

/* An area the executor has at the end. */
struct replay_final_area {
	uint64_t address;
	uint64_t va_bytes; /* guard page included */
	enum replay_area_kind kind;
};

/* What one audit found. */
struct replay_audit {
	uint64_t checks;
	uint64_t violations;
	char first[256]; /* the first violation in words; "" if there is none */
};

/*
 * What carries operations out. Each function returns 0 or a negative errno, with a line of text
 * in @error that says why the executor as a whole cannot go on; a failed operation is no such
 * error. Calls come from one thread, one at a time.
 */
struct replay_executor {
	void *context;
	size_t max_batch; /* operations taken at once, at least 1 */

	/* Carries out requests[0, count) in order; results[i] answers requests[i]. */
	int (*submit)(void *context, const struct replay_request *requests, size_t count,
		      struct replay_result *results, struct input_error *error);

	/*
	 * Before the first operation: the rules to place by. After the initial state, if the plan
	 * has one: the free tree's shape. NULL where an executor has no use for them.
	 */
	int (*set_rules)(void *context, const struct space_rules *rules, struct input_error *error);
	int (*set_shape)(void *context, const struct tree_shape *shape, size_t count,
			 struct input_error *error);

	/*
	 * All areas, in any order, in an array that the caller frees with free(3). Reservations of
	 * the executor's own, if it has any, are left out.
	 */
	int (*final_areas)(void *context, struct replay_final_area **areas_out, size_t *count_out,
			   struct input_error *error);

	/* Audits now, between two operations. */
	int (*audit)(void *context, struct replay_audit *audit_out, struct input_error *error);
};

enum replay_audit_mode { REPLAY_AUDIT_END, REPLAY_AUDIT_EVERY, REPLAY_AUDIT_NONE };

struct replay_options {
	enum replay_audit_mode audit;
	uint64_t audit_every; /* EVERY: operations between two audits, at least 1 */

	/*
	 * Called now and then with the operations done; may be NULL. Other than 0 ends the replay
	 * with -ECANCELED and what was done so far in the error's words.
	 */
	int (*progress)(void *context, uint64_t done, uint64_t total);
	void *progress_context;
};

/*
 * Reads "end", "none" or "every=N" (N from 1). Returns 0, or -EINVAL with nothing changed.
 */
int replay_audit_mode_parse(const char *text, struct replay_options *options);

/* An operation whose outcome is not what Linux's was. */
struct replay_difference {
	size_t op;         /* index in the plan */
	uint64_t expected; /* address in Linux; 0 for a failure */
	uint64_t got;      /* address here; 0 for a failure */
	int status;        /* of the operation */
};

struct replay_differences {
	uint64_t count;
	struct replay_difference first[REPLAY_DETAILS_MAX];
};

struct replay_violation {
	uint64_t after_ops; /* operations done when the audit ran */
	unsigned long line; /* of the last of them in the trace; 0 in the initial state */
	char text[256];
};

struct replay_outcome {
	uint64_t operations; /* carried out, initial state and purges included */
	uint64_t skipped;    /* frees of areas whose allocation failed here */
	uint64_t exact;      /* allocations of the trace at Linux's address, by the recording, */
	uint64_t by_order, by_start; /* or given an order or a start that was inferred */
	uint64_t failed;             /* operations that failed here and not in Linux */
	uint64_t failed_as_expected;

	struct replay_differences explained;  /* of the trace, elsewhere: as a rule allows, */
	struct replay_differences other;      /* or missed */
	struct replay_differences misplaced;  /* the same for the initial state */
	struct replay_differences failures;   /* `failed`, in detail */
	struct replay_differences unexpected; /* done here, but failed in Linux */

	uint64_t audit_runs;
	uint64_t audit_checks;
	uint64_t audit_violations;
	size_t violation_count; /* of those kept */
	struct replay_violation violations[REPLAY_DETAILS_MAX];

	/* Ticks of the trace's operations; the initial state does not count. */
	struct latency allocs;
	struct latency frees;

	uint64_t *addresses; /* per area of the plan: where it is here; 0 if nowhere */

	struct replay_final_area *final_areas;
	size_t final_area_count;
};

/*
 * Carries @plan out, with an audit whenever @options say so and always behind the last operation
 * (but for NONE), and fetches the final areas. Returns 0 with the outcome, to be freed with
 * replay_outcome_free(); or a negative errno with @error filled in and nothing to free: the
 * executor's, or -ENOMEM. Failed operations and violations are no errors here.
 */
int replay_run(const struct replay_plan *plan, const struct replay_executor *executor,
	       const struct replay_options *options, struct replay_outcome *outcome_out,
	       struct input_error *error);

/* Frees what the outcome owns; a zeroed one is allowed. */
void replay_outcome_free(struct replay_outcome *outcome);

#endif
