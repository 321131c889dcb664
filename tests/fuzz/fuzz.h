/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fuzz targets share. A target is one LLVMFuzzerTestOneInput(). Under libFuzzer (clang
 * -fsanitize=fuzzer -DWITH_LIBFUZZER) that is all; otherwise the main() below runs it over the
 * files of a corpus, and over every way to cut each one short, so that a plain build runs it too.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/fuzz_file.h"
#include "tests/top.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The folder of the target's corpus below tests/fuzz/corpus/. */
extern const char fuzz_corpus[];

#ifndef WITH_LIBFUZZER

/* Longer inputs are cut at fewer places, so that a run stays short. */
#define FUZZ_CUTS 256

static int fuzz_run_file(const char *path)
{
	uint8_t *bytes = malloc(1 << 20);
	FILE *file = fopen(path, "rb");
	size_t size, cut, step;

	if (!bytes || !file) {
		fprintf(stderr, "%s cannot be read\n", path);
		exit(EXIT_FAILURE);
	}
	size = fread(bytes, 1, 1 << 20, file);
	fclose(file);
	step = size / FUZZ_CUTS + 1;
	for (cut = 0; cut < size; cut += step)
		LLVMFuzzerTestOneInput(bytes, cut);
	LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
	return 1;
}

int main(int argc, char **argv)
{
	DIR *dir;
	struct dirent *entry;
	char folder[4096], path[8192];
	int files = 0;

	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", test_top(), fuzz_corpus);
	if (argc > 1)
		snprintf(folder, sizeof(folder), "%s", argv[1]);
	dir = opendir(folder);
	if (!dir) {
		fprintf(stderr, "%s cannot be opened\n", folder);
		return EXIT_FAILURE;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		files += fuzz_run_file(path);
	}
	closedir(dir);
	if (!files) {
		fprintf(stderr, "%s holds no files\n", folder);
		return EXIT_FAILURE;
	}
	printf("%d files, whole and cut short\n", files);
	return EXIT_SUCCESS;
}

#endif

#endif
