/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report: the keys that other programs rely on, the verdict, and what a person reads. */
#include "tests/harness.h"
#include "tests/top.h"

#include <string.h>

#include "tests/vmm/replay/model_executor.h"
#include "tests/scratch.h"
#include "vmm/replay/report.h"

static struct replay_plan plan;
static struct ftrace_info info;
static struct input_error error;
static struct replay_outcome outcome;
static struct replay_end_state state;
static struct model_executor model;
static struct replay_report report;

static void set_up(const char *name)
{
	static char trace_path[512], end_path[512];
	struct replay_options options = {.audit = REPLAY_AUDIT_END};
	struct vmallocinfo begin, end;
	char path[512];

	snprintf(path, sizeof(path), "%s/tests/data/%s/vmallocinfo.begin", test_top(), name);
	ck_assert_msg(!vmallocinfo_read(path, &begin, &error), "%s", error.text);
	snprintf(end_path, sizeof(end_path), "%s/tests/data/%s/vmallocinfo.end", test_top(), name);
	ck_assert_msg(!vmallocinfo_read(end_path, &end, &error), "%s", error.text);
	snprintf(trace_path, sizeof(trace_path), "%s/tests/data/%s/trace", test_top(), name);
	ck_assert_msg(!replay_plan_read(trace_path, &begin, &plan, &info, &error), "%s",
		      error.text);
	model_executor_init(&model, 64);
	ck_assert_int_eq(replay_run(&plan, &model.executor, &options, &outcome, &error), 0);
	ck_assert_int_eq(replay_end_compare(&plan, &outcome, &end, &state), 0);
	vmallocinfo_free(&begin);
	vmallocinfo_free(&end);
	report = (struct replay_report){.name = name,
					.trace_path = trace_path,
					.plan = &plan,
					.trace = &info,
					.outcome = &outcome,
					.end = &state,
					.end_path = end_path,
					.cpus = 1,
					.memory_bytes = 512 << 20,
					.image = "nestbox.elf",
					.kvm_module = "kvm_pvm",
					.second_stage = "shadow",
					.latency_unit = "instructions",
					.start_seconds = 0.025,
					.run_seconds = 0.5};
}

static void tear_down(void)
{
	replay_end_state_free(&state);
	replay_outcome_free(&outcome);
	replay_plan_free(&plan);
	free(info.skipped_names);
	model_executor_deinit(&model);
}

/* The value at "a.b.c". */
static json_t *at(json_t *root, const char *path)
{
	char copy[128], *part, *rest = NULL;

	strcpy(copy, path);
	for (part = strtok_r(copy, ".", &rest); part && root; part = strtok_r(NULL, ".", &rest))
		root = json_object_get(root, part);
	ck_assert_msg(root != NULL, "no %s", path);
	return root;
}

static void assert_number(json_t *root, const char *path, long long expected)
{
	json_t *value = at(root, path);

	ck_assert_msg(json_is_integer(value), "%s is no integer", path);
	ck_assert_msg(json_integer_value(value) == expected, "%s is %lld, not %lld", path,
		      (long long)json_integer_value(value), expected);
}

START_TEST(json_has_every_promised_key)
{
	static const char *const reals[] = {"start_seconds", "run_seconds", "ops_per_second"};
	static const char *const integers[] = {"latency_ticks.alloc.p50", "latency_ticks.alloc.p90",
					       "latency_ticks.alloc.p99", "latency_ticks.alloc.max",
					       "latency_ticks.free.p50",  "latency_ticks.free.p90",
					       "latency_ticks.free.p99",  "latency_ticks.free.max"};
	json_t *json;
	size_t i;

	set_up("modules-2cpu");
	json = replay_report_json(&report);
	ck_assert_ptr_nonnull(json);
	ck_assert_str_eq(json_string_value(at(json, "trace")), "modules-2cpu");
	assert_number(json, "events", 3343);
	assert_number(json, "allocs", 261);
	assert_number(json, "frees", 234);
	assert_number(json, "purges", 899);
	assert_number(json, "skipped", 0);
	assert_number(json, "failed", 0);
	assert_number(json, "address.exact", 261);
	assert_number(json, "address.other", 0);
	assert_number(json, "end_state.expected", 102);
	assert_number(json, "end_state.matching", 101);
	assert_number(json, "end_state.missing", 1);
	assert_number(json, "end_state.extra", 4);
	assert_number(json, "audit.runs", 1);
	assert_number(json, "audit.checks", 11);
	assert_number(json, "audit.violations", 0);
	assert_number(json, "guest.cpus", 1);
	assert_number(json, "guest.memory_bytes", 512 << 20);
	ck_assert_str_eq(json_string_value(at(json, "guest.image")), "nestbox.elf");
	ck_assert_str_eq(json_string_value(at(json, "kvm.module")), "kvm_pvm");
	ck_assert_str_eq(json_string_value(at(json, "kvm.second_stage")), "shadow");
	for (i = 0; i < sizeof(reals) / sizeof(reals[0]); i++)
		ck_assert(json_is_real(at(json, reals[i])));
	for (i = 0; i < sizeof(integers) / sizeof(integers[0]); i++)
		ck_assert(json_is_integer(at(json, integers[i])));
	ck_assert_int_gt(json_integer_value(at(json, "latency_ticks.alloc.max")), 0);
	ck_assert_str_eq(json_string_value(at(json, "latency_unit")), "instructions");
	ck_assert_uint_eq(json_array_size(at(json, "end_state.differences")), 9);
	json_decref(json);
	tear_down();
}
END_TEST

START_TEST(json_without_an_end_state_keeps_its_keys)
{
	json_t *json;

	set_up("fork-1cpu");
	report.end = NULL;
	report.end_path = NULL;
	report.image = "no\xffUTF-8";
	json = replay_report_json(&report);
	assert_number(json, "end_state.expected", 0);
	assert_number(json, "end_state.missing", 0);
	ck_assert(json_is_false(at(json, "end_state.compared")));
	ck_assert_str_eq(json_string_value(at(json, "guest.image")), "?");
	json_decref(json);
	tear_down();
}
END_TEST

/* Each thing that is wrong makes the replay wrong, alone. */
START_TEST(verdict_is_wrong_for_each_reason_alone)
{
	set_up("fork-1cpu");
	ck_assert_int_eq(replay_report_status(&report), CLI_DONE);
	outcome.failed = 1;
	ck_assert_int_eq(replay_report_status(&report), CLI_WRONG);
	outcome.failed = 0;
	outcome.unexpected.count = 1;
	ck_assert_int_eq(replay_report_status(&report), CLI_WRONG);
	outcome.unexpected.count = 0;
	outcome.misplaced.count = 1;
	ck_assert_int_eq(replay_report_status(&report), CLI_WRONG);
	outcome.misplaced.count = 0;
	outcome.audit_violations = 1;
	ck_assert_int_eq(replay_report_status(&report), CLI_WRONG);
	outcome.audit_violations = 0;
	outcome.other.count = 1;
	ck_assert_int_eq(replay_report_status(&report), CLI_WRONG);
	outcome.other.count = 0;
	state.unexplained = 1;
	ck_assert_int_eq(replay_report_status(&report), CLI_WRONG);
	state.unexplained = 0;
	ck_assert_int_eq(replay_report_status(&report), CLI_DONE);
	tear_down();
}
END_TEST

/* Other addresses are no fault where nothing can promise them. */
START_TEST(addresses_are_promised_from_a_whole_trace_on_a_snapshot_only)
{
	set_up("fork-1cpu");
	outcome.other.count = 1;
	state.unexplained = 1;
	plan.has_snapshot = false;
	ck_assert_int_eq(replay_report_status(&report), CLI_DONE);
	plan.has_snapshot = true;
	info.lost_dropped = 1;
	ck_assert_int_eq(replay_report_status(&report), CLI_DONE);
	info.lost_dropped = 0;
	plan.conflicts.count = 1;
	ck_assert_int_eq(replay_report_status(&report), CLI_DONE);
	outcome.failed = 1;
	ck_assert_int_eq(replay_report_status(&report), CLI_WRONG);
	tear_down();
}
END_TEST

static char *print(void)
{
	char *text;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	replay_report_print(&report, file);
	fclose(file);
	return text;
}

static void assert_says(const char *text, const char *what)
{
	ck_assert_msg(strstr(text, what) != NULL, "\"%s\" is not in:\n%s", what, text);
}

START_TEST(a_person_reads_the_verdict_first)
{
	char *text;

	set_up("modules-2cpu");
	text = print();
	assert_says(text, "modules-2cpu: right; 261 of 261 addresses as in Linux, audit clean\n");
	ck_assert_ptr_eq(strstr(text, "modules-2cpu: right"), text);
	assert_says(text, "3343 events: 261 allocations (261 by vmalloc), 234 frees, 899 purges");
	assert_says(text, "started from 79 areas");
	assert_says(text, "101 of 102 areas as in Linux, 1 missing, 4 extra");
	assert_says(text,
		    "missing    0xffffc900004d8000-0xffffc900004dd000  the trace never shows its "
		    "allocation (vmallocinfo.end:77)\n");
	assert_says(text, "lazily freed: 420 KiB of 500 KiB as in Linux\n");
	assert_says(text, "1 CPU, 512 MiB, image nestbox.elf");
	assert_says(text, "kvm_pvm, second stage: shadow");
	free(text);
	tear_down();
}
END_TEST

START_TEST(a_person_reads_what_is_wrong_and_where)
{
	char *text;

	set_up("fork-1cpu");
	outcome.exact = 1825;
	outcome.other.count = 1;
	outcome.other.first[0] = (struct replay_difference){
		.op = plan.initial_ops, .expected = 0xffffc900005a8000, .got = 0xffffc900005b0000};
	outcome.failed = 1;
	outcome.failures.count = 1;
	outcome.failures.first[0] = (struct replay_difference){
		.op = plan.initial_ops + 1, .expected = 0xffffc900005c8000, .status = -12};
	outcome.audit_violations = 3;
	outcome.violation_count = 1;
	outcome.violations[0].after_ops = 9;
	strcpy(outcome.violations[0].text, "mapping: planted");
	info.lost_dropped = 5;
	plan.unknown_frees.count = 2;
	plan.unknown_frees.first[0] = (struct replay_note){0xffffe8ffffc00000, 99};
	plan.unknown_frees.first[1] = (struct replay_note){0xffffe8ffffd00000, 100};
	text = print();
	assert_says(text, "fork-1cpu: WRONG; 1825 of 1826 addresses as in Linux (not promised: "
			  "events were lost), 1 failed "
			  "operation, 3 audit violations");
	assert_says(text, "0xffffc900005a8000 in Linux, here 0xffffc900005b0000");
	assert_says(text, " (trace:16)\n");
	assert_says(text, "0xffffc900005c8000 in Linux, here Cannot allocate memory");
	assert_says(text, "after operation 9: mapping: planted");
	assert_says(text, "5 events: 0 overwritten, 5 dropped");
	assert_says(text, "2 of addresses never seen");
	assert_says(text, "0xffffe8ffffd00000 (trace:100)\n");
	free(text);
	tear_down();
}
END_TEST

static Suite *report_suite(void)
{
	Suite *suite = suite_create("replay_report");
	TCase *all = tcase_create("all");

	tcase_add_test(all, json_has_every_promised_key);
	tcase_add_test(all, json_without_an_end_state_keeps_its_keys);
	tcase_add_test(all, verdict_is_wrong_for_each_reason_alone);
	tcase_add_test(all, addresses_are_promised_from_a_whole_trace_on_a_snapshot_only);
	tcase_add_test(all, a_person_reads_the_verdict_first);
	tcase_add_test(all, a_person_reads_what_is_wrong_and_where);
	suite_add_tcase(suite, all);
	return suite;
}

int main(void)
{
	return harness_run(report_suite());
}
