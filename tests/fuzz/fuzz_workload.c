/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any bytes as a workload. What is taken compiles, or says why not. */
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/driver.h"
#include "tests/fuzz/fuzz_file.h"
#include "vmm/load/program.h"

uint64_t fuzz_runs_default = 5000;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	const struct program_options options = {.part_max = 64, .slots_max = 4096};
	struct input_error error = {""};
	struct load_program program;
	struct workload workload;
	char path[64];
	int fd = fuzz_file(bytes, size_bytes, path, sizeof(path)), err;

	if (fd < 0)
		return 0;
	err = workload_read(path, &workload, &error);
	close(fd);
	if (err) {
		FUZZ_CHECK(*error.text);
		return 0;
	}
	FUZZ_CHECK(workload.operations <= WORKLOAD_OPERATIONS_MAX);
	if (workload.operations < 5000) {
		err = program_compile(&workload, "fuzz", &options, &program, &error);
		FUZZ_CHECK(!err || *error.text);
		if (!err) {
			FUZZ_CHECK(program.allocations + program.purges >= workload.operations);
			FUZZ_CHECK(program.frees <= program.allocations);
			program_free(&program);
		}
	}
	workload_free(&workload);
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	static const char text[] =
		"workload 1\ncpus 2\nseed 7\nmode lazy\nmemory 1G\n"
		"class a # areas\n size table 4K..64K x 10, 1M x 1\n lifetime exponential 40 max "
		"99\n"
		" align 16K\n window modules\n gfp kernel zero\n touch all\n node 0\n free any\n"
		"class b\n kind user\n size deck 4K x 2\n lifetime uniform 1..9\n"
		"class c\n kind reserve\n guard no\n size pareto 1 1.2 max 8K\n"
		"setup s\n use c 3 lifetime phase\n"
		"phase p\n use a 30 lifetime table 1 x 2, forever x 1\n use b 5\n cpus 0..1\n"
		" spread rotate\n order even\n purges 2\n repeat 2\n drain\n";

	FUZZ_CHECK(sizeof(text) <= room);
	memcpy(bytes, text, sizeof(text) - 1);
	return sizeof(text) - 1;
}
