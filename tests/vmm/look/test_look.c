/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables looked at from outside, on the simulated core: ranges against a walk of every page,
 * walks against the entries, translations both ways.
 */
#include "tests/harness.h"

#include <errno.h>
#include <string.h>

#include "tests/vmm/inspect/core_mix.h"
#include "vmm/look/maps.h"
#include "vmm/look/walk.h"

#define MAPS_MAX 64

struct kept {
	struct look_map map[MAPS_MAX];
	size_t count;
	int answer; /* of the callback */
};

static int keep(void *context, const struct look_map *map)
{
	struct kept *kept = context;

	ck_assert_uint_lt(kept->count, MAPS_MAX);
	kept->map[kept->count++] = *map;
	return kept->answer;
}

static struct look_maps_sum maps(struct mix *mix, const struct look_maps_query *query,
				 struct kept *kept)
{
	struct look_maps_sum sum;

	*kept = (struct kept){.count = 0};
	ck_assert_int_eq(look_maps(mix->source->inspector, query, keep, kept, &sum), 0);
	ck_assert_uint_eq(sum.ranges, kept->count);
	return sum;
}

static const struct look_map *find(const struct kept *kept, u64 address)
{
	for (size_t i = 0; i < kept->count; i++) {
		if (address >= kept->map[i].start && address - 1 < kept->map[i].end - 1)
			return &kept->map[i];
	}
	return NULL;
}

/* ---- maps ---- */

/* Pages mapped in tiles that are not free, found one by one. */
static u64 mapped_in_tiles(struct mix *mix)
{
	struct paging_reader reader = inspect_paging_reader(mix->source->inspector);
	const struct paging_mode *mode = &inspect_source_of(mix->source->inspector)->paging;
	struct vmap_area *tile;
	u64 pages = 0;

	list_for_each_entry (tile, &mix->mm->vmap.tiles, tile) {
		for (u64 va = tile->va_start; tile->state != VMAP_AREA_FREE && va < tile->va_end;
		     va += PAGE_SIZE) {
			struct paging_walk walk;

			paging_walk(mode, &reader, gva_make(va), &walk);
			pages += walk.status == PAGING_MAPPED;
		}
	}
	return pages;
}

/* Every page of every range is mapped so, and no page outside them is. */
START_TEST(ranges_are_what_a_walk_of_each_page_finds)
{
	const struct look_maps_query all = {.start = 0};
	struct mix *mix = mix_create();
	struct paging_reader reader = inspect_paging_reader(mix->source->inspector);
	const struct paging_mode *mode = &inspect_source_of(mix->source->inspector)->paging;
	struct look_maps_sum sum;
	u64 pages = 0, runs = 0, next = 0;
	struct kept kept;

	sum = maps(mix, &all, &kept);
	for (size_t i = 0; i < kept.count; i++) {
		const struct look_map *map = &kept.map[i];

		ck_assert_uint_eq(map->leaves * map->page_bytes, map->end - map->start);
		runs = 0;
		for (u64 va = map->start; va != map->end; va += map->page_bytes, pages++) {
			struct paging_walk walk;

			paging_walk(mode, &reader, gva_make(va), &walk);
			ck_assert_int_eq(walk.status, PAGING_MAPPED);
			ck_assert_uint_eq(walk.rights, map->rights);
			ck_assert_uint_eq(walk.page_bytes, map->page_bytes);
			if (va == map->start)
				ck_assert_uint_eq(walk.gpa.value, map->gpa);
			runs += va == map->start || walk.gpa.value != next;
			next = walk.gpa.value + walk.page_bytes;
		}
		ck_assert_uint_eq(runs, map->runs);
	}
	ck_assert_uint_eq(pages, sum.leaves);
	ck_assert_uint_eq(sum.leaves, sum.leaves_4k);
	ck_assert_uint_eq(sum.bytes, pages * PAGE_SIZE);
	ck_assert_uint_eq(pages, mapped_in_tiles(mix));
	ck_assert_uint_eq(sum.tables, mix->mm->pt.nr_tables + 1);
	ck_assert(!sum.cut);
	ck_assert_uint_eq(sum.bad_entries, 0);
	mix_destroy(mix);
}
END_TEST

START_TEST(ranges_have_their_rights_and_regions)
{
	const struct look_maps_query all = {.start = 0};
	struct mix *mix = mix_create();
	const struct look_map *map;
	char text[LOOK_RIGHTS_BYTES];
	struct kept kept;

	maps(mix, &all, &kept);
	map = find(&kept, mix->readonly);
	ck_assert_str_eq(look_rights(map->rights, text), "r---");
	ck_assert_uint_eq(map->start, mix->readonly);
	ck_assert_uint_eq(map->end, mix->readonly + 3 * PAGE_SIZE);
	ck_assert_int_eq(map->region, LOOK_VMALLOC);
	map = find(&kept, mix->module);
	ck_assert_str_eq(look_rights(map->rights, text), "r-x-");
	ck_assert_int_eq(map->region, LOOK_MODULES);
	map = find(&kept, mix->single);
	ck_assert_str_eq(look_rights(map->rights, text), "rw--");
	map = find(&kept, mix->outside);
	ck_assert_int_eq(map->region, LOOK_OTHER);
	mix_destroy(mix);
}
END_TEST

/* A page that becomes user-accessible, read-only or of another frame breaks a range; no other. */
START_TEST(ranges_end_where_leaves_differ)
{
	const struct look_maps_query all = {.start = 0};
	const struct look_maps_query split = {.split_frames = true};
	struct mix *mix = mix_create();
	u64 at = mix->kmalloced, entry;
	struct kept kept;
	size_t before;

	before = maps(mix, &all, &kept).ranges;
	*mix_entry(mix, at + 100 * PAGE_SIZE, 1) &= ~X86_PTE_RW;
	ck_assert_uint_eq(maps(mix, &all, &kept).ranges, before + 2);
	ck_assert_uint_eq(find(&kept, at)->end, at + 100 * PAGE_SIZE);
	*mix_entry(mix, at + 100 * PAGE_SIZE, 1) |= X86_PTE_RW;
	/* U counts only where every entry on the way has it. */
	*mix_entry(mix, at + 100 * PAGE_SIZE, 1) |= X86_PTE_US;
	ck_assert_uint_eq(maps(mix, &all, &kept).ranges, before);
	*mix_entry(mix, at + 100 * PAGE_SIZE, 1) &= ~X86_PTE_US;
	before = maps(mix, &split, &kept).ranges;
	entry = *mix_entry(mix, at + 10 * PAGE_SIZE, 1);
	*mix_entry(mix, at + 10 * PAGE_SIZE, 1) = (entry & ~X86_PTE_ADDR_MASK) | 0x5000;
	ck_assert_uint_eq(maps(mix, &split, &kept).ranges, before + 2);
	ck_assert_uint_eq(find(&kept, at + 10 * PAGE_SIZE)->gpa, 0x5000);
	maps(mix, &all, &kept);
	ck_assert_uint_eq(find(&kept, at)->leaves, 300);
	ck_assert_uint_ge(find(&kept, at)->runs, 3);
	mix_destroy(mix);
}
END_TEST

START_TEST(a_window_and_a_limit_hold)
{
	struct mix *mix = mix_create();
	struct look_maps_query query = {.start = mix->inlined + PAGE_SIZE,
					.end = mix->inlined + 3 * PAGE_SIZE};
	struct look_maps_sum sum;
	struct kept kept;

	sum = maps(mix, &query, &kept);
	ck_assert_uint_eq(sum.ranges, 1);
	ck_assert_uint_eq(sum.leaves, 2);
	ck_assert_uint_eq(kept.map[0].start, query.start);
	ck_assert_uint_eq(kept.map[0].end, query.end);
	query = (struct look_maps_query){.max_ranges = 2};
	sum = maps(mix, &query, &kept);
	ck_assert(sum.cut);
	ck_assert_uint_eq(kept.count, 2);
	query = (struct look_maps_query){.start = 0x2000, .end = 0x1000};
	ck_assert_int_eq(look_maps(mix->source->inspector, &query, keep, &kept, &sum), -EINVAL);
	query = (struct look_maps_query){.start = 1};
	ck_assert_int_eq(look_maps(mix->source->inspector, &query, keep, &kept, &sum), -EINVAL);
	query = (struct look_maps_query){.start = 0};
	kept = (struct kept){.answer = 42};
	ck_assert_int_eq(look_maps(mix->source->inspector, &query, keep, &kept, &sum), 42);
	ck_assert_uint_eq(kept.count, 1);
	mix_destroy(mix);
}
END_TEST

/* An entry with a reserved bit is counted, with its address, and its page is not a range. */
START_TEST(bad_entries_are_counted)
{
	const struct look_maps_query all = {.start = 0};
	struct mix *mix = mix_create();
	struct look_maps_sum sum;
	struct kept kept;

	*mix_entry(mix, mix->single, 1) |= 1ull << 51;
	sum = maps(mix, &all, &kept);
	ck_assert_uint_eq(sum.bad_entries, 1);
	ck_assert_uint_eq(sum.first_bad, mix->single);
	ck_assert_ptr_null(find(&kept, mix->single));
	mix_destroy(mix);
}
END_TEST

static int count_ranges(void *context, const struct look_map *map)
{
	(*(uint64_t *)context)++;
	return 0;
}

/* The root in its own 512 entries, at every level: 2^36 ways through one table. */
START_TEST(tables_that_refer_to_themselves_end)
{
	const struct look_maps_query all = {.start = 0};
	struct mix *mix = mix_create();
	uint64_t *root = phys_to_virt(mix->mm, mix->mm->pt.root_phys), ranges = 0;
	struct look_maps_sum sum;

	for (int i = 0; i < 512; i++)
		root[i] = mix->mm->pt.root_phys | X86_PTE_P | X86_PTE_RW;
	ck_assert_int_eq(look_maps(mix->source->inspector, &all, count_ranges, &ranges, &sum), 0);
	ck_assert(sum.cut);
	ck_assert_uint_le(sum.tables, LOOK_SHARED_TABLES + 8);
	ck_assert_uint_eq(sum.ranges, ranges);
	mix_destroy(mix);
}
END_TEST

/* What a process has in its own half, and none of it in the kernel's tables. */
START_TEST(a_process_has_its_own_ranges)
{
	struct look_maps_query query = {.end = 1ull << 47};
	struct mix *mix = mix_create();
	struct paging_mode paging;
	struct look_maps_sum sum;
	struct kept kept;

	ck_assert_uint_eq(maps(mix, &query, &kept).leaves, 0);
	query.paging = &paging;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(look_process(mix->source->inspector, mix->process[i]->id, &paging),
				 0);
		ck_assert_uint_eq(paging.root.value, mix->process[i]->pt.root_phys);
		sum = maps(mix, &query, &kept);
		ck_assert_uint_eq(sum.leaves, mix->process[i]->nr_user_pages);
		for (size_t at = 0; at < kept.count; at++) {
			ck_assert_int_eq(kept.map[at].region, LOOK_USER);
			ck_assert_uint_eq(kept.map[at].rights & PAGING_U, PAGING_U);
		}
	}
	ck_assert_int_eq(look_process(mix->source->inspector, 77, &paging), -ESRCH);
	mix_destroy(mix);
}
END_TEST

/* ---- places ---- */

START_TEST(places_are_those_of_the_layout)
{
	const struct {
		uint64_t address;
		enum look_region region;
		uint64_t start, end;
	} places[] = {
		{0, LOOK_USER, 0, 1ull << 47},
		{0x7fffffffffff, LOOK_USER, 0, 1ull << 47},
		{1ull << 47, LOOK_NOWHERE, 1ull << 47, 0xffff800000000000},
		{0xffff7fffffffffff, LOOK_NOWHERE, 1ull << 47, 0xffff800000000000},
		{0xffff800000000000, LOOK_OTHER, 0xffff800000000000, 0xffff888000000000},
		{0xffff888000001234, LOOK_DIRECT, 0xffff888000000000, 0xffff888208000000},
		{0xffffc90000000000, LOOK_VMALLOC, 0xffffc90000000000, VMALLOC_END},
		{VMALLOC_END - 1, LOOK_VMALLOC, 0xffffc90000000000, VMALLOC_END},
		{VMALLOC_END, LOOK_OTHER, VMALLOC_END, 0xffffea0000000000},
		{0xffffea0000000000, LOOK_MEMMAP, 0xffffea0000000000, 0xffffea0008200000},
		{0xffffffff80200000, LOOK_IMAGE, 0xffffffff80000000, 0xffffffffc0000000},
		{0xffffffffc0000000, LOOK_MODULES, 0xffffffffc0000000, MODULES_END},
		{0xffffffffffffffff, LOOK_OTHER, MODULES_END, 0},
	};
	struct mix *mix = mix_create();

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct look_place place;

		look_place(mix->source->inspector, places[i].address, &place);
		ck_assert_msg(place.region == places[i].region && place.start == places[i].start &&
				      place.end == places[i].end,
			      "%#lx is in %s, [%#lx, %#lx)", places[i].address,
			      look_region_name(place.region), place.start, place.end);
		ck_assert_uint_eq(place.offset, places[i].address - places[i].start);
	}
	mix_destroy(mix);
}
END_TEST

/* ---- one address ---- */

START_TEST(a_walk_shows_the_entries_there_are)
{
	struct mix *mix = mix_create();
	u64 va = mix->readonly + PAGE_SIZE + 0x123;
	const char *names[LOOK_FLAGS_MAX];
	struct look_walk walk;
	char all[128] = "";
	size_t count;

	look_walk(mix->source->inspector, NULL, va, NULL, &walk);
	ck_assert_int_eq(walk.status, PAGING_MAPPED);
	ck_assert_uint_eq(walk.entry_count, 4);
	for (unsigned int i = 0; i < 4; i++) {
		const struct look_entry *entry = &walk.entry[i];

		ck_assert_uint_eq(entry->level, 4 - i);
		ck_assert_uint_eq(entry->value, *mix_entry(mix, va, (int)entry->level));
		ck_assert_uint_eq(entry->gpa,
				  virt_to_phys(mix->mm, mix_entry(mix, va, (int)(4 - i))));
		ck_assert_uint_eq(entry->leaf, i == 3);
		ck_assert_uint_eq(entry->reserved, 0);
		ck_assert(!entry->second.known);
	}
	ck_assert_uint_eq(walk.entry[2].rights, PAGING_R | PAGING_W | PAGING_X);
	ck_assert_uint_eq(walk.rights, PAGING_R);
	ck_assert_uint_eq(walk.entry[3].rights, PAGING_R);
	ck_assert_uint_eq(walk.both, PAGING_R);
	ck_assert_uint_eq(walk.gpa, mix_phys(mix, mix_page(mix, va & PAGE_MASK)) + 0x123);
	ck_assert_uint_eq(walk.page_bytes, PAGE_SIZE);
	ck_assert_uint_eq(walk.tlb_bytes, PAGE_SIZE);
	ck_assert_int_eq(walk.place.region, LOOK_VMALLOC);
	count = look_entry_flags(walk.entry[3].value, 1, true, 0, names);
	for (size_t i = 0; i < count; i++)
		strcat(strcat(all, names[i]), " ");
	ck_assert_str_eq(all, "P A G NX ");
	mix_destroy(mix);
}
END_TEST

START_TEST(a_walk_says_where_it_ends)
{
	struct mix *mix = mix_create();
	struct look_walk walk;

	look_walk(mix->source->inspector, NULL, mix->inlined + 10 * PAGE_SIZE, NULL, &walk);
	ck_assert_int_eq(walk.status, PAGING_NOT_PRESENT);
	ck_assert_uint_eq(walk.level, 1);
	ck_assert_uint_eq(walk.entry_count, 4);
	ck_assert_uint_eq(walk.entry[3].rights, 0);
	ck_assert_uint_eq(walk.tlb_bytes, 0);
	look_walk(mix->source->inspector, NULL, 1ull << 60, NULL, &walk);
	ck_assert_int_eq(walk.status, PAGING_NON_CANONICAL);
	ck_assert_uint_eq(walk.entry_count, 0);
	*mix_entry(mix, mix->single, 1) |= 1ull << 51;
	look_walk(mix->source->inspector, NULL, mix->single, NULL, &walk);
	ck_assert_int_eq(walk.status, PAGING_RESERVED);
	ck_assert_uint_eq(walk.entry[3].reserved, 1ull << 51);
	mix_destroy(mix);
}
END_TEST

/* A second stage that has leaves of 2 MiB, read-only, up to 4 GiB, and nothing above. */
static bool low_leaf(void *context, gpa_t gpa, struct walk2d_leaf *leaf_out)
{
	*leaf_out = (struct walk2d_leaf){
		.gpa = gpa_make(gpa.value & ~((1ull << 21) - 1)),
		.bytes = 1ull << 21,
		.rights = STAGE2_R | STAGE2_X | STAGE2_XU,
		.host = context,
	};
	return gpa.value < 4ull << 30;
}

START_TEST(a_second_stage_narrows_rights)
{
	const struct walk2d_source source = {.leaf = low_leaf};
	const struct look_second second = {.leaves = &source};
	struct mix *mix = mix_create();
	struct look_walk walk;

	look_walk(mix->source->inspector, NULL, mix->dma32, &second, &walk);
	ck_assert_int_eq(walk.status, PAGING_MAPPED);
	ck_assert_uint_lt(walk.gpa, 4ull << 30);
	ck_assert(walk.second.known && walk.second.mapped);
	ck_assert_uint_eq(walk.rights, PAGING_R | PAGING_W);
	ck_assert_uint_eq(walk.both, PAGING_R);
	ck_assert_uint_eq(walk.tlb_bytes, PAGE_SIZE);
	ck_assert_uint_eq(walk.second.bytes, 1ull << 21);
	ck_assert(walk.entry[0].second.known);
	look_walk(mix->source->inspector, NULL, mix->single, &second, &walk);
	ck_assert_uint_ge(walk.gpa, 4ull << 30);
	ck_assert(walk.second.known && !walk.second.mapped);
	ck_assert_uint_eq(walk.both, 0);
	ck_assert_uint_eq(walk.tlb_bytes, 0);
	mix_destroy(mix);
}
END_TEST

struct seen {
	struct look_mapping mapping[8];
	size_t count;
};

static int see(void *context, const struct look_mapping *mapping)
{
	struct seen *seen = context;

	ck_assert_uint_lt(seen->count, ARRAY_SIZE(seen->mapping));
	seen->mapping[seen->count++] = *mapping;
	return 0;
}

START_TEST(a_translation_goes_both_ways)
{
	struct mix *mix = mix_create();
	u64 va = mix->inlined + 3 * PAGE_SIZE + 40, phys = mix_phys(mix, mix_page(mix, va));
	struct seen seen = {.count = 0};
	const void *host = NULL;
	uint64_t gpa = 0;

	ck_assert_int_eq(look_translate(mix->source->inspector, NULL, va, &gpa, &host), 0);
	ck_assert_uint_eq(gpa, phys + 40);
	ck_assert_ptr_eq(host, phys_to_virt(mix->mm, gpa));
	mix_map(mix, mix->reserved, phys, PAGE_KERNEL_RO);
	ck_assert_int_eq(look_mappings_of(mix->source->inspector, NULL, gpa, see, &seen), 0);
	ck_assert_uint_eq(seen.count, 2);
	ck_assert_uint_eq(seen.mapping[0].gva, va);
	ck_assert_uint_eq(seen.mapping[0].rights, PAGING_R | PAGING_W);
	ck_assert_uint_eq(seen.mapping[1].gva, mix->reserved + 40);
	ck_assert_uint_eq(seen.mapping[1].rights, PAGING_R);
	ck_assert_int_eq(look_translate(mix->source->inspector, NULL, mix->inlined + 10 * PAGE_SIZE,
					&gpa, NULL),
			 -EFAULT);
	ck_assert_uint_eq(gpa, phys + 40);
	mix_destroy(mix);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("look");
	TCase *tests = tcase_create("look");

	tcase_add_test(tests, ranges_are_what_a_walk_of_each_page_finds);
	tcase_add_test(tests, ranges_have_their_rights_and_regions);
	tcase_add_test(tests, ranges_end_where_leaves_differ);
	tcase_add_test(tests, a_window_and_a_limit_hold);
	tcase_add_test(tests, bad_entries_are_counted);
	tcase_add_test(tests, tables_that_refer_to_themselves_end);
	tcase_add_test(tests, a_process_has_its_own_ranges);
	tcase_add_test(tests, places_are_those_of_the_layout);
	tcase_add_test(tests, a_walk_shows_the_entries_there_are);
	tcase_add_test(tests, a_walk_says_where_it_ends);
	tcase_add_test(tests, a_second_stage_narrows_rights);
	tcase_add_test(tests, a_translation_goes_both_ways);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
