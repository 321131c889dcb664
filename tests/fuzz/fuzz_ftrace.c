/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any bytes as a trace. The reader and the plan either refuse them with an error
 * that names the file, or make a plan that keeps its rules.
 */
#include "tests/fuzz/fuzz.h"
#include "vmm/replay/plan.h"

const char fuzz_corpus[] = "ftrace";

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
		replay_plan_free(&plan);
		free(info.skipped_names);
	}
	close(fd);
	return 0;
}
