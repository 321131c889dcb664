/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Layouts of RAM that page_alloc_init() refuses, and with which error. */
#include "tests/harness.h"
#include "tests/mm/sim.h"

#include "mm/errno.h"

#define MIB (1ull << 20)

/* RAM and reserved ranges in MiB (reserved in KiB), and what page_alloc_init() says. */
static const struct bad_layout {
	struct mem_range ram[3], reserved[3];
	int err;
} bad_layouts[] = {
	{{{0, 0, 0, 0}}, {{0, 0, 0, 0}}, -EINVAL},
	{{{4, 4, 0, 0}}, {{0, 0, 0, 0}}, -EINVAL},
	{{{8, 4, 0, 0}}, {{0, 0, 0, 0}}, -EINVAL},
	{{{2, 64, 0, 0}}, {{0, 0, 0, 0}}, -EINVAL},
	{{{0, 63, 0, 0}}, {{0, 0, 0, 0}}, -EINVAL},
	{{{0, 64, 0, 0}, {32, 128, 0, 0}}, {{0, 0, 0, 0}}, -EINVAL},
	{{{64, 128, 0, 0}, {0, 64, 0, 0}}, {{0, 0, 0, 0}}, -EINVAL},
	{{{0, 64, MAX_NODES, 0}}, {{0, 0, 0, 0}}, -ENOSPC},
	{{{0, 64, ~0u, 0}}, {{0, 0, 0, 0}}, -ENOSPC},
	{{{0, 2097156, 0, 0}}, {{0, 0, 0, 0}}, -ENOSPC},
	{{{0, 64, 0, 0}}, {{1, 4, 0, 1}}, -EINVAL},
	{{{0, 64, 0, 0}}, {{4, 5, 0, 1}}, -EINVAL},
	{{{0, 64, 0, 0}}, {{8, 8, 0, 1}}, -EINVAL},
	{{{0, 64, 0, 0}}, {{8, 4, 0, 1}}, -EINVAL},
	{{{0, 64, 0, 0}}, {{8, 16, 0, 1}, {12, 20, 0, 1}}, -EINVAL},
	{{{0, 64, 0, 0}}, {{65536, 65540, 0, 1}}, -EINVAL},
	{{{0, 64, 0, 0}}, {{65532, 65540, 0, 1}}, -EINVAL},
	{{{0, 32, 0, 0}, {32, 64, 1, 0}}, {{32764, 32772, 0, 1}}, -EINVAL},
	{{{0, 64, 0, 0}}, {{0, 65536, 0, 1}}, -ENOMEM},
};

static u32 scale(struct mem_range *ranges, u32 most, u64 unit)
{
	u32 nr = 0;

	for (; nr < most && (ranges[nr].start || ranges[nr].end); nr++) {
		ranges[nr].start *= unit;
		ranges[nr].end *= unit;
	}
	return nr;
}

START_TEST(senseless_layouts_are_refused)
{
	struct bad_layout bad = bad_layouts[_i];
	struct mm *mm = calloc(1, sizeof(*mm));
	u32 nr_ram = scale(bad.ram, 3, MIB), nr_reserved = scale(bad.reserved, 3, 1024);

	ck_assert_int_eq(page_alloc_init(mm, bad.ram, nr_ram, bad.reserved, nr_reserved), bad.err);
	free(mm);
}
END_TEST

START_TEST(more_ranges_than_fit_are_refused)
{
	struct mem_range ram[MAX_RAM + 1], reserved[MAX_RESERVED + 1];
	struct mm *mm = calloc(1, sizeof(*mm));

	for (u32 i = 0; i <= MAX_RAM; i++)
		ram[i] = (struct mem_range){i * 64 * MIB, (i + 1) * 64 * MIB, 0, 0};
	for (u32 i = 0; i <= MAX_RESERVED; i++)
		reserved[i] = (struct mem_range){i * MIB, i * MIB + 4096, 0, RESERVED_BOOT};
	ck_assert_int_eq(page_alloc_init(mm, ram, MAX_RAM + 1, NULL, 0), -ENOSPC);
	ck_assert_int_eq(page_alloc_init(mm, ram, 1, reserved, MAX_RESERVED + 1), -ENOSPC);
	free(mm);
}
END_TEST

START_TEST(more_spans_than_fit_are_refused)
{
	struct mem_range ram[2] = {{16 * MIB, 64 * MIB, 0, 0}, {128 * MIB, 256 * MIB, 0, 0}};
	struct mem_range reserved[MAX_RESERVED];
	struct mm *mm = calloc(1, sizeof(*mm));

	for (u32 i = 0; i < MAX_RESERVED; i++)
		reserved[i] = (struct mem_range){(17 + i) * MIB, (17 + i) * MIB + 4096, 0, 1};
	ck_assert_int_eq(page_alloc_init(mm, ram, 2, reserved, MAX_RESERVED), -ENOSPC);
	free(mm);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("refused");
	Suite *suite = suite_create("page_layout");

	tcase_add_loop_test(tcase, senseless_layouts_are_refused, 0, ARRAY_SIZE(bad_layouts));
	tcase_add_test(tcase, more_ranges_than_fit_are_refused);
	tcase_add_test(tcase, more_spans_than_fit_are_refused);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
