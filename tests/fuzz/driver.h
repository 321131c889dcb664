/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a fuzz harness provides. Linked with tests/fuzz/driver.c it is a short test of its own that
 * needs no fuzzer: mutations of the example, with a printed seed. With clang's -fsanitize=fuzzer
 * in the driver's place it is a libFuzzer target.
 *
 *     test            FUZZ_RUNS (20000 or fewer) mutations from FUZZ_SEED (default: the time)
 *     test FILE...    each file once: a corpus, or what a fuzzer found
 */
#ifndef TESTS_FUZZ_DRIVER_H
#define TESTS_FUZZ_DRIVER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Says where a promise was broken, and aborts. */
#define FUZZ_CHECK(holds)                                                                   \
	do {                                                                                \
		if (!(holds)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #holds); \
			abort();                                                            \
		}                                                                           \
	} while (0)

/* Feeds one input to what is tested; aborts where that breaks a promise. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

/* How many runs a plain start makes; a slow target defines it smaller. */
extern uint64_t fuzz_runs_default;

/* Writes a good input to @bytes, which has room for @room, and returns its size. */
size_t fuzz_example(uint8_t *bytes, size_t room);

#endif
