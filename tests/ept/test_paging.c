/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's own paging as the host reads it. */
#include <errno.h>
#include <string.h>

#include "ept/paging.h"
#include "mm/x86.h"
#include "tests/harness.h"
#include "tests/ept/guest_tables.h"
#include "tests/ept/random.h"

#define TABLE (X86_PTE_P | X86_PTE_RW | X86_PTE_US | X86_PTE_A)
#define LEAF  (X86_PTE_P | X86_PTE_RW | X86_PTE_A | X86_PTE_D)
#define RWX   (PAGING_R | PAGING_W | PAGING_X)

static struct guest_tables tables;

static const uint64_t *read_table(void *context, gpa_t table)
{
	return tables_at(context, table.value);
}

static const struct paging_reader reader = {read_table, &tables};

static struct paging_mode mode_of(unsigned int levels)
{
	struct paging_mode mode = {
		.root = gpa_make(tables.root), .levels = levels, .physical_bits = 46, .nxe = true};

	return mode;
}

static struct paging_walk walk_of(const struct paging_mode *mode, uint64_t gva)
{
	struct paging_walk walk;

	memset(&walk, 0xff, sizeof(walk));
	paging_walk(mode, &reader, gva_make(gva), &walk);
	return walk;
}

START_TEST(registers_say_the_mode)
{
	uint64_t cr0 = X86_CR0_PG | X86_CR0_PE, cr4 = X86_CR4_PAE;
	uint64_t efer = X86_EFER_LMA | X86_EFER_LME | X86_EFER_NXE;
	struct paging_mode mode;

	ck_assert_int_eq(paging_mode_from_registers(cr0, 0x1234018, cr4, efer, 46, &mode), 0);
	ck_assert_uint_eq(mode.root.value, 0x1234000);
	ck_assert_uint_eq(mode.levels, 4);
	ck_assert(mode.nxe);
	ck_assert_int_eq(paging_mode_from_registers(cr0, 1ULL << 63 | 0x5fff, cr4 | X86_CR4_LA57,
						    X86_EFER_LMA, 46, &mode),
			 0);
	ck_assert_uint_eq(mode.root.value, 0x5000);
	ck_assert_uint_eq(mode.levels, 5);
	ck_assert(!mode.nxe);
	ck_assert_int_eq(paging_mode_from_registers(0, 0, cr4, efer, 46, &mode), -EOPNOTSUPP);
	ck_assert_int_eq(paging_mode_from_registers(cr0, 0, 0, efer, 46, &mode), -EOPNOTSUPP);
	ck_assert_int_eq(paging_mode_from_registers(cr0, 0, cr4, 0, 46, &mode), -EOPNOTSUPP);
	ck_assert_int_eq(paging_mode_from_registers(cr0, 0, cr4, efer, 53, &mode), -EINVAL);
}
END_TEST

static const struct {
	unsigned int levels, level;
	uint64_t gva, output, offset;
} leaves[] = {
	{4, 1, 0xffffc90000005000, 0x123456789000, 0xabc},
	{4, 2, 0xffff888000200000, 0x200000, 0x1abcde},
	{4, 3, 0xffff888040000000, 0x3fffc0000000, 0x3abcdef0},
	{4, 1, 0x7ffffffff000, 0x1000, 0xfff},
	{5, 1, 0xff11000000005000, 0x789000, 0},
	{5, 2, 0x00ffffffffe00000, 0x40000000, 0x1fffff},
	{5, 3, 0xffffffffc0000000, 0, 0x3fffffff},
};

START_TEST(a_walk_shows_every_entry_and_the_page)
{
	unsigned int levels = leaves[_i].levels, level = leaves[_i].level, i;
	struct paging_mode mode;
	struct paging_walk walk;
	uint64_t *entry;

	tables_init(&tables, levels);
	mode = mode_of(levels);
	entry = tables_entry(&tables, leaves[_i].gva, level, TABLE);
	*entry = leaves[_i].output | LEAF | (level > 1 ? X86_PTE_PS : 0);
	walk = walk_of(&mode, leaves[_i].gva + leaves[_i].offset);
	ck_assert_int_eq(walk.status, PAGING_MAPPED);
	ck_assert_uint_eq(walk.level, level);
	ck_assert_uint_eq(walk.gpa.value, leaves[_i].output + leaves[_i].offset);
	ck_assert_uint_eq(walk.page_bytes, 1ULL << (12 + 9 * (level - 1)));
	ck_assert_uint_eq(walk.entry_count, levels - level + 1);
	for (i = 0; i < walk.entry_count; i++) {
		entry = tables_entry(&tables, leaves[_i].gva, levels - i, TABLE);
		ck_assert_uint_eq(walk.entries[i].address.value, tables_address(&tables, entry));
		ck_assert_uint_eq(walk.entries[i].value, *entry);
	}
	tables_free(&tables);
}
END_TEST

START_TEST(rights_are_what_every_level_grants)
{
	static const struct {
		uint64_t bit;
		unsigned int right;
	} rights[] = {{X86_PTE_RW, PAGING_W}, {X86_PTE_US, PAGING_U}, {X86_PTE_NX, PAGING_X}};
	uint64_t gva = 0x12345678000;
	struct paging_mode mode;
	unsigned int level;
	size_t i;

	tables_init(&tables, 4);
	mode = mode_of(4);
	*tables_entry(&tables, gva, 1, TABLE) = 0x9000 | LEAF | X86_PTE_US;
	ck_assert_uint_eq(walk_of(&mode, gva).rights, RWX | PAGING_U);
	for (level = 1; level <= 4; level++) {
		for (i = 0; i < 3; i++) {
			*tables_entry(&tables, gva, level, TABLE) ^= rights[i].bit;
			ck_assert_uint_eq(walk_of(&mode, gva).rights,
					  (RWX | PAGING_U) & ~rights[i].right);
			*tables_entry(&tables, gva, level, TABLE) ^= rights[i].bit;
		}
	}
	tables_free(&tables);
}
END_TEST

START_TEST(a_missing_level_is_named)
{
	uint64_t gva = 0xffffc90000005000;
	unsigned int levels = _i, level;
	struct paging_mode mode;
	struct paging_walk walk;

	tables_init(&tables, levels);
	mode = mode_of(levels);
	*tables_entry(&tables, gva, 1, TABLE) = 0x9000 | LEAF;
	for (level = 1; level <= levels; level++) {
		/* All other bits set do not make an entry present. */
		*tables_entry(&tables, gva, level, TABLE) = ~X86_PTE_P;
		walk = walk_of(&mode, gva);
		ck_assert_int_eq(walk.status, PAGING_NOT_PRESENT);
		ck_assert_uint_eq(walk.level, level);
		ck_assert_uint_eq(walk.entry_count, levels - level + 1);
		ck_assert_uint_eq(walk.rights, 0);
	}
	tables_free(&tables);
}
END_TEST

/* The bits that SDM vol. 3A, section 4.5.4 reserves, written down bit by bit. */
static bool reserved_by_sdm(unsigned int level, bool leaf, unsigned int bit, bool nxe, bool gib)
{
	if (bit >= 46 && bit <= 51)
		return true; /* MAXPHYADDR is 46 in these tests */
	if (bit == 63)
		return !nxe;
	if (level >= 4)
		return bit == 7;
	if (level == 3 && bit == 7)
		return !gib;
	if (level == 3 && leaf)
		return bit >= 13 && bit <= 29;
	if (level == 2 && leaf)
		return bit >= 13 && bit <= 20;
	return false;
}

START_TEST(reserved_bits_are_those_of_the_sdm)
{
	bool nxe = _i & 1, gib = _i & 2, reserved, leaf;
	uint64_t gva = 0x12345678000, *entry, good;
	unsigned int level, bit, target;
	struct paging_mode mode;
	struct paging_walk walk;

	for (target = 1; target <= (gib ? 3u : 2u); target++) {
		tables_init(&tables, 5);
		mode = mode_of(5);
		mode.nxe = nxe;
		mode.no_1g_pages = !gib;
		*tables_entry(&tables, gva, target, TABLE) = LEAF | (target > 1 ? X86_PTE_PS : 0);
		for (level = target; level <= 5; level++) {
			leaf = level == target;
			entry = tables_entry(&tables, gva, level, TABLE);
			good = *entry;
			for (bit = 1; bit < 64; bit++) {
				/* Bits that change what the entry is, or where it points. */
				if (!leaf && ((bit >= 12 && bit < 46) ||
					      (bit == 7 && level < 4 && !(level == 3 && !gib))))
					continue;
				if (leaf && bit == 7 && level > 1)
					continue;
				*entry = good | 1ULL << bit;
				reserved = reserved_by_sdm(level, leaf, bit, nxe, gib);
				walk = walk_of(&mode, gva);
				ck_assert_msg((walk.status == PAGING_RESERVED) == reserved,
					      "level %u leaf %d bit %u", level, leaf, bit);
				ck_assert(!reserved || walk.level == level);
			}
			*entry = good;
		}
		tables_free(&tables);
	}
}
END_TEST

START_TEST(a_table_outside_memory_is_named)
{
	uint64_t gva = 0x5000, outside = 4096ULL * TABLES_PAGES;
	struct paging_mode mode;
	struct paging_walk walk;
	unsigned int level;

	tables_init(&tables, 4);
	mode = mode_of(4);
	*tables_entry(&tables, gva, 1, TABLE) = 0x9000 | LEAF;
	for (level = 2; level <= 4; level++) {
		*tables_entry(&tables, gva, level, TABLE) = outside | TABLE;
		walk = walk_of(&mode, gva);
		ck_assert_int_eq(walk.status, PAGING_NO_TABLE);
		ck_assert_uint_eq(walk.level, level - 1);
		ck_assert_uint_eq(walk.entry_count, 4 - level + 1);
	}
	mode.root = gpa_make(outside);
	walk = walk_of(&mode, gva);
	ck_assert_int_eq(walk.status, PAGING_NO_TABLE);
	ck_assert_uint_eq(walk.level, 4);
	ck_assert_uint_eq(walk.entry_count, 0);
	tables_free(&tables);
}
END_TEST

START_TEST(non_canonical_addresses_read_nothing)
{
	static const uint64_t bad4[] = {0x800000000000, 0xffff7fffffffffff, 1ULL << 63, 1ULL << 48};
	static const uint64_t bad5[] = {1ULL << 56, 0xfeffffffffffffff, 1ULL << 63};
	struct paging_mode mode;
	size_t i;

	tables_init(&tables, 5);
	mode = mode_of(5);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(walk_of(&mode, bad5[i]).status, PAGING_NON_CANONICAL);
	ck_assert_int_eq(walk_of(&mode, bad4[0]).status, PAGING_NOT_PRESENT);
	mode.levels = 4;
	tables.reads = 0;
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(walk_of(&mode, bad4[i]).status, PAGING_NON_CANONICAL);
	ck_assert_uint_eq(tables.reads, 0);
	tables_free(&tables);
}
END_TEST

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
	Suite *suite = suite_create("paging");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, registers_say_the_mode);
	tcase_add_loop_test(tcase, a_walk_shows_every_entry_and_the_page, 0, 7);
	tcase_add_test(tcase, rights_are_what_every_level_grants);
	tcase_add_loop_test(tcase, a_missing_level_is_named, 4, 6);
	tcase_add_loop_test(tcase, reserved_bits_are_those_of_the_sdm, 0, 4);
	tcase_add_test(tcase, a_table_outside_memory_is_named);
	tcase_add_test(tcase, non_canonical_addresses_read_nothing);
	tcase_add_loop_test(tcase, iteration_agrees_with_a_walk_of_every_page, 0, 4);
	tcase_add_test(tcase, iteration_reaches_both_ends_and_skips_the_middle);
	tcase_add_test(tcase, bad_entries_are_told_and_the_rest_is_visited);
	tcase_add_test(tcase, tables_that_refer_to_themselves_end);
	tcase_add_test(tcase, the_default_limit_ends_a_guest_of_shared_tables);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
