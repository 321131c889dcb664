/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a fuzz harness without a fuzzer: a few thousand mutations of its example. Under libFuzzer
 * (WITH_LIBFUZZER), which has its own main(), it only says what a good input is.
 */
#include "tests/fuzz/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROOM (128 << 10)

uint64_t fuzz_runs_default __attribute__((weak)) = 20000;

#ifdef WITH_LIBFUZZER

size_t fuzz_example(uint8_t *bytes, size_t room) __attribute__((weak));
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* With FUZZ_EXAMPLE=FILE in the environment: writes the example there, and that is all. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static uint8_t example[ROOM];
	const char *path = getenv("FUZZ_EXAMPLE");
	size_t size, written = 0;
	FILE *file;

	(void)argc, (void)argv;
	if (!path)
		return 0;
	size = fuzz_example ? fuzz_example(example, sizeof(example)) : 0;
	file = size ? fopen(path, "wb") : NULL;
	if (file) {
		written = fwrite(example, 1, size, file);
		written = fclose(file) ? 0 : written;
	}
	exit(size && written == size ? EXIT_SUCCESS : EXIT_FAILURE);
}

#else

/* xorshift64*: the same numbers from the same seed everywhere. */
static uint64_t state;

static uint64_t next_random(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull;
}

/* Numbers that lie on the edges of checks. */
static uint64_t edge(void)
{
	static const uint64_t edges[] = {
		0,
		1,
		7,
		8,
		0x7f,
		0x80,
		0xff,
		0xfff,
		0x1000,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		0x7fffffffffffffff,
		0x8000000000000000,
		0xffffffff80000000,
		0xffffffffffffffff,
	};

	return edges[next_random() % (sizeof(edges) / sizeof(edges[0]))] + next_random() % 3 - 1;
}

static void mutate(uint8_t *bytes, size_t size)
{
	uint64_t word = edge();
	size_t at = next_random() % size, width = (size_t)1 << next_random() % 4;

	switch (next_random() % 4) {
	case 0:
		bytes[at] ^= (uint8_t)(1u << next_random() % 8);
		break;
	case 1:
		bytes[at] = (uint8_t)next_random();
		break;
	default:
		at -= at % width;
		memcpy(bytes + at, &word, size - at < width ? size - at : width);
		break;
	}
}

static void run_mutations(uint64_t runs)
{
	uint8_t *example = calloc(1, ROOM);
	size_t size = example ? fuzz_example(example, ROOM) : 0;

	if (size == 0)
		abort();
	for (uint64_t i = 0; i < runs; i++) {
		/* Of its very size, so that a sanitizer sees a read beyond it. */
		size_t cut = next_random() % 8 ? size : next_random() % size + 1;
		uint8_t *copy = malloc(cut);

		if (!copy)
			abort();
		memcpy(copy, example, cut);
		for (uint64_t n = next_random() % 5; n > 0; n--)
			mutate(copy, next_random() % 3 && cut > 512 ? 512 : cut);
		LLVMFuzzerTestOneInput(copy, cut);
		free(copy);
	}
	free(example);
}

static int run_file(const char *path)
{
	uint8_t *bytes = malloc(1 << 20);
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file || !bytes) {
		perror(path);
		free(bytes);
		if (file)
			fclose(file);
		return EXIT_FAILURE;
	}
	size = fread(bytes, 1, 1 << 20, file);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
	return EXIT_SUCCESS;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

int main(int argc, char **argv)
{
	uint64_t runs = setting("FUZZ_RUNS", fuzz_runs_default);
	uint64_t seed = setting("FUZZ_SEED", (uint64_t)time(NULL));

	for (int i = 1; i < argc; i++) {
		if (run_file(argv[i]) != EXIT_SUCCESS)
			return EXIT_FAILURE;
	}
	if (argc > 1)
		return EXIT_SUCCESS;
	printf("%llu runs, FUZZ_SEED=%llu\n", (unsigned long long)runs, (unsigned long long)seed);
	fflush(stdout);
	state = seed | 1;
	run_mutations(runs);
	return EXIT_SUCCESS;
}

#endif
