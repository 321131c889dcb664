/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a recording: its files, its place in a guest, its addresses. */
#include "vmm/nestbox/replay_job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/abi.h"
#include "vmm/attach/executor.h"
#include "vmm/base/cli.h"
#include "vmm/machine/guest.h"
#include "vmm/nestbox/recording.h"
#include "vmm/replay/needs.h"

/* What the guest's own ranges leave free: guest/border.h refuses areas in those. */
static const struct replay_room guest_room = {
	.low = NB_DIRECT_BASE + NB_RAM_LIMIT,
	.high = NB_MEMMAP_BASE,
	.vmalloc_start = NB_VMALLOC_START,
	.vmalloc_end = NB_VMALLOC_END,
	.modules_start = NB_MODULES_BASE,
	.modules_end = UINT64_MAX,
};

/* Reads a snapshot the folder may have; one that cannot be read is an error, none is not. */
static int read_snapshot(const char *folder, const char *file, char **path_out,
			 struct vmallocinfo *info_out, struct input_error *error)
{
	char *path = recording_file(folder, file);
	int err;

	if (!path)
		return -ENOMEM;
	if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
		free(path);
		return 0;
	}
	err = vmallocinfo_read(path, info_out, error);
	if (err)
		free(path);
	else
		*path_out = path;
	return err;
}

void job_close(struct job *job)
{
	replay_plan_free(&job->plan);
	replay_layout_free(&job->layout);
	replay_prelude_free(&job->prelude);
	replay_state_free(&job->state);
	free(job->info.skipped_names);
	vmallocinfo_free(&job->begin);
	vmallocinfo_free(&job->end);
	free(job->name);
	free(job->trace_path);
	free(job->begin_path);
	free(job->end_path);
}

/* Adds what the folder's `meta` says, if it has one. */
static int read_meta(const char *folder, struct ftrace_info *info, struct input_error *error)
{
	char *path = recording_file(folder, "meta");
	int err = path ? 0 : -ENOMEM;

	if (path && !access(path, F_OK))
		err = ftrace_read_meta(path, info, error);
	free(path);
	return err;
}

/* What was before the snapshot; a prelude that cannot be read is said and left. */
static int read_prelude(const char *folder, struct job *job, struct input_error *error)
{
	int err = replay_prelude_read(folder, job->trace_path, &job->prelude, error);

	if (err == -EINVAL) {
		fprintf(stderr, "%s; going on without it\n", error->text);
		return 0;
	}
	if (!err)
		replay_prelude_apply(&job->prelude, &job->plan);
	return err;
}

/* Moves the recording to where the guest can have it, and finds how much memory that takes. */
static int fit_guest(const char *folder, const struct job_options *options, struct job *job,
		     struct input_error *error)
{
	int err = replay_layout_find(&job->plan, job->begin_path ? &job->begin : NULL,
				     job->end_path ? &job->end : NULL, &guest_room, folder,
				     &job->layout, error);
	uint64_t needed = replay_plan_memory(&job->plan);
	char most[32];

	if (err)
		return err;
	replay_layout_move_plan(&job->layout, &job->plan);
	replay_layout_move_snapshot(&job->layout, &job->begin);
	replay_layout_move_snapshot(&job->layout, &job->end);
	job->memory_bytes = needed > MEMORY_BYTES_DEFAULT ? needed : MEMORY_BYTES_DEFAULT;
	if (options->memory_bytes)
		job->memory_bytes = options->memory_bytes;
	if (job->memory_bytes <= MEMORY_BYTES_MAX || options->no_guest)
		return 0;
	cli_size_format(MEMORY_BYTES_MAX, most, sizeof(most));
	return input_fail(error, job->trace_path, 0,
			  "more is mapped at one time than a guest can have memory (%s); replay it "
			  "with --memory SIZE, and what does not fit will fail",
			  most);
}

/* Model steps that inference may spend: some seconds. */
#define INFERENCE_WORK UINT64_C(12000000)

static void show_inference(void *context, uint64_t done, uint64_t total, uint64_t missed)
{
	cli_progress_update(context, done, total);
}

/* Brings the plan to Linux's addresses. A state that does not fit the snapshot is said and left. */
static int settle(const struct job_options *options, const char *folder, struct job *job,
		  struct input_error *error)
{
	struct cli_progress progress;
	int err = replay_state_read_folder(folder, &job->layout, &job->state, error);

	if (err)
		return err;
	replay_state_apply(&job->state, &job->plan);
	if (job->state.shape_count > GUEST_EXECUTOR_SHAPE_MAX) {
		fprintf(stderr,
			"%s: a guest takes the shape of a free tree of %zu ranges at most, and the "
			"state's has %zu; its ranges are inserted by address instead\n",
			folder, GUEST_EXECUTOR_SHAPE_MAX, job->state.shape_count);
		free(job->state.shape);
		job->state.shape = NULL;
		job->state.shape_count = 0;
	}
	job->settle.start = (struct settle_start){
		.shape = job->state.shape,
		.shape_count = job->state.shape_count,
		.pooled = job->state.pooled,
		.pooled_count = job->state.pooled_count,
		.pools_known = job->state.pools_known || job->prelude.pools_empty,
	};
	err = rules_find(&job->plan, &job->info, &job->settle.start, guest_room.vmalloc_start,
			 guest_room.vmalloc_end, &job->rules, error);
	if (err)
		return err;
	cli_progress_start(&progress, job->name);
	job->settle.rules = job->rules.rules;
	job->settle.shape_max = GUEST_EXECUTOR_SHAPE_MAX;
	job->settle.work = options->no_inference ? 0 : INFERENCE_WORK;
	job->settle.progress = show_inference;
	job->settle.progress_context = &progress;
	err = settle_plan(&job->plan, &job->settle, &job->settled, error);
	if (err == -EINVAL && job->state.shape) {
		fprintf(stderr, "%s: %s; going on without it\n", folder, error->text);
		job->settle.start = (struct settle_start){.pools_known = job->prelude.pools_empty};
		err = settle_plan(&job->plan, &job->settle, &job->settled, error);
	}
	cli_progress_end(&progress);
	job->settle.progress = NULL;
	return err;
}

int job_open(const char *folder, const struct job_options *options, struct job *job,
	     struct input_error *error)
{
	int err = -ENOMEM;

	*job = (struct job){.name = recording_name(folder), .trace_path = recording_trace(folder)};
	input_fail(error, folder, 0, "out of memory");
	if (!job->name || !job->trace_path)
		goto err_close;
	err = read_snapshot(folder, "vmallocinfo.begin", &job->begin_path, &job->begin, error);
	if (!err)
		err = read_snapshot(folder, "vmallocinfo.end", &job->end_path, &job->end, error);
	if (!err)
		err = replay_plan_read(job->trace_path, job->begin_path ? &job->begin : NULL,
				       &job->plan, &job->info, error);
	if (!err)
		err = read_meta(folder, &job->info, error);
	if (!err && job->begin_path)
		err = read_prelude(folder, job, error);
	if (!err)
		err = fit_guest(folder, options, job, error);
	if (!err)
		err = settle(options, folder, job, error);
	if (!err)
		return 0;
err_close:
	job_close(job);
	return err;
}
