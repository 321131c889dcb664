/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Latencies and their percentiles, exact: every sample is kept (8 bytes) and sorted when asked.
 * Not for concurrent use.
 */
#ifndef VMM_BASE_LATENCY_H
#define VMM_BASE_LATENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed struct holds no samples. */
struct latency {
	uint64_t *samples;
	size_t count;
	bool sorted;
};

/* Adds a sample. Returns 0, or -ENOMEM and nothing changed. */
int latency_add(struct latency *latency, uint64_t ticks);

/*
 * The smallest sample that at least @percent of the samples do not exceed (the nearest rank):
 * 0 gives the smallest sample, 100 the largest. 0 when there are no samples. @percent is at most
 * 100. Sorts the samples.
 */
uint64_t latency_percentile(struct latency *latency, unsigned int percent);

/* Frees the samples; the struct can be used again. */
void latency_deinit(struct latency *latency);

#endif
