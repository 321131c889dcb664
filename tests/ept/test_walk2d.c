/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation through both stages. A host memory holds the second stage's tables and, scattered
 * by it, the guest's memory with the guest's tables: host page h backs guest page g where the
 * test says, so that mixing up the two address spaces shows.
 */
#include <errno.h>
#include <string.h>

#include "ept/walk2d.h"
#include "mm/x86.h"
#include "tests/harness.h"
#include "tests/ept/random.h"

#define PAGE        EPT_PAGE_BYTES
#define HOST_PAGES  4096u
#define GUEST_PAGES 1024u /* backed one by one; guest page g is host page scatter(g) */
#define TABLE       (X86_PTE_P | X86_PTE_RW | X86_PTE_US)

static uint64_t host[HOST_PAGES][512];
static unsigned int host_used;
static uint64_t guest_used;

static uint64_t scatter(uint64_t guest_page)
{
	return HOST_PAGES - 1 - (guest_page * 7 + 3) % GUEST_PAGES;
}

static uint64_t *guest_page(uint64_t page)
{
	return host[scatter(page)];
}

static int alloc_host(void *context, hpa_t *table_out)
{
	if (host_used == HOST_PAGES - GUEST_PAGES)
		return -ENOMEM;
	*table_out = hpa_make(host_used++ * PAGE);
	return 0;
}

static void free_host(void *context, hpa_t table)
{
}

static uint64_t *host_table(void *context, hpa_t table)
{
	return table.value / PAGE < HOST_PAGES ? host[table.value / PAGE] : NULL;
}

static const uint64_t *read_host(void *context, hpa_t table)
{
	return host_table(context, table);
}

static const struct stage2_reader reader = {read_host, NULL};
static const struct stage2_attributes attributes = {
	.rights = STAGE2_R | STAGE2_W | STAGE2_X | STAGE2_XU, .memory_type = EPT_WB};

struct world {
	struct stage2_tables second;
	struct paging_mode first;
};

/* Two empty trees, and the guest's pages backed one by one. */
static struct world new_world(enum stage2_kind kind, unsigned int guest_levels,
			      unsigned int host_levels)
{
	struct world world = {
		.second = {.pages = {alloc_host, free_host, host_table, NULL}},
		.first = {.levels = guest_levels, .physical_bits = 46, .nxe = true},
	};
	uint64_t page;

	memset(host, 0, sizeof(host));
	host_used = 1;
	guest_used = 1;
	world.second.mode = stage2_mode_make(kind, hpa_make(0), 46);
	world.second.mode.levels = host_levels;
	for (page = 0; page < GUEST_PAGES; page++)
		ck_assert_int_eq(stage2_map(&world.second, gpa_make(page * PAGE),
					    hpa_make(scatter(page) * PAGE), PAGE, PAGE,
					    &attributes),
				 0);
	return world;
}

/* The guest's own entry of @gva at @level, tables made on the way in guest memory. */
static uint64_t *guest_entry(const struct world *world, uint64_t gva, unsigned int level)
{
	uint64_t page = 0, *entry;
	unsigned int at;

	for (at = world->first.levels; at > level; at--) {
		entry = &guest_page(page)[(gva >> (12 + 9 * (at - 1))) % 512];
		if (*entry == 0)
			*entry = guest_used++ * PAGE | TABLE;
		page = *entry >> 12;
	}
	return &guest_page(page)[(gva >> (12 + 9 * (level - 1))) % 512];
}

static struct walk2d walk_of(const struct world *world, uint64_t gva)
{
	struct walk2d walk;

	walk2d_walk(&world->first, &world->second.mode, &reader, gva_make(gva), &walk);
	return walk;
}

static const struct {
	enum stage2_kind kind;
	unsigned int guest_levels, host_levels, entries;
} shapes[] = {
	{STAGE2_EPT, 4, 4, 24}, {STAGE2_NPT, 4, 4, 24}, {STAGE2_EPT, 5, 4, 29},
	{STAGE2_NPT, 4, 5, 29}, {STAGE2_EPT, 5, 5, 35},
};

START_TEST(every_entry_is_shown_in_the_order_of_the_processor)
{
	unsigned int gl = shapes[_i].guest_levels, hl = shapes[_i].host_levels, i, at;
	struct world world = new_world(shapes[_i].kind, gl, hl);
	uint64_t gva = 0xffffc90000123000, table = 0;
	struct walk2d walk;

	*guest_entry(&world, gva, 1) = 900 * PAGE | TABLE;
	walk = walk_of(&world, gva + 0x456);
	ck_assert_int_eq(walk.end, WALK2D_MAPPED);
	ck_assert_uint_eq(walk.gpa.value, 900 * PAGE + 0x456);
	ck_assert_uint_eq(walk.hpa.value, scatter(900) * PAGE + 0x456);
	ck_assert_uint_eq(walk.entry_count, shapes[_i].entries);
	ck_assert_uint_eq(walk.tlb_bytes, PAGE);
	for (i = 0; i < walk.entry_count; i++) {
		const struct walk2d_entry *entry = &walk.entries[i];

		at = i % (hl + 1);
		ck_assert_uint_eq(entry->stage, at == hl ? 1 : 2);
		ck_assert_uint_eq(entry->level, at == hl ? gl - i / (hl + 1) : hl - at);
		/* The value is what lies there, by host address. */
		ck_assert_uint_eq(host[entry->hpa.value / PAGE][entry->hpa.value % PAGE / 8],
				  entry->value);
		if (at < hl) {
			ck_assert_uint_eq(entry->gpa.value / PAGE,
					  i / (hl + 1) == gl ? 900 : table);
			continue;
		}
		ck_assert_uint_eq(entry->gpa.value / PAGE, table);
		ck_assert_uint_eq(entry->hpa.value / PAGE, scatter(table));
		table = entry->value >> 12;
	}
}
END_TEST

START_TEST(the_end_says_which_stage_and_table)
{
	struct world world = new_world(STAGE2_EPT, 4, 4);
	uint64_t gva = 0x7f0012345000, outside = GUEST_PAGES * PAGE;
	struct walk2d walk;

	walk = walk_of(&world, 1ULL << 50);
	ck_assert_int_eq(walk.end, WALK2D_STAGE1);
	ck_assert_int_eq(walk.stage1, PAGING_NON_CANONICAL);
	ck_assert_uint_eq(walk.entry_count, 0);
	walk = walk_of(&world, gva);
	ck_assert_int_eq(walk.end, WALK2D_STAGE1);
	ck_assert_int_eq(walk.stage1, PAGING_NOT_PRESENT);
	ck_assert_uint_eq(walk.level, 4);
	ck_assert_uint_eq(walk.entry_count, 5);

	*guest_entry(&world, gva, 1) = outside | TABLE;
	walk = walk_of(&world, gva);
	ck_assert_int_eq(walk.end, WALK2D_STAGE2_PAGE);
	ck_assert_int_eq(walk.stage2, STAGE2_NOT_PRESENT);
	ck_assert_uint_eq(walk.gpa.value, outside);
	*guest_entry(&world, gva, 2) = outside | TABLE;
	walk = walk_of(&world, gva);
	ck_assert_int_eq(walk.end, WALK2D_STAGE2_TABLE);
	ck_assert_uint_eq(walk.level, 1);
	/* A guest table the second stage lets nobody read. */
	*guest_entry(&world, gva, 2) = 700 * PAGE | TABLE;
	ck_assert_int_eq(
		stage2_protect(&world.second, gpa_make(700 * PAGE), PAGE, STAGE2_X | STAGE2_XU), 0);
	walk = walk_of(&world, gva);
	ck_assert_int_eq(walk.end, WALK2D_STAGE2_TABLE_RIGHT);
	ck_assert_uint_eq(walk.level, 1);
}
END_TEST

START_TEST(rights_are_those_of_both_stages)
{
	struct world world = new_world(STAGE2_EPT, 4, 4);
	gpa_t page = gpa_make(800 * PAGE);
	uint64_t gva = 0x5000, i;

	*guest_entry(&world, gva, 1) = page.value | TABLE;
	ck_assert_uint_eq(walk_of(&world, gva).rights, PAGING_R | PAGING_W | PAGING_X | PAGING_U);
	ck_assert_int_eq(stage2_protect(&world.second, page, PAGE, STAGE2_R), 0);
	ck_assert_uint_eq(walk_of(&world, gva).rights, PAGING_R | PAGING_U);
	ck_assert_int_eq(stage2_protect(&world.second, page, PAGE, STAGE2_R | STAGE2_W), 0);
	*guest_entry(&world, gva, 1) = page.value | X86_PTE_P;
	ck_assert_uint_eq(walk_of(&world, gva).rights, PAGING_R);
	/* Mode-based: user pages and supervisor pages have execute rights of their own. */
	stage2_clear(&world.second);
	world.second.mode.mode_based = true;
	for (i = 0; i < GUEST_PAGES; i++)
		ck_assert_int_eq(stage2_map(&world.second, gpa_make(i * PAGE),
					    hpa_make(scatter(i) * PAGE), PAGE, PAGE, &attributes),
				 0);
	ck_assert_int_eq(stage2_protect(&world.second, page, PAGE, STAGE2_R | STAGE2_XU), 0);
	ck_assert_uint_eq(walk_of(&world, gva).rights, PAGING_R);
	*guest_entry(&world, gva, 1) |= X86_PTE_US;
	ck_assert_uint_eq(walk_of(&world, gva).rights, PAGING_R | PAGING_X | PAGING_U);
}
END_TEST

START_TEST(a_space_gives_host_pointers)
{
	struct gpa_request requests[] = {
		{.name = "low", .start = gpa_make(0), .size_bytes = 3 << 20},
		{.name = "rom", .kind = GPA_ROM, .start = gpa_make(4 << 20), .size_bytes = PAGE},
		{.name = "device",
		 .kind = GPA_DEVICE,
		 .start = gpa_make(6 << 20),
		 .size_bytes = PAGE},
	};
	const struct gpa_region *regions[3];
	struct walk2d_source source;
	struct walk2d_leaf leaf;
	struct gpa_space *space;
	struct error error;
	size_t i;

	ck_assert_int_eq(gpa_space_create(40, &space, &error), 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(gpa_space_add(space, &requests[i], &regions[i], &error), 0);
	source = walk2d_source_space(space);
	/* 2 MiB whole, then 1 MiB by pages, then a gap. */
	ck_assert(source.leaf(source.context, gpa_make(0x1234), &leaf));
	ck_assert_ptr_eq(leaf.host, regions[0]->host);
	ck_assert_uint_eq(leaf.bytes, 2 << 20);
	ck_assert(source.leaf(source.context, gpa_make((3 << 20) - 1), &leaf));
	ck_assert_ptr_eq(leaf.host, (char *)regions[0]->host + (3 << 20) - PAGE);
	ck_assert_uint_eq(leaf.bytes, PAGE);
	ck_assert(!source.leaf(source.context, gpa_make(3 << 20), &leaf));
	ck_assert_uint_eq(leaf.gpa.value, 3 << 20);
	ck_assert_uint_eq(leaf.bytes, 1 << 20);
	/* The ROM's page, a gap; the device, a gap without end. */
	ck_assert(source.leaf(source.context, gpa_make(4 << 20), &leaf));
	ck_assert_ptr_eq(leaf.host, regions[1]->host);
	ck_assert_uint_eq(leaf.rights, STAGE2_R | STAGE2_X | STAGE2_XU);
	ck_assert(!source.leaf(source.context, gpa_make(6 << 20), &leaf));
	ck_assert_uint_eq(leaf.gpa.value + leaf.bytes, (6 << 20) + PAGE);
	ck_assert(!source.leaf(source.context, gpa_make((6 << 20) + PAGE), &leaf));
	ck_assert_uint_eq(leaf.gpa.value, (6 << 20) + PAGE);
	ck_assert_uint_eq(leaf.bytes, (1ULL << EPT_PHYSICAL_BITS_MAX) - (6 << 20) - PAGE);
	gpa_space_destroy(space);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("walk2d");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, every_entry_is_shown_in_the_order_of_the_processor, 0, 5);
	tcase_add_test(tcase, the_end_says_which_stage_and_table);
	tcase_add_test(tcase, rights_are_those_of_both_stages);
	tcase_add_test(tcase, a_space_gives_host_pointers);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
