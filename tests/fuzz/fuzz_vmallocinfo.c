/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any bytes as a snapshot. It is refused with an error that names the file, or its
 * areas are sorted, disjoint and of whole pages.
 */
#include "tests/fuzz/fuzz.h"
#include "vmm/replay/vmallocinfo.h"

const char fuzz_corpus[] = "vmallocinfo";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input_error error = {""};
	struct vmallocinfo info;
	uint64_t last_end = 1;
	char path[64];
	int fd = fuzz_file(bytes, size, path, sizeof(path));
	size_t i;

	if (fd < 0)
		return 0;
	if (vmallocinfo_read(path, &info, &error)) {
		if (strncmp(error.text, path, strlen(path)))
			abort();
	} else {
		for (i = 0; i < info.count; i++) {
			if (info.areas[i].start < last_end ||
			    info.areas[i].end <= info.areas[i].start ||
			    info.areas[i].start % 4096 || info.areas[i].end % 4096 ||
			    vmallocinfo_find(&info, info.areas[i].end - 1) != &info.areas[i])
				abort();
			last_end = info.areas[i].end;
		}
		vmallocinfo_free(&info);
	}
	close(fd);
	return 0;
}
