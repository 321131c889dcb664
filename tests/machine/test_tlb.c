/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translations that should be gone, on a real guest. In one batch, so that nothing but the guest
 * itself flushes, a page is loaded, freed, purged, allocated again at the same address with another
 * frame, and loaded: a guest that skips the flush reads the old frame, and the auditor says so.
 *
 * Where the host's KVM emulates CPL 0 (kvm_pvm), every load walks the guest's tables anew, and
 * nothing can be stale; there only the guest that flushes is judged.
 */
#include "tests/machine/process_machine.h"

/*
 * Where the frames' struct pages and what else the guest touches meanwhile have other places in a
 * TLB: small ones, as Bochs's, choose the place by some bits of the address alone.
 */
#define WINDOW (VMALLOC_START + (1ull << 40) + 0x555000)
#define MARK   0x6d61726bull
#define ROUNDS 50

static struct process_machine machine;

static void setup(void)
{
	start_machine(&machine, 1);
	machine.audited = false;
}

static void teardown(void)
{
	stop_machine(&machine);
}

static uint64_t host_word(void)
{
	uint64_t word;

	inspect_refresh(machine.inspector);
	ck_assert(inspect_u64(machine.inspector, WINDOW, &word));
	return word;
}

enum step { LOAD_OLD, FREE, TAKE_FRAME, SKIP, PURGE, ALLOCATE, LOAD_NEW, NR_STEPS };

/*
 * Frees the page at WINDOW, marked before, and has a zeroed one there with another frame. Returns
 * what the guest reads there in the end.
 */
static uint64_t reuse(uint64_t skip_flushes)
{
	struct nb_submission steps[NR_STEPS] = {
		[LOAD_OLD] = {.opcode = NB_OP_PROBE, .arg = {0, WINDOW}},
		[FREE] = {.opcode = NB_OP_VFREE, .arg = {WINDOW}},
		/* The frame freed last, which the CPU hands out first. */
		[TAKE_FRAME] = {.opcode = NB_OP_ALLOC_PAGES, .arg = {0, GFP_KERNEL, (uint64_t)-1}},
		[SKIP] = {.opcode = NB_OP_TEST_SKIP_FLUSH, .arg = {skip_flushes}},
		[PURGE] = {.opcode = NB_OP_PURGE},
		[ALLOCATE] = {.opcode = NB_OP_VMALLOC,
			      .arg = {PAGE_SIZE, 1, WINDOW, VMALLOC_END, GFP_KERNEL | __GFP_ZERO,
				      PAGE_KERNEL, VM_ALLOC, (uint64_t)-1}},
		[LOAD_NEW] = {.opcode = NB_OP_PROBE, .arg = {0, WINDOW}},
	};
	struct nb_completion answers[NR_STEPS];
	uint64_t mark = MARK;

	ck_assert_int_eq(guest_write(machine.guest, gva_make(WINDOW), &mark, sizeof(mark)), 0);
	ck_assert_int_eq(guest_call_batch(machine.guest, 0, steps, NR_STEPS, answers, NULL), 0);
	for (int i = 0; i < NR_STEPS; i++)
		ck_assert_msg(answers[i].status == 0, "step %d: %ld", i, (long)answers[i].status);
	ck_assert_uint_eq(answers[LOAD_OLD].result[0], MARK);
	ck_assert_uint_eq(answers[ALLOCATE].result[0], WINDOW);
	ck_assert_uint_eq(host_word(), 0);
	must(&machine, NB_OP_FREE_PAGES, answers[TAKE_FRAME].result[0], 0);
	return answers[LOAD_NEW].result[0];
}

START_TEST(a_guest_that_flushes_reads_the_new_frame)
{
	ck_assert_uint_eq(allocate(&machine, 1, WINDOW, 0), WINDOW);
	for (int round = 0; round < ROUNDS; round++)
		ck_assert_uint_eq(reuse(0), 0);
}
END_TEST

/* What the guest read at WINDOW, told to the auditor as its prober would. */
static int tell(void *context, unsigned int vcpu, const uint64_t *gva, size_t count,
		struct audit_word *words_out)
{
	const uint64_t *read = context;

	(void)vcpu;
	for (size_t i = 0; i < count; i++) {
		ck_assert(inspect_u64(machine.inspector, gva[i], &words_out[i].value));
		words_out[i].loaded = true;
		if (gva[i] == WINDOW)
			words_out[i].value = *read;
	}
	return 0;
}

static bool named(void)
{
	for (size_t i = 0; i < audit_violation_count(machine.audit); i++) {
		const struct audit_violation *violation = audit_violation_at(machine.audit, i);

		if (violation->check == AUDIT_TLB && violation->address == WINDOW &&
		    violation->found == MARK && violation->expected == 0)
			return true;
	}
	return false;
}

START_TEST(a_guest_that_skips_a_flush_is_caught)
{
	const char *lab = getenv("NESTBOX_LAB");
	uint64_t read = 0;
	const struct audit_prober prober = {&read, 1, tell};
	int round;

	ck_assert_uint_eq(allocate(&machine, 1, WINDOW, 0), WINDOW);
	/* An interrupt of the lab's own in the middle flushes too. */
	for (round = 0; round < ROUNDS && read != MARK; round++)
		read = reuse(1);
	if (!lab) {
		printf("not a lab: %s\n", read == MARK ? "caught" : "no translation was kept");
		return;
	}
	ck_assert_msg(read == MARK, "no stale translation in %d rounds", ROUNDS);
	printf("caught in round %d\n", round);
	audit_probe_with(machine.audit, &prober);
	ck_assert_uint_eq(run_audit(&machine).check_violations[AUDIT_TLB], 1);
	ck_assert(named());
	audit_probe_with(machine.audit, &(const struct audit_prober){0});
}
END_TEST

static Suite *tlb_suite(void)
{
	Suite *suite = suite_create("machine_tlb");
	TCase *tcase = tcase_create("stale");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_guest_that_flushes_reads_the_new_frame);
	tcase_add_test(tcase, a_guest_that_skips_a_flush_is_caught);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	int status = harness_need_kvm();

	return status ? status : harness_run(tlb_suite());
}
