/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Boot memory against guest/abi.h: what was built is walked leaf by leaf with ept/paging. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/x86.h"
#include "tests/harness.h"
#include "tests/vmm/image/tiny_image.h"
#include "vmm/image/boot.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define TIB (1ull << 40)

static struct tiny_image tiny;
static struct image image;
static struct memory_layout memory;
static struct gpa_space *space;
static struct boot boot;
static struct error error;

static void setup(void)
{
	tiny_image_make(&tiny, NULL, 0, 0);
	ck_assert_int_eq(image_load_bytes("tiny", &tiny, sizeof(tiny), &image, &error), 0);
	space = NULL;
}

static void teardown(void)
{
	gpa_space_destroy(space);
	image_unload(&image);
}

/* Guests of every shape worth a walk. */
static const struct {
	uint64_t bytes;
	unsigned int nodes, vcpus;
	bool pages_1g;
} guests[] = {
	{16 * MIB, 1, 1, true},         {64 * MIB, 2, 3, false},
	{512 * MIB, 1, 1, true},        {512 * MIB, 1, 1, false},
	{5 * GIB, 1, 2, true},          {6 * GIB + 8 * MIB, 2, 64, true},
	{96 * MIB, 8, 1, false},        {TIB, 1, 4, true},
	{64 * GIB, 4, 8, false},        {44 * MIB, 1, 64, true},
	{MEMORY_BYTES_MAX, 1, 1, true},
};

static int build(uint64_t flags, unsigned int vcpus, bool pages_1g)
{
	struct boot_config config = {&image, &memory, vcpus, pages_1g, flags};

	return boot_build(&config, space, &boot, &error);
}

static void build_guest(int index)
{
	ck_assert_int_eq(
		memory_layout_default(guests[index].bytes, guests[index].nodes, &memory, &error),
		0);
	ck_assert_uint_eq(memory_layout_bytes(&memory), guests[index].bytes);
	ck_assert_int_eq(gpa_space_create(46, &space, &error), 0);
	ck_assert_int_eq(memory_layout_add(&memory, space, &error), 0);
	ck_assert_msg(build(NB_BOOT_EAGER, guests[index].vcpus, guests[index].pages_1g) == 0, "%s",
		      error.text);
}

static struct paging_mode mode(bool no_1g_pages)
{
	return (struct paging_mode){boot.root, 4, 46, true, no_1g_pages};
}

/* ---- walking ---- */

struct visit {
	uint64_t image_bytes, direct_bytes; /* seen so far */
	uint64_t tables;
	uint32_t ram; /* the range the next direct leaf must continue */
	uint64_t next;
};

static const struct image_segment *segment_at(uint64_t gpa)
{
	for (size_t i = 0; i < image.nr_segments; i++) {
		const struct image_segment *segment = &image.segments[i];

		if (gpa >= segment->gpa.value &&
		    gpa - segment->gpa.value < segment->end.value - segment->start.value)
			return segment;
	}
	return NULL;
}

static void visit_image(struct visit *visit, const struct paging_leaf *leaf)
{
	const struct image_segment *segment = image_segment_find(&image, leaf->gva);

	ck_assert_ptr_nonnull(segment);
	ck_assert_uint_eq(leaf->page_bytes, X86_PAGE_SIZE);
	ck_assert_uint_eq(leaf->gpa.value, leaf->gva.value - NB_IMAGE_BASE);
	ck_assert_uint_eq(leaf->rights, PAGING_R | (segment->writable ? PAGING_W : 0) |
						(segment->executable ? PAGING_X : 0));
	visit->image_bytes += leaf->page_bytes;
}

/* The direct map goes on where it ended: every byte once, in order, nothing else. */
static void visit_direct(struct visit *visit, const struct paging_leaf *leaf)
{
	bool read_only = false;

	if (visit->next == memory.ram[visit->ram].end) {
		visit->ram++;
		ck_assert_uint_lt(visit->ram, memory.nr_ram);
		visit->next = memory.ram[visit->ram].start;
	}
	ck_assert_uint_eq(leaf->gva.value, NB_DIRECT_BASE + visit->next);
	ck_assert_uint_eq(leaf->gpa.value, visit->next);
	for (uint64_t at = 0; at < leaf->page_bytes && at < 8 * MIB; at += X86_PAGE_SIZE) {
		const struct image_segment *segment = segment_at(leaf->gpa.value + at);

		if (segment && !segment->writable)
			read_only = true;
	}
	if (read_only)
		ck_assert_uint_eq(leaf->page_bytes, X86_PAGE_SIZE);
	ck_assert_uint_eq(leaf->rights, PAGING_R | (read_only ? 0 : PAGING_W));
	visit->next += leaf->page_bytes;
	visit->direct_bytes += leaf->page_bytes;
}

static int visit_leaf(void *context, const struct paging_leaf *leaf)
{
	const uint64_t set = X86_PTE_A | X86_PTE_D | X86_PTE_G;

	ck_assert_uint_eq(leaf->entry.value & set, set);
	if (leaf->gva.value >= NB_IMAGE_BASE)
		visit_image(context, leaf);
	else
		visit_direct(context, leaf);
	return 0;
}

static int visit_bad(void *context, const struct paging_bad_entry *bad)
{
	(void)context;
	ck_abort_msg("a bad entry at %#lx: %#lx", bad->gva.value, bad->entry.value);
	return 0;
}

static int visit_table(void *context, gpa_t table, unsigned int level, gva_t gva)
{
	const struct nb_range *tables = &boot.info.reserved[boot.info.nr_reserved - 1];
	struct visit *visit = context;

	(void)level;
	(void)gva;
	ck_assert_uint_eq(tables->kind, NB_RESERVED_TABLES);
	ck_assert(table.value >= tables->start && table.value < tables->end);
	visit->tables++;
	return 0;
}

START_TEST(every_leaf_is_as_the_contract_says)
{
	struct visit visit = {.next = 0};
	struct paging_visitor visitor = {visit_leaf, visit_bad, visit_table, &visit};
	struct paging_reader reader;
	struct paging_mode paging;
	uint64_t image_bytes = 0;

	build_guest(_i);
	reader = gpa_space_paging_reader(space);
	paging = mode(!guests[_i].pages_1g);
	ck_assert_int_eq(paging_for_each(&paging, &reader, gva_make(0), gva_make(0), 0, &visitor),
			 0);
	for (size_t i = 0; i < image.nr_segments; i++)
		image_bytes += image.segments[i].end.value - image.segments[i].start.value;
	ck_assert_uint_eq(visit.image_bytes, image_bytes);
	ck_assert_uint_eq(visit.direct_bytes, guests[_i].bytes);
	/* Each table is entered once, so none is there twice; none is missing, none is spare. */
	ck_assert_uint_eq(visit.tables, boot.nr_tables);
}
END_TEST

START_TEST(the_direct_map_uses_the_largest_leaves_there_are)
{
	struct paging_reader reader;
	struct paging_mode paging;
	struct paging_walk walk;

	build_guest(_i);
	reader = gpa_space_paging_reader(space);
	paging = mode(!guests[_i].pages_1g);
	for (uint32_t i = 0; i < memory.nr_ram; i++) {
		const struct nb_range *ram = &memory.ram[i];
		uint64_t first_1g = (ram->start + GIB - 1) & ~(GIB - 1);
		uint64_t last_2m = ram->end - X86_PAGE_SIZE;
		bool is_1g = guests[_i].pages_1g && (last_2m & ~(GIB - 1)) >= ram->start &&
			     (last_2m | (GIB - 1)) < ram->end && last_2m >= GIB;

		paging_walk(&paging, &reader, gva_make(NB_DIRECT_BASE + last_2m), &walk);
		ck_assert_int_eq(walk.status, PAGING_MAPPED);
		ck_assert_uint_eq(walk.page_bytes, is_1g ? GIB : 2 * MIB);
		if (first_1g == 0)
			first_1g = GIB; /* the image is in the first */
		if (guests[_i].pages_1g && first_1g + GIB <= ram->end) {
			paging_walk(&paging, &reader, gva_make(NB_DIRECT_BASE + first_1g), &walk);
			ck_assert_uint_eq(walk.page_bytes, GIB);
		}
	}
}
END_TEST

START_TEST(page_array_tables_reach_the_directory_and_are_empty)
{
	struct paging_reader reader;
	struct paging_mode paging;

	build_guest(_i);
	reader = gpa_space_paging_reader(space);
	paging = mode(!guests[_i].pages_1g);
	for (uint32_t i = 0; i < memory.nr_ram; i++) {
		for (uint64_t gpa = memory.ram[i].start; gpa < memory.ram[i].end; gpa += 4 * MIB) {
			gva_t page = gva_make(NB_MEMMAP_BASE + (gpa >> X86_PAGE_SHIFT) * 64);
			struct paging_walk walk;

			paging_walk(&paging, &reader, page, &walk);
			ck_assert_int_eq(walk.status, PAGING_NOT_PRESENT);
			ck_assert_uint_eq(walk.level, 2);
			ck_assert_uint_eq(walk.entries[2].value, 0);
		}
	}
}
END_TEST

static void check_ranges(void)
{
	const struct nb_range *r = boot.info.reserved;

	for (uint32_t i = 0; i < boot.info.nr_reserved; i++) {
		ck_assert_uint_lt(r[i].start, r[i].end);
		ck_assert_uint_eq((r[i].start | r[i].end) % X86_PAGE_SIZE, 0);
		ck_assert_uint_ge(r[i].start, i ? r[i - 1].end : 0);
		ck_assert_uint_ge(r[i].start, memory.ram[0].start);
		ck_assert_uint_le(r[i].end, memory.ram[0].end);
	}
	ck_assert_uint_eq(r[0].start, 0);
	ck_assert_uint_eq(r[1].kind, NB_RESERVED_IMAGE);
	ck_assert_uint_eq(r[1].start, TINY_TEXT_GPA);
	ck_assert_uint_eq(r[1].end, TINY_END_GPA);
}

START_TEST(the_guest_is_told_what_there_is)
{
	struct nb_boot_info told;
	struct nb_vcpu_area *area;
	void *host;
	gpa_t info;

	build_guest(_i);
	info = gpa_make(boot.info_gva.value - NB_DIRECT_BASE);
	ck_assert_int_eq(gpa_space_read(space, info, &told, sizeof(told)), 0);
	ck_assert_mem_eq(&told, &boot.info, sizeof(told));
	ck_assert_uint_eq(told.magic, NB_BOOT_MAGIC);
	ck_assert_uint_eq(told.version, NB_ABI_VERSION);
	ck_assert_uint_eq(told.nr_vcpus, guests[_i].vcpus);
	ck_assert_uint_eq(told.root_gpa, boot.root.value);
	ck_assert_uint_eq(told.flags, NB_BOOT_EAGER);
	ck_assert_uint_eq(told.nr_ram, memory.nr_ram);
	ck_assert_mem_eq(told.ram, memory.ram, sizeof(told.ram));
	check_ranges();
	for (unsigned int i = 0; i < told.nr_vcpus; i++) {
		ck_assert_uint_ge(told.area_gpa[i], info.value + X86_PAGE_SIZE);
		ck_assert_uint_le(told.area_gpa[i] + sizeof(*area), boot.info.reserved[2].end);
		if (i)
			ck_assert_uint_ge(told.area_gpa[i], told.area_gpa[i - 1] + sizeof(*area));
		ck_assert_int_eq(gpa_space_translate(space, gpa_make(told.area_gpa[i]),
						     sizeof(*area), &host),
				 0);
		area = host;
		ck_assert_uint_eq(area->sq_tail | area->sq_head | area->cq_tail | area->cq_head, 0);
	}
	ck_assert_uint_eq(boot.entry.value, TINY_TEXT_GVA);
}
END_TEST

START_TEST(the_image_is_where_it_wants_to_be)
{
	uint8_t bytes[TINY_CODE_MAX];

	build_guest(0);
	ck_assert_int_eq(gpa_space_read(space, gpa_make(TINY_TEXT_GPA), bytes, TINY_CODE_MAX), 0);
	ck_assert_mem_eq(bytes, tiny.text, TINY_CODE_MAX);
	ck_assert_int_eq(gpa_space_read(space, gpa_make(TINY_DATA_GPA), bytes, TINY_CODE_MAX), 0);
	ck_assert_mem_eq(bytes, tiny.data, sizeof(tiny.data));
	for (size_t i = sizeof(tiny.data); i < TINY_CODE_MAX; i++)
		ck_assert_uint_eq(bytes[i], 0);
}
END_TEST

static const struct {
	uint64_t bytes;
	unsigned int nodes;
	const char *text;
} bad_sizes[] = {
	{0, 1, "16 MiB"},
	{MEMORY_BYTES_MIN - 1, 1, "16 MiB"},
	{MEMORY_BYTES_MAX + 4 * MIB, 1, "2096128 MiB"},
	{UINT64_MAX, 1, "2096128 MiB"},
	{64 * MIB + 1, 1, "multiple of 4 MiB"},
	{68 * MIB, 2, "multiple of 8 MiB"},
	{24 * MIB, 8, "64 MiB to"},
	{64 * MIB, 0, "possible are 1 to 8"},
	{64 * MIB, 9, "possible are 1 to 8"},
};

START_TEST(senseless_sizes_are_refused_with_those_possible)
{
	struct memory_layout before = {.nr_ram = 77};

	memory = before;
	ck_assert_int_eq(
		memory_layout_default(bad_sizes[_i].bytes, bad_sizes[_i].nodes, &memory, &error),
		-EINVAL);
	ck_assert_msg(strstr(error.text, bad_sizes[_i].text), "%s", error.text);
	ck_assert_mem_eq(&before, &memory, sizeof(memory));
}
END_TEST

/* 4 GiB in three nodes: 2 GiB lie below the hole, so that the second node is on both sides of it.
 */
START_TEST(nodes_of_any_size_fill_memory_in_their_order)
{
	const uint64_t nodes[] = {1020 * MIB, 2052 * MIB, 1024 * MIB};
	const struct nb_range want[] = {
		{.start = 0, .end = 1020 * MIB, .node = 0},
		{.start = 1020 * MIB, .end = 2048 * MIB, .node = 1},
		{.start = 4096 * MIB, .end = 5120 * MIB, .node = 1},
		{.start = 5120 * MIB, .end = 6144 * MIB, .node = 2},
	};
	const uint64_t odd[] = {32 * MIB, 4 * MIB + 4096}, none[] = {32 * MIB, 0};

	ck_assert_int_eq(memory_layout_nodes(nodes, 3, &memory, &error), 0);
	ck_assert_uint_eq(memory.nr_ram, 4);
	ck_assert_mem_eq(memory.ram, want, sizeof(want));
	ck_assert_int_eq(memory_layout_nodes(odd, 2, &memory, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "node 1 of 4198400 bytes"));
	ck_assert_int_eq(memory_layout_nodes(none, 2, &memory, &error), -EINVAL);
	ck_assert_int_eq(memory_layout_nodes(nodes, 0, &memory, &error), -EINVAL);
	ck_assert_uint_eq(memory.nr_ram, 4);
}
END_TEST

static const struct memory_layout bad_layouts[] = {
	{0},
	{.nr_ram = NB_MAX_RANGES + 1, .ram = {{0, 64 * MIB, 0, 0}}},
	{.nr_ram = 1, .ram = {{0, 63 * MIB, 0, 0}}},
	{.nr_ram = 1, .ram = {{MIB, 64 * MIB, 0, 0}}},
	{.nr_ram = 1, .ram = {{64 * MIB, 64 * MIB, 0, 0}}},
	{.nr_ram = 1, .ram = {{0, NB_RAM_LIMIT + 4 * MIB, 0, 0}}},
	{.nr_ram = 1, .ram = {{0, 64 * MIB, NB_MAX_NODES, 0}}},
	{.nr_ram = 1, .ram = {{0, 64 * MIB, 0, 1}}},
	{.nr_ram = 2, .ram = {{0, 64 * MIB, 0, 0}, {60 * MIB, 80 * MIB, 0, 0}}},
};

START_TEST(layouts_that_break_the_rules_are_refused)
{
	memory = bad_layouts[_i];
	ck_assert_int_eq(gpa_space_create(46, &space, &error), 0);
	ck_assert_int_eq(build(0, 1, true), -EINVAL);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
	memory = (struct memory_layout){.nr_ram = 1, .ram = {{0, 4 * MIB, 0, 0}}};
	ck_assert_int_eq(gpa_space_create(46, &space, &error), 0);
	ck_assert_int_eq(memory_layout_add(&memory, space, &error), 0);
	ck_assert_int_eq(build(0, 0, true), -EINVAL);
	ck_assert_int_eq(build(0, NB_MAX_VCPUS + 1, true), -EINVAL);
	ck_assert_int_eq(build(0, NB_MAX_VCPUS, true), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(error.text, "64 vCPUs"));
	memory = (struct memory_layout){.nr_ram = 1, .ram = {{4 * MIB, 64 * MIB, 0, 0}}};
	ck_assert_int_eq(build(0, 1, true), -ENOSPC);
}
END_TEST

START_TEST(tables_that_do_not_fit_are_refused)
{
	/* 1 TiB in 2 MiB leaves needs 4 MiB of tables. */
	memory = (struct memory_layout){.nr_ram = 2,
					.ram = {{0, 4 * MIB, 0, 0}, {4 * GIB, TIB, 0, 0}}};
	ck_assert_int_eq(gpa_space_create(46, &space, &error), 0);
	ck_assert_int_eq(memory_layout_add(&memory, space, &error), 0);
	ck_assert_int_eq(build(0, 1, false), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(error.text, "page tables"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("boot");
	TCase *tcase = tcase_create("boot");
	int count = (int)(sizeof(guests) / sizeof(guests[0]));

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, every_leaf_is_as_the_contract_says, 0, count);
	tcase_add_loop_test(tcase, the_direct_map_uses_the_largest_leaves_there_are, 0, count);
	tcase_add_loop_test(tcase, page_array_tables_reach_the_directory_and_are_empty, 0, count);
	tcase_add_loop_test(tcase, the_guest_is_told_what_there_is, 0, count);
	tcase_add_test(tcase, the_image_is_where_it_wants_to_be);
	tcase_add_loop_test(tcase, senseless_sizes_are_refused_with_those_possible, 0,
			    (int)(sizeof(bad_sizes) / sizeof(bad_sizes[0])));
	tcase_add_test(tcase, nodes_of_any_size_fill_memory_in_their_order);
	tcase_add_loop_test(tcase, layouts_that_break_the_rules_are_refused, 0,
			    (int)(sizeof(bad_layouts) / sizeof(bad_layouts[0])));
	tcase_add_test(tcase, what_does_not_fit_is_refused);
	tcase_add_test(tcase, tables_that_do_not_fit_are_refused);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
