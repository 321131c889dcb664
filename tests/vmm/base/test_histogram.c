/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Log-linear histograms: their buckets, their error, their merging.
 */
#include <errno.h>
#include <math.h>

#include "tests/harness.h"
#include "vmm/base/histogram.h"

START_TEST(buckets_follow_each_other_without_gap)
{
	uint64_t low, high, next = 0;

	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		histogram_range(i, &low, &high);
		ck_assert_uint_eq(low, next);
		ck_assert_uint_eq(histogram_bucket(low), i);
		ck_assert_uint_eq(histogram_bucket(high), i);
		ck_assert(high == low || (high - low + 1) * 128 <= low);
		next = high + 1;
	}
	ck_assert_uint_eq(next, UINT64_C(1) << 32);
	ck_assert_uint_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}
END_TEST

START_TEST(percentiles_are_within_the_stated_error)
{
	static struct histogram histogram;
	static const double percents[] = {0, 1, 50, 90, 99, 99.9, 100};

	for (uint64_t i = 1; i <= 100000; i++)
		histogram_add(&histogram, i * 7, 1);
	for (size_t i = 0; i < 7; i++) {
		double want = ceil(1000 * percents[i]) * 7;

		if (want < 7)
			want = 7;
		ck_assert_double_le(
			fabs((double)histogram_percentile(&histogram, percents[i]) - want),
			want / 256 + 1);
	}
	ck_assert_double_le(fabs(histogram_mean(&histogram) / 350003.5 - 1), 1. / 256);
}
END_TEST

START_TEST(parts_merge_to_the_whole)
{
	static struct histogram whole, parts[3], sum, back;
	json_t *json;
	uint64_t value = 1;

	for (int i = 0; i < 3000; i++) {
		value = value * 6364136223846793005u + 1442695040888963407u;
		histogram_add(&whole, value >> 30, 1);
		histogram_add(&parts[i % 3], value >> 30, 1);
	}
	for (int i = 0; i < 3; i++)
		histogram_merge(&sum, &parts[i]);
	ck_assert_mem_eq(&whole, &sum, sizeof(whole));
	json = histogram_json(&whole);
	ck_assert_int_eq(histogram_add_json(&back, json), 0);
	ck_assert_mem_eq(&whole, &back, sizeof(whole));
	json_decref(json);
}
END_TEST

START_TEST(what_is_no_histogram_is_refused)
{
	static const char *const texts[] = {"[[257, 1]]", "[[1, 0]]",  "[[1, -1]]",   "[[1]]",
					    "[1]",        "[[-1, 1]]", "[[\"1\", 1]]"};
	static struct histogram histogram;
	json_t *json = json_loads(texts[_i], 0, NULL);

	ck_assert_ptr_nonnull(json);
	ck_assert_int_eq(histogram_add_json(&histogram, json), -EINVAL);
	json_decref(json);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *tcase = tcase_create("histogram");

	tcase_add_test(tcase, buckets_follow_each_other_without_gap);
	tcase_add_test(tcase, percentiles_are_within_the_stated_error);
	tcase_add_test(tcase, parts_merge_to_the_whole);
	tcase_add_loop_test(tcase, what_is_no_histogram_is_refused, 0, 7);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
