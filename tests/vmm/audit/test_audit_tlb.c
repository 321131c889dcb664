/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The check "tlb" on the simulated core: flushes that the core did are enough, flushes that are
 * not in its ledger are missed, and what the ledger no longer knows is not judged.
 */
#include "tests/harness.h"

#include "tests/vmm/inspect/core_mix.h"

#define WINDOW (VMALLOC_START + (1ull << 40))
#define PAGES  4ull

static struct mix *mix;

static void setup(void)
{
	mix = mix_create();
}

static void teardown(void)
{
	mix_destroy(mix);
}

/* Allocates at WINDOW, always there. */
static u64 allocate(void)
{
	const struct vmalloc_request request = {.size = PAGES * PAGE_SIZE,
						.align = 1,
						.start = WINDOW,
						.end = WINDOW + (PAGES + 1) * PAGE_SIZE,
						.prot = PAGE_KERNEL,
						.gfp = GFP_KERNEL,
						.node = -1};
	u64 address;

	ck_assert_int_eq(vmalloc_node_range(mix->mm, &request, &address), 0);
	ck_assert_uint_eq(address, WINDOW);
	return address;
}

/* Allocates where the frames freed last, which a CPU hands out first, are somebody else's. */
static void reuse_frames(void)
{
	struct page *taken[2 * PAGES];

	for (u64 i = 0; i < 2 * PAGES; i++) {
		taken[i] = alloc_pages(mix->mm, GFP_KERNEL, 0, NUMA_NO_NODE, PAGE_OTHER, NULL);
		ck_assert_ptr_nonnull(taken[i]);
	}
	allocate();
	for (u64 i = 0; i < 2 * PAGES; i++)
		free_pages(mix->mm, taken[i], 0);
}

/* Frees the address and has other frames there afterwards. */
static void reuse_address(void)
{
	const u64 phys = mix_phys(mix, mix_page(mix, WINDOW));

	ck_assert_int_eq(vfree(mix->mm, WINDOW), 0);
	vmap_purge(mix->mm);
	reuse_frames();
	ck_assert_uint_ne(mix_phys(mix, mix_page(mix, WINDOW)), phys);
}

static struct audit_result audit(void)
{
	core_source_refresh(mix->source);
	return mix_audit(mix);
}

/* As if the core had never done its last @count flushes: the ledger does not have them. */
static void forget_flushes(u64 count)
{
	struct flush_ledger *ledger = &mix->mm->flushes;

	while (count--)
		ledger->record[--ledger->nr % NR_FLUSH_RECORDS] = (struct flush_record){0, 0};
}

static void must_be_right(void)
{
	if (audit().violations)
		mix_print(mix);
	ck_assert_uint_eq(audit_total_violations(mix->audit), 0);
}

START_TEST(an_address_used_again_after_its_flush_is_right)
{
	allocate();
	must_be_right();
	reuse_address();
	must_be_right();
	/* And in one go with the audit between free and purge. */
	ck_assert_int_eq(vfree(mix->mm, WINDOW), 0);
	must_be_right();
	vmap_purge(mix->mm);
	must_be_right();
}
END_TEST

START_TEST(an_address_used_again_without_a_flush_is_found)
{
	struct audit_result result;

	allocate();
	must_be_right();
	reuse_address();
	forget_flushes(1);
	result = audit();
	ck_assert_uint_eq(result.check_violations[AUDIT_TLB], PAGES);
	ck_assert_uint_eq(result.violations, PAGES);
	for (u64 i = 0; i < PAGES; i++)
		ck_assert(mix_has(mix, AUDIT_TLB, WINDOW + i * PAGE_SIZE,
				  "maps another frame and was not flushed"));
	/* Said once: from now on the new frames are what a TLB may know. */
	ck_assert_uint_eq(audit().violations, 0);
}
END_TEST

START_TEST(a_page_is_remembered_until_its_flush)
{
	allocate();
	must_be_right();
	ck_assert_int_eq(vfree(mix->mm, WINDOW), 0);
	vmap_purge(mix->mm);
	forget_flushes(1);
	/* The page is gone and no flush is known: no harm is done yet. */
	must_be_right();
	must_be_right();
	reuse_frames();
	ck_assert_uint_eq(audit().check_violations[AUDIT_TLB], PAGES);
}
END_TEST

START_TEST(a_flush_of_another_range_is_not_enough)
{
	struct flush_ledger *ledger = &mix->mm->flushes;
	struct flush_record *last;

	allocate();
	must_be_right();
	reuse_address();
	last = &ledger->record[(ledger->nr - 1) % NR_FLUSH_RECORDS];
	ck_assert_uint_le(last->start, WINDOW);
	last->end = WINDOW + PAGE_SIZE;
	ck_assert_uint_eq(audit().check_violations[AUDIT_TLB], PAGES - 1);
	ck_assert(!mix_has(mix, AUDIT_TLB, WINDOW, ""));
	ck_assert(mix_has(mix, AUDIT_TLB, WINDOW + PAGE_SIZE, ""));
}
END_TEST

START_TEST(eager_flushing_is_held_to_its_word)
{
	vmap_set_mode(mix->mm, VMAP_EAGER);
	allocate();
	must_be_right();
	ck_assert_int_eq(vfree(mix->mm, WINDOW), 0);
	must_be_right();
	allocate();
	must_be_right();
	ck_assert_int_eq(vfree(mix->mm, WINDOW), 0);
	forget_flushes(1);
	ck_assert_uint_eq(audit().check_violations[AUDIT_TLB], PAGES);
	ck_assert(mix_has(mix, AUDIT_TLB, WINDOW, "no flush covers it"));
}
END_TEST

START_TEST(what_the_ledger_no_longer_has_is_not_judged)
{
	struct flush_ledger *ledger = &mix->mm->flushes;

	allocate();
	must_be_right();
	reuse_address();
	forget_flushes(1);
	for (u64 i = 0; i < NR_FLUSH_RECORDS; i++)
		mm_flush_tlb(mix->mm, PAGE_SIZE, 2 * PAGE_SIZE);
	/* All that is kept is after the last audit and speaks of another range. */
	ck_assert_uint_eq(audit().check_violations[AUDIT_TLB], PAGES);
	reuse_address();
	forget_flushes(1);
	for (u64 i = 0; i <= NR_FLUSH_RECORDS; i++)
		mm_flush_tlb(mix->mm, PAGE_SIZE, 2 * PAGE_SIZE);
	/* One more, and the one that mattered may have been the one overwritten. */
	ck_assert_uint_eq(audit().check_violations[AUDIT_TLB], 0);
	/* A count that goes back vouches for nothing. */
	reuse_address();
	ledger->nr = 0;
	ck_assert_uint_eq(audit().check_violations[AUDIT_TLB], PAGES);
}
END_TEST

/* A PDPT of nothing but leaves of 1 GiB, all of the same: each is a quarter of a million pages. */
START_TEST(no_more_is_remembered_than_a_guest_can_map)
{
	const u64 last = WINDOW + (511ull << 30);
	u64 *entry;

	allocate();
	entry = mix_entry(mix, WINDOW, 3);
	for (u64 i = 1; i < X86_TABLE_ENTRIES; i++)
		entry[i] = 4ull << 30 | X86_PTE_P | X86_PTE_RW | X86_PTE_PS | X86_PTE_NX;
	ck_assert_uint_eq(mix_entry(mix, last, 3) - entry, 511);
	ck_assert_uint_eq(audit().check_violations[AUDIT_TLB], 1);
	/* Nor is the next audit led astray: they are all still there. */
	ck_assert_uint_eq(audit().check_violations[AUDIT_TLB], 1);
}
END_TEST

/* ---- probes ---- */

/* A guest of two CPUs that reads what the frames hold, but for one page on CPU 1. */
struct liar {
	u64 gva;     /* 0: it does not lie */
	bool faults; /* there, instead of reading another word */
	int err;     /* it ends instead */
	u64 nr_loads;
};

static int lie(void *context, unsigned int vcpu, const uint64_t *gva, size_t count,
	       struct audit_word *words_out)
{
	struct liar *liar = context;

	for (size_t i = 0; i < count && !liar->err; i++) {
		bool here = vcpu == 1 && gva[i] == liar->gva;

		ck_assert(inspect_u64(mix->source->inspector, gva[i], &words_out[i].value));
		words_out[i].loaded = !here || !liar->faults;
		words_out[i].value += here;
		liar->nr_loads++;
	}
	return liar->err;
}

static struct audit_result audit_through(struct liar *liar)
{
	const struct audit_prober prober = {liar, 2, lie};

	audit_probe_with(mix->audit, &prober);
	return audit();
}

START_TEST(every_cpu_is_probed_in_every_area)
{
	struct liar honest = {0};
	ck_assert_uint_eq(audit_through(&honest).violations, 0);
	/* All but two: mix->reserved has no frames, mix->mapped none of its own. */
	ck_assert_uint_eq(honest.nr_loads, 2 * (mix->mm->vmap.nr_busy - 2));
}
END_TEST

START_TEST(another_word_or_a_fault_is_a_stale_translation)
{
	struct liar liar = {.gva = mix->single};
	struct audit_result result = audit_through(&liar);

	ck_assert_uint_eq(result.violations, 1);
	ck_assert_uint_eq(result.check_violations[AUDIT_TLB], 1);
	ck_assert(mix_has(mix, AUDIT_TLB, mix->single, "vCPU 1 reads through it another word"));
	liar.faults = true;
	ck_assert_uint_eq(audit_through(&liar).violations, 1);
	ck_assert(mix_has(mix, AUDIT_TLB, mix->single, "vCPU 1 faults"));
}
END_TEST

/* A page of ten is probed in ten runs. */
START_TEST(every_page_has_its_turn)
{
	struct liar liar = {.gva = mix->inlined + 7 * PAGE_SIZE};
	u64 found = 0;

	for (int run = 0; run < 10; run++)
		found += audit_through(&liar).violations;
	ck_assert_uint_eq(found, 1);
}
END_TEST

START_TEST(a_guest_that_ends_meanwhile_is_said)
{
	struct liar liar = {.err = -1};

	ck_assert_uint_eq(audit_through(&liar).check_violations[AUDIT_TLB], 1);
	ck_assert(mix_has(mix, AUDIT_TLB, 0, "vCPU 0 ended"));
}
END_TEST

static Suite *audit_tlb_suite(void)
{
	Suite *suite = suite_create("audit_tlb");
	TCase *tcase = tcase_create("ledger"), *probes = tcase_create("probes");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, an_address_used_again_after_its_flush_is_right);
	tcase_add_test(tcase, an_address_used_again_without_a_flush_is_found);
	tcase_add_test(tcase, a_page_is_remembered_until_its_flush);
	tcase_add_test(tcase, a_flush_of_another_range_is_not_enough);
	tcase_add_test(tcase, eager_flushing_is_held_to_its_word);
	tcase_add_test(tcase, what_the_ledger_no_longer_has_is_not_judged);
	tcase_add_test(tcase, no_more_is_remembered_than_a_guest_can_map);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(probes, setup, teardown);
	tcase_add_test(probes, every_cpu_is_probed_in_every_area);
	tcase_add_test(probes, another_word_or_a_fault_is_a_stale_translation);
	tcase_add_test(probes, every_page_has_its_turn);
	tcase_add_test(probes, a_guest_that_ends_meanwhile_is_said);
	suite_add_tcase(suite, probes);
	return suite;
}

int main(void)
{
	return harness_run(audit_tlb_suite());
}
