/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes in a real guest: what they show, what code at CPL 3 can do and what it cannot, what
 * they see of the kernel. The auditor looks after every call.
 */
#include "tests/machine/process_machine.h"

#include "mm/x86.h"

#define WORDS_PER_PAGE (PAGE_SIZE / 8)

#define VECTOR_UD 6
#define VECTOR_GP 13
#define VECTOR_PF 14

static uint64_t word_at(struct process_machine *m, uint64_t gva)
{
	uint64_t word;

	ck_assert_int_eq(guest_read(m->guest, gva_make(gva), &word, sizeof(word)), 0);
	return word;
}

static void set_word(struct process_machine *m, uint64_t gva, uint64_t word)
{
	ck_assert_int_eq(guest_write(m->guest, gva_make(gva), &word, sizeof(word)), 0);
}

/* ---- what is shared ---- */

START_TEST(what_cpl3_writes_the_host_reads)
{
	struct process_machine m;
	uint64_t area, process;

	start_machine(&m, 1);
	area = allocate_user(&m, 3);
	process = process_with_range(&m, 3, VM_READ | VM_WRITE);
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area, 0);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, process, NB_USER_WRITE, USER_BASE,
			       3 * WORDS_PER_PAGE, 0x1000),
			  3 * WORDS_PER_PAGE);
	for (uint64_t i = 0; i < 3 * WORDS_PER_PAGE; i++) {
		uint64_t word;

		ck_assert(inspect_u64(m.inspector, area + 8 * i, &word));
		ck_assert_uint_eq(word, 0x1000 + i);
		ck_assert_uint_eq(word_at(&m, area + 8 * i), 0x1000 + i);
	}
	/* At CPL 0, by either address. */
	ck_assert_uint_eq(must(&m, NB_OP_PROBE, 0, area + 8 * 700), 0x1000 + 700);
	ck_assert_uint_eq(must(&m, NB_OP_PROBE, process, USER_BASE + 8 * 700), 0x1000 + 700);
	must(&m, NB_OP_PROCESS_DESTROY, process);
	must(&m, NB_OP_VFREE, area);
	stop_machine(&m);
}
END_TEST

START_TEST(what_the_host_writes_cpl3_reads)
{
	struct process_machine m;
	uint64_t area, process;

	start_machine(&m, 1);
	area = allocate_user(&m, 2);
	process = process_with_range(&m, 1, VM_READ);
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area, 1);
	set_word(&m, area, 1000000); /* the page before what is shown */
	set_word(&m, area + PAGE_SIZE, 30);
	set_word(&m, area + 2 * PAGE_SIZE - 8, 7);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE, WORDS_PER_PAGE),
			  37);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE, 0), 0);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE, 1), 30);
	stop_machine(&m);
}
END_TEST

START_TEST(an_exception_ends_the_program_with_its_place)
{
	struct process_machine m;
	struct user_fault fault;
	uint64_t area, process;

	start_machine(&m, 1);
	area = allocate_user(&m, 1);
	process = process_with_range(&m, 1, VM_READ);
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area, 0);
	/* Not mapped: the page after the range. */
	fault = run_to_fault(&m, process, NB_USER_READ, USER_BASE + PAGE_SIZE - 16, 3, 0);
	ck_assert_uint_eq(fault.vector, VECTOR_PF);
	ck_assert_uint_eq(fault.error_code, X86_PF_U);
	ck_assert_uint_eq(fault.cr2, USER_BASE + PAGE_SIZE);
	ck_assert_uint_eq(fault.rip & PAGE_MASK, NB_USER_CODE);
	stop_machine(&m);
}
END_TEST

START_TEST(a_program_without_end_is_interrupted)
{
	struct process_machine m;
	uint64_t process;

	start_machine(&m, 1);
	process = must(&m, NB_OP_PROCESS_CREATE);
	refuse(&m, -EINTR, NB_OP_USER_RUN, process, NB_USER_SPIN);
	refuse(&m, -EINTR, NB_OP_USER_RUN, process, NB_USER_SPIN);
	stop_machine(&m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("machine_process");
	TCase *tests = tcase_create("process");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, what_cpl3_writes_the_host_reads);
	tcase_add_test(tests, what_the_host_writes_cpl3_reads);
	tcase_add_test(tests, an_exception_ends_the_program_with_its_place);
	tcase_add_test(tests, a_program_without_end_is_interrupted);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
