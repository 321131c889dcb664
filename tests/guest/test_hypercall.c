/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypercall server and its ring arithmetic, with operations of the test's own in place of the
 * core's. What needs a processor at CPL 0 (the halt, the port) is in the machine tests.
 */
#include <string.h>

#include "guest/hypercall.h"
#include "guest/report.h"
#include "guest/ring.h"
#include "mm/errno.h"
#include "tests/harness.h"

static struct nb_vcpu_area area;
static struct cpu cpu;
static unsigned warnings;
static u64 seen_in_flight;

void report_warn(const char *file, int line, const char *text)
{
	warnings++;
}

struct machine machine;

/* What the core would count, and how the machine interrupts itself here. */
static bool in_interrupt;
static u32 refused_calls;
static unsigned interrupts;

void interrupt_enter(struct mm *mm)
{
	ck_assert_ptr_eq(mm, &machine.mm);
	in_interrupt = true;
}

u32 interrupt_leave(struct mm *mm)
{
	in_interrupt = false;
	return refused_calls;
}

void trap_interrupt_self(void)
{
	interrupts++;
	hypercall_in_interrupt(&cpu);
}

static bool seen_in_interrupt;
static unsigned runs;

static s64 op_sum(struct cpu *on, const u64 *arg, u64 *result)
{
	seen_in_flight = on->area->current;
	seen_in_interrupt = in_interrupt;
	runs++;
	/* The same interrupt once more, in the middle of its handler. */
	if (in_interrupt)
		hypercall_in_interrupt(on);
	result[0] = arg[0] + arg[1];
	result[3] = arg[2];
	return 0;
}

static s64 op_fail(struct cpu *on, const u64 *arg, u64 *result)
{
	return -ENOSPC;
}

static s64 op_all(struct cpu *on, const u64 *arg, u64 *result)
{
	result[0] = arg[11];
	return 0;
}

enum { OP_SUM = 0, OP_HOLE = 1, OP_FAIL = 2, OP_ALL = 0x100 };

static const struct hypercall_op ops[] = {[OP_SUM] = {op_sum, 3}, [OP_FAIL] = {op_fail, 0}};
static const struct hypercall_op more_ops[] = {{op_all, 12}};
static const struct hypercall_op user_ops[] = {{op_all, 12}};
const struct hypercall_table core_operations = {ops, 0, 3};
const struct hypercall_table process_operations = {user_ops, NB_OP_USER_RUN, 1};
const struct hypercall_table object_operations, area_operations, fault_operations;
const struct hypercall_table test_operations = {more_ops, OP_ALL, 1};

/* All indexes start at @index: just below 2^32 they wrap. */
static void reset(u32 index)
{
	memset(&area, 0, sizeof(area));
	area.sq_head = area.sq_tail = area.cq_head = area.cq_tail = index;
	cpu = (struct cpu){.self = &cpu, .area = &area};
	warnings = 0;
	refused_calls = 0;
	interrupts = 0;
}

static struct nb_submission *submit(u16 opcode, u64 user_data)
{
	struct nb_submission *sqe = &area.sq[area.sq_tail++ % NB_RING_ENTRIES];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->user_data = user_data;
	return sqe;
}

static const struct nb_completion *take(void)
{
	ck_assert_uint_ne(area.cq_head, area.cq_tail);
	return &area.cq[area.cq_head++ % NB_RING_ENTRIES];
}

static s64 status_of_one(void)
{
	ck_assert(hypercall_drain(&cpu));
	return take()->status;
}

START_TEST(an_empty_ring_serves_nothing)
{
	reset(0);
	ck_assert(!hypercall_drain(&cpu));
	ck_assert_uint_eq(area.cq_tail, 0);
	ck_assert_uint_eq(area.progress, 0);
}
END_TEST

START_TEST(an_operation_gets_its_arguments_and_answers)
{
	const struct nb_completion *cqe;
	struct nb_submission *sqe;

	reset(0);
	memset(area.cq, 0xaa, sizeof(area.cq));
	sqe = submit(OP_SUM, 77);
	sqe->arg[0] = 40;
	sqe->arg[1] = 2;
	sqe->arg[2] = 5;
	ck_assert(hypercall_drain(&cpu));
	cqe = take();
	ck_assert_int_eq(cqe->status, 0);
	ck_assert_uint_eq(cqe->user_data, 77);
	ck_assert_uint_eq(cqe->result[0], 42);
	ck_assert_uint_eq(cqe->result[1], 0);
	ck_assert_uint_eq(cqe->result[2], 0);
	ck_assert_uint_eq(cqe->result[3], 5);
	ck_assert_uint_le(cqe->tsc_start, cqe->tsc_end);
	ck_assert_uint_ne(cqe->tsc_start, 0);
	ck_assert_uint_eq(seen_in_flight, 77);
	ck_assert_uint_eq(area.current, 0);
	ck_assert_uint_eq(area.progress, 1);
}
END_TEST

START_TEST(an_error_comes_back_as_it_is)
{
	reset(0);
	submit(OP_FAIL, 1);
	ck_assert_int_eq(status_of_one(), -ENOSPC);
}
END_TEST

START_TEST(an_unknown_opcode_is_enosys)
{
	static const u16 unknown[] = {OP_HOLE, 3, 0xff, 0x101, 0xffff};
	size_t i;

	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		reset(0);
		submit(unknown[i], 1);
		ck_assert_int_eq(status_of_one(), -ENOSYS);
	}
}
END_TEST

/* Every byte the operation does not use, one at a time. */
START_TEST(whatever_must_be_zero_and_is_not_is_einval)
{
	const size_t used = offsetof(struct nb_submission, arg[3]);
	size_t byte, tried = 0;

	for (byte = 0; byte < sizeof(struct nb_submission); byte++) {
		bool reserved = (byte >= 2 && byte < 8) || byte >= used;
		struct nb_submission *sqe;

		if (!reserved)
			continue;
		reset(0);
		sqe = submit(OP_SUM, 1);
		((u8 *)sqe)[byte] = 0x80;
		ck_assert_msg(status_of_one() == -EINVAL, "byte %zu was ignored", byte);
		tried++;
	}
	ck_assert_uint_eq(tried, 6 + 9 * 8 + 16);
}
END_TEST

START_TEST(a_flag_has_the_operation_done_in_an_interrupt)
{
	const struct nb_completion *cqe;
	struct nb_submission *sqe;

	reset(0);
	sqe = submit(OP_SUM, 77);
	sqe->arg[0] = 40;
	sqe->arg[1] = 2;
	ck_assert(hypercall_drain(&cpu));
	take();
	ck_assert(!seen_in_interrupt);
	ck_assert_uint_eq(interrupts, 0);
	sqe = submit(OP_SUM, 78);
	sqe->flags = NB_SQE_IN_INTERRUPT;
	sqe->arg[0] = 40;
	sqe->arg[1] = 2;
	ck_assert(hypercall_drain(&cpu));
	cqe = take();
	ck_assert(seen_in_interrupt);
	ck_assert_uint_eq(interrupts, 1);
	ck_assert_int_eq(cqe->status, 0);
	ck_assert_uint_eq(cqe->result[0], 42);
	ck_assert_uint_ne(cqe->tsc_end, 0);
	ck_assert_ptr_null(cpu.deferred);
	ck_assert_uint_eq(runs, 2);
	/* One that comes by itself does nothing. */
	hypercall_in_interrupt(&cpu);
	ck_assert_uint_eq(area.cq_tail, 2);
}
END_TEST

START_TEST(what_the_core_refused_in_an_interrupt_is_eperm)
{
	reset(0);
	refused_calls = 1;
	submit(OP_SUM, 1)->flags = NB_SQE_IN_INTERRUPT;
	ck_assert_int_eq(status_of_one(), -EPERM);
	/* An error of its own stays, and so does everything outside of an interrupt. */
	submit(OP_FAIL, 1)->flags = NB_SQE_IN_INTERRUPT;
	ck_assert_int_eq(status_of_one(), -ENOSPC);
	submit(OP_SUM, 1);
	ck_assert_int_eq(status_of_one(), 0);
}
END_TEST

START_TEST(user_code_runs_in_no_interrupt_and_other_flags_are_none)
{
	u32 bit;

	reset(0);
	submit(NB_OP_USER_RUN, 1);
	ck_assert_int_eq(status_of_one(), 0);
	submit(NB_OP_USER_RUN, 1)->flags = NB_SQE_IN_INTERRUPT;
	ck_assert_int_eq(status_of_one(), -EINVAL);
	for (bit = 1; bit < 16; bit++) {
		submit(OP_SUM, 1)->flags = (u16)(1u << bit | NB_SQE_IN_INTERRUPT);
		ck_assert_int_eq(status_of_one(), -EINVAL);
	}
	ck_assert_uint_eq(interrupts, 0);
}
END_TEST

START_TEST(all_twelve_arguments_may_be_used)
{
	struct nb_submission *sqe;

	reset(0);
	sqe = submit(OP_ALL, 1);
	memset(sqe->arg, 0xff, sizeof(sqe->arg));
	ck_assert_int_eq(status_of_one(), 0);
}
END_TEST

START_TEST(a_full_ring_is_answered_in_order_across_the_wrap)
{
	static const u32 starts[] = {0, 1, 255, 256, UINT32_MAX, UINT32_MAX - 100, 0x7fffffff};
	u32 i;

	reset(starts[_i]);
	for (i = 0; i < NB_RING_ENTRIES; i++)
		submit(OP_SUM, i)->arg[0] = i * 3;
	ck_assert(hypercall_drain(&cpu));
	for (i = 0; i < NB_RING_ENTRIES; i++) {
		const struct nb_completion *cqe = take();

		ck_assert_uint_eq(cqe->user_data, i);
		ck_assert_uint_eq(cqe->result[0], i * 3);
	}
	ck_assert_uint_eq(area.cq_head, area.cq_tail);
	ck_assert_uint_eq(area.sq_head, area.sq_tail);
	ck_assert(!hypercall_drain(&cpu));
}
END_TEST

START_TEST(the_completion_ring_is_never_overrun)
{
	u32 i;

	reset(UINT32_MAX - 10);
	for (i = 0; i < NB_RING_ENTRIES; i++)
		submit(OP_SUM, i);
	ck_assert(hypercall_drain(&cpu));
	submit(OP_SUM, 1000);
	submit(OP_SUM, 1001);
	ck_assert(!hypercall_drain(&cpu));
	ck_assert_uint_eq(take()->user_data, 0);
	ck_assert(hypercall_drain(&cpu));
	ck_assert_uint_eq(area.cq_tail - area.cq_head, NB_RING_ENTRIES);
	ck_assert_uint_eq(area.cq[(area.cq_tail - 1) % NB_RING_ENTRIES].user_data, 1000);
	ck_assert_uint_eq(warnings, 0);
}
END_TEST

START_TEST(a_tail_too_far_ahead_is_reported_once_and_not_served)
{
	reset(5);
	submit(OP_SUM, 1);
	area.sq_tail = 5 + NB_RING_ENTRIES + 1;
	ck_assert(!hypercall_drain(&cpu));
	ck_assert(!hypercall_drain(&cpu));
	ck_assert_uint_eq(warnings, 1);
	area.sq_tail = 4; /* behind the head */
	ck_assert(!hypercall_drain(&cpu));
	ck_assert_uint_eq(warnings, 2);
	area.sq_tail = 6;
	ck_assert(hypercall_drain(&cpu));
	ck_assert_int_eq(take()->status, 0);
	area.sq_tail = 4;
	ck_assert(!hypercall_drain(&cpu));
	ck_assert_uint_eq(warnings, 3);
}
END_TEST

/* Against the same rule in wide integers, where nothing wraps. */
START_TEST(ring_arithmetic_agrees_with_wide_integers)
{
	static const u64 steps[] = {0, 1, 2, 255, 256, 257, 1000};
	const u64 head = 0xffffff80ull + (u64)_i * 32;
	size_t s, c;

	for (s = 0; s < ARRAY_SIZE(steps); s++) {
		for (c = 0; c < ARRAY_SIZE(steps); c++) {
			u64 room = steps[c] > 256 ? 0 : 256 - steps[c];
			u64 want = steps[s] > 256 ? 0 : steps[s] < room ? steps[s] : room;

			ck_assert_uint_eq(ring_servable((u32)head, (u32)(head + steps[s]),
							(u32)head, (u32)(head + steps[c])),
					  want);
		}
		ck_assert(ring_nonsense((u32)head, (u32)(head + steps[s])) == (steps[s] > 256));
	}
	ck_assert(ring_nonsense((u32)head, (u32)(head - 1)));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guest/hypercall");
	TCase *tests = tcase_create("server");

	tcase_add_test(tests, an_empty_ring_serves_nothing);
	tcase_add_test(tests, an_operation_gets_its_arguments_and_answers);
	tcase_add_test(tests, an_error_comes_back_as_it_is);
	tcase_add_test(tests, an_unknown_opcode_is_enosys);
	tcase_add_test(tests, whatever_must_be_zero_and_is_not_is_einval);
	tcase_add_test(tests, a_flag_has_the_operation_done_in_an_interrupt);
	tcase_add_test(tests, what_the_core_refused_in_an_interrupt_is_eperm);
	tcase_add_test(tests, user_code_runs_in_no_interrupt_and_other_flags_are_none);
	tcase_add_test(tests, all_twelve_arguments_may_be_used);
	tcase_add_loop_test(tests, a_full_ring_is_answered_in_order_across_the_wrap, 0, 7);
	tcase_add_test(tests, the_completion_ring_is_never_overrun);
	tcase_add_test(tests, a_tail_too_far_ahead_is_reported_once_and_not_served);
	tcase_add_loop_test(tests, ring_arithmetic_agrees_with_wide_integers, 0, 8);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
