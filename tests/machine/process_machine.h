/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A real guest with processes, as its tests drive it: a call a line, the auditor after every one.
 */
#ifndef TESTS_MACHINE_PROCESS_MACHINE_H
#define TESTS_MACHINE_PROCESS_MACHINE_H

#include "tests/machine/inspected.h"

#include <errno.h>
#include <string.h>

#include "mm/process.h"
#include "mm/vmalloc.h"

#define USER_BASE 0x10000000ull

struct process_machine {
	struct guest *guest;
	struct inspector *inspector;
	struct audit *audit;
	uint64_t operations;
	bool audited; /* after every call */
	/* But for those that were refused: where all runs in an emulated CPU, an audit takes long.
	 */
	bool audit_skips_refused;
};

/* For a test that fails. */
static inline void print_violations(const struct process_machine *m)
{
	inspected_print(m->audit);
}

static inline struct audit_result run_audit(struct process_machine *m)
{
	return inspected_audit(m->audit, m->inspector, m->operations);
}

static inline void start_machine(struct process_machine *m, unsigned int nr_vcpus)
{
	const struct guest_config config = {.engine = harness_engine(),
					    .checks = SOFT_CHECK_ALL,
					    .memory_bytes = 16ull << 20,
					    .nr_vcpus = nr_vcpus,
					    .watchdog_seconds = 30};
	const char *lab = getenv("NESTBOX_LAB");

	*m = (struct process_machine){
		.audited = true,
		.audit_skips_refused = lab && strcmp(lab, "ept") == 0,
	};
	inspected_start(&config, &m->guest, &m->inspector, &m->audit);
}

static inline void stop_machine(struct process_machine *m)
{
	if (run_audit(m).violations) {
		print_violations(m);
		ck_abort_msg("the last audit found violations");
	}
	inspected_stop(m->guest, m->inspector, m->audit);
}

/* One hypercall with up to five arguments; a guest that dies of it is shown. */
static inline struct nb_completion call5(struct process_machine *m, uint16_t opcode, uint64_t arg0,
					 uint64_t arg1, uint64_t arg2, uint64_t arg3, uint64_t arg4)
{
	const struct nb_submission sqe = {.opcode = opcode,
					  .user_data = ++m->operations,
					  .arg = {arg0, arg1, arg2, arg3, arg4}};
	struct nb_completion cqe;

	if (guest_call(m->guest, 0, &sqe, &cqe)) {
		report_print(guest_failure(m->guest), stderr);
		ck_abort_msg("the guest died of opcode %#x", opcode);
	}
	if (cqe.status < 0 && m->audit_skips_refused)
		return cqe;
	if (m->audited && run_audit(m).violations) {
		print_violations(m);
		ck_abort_msg("the audit after opcode %#x found violations", opcode);
	}
	return cqe;
}

#define call(m, opcode, ...)                 call_((m), (opcode), ##__VA_ARGS__, 0, 0, 0, 0, 0)
#define call_(m, opcode, a, b, c, d, e, ...) call5(m, opcode, a, b, c, d, e)

/* One that must succeed: its first result. */
#define must(m, opcode, ...) must_((m), call((m), (opcode), ##__VA_ARGS__), #opcode)

static inline uint64_t must_(struct process_machine *m, struct nb_completion cqe, const char *what)
{
	(void)m;
	ck_assert_msg(cqe.status == 0, "%s: %ld (%#lx %#lx %#lx %#lx)", what, (long)cqe.status,
		      cqe.result[0], cqe.result[1], cqe.result[2], cqe.result[3]);
	return cqe.result[0];
}

/* One that must be refused with @expected. */
#define refuse(m, expected, opcode, ...) \
	ck_assert_int_eq(call((m), (opcode), ##__VA_ARGS__).status, (expected))

static inline uint64_t allocate(struct process_machine *m, uint64_t pages, uint64_t start,
				uint64_t flags)
{
	const struct nb_submission sqe = {
		.opcode = NB_OP_VMALLOC,
		.user_data = ++m->operations,
		.arg = {pages * PAGE_SIZE, 1, start, VMALLOC_END, GFP_KERNEL | __GFP_ZERO,
			PAGE_KERNEL, VM_ALLOC | flags, (uint64_t)-1},
	};
	struct nb_completion cqe;

	ck_assert_int_eq(guest_call(m->guest, 0, &sqe, &cqe), 0);
	ck_assert_int_eq(cqe.status, 0);
	if (m->audited && run_audit(m).violations) {
		print_violations(m);
		ck_abort_msg("the audit after a vmalloc found violations");
	}
	return cqe.result[0];
}

static inline uint64_t allocate_user(struct process_machine *m, uint64_t pages)
{
	return allocate(m, pages, VMALLOC_START, VM_USERMAP);
}

/* A process with a range at USER_BASE. */
static inline uint64_t process_with_range(struct process_machine *m, uint64_t pages, uint64_t flags)
{
	uint64_t process = must(m, NB_OP_PROCESS_CREATE);

	must(m, NB_OP_VMA_CREATE, process, USER_BASE, USER_BASE + pages * PAGE_SIZE, flags);
	return process;
}

/* What ended a program at CPL 3. */
struct user_fault {
	uint64_t vector, error_code, cr2, rip;
};

static inline struct user_fault run_to_fault(struct process_machine *m, uint64_t process,
					     uint64_t program, uint64_t address, uint64_t words,
					     uint64_t value)
{
	struct nb_completion cqe = call(m, NB_OP_USER_RUN, process, program, address, words, value);

	ck_assert_int_eq(cqe.status, -EFAULT);
	return (struct user_fault){cqe.result[0], cqe.result[1], cqe.result[2], cqe.result[3]};
}

#endif
