/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soft engine against the kernel's KVM: the guest stepped on both, instruction by instruction,
 * over its boot, one of each kind of hypercall and the beginning of each trace, all registers
 * compared after each; then the rest of the trace, and all of memory at its end.
 *
 * NESTBOX_LOCKSTEP_STEPS is how many instructions of each are stepped. Needs kvm_intel or kvm_amd.
 */
#include <stdlib.h>
#include <string.h>

#include "ept/kvm_fd.h"
#include "tests/harness.h"
#include "tests/machine/lockstep.h"
#include "vmm/replay/replay.h"

#define STEPS_DEFAULT 1000
#define MEMORY_BYTES  (64ull << 20)
/* Words that hold a time stamp or what was worked out of one; 3 were seen. */
#define STAMPS_MAX 8

static uint64_t steps = STEPS_DEFAULT;
static struct lockstep pair;

static void boot(uint64_t memory_bytes)
{
	const struct nb_submission nop = {.opcode = NB_OP_NOP, .arg = {7}};
	struct nb_completion answer;

	lockstep_open(&pair, memory_bytes);
	lockstep_call(&pair, &nop, 1, steps, &answer);
	ck_assert_int_eq(answer.status, 0);
	ck_assert_uint_eq(answer.result[0], 7);
}

/* ---- hypercalls ---- */

/* An argument that is result 0 of row @row of the table. */
#define OF(row) (0xabc0000000000000ull | (row))

struct row {
	uint16_t opcode;
	bool refused;
	uint64_t arg[10];
};

#define VMALLOC_ARGS(bytes)                                                                  \
	{                                                                                    \
		(bytes), 1, NB_VMALLOC_START, NB_VMALLOC_END, NB_GFP_KERNEL, NB_PAGE_KERNEL, \
			NB_VM_ALLOC, (uint64_t)-1                                            \
	}

static const struct row rows[] = {
	/* 0 */ {NB_OP_VMALLOC, false, VMALLOC_ARGS(3 * 4096)},
	/* 1 */ {NB_OP_VMALLOC_TO_PAGE, false, {OF(0)}},
	/* 2 */ {NB_OP_FIND_VM_AREA, false, {OF(0)}},
	/* 3 */ {NB_OP_VREAD, false, {OF(0), 5000, 0}},
	/* 4 */ {NB_OP_VWRITE, false, {OF(0), 5000, 0}},
	/* 5 */ {NB_OP_PROBE, false, {0, OF(0)}},
	/* 6 */ {NB_OP_VFREE, false, {OF(0)}},
	/* 7 */ {NB_OP_GET_VM_AREA, false, VMALLOC_ARGS(4096)},
	/* 8 */ {NB_OP_VMALLOC_AREA, false, {OF(7), NB_GFP_KERNEL, NB_PAGE_KERNEL, (uint64_t)-1}},
	/* 9 */ {NB_OP_REMOVE_VM_AREA, false, {OF(7)}},
	/* 10 */ {NB_OP_GET_VM_AREA_WINDOW, false, {4096, NB_VM_MAP, 0, 0}},
	/* 11 */ {NB_OP_FREE_VM_AREA, false, {OF(10)}},
	/* 12 */ {NB_OP_ALLOC_PAGES, false, {0, NB_GFP_KERNEL, (uint64_t)-1}},
	/* 13 */ {NB_OP_FREE_PAGES, false, {OF(12), 0}},
	/* 14 */ {NB_OP_KMALLOC, false, {100, NB_GFP_KERNEL, (uint64_t)-1}},
	/* 15 */ {NB_OP_KFREE, false, {OF(14)}},
	/* 16 */ {NB_OP_VMALLOC_CALL, false, {NB_VMALLOC_USER, 8192}},
	/* 17 */ {NB_OP_PROCESS_CREATE, false, {0}},
	/* 18 */ {NB_OP_VMA_CREATE, false, {OF(17), 0x400000, 0x402000, NB_VM_READ | NB_VM_WRITE}},
	/* 19 */ {NB_OP_REMAP_VMALLOC_RANGE, false, {OF(17), 0x400000, OF(16), 0}},
	/* 20 */ {NB_OP_VMA_DESTROY, false, {OF(17), 0x400000}},
	/* 21 */ {NB_OP_PROCESS_DESTROY, false, {OF(17)}},
	/* 22 */ {NB_OP_VFREE, false, {OF(16)}},
	/* 23 */ {NB_OP_VMALLOC_SYNC_ALL, false, {0}},
	/* 24 */ {NB_OP_ALLOC_VM_AREA, false, {8192}},
	/* 25 */ {NB_OP_UNMAP_KERNEL_RANGE, false, {OF(24), 4096}},
	/* 26 */ {NB_OP_FREE_VM_AREA, false, {OF(24)}},
	/* 27 */ {NB_OP_PURGE, false, {0}},
	/* 28 */ {NB_OP_STATS, false, {0}},
	/* 29 */ {NB_OP_SET_MODE, false, {NB_MODE_EAGER}},
	/* 30 */ {NB_OP_SET_FAULT, false, {NB_FAULT_FRAME, 0}},
	/* 31 */ {NB_OP_CACHE_FLUSHES, false, {0}},
	/* 32 */ {NB_OP_VMALLOC, true, VMALLOC_ARGS(0)},
	/* 33 */ {0xfff, true, {0}},
	/* 34 */ {NB_OP_BENCH, false, {NB_BENCH_RANDOM_SIZE, 3, 0, 1, 0}},
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

START_TEST(each_hypercall)
{
	uint64_t result[NR_ROWS];

	boot(MEMORY_BYTES);
	for (size_t i = 0; i < NR_ROWS; i++) {
		struct nb_submission call = {.opcode = rows[i].opcode};
		struct nb_completion answer;

		for (unsigned int a = 0; a < 10; a++) {
			uint64_t arg = rows[i].arg[a];

			call.arg[a] = arg >> 16 == OF(0) >> 16 ? result[arg & 0xffff] : arg;
		}
		lockstep_call(&pair, &call, 1, steps, &answer);
		printf("row %zu: status %lld, %llu steps so far\n", i, (long long)answer.status,
		       (unsigned long long)pair.steps);
		ck_assert_msg((answer.status != 0) == rows[i].refused, "row %zu: %lld", i,
			      (long long)answer.status);
		result[i] = answer.result[0];
	}
	lockstep_compare_memory(&pair, STAMPS_MAX);
	printf("%llu instructions in lockstep, %llu steps lost\n", (unsigned long long)pair.steps,
	       (unsigned long long)pair.lost);
	lockstep_close(&pair);
}
END_TEST

/* ---- traces ---- */

static void fill(const struct replay_request *request, struct nb_submission *call)
{
	bool map = request->type == REPLAY_MAP;

	*call = (struct nb_submission){.arg = {request->address}};
	switch (request->type) {
	case REPLAY_MAP:
	case REPLAY_RESERVE:
		*call = (struct nb_submission){
			.opcode = map ? NB_OP_VMALLOC : NB_OP_GET_VM_AREA,
			.arg = {request->va_bytes - (map ? 4096 : 0), request->align,
				request->vstart, request->vend, NB_GFP_KERNEL, NB_PAGE_KERNEL,
				map ? NB_VM_ALLOC : NB_VM_MAP | NB_VM_NO_GUARD, (uint64_t)-1},
		};
		return;
	case REPLAY_FREE:
		call->opcode = request->mapped ? NB_OP_VFREE : NB_OP_FREE_VM_AREA;
		return;
	case REPLAY_RELEASE:
		call->opcode = NB_OP_RELEASE;
		return;
	default:
		*call = (struct nb_submission){.opcode = NB_OP_PURGE};
	}
}

static int do_both(void *context, const struct replay_request *requests, size_t count,
		   struct replay_result *results, struct input_error *error)
{
	uint64_t *stepped = context, before = pair.steps;
	struct nb_submission calls[NB_RING_ENTRIES] = {0};
	struct nb_completion answers[NB_RING_ENTRIES];

	(void)error;
	for (size_t i = 0; i < count; i++)
		fill(&requests[i], &calls[i]);
	lockstep_call(&pair, calls, (uint32_t)count, *stepped < steps ? steps - *stepped : 0,
		      answers);
	*stepped += pair.steps - before;
	for (size_t i = 0; i < count; i++)
		results[i] = (struct replay_result){
			.status = (int)answers[i].status,
			.address = answers[i].status ? 0 : answers[i].result[0],
		};
	return 0;
}

static int no_areas(void *context, struct replay_final_area **areas_out, size_t *count_out,
		    struct input_error *error)
{
	(void)context;
	(void)error;
	*areas_out = NULL;
	*count_out = 0;
	return 0;
}

static const char *const traces[] = {"fork-1cpu", "modules-2cpu", "mixed-2cpu"};

START_TEST(a_trace)
{
	uint64_t stepped = 0;
	struct replay_executor executor = {.context = &stepped,
					   .max_batch = NB_RING_ENTRIES,
					   .submit = do_both,
					   .final_areas = no_areas};
	struct replay_options options = {.audit = REPLAY_AUDIT_NONE};
	const char *top = getenv("top_srcdir");
	struct replay_outcome outcome;
	struct replay_plan plan = {0};
	struct vmallocinfo begin = {0};
	struct ftrace_info info;
	struct input_error error;
	char path[512];

	snprintf(path, sizeof(path), "%s/tests/data/%s/vmallocinfo.begin", top ? top : "..",
		 traces[_i]);
	ck_assert_msg(vmallocinfo_read(path, &begin, &error) == 0, "%s", error.text);
	snprintf(path, sizeof(path), "%s/tests/data/%s/trace", top ? top : "..", traces[_i]);
	ck_assert_msg(replay_plan_read(path, &begin, &plan, &info, &error) == 0, "%s", error.text);
	boot(8 * MEMORY_BYTES);
	ck_assert_msg(replay_run(&plan, &executor, &options, &outcome, &error) == 0, "%s",
		      error.text);
	lockstep_compare_memory(&pair, STAMPS_MAX);
	printf("%s: %llu operations, %llu failed, %llu of their instructions in lockstep\n",
	       traces[_i], (unsigned long long)outcome.operations,
	       (unsigned long long)outcome.failed, (unsigned long long)stepped);
	ck_assert_uint_gt(outcome.operations, outcome.failed * 2);
	replay_outcome_free(&outcome);
	replay_plan_free(&plan);
	vmallocinfo_free(&begin);
	lockstep_close(&pair);
}
END_TEST

/* A KVM that can step: one with a second stage of the processor's. */
static bool can_step(void)
{
	const char *lab = getenv("NESTBOX_LAB");
	struct kvm_host host;
	struct error error;
	int fd, err;

	if (lab && !strcmp(lab, "ept")) {
		fprintf(stderr, "SKIPPED: the steps of lab ept's KVM are not understood yet\n");
		return false;
	}
	if (kvm_open(KVM_HOST, &fd, &error) != 0) {
		fprintf(stderr, "SKIPPED: %s\n", error.text);
		return false;
	}
	err = kvm_host_probe(fd, "/sys", &host, &error);
	kvm_close(fd);
	if (!err && !host.emulates_cpl0)
		return true;
	fprintf(stderr,
		"SKIPPED: this KVM emulates the guest; scripts/lab has one that does not\n");
	return false;
}

int main(void)
{
	const char *text = getenv("NESTBOX_LOCKSTEP_STEPS");
	Suite *suite = suite_create("lockstep");
	TCase *tcase = tcase_create("lockstep");

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!can_step())
		return EXIT_SKIPPED;
	if (text && *text)
		steps = strtoull(text, NULL, 10);
	tcase_set_timeout(tcase, 0);
	tcase_add_test(tcase, each_hypercall);
	tcase_add_loop_test(tcase, a_trace, 0, sizeof(traces) / sizeof(traces[0]));
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
