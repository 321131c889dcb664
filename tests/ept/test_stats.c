/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KVM's statistics descriptor, from files made here: good ones, and every way to be bad. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/kvm.h>

#include "ept/stats.h"
#include "tests/harness.h"
#include "tests/ept/fail_nth.h"
#include "tests/ept/random.h"

#define NAME_BYTES 48

/* struct kvm_stats_desc with room for its name, which the kernel's header leaves open. */
struct entry {
	uint32_t flags;
	int16_t exponent;
	uint16_t size;
	uint32_t offset;
	uint32_t bucket_size;
	char name[NAME_BYTES];
};

_Static_assert(offsetof(struct entry, name) == sizeof(struct kvm_stats_desc), "KVM's layout");

/* The layout KVM uses, with two entries. */
struct image {
	struct kvm_stats_header header;
	char id[NAME_BYTES];
	struct entry entries[2];
	uint64_t values[4];
};

static struct error error;

static struct image good_image(void)
{
	struct image image = {
		.header = {.name_size = NAME_BYTES,
			   .num_desc = 2,
			   .id_offset = offsetof(struct image, id),
			   .desc_offset = offsetof(struct image, entries),
			   .data_offset = offsetof(struct image, values)},
		.id = "kvm-77",
		.values = {5, 1, 2, 3},
	};

	image.entries[0] = (struct entry){.flags = KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_NONE |
						   KVM_STATS_BASE_POW10,
					  .size = 1};
	strcpy(image.entries[0].name, "pages_4k");
	image.entries[1] = (struct entry){.flags = KVM_STATS_TYPE_LINEAR_HIST |
						   KVM_STATS_UNIT_SECONDS | KVM_STATS_BASE_POW2,
					  .exponent = -9,
					  .size = 3,
					  .offset = 8,
					  .bucket_size = 100};
	strcpy(image.entries[1].name, "wait_hist");
	return image;
}

static int file_of(const struct image *image, size_t bytes)
{
	int file = memfd_create("stats", MFD_CLOEXEC);

	ck_assert_int_eq(pwrite(file, image, bytes, 0), (ssize_t)bytes);
	return file;
}

START_TEST(the_schema_is_kvms)
{
	struct image image = good_image();
	int file = file_of(&image, sizeof(image));
	const struct stats_entry *entry;
	struct stats *stats;

	ck_assert_int_eq(stats_open_file(file, &stats, &error), 0);
	ck_assert_str_eq(stats_id(stats), "kvm-77");
	ck_assert_uint_eq(stats_count(stats), 2);
	entry = stats_find(stats, "pages_4k");
	ck_assert_ptr_eq(entry, stats_at(stats, 0));
	ck_assert_int_eq(entry->kind, STATS_INSTANT);
	ck_assert_uint_eq(entry->values[0], 5);
	entry = stats_find(stats, "wait_hist");
	ck_assert_str_eq(stats_kind_name(entry->kind), "linear histogram");
	ck_assert_str_eq(stats_unit_name(entry->unit), "seconds");
	ck_assert_uint_eq(entry->base, 2);
	ck_assert_int_eq(entry->exponent, -9);
	ck_assert_uint_eq(entry->count, 3);
	ck_assert_uint_eq(entry->bucket_width, 100);
	ck_assert_uint_eq(entry->values[2], 3);
	ck_assert_ptr_null(stats_find(stats, "pages"));
	image.values[3] = 33;
	ck_assert_int_eq(pwrite(file, &image, sizeof(image), 0), sizeof(image));
	ck_assert_uint_eq(entry->values[2], 3);
	ck_assert_int_eq(stats_read(stats, &error), 0);
	ck_assert_uint_eq(entry->values[2], 33);
	stats_close(stats);
}
END_TEST

static void must_refuse(const struct image *image, size_t bytes)
{
	struct stats *stats = NULL;
	unsigned int files = fail_nth_open_files();

	ck_assert_int_eq(stats_open_file(file_of(image, bytes), &stats, &error), -EPROTO);
	ck_assert_ptr_null(stats);
	ck_assert_uint_eq(fail_nth_open_files(), files);
}

START_TEST(senseless_schemas_are_refused)
{
	struct image image = good_image();

	must_refuse(&image, 0);
	must_refuse(&image, sizeof(image) - 1);
	image.header.name_size = 0;
	must_refuse(&image, sizeof(image));
	image.header.name_size = UINT32_MAX;
	must_refuse(&image, sizeof(image));
	image = good_image();
	image.header.num_desc = UINT32_MAX;
	must_refuse(&image, sizeof(image));
	image.header.num_desc = 3000;
	must_refuse(&image, sizeof(image));
	image = good_image();
	image.entries[1].offset = UINT32_MAX - 7;
	must_refuse(&image, sizeof(image));
	image.entries[1].offset = 3;
	must_refuse(&image, sizeof(image));
	image.entries[1].offset = 8;
	image.entries[1].size = 0;
	must_refuse(&image, sizeof(image));
	image.entries[1].size = 4;
	must_refuse(&image, sizeof(image));
	image = good_image();
	image.header.desc_offset = UINT32_MAX;
	must_refuse(&image, sizeof(image));
}
END_TEST

START_TEST(names_without_end_are_ended)
{
	struct image image = good_image();
	struct stats *stats;

	memset(image.entries[0].name, 'x', NAME_BYTES);
	memset(image.id, 'y', NAME_BYTES);
	ck_assert_int_eq(stats_open_file(file_of(&image, sizeof(image)), &stats, &error), 0);
	ck_assert_uint_eq(strlen(stats_at(stats, 0)->name), NAME_BYTES);
	ck_assert_uint_eq(strlen(stats_id(stats)), NAME_BYTES);
	stats_close(stats);
}
END_TEST

START_TEST(random_damage_does_no_harm)
{
	uint64_t random = random_seed("stats");
	struct stats *stats;
	int i, changes;

	for (i = 0; i < 2000; i++) {
		struct image image = good_image();

		for (changes = 0; changes < 3; changes++)
			((uint8_t *)&image)[random_below(&random, sizeof(image))] =
				(uint8_t)random_next(&random);
		if (stats_open_file(file_of(&image, sizeof(image)), &stats, &error) == 0)
			stats_close(stats);
	}
}
END_TEST

START_TEST(every_failing_call_leaves_nothing_behind)
{
	struct image image = good_image();
	unsigned int files = fail_nth_open_files(), n;
	struct stats *stats;
	int file, err;

	for (n = 1;; n++) {
		file = file_of(&image, sizeof(image));
		fail_nth_arm(n);
		err = stats_open_file(file, &stats, &error);
		if (!fail_nth_disarm())
			break;
		ck_assert_int_eq(err, -ENOMEM);
		ck_assert_uint_eq(fail_nth_open_files(), files);
	}
	ck_assert_int_eq(err, 0);
	ck_assert_uint_eq(n, 6);
	stats_close(stats);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stats");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, the_schema_is_kvms);
	tcase_add_test(tcase, senseless_schemas_are_refused);
	tcase_add_test(tcase, names_without_end_are_ended);
	tcase_add_test(tcase, random_damage_does_no_harm);
	tcase_add_test(tcase, every_failing_call_leaves_nothing_behind);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
