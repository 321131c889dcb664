/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exact percentiles of latencies. */
#include "vmm/base/latency.h"

#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"

int latency_add(struct latency *latency, uint64_t ticks)
{
	int err = GROW(latency->samples, latency->count);

	if (err)
		return err;
	latency->samples[latency->count++] = ticks;
	latency->sorted = false;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

uint64_t latency_percentile(struct latency *latency, unsigned int percent)
{
	size_t whole, rest, rank;

	if (!latency->count)
		return 0;
	if (!latency->sorted)
		qsort(latency->samples, latency->count, sizeof(*latency->samples), by_value);
	latency->sorted = true;
	/* ceil(count * percent / 100), in parts so that it cannot overflow. */
	whole = latency->count / 100 * percent;
	rest = latency->count % 100 * percent;
	rank = whole + (rest + 99) / 100;
	return latency->samples[rank ? rank - 1 : 0];
}

void latency_deinit(struct latency *latency)
{
	free(latency->samples);
	memset(latency, 0, sizeof(*latency));
}
