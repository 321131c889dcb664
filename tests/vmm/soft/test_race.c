/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The race check: what orders two accesses and what does not, one rule a test; and random accesses
 * and locks against all that happened before, each with its whole vector clock.
 */
#include <string.h>

#include "tests/harness.h"
#include "vmm/soft/race_private.h"

#define VCPUS 6

/* Where the instructions are that do the accesses: plain ones, and one of each mark. */
#define PLAIN   0xffffffff80001000ull
#define EXEMPT  0xffffffff80001100ull
#define RELAXED 0xffffffff80001200ull
#define ACQUIRE 0xffffffff80001300ull
#define RELEASE 0xffffffff80001400ull

#define DATA   0x4000ull
#define LOCK   0x5000ull
#define SHARED 0x8000ull

static struct soft_vm vm;
static struct soft_vcpu *vcpus[VCPUS];
static uint64_t stats[SOFT_VM_STATS];

static void start(void)
{
	static const struct soft_mark marks[] = {{EXEMPT, SOFT_MARK_EXEMPT},
						 {RELAXED, SOFT_MARK_RELAXED},
						 {ACQUIRE, SOFT_MARK_ACQUIRE},
						 {RELEASE, SOFT_MARK_RELEASE}};
	const struct soft_check_config config = {
		.checks = SOFT_CHECK_RACE,
		.ram_end = 64ull << 20,
		.shared = {SHARED, SHARED + 4096},
		.code_start = PLAIN,
		.code_end = PLAIN + 4096,
		.marks = marks,
		.nr_marks = sizeof(marks) / sizeof(marks[0]),
	};

	memset(&vm, 0, sizeof(vm));
	vm.stats.values = stats;
	for (unsigned int i = 0; i < VCPUS; i++) {
		vcpus[i] = calloc(1, sizeof(*vcpus[i]));
		ck_assert_ptr_nonnull(vcpus[i]);
		vcpus[i]->id = i;
		vcpus[i]->vm = &vm;
		vm.vcpus[vm.nr_vcpus++] = vcpus[i];
	}
	ck_assert_int_eq(soft_check_attach(&vm, &config), 0);
	for (unsigned int i = 0; i < VCPUS; i++)
		soft_race_enter(vcpus[i]);
}

static void stop(void)
{
	soft_check_free(vm.check);
	for (unsigned int i = 0; i < VCPUS; i++) {
		free(vcpus[i]->finding);
		free(vcpus[i]);
	}
}

/* Whether vCPU @id's access races. */
static bool races(unsigned int id, enum soft_access access, uint64_t gpa, size_t bytes,
		  uint64_t rip)
{
	size_t part;

	vcpus[id]->cpu.rip = rip;
	vm.clock++;
	for (; bytes; bytes -= part, gpa += part) {
		struct soft_check_frame *frame = soft_check_frame(vm.check, gpa);
		struct soft_check_page *page = soft_check_page(vm.check, frame);

		part = 4096 - gpa % 4096 < bytes ? 4096 - gpa % 4096 : bytes;
		if (soft_race_access(vcpus[id], page, gpa, gpa, part, access) != SOFT_OK)
			return true;
	}
	return false;
}

#define STORE(id, gpa) races(id, SOFT_STORE, gpa, 8, PLAIN)
#define LOAD(id, gpa)  races(id, SOFT_LOAD, gpa, 8, PLAIN)

static bool lock(unsigned int id, uint64_t gpa)
{
	return races(id, SOFT_LOCKED, gpa, 4, PLAIN);
}

static bool unlock(unsigned int id, uint64_t gpa)
{
	return races(id, SOFT_STORE, gpa, 4, PLAIN);
}

/* ---- what meets ---- */

START_TEST(two_stores_race_and_both_sides_are_told)
{
	ck_assert(!races(1, SOFT_STORE, DATA + 4, 4, PLAIN + 16));
	vm.clock += 99;
	ck_assert(races(0, SOFT_LOAD, DATA, 8, PLAIN));
	ck_assert_uint_eq(vcpus[0]->finding->check, SOFT_CHECK_RACE);
	ck_assert_uint_eq(vcpus[0]->finding->gpa, DATA);
	ck_assert(!vcpus[0]->finding->write && vcpus[0]->finding->other_wrote);
	ck_assert(vcpus[0]->finding->past.known);
	ck_assert_uint_eq(vcpus[0]->finding->past.vcpu, 1);
	ck_assert_uint_eq(vcpus[0]->finding->past.instruction, 1);
	ck_assert_uint_eq(vcpus[0]->finding->past.regs.rip, PLAIN + 16);
}
END_TEST

START_TEST(a_store_races_with_each_of_many_loads)
{
	for (unsigned int i = 0; i < VCPUS - 1; i++)
		ck_assert(!LOAD(i, DATA));
	ck_assert(STORE(VCPUS - 1, DATA));
}
END_TEST

START_TEST(other_bytes_are_no_race)
{
	for (unsigned int i = 0; i < 4; i++)
		ck_assert(!races(i, SOFT_STORE, DATA + 2 * i, 2, PLAIN));
	ck_assert(!races(0, SOFT_LOAD, DATA, 2, PLAIN));
	ck_assert(races(0, SOFT_LOAD, DATA + 1, 2, PLAIN));
}
END_TEST

START_TEST(an_access_over_two_words_races_in_the_second)
{
	ck_assert(!STORE(0, DATA + 8));
	ck_assert(races(1, SOFT_LOAD, DATA + 5, 4, PLAIN));
	ck_assert_uint_eq(vcpus[1]->finding->gpa, DATA + 8);
	ck_assert_uint_eq(vcpus[1]->finding->bytes, 1);
}
END_TEST

START_TEST(the_exempt_may_do_anything)
{
	ck_assert(!STORE(0, DATA));
	ck_assert(!races(1, SOFT_LOAD, DATA, 8, EXEMPT));
}
END_TEST

/* ---- locks ---- */

START_TEST(a_lock_orders)
{
	ck_assert(!lock(0, LOCK) && !STORE(0, DATA) && !unlock(0, LOCK));
	ck_assert(!lock(1, LOCK) && !STORE(1, DATA) && !unlock(1, LOCK));
	ck_assert(!lock(2, LOCK) && !LOAD(2, DATA));
}
END_TEST

START_TEST(who_takes_no_lock_races)
{
	ck_assert(!lock(0, LOCK) && !STORE(0, DATA) && !unlock(0, LOCK));
	ck_assert(LOAD(1, DATA));
}
END_TEST

START_TEST(what_follows_the_unlock_is_not_ordered)
{
	ck_assert(!lock(0, LOCK) && !unlock(0, LOCK) && !STORE(0, DATA));
	ck_assert(!lock(1, LOCK) && STORE(1, DATA));
}
END_TEST

START_TEST(a_plain_load_of_the_lock_sees_the_unlock)
{
	ck_assert(!lock(0, LOCK) && !STORE(0, DATA) && !unlock(0, LOCK));
	ck_assert(!races(1, SOFT_LOAD, LOCK, 4, PLAIN) && !LOAD(1, DATA));
}
END_TEST

START_TEST(two_locks_in_one_word_are_two)
{
	ck_assert(!lock(0, LOCK) && !STORE(0, DATA) && !unlock(0, LOCK));
	ck_assert(!lock(1, LOCK + 4) && !unlock(1, LOCK + 4));
	ck_assert(!lock(2, LOCK) && !LOAD(2, DATA));
}
END_TEST

/* ---- marks ---- */

START_TEST(release_and_acquire_order)
{
	ck_assert(!STORE(0, DATA) && !races(0, SOFT_STORE, LOCK, 8, RELEASE));
	ck_assert(!races(1, SOFT_LOAD, LOCK, 8, ACQUIRE) && !LOAD(1, DATA));
}
END_TEST

START_TEST(relaxed_ones_meet_and_order_nothing)
{
	ck_assert(!STORE(0, DATA) && !races(0, SOFT_STORE, LOCK, 8, RELAXED));
	ck_assert(!races(1, SOFT_LOAD, LOCK, 8, RELAXED) && LOAD(1, DATA));
}
END_TEST

START_TEST(a_mark_on_one_side_is_not_enough)
{
	ck_assert(!races(0, SOFT_STORE, DATA, 8, RELAXED));
	ck_assert(LOAD(1, DATA));
	ck_assert(vcpus[1]->finding->other_marked);
}
END_TEST

START_TEST(the_last_release_alone_is_acquired)
{
	ck_assert(!STORE(0, DATA) && !races(0, SOFT_STORE, LOCK, 8, RELEASE));
	ck_assert(!races(1, SOFT_STORE, LOCK, 8, RELEASE));
	ck_assert(!races(2, SOFT_LOAD, LOCK, 8, ACQUIRE) && LOAD(2, DATA));
}
END_TEST

/* ---- messages ---- */

static void interrupt(unsigned int from, unsigned int to)
{
	vm.running = vcpus[from];
	soft_race_send(vcpus[to], false);
	vm.running = NULL;
}

START_TEST(an_interrupt_orders_once_it_is_taken)
{
	ck_assert(!STORE(0, DATA) && !STORE(0, DATA + 8));
	interrupt(0, 1);
	ck_assert(!STORE(0, DATA + 16));
	ck_assert(LOAD(1, DATA));
	soft_race_receive(vcpus[1]);
	ck_assert(!LOAD(1, DATA + 8));
	ck_assert(LOAD(1, DATA + 16));
	ck_assert(LOAD(2, DATA));
}
END_TEST

START_TEST(the_host_s_interrupt_comes_after_what_it_was_told)
{
	ck_assert(!STORE(0, DATA));
	soft_race_leave(vcpus[0]);
	ck_assert(!STORE(0, DATA + 8));
	soft_race_send(vcpus[1], false);
	soft_race_receive(vcpus[1]);
	ck_assert(!LOAD(1, DATA));
	ck_assert(LOAD(1, DATA + 8));
}
END_TEST

START_TEST(memory_shared_with_the_host_orders_as_it_does)
{
	ck_assert(!STORE(0, DATA) && !races(0, SOFT_STORE, SHARED, 8, RELEASE));
	ck_assert(!races(1, SOFT_LOAD, SHARED + 64, 8, ACQUIRE) && !LOAD(1, DATA));
}
END_TEST

/* ---- bounds ---- */

START_TEST(forgotten_words_order_on)
{
	ck_assert(!lock(0, LOCK) && !STORE(0, DATA) && !unlock(0, LOCK));
	for (uint64_t i = 0; i < SOFT_RACE_WORDS; i++)
		ck_assert(!lock(0, (1ull << 20) + 8 * i));
	ck_assert(!races(1, SOFT_LOAD, LOCK, 8, ACQUIRE) && !LOAD(1, DATA));
}
END_TEST

START_TEST(of_many_pages_the_oldest_are_forgotten)
{
	for (uint64_t i = 0; i < 2 * SOFT_RACE_PAGES; i++)
		ck_assert(!STORE(0, (1ull << 20) + i * 4096));
	ck_assert(!LOAD(1, 1ull << 20));
	ck_assert(LOAD(1, (1ull << 20) + (2 * SOFT_RACE_PAGES - 1) * 4096));
	ck_assert_uint_eq(vm.check->race->nr_kept, SOFT_RACE_PAGES);
}
END_TEST

/* ---- random ---- */

#define WORDS  3
#define LOCKS  2
#define STEPS  400
#define AT_ALL 2 /* vCPUs: of two all accesses to a word are kept */

struct past_access {
	unsigned int vcpu, word;
	bool write;
	uint32_t count;
};

static uint64_t seed;

static unsigned int draw(unsigned int below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned int)(seed % below);
}

/* Steps of two vCPUs up to the first race, which both must see at the same step. */
static unsigned int random_run(void)
{
	struct past_access past[STEPS];
	uint32_t clock[AT_ALL][AT_ALL] = {{1, 0}, {0, 1}}, held[LOCKS][AT_ALL] = {{0}};
	int owner[LOCKS] = {-1, -1};
	const uint64_t first_seed = seed;
	unsigned int nr = 0, step;

	for (step = 0; step < STEPS; step++) {
		unsigned int vcpu = draw(AT_ALL), which = draw(LOCKS), word = draw(WORDS);
		bool write = draw(3) == 0, race = false;

		if (owner[which] < 0 && draw(3) != 0) {
			for (unsigned int i = 0; i < AT_ALL; i++)
				if (held[which][i] > clock[vcpu][i])
					clock[vcpu][i] = held[which][i];
			memcpy(held[which], clock[vcpu], sizeof(held[which]));
			clock[vcpu][vcpu]++;
			owner[which] = (int)vcpu;
			ck_assert(!lock(vcpu, LOCK + 8 * which));
			continue;
		}
		if (owner[which] == (int)vcpu && draw(3) == 0) {
			memcpy(held[which], clock[vcpu], sizeof(held[which]));
			clock[vcpu][vcpu]++;
			owner[which] = -1;
			ck_assert(!unlock(vcpu, LOCK + 8 * which));
			continue;
		}
		/* Mostly by the rule: word 0 under lock 0, the others under lock 1. */
		if (owner[word ? 1 : 0] != (int)vcpu && draw(64) != 0)
			continue;
		for (unsigned int i = 0; i < nr; i++)
			race |= past[i].word == word && past[i].vcpu != vcpu &&
				(past[i].write || write) &&
				past[i].count > clock[vcpu][past[i].vcpu];
		past[nr++] = (struct past_access){vcpu, word, write, clock[vcpu][vcpu]};
		ck_assert_msg((write ? STORE(vcpu, DATA + 8 * word)
				     : LOAD(vcpu, DATA + 8 * word)) == race,
			      "seed %llu, step %u", (unsigned long long)first_seed, step);
		if (race)
			break;
	}
	return step;
}

START_TEST(random_accesses_race_where_nothing_orders_them)
{
	unsigned int raced = 0;

	for (unsigned int run = 0; run < 200; run++) {
		seed = run * 7919 + 1;
		raced += random_run() < STEPS;
		stop();
		start();
	}
	printf("%u of 200 runs raced\n", raced);
	ck_assert_uint_gt(raced, 20);
	ck_assert_uint_lt(raced, 200);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("race");
	TCase *tcase = tcase_create("race");

	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_test(tcase, two_stores_race_and_both_sides_are_told);
	tcase_add_test(tcase, a_store_races_with_each_of_many_loads);
	tcase_add_test(tcase, other_bytes_are_no_race);
	tcase_add_test(tcase, an_access_over_two_words_races_in_the_second);
	tcase_add_test(tcase, the_exempt_may_do_anything);
	tcase_add_test(tcase, a_lock_orders);
	tcase_add_test(tcase, who_takes_no_lock_races);
	tcase_add_test(tcase, what_follows_the_unlock_is_not_ordered);
	tcase_add_test(tcase, a_plain_load_of_the_lock_sees_the_unlock);
	tcase_add_test(tcase, two_locks_in_one_word_are_two);
	tcase_add_test(tcase, release_and_acquire_order);
	tcase_add_test(tcase, relaxed_ones_meet_and_order_nothing);
	tcase_add_test(tcase, a_mark_on_one_side_is_not_enough);
	tcase_add_test(tcase, the_last_release_alone_is_acquired);
	tcase_add_test(tcase, an_interrupt_orders_once_it_is_taken);
	tcase_add_test(tcase, the_host_s_interrupt_comes_after_what_it_was_told);
	tcase_add_test(tcase, memory_shared_with_the_host_orders_as_it_does);
	tcase_add_test(tcase, forgotten_words_order_on);
	tcase_add_test(tcase, of_many_pages_the_oldest_are_forgotten);

	tcase_add_test(tcase, random_accesses_race_where_nothing_orders_them);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
