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
 * TLB: a small one chooses the place by some bits of the address alone. So each round of a test has
 * an address of its own.
 */
#define WINDOW(round) (VMALLOC_START + (1ull << 40) + 0x555000 + (uint64_t)(round)*0x11000)
#define MARK          0x6d61726bull
#define ROUNDS        200

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

static uint64_t host_word(uint64_t address)
{
	uint64_t word;

	inspect_refresh(machine.inspector);
	ck_assert(inspect_u64(machine.inspector, address, &word));
	return word;
}

enum step { LOAD_OLD, FREE, TAKE_FRAME, SKIP, PURGE, ALLOCATE, LOAD_NEW, NR_STEPS };

/*
 * Frees the page at @address, marked before, and has a zeroed one there with another frame. Returns
 * what the guest reads there in the end.
 */
static uint64_t reuse(uint64_t address, uint64_t skip_flushes)
{
	struct nb_submission steps[NR_STEPS] = {
		[LOAD_OLD] = {.opcode = NB_OP_PROBE, .arg = {0, address}},
		[FREE] = {.opcode = NB_OP_VFREE, .arg = {address}},
		/* The frame freed last, which the CPU hands out first. */
		[TAKE_FRAME] = {.opcode = NB_OP_ALLOC_PAGES, .arg = {0, GFP_KERNEL, (uint64_t)-1}},
		[SKIP] = {.opcode = NB_OP_TEST_SKIP_FLUSH, .arg = {skip_flushes}},
		[PURGE] = {.opcode = NB_OP_PURGE},
		[ALLOCATE] = {.opcode = NB_OP_VMALLOC,
			      .arg = {PAGE_SIZE, 1, address, VMALLOC_END, GFP_KERNEL | __GFP_ZERO,
				      PAGE_KERNEL, VM_ALLOC, (uint64_t)-1}},
		[LOAD_NEW] = {.opcode = NB_OP_PROBE, .arg = {0, address}},
	};
	struct nb_completion answers[NR_STEPS];
	uint64_t mark = MARK;

	ck_assert_int_eq(guest_write(machine.guest, gva_make(address), &mark, sizeof(mark)), 0);
	ck_assert_int_eq(guest_call_batch(machine.guest, 0, steps, NR_STEPS, answers, NULL), 0);
	for (int i = 0; i < NR_STEPS; i++)
		ck_assert_msg(answers[i].status == 0, "step %d: %ld", i, (long)answers[i].status);
	ck_assert_uint_eq(answers[LOAD_OLD].result[0], MARK);
	ck_assert_uint_eq(answers[ALLOCATE].result[0], address);
	ck_assert_uint_eq(host_word(address), 0);
	must(&machine, NB_OP_FREE_PAGES, answers[TAKE_FRAME].result[0], 0);
	return answers[LOAD_NEW].result[0];
}

/* Has a page at @address, and another frame there after reuse(). */
static uint64_t round_at(uint64_t address, uint64_t skip_flushes)
{
	uint64_t word;

	ck_assert_uint_eq(allocate(&machine, 1, address, 0), address);
	word = reuse(address, skip_flushes);
	/* The next round gets the same frames: a new one would leave the guest and flush. */
	must(&machine, NB_OP_VFREE, address);
	must(&machine, NB_OP_PURGE);
	return word;
}

START_TEST(a_guest_that_flushes_reads_the_new_frame)
{
	for (int round = 0; round < ROUNDS / 4; round++)
		ck_assert_uint_eq(round_at(WINDOW(round), 0), 0);
}
END_TEST

/* What the guest read at an address, told to the auditor as its prober would. */
struct told {
	uint64_t address, word;
};

static int tell(void *context, unsigned int vcpu, const uint64_t *gva, size_t count,
		struct audit_word *words_out)
{
	const struct told *told = context;

	(void)vcpu;
	for (size_t i = 0; i < count; i++) {
		ck_assert(inspect_u64(machine.inspector, gva[i], &words_out[i].value));
		words_out[i].loaded = true;
		if (gva[i] == told->address)
			words_out[i].value = told->word;
	}
	return 0;
}

static bool named(uint64_t address)
{
	for (size_t i = 0; i < audit_violation_count(machine.audit); i++) {
		const struct audit_violation *violation = audit_violation_at(machine.audit, i);

		if (violation->check == AUDIT_TLB && violation->address == address &&
		    violation->found == MARK && violation->expected == 0)
			return true;
	}
	return false;
}

START_TEST(a_guest_that_skips_a_flush_is_caught)
{
	const char *lab = getenv("NESTBOX_LAB");
	struct told told = {0, 0};
	const struct audit_prober prober = {&told, 1, tell};
	int round;

	/* An interrupt of the lab's own in the middle flushes too. */
	for (round = 0; round < ROUNDS && told.word != MARK; round++) {
		told.address = WINDOW(round);
		told.word = round_at(told.address, 1);
	}
	if (!lab) {
		printf("not a lab: %s\n", told.word == MARK ? "caught" : "no translation was kept");
		return;
	}
	ck_assert_msg(told.word == MARK, "no stale translation in %d rounds", ROUNDS);
	printf("caught in round %d\n", round);
	ck_assert_uint_eq(allocate(&machine, 1, told.address, 0), told.address);
	audit_probe_with(machine.audit, &prober);
	ck_assert_uint_eq(run_audit(&machine).check_violations[AUDIT_TLB], 1);
	ck_assert(named(told.address));
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
