/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A recording of tests/data/, its plan, and its replay by the linear model. */
#ifndef TESTS_VMM_REPLAY_SHIPPED_H
#define TESTS_VMM_REPLAY_SHIPPED_H

#include "tests/harness.h"
#include "tests/scratch.h"
#include "tests/top.h"
#include "tests/vmm/replay/model_executor.h"
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

#endif
