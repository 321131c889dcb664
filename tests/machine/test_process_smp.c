/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two vCPUs work on the same processes, at random and in each other's way: every answer is one that
 * the call may give, nothing is lost, and the audits in between find nothing.
 */
#include "tests/machine/process_machine.h"

#include <pthread.h>

#define NUMBERS 4 /* processes at a time, about */
#define ROUNDS  2
#define CALLS   80

struct worker {
	struct process_machine *m;
	unsigned int vcpu, seed;
	uint64_t area, frame, last_number;
	unsigned int done, busy;
	int64_t odd; /* a status no such call may give, or 0 */
};

static struct nb_submission pick(struct worker *w)
{
	uint64_t number = 1 + (uint64_t)rand_r(&w->seed) % (w->last_number + 1);
	uint64_t start = USER_BASE + (uint64_t)(rand_r(&w->seed) % 3) * 4 * PAGE_SIZE;

	/* The processes made last, mostly. */
	if (w->last_number > NUMBERS)
		number = w->last_number - (uint64_t)rand_r(&w->seed) % NUMBERS;
	switch (rand_r(&w->seed) % 9) {
	case 0:
		return (struct nb_submission){.opcode = NB_OP_PROCESS_CREATE};
	case 1:
		return (struct nb_submission){.opcode = NB_OP_PROCESS_DESTROY, .arg = {number}};
	case 2:
		return (struct nb_submission){.opcode = NB_OP_VMA_DESTROY, .arg = {number, start}};
	case 3:
		return (struct nb_submission){.opcode = NB_OP_VM_INSERT_PAGE,
					      .arg = {number, start, w->frame}};
	case 4:
		return (struct nb_submission){.opcode = NB_OP_REMAP_VMALLOC_RANGE,
					      .arg = {number, start, w->area, 1}};
	case 5:
		return (struct nb_submission){.opcode = NB_OP_USER_RUN,
					      .arg = {number, NB_USER_WRITE, start, 8, 1}};
	case 6:
		return (struct nb_submission){.opcode = NB_OP_VMALLOC_SYNC_ALL};
	default:
		return (struct nb_submission){
			.opcode = NB_OP_VMA_CREATE,
			.arg = {number, start, start + 4 * PAGE_SIZE, VM_READ | VM_WRITE}};
	}
}

static bool may_answer(const struct nb_submission *sqe, int64_t status)
{
	switch (status) {
	case 0:
		return true;
	case -ESRCH:
	case -EBUSY:
		return sqe->opcode != NB_OP_PROCESS_CREATE && sqe->opcode != NB_OP_VMALLOC_SYNC_ALL;
	case -ENOENT:
		return sqe->opcode == NB_OP_VMA_DESTROY || sqe->opcode == NB_OP_VM_INSERT_PAGE ||
		       sqe->opcode == NB_OP_REMAP_VMALLOC_RANGE;
	case -EFAULT:
		return sqe->opcode == NB_OP_USER_RUN;
	default:
		return false;
	}
}

static void *work(void *argument)
{
	struct worker *w = argument;

	for (int i = 0; i < CALLS; i++) {
		struct nb_submission sqe = pick(w);
		struct nb_completion cqe;

		if (guest_call(w->m->guest, w->vcpu, &sqe, &cqe)) {
			w->odd = -ENOTRECOVERABLE;
			break;
		}
		if (!may_answer(&sqe, cqe.status))
			w->odd = cqe.status;
		w->done += cqe.status == 0;
		w->busy += cqe.status == -EBUSY;
		if (sqe.opcode == NB_OP_PROCESS_CREATE && cqe.status == 0)
			w->last_number = cqe.result[0];
	}
	return NULL;
}

START_TEST(two_vcpus_on_the_same_processes)
{
	struct worker w[2];
	struct process_machine m;
	uint64_t area, frame, frames;

	start_machine(&m, 2);
	area = allocate_user(&m, 5);
	frame = must(&m, NB_OP_VMALLOC_TO_PAGE, allocate(&m, 1, VMALLOC_START, 0));
	/* What stays: slabs. */
	must(&m, NB_OP_PROCESS_DESTROY, process_with_range(&m, 1, VM_READ));
	frames = must(&m, NB_OP_STATS);
	for (unsigned int i = 0; i < 2; i++)
		w[i] = (struct worker){
			.m = &m, .vcpu = i, .seed = 20261122 + i, .area = area, .frame = frame};
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t thread;

		ck_assert_int_eq(pthread_create(&thread, NULL, work, &w[1]), 0);
		work(&w[0]);
		pthread_join(thread, NULL);
		for (int i = 0; i < 2; i++)
			ck_assert_msg(w[i].odd == 0, "vCPU %d: %ld", i, (long)w[i].odd);
		if (run_audit(&m).violations) {
			print_violations(&m);
			ck_abort_msg("the audit after round %d found violations", round);
		}
	}
	printf("%u and %u calls done, %u and %u found it busy\n", w[0].done, w[1].done, w[0].busy,
	       w[1].busy);
	ck_assert_uint_gt(w[0].done + w[1].done, ROUNDS * CALLS / 4);
	m.audited = false;
	for (uint64_t number = 1; number <= w[0].last_number || number <= w[1].last_number;
	     number++)
		call(&m, NB_OP_PROCESS_DESTROY, number);
	/* All but a few slabs that are active on the other CPU. */
	ck_assert_uint_ge(must(&m, NB_OP_STATS) + 16, frames);
	stop_machine(&m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("machine_process_smp");
	TCase *tests = tcase_create("smp");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_set_timeout(tests, 100);
	tcase_add_test(tests, two_vcpus_on_the_same_processes);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
