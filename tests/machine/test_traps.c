/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traps under the real guest: who touched what, from where, during which operation; the answers;
 * and the frames it gave up.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "mm/x86.h"
#include "tests/harness.h"
#include "vmm/machine/guest.h"

#define PAGE 4096ull

static struct guest *guest;
static struct error error;

/* What the watch was told. */
static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static struct guest_access last;
static unsigned int told;
static enum watch_answer answer;

static enum watch_answer on_access(void *context, const struct guest_access *access)
{
	enum watch_answer now;

	pthread_mutex_lock(&told_lock);
	last = *access;
	told++;
	now = answer;
	pthread_mutex_unlock(&told_lock);
	ck_assert_ptr_eq(context, &told);
	return now;
}

static unsigned int times_told(struct guest_access *access_out)
{
	unsigned int now;

	pthread_mutex_lock(&told_lock);
	now = told;
	if (access_out)
		*access_out = last;
	pthread_mutex_unlock(&told_lock);
	return now;
}

static void start(bool uaf, unsigned int cpus)
{
	struct guest_config config = {
		.engine = harness_engine(),
		/* Two vCPUs touch the same words unordered here, and are to. */
		.checks = SOFT_CHECK_ALL & ~SOFT_CHECK_RACE,
		.nr_vcpus = cpus,
		.memory_bytes = 64ull << 20,
		.traps = true,
		.trap_uaf = uaf,
		.access = on_access,
		.access_context = &told,
	};

	ck_assert_msg(guest_start(&config, &guest, NULL, &error) == 0, "%s", error.text);
	told = 0;
	answer = WATCH_GO_ON;
}

static void teardown(void)
{
	guest_destroy(guest);
}

/* The vCPU that this thread calls. */
static _Thread_local unsigned int on_vcpu;

static int call(const struct nb_submission *sqe, struct nb_completion *cqe)
{
	return guest_call(guest, on_vcpu, sqe, cqe);
}

static uint64_t must(uint16_t opcode, uint64_t arg0)
{
	struct nb_submission sqe = {.opcode = opcode, .arg = {arg0}};
	struct nb_completion cqe;

	ck_assert_int_eq(call(&sqe, &cqe), 0);
	ck_assert_int_eq(cqe.status, 0);
	return cqe.result[0];
}

static uint64_t vmalloc_pages(uint64_t pages)
{
	struct nb_submission sqe = {
		.opcode = NB_OP_VMALLOC,
		.arg = {pages * PAGE, PAGE, NB_VMALLOC_START, NB_VMALLOC_END, NB_GFP_KERNEL,
			NB_PAGE_KERNEL, NB_VM_ALLOC, (uint64_t)-1},
	};
	struct nb_completion cqe;

	ck_assert_int_eq(call(&sqe, &cqe), 0);
	ck_assert_int_eq(cqe.status, 0);
	return cqe.result[0];
}

static int touch(uint64_t address, bool frame, bool store, uint64_t value, uint64_t *value_out)
{
	struct nb_submission sqe = {.opcode = NB_OP_TEST_TOUCH,
				    .user_data = 77,
				    .arg = {address, store ? value : 0, store, frame}};
	struct nb_completion cqe;
	int err = call(&sqe, &cqe);

	if (!err) {
		ck_assert_int_eq(cqe.status, 0);
		if (value_out)
			*value_out = cqe.result[0];
	}
	return err;
}

static void watch(uint64_t gpa, enum trap_access access)
{
	ck_assert_msg(guest_watch(guest, gpa_make(gpa), gpa_make(gpa + PAGE), access, &error) == 0,
		      "%s", error.text);
}

/* ---- watches ---- */

START_TEST(an_access_is_told_with_its_address_place_and_operation)
{
	struct guest_access access;
	uint64_t address, pfn, value, word = 0x1122334455667788;
	bool store = _i;

	start(false, 1);
	address = vmalloc_pages(2);
	pfn = must(NB_OP_VMALLOC_TO_PAGE, address);
	ck_assert_int_eq(guest_write(guest, gva_make(address + 24), &word, sizeof(word)), 0);
	watch(pfn * PAGE, store ? TRAP_WRITE : TRAP_ANY);
	ck_assert_int_eq(touch(address + 24, false, store, word + 1, &value), 0);
	ck_assert_uint_eq(times_told(&access), 1);
	if (!store)
		ck_assert_uint_eq(value, word);
	ck_assert_uint_eq(access.what.gpa, pfn * PAGE + 24);
	ck_assert_int_eq(access.what.write, store);
	ck_assert(!access.what.fetch && !access.what.table && !access.what.stale);
	ck_assert(access.what.have_gva);
	ck_assert_uint_eq(access.what.gva, address + 24);
	ck_assert_msg(strncmp(access.where, "op_touch+", 9) == 0, "%s", access.where);
	ck_assert(access.have_call);
	ck_assert_uint_eq(access.call.opcode, NB_OP_TEST_TOUCH);
	ck_assert_uint_eq(access.call.user_data, 77);
	/* It goes on being watched, by whatever address. */
	ck_assert_int_eq(touch(pfn, true, store, word + 2, &value), 0);
	ck_assert_uint_eq(times_told(&access), 2);
	ck_assert_uint_eq(access.what.gva, NB_DIRECT_BASE + pfn * PAGE);
	ck_assert_int_eq(
		guest_unwatch(guest, gpa_make(pfn * PAGE), gpa_make(pfn * PAGE + PAGE), &error), 0);
	ck_assert_int_eq(touch(address + 24, false, false, 0, &value), 0);
	ck_assert_uint_eq(value, store ? word + 1 : word);
	ck_assert_uint_eq(times_told(NULL), 2);
}
END_TEST

START_TEST(a_denied_access_ends_the_guest_with_a_report)
{
	const struct guest_report *report;
	uint64_t address;

	start(false, 1);
	address = vmalloc_pages(1);
	watch(must(NB_OP_VMALLOC_TO_PAGE, address) * PAGE, TRAP_ANY);
	answer = WATCH_DENY;
	ck_assert_int_eq(touch(address, false, false, 0, NULL), -ENOTRECOVERABLE);
	report = guest_failure(guest);
	ck_assert_ptr_nonnull(report);
	ck_assert_int_eq(report->kind, REPORT_DENIED);
	ck_assert(report->have_access && report->have_regs && report->have_call);
	ck_assert_uint_eq(report->access.gva, address);
	ck_assert_msg(strncmp(report->where, "op_touch+", 9) == 0, "%s", report->where);
	ck_assert(!report->have_release);
}
END_TEST

static void *touch_page(void *address)
{
	uint64_t value = 0;

	ck_assert_int_eq(touch((uintptr_t)address, false, false, 0, &value), 0);
	return (void *)(uintptr_t)value;
}

START_TEST(a_held_guest_waits_can_be_looked_at_and_goes_on)
{
	uint64_t address, word = 42, back;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	pthread_t thread;
	void *value;

	start(false, 1);
	address = vmalloc_pages(1);
	watch(must(NB_OP_VMALLOC_TO_PAGE, address) * PAGE, TRAP_ANY);
	ck_assert_int_eq(guest_write(guest, gva_make(address), &word, sizeof(word)), 0);
	answer = WATCH_HOLD;
	ck_assert_int_eq(guest_release(guest, 0, WATCH_GO_ON), -ENOENT);
	ck_assert_int_eq(pthread_create(&thread, NULL, touch_page, (void *)(uintptr_t)address), 0);
	for (int i = 0; i < 5000 && times_told(NULL) == 0; i++)
		usleep(1000);
	ck_assert_uint_eq(times_told(NULL), 1);
	ck_assert_int_eq(guest_pause(guest), 0);
	ck_assert_int_eq(guest_registers(guest, 0, &regs, &sregs), 0);
	ck_assert_int_eq(guest_read(guest, gva_make(address), &back, sizeof(back)), 0);
	ck_assert_uint_eq(back, 42);
	word = 43;
	ck_assert_int_eq(guest_write(guest, gva_make(address), &word, sizeof(word)), 0);
	guest_resume(guest);
	ck_assert_int_eq(guest_release(guest, 0, WATCH_HOLD), -EINVAL);
	ck_assert_int_eq(guest_release(guest, 0, WATCH_GO_ON), 0);
	pthread_join(thread, &value);
	ck_assert_uint_eq((uintptr_t)value, 43);
	ck_assert_uint_eq(times_told(NULL), 1);
}
END_TEST

#define STRESS_TOUCHES 60

static uint64_t stress_pfn[4];

/* One vCPU stores in pages of its own and loads from those of both. */
static void *stress(void *argument)
{
	unsigned int vcpu = (unsigned int)(uintptr_t)argument;

	for (uint64_t i = 0; i < STRESS_TOUCHES; i++) {
		bool store = i % 3 == 0;
		struct nb_submission sqe = {
			.opcode = NB_OP_TEST_TOUCH,
			.arg = {stress_pfn[store ? 2 * vcpu + i % 2 : i % 4], store ? i + 1 : 0,
				store, 1},
		};
		struct nb_completion cqe;

		if (guest_call(guest, vcpu, &sqe, &cqe) || cqe.status)
			return (void *)(uintptr_t)(i + 1);
		/* What it stored itself is what it finds. */
		sqe.arg[0] = stress_pfn[2 * vcpu + i % 2];
		sqe.arg[1] = sqe.arg[2] = 0;
		if (guest_call(guest, vcpu, &sqe, &cqe) || cqe.status ||
		    (store && cqe.result[0] != i + 1))
			return (void *)(uintptr_t)(i + 1);
	}
	return NULL;
}

START_TEST(vcpus_that_touch_watched_pages_at_once_all_go_on)
{
	pthread_t thread;
	uint64_t address;
	void *wrong;

	start(false, 2);
	address = vmalloc_pages(4);
	for (uint64_t i = 0; i < 4; i++) {
		stress_pfn[i] = must(NB_OP_VMALLOC_TO_PAGE, address + i * PAGE);
		watch(stress_pfn[i] * PAGE, TRAP_ANY);
	}
	pthread_create(&thread, NULL, stress, (void *)1);
	wrong = stress(NULL);
	ck_assert_msg(wrong == NULL, "vCPU 0, touch %lu", (unsigned long)(uintptr_t)wrong);
	pthread_join(thread, &wrong);
	ck_assert_msg(wrong == NULL, "vCPU 1, touch %lu", (unsigned long)(uintptr_t)wrong);
	ck_assert_uint_ge(times_told(NULL), STRESS_TOUCHES);
	ck_assert_ptr_null(guest_failure(guest));
}
END_TEST

START_TEST(without_traps_a_watch_is_refused)
{
	struct guest_config config = {
		.engine = harness_engine(), .checks = SOFT_CHECK_ALL, .memory_bytes = 64ull << 20};

	ck_assert_int_eq(guest_start(&config, &guest, NULL, &error), 0);
	ck_assert_int_eq(guest_watch(guest, gpa_make(0), gpa_make(PAGE), TRAP_ANY, &error),
			 -EOPNOTSUPP);
}
END_TEST

/* ---- frames given up ---- */

/* The leaf that maps @address. */
static struct paging_entry leaf_of(uint64_t address)
{
	struct paging_mode mode = guest_paging_mode(guest);
	struct paging_reader reader = guest_paging_reader(guest);
	struct paging_walk walk;

	paging_walk(&mode, &reader, gva_make(address), &walk);
	ck_assert_int_eq(walk.status, PAGING_MAPPED);
	ck_assert_uint_eq(walk.level, 1);
	return walk.entries[walk.entry_count - 1];
}

static bool named(const char places[][IMAGE_PLACE_BYTES], size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strncmp(places[i], name, strlen(name)) == 0 && places[i][strlen(name)] == '+')
			return true;
	return false;
}

/* Touched through: 0 the direct map, read; 1 the same, written; 2 a mapping somebody left behind.
 */
START_TEST(a_frame_that_was_given_up_cannot_be_touched)
{
	const struct guest_report *report;
	struct paging_entry leaf;
	uint64_t address, pfn, other;

	start(true, 1);
	other = vmalloc_pages(1);
	address = vmalloc_pages(20);
	leaf = leaf_of(address + 7 * PAGE);
	pfn = must(NB_OP_VMALLOC_TO_PAGE, address + 7 * PAGE);
	ck_assert_int_eq(touch(pfn, true, true, 5, NULL), 0);
	must(NB_OP_VFREE, address);
	ck_assert_int_eq(touch(other, false, true, 6, NULL), 0);
	if (_i == 2)
		ck_assert_int_eq(gpa_space_write(guest_space(guest), leaf.address, &leaf.value, 8),
				 0);
	ck_assert_int_eq(touch(_i == 2 ? address + 7 * PAGE : pfn, _i != 2, _i == 1, 9, NULL),
			 -ENOTRECOVERABLE);
	report = guest_failure(guest);
	ck_assert_int_eq(report->kind, REPORT_USE_AFTER_FREE);
	/* Who touched. */
	ck_assert(report->have_access);
	ck_assert_uint_eq(report->access.gpa, pfn * PAGE);
	ck_assert_int_eq(report->access.write, _i == 1);
	ck_assert(report->access.have_gva);
	ck_assert_uint_eq(report->access.gva,
			  _i == 2 ? address + 7 * PAGE : NB_DIRECT_BASE + pfn * PAGE);
	ck_assert_msg(strncmp(report->where, "op_touch+", 9) == 0, "%s", report->where);
	ck_assert_uint_eq(report->call.opcode, NB_OP_TEST_TOUCH);
	/* Who gave it up. */
	ck_assert(report->have_release && report->release.have_call);
	ck_assert_uint_eq(report->release.call.opcode, NB_OP_VFREE);
	ck_assert_uint_eq(report->release.call.arg[0], address);
	ck_assert(named(report->release.caller_places, report->release.nr_callers, "vfree"));
	ck_assert_msg(strstr(report->text, "given up by vfree"), "%s", report->text);
	/* It did not happen. */
	ck_assert_int_eq(gpa_space_read(guest_space(guest), gpa_make(pfn * PAGE), &other, 8), 0);
	ck_assert_uint_eq(other, 5);
}
END_TEST

static void *allocate_touch_free(void *vcpu)
{
	on_vcpu = (unsigned int)(uintptr_t)vcpu;
	for (uint64_t round = 0; round < 2; round++) {
		for (uint64_t pages = 1; pages < 40; pages += 13) {
			uint64_t address = vmalloc_pages(pages);

			for (uint64_t page = 0; page < pages; page++)
				ck_assert_int_eq(
					touch(address + page * PAGE, false, true, page, NULL), 0);
			must(NB_OP_VFREE, address);
		}
	}
	return NULL;
}

/* On one vCPU, and on two that take each other's frames. */
START_TEST(a_frame_handed_out_again_can_be_touched)
{
	uint64_t ever, now;
	pthread_t thread;

	start(true, _i + 1u);
	if (_i)
		pthread_create(&thread, NULL, allocate_touch_free, (void *)1);
	allocate_touch_free(NULL);
	if (_i)
		pthread_join(thread, NULL);
	guest_frames_given_up(guest, &ever, &now);
	ck_assert_uint_ge(ever, 2 * (1 + 14 + 27));
	ck_assert_uint_ge(now, 27);
	ck_assert_uint_lt(now, ever);
	ck_assert_uint_eq(times_told(NULL), 0);
	ck_assert_ptr_null(guest_failure(guest));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("traps");
	TCase *tcase = tcase_create("all");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_loop_test(tcase, an_access_is_told_with_its_address_place_and_operation, 0, 2);
	tcase_add_test(tcase, a_denied_access_ends_the_guest_with_a_report);
	tcase_add_test(tcase, a_held_guest_waits_can_be_looked_at_and_goes_on);
	tcase_add_test(tcase, vcpus_that_touch_watched_pages_at_once_all_go_on);
	tcase_add_test(tcase, without_traps_a_watch_is_refused);
	tcase_add_loop_test(tcase, a_frame_that_was_given_up_cannot_be_touched, 0, 3);
	tcase_add_loop_test(tcase, a_frame_handed_out_again_can_be_touched, 0, 2);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
