/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log-linear histograms (vmm/base/histogram.h). */
#include "vmm/base/histogram.h"

#include <errno.h>
#include <math.h>

#define HALF (1u << (HISTOGRAM_LINEAR_BITS - 1))

uint32_t histogram_bucket(uint64_t value)
{
	uint32_t shift;

	if (value >> HISTOGRAM_VALUE_BITS)
		return HISTOGRAM_BUCKETS - 1;
	if (value >> HISTOGRAM_LINEAR_BITS == 0)
		return (uint32_t)value;
	shift = 64 - HISTOGRAM_LINEAR_BITS - (uint32_t)__builtin_clzll(value);
	return shift * HALF + (uint32_t)(value >> shift);
}

void histogram_range(uint32_t bucket, uint64_t *low_out, uint64_t *high_out)
{
	uint32_t shift = bucket < 2 * HALF ? 0 : bucket / HALF - 1;

	*low_out = (uint64_t)(bucket - shift * HALF) << shift;
	*high_out = *low_out + ((UINT64_C(1) << shift) - 1);
}

static uint64_t middle(uint32_t bucket)
{
	uint64_t low, high;

	histogram_range(bucket, &low, &high);
	return low + (high - low) / 2;
}

void histogram_add(struct histogram *histogram, uint64_t value, uint64_t times)
{
	histogram->buckets[histogram_bucket(value)] += times;
	histogram->count += times;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
	into->count += from->count;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
	uint64_t rank = (uint64_t)ceil((double)histogram->count * percent / 100), seen = 0;

	if (!histogram->count)
		return 0;
	if (rank < 1)
		rank = 1;
	if (rank > histogram->count)
		rank = histogram->count;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen >= rank)
			return middle(i);
	}
	return 0;
}

double histogram_mean(const struct histogram *histogram)
{
	double sum = 0;

	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum += (double)histogram->buckets[i] * (double)middle(i);
	return histogram->count ? sum / (double)histogram->count : 0;
}

json_t *histogram_json(const struct histogram *histogram)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t low, high;

		if (!histogram->buckets[i])
			continue;
		histogram_range(i, &low, &high);
		json_array_append_new(list, json_pack("[I, I]", (json_int_t)low,
						      (json_int_t)histogram->buckets[i]));
	}
	return list;
}

int histogram_add_json(struct histogram *histogram, const json_t *json)
{
	const json_t *one;
	size_t i;

	if (!json_is_array(json))
		return -EINVAL;
	json_array_foreach (json, i, one) {
		json_int_t value = json_integer_value(json_array_get(one, 0));
		json_int_t count = json_integer_value(json_array_get(one, 1));
		uint64_t low, high;

		if (json_array_size(one) != 2 || !json_is_integer(json_array_get(one, 0)) ||
		    value < 0 || count <= 0 || count > INT64_MAX / 4)
			return -EINVAL;
		histogram_range(histogram_bucket((uint64_t)value), &low, &high);
		if (low != (uint64_t)value || histogram->count > INT64_MAX / 4)
			return -EINVAL;
		histogram_add(histogram, low, (uint64_t)count);
	}
	return 0;
}
