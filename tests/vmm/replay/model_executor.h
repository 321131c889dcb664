/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An executor of replays that is no guest: the linear model. It can be told to misbehave, so that
 * tests see the misbehaviour reported.
 */
#ifndef TESTS_MODEL_EXECUTOR_H
#define TESTS_MODEL_EXECUTOR_H

#include "tests/vmm/replay/replay_model.h"
#include "vmm/replay/replay.h"

struct model_executor {
	struct model model;
	struct replay_executor executor; /* for replay_run() */
	uint64_t pages_left;             /* MAPs take pages; -ENOMEM when there are none */

	/* Faults to plant; 0 for none. Counted from 1. */
	uint64_t fail_submit;   /* this batch ends the executor */
	uint64_t shift_alloc;   /* this allocation goes 16 MiB too high */
	uint64_t violate_audit; /* this audit finds two violations */
	uint64_t ignore_purges; /* purges do nothing */
	uint64_t forget_area;   /* this many areas are left out at the end */

	/* What was asked. */
	uint64_t batches;
	uint64_t allocs;
	uint64_t audits;
	uint64_t operations;
	size_t largest_batch;
};

/* Prepares a model that takes up to @max_batch operations at once. */
void model_executor_init(struct model_executor *model, size_t max_batch);

void model_executor_deinit(struct model_executor *model);

#endif
