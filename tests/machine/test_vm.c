/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine under a guest of a few instructions that does what no guest should
 * (tests/machine/tiny_guest.S): each misdeed ends it with the right report, none hangs the host.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/harness.h"
#include "tests/machine/tiny_guest.h"
#include "tests/vmm/image/tiny_image.h"
#include "vmm/machine/guest.h"

_Static_assert(TINY_AREA_GPA == offsetof(struct nb_boot_info, area_gpa), "area_gpa");
_Static_assert(TINY_SQ_HEAD == offsetof(struct nb_vcpu_area, sq_head), "sq_head");
_Static_assert(TINY_CQ_TAIL == offsetof(struct nb_vcpu_area, cq_tail), "cq_tail");
_Static_assert(TINY_ONLINE == offsetof(struct nb_vcpu_area, online), "online");
_Static_assert(TINY_PROGRESS == offsetof(struct nb_vcpu_area, progress), "progress");
_Static_assert(TINY_CURRENT == offsetof(struct nb_vcpu_area, current), "current");
_Static_assert(TINY_SQ == offsetof(struct nb_vcpu_area, sq), "sq");
_Static_assert(TINY_CQ == offsetof(struct nb_vcpu_area, cq), "cq");

/* Short where the watchdog is to bite; long where a busy host must not make it. */
#define SHORT_WATCHDOG 1.0
#define LONG_WATCHDOG  20.0

static char image_path[64];

static void make_image(void)
{
	struct tiny_image image;

	tiny_image_make(&image, tiny_guest, (size_t)(tiny_guest_end - tiny_guest), 0);
	strcpy(image_path, tiny_image_write(&image));
}

static void remove_image(void)
{
	unlink(image_path);
}

static struct guest *start(unsigned int nr_vcpus, double watchdog_seconds)
{
	struct guest_config config = {
		.engine = harness_engine(),
		.image_path = image_path,
		.memory_bytes = 64 << 20,
		.nr_vcpus = nr_vcpus,
		.watchdog_seconds = watchdog_seconds,
	};
	struct guest_report report;
	struct error error;
	struct guest *guest = NULL;
	int err = guest_start(&config, &guest, &report, &error);

	if (err == -ENOTRECOVERABLE)
		report_print(&report, stderr);
	ck_assert_msg(err == 0, "guest_start: %s", error.text);
	return guest;
}

/* One hypercall that kills the guest; returns the report. */
static const struct guest_report *kill_guest(struct guest *guest, uint16_t opcode, uint64_t arg0,
					     uint64_t arg1)
{
	struct nb_submission call = {.opcode = opcode, .user_data = 77, .arg = {arg0, arg1}};
	struct nb_completion completion;

	ck_assert_int_eq(guest_call(guest, 0, &call, &completion), -ENOTRECOVERABLE);
	ck_assert_ptr_nonnull(guest_failure(guest));
	report_print(guest_failure(guest), stdout);
	return guest_failure(guest);
}

static void check_dead(struct guest *guest)
{
	struct nb_submission call = {.opcode = NB_OP_NOP};
	struct nb_completion completion;

	for (unsigned int i = 0; i < guest_nr_vcpus(guest); i++)
		ck_assert_int_eq(guest_call(guest, i, &call, &completion), -ENOTRECOVERABLE);
	ck_assert_int_eq(guest_pause(guest), -ENOTRECOVERABLE);
	guest_destroy(guest);
}

START_TEST(batches_come_back_in_order_with_the_callers_user_data)
{
	enum { COUNT = 1000 };
	struct nb_submission *calls = calloc(COUNT, sizeof(*calls));
	struct nb_completion *answers = calloc(COUNT, sizeof(*answers));
	struct guest *guest = start(1, LONG_WATCHDOG);
	size_t done;

	for (size_t i = 0; i < COUNT; i++)
		calls[i] = (struct nb_submission){.user_data = i * 3, .arg[0] = ~i};
	ck_assert_int_eq(guest_call_batch(guest, 0, calls, COUNT, answers, &done), 0);
	ck_assert_uint_eq(done, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		ck_assert_uint_eq(answers[i].user_data, i * 3);
		ck_assert_int_eq(answers[i].status, 0);
		ck_assert_uint_eq(answers[i].result[0], ~i);
	}
	ck_assert_int_eq(guest_call_batch(guest, 0, calls, 0, answers, &done), 0);
	ck_assert_uint_eq(done, 0);
	ck_assert_int_eq(guest_call_batch(guest, 1, calls, 1, answers, &done), -EINVAL);
	guest_destroy(guest);
	free(calls);
	free(answers);
}
END_TEST

START_TEST(each_vcpu_answers_for_itself)
{
	struct guest *guest = start(3, LONG_WATCHDOG);

	for (unsigned int i = 0; i < 30; i++) {
		struct nb_submission call = {.user_data = i, .arg[0] = 1000 + i};
		struct nb_completion answer;

		ck_assert_int_eq(guest_call(guest, i % 3, &call, &answer), 0);
		ck_assert_uint_eq(answer.result[0], 1000 + i);
	}
	guest_destroy(guest);
}
END_TEST

START_TEST(registers_are_read_only_while_paused)
{
	struct guest *guest = start(2, LONG_WATCHDOG);
	struct nb_submission call = {.arg[0] = 5};
	struct nb_completion answer;
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	ck_assert_int_eq(guest_registers(guest, 0, &regs, &sregs), -EBUSY);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(guest_pause(guest), 0);
		for (unsigned int vcpu = 0; vcpu < 2; vcpu++) {
			ck_assert_int_eq(guest_registers(guest, vcpu, &regs, &sregs), 0);
			ck_assert(regs.rip >= TINY_TEXT_GVA && regs.rip < TINY_RODATA_GVA);
			ck_assert_uint_eq(regs.rsi, vcpu);
			ck_assert_uint_eq(sregs.cr3, guest_boot(guest)->root.value);
		}
		ck_assert_int_eq(guest_registers(guest, 2, &regs, &sregs), -EINVAL);
		guest_resume(guest);
		ck_assert_int_eq(guest_call(guest, 1, &call, &answer), 0);
	}
	guest_destroy(guest);
}
END_TEST

/* Calls of the tiny guest that break the rings' rules, and a word of the report's text. */
static const struct {
	uint16_t opcode;
	uint64_t arg[2];
	enum report_kind kind;
	const char *text;
} misdeeds[] = {
	{TINY_OP_BAD_STATUS, {0}, REPORT_RING, "status 7"},
	{TINY_OP_BAD_USER_DATA, {0}, REPORT_RING, "user data"},
	{TINY_OP_TOO_MANY, {0}, REPORT_RING, "more than it was given"},
	{TINY_OP_OUT8, {0}, REPORT_PORT, "8 bits at port 0x600"},
	{TINY_OP_OUT32, {0x3f8, 0x41}, REPORT_PORT, "0x41 to port 0x3f8"},
	{TINY_OP_OUT32, {NB_PORT_COMPLETE, 1}, REPORT_PORT, "instead of its index"},
	{TINY_OP_OUT32, {NB_PORT_EVENT, 0}, REPORT_PORT, "an event of kind 0"},
	{TINY_OP_OUT32, {NB_PORT_PANIC, 0}, REPORT_PANIC, "without saying why"},
	{TINY_OP_IN32, {NB_PORT_COMPLETE}, REPORT_PORT, "a read"},
	{TINY_OP_LOAD, {0x123456789000}, REPORT_TRIPLE_FAULT, "triple fault"},
	{TINY_OP_HLT, {0}, REPORT_STUCK, "no progress for 1 seconds"},
};

START_TEST(each_misdeed_ends_the_guest_with_its_report)
{
	struct guest *guest = start(1, SHORT_WATCHDOG);
	const struct guest_report *report =
		kill_guest(guest, misdeeds[_i].opcode, misdeeds[_i].arg[0], misdeeds[_i].arg[1]);

	ck_assert_str_eq(report_kind_name(report->kind), report_kind_name(misdeeds[_i].kind));
	ck_assert_msg(strstr(report->text, misdeeds[_i].text), "%s", report->text);
	ck_assert_uint_eq(report->vcpu, 0);
	if (report->kind != REPORT_RING && report->kind != REPORT_TRIPLE_FAULT) {
		ck_assert(report->have_regs);
		ck_assert_uint_gt(report->nr_code, 0);
		ck_assert_ptr_nonnull(strstr(report->where, "tiny_"));
		ck_assert(report->have_call);
		ck_assert_uint_eq(report->call.opcode, misdeeds[_i].opcode);
		ck_assert_uint_eq(report->call.user_data, 77);
	}
	check_dead(guest);
}
END_TEST

START_TEST(memory_that_is_not_there_is_named)
{
	struct guest *guest = start(1, LONG_WATCHDOG);
	gpa_t root = guest_boot(guest)->root;
	gpa_t data =
		gpa_make(guest_boot(guest)->info.area_gpa[0] + offsetof(struct nb_vcpu_area, data));
	uint64_t to_pdpt = data.value | 3, to_pd = (data.value + 4096) | 3;
	uint64_t leaf = 0xd0000000 | 0x83;
	const struct guest_report *report;

	/* 0 .. 2 MiB is mapped to 0xd0000000, through tables in the data area. */
	ck_assert_int_eq(gpa_space_write(guest_space(guest), data, &to_pd, 8), 0);
	ck_assert_int_eq(gpa_space_write(guest_space(guest), gpa_add(data, 4096), &leaf, 8), 0);
	ck_assert_int_eq(gpa_space_write(guest_space(guest), root, &to_pdpt, 8), 0);
	report = kill_guest(guest, TINY_OP_LOAD, 0x1230, 0);
	ck_assert_str_eq(report_kind_name(report->kind), "mmio");
	ck_assert_msg(strstr(report->text, "0xd0001230"), "%s", report->text);
	check_dead(guest);
}
END_TEST

START_TEST(the_report_guesses_callers_from_the_stack)
{
	struct guest *guest = start(1, SHORT_WATCHDOG);
	uint64_t stack = (uint64_t)NB_DIRECT_BASE + 0x20000;
	const struct guest_report *report = kill_guest(guest, TINY_OP_STACK, stack, 0);

	ck_assert_str_eq(report_kind_name(report->kind), "stuck");
	ck_assert_uint_eq(report->nr_callers, 1);
	ck_assert_uint_eq(report->callers[0],
			  TINY_TEXT_GVA + (uint64_t)(tiny_guest_after - tiny_guest));
	check_dead(guest);
}
END_TEST

static double seconds(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

START_TEST(work_that_progresses_outlives_the_watchdog)
{
	struct guest *guest = start(1, SHORT_WATCHDOG);
	struct nb_submission call = {.opcode = TINY_OP_WORK, .arg[0] = 1 << 18};
	struct nb_completion answer;
	double spent = 0;

	while (spent < 1.5 * SHORT_WATCHDOG) {
		double begin = seconds();

		call.arg[0] *= 2;
		ck_assert_int_eq(guest_call(guest, 0, &call, &answer), 0);
		spent = seconds() - begin;
	}
	ck_assert_ptr_null(guest_failure(guest));
	guest_destroy(guest);
}
END_TEST

/* Both deadlines, of a guest that counts progress for ever. */
START_TEST(progress_without_end_is_ended)
{
	struct guest_config config = {
		.engine = harness_engine(),
		.image_path = image_path,
		.memory_bytes = 64 << 20,
		.watchdog_seconds = LONG_WATCHDOG,
	};
	struct nb_submission call = {.opcode = TINY_OP_WORK, .arg[0] = UINT64_MAX};
	struct nb_completion answer;
	struct guest *guest;

	*(_i ? &config.total_seconds : &config.operation_seconds) = SHORT_WATCHDOG;
	ck_assert_int_eq(guest_start(&config, &guest, NULL, NULL), 0);
	ck_assert_int_eq(guest_call(guest, 0, &call, &answer), -ENOTRECOVERABLE);
	ck_assert_int_eq(guest_failure(guest)->kind, REPORT_STUCK);
	ck_assert_ptr_nonnull(
		strstr(guest_failure(guest)->text, _i ? "--time-limit" : "--operation-limit"));
	guest_destroy(guest);
}
END_TEST

START_TEST(a_guest_that_dies_at_once_is_reported_by_the_start)
{
	struct guest_config config = {.engine = harness_engine(),
				      .memory_bytes = 64 << 20,
				      .watchdog_seconds = LONG_WATCHDOG};
	struct tiny_image image;
	struct guest_report report;
	struct error error;
	struct guest *guest = NULL;
	const uint8_t ud2[] = {0x0f, 0x0b};
	int err;

	tiny_image_make(&image, ud2, sizeof(ud2), 0);
	config.image_path = tiny_image_write(&image);
	err = guest_start(&config, &guest, &report, &error);
	unlink(config.image_path);
	ck_assert_int_eq(err, -ENOTRECOVERABLE);
	ck_assert_ptr_null(guest);
	ck_assert_str_eq(report_kind_name(report.kind), "triple-fault");
	ck_assert_ptr_nonnull(strstr(error.text, "triple fault"));
}
END_TEST

START_TEST(what_cannot_be_started_says_why_and_leaves_nothing)
{
	struct guest_config config = {.engine = harness_engine(),
				      .image_path = "/nonexistent/image"};
	struct error error;
	struct guest *guest = NULL;

	ck_assert_int_eq(guest_start(&config, &guest, NULL, &error), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(error.text, "/nonexistent/image"));
	config.image_path = image_path;
	config.nr_vcpus = NB_MAX_VCPUS + 1;
	ck_assert_int_eq(guest_start(&config, &guest, NULL, &error), -EINVAL);
	config.nr_vcpus = 1;
	config.memory_bytes = 1 << 20;
	ck_assert_int_eq(guest_start(&config, &guest, NULL, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "16 MiB"));
	config.memory_bytes = 16 << 20;
	config.nr_vcpus = NB_MAX_VCPUS;
	ck_assert_int_eq(guest_start(&config, &guest, NULL, &error), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(error.text, "more memory"));
	ck_assert_ptr_null(guest);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vm");
	TCase *tcase = tcase_create("vm");
	int status = harness_need_kvm();

	if (status)
		return status;
	make_image();
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, batches_come_back_in_order_with_the_callers_user_data);
	tcase_add_test(tcase, each_vcpu_answers_for_itself);
	tcase_add_test(tcase, registers_are_read_only_while_paused);
	tcase_add_loop_test(tcase, each_misdeed_ends_the_guest_with_its_report, 0,
			    (int)(sizeof(misdeeds) / sizeof(misdeeds[0])));
	tcase_add_test(tcase, memory_that_is_not_there_is_named);
	tcase_add_test(tcase, the_report_guesses_callers_from_the_stack);
	tcase_add_test(tcase, work_that_progresses_outlives_the_watchdog);
	tcase_add_loop_test(tcase, progress_without_end_is_ended, 0, 2);
	tcase_add_test(tcase, a_guest_that_dies_at_once_is_reported_by_the_start);
	tcase_add_test(tcase, what_cannot_be_started_says_why_and_leaves_nothing);
	suite_add_tcase(suite, tcase);
	status = harness_run(suite);
	remove_image();
	return status;
}
