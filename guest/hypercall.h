/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypercall server: takes submissions from a CPU's ring, does what they ask, answers, and
 * halts when there is nothing to do. The operations themselves are in tables (struct hypercall_op),
 * a subject each.
 */
#ifndef GUEST_HYPERCALL_H
#define GUEST_HYPERCALL_H

#include "guest/abi.h"
#include "guest/machine.h"

/*
 * One operation: reads its arguments from @arg once, fills @result as guest/abi.h says, returns
 * the completion's status. @result comes as zeroes; it counts only if the status is 0, or where
 * guest/abi.h says more.
 */
struct hypercall_op {
	s64 (*run)(struct cpu *cpu, const u64 *arg, u64 *result);
	u32 nr_args; /* arguments from here on must be 0 */
};

/* The operations from opcode @first on; a NULL run is no operation. */
struct hypercall_table {
	const struct hypercall_op *ops;
	u32 first, nr;
};

extern const struct hypercall_table core_operations;
extern const struct hypercall_table object_operations;
extern const struct hypercall_table area_operations;
extern const struct hypercall_table fault_operations;
extern const struct hypercall_table process_operations;
extern const struct hypercall_table test_operations;

/*
 * Serves until @cpu's ring is empty, or until the host must take completions first. Returns true
 * when there was something. Indexes that no ring can have are reported (WARN), once until the
 * host changes them, and nothing is served.
 */
bool hypercall_drain(struct cpu *cpu);

/*
 * An operation that is done in an interrupt (NB_SQE_IN_INTERRUPT): what to run, where its arguments
 * are, where the answer goes.
 */
struct hypercall_deferred {
	const struct hypercall_op *op;
	const u64 *arg;
	struct nb_completion *cqe;
	s64 status;
	bool done;
};

/* Interrupts this CPU with VECTOR_CALL, soon after it returns if not before. guest/trap.c. */
void trap_interrupt_self(void);

/* The handler of VECTOR_CALL: does @cpu's deferred operation, if there is one. */
void hypercall_in_interrupt(struct cpu *cpu);

/* Serves @cpu, which this is, for ever. Called once, interrupts in any state. */
__attribute__((noreturn)) void hypercall_serve(struct cpu *cpu);

#endif
