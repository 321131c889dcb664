/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty tracking against a KVM played by this program, which keeps a bitmap for each slot (or
 * fills a ring), and a naive array of stamps.
 */
#include "tests/ept/dirty_machine.h"

/* ---- against a naive array ---- */

struct naive {
	uint32_t stamps[SLOT_PAGES]; /* as a collect would show them now */
	bool pending[SLOT_PAGES];    /* written by the guest, not collected */
	uint64_t pages;
};

static int compare_range(void *context, gpa_t start, gpa_t end)
{
	uint8_t *seen = context;
	uint64_t at;

	if (end.value <= start.value)
		ck_abort_msg("an empty range");
	for (at = start.value; at < end.value; at += PAGE)
		seen[at / PAGE] = 1;
	return 0;
}

static void must_agree(const struct machine *machine, const struct naive *naive, uint32_t since)
{
	static uint8_t seen[64 * 1024];
	uint64_t base = machine->ram->start.value / PAGE, i;

	memset(seen, 0, sizeof(seen));
	ck_assert_int_eq(dirty_for_each(machine->tracker, machine->ram, since, compare_range, seen),
			 0);
	for (i = 0; i < naive->pages; i++)
		if (seen[base + i] != (naive->stamps[i] >= since && naive->stamps[i] > 0))
			ck_abort_msg("page %llu: stamp %u, since %u, seen %u",
				     (unsigned long long)i, naive->stamps[i], since,
				     seen[base + i]);
	for (i = 0; i < sizeof(seen); i++)
		if (seen[i] && (i < base || i >= base + naive->pages))
			ck_abort_msg("a page outside the region");
}

static void naive_collect(struct naive *naive, uint32_t epoch)
{
	uint64_t i;

	for (i = 0; i < naive->pages; i++) {
		if (naive->pending[i])
			naive->stamps[i] = epoch;
		naive->pending[i] = false;
	}
}

static void random_step(struct machine *machine, struct naive *naive, uint64_t *random)
{
	uint32_t epoch = dirty_epoch(machine->tracker);
	uint64_t page = random_below(random, naive->pages);

	switch (random_below(random, 12)) {
	case 0:
		ck_assert_int_eq(dirty_advance(machine->tracker, 0, &error), 0);
		naive_collect(naive, epoch);
		return;
	case 1:
		collect(machine);
		naive_collect(naive, epoch);
		return;
	case 2:
		ck_assert_int_eq(gpa_space_write(machine->space,
						 gpa_add(machine->ram->start, page * PAGE + 100),
						 "x", 1),
				 0);
		naive->stamps[page] = epoch;
		return;
	default:
		guest_writes(machine->ram->start.value + page * PAGE);
		naive->pending[page] = true;
	}
}

START_TEST(agrees_with_a_naive_array)
{
	uint64_t random = random_seed("dirty");
	struct naive naive = {.pages = 300};
	struct machine machine;
	int i;

	fake_no_manual = _i == 1;
	setup(&machine, DIRTY_BITMAP, naive.pages);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	for (i = 0; i < 6000; i++) {
		random_step(&machine, &naive, &random);
		must_agree(&machine, &naive,
			   (uint32_t)random_below(&random, dirty_epoch(machine.tracker) + 2));
	}
	teardown(&machine);
}
END_TEST

START_TEST(the_ring_is_read_round_and_round)
{
	struct machine machine;
	uint64_t i, round;

	setup(&machine, DIRTY_RING, 300);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	for (round = 1; round < 10; round++) {
		for (i = 0; i < RING_ENTRIES - round; i++)
			guest_writes(machine.ram->start.value + (i + round) * PAGE);
		ck_assert_uint_eq(count(&machine, dirty_epoch(machine.tracker)), 0);
		collect(&machine);
		ck_assert_uint_eq(count(&machine, dirty_epoch(machine.tracker)),
				  RING_ENTRIES - round);
		ck_assert_uint_eq(fake_resets, round);
		ck_assert_int_eq(dirty_advance(machine.tracker, 0, &error), 0);
	}
	/* Entries of a slot that is gone, or past its end, are passed over. */
	guest_writes(machine.ram->start.value);
	fake_ring[(fake_ring_next - 1) % RING_ENTRIES].offset = 1ULL << 40;
	guest_writes(machine.ram->start.value);
	fake_ring[(fake_ring_next - 1) % RING_ENTRIES].slot = 40;
	collect(&machine);
	ck_assert_uint_eq(count(&machine, dirty_epoch(machine.tracker)), 0);
	teardown(&machine);
}
END_TEST

START_TEST(an_overrun_ring_makes_everything_dirty)
{
	struct machine machine;
	uint64_t i;

	setup(&machine, DIRTY_RING, 300);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	for (i = 0; i < RING_ENTRIES; i++)
		guest_writes(machine.ram->start.value + i * PAGE);
	collect(&machine);
	ck_assert_uint_eq(count(&machine, dirty_epoch(machine.tracker)), 300);
	teardown(&machine);
}
END_TEST

START_TEST(a_reader_that_dies_loses_nothing)
{
	struct machine machine;
	uint32_t epoch;

	setup(&machine, DIRTY_BITMAP, 200);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	epoch = dirty_epoch(machine.tracker);
	guest_writes(machine.ram->start.value + 7 * PAGE);
	/* KVM fails to read, then to clear: the page is still seen later. */
	fake_get_error = EFAULT;
	ck_assert_int_eq(dirty_collect(machine.tracker, &error), -EFAULT);
	ck_assert_int_eq(dirty_advance(machine.tracker, 1, &error), -EFAULT);
	ck_assert_uint_eq(dirty_epoch(machine.tracker), epoch);
	fake_get_error = 0;
	fake_clear_error = EFAULT;
	ck_assert_int_eq(dirty_collect(machine.tracker, &error), -EFAULT);
	fake_clear_error = 0;
	collect(&machine);
	/* Two readers, one after the other, see the same. */
	ck_assert_uint_eq(count(&machine, epoch), 1);
	ck_assert_uint_eq(count(&machine, epoch), 1);
	ck_assert_int_eq(dirty_advance(machine.tracker, 1, &error), 0);
	ck_assert_uint_eq(count(&machine, epoch), 1);
	ck_assert_uint_eq(count(&machine, epoch + 1), 0);
	teardown(&machine);
}
END_TEST

START_TEST(tracking_goes_on_and_off)
{
	struct machine machine;

	setup(&machine, DIRTY_BITMAP, 200);
	ck_assert_int_eq(dirty_stop(machine.tracker, machine.ram, &error), -ENOENT);
	ck_assert_int_eq(dirty_for_each(machine.tracker, machine.ram, 0, compare_range, NULL),
			 -ENOENT);
	guest_writes(machine.ram->start.value);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), -EALREADY);
	guest_writes(machine.ram->start.value + PAGE);
	ck_assert_int_eq(dirty_stop(machine.tracker, machine.ram, &error), 0);
	ck_assert_uint_eq(count(&machine, 0), 1);
	ck_assert(!kvm_slots_find(machine.slots, machine.ram->start)->dirty_log);
	ck_assert_int_eq(gpa_space_write(machine.space, machine.ram->start, "x", 1), 0);
	ck_assert_uint_eq(count(&machine, 0), 1);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	ck_assert_uint_eq(count(&machine, 0), 0);
	ck_assert_int_eq(gpa_space_remove(machine.space, machine.ram, &error), 0);
	collect(&machine);
	teardown(&machine);
}
END_TEST

START_TEST(the_rate_has_mean_and_deviation)
{
	static const unsigned int pages[] = {2, 4, 4, 4, 5, 5, 7, 9};
	struct dirty_rate rate;
	struct machine machine;
	unsigned int i, page;

	setup(&machine, DIRTY_BITMAP, 200);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	for (i = 0; i < 8; i++) {
		for (page = 0; page < pages[i]; page++) {
			guest_writes(machine.ram->start.value + page * PAGE);
			/* The VMM writes the same page: it counts once. */
			(void)gpa_space_write(machine.space,
					      gpa_add(machine.ram->start, page * PAGE), "x", 1);
		}
		ck_assert_int_eq(dirty_advance(machine.tracker, 0.5, &error), 0);
	}
	dirty_rate(machine.tracker, &rate);
	ck_assert_uint_eq(rate.epochs, 8);
	ck_assert_double_eq_tol(rate.mean_pages, 10, 1e-9);
	ck_assert_double_eq_tol(rate.deviation_pages, 2 * sqrt(32.0 / 7), 1e-9);
	ck_assert_double_eq_tol(rate.last_pages, 18, 1e-9);
	/* The working set of the last three epochs. */
	ck_assert_uint_eq(count(&machine, dirty_epoch(machine.tracker) - 3), 9);
	teardown(&machine);
}
END_TEST

START_TEST(bad_rings_are_refused_with_words)
{
	struct dirty_tracker *tracker = NULL;
	struct machine machine;

	setup(&machine, DIRTY_BITMAP, 10);
	ck_assert_int_eq(dirty_add_vcpu(machine.tracker, machine.vcpu_fd, &error), -EINVAL);
	ck_assert_int_eq(dirty_create(VM_FD, machine.space, machine.slots, DIRTY_RING, 300,
				      &tracker, &error),
			 -EINVAL);
	ck_assert_msg(strstr(error.text, "power of two up to 65536"), "%s", error.text);
	ck_assert_int_eq(dirty_create(VM_FD, machine.space, machine.slots, DIRTY_RING, 128,
				      &tracker, &error),
			 -EINVAL);
	ck_assert_msg(strstr(error.text, "before the first vCPU"), "%s", error.text);
	fake_pvm = true;
	ck_assert_int_eq(
		dirty_create(VM_FD, machine.space, machine.slots, DIRTY_RING, 0, &tracker, &error),
		-EOPNOTSUPP);
	fake_pvm = false;
	fake_no_ring = true;
	ck_assert_int_eq(
		dirty_create(VM_FD, machine.space, machine.slots, DIRTY_RING, 0, &tracker, &error),
		-EOPNOTSUPP);
	ck_assert_ptr_null(tracker);
	teardown(&machine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dirty");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, agrees_with_a_naive_array, 0, 2);
	tcase_add_test(tcase, the_ring_is_read_round_and_round);
	tcase_add_test(tcase, an_overrun_ring_makes_everything_dirty);
	tcase_add_test(tcase, a_reader_that_dies_loses_nothing);
	tcase_add_test(tcase, tracking_goes_on_and_off);
	tcase_add_test(tcase, the_rate_has_mean_and_deviation);
	tcase_add_test(tcase, bad_rings_are_refused_with_words);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
