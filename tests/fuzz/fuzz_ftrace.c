/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any bytes as a trace. The reader and the plan either refuse them with an error
 * that names the file, or make a plan that keeps its rules, and goes on keeping them where it is
 * moved to.
 */
#include "tests/fuzz/fuzz.h"
#include "vmm/replay/layout.h"
#include "vmm/replay/needs.h"

const char fuzz_corpus[] = "ftrace";

/* The guest's, as vmm/nestbox/replay.c has it. */
static const struct replay_room room = {
	.low = 0xffff8a0000000000,
	.high = 0xffffea0000000000,
	.vmalloc_start = 0xffffc90000000000,
	.vmalloc_end = 0xffffe8ffffffffff,
	.modules_start = 0xffffffffc0000000,
	.modules_end = UINT64_MAX,
};

/* Moves the plan, or is told why not; every address moves by whole GiBs and comes back. */
static void fit(struct replay_plan *plan, const struct vmallocinfo *begin, const char *path)
{
	struct replay_layout layout;
	struct input_error error;
	uint64_t moved;
	size_t i;

	(void)replay_plan_memory(plan);
	if (replay_layout_find(plan, begin, NULL, &room, path, &layout, &error)) {
		if (strncmp(error.text, path, strlen(path)))
			abort();
		return;
	}
	for (i = 0; layout.moved && i < plan->area_count; i++) {
		moved = replay_layout_moved(&layout, plan->areas[i].address);
		if (!plan->areas[i].address)
			continue;
		if ((moved - plan->areas[i].address) % (UINT64_C(1) << 30) ||
		    replay_layout_recorded(&layout, moved) != plan->areas[i].address)
			abort();
	}
	replay_layout_move_plan(&layout, plan);
	replay_layout_free(&layout);
	if (replay_plan_check(plan))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct vmallocinfo_area areas[] = {
		{.start = 0xffffc90000000000,
		 .end = 0xffffc90000005000,
		 .flags = VMALLOCINFO_VMALLOC,
		 .pages = 4,
		 .line = 1},
		{.start = 0xffffc90000005000,
		 .end = 0xffffc90000007000,
		 .flags = VMALLOCINFO_UNPURGED,
		 .line = 2},
	};
	struct vmallocinfo begin = {.areas = areas, .count = 2};
	struct replay_plan plan;
	struct ftrace_info info;
	struct input_error error = {""};
	char path[64];
	int fd = fuzz_file(bytes, size, path, sizeof(path)), round, err;

	for (round = 0; fd >= 0 && round < 2; round++) {
		err = replay_plan_read(path, round ? &begin : NULL, &plan, &info, &error);
		if (err) {
			if (strncmp(error.text, path, strlen(path)))
				abort();
			continue;
		}
		if (replay_plan_check(&plan))
			abort();
		fit(&plan, round ? &begin : NULL, path);
		replay_plan_free(&plan);
		free(info.skipped_names);
	}
	close(fd);
	return 0;
}
