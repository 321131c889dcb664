/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replays driven through the linear model: batches, audits, results, the comparison at the end,
 * and each kind of fault planted and found.
 */
#include "tests/harness.h"
#include "tests/top.h"

#include <errno.h>

#include "tests/vmm/replay/model_executor.h"
#include "tests/scratch.h"
#include "vmm/replay/needs.h"
#include "vmm/replay/end.h"

static struct replay_plan plan;
static struct ftrace_info info;
static struct input_error error;
static struct replay_outcome outcome;
static struct replay_end_state state;
static struct model_executor model;
static struct vmallocinfo end;

static void read_shipped(const char *name)
{
	struct vmallocinfo begin;
	char path[512];

	snprintf(path, sizeof(path), "%s/tests/data/%s/vmallocinfo.begin", test_top(), name);
	ck_assert_msg(!vmallocinfo_read(path, &begin, &error), "%s", error.text);
	snprintf(path, sizeof(path), "%s/tests/data/%s/vmallocinfo.end", test_top(), name);
	ck_assert_msg(!vmallocinfo_read(path, &end, &error), "%s", error.text);
	snprintf(path, sizeof(path), "%s/tests/data/%s/trace", test_top(), name);
	ck_assert_msg(!replay_plan_read(path, &begin, &plan, &info, &error), "%s", error.text);
	vmallocinfo_free(&begin);
}

static void run(size_t max_batch, struct replay_options *options)
{
	model.executor.max_batch = max_batch;
	ck_assert_msg(!replay_run(&plan, &model.executor, options, &outcome, &error), "%s",
		      error.text);
	ck_assert_int_eq(replay_end_compare(&plan, &outcome, &end, &state), 0);
}

static void drop(void)
{
	replay_end_state_free(&state);
	replay_outcome_free(&outcome);
	replay_plan_free(&plan);
	free(info.skipped_names);
	vmallocinfo_free(&end);
	model_executor_deinit(&model);
}

static const struct {
	const char *name;
	uint64_t allocs;
	uint64_t expected;
	uint64_t matching;
	uint64_t missing;
	uint64_t extra;
	uint64_t lazy_missing_bytes;
	uint64_t lazy_extra_bytes;
} shipped[] = {
	{"fork-1cpu", 1827, 72, 72, 0, 0, 0, 0},
	/* One fork and four ends of tasks between the trace's last event and the snapshot. */
	{"modules-2cpu", 261, 102, 101, 1, 4, 4 * 20480, 0},
	/* Linux has merged neighbours on its lazy list. */
	{"mixed-2cpu", 370, 87, 87, 0, 0, 0, 0},
};

START_TEST(shipped_traces_end_as_linux_did)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_END};

	read_shipped(shipped[_i].name);
	model_executor_init(&model, 0);
	run(64, &options);
	ck_assert_uint_eq(outcome.exact, shipped[_i].allocs);
	ck_assert_uint_eq(outcome.other.count, 0);
	ck_assert_uint_eq(outcome.failed, 0);
	ck_assert_uint_eq(outcome.misplaced.count, 0);
	ck_assert_uint_eq(outcome.operations, plan.op_count);
	ck_assert_uint_eq(outcome.audit_runs, 1);
	ck_assert_uint_eq(outcome.audit_checks, 11);
	ck_assert_uint_eq(outcome.allocs.count, shipped[_i].allocs);
	ck_assert_uint_eq(outcome.frees.count, plan.frees);
	ck_assert_uint_eq(state.expected, shipped[_i].expected);
	ck_assert_uint_eq(state.matching, shipped[_i].matching);
	ck_assert_uint_eq(state.missing, shipped[_i].missing);
	ck_assert_uint_eq(state.extra, shipped[_i].extra);
	ck_assert_uint_eq(state.other_kind, 0);
	ck_assert_uint_eq(state.unexplained, 0);
	ck_assert_uint_eq(state.lazy_missing_bytes, shipped[_i].lazy_missing_bytes);
	ck_assert_uint_eq(state.lazy_extra_bytes, shipped[_i].lazy_extra_bytes);
	drop();
}
END_TEST

START_TEST(differences_of_modules_have_their_reasons)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_NONE};
	size_t i;

	read_shipped("modules-2cpu");
	model_executor_init(&model, 0);
	run(64, &options);
	ck_assert_uint_eq(outcome.audit_runs, 0);
	ck_assert_uint_eq(state.difference_count, 1 + 4 + 4);
	ck_assert_int_eq(state.differences[0].kind, REPLAY_END_MISSING);
	ck_assert_uint_eq(state.differences[0].start, 0xffffc900004d8000);
	ck_assert_str_eq(state.differences[0].reason, "the trace never shows its allocation");
	for (i = 1; i < 5; i++) {
		ck_assert_int_eq(state.differences[i].kind, REPLAY_END_EXTRA);
		ck_assert_uint_eq(state.differences[i].start, 0xffffc90000498000 + i * 0x8000);
		ck_assert_str_eq(state.differences[i].reason,
				 "freed after the trace ended: unpurged by then");
		ck_assert(state.differences[i].explained);
		ck_assert_uint_ne(state.differences[i].snapshot_line, 0);
	}
	ck_assert_int_eq(state.differences[5].kind, REPLAY_END_LAZY_MISSING);
	ck_assert_str_eq(state.differences[5].reason, "freed after the trace ended");
	drop();
}
END_TEST

/* The smallest batches and the largest give the same; a free waits for its area's address. */
START_TEST(batches_change_nothing)
{
	static const size_t sizes[] = {1, 2, 7, 100000};
	struct replay_options options = {.audit = REPLAY_AUDIT_END};

	read_shipped("mixed-2cpu");
	model_executor_init(&model, 0);
	run(sizes[_i], &options);
	ck_assert_uint_eq(outcome.exact, 370);
	ck_assert_uint_eq(outcome.failed, 0);
	ck_assert_uint_le(model.largest_batch, sizes[_i]);
	ck_assert_uint_eq(outcome.operations, plan.op_count);
	drop();
}
END_TEST

static uint64_t last_done, last_total;

static int take_progress(void *context, uint64_t done, uint64_t total)
{
	ck_assert_ptr_eq(context, &last_done);
	ck_assert_uint_ge(done, last_done);
	last_done = done;
	last_total = total;
	return 0;
}

static int end_soon(void *context, uint64_t done, uint64_t total)
{
	*(uint64_t *)context = done;
	return done >= 100 && done < total;
}

START_TEST(a_replay_ends_when_nobody_wants_the_rest)
{
	uint64_t done = 0;
	struct replay_options options = {
		.audit = REPLAY_AUDIT_END, .progress = end_soon, .progress_context = &done};

	read_shipped("fork-1cpu");
	model_executor_init(&model, 64);
	ck_assert_int_eq(replay_run(&plan, &model.executor, &options, &outcome, &error),
			 -ECANCELED);
	ck_assert_uint_ge(done, 100);
	ck_assert_uint_lt(done, 100 + 64);
	ck_assert_msg(strstr(error.text, "interrupted after 1") != NULL, "%s", error.text);
	ck_assert_uint_eq(model.audits, 0);
	drop();
}
END_TEST

/* The model's own, with what CPUs operations are of. */
static int (*model_submit)(void *context, const struct replay_request *requests, size_t count,
			   struct replay_result *results, struct input_error *error);
static uint64_t of_cpu[3];

static int count_cpus(void *context, const struct replay_request *requests, size_t count,
		      struct replay_result *results, struct input_error *why)
{
	for (size_t i = 0; i < count; i++)
		of_cpu[requests[i].cpu < 2 ? requests[i].cpu : 2]++;
	return model_submit(context, requests, count, results, why);
}

START_TEST(operations_say_which_cpu_did_them)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_NONE};

	read_shipped("mixed-2cpu");
	model_executor_init(&model, 0);
	model_submit = model.executor.submit;
	model.executor.submit = count_cpus;
	memset(of_cpu, 0, sizeof(of_cpu));
	run(64, &options);
	ck_assert_uint_eq(replay_plan_cpus(&plan, 64), 2);
	ck_assert_uint_eq(replay_plan_cpus(&plan, 1), 1);
	ck_assert_uint_gt(of_cpu[0], plan.op_count / 10);
	ck_assert_uint_gt(of_cpu[1], plan.op_count / 10);
	ck_assert_uint_eq(of_cpu[2], 0);
	drop();
}
END_TEST

START_TEST(audits_come_every_n_operations_and_at_the_end)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_EVERY,
					 .audit_every = 20,
					 .progress = take_progress,
					 .progress_context = &last_done};

	read_shipped("fork-1cpu");
	model_executor_init(&model, 0);
	run(64, &options);
	ck_assert_uint_eq(outcome.audit_runs, (plan.op_count + 19) / 20);
	ck_assert_uint_le(model.largest_batch, 20);
	ck_assert_uint_eq(last_done, plan.op_count);
	ck_assert_uint_eq(last_total, plan.op_count);
	drop();
}
END_TEST

/* 3723 operations are 51 times 73: the audit behind the last of them is the one at the end. */
START_TEST(the_audit_at_the_end_is_not_made_twice)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_EVERY, .audit_every = 73};

	read_shipped("fork-1cpu");
	model_executor_init(&model, 0);
	run(64, &options);
	ck_assert_uint_eq(plan.op_count % 73, 0);
	ck_assert_uint_eq(outcome.audit_runs, plan.op_count / 73);
	drop();
}
END_TEST

START_TEST(audit_modes_are_read_strictly)
{
	static const char *const bad[] = {
		"",        "END",      "every",    "every=", "every=0",
		"every=x", "every=1 ", "every=-1", "ends",   "every=99999999999999999999"};
	struct replay_options options = {.audit_every = 77};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(replay_audit_mode_parse(bad[i], &options), -EINVAL);
	ck_assert_uint_eq(options.audit_every, 77);
	ck_assert_int_eq(replay_audit_mode_parse("every=20", &options), 0);
	ck_assert_int_eq(options.audit, REPLAY_AUDIT_EVERY);
	ck_assert_uint_eq(options.audit_every, 20);
	ck_assert_int_eq(replay_audit_mode_parse("none", &options), 0);
	ck_assert_int_eq(options.audit, REPLAY_AUDIT_NONE);
	ck_assert_int_eq(replay_audit_mode_parse("end", &options), 0);
	ck_assert_int_eq(options.audit, REPLAY_AUDIT_END);
}
END_TEST

/* ---- planted faults ---- */

START_TEST(a_guest_too_small_fails_operations_and_goes_on)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_END};

	read_shipped("fork-1cpu");
	model_executor_init(&model, 0);
	model.pages_left = 2000;
	run(64, &options);
	ck_assert_uint_gt(outcome.failed, 0);
	ck_assert_uint_eq(outcome.failures.count, outcome.failed);
	ck_assert_int_eq(outcome.failures.first[0].status, -ENOMEM);
	ck_assert_uint_eq(outcome.failures.first[0].got, 0);
	ck_assert_uint_gt(outcome.skipped, 0);
	ck_assert_uint_eq(outcome.exact + outcome.other.count + outcome.failed, 1827);
	ck_assert_uint_eq(outcome.operations + outcome.skipped, plan.op_count);
	drop();
}
END_TEST

START_TEST(an_allocation_at_another_address_is_found)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_END};
	const struct replay_difference *first = &outcome.other.first[0];

	read_shipped("fork-1cpu");
	model_executor_init(&model, 0);
	model.shift_alloc = 70 + 1;
	run(64, &options);
	ck_assert_uint_ge(outcome.other.count, 1);
	ck_assert_uint_eq(plan.ops[first->op].line, 16);
	ck_assert_uint_eq(first->expected, 0xffffc900005a8000);
	ck_assert_uint_ne(first->got, first->expected);
	ck_assert_uint_eq(first->status, 0);
	drop();
}
END_TEST

START_TEST(an_initial_area_elsewhere_is_found)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_END};

	read_shipped("fork-1cpu");
	/* Only a window that is too wide lets an initial area move. */
	plan.areas[3].vend += 1 << 20;
	plan.areas[3].vstart += 1 << 19;
	model_executor_init(&model, 0);
	run(64, &options);
	ck_assert_uint_ge(outcome.misplaced.count, 1);
	ck_assert_uint_eq(outcome.misplaced.first[0].op, 3);
	ck_assert_uint_gt(state.unexplained, 0);
	drop();
}
END_TEST

START_TEST(a_violation_is_kept_with_its_place)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_EVERY, .audit_every = 100};

	read_shipped("fork-1cpu");
	model_executor_init(&model, 0);
	model.violate_audit = 3;
	run(64, &options);
	ck_assert_uint_eq(outcome.audit_violations, 2);
	ck_assert_uint_eq(outcome.violation_count, 1);
	ck_assert_uint_eq(outcome.violations[0].after_ops, 300);
	ck_assert_uint_eq(outcome.violations[0].line, plan.ops[299].line);
	ck_assert_str_eq(outcome.violations[0].text, "areas: planted");
	drop();
}
END_TEST

START_TEST(a_guest_that_stops_ends_the_replay_cleanly)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_END};
	struct replay_outcome untouched = {.exact = 77};

	read_shipped("fork-1cpu");
	model_executor_init(&model, 64);
	model.fail_submit = 5;
	ck_assert_int_eq(replay_run(&plan, &model.executor, &options, &untouched, &error), -EIO);
	ck_assert_str_eq(error.text, "the guest has stopped");
	ck_assert_uint_eq(untouched.exact, 77);
	drop();
}
END_TEST

START_TEST(purges_that_do_nothing_are_seen_in_the_end_state)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_END};

	read_shipped("fork-1cpu");
	model_executor_init(&model, 0);
	model.ignore_purges = 1;
	run(64, &options);
	ck_assert_uint_gt(outcome.other.count, 0);
	ck_assert_uint_gt(state.lazy_extra_bytes, 0);
	drop();
}
END_TEST

START_TEST(an_area_that_is_gone_is_not_explained)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_END};

	read_shipped("fork-1cpu");
	model_executor_init(&model, 0);
	model.forget_area = 1;
	run(64, &options);
	ck_assert_uint_eq(state.missing, 1);
	ck_assert_uint_eq(state.unexplained, 1);
	ck_assert_str_eq(state.differences[0].reason, "it was here, and is gone");
	drop();
}
END_TEST

/* ---- the comparison by hand ---- */

static void compare(const char *begin, const char *trace, const char *end_text)
{
	struct replay_options options = {.audit = REPLAY_AUDIT_NONE};
	struct vmallocinfo snapshot;

	ck_assert_msg(!vmallocinfo_read(scratch_write(begin), &snapshot, &error), "%s", error.text);
	scratch_remove();
	ck_assert_msg(!vmallocinfo_read(scratch_write(end_text), &end, &error), "%s", error.text);
	scratch_remove();
	ck_assert_msg(!replay_plan_read(scratch_write(trace), &snapshot, &plan, &info, &error),
		      "%s", error.text);
	scratch_remove();
	vmallocinfo_free(&snapshot);
	model_executor_init(&model, 0);
	run(16, &options);
}

#define TASK "            task-10      [000] .....     1.000000: "

START_TEST(each_kind_of_difference_has_its_reason)
{
	compare("0x1000-0x3000 8192 a pages=1 vmalloc\n"
		"0x3000-0x5000 8192 b phys=0x1 ioremap\n"
		"0x8000-0xa000 8192 c pages=1 vmalloc\n"
		"0xa000-0xc000 8192 unpurged vm_area\n"
		"0x20000-0x22000 8192 d pages=1 vmalloc\n",
		TASK "free_vmap_area_noflush: va_start=0x20000 va_end=0x22000\n",
		"0x1000-0x3000 8192 a pages=1 vmalloc\n"
		"0x3000-0x5000 8192 b pages=1 vmalloc\n"
		"0x5000-0x7000 8192 e pages=1 vmalloc\n"
		"0x8000-0xb000 12288 c pages=2 vmalloc\n"
		"0x20000-0x21000 4096 unpurged vm_area\n"
		"0x30000-0x31000 4096 unpurged vm_area\n"
		"0x31000-0x32000 4096 unpurged vm_area\n");
	ck_assert_uint_eq(state.expected, 4);
	ck_assert_uint_eq(state.matching, 2);
	ck_assert_uint_eq(state.missing, 2);
	ck_assert_uint_eq(state.extra, 1);
	ck_assert_uint_eq(state.other_kind, 1);
	ck_assert_uint_eq(state.difference_count, 7);
	ck_assert_str_eq(state.differences[0].reason, "the trace never shows its allocation");
	ck_assert_uint_eq(state.differences[0].snapshot_line, 3);
	ck_assert_str_eq(state.differences[1].reason,
			 "allocated after the trace ended: in it, 8192 bytes were there");
	ck_assert_int_eq(state.differences[2].kind, REPLAY_END_EXTRA);
	ck_assert_str_eq(state.differences[2].reason, "freed after the trace ended");
	ck_assert_int_eq(state.differences[3].kind, REPLAY_END_OTHER_KIND);
	ck_assert_str_eq(state.differences[3].reason,
			 "the trace does not say that it is vmalloc's");
	ck_assert_int_eq(state.differences[4].kind, REPLAY_END_LAZY_MISSING);
	ck_assert_uint_eq(state.differences[4].start, 0x30000);
	ck_assert_uint_eq(state.differences[4].end, 0x32000);
	ck_assert_str_eq(state.differences[4].reason, "no free of it waits for a purge here");
	ck_assert_int_eq(state.differences[5].kind, REPLAY_END_LAZY_EXTRA);
	ck_assert_uint_eq(state.differences[5].start, 0xa000);
	ck_assert_uint_eq(state.differences[5].end, 0xc000);
	ck_assert_str_eq(state.differences[5].reason,
			 "purged and used again after the trace ended");
	ck_assert_int_eq(state.differences[6].kind, REPLAY_END_LAZY_EXTRA);
	ck_assert_uint_eq(state.differences[6].start, 0x21000);
	ck_assert_uint_eq(state.lazy_expected_bytes, 3 * 4096);
	ck_assert_uint_eq(state.lazy_matching_bytes, 4096);
	ck_assert_uint_eq(state.lazy_extra_bytes, 8192 + 4096);
	drop();
}
END_TEST

/* ---- latencies ---- */

/* Against a count of the samples that do not exceed the answer. */
START_TEST(percentiles_are_exact)
{
	struct latency latency = {0};
	uint64_t random = 88172645463325252u, value;
	unsigned int percent;
	size_t i, below, count;

	for (count = 1; count < 250; count += 31) {
		for (i = 0; i < count; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			ck_assert_int_eq(latency_add(&latency, random % 100), 0);
		}
		for (percent = 0; percent <= 100; percent++) {
			value = latency_percentile(&latency, percent);
			for (i = 0, below = 0; i < count; i++)
				below += latency.samples[i] < value;
			ck_assert_uint_lt(100 * below, percent ? 100 * count : 1);
			ck_assert(100 * below < percent * count || percent == 0);
			for (i = 0, below = 0; i < count; i++)
				below += latency.samples[i] <= value;
			ck_assert_uint_ge(100 * below, percent * count);
		}
		latency_deinit(&latency);
	}
	ck_assert_uint_eq(latency_percentile(&latency, 50), 0);
}
END_TEST

static Suite *replay_suite(void)
{
	Suite *suite = suite_create("replay");
	TCase *whole = tcase_create("shipped"), *faults = tcase_create("faults");
	TCase *parts = tcase_create("parts");

	tcase_add_loop_test(whole, shipped_traces_end_as_linux_did, 0, 3);
	tcase_add_test(whole, differences_of_modules_have_their_reasons);
	tcase_add_loop_test(whole, batches_change_nothing, 0, 4);
	tcase_add_test(whole, audits_come_every_n_operations_and_at_the_end);
	tcase_add_test(whole, a_replay_ends_when_nobody_wants_the_rest);
	tcase_add_test(whole, operations_say_which_cpu_did_them);
	tcase_add_test(whole, the_audit_at_the_end_is_not_made_twice);
	suite_add_tcase(suite, whole);
	tcase_add_test(faults, a_guest_too_small_fails_operations_and_goes_on);
	tcase_add_test(faults, an_allocation_at_another_address_is_found);
	tcase_add_test(faults, an_initial_area_elsewhere_is_found);
	tcase_add_test(faults, a_violation_is_kept_with_its_place);
	tcase_add_test(faults, a_guest_that_stops_ends_the_replay_cleanly);
	tcase_add_test(faults, purges_that_do_nothing_are_seen_in_the_end_state);
	tcase_add_test(faults, an_area_that_is_gone_is_not_explained);
	suite_add_tcase(suite, faults);
	tcase_add_test(parts, audit_modes_are_read_strictly);
	tcase_add_test(parts, each_kind_of_difference_has_its_reason);
	tcase_add_test(parts, percentiles_are_exact);
	suite_add_tcase(suite, parts);
	return suite;
}

int main(void)
{
	return harness_run(replay_suite());
}
