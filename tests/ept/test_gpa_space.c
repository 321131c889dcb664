/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest-physical address space: places, kinds, contents, listeners and refusals. */
#include "tests/ept/gpa_space_fixture.h"

START_TEST(create_refuses_senseless_widths)
{
	struct gpa_space *space = NULL;

	ck_assert_int_eq(gpa_space_create(31, &space, &error), -EINVAL);
	ck_assert_int_eq(gpa_space_create(53, &space, &error), -EINVAL);
	ck_assert_ptr_null(space);
}
END_TEST

static const struct {
	const char *name;
	unsigned int kind;
	uint64_t start, size;
	int code;
	const char *says;
} bad_places[] = {
	{"a", GPA_RAM, 1, PAGE, -EINVAL, "multiples of 4096"},
	{"a", GPA_RAM, 0x800, PAGE, -EINVAL, "multiples of 4096"},
	{"a", GPA_RAM, PAGE, 0, -EINVAL, "not 0"},
	{"a", GPA_RAM, PAGE, 100, -EINVAL, "multiples of 4096"},
	{"a", GPA_RAM, 1ULL << 40, PAGE, -ERANGE, "40 physical address bits"},
	{"a", GPA_RAM, (1ULL << 40) - PAGE, 2 * PAGE, -ERANGE, "40 physical"},
	{"a", GPA_RAM, 2 * PAGE, -PAGE, -ERANGE, "40 physical"},
	{"a", GPA_RAM, -PAGE, PAGE, -ERANGE, "40 physical"},
	{"a", GPA_DEVICE, -PAGE, 2 * PAGE, -ERANGE, "40 physical"},
	{"old", GPA_RAM, 64 * PAGE, PAGE, -EEXIST, "region old already"},
	{"a", GPA_RAM, 8 * PAGE, PAGE, -EEXIST, "overlaps region old at [0x8000, 0xc000)"},
	{"a", GPA_RAM, 7 * PAGE, 2 * PAGE, -EEXIST, "overlaps region old"},
	{"a", GPA_HOLE, 11 * PAGE, 2 * PAGE, -EEXIST, "overlaps region old"},
	{"a", GPA_DEVICE, 9 * PAGE, PAGE, -EEXIST, "overlaps region old"},
	{"a", GPA_RAM, 0, 64 * PAGE, -EEXIST, "overlaps region old"},
	{"a", GPA_RAM, 20 * PAGE, PAGE, -EEXIST, "overlaps region hole"},
	{"", GPA_RAM, 64 * PAGE, PAGE, -EINVAL, "name"},
	{NULL, GPA_RAM, 64 * PAGE, PAGE, -EINVAL, "name"},
	{"with space", GPA_RAM, 64 * PAGE, PAGE, -EINVAL, "printable"},
	{"0123456789abcdef0123456789abcdef", GPA_RAM, 64 * PAGE, PAGE, -EINVAL, "31 bytes"},
	{"a", 4, 64 * PAGE, PAGE, -EINVAL, "no kind"},
};

START_TEST(add_refuses_bad_places_with_words)
{
	struct gpa_space *space = new_space(40);
	struct gpa_request request = {
		.name = bad_places[_i].name,
		.kind = (enum gpa_kind)bad_places[_i].kind,
		.start = gpa_make(bad_places[_i].start),
		.size_bytes = bad_places[_i].size,
	};

	must_add(space, "old", GPA_RAM, 8 * PAGE, 4 * PAGE);
	must_add(space, "hole", GPA_HOLE, 20 * PAGE, PAGE);
	must_refuse(space, &request, bad_places[_i].code, bad_places[_i].says);
	gpa_space_destroy(space);
}
END_TEST

static const struct {
	struct gpa_backing backing;
	uint64_t size;
	int code;
	const char *says;
} bad_backings[] = {
	{{.hugetlb_bytes = 12345}, PAGE, -EINVAL, "2 MiB and 1 GiB"},
	{{.hugetlb_bytes = EPT_PAGE_2M_BYTES}, PAGE, -EINVAL, "multiples of its huge pages"},
	{{.hugetlb_bytes = EPT_PAGE_2M_BYTES, .thp = true}, 2 << 20, -EINVAL, "exclude"},
	{{.hugetlb_bytes = EPT_PAGE_2M_BYTES}, 1ULL << 38, -ENOMEM, "nr_hugepages"},
	{{.kind = GPA_BACKING_ANON, .hugetlb_bytes = EPT_PAGE_2M_BYTES},
	 1ULL << 38,
	 -ENOMEM,
	 "131072 huge pages of 2048 KiB are wanted"},
	{{.kind = GPA_BACKING_FILE, .fd = -1}, PAGE, -EINVAL, "open file"},
	{{.kind = GPA_BACKING_FILE, .fd = 1000}, PAGE, -EBADF, "file 1000"},
	{{.kind = GPA_BACKING_FILE, .fd = 0, .fd_offset = 3}, PAGE, -EINVAL, "page-aligned offset"},
	{{.kind = GPA_BACKING_FILE, .hugetlb_bytes = EPT_PAGE_2M_BYTES},
	 2 << 20,
	 -EINVAL,
	 "hugetlbfs"},
	{{.file_private = true}, PAGE, -EINVAL, "copy-on-write"},
	{{.reserve = true}, PAGE, -EINVAL, "prealloc"},
	{{.numa_bind = true, .host_node = 1000}, PAGE, 0, ""},
	{{.kind = (enum gpa_backing_kind)9}, PAGE, -EINVAL, "no backing has the number 9"},
	/* More memory than a host has: counted against the overcommit limit. */
	{{.kind = GPA_BACKING_ANON, .reserve = true}, 1ULL << 45, -ENOMEM, "cannot map"},
};

START_TEST(add_refuses_bad_backings_with_words)
{
	struct gpa_space *space = new_space(52);
	struct gpa_request request = {
		.name = "a",
		.start = gpa_make(0),
		.size_bytes = bad_backings[_i].size,
		.backing = bad_backings[_i].backing,
	};

	if (request.backing.numa_bind) {
		/* What a missing node is called depends on whether the host has NUMA at all. */
		int err = gpa_space_add(space, &request, NULL, &error);

		ck_assert(err == -EINVAL || err == -EOPNOTSUPP);
		ck_assert(strstr(error.text, "no memory node 1000") ||
			  strstr(error.text, "no NUMA policy"));
	} else {
		must_refuse(space, &request, bad_backings[_i].code, bad_backings[_i].says);
	}
	gpa_space_destroy(space);
}
END_TEST

START_TEST(memory_is_congruent_modulo_1_gib)
{
	static const uint64_t starts[] = {0,          0x1000,     0x100000,
					  0x3ffff000, 1ULL << 32, (1ULL << 40) + 0x201000};
	struct gpa_space *space = new_space(48);
	const struct gpa_region *region;
	char name[8];
	size_t i;

	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		snprintf(name, sizeof(name), "r%zu", i);
		region = must_add(space, name, GPA_RAM, starts[i], PAGE);
		ck_assert_uint_eq(((uintptr_t)region->host ^ starts[i]) % GIB, 0);
		ck_assert_uint_eq(gpa_region_leaf_bytes(region), GIB);
		ck_assert_uint_eq((region->fd_offset ^ starts[i]) % EPT_PAGE_2M_BYTES, 0);
	}
	region = gpa_space_find_name(space, "r0");
	gpa_space_destroy(space);
}
END_TEST

/* The value in kB of a line of /proc/self/status. */
static unsigned long status_kib(const char *key)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	unsigned long value = 0;

	while (fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtoul(line + strlen(key) + 1, NULL, 10);
	fclose(file);
	return value;
}

START_TEST(a_terabyte_costs_what_it_touches)
{
	struct gpa_space *space = new_space(46);
	unsigned long before = status_kib("VmRSS"), after;
	const struct gpa_region *region;
	uint8_t byte = 7;
	int i;

	region = must_add(space, "ram", GPA_RAM, 1ULL << 32, 1ULL << 40);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(
			gpa_space_write(space, gpa_add(region->start, (uint64_t)i << 38), &byte, 1),
			0);
	after = status_kib("VmRSS");
	ck_assert_uint_lt(after, before + 1024);
	gpa_space_destroy(space);
}
END_TEST

/* Whether the mapping that holds @host has the flag @flag in smaps. */
static bool has_vm_flag(const void *host, const char *flag)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long long start, end;
	bool inside = false, found = false;
	char line[512];

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx-%llx", &start, &end) == 2)
			inside = (uintptr_t)host >= start && (uintptr_t)host < end;
		if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	fclose(file);
	return found;
}

START_TEST(guest_memory_stays_out_of_core_dumps)
{
	struct gpa_space *space = new_space(40);
	const struct gpa_region *region = must_add(space, "ram", GPA_RAM, 0, 16 * PAGE);
	struct gpa_request request = {.name = "thp",
				      .start = gpa_make(GIB),
				      .size_bytes = 4 << 20,
				      .backing = {.kind = GPA_BACKING_ANON, .thp = true}};

	ck_assert(has_vm_flag(region->host, " dd"));
	ck_assert(!has_vm_flag(region->host, " hg"));
	ck_assert_int_eq(gpa_space_add(space, &request, &region, &error), 0);
	ck_assert(has_vm_flag(region->host, " dd") && has_vm_flag(region->host, " hg"));
	gpa_space_destroy(space);
}
END_TEST

START_TEST(translation_needs_the_whole_range_in_one_region)
{
	struct gpa_space *space = new_space(40);
	const struct gpa_region *low = must_add(space, "low", GPA_RAM, 0x1000, 2 * PAGE);
	const struct gpa_region *high = must_add(space, "high", GPA_ROM, 0x3000, PAGE);
	void *host = &error, *untouched = host;

	must_add(space, "device", GPA_DEVICE, 0x4000, PAGE);
	ck_assert_int_eq(gpa_space_translate(space, gpa_make(0x1000), 2 * PAGE, &host), 0);
	ck_assert_ptr_eq(host, low->host);
	ck_assert_int_eq(gpa_space_translate(space, gpa_make(0x3fff), 1, &host), 0);
	ck_assert_ptr_eq(host, (char *)high->host + 0xfff);
	host = untouched;
	ck_assert_int_eq(gpa_space_translate(space, gpa_make(0x1000), 2 * PAGE + 1, &host),
			 -EFAULT);
	ck_assert_int_eq(gpa_space_translate(space, gpa_make(0x2fff), 2, &host), -EFAULT);
	ck_assert_int_eq(gpa_space_translate(space, gpa_make(0xfff), 2, &host), -EFAULT);
	ck_assert_int_eq(gpa_space_translate(space, gpa_make(0x4000), 1, &host), -EFAULT);
	ck_assert_int_eq(gpa_space_translate(space, gpa_make(0x1000), 0, &host), -EFAULT);
	ck_assert_int_eq(gpa_space_translate(space, gpa_make(0x1000), UINT64_MAX, &host), -EFAULT);
	ck_assert_int_eq(gpa_space_translate(space, gpa_make(UINT64_MAX), 1, &host), -EFAULT);
	ck_assert_int_eq(gpa_space_translate(space, gpa_make(UINT64_MAX), UINT64_MAX, &host),
			 -EFAULT);
	ck_assert_ptr_eq(host, untouched);
	gpa_space_destroy(space);
}
END_TEST

START_TEST(copies_cross_regions_and_are_whole_or_nothing)
{
	struct gpa_space *space = new_space(40);
	const struct gpa_region *ram = must_add(space, "ram", GPA_RAM, 0, PAGE);
	const struct gpa_region *more = must_add(space, "more", GPA_RAM, PAGE, PAGE);
	const struct gpa_region *rom = must_add(space, "rom", GPA_ROM, 2 * PAGE, PAGE);
	char text[] = "across the border", back[sizeof(text)];

	ck_assert_int_eq(gpa_space_write(space, gpa_make(PAGE - 6), text, sizeof(text)), 0);
	ck_assert_int_eq(memcmp((char *)ram->host + PAGE - 6, text, 6), 0);
	ck_assert_int_eq(memcmp(more->host, text + 6, sizeof(text) - 6), 0);
	ck_assert_int_eq(gpa_space_read(space, gpa_make(PAGE - 6), back, sizeof(back)), 0);
	ck_assert_str_eq(back, text);

	ck_assert_int_eq(gpa_space_write(space, gpa_make(2 * PAGE - 6), text, sizeof(text)),
			 -EROFS);
	ck_assert_int_eq(((char *)more->host)[PAGE - 6], 0);
	memcpy(rom->host, text, sizeof(text));
	ck_assert_int_eq(gpa_space_read(space, gpa_make(2 * PAGE), back, sizeof(back)), 0);
	ck_assert_str_eq(back, text);
	back[0] = '!';
	ck_assert_int_eq(gpa_space_read(space, gpa_make(3 * PAGE - 1), back, 2), -EFAULT);
	ck_assert_int_eq(back[0], '!');
	ck_assert_int_eq(gpa_space_read(space, gpa_make(UINT64_MAX), back, 2), -EFAULT);
	ck_assert_int_eq(gpa_space_read(space, gpa_make(UINT64_MAX), back, 0), 0);
	gpa_space_destroy(space);
}
END_TEST

START_TEST(the_memfd_and_offset_show_the_same_bytes_elsewhere)
{
	struct gpa_space *space = new_space(40);
	const struct gpa_region *region = must_add(space, "ram", GPA_RAM, 0x5000, 3 * PAGE);
	char *elsewhere =
		mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, region->fd, (off_t)region->fd_offset);

	ck_assert_ptr_ne(elsewhere, MAP_FAILED);
	ck_assert_int_eq(gpa_space_write(space, gpa_make(0x6ffc), "here", 4), 0);
	ck_assert_int_eq(memcmp(elsewhere + 0x1ffc, "here", 4), 0);
	munmap(elsewhere, 3 * PAGE);
	gpa_space_destroy(space);
}
END_TEST

START_TEST(a_private_file_stays_as_it_is_and_a_shared_one_does_not)
{
	struct gpa_space *space = new_space(40);
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct gpa_request request = {.name = "image",
				      .start = gpa_make(0x8000),
				      .size_bytes = PAGE,
				      .backing = {.kind = GPA_BACKING_FILE,
						  .file_private = _i == 0,
						  .fd = fd,
						  .fd_offset = PAGE}};
	char text[6] = {0};

	ck_assert_int_eq(ftruncate(fd, 2 * PAGE), 0);
	ck_assert_int_eq(pwrite(fd, "image", 5, PAGE), 5);
	ck_assert_int_eq(gpa_space_add(space, &request, NULL, &error), 0);
	ck_assert_int_eq(gpa_space_read(space, gpa_make(0x8000), text, 5), 0);
	ck_assert_str_eq(text, "image");
	ck_assert_int_eq(gpa_space_write(space, gpa_make(0x8000), "I", 1), 0);
	ck_assert_int_eq(pread(fd, text, 5, PAGE), 5);
	ck_assert_str_eq(text, _i == 0 ? "image" : "Image");
	request.name = "longer";
	request.start = gpa_make(0x10000);
	request.size_bytes = 2 * PAGE;
	ck_assert_int_eq(gpa_space_add(space, &request, NULL, &error), -EINVAL);
	ck_assert_msg(strstr(error.text, "8192 bytes, 12288 are needed"), "%s", error.text);
	gpa_space_destroy(space);
	close(fd);
}
END_TEST

static void count_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	uint64_t *seen = context;

	ck_assert_uint_gt(done_bytes, seen[0]);
	seen[0] = done_bytes;
	seen[1] = total_bytes;
}

START_TEST(preallocation_fills_and_reports)
{
	struct gpa_space *space = new_space(40);
	uint64_t seen[2] = {0}, size = 130 << 20;
	struct gpa_request request = {.name = "ram",
				      .start = gpa_make(0),
				      .size_bytes = size,
				      .backing = {.prealloc = true,
						  .progress = count_progress,
						  .progress_context = seen}};
	const struct gpa_region *region;
	struct stat status;

	ck_assert_int_eq(gpa_space_add(space, &request, &region, &error), 0);
	ck_assert_uint_eq(seen[0], size);
	ck_assert_uint_eq(seen[1], size);
	ck_assert_int_eq(fstat(region->fd, &status), 0);
	ck_assert_uint_eq((uint64_t)status.st_blocks * 512, size);
	gpa_space_destroy(space);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gpa_space");
	TCase *tcase = tcase_create("all");
	int places = sizeof(bad_places) / sizeof(bad_places[0]);
	int backings = sizeof(bad_backings) / sizeof(bad_backings[0]);

	tcase_add_test(tcase, create_refuses_senseless_widths);
	tcase_add_loop_test(tcase, add_refuses_bad_places_with_words, 0, places);
	tcase_add_loop_test(tcase, add_refuses_bad_backings_with_words, 0, backings);
	tcase_add_test(tcase, memory_is_congruent_modulo_1_gib);
	tcase_add_test(tcase, a_terabyte_costs_what_it_touches);
	tcase_add_test(tcase, guest_memory_stays_out_of_core_dumps);
	tcase_add_test(tcase, translation_needs_the_whole_range_in_one_region);
	tcase_add_test(tcase, copies_cross_regions_and_are_whole_or_nothing);
	tcase_add_test(tcase, the_memfd_and_offset_show_the_same_bytes_elsewhere);
	tcase_add_loop_test(tcase, a_private_file_stays_as_it_is_and_a_shared_one_does_not, 0, 2);
	tcase_add_test(tcase, preallocation_fills_and_reports);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
