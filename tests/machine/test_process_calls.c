/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes together with the seed's other calls, in a real guest: frames of the host's own, areas
 * over them, vread() and vwrite() beside CPL 3, failures on demand, calls from an interrupt. The
 * auditor looks after every call.
 */
#include "tests/machine/process_machine.h"

static uint64_t free_frames(struct process_machine *m)
{
	return must(m, NB_OP_STATS);
}

/* A single frame of the host's own, zeroed. */
static uint64_t take_frame(struct process_machine *m)
{
	return must(m, NB_OP_ALLOC_PAGES, 0, GFP_KERNEL | __GFP_ZERO, (uint64_t)-1);
}

START_TEST(a_frame_of_the_hosts_stays_while_it_is_shown)
{
	struct process_machine m;
	uint64_t frame, block, one, two, before;

	start_machine(&m, 1);
	one = process_with_range(&m, 2, VM_READ | VM_WRITE);
	two = process_with_range(&m, 2, VM_READ);
	block = must(&m, NB_OP_ALLOC_PAGES, 1, GFP_KERNEL, (uint64_t)-1);
	refuse(&m, -EINVAL, NB_OP_VM_INSERT_PAGE, one, USER_BASE, block);
	refuse(&m, -EINVAL, NB_OP_VM_INSERT_PAGE, one, USER_BASE, block + 1);
	must(&m, NB_OP_FREE_PAGES, block, 1);
	refuse(&m, -EINVAL, NB_OP_VM_INSERT_PAGE, one, USER_BASE, block);
	frame = take_frame(&m);
	must(&m, NB_OP_VM_INSERT_PAGE, one, USER_BASE, frame);
	must(&m, NB_OP_VM_INSERT_PAGE, two, USER_BASE + PAGE_SIZE, frame);
	must(&m, NB_OP_FREE_PAGES, frame, 0);
	refuse(&m, -EINVAL, NB_OP_FREE_PAGES, frame, 0);
	refuse(&m, -EINVAL, NB_OP_VM_INSERT_PAGE, one, USER_BASE + PAGE_SIZE, frame);
	must(&m, NB_OP_USER_RUN, one, NB_USER_WRITE, USER_BASE, 1, 77);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, two, NB_USER_READ, USER_BASE + PAGE_SIZE, 1),
			  77);
	before = free_frames(&m);
	must(&m, NB_OP_VMA_DESTROY, one, USER_BASE);
	ck_assert_uint_eq(free_frames(&m), before);
	must(&m, NB_OP_VMA_DESTROY, two, USER_BASE);
	ck_assert_uint_eq(free_frames(&m), before + 1);
	stop_machine(&m);
}
END_TEST

START_TEST(a_mapping_for_users_shows_the_hosts_frames)
{
	struct process_machine m;
	uint64_t frames[3], area, process;

	start_machine(&m, 1);
	for (int i = 0; i < 3; i++)
		frames[i] = take_frame(&m);
	memcpy(guest_data(m.guest, 0), frames, sizeof(frames));
	area = must(&m, NB_OP_VMAP, 3, VM_USERMAP, PAGE_KERNEL, 0);
	process = process_with_range(&m, 2, VM_READ | VM_WRITE);
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area, 1);
	must(&m, NB_OP_USER_RUN, process, NB_USER_WRITE, USER_BASE, 1024, 500);
	ck_assert_uint_eq(must(&m, NB_OP_PROBE, 0, area + PAGE_SIZE + 8), 501);
	/* The mapping goes, then the frames; the process shows them still. */
	must(&m, NB_OP_VUNMAP, area);
	ck_assert_uint_eq(must(&m, NB_OP_PROBE, process, USER_BASE + 16), 502);
	for (int i = 0; i < 3; i++)
		must(&m, NB_OP_FREE_PAGES, frames[i], 0);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE, 2), 1001);
	must(&m, NB_OP_PROCESS_DESTROY, process);
	stop_machine(&m);
}
END_TEST

START_TEST(vread_and_vwrite_meet_cpl3)
{
	struct process_machine m;
	uint64_t area, process, *data;

	start_machine(&m, 1);
	area = must(&m, NB_OP_VMALLOC_CALL, NB_VMALLOC_USER, 2 * PAGE_SIZE);
	process = process_with_range(&m, 2, VM_READ | VM_WRITE);
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area, 0);
	must(&m, NB_OP_USER_RUN, process, NB_USER_WRITE, USER_BASE, 1024, 9000);
	data = guest_data(m.guest, 0);
	memset(data, 0, 2 * PAGE_SIZE);
	ck_assert_uint_eq(must(&m, NB_OP_VREAD, area, 2 * PAGE_SIZE, 0), 2 * PAGE_SIZE);
	for (uint64_t i = 0; i < 1024; i++)
		ck_assert_uint_eq(data[i], 9000 + i);
	for (uint64_t i = 0; i < 4; i++)
		data[i] = 1ull << (8 * i);
	must(&m, NB_OP_VWRITE, area + PAGE_SIZE, 32, 0);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE + PAGE_SIZE, 4),
			  0x01010101);
	stop_machine(&m);
}
END_TEST

/* ---- failures on demand ---- */

struct attempt {
	uint16_t opcode;
	uint64_t arg[4];
};

/* Makes the n-th allocation of @kind fail, for every n, until the call succeeds: how many did. */
static unsigned int fail_each(struct process_machine *m, uint64_t kind,
			      const struct attempt *attempt, uint64_t *result_out)
{
	for (unsigned int n = 1;; n++) {
		uint64_t before = free_frames(m), left;
		struct nb_completion cqe;

		must(m, NB_OP_SET_FAULT, kind, n);
		cqe = call(m, attempt->opcode, attempt->arg[0], attempt->arg[1], attempt->arg[2],
			   attempt->arg[3]);
		left = must(m, NB_OP_SET_FAULT, kind, 0);
		ck_assert_uint_lt(n, 50);
		if (cqe.status == 0) {
			ck_assert_uint_ne(left, 0);
			*result_out = cqe.result[0];
			return n - 1;
		}
		ck_assert_int_eq(cqe.status, -ENOMEM);
		/* Tables of a process's own may stay; they are its. */
		ck_assert_uint_le(before - free_frames(m), 3);
	}
}

START_TEST(every_failure_leaves_things_as_they_were)
{
	const uint64_t kind = (uint64_t)_i;
	struct attempt create = {NB_OP_PROCESS_CREATE, {0}}, range, insert, remap;
	struct process_machine m;
	uint64_t area, frame, process, nothing;
	unsigned int failed;

	start_machine(&m, 1);
	area = must(&m, NB_OP_VMALLOC_CALL, NB_VMALLOC_USER, 700 * PAGE_SIZE);
	frame = take_frame(&m);
	failed = fail_each(&m, kind, &create, &process);
	range = (struct attempt){NB_OP_VMA_CREATE,
				 {process, USER_BASE, USER_BASE + 700 * PAGE_SIZE, VM_READ}};
	failed += fail_each(&m, kind, &range, &nothing);
	remap = (struct attempt){NB_OP_REMAP_VMALLOC_RANGE, {process, USER_BASE, area, 0}};
	failed += fail_each(&m, kind, &remap, &nothing);
	must(&m, NB_OP_VMA_CREATE, process, 1ull << 40, (1ull << 40) + PAGE_SIZE, VM_READ);
	insert = (struct attempt){NB_OP_VM_INSERT_PAGE, {process, 1ull << 40, frame, 0}};
	failed += fail_each(&m, kind, &insert, &nothing);
	/*
	 * A root and three tables for the programs; four for the range and three for the frame, but
	 * there what was made before a failure stays for the next attempt: three and two failures.
	 */
	if (kind == NB_FAULT_TABLE)
		ck_assert_uint_eq(failed, 9);
	if (kind == NB_FAULT_FRAME)
		ck_assert_uint_ge(failed, 9);
	if (kind == NB_FAULT_SLAB)
		ck_assert_uint_ge(failed, 2);
	must(&m, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE, 700 * 512);
	must(&m, NB_OP_PROCESS_DESTROY, process);
	stop_machine(&m);
}
END_TEST

/* ---- interrupts ---- */

START_TEST(an_interrupt_changes_no_process)
{
	struct process_machine m;
	uint64_t area, frame, process;
	struct attempt attempts[7];
	struct nb_completion cqe;

	start_machine(&m, 1);
	area = must(&m, NB_OP_VMALLOC_CALL, NB_VMALLOC_USER, PAGE_SIZE);
	frame = take_frame(&m);
	process = process_with_range(&m, 1, VM_READ);
	attempts[0] = (struct attempt){NB_OP_PROCESS_CREATE, {0}};
	attempts[1] = (struct attempt){NB_OP_PROCESS_DESTROY, {process}};
	attempts[2] = (struct attempt){NB_OP_VMA_CREATE, {process, PAGE_SIZE, 2 * PAGE_SIZE, 1}};
	attempts[3] = (struct attempt){NB_OP_VMA_DESTROY, {process, USER_BASE}};
	attempts[4] = (struct attempt){NB_OP_VM_INSERT_PAGE, {process, USER_BASE, frame}};
	attempts[5] = (struct attempt){NB_OP_REMAP_VMALLOC_RANGE, {process, USER_BASE, area, 0}};
	attempts[6] = (struct attempt){NB_OP_VMALLOC_SYNC_ALL, {0}};
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		struct nb_submission sqe = {.opcode = attempts[i].opcode,
					    .flags = NB_SQE_IN_INTERRUPT};

		memcpy(sqe.arg, attempts[i].arg, sizeof(attempts[i].arg));
		ck_assert_int_eq(guest_call(m.guest, 0, &sqe, &cqe), 0);
		ck_assert_msg(cqe.status == -EPERM, "opcode %#x: %ld", sqe.opcode, cqe.status);
		ck_assert_uint_eq(run_audit(&m).violations, 0);
	}
	/* It is nobody's, and whole. */
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area, 0);
	must(&m, NB_OP_PROCESS_DESTROY, process);
	stop_machine(&m);
}
END_TEST

START_TEST(an_interrupt_may_probe_the_kernel_and_run_nothing)
{
	struct process_machine m;
	struct nb_submission sqe = {.opcode = NB_OP_PROBE, .flags = NB_SQE_IN_INTERRUPT};
	struct nb_completion cqe;

	start_machine(&m, 1);
	sqe.arg[1] = allocate(&m, 1, VMALLOC_START, 0);
	ck_assert_int_eq(guest_call(m.guest, 0, &sqe, &cqe), 0);
	ck_assert_int_eq(cqe.status, 0);
	sqe.arg[1] += PAGE_SIZE;
	ck_assert_int_eq(guest_call(m.guest, 0, &sqe, &cqe), 0);
	ck_assert_int_eq(cqe.status, -EFAULT);
	sqe = (struct nb_submission){.opcode = NB_OP_USER_RUN,
				     .flags = NB_SQE_IN_INTERRUPT,
				     .arg = {process_with_range(&m, 1, VM_READ), NB_USER_READ}};
	ck_assert_int_eq(guest_call(m.guest, 0, &sqe, &cqe), 0);
	ck_assert_int_eq(cqe.status, -EINVAL);
	stop_machine(&m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("machine_process_calls");
	TCase *tests = tcase_create("process_calls");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_frame_of_the_hosts_stays_while_it_is_shown);
	tcase_add_test(tests, a_mapping_for_users_shows_the_hosts_frames);
	tcase_add_test(tests, vread_and_vwrite_meet_cpl3);
	tcase_add_loop_test(tests, every_failure_leaves_things_as_they_were, NB_FAULT_FRAME,
			    NB_FAULT_TABLE + 1);
	tcase_add_test(tests, an_interrupt_changes_no_process);
	tcase_add_test(tests, an_interrupt_may_probe_the_kernel_and_run_nothing);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
