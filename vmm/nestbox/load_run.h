/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A compiled workload carried out in a guest: its parts one after another, all vCPUs at once in
 * each; between parts the guest is measured and audited. What the guest leaves in the blocks is
 * hostile: counts are only added, addresses only handed to the auditor.
 */
#ifndef VMM_NESTBOX_LOAD_RUN_H
#define VMM_NESTBOX_LOAD_RUN_H

#include "vmm/audit/audit.h"
#include "vmm/base/cli.h"
#include "vmm/base/histogram.h"
#include "vmm/load/placement.h"
#include "vmm/load/program.h"
#include "vmm/machine/guest.h"

/* Frames of a vCPU's block, 2^order, and what of it holds instructions. */
#define LOAD_BLOCK_ORDER 7u
#define LOAD_PART_MAX                                              \
	(((4096ul << LOAD_BLOCK_ORDER) - sizeof(struct nb_load)) / \
	 sizeof(struct nb_load_instruction))
#define LOAD_SLOTS_ORDER_MAX 10u
#define LOAD_SLOTS_MAX       ((4096u << LOAD_SLOTS_ORDER_MAX) / 8)

struct load_options {
	const bool *setups; /* of each phase, whether it is one */
	enum workload_mode mode;
	bool scheduled;       /* by a plan of the soft engine: all vCPUs are called together */
	uint64_t audit_every; /* allocations; 0: at the end alone */
	bool no_audit;
	uint64_t measure_every;        /* allocations; 0: at the end of each part */
	struct cli_progress *progress; /* or NULL */
};

/* All zero before the first run. Of several runs: sums, and the most. */
struct load_result {
	struct histogram latency[NB_LOAD_OPS]; /* setups left out */
	uint64_t ticks;                        /* of all vCPUs, setups left out */
	uint64_t operations;                   /* likewise */
	uint64_t failed;
	int last_errno; /* of one that failed; positive */
	struct placement_sum placement;
	struct placement end;
	uint64_t audits, audit_items, violations;
	char violation[256]; /* the first */
	double seconds;
	/* Instructions of the guest while parts ran, where they are counted. */
	uint64_t instructions, instructions_mm;
	json_t *areas; /* at the end, for a picture: as query-areas; NULL: not wanted */
};

/*
 * Runs @program in @guest, which nobody else uses, and adds to *@result. Returns 0, or -errno with
 * the reason in @error: -ENOTRECOVERABLE (the guest died), -ENOMEM (of the host, or the guest has
 * no room for the program), -EPROTO (it did not take the program).
 */
int load_run(struct guest *guest, const struct load_program *program,
	     const struct load_options *options, struct load_result *result, struct error *error);

/* "alloc", "free", ... of an enum nb_load_op. */
const char *load_op_name(unsigned int op);

#endif
