/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A log-linear histogram, as HdrHistogram's: values below 2^8 have a bucket each, larger ones 2^7
 * buckets between powers of two, so that a bucket is at most 1/128 of what is in it wide, and its
 * middle at most 1/256 (0.4 %) away. What is 2^32 or more is counted in the last. Two are merged by
 * adding their counts: no error comes with that.
 */
#ifndef VMM_BASE_HISTOGRAM_H
#define VMM_BASE_HISTOGRAM_H

#include <jansson.h>
#include <stdint.h>

#define HISTOGRAM_LINEAR_BITS 8u
#define HISTOGRAM_VALUE_BITS  32u
#define HISTOGRAM_BUCKETS \
	((HISTOGRAM_VALUE_BITS - HISTOGRAM_LINEAR_BITS + 2u) << (HISTOGRAM_LINEAR_BITS - 1u))

/* A zeroed one is empty. */
struct histogram {
	uint64_t count;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* The bucket of @value, and the values of a bucket, [*@low_out, *@high_out]. */
uint32_t histogram_bucket(uint64_t value);
void histogram_range(uint32_t bucket, uint64_t *low_out, uint64_t *high_out);

/* Counts @value @times more. */
void histogram_add(struct histogram *histogram, uint64_t value, uint64_t times);

void histogram_merge(struct histogram *into, const struct histogram *from);

/*
 * The middle of the bucket that holds the value of rank ceil(count * @percent / 100) (the nearest
 * rank; at least the first): 0 of an empty one. @percent is from 0 to 100.
 */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

/* Of the buckets' middles; 0 of an empty one. */
double histogram_mean(const struct histogram *histogram);

/* [[lowest value, count], ...] of the buckets that hold something; NULL: no memory. */
json_t *histogram_json(const struct histogram *histogram);

/*
 * Adds what histogram_json() made. Returns 0, or -EINVAL (it is none: a value that begins no
 * bucket, a count that is none or too large), with part of it added.
 */
int histogram_add_json(struct histogram *histogram, const json_t *json);

#endif
