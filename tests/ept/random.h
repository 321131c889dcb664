/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeded random numbers for tests: NESTBOX_SEED repeats a run. */
#ifndef TESTS_EPT_RANDOM_H
#define TESTS_EPT_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The seed of this run, printed. */
static inline uint64_t random_seed(const char *test)
{
	const char *given = getenv("NESTBOX_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);

	printf("%s: NESTBOX_SEED=%llu\n", test, (unsigned long long)seed);
	fflush(stdout);
	return seed ? seed : 1;
}

/* splitmix64: a step of the state, mixed. */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t value = *state += 0x9e3779b97f4a7c15ULL;

	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
	return value ^ (value >> 31);
}

static inline uint64_t random_below(uint64_t *state, uint64_t bound)
{
	return random_next(state) % bound;
}

#endif
