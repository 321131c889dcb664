/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's own paging as the host reads it. */
#include "tests/ept/paging_fixture.h"

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
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
