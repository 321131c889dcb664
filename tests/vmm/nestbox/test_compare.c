/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Mann-Whitney test against values from its tables and against what must hold of it. */
#include <math.h>

#include "tests/harness.h"
#include "vmm/nestbox/compare.h"

/* Two lists without overlap, 5 and 5: U = 0, z = (12.5 - 0.5) / sqrt(22.9167), p = 0.01219. */
START_TEST(lists_apart_are_different)
{
	const double a[] = {1, 2, 3, 4, 5}, b[] = {6, 7, 8, 9, 10};

	ck_assert_double_eq_tol(compare_mann_whitney(a, 5, b, 5), 0.01219, 0.00001);
}
END_TEST

/* Ties share ranks: 1 2 2 3 against 2 3 3 4: U = 3, variance 12 - 12 * 30 / 504. */
START_TEST(ties_share_their_ranks)
{
	const double a[] = {1, 2, 2, 3}, b[] = {2, 3, 3, 4};
	double variance = 16.0 / 12 * (9 - (24.0 + 24.0) / (8 * 7));

	ck_assert_double_eq_tol(compare_mann_whitney(a, 4, b, 4),
				erfc((8 - 3 - 0.5) / sqrt(variance) / sqrt(2)), 1e-9);
}
END_TEST

START_TEST(the_same_lists_are_not_different_and_sides_do_not_matter)
{
	const double a[] = {4, 1, 3, 2, 9}, b[] = {5, 5, 5, 5}, c[] = {4, 8, 7, 6, 11, 3};

	ck_assert_double_eq(compare_mann_whitney(a, 5, a, 5), 1);
	ck_assert_double_eq(compare_mann_whitney(b, 4, b, 4), 1);
	ck_assert_double_eq(compare_mann_whitney(a, 0, b, 4), 1);
	ck_assert_double_eq_tol(compare_mann_whitney(a, 5, c, 6), compare_mann_whitney(c, 6, a, 5),
				1e-12);
}
END_TEST

/* Of lists drawn from one distribution about one in twenty is called different, no more. */
START_TEST(noise_is_called_noise)
{
	uint64_t seed = 20261201;
	unsigned int wrong = 0;

	for (unsigned int round = 0; round < 2000; round++) {
		double list[2][10];

		for (unsigned int i = 0; i < 20; i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			list[i / 10][i % 10] = (double)(seed >> 40);
		}
		wrong += compare_mann_whitney(list[0], 10, list[1], 10) < COMPARE_P;
	}
	ck_assert_uint_gt(wrong, 40);
	ck_assert_uint_lt(wrong, 140);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("compare");
	Suite *suite = suite_create("compare");

	tcase_add_test(tcase, lists_apart_are_different);
	tcase_add_test(tcase, ties_share_their_ranks);
	tcase_add_test(tcase, the_same_lists_are_not_different_and_sides_do_not_matter);
	tcase_add_test(tcase, noise_is_called_noise);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
