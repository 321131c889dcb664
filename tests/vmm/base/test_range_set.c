/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The set of ranges against the linear model, step by step. */
#include "tests/harness.h"

#include <errno.h>

#include "tests/vmm/replay/replay_model.h"
#include "vmm/base/range_set.h"

#define START UINT64_C(0xffffc90000000000)

static uint64_t state;

static uint64_t roll(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

/* One allocation in both; they agree on the place. */
static void alloc_one(struct range_set *set, struct model *model)
{
	static const uint64_t aligns[] = {1, 4096, 16384, 65536, 1 << 21};
	uint64_t bytes = 4096 * (1 + roll(roll(4) ? 6 : 60)), align = aligns[roll(5)];
	uint64_t vstart = START + 4096 * roll(3000), vend = vstart + 4096 * (1 + roll(6000));
	uint64_t expected, got;

	got = range_set_fit(set, bytes, align, vstart, vend);
	expected = model_alloc(model, bytes, align, vstart, vend, false);
	ck_assert_msg(got == expected, "0x%llx, expected 0x%llx", (unsigned long long)got,
		      (unsigned long long)expected);
	if (got)
		ck_assert_int_eq(range_set_add(set, got, got + bytes, (uint32_t)(got >> 12)), 0);
}

static void remove_one(struct range_set *set, struct model *model)
{
	uint64_t address, end;
	uint32_t value;

	if (!model->count)
		return;
	address = model->areas[roll(model->count)].start;
	ck_assert(range_set_find(set, address, address + 1, &value, &end));
	ck_assert_uint_eq(value, (uint32_t)(address >> 12));
	ck_assert_int_eq(range_set_add(set, end - 1, end + 1, 0), -EEXIST);
	ck_assert_int_eq(range_set_add(set, address - 1, address + 1, 0), -EEXIST);
	ck_assert(!range_set_remove(set, address + 1));
	ck_assert(range_set_remove(set, address));
	ck_assert(!range_set_find(set, address, address + 1, &value, &end));
	ck_assert(model_free(model, address));
	model_purge(model);
}

START_TEST(set_agrees_with_the_model_at_every_step)
{
	struct range_set set = {0};
	struct model model = {0};
	unsigned int i;

	state = 0x9e3779b97f4a7c15u + (unsigned int)_i;
	for (i = 0; i < 6000; i++) {
		/* Grow for a while, then shrink: blocks split, and go. */
		if (roll(100) < (i / 1500 % 2 ? 25 : 75))
			alloc_one(&set, &model);
		else
			remove_one(&set, &model);
		if (i % 16 == 0)
			ck_assert_ptr_null(range_set_check(&set));
	}
	while (model.count)
		remove_one(&set, &model);
	ck_assert_uint_eq(set.count, 0);
	range_set_clear(&set);
	model_deinit(&model);
}
END_TEST

START_TEST(edges_of_the_space_are_safe)
{
	struct range_set set = {0};
	uint64_t end;
	uint32_t value;

	ck_assert_uint_eq(range_set_fit(&set, 4096, 1, 0, UINT64_MAX), 1);
	ck_assert_uint_eq(range_set_fit(&set, UINT64_MAX, 4096, 1, UINT64_MAX), 0);
	ck_assert_uint_eq(range_set_fit(&set, 4096, UINT64_C(1) << 63, 1, UINT64_MAX),
			  UINT64_C(1) << 63);
	ck_assert_uint_eq(
		range_set_fit(&set, 4096, UINT64_C(1) << 63, (UINT64_C(1) << 63) + 1, UINT64_MAX),
		0);
	ck_assert_uint_eq(range_set_fit(&set, 4096, 4096, UINT64_MAX - 4095, UINT64_MAX), 0);
	ck_assert_uint_eq(range_set_fit(&set, 4096, 4096, 0x2000, 0x2fff), 0);
	ck_assert_uint_eq(range_set_fit(&set, 4096, 4096, 0x2000, 0x3000), 0x2000);
	ck_assert_int_eq(range_set_add(&set, 5, 5, 0), -EINVAL);
	ck_assert_int_eq(range_set_add(&set, 1, UINT64_MAX, 7), 0);
	ck_assert_uint_eq(range_set_fit(&set, 4096, 1, 1, UINT64_MAX), 0);
	ck_assert(range_set_find(&set, 9, 10, &value, &end));
	ck_assert_uint_eq(value, 7);
	ck_assert_uint_eq(end, UINT64_MAX);
	range_set_clear(&set);
}
END_TEST

static Suite *range_set_suite(void)
{
	Suite *suite = suite_create("range_set");
	TCase *all = tcase_create("all");

	tcase_set_timeout(all, 30);
	tcase_add_loop_test(all, set_agrees_with_the_model_at_every_step, 0, 8);
	tcase_add_test(all, edges_of_the_space_are_safe);
	suite_add_tcase(suite, all);
	return suite;
}

int main(void)
{
	return harness_run(range_set_suite());
}
