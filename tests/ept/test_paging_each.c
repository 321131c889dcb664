/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every leaf of a guest's page tables, in order, against a walk of every page. */
#include "tests/ept/paging_fixture.h"

/* ---- iteration ---- */

struct seen {
	struct paging_leaf leaves[4096];
	size_t leaf_count;
	struct paging_bad_entry bad[64];
	size_t bad_count;
	size_t table_count;
	int stop_after; /* leaves; 0: never */
};

static struct seen seen;

static int see_leaf(void *context, const struct paging_leaf *leaf)
{
	if (seen.leaf_count == 4096)
		ck_abort_msg("more leaves than were made");
	seen.leaves[seen.leaf_count++] = *leaf;
	return seen.stop_after && seen.leaf_count == (size_t)seen.stop_after ? -ECANCELED : 0;
}

static int see_bad(void *context, const struct paging_bad_entry *bad)
{
	ck_assert_uint_lt(seen.bad_count, 64);
	seen.bad[seen.bad_count++] = *bad;
	return 0;
}

static int see_table(void *context, gpa_t table, unsigned int level, gva_t gva)
{
	seen.table_count++;
	return 0;
}

static const struct paging_visitor visitor = {see_leaf, see_bad, see_table, NULL};

static int iterate(const struct paging_mode *mode, uint64_t start, uint64_t end)
{
	memset(&seen, 0, sizeof(seen));
	return paging_for_each(mode, &reader, gva_make(start), gva_make(end), 0, &visitor);
}

/* Random leaves of all sizes, some of them broken, inside 4 GiB at @base. */
static void random_tables(uint64_t *random, uint64_t base, unsigned int count)
{
	static const uint64_t bits[] = {X86_PTE_RW, X86_PTE_US, X86_PTE_NX, X86_PTE_G,
					X86_PTE_P,  1ULL << 50, X86_PTE_D};
	unsigned int level, i;
	uint64_t *entry, gva;

	for (i = 0; i < count; i++) {
		gva = base + (random_next(random) & 0xfffff000);
		level = 1 + (unsigned int)(random_below(random, 20) / 9);
		entry = tables_entry(&tables, gva, 3, TABLE);
		if (level < 3 && !(*entry & X86_PTE_PS))
			entry = tables_entry(&tables, gva, 2, TABLE);
		if (level < 2 && !(*entry & X86_PTE_PS))
			entry = tables_entry(&tables, gva, 1, TABLE);
		if (*entry == 0)
			*entry = ((random_next(random) << 30) & 0x3fffc0000000) | LEAF |
				 (level > 1 ? X86_PTE_PS : 0);
		/* References carry many leaves: they are broken less often. */
		if (random_below(random, level == 1 ? 3 : 30) == 0)
			*entry ^= bits[random_below(random, 7)];
	}
}

static bool same_leaf(const struct paging_leaf *leaf, const struct paging_walk *walk, uint64_t gva)
{
	const struct paging_entry *last = &walk->entries[walk->entry_count - 1];

	return leaf->gva.value == (gva & ~(walk->page_bytes - 1)) &&
	       leaf->gpa.value == (walk->gpa.value & ~(walk->page_bytes - 1)) &&
	       leaf->page_bytes == walk->page_bytes && leaf->level == walk->level &&
	       leaf->rights == walk->rights && leaf->entry.address.value == last->address.value &&
	       leaf->entry.value == last->value;
}

/* Compares what the iteration saw with a walk of every page of [start, end). */
static void must_match_walks(const struct paging_mode *mode, uint64_t start, uint64_t end)
{
	struct paging_walk walk;
	uint64_t gva, next;
	size_t i = 0;

	for (gva = start; gva < end; gva = next) {
		walk = walk_of(mode, gva);
		next = (gva | ((1ULL << (12 + 9 * (walk.level - 1))) - 1)) + 1;
		if (walk.status != PAGING_MAPPED)
			continue;
		/* An assertion that holds costs too much to make for every page. */
		if (i == seen.leaf_count || !same_leaf(&seen.leaves[i], &walk, gva))
			ck_abort_msg("leaf %zu at %#llx differs", i, (unsigned long long)gva);
		i++;
	}
	ck_assert_uint_eq(i, seen.leaf_count);
}

START_TEST(iteration_agrees_with_a_walk_of_every_page)
{
	uint64_t random = random_seed("paging") + (uint64_t)_i, base, start, end, swap;
	struct paging_mode mode;
	unsigned int levels = 4 + (unsigned int)_i % 2;
	int i;

	base = _i < 2 ? 0xffffc90000000000 : 0x7fff00000000;
	tables_init(&tables, levels);
	mode = mode_of(levels);
	random_tables(&random, base, 400);
	ck_assert_int_eq(iterate(&mode, 0, 0), 0);
	ck_assert_uint_gt(seen.leaf_count, 50);
	must_match_walks(&mode, base, base + (1ULL << 32));
	for (i = 0; i < 50; i++) {
		start = base + (random_next(&random) & 0xffffffff);
		end = base + (random_next(&random) & 0xffffffff);
		if (start > end) {
			swap = start;
			start = end;
			end = swap;
		}
		ck_assert_int_eq(iterate(&mode, start, end), 0);
		must_match_walks(&mode, start, end);
	}
	tables_free(&tables);
}
END_TEST

START_TEST(iteration_reaches_both_ends_and_skips_the_middle)
{
	static const uint64_t gvas[] = {0, 0x7ffffffff000, 0xffff800000000000, 0xfffffffffffff000};
	struct paging_mode mode;
	size_t i;

	tables_init(&tables, 4);
	mode = mode_of(4);
	for (i = 0; i < 4; i++)
		*tables_entry(&tables, gvas[i], 1, TABLE) = (i << 12) | LEAF;
	ck_assert_int_eq(iterate(&mode, 0, 0), 0);
	ck_assert_uint_eq(seen.leaf_count, 4);
	for (i = 0; i < 4; i++) {
		ck_assert_uint_eq(seen.leaves[i].gva.value, gvas[i]);
		ck_assert_uint_eq(seen.leaves[i].gpa.value, i << 12);
	}
	ck_assert_int_eq(iterate(&mode, 0x1000, 0xffff800000000000), 0);
	ck_assert_uint_eq(seen.leaf_count, 1);
	ck_assert_int_eq(iterate(&mode, 0x900000000000, 0xffff800000000001), 0);
	ck_assert_uint_eq(seen.leaf_count, 1);
	ck_assert_int_eq(iterate(&mode, 0x900000000000, 0xa00000000000), 0);
	ck_assert_uint_eq(seen.leaf_count, 0);
	ck_assert_int_eq(iterate(&mode, 0x1000, 0x1000), 0);
	ck_assert_uint_eq(seen.leaf_count, 0);
	ck_assert_int_eq(iterate(&mode, 0x2000, 0x1000), -EINVAL);
	mode.levels = 3;
	ck_assert_int_eq(iterate(&mode, 0, 0), -EINVAL);
	tables_free(&tables);
}
END_TEST

START_TEST(bad_entries_are_told_and_the_rest_is_visited)
{
	uint64_t outside = 4096ULL * TABLES_PAGES;
	struct paging_mode mode;

	tables_init(&tables, 4);
	mode = mode_of(4);
	*tables_entry(&tables, 0x1000, 1, TABLE) = 0x1000 | LEAF;
	*tables_entry(&tables, 0x2000, 1, TABLE) = 0x1000 | LEAF | 1ULL << 48;
	*tables_entry(&tables, 0x200000, 2, TABLE) = outside | TABLE;
	*tables_entry(&tables, 0x400000, 1, TABLE) = 0x1000 | LEAF;
	ck_assert_int_eq(iterate(&mode, 0, 0), 0);
	ck_assert_uint_eq(seen.leaf_count, 2);
	ck_assert_uint_eq(seen.table_count, 5);
	ck_assert_uint_eq(seen.bad_count, 2);
	ck_assert_int_eq(seen.bad[0].status, PAGING_RESERVED);
	ck_assert_uint_eq(seen.bad[0].gva.value, 0x2000);
	ck_assert_uint_eq(seen.bad[0].level, 1);
	ck_assert_int_eq(seen.bad[1].status, PAGING_NO_TABLE);
	ck_assert_uint_eq(seen.bad[1].gva.value, 0x200000);
	ck_assert_uint_eq(seen.bad[1].level, 2);
	ck_assert_uint_eq(seen.bad[1].entry.value, outside | TABLE);
	mode.root = gpa_make(outside);
	ck_assert_int_eq(iterate(&mode, 0, 0), 0);
	ck_assert_uint_eq(seen.bad_count, 1);
	ck_assert_uint_eq(seen.bad[0].level, 5);
	ck_assert_uint_eq(seen.bad[0].entry.value, outside);
	tables_free(&tables);
}
END_TEST

START_TEST(tables_that_refer_to_themselves_end)
{
	struct paging_mode mode;
	struct paging_visitor no_leaves = visitor;
	unsigned int i;

	tables_init(&tables, 5);
	mode = mode_of(5);
	memset(&seen, 0, sizeof(seen));
	/* Every entry but the last of each table refers to the table itself. */
	for (i = 0; i < 511; i++)
		tables.pages[0][i] = tables.root | TABLE;
	seen.stop_after = 1;
	ck_assert_int_eq(paging_for_each(&mode, &reader, gva_make(0), gva_make(0), 4, &no_leaves),
			 -ELOOP);
	ck_assert_uint_eq(seen.table_count, 4);
	ck_assert_int_eq(paging_for_each(&mode, &reader, gva_make(0), gva_make(0), 0, &no_leaves),
			 -ECANCELED);
	ck_assert_uint_eq(seen.leaf_count, 1);
	tables_free(&tables);
}
END_TEST

static int ignore_leaf(void *context, const struct paging_leaf *leaf)
{
	return 0;
}

START_TEST(the_default_limit_ends_a_guest_of_shared_tables)
{
	struct paging_visitor none = {.leaf = ignore_leaf};
	struct paging_mode mode;
	unsigned int level, i;

	/* Five tables, each referred to 512 times by the one above: 2^36 paths. */
	tables_init(&tables, 5);
	mode = mode_of(5);
	for (level = 0; level < 4; level++)
		for (i = 0; i < 512; i++)
			tables.pages[level][i] = (level + 1) * X86_PAGE_SIZE | TABLE;
	tables.reads = 0;
	ck_assert_int_eq(paging_for_each(&mode, &reader, gva_make(0), gva_make(0), 0, &none),
			 -ELOOP);
	ck_assert_uint_eq(tables.reads, 1 << 20);
	tables_free(&tables);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("paging_each");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, iteration_agrees_with_a_walk_of_every_page, 0, 4);
	tcase_add_test(tcase, iteration_reaches_both_ends_and_skips_the_middle);
	tcase_add_test(tcase, bad_entries_are_told_and_the_rest_is_visited);
	tcase_add_test(tcase, tables_that_refer_to_themselves_end);
	tcase_add_test(tcase, the_default_limit_ends_a_guest_of_shared_tables);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
