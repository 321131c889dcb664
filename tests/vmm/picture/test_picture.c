/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Documents, pages, figures and columns: what goes in comes out, and nothing hostile gets through.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness.h"
#include "vmm/picture/picture.h"

static char folder[] = "picture-XXXXXX", path[64];

static void make_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/out", folder);
}

static void remove_folder(void)
{
	unlink(path);
	rmdir(folder);
	memcpy(folder, "picture-XXXXXX", sizeof(folder));
}

/* What was written; static. */
static const char *written(void)
{
	static char text[1 << 20];
	FILE *file = fopen(path, "r");
	size_t bytes;

	ck_assert_ptr_nonnull(file);
	bytes = fread(text, 1, sizeof(text) - 1, file);
	text[bytes] = '\0';
	fclose(file);
	return text;
}

static json_int_t number(const json_t *section, const char *key, size_t i)
{
	return json_integer_value(json_array_get(json_object_get(section, key), i));
}

static json_t *list_of(const char *text)
{
	json_t *list = json_loads(text, 0, NULL);

	ck_assert_ptr_nonnull(list);
	return list;
}

START_TEST(areas_are_sorted_steps_with_kinds_and_callers)
{
	json_t *list = list_of(
		"[{\"start\":\"0xffffc90000010000\",\"end\":\"0xffffc90000013000\",\"line\":"
		"\"0xffffc90000010000-0xffffc90000013000   12288 f+0x1/0x2 pages=2 vmalloc N0=2\","
		"\"pages\":2},"
		"{\"start\":\"0xffffc90000000000\",\"end\":\"0xffffc90000002000\",\"line\":"
		"\"0xffffc90000000000-0xffffc90000002000    8192 vmalloc_thing+0x1/0x2 ioremap\"},"
		"{\"start\":\"0xffffc90000020000\",\"end\":\"0xffffc90000020000\",\"line\":\"\"},"
		"{\"start\":\"0xffffc90000030000\",\"end\":\"0xffffc90000031000\",\"state\":"
		"\"lazy\"}]");
	json_t *areas = picture_areas(list);

	ck_assert_str_eq(json_string_value(json_object_get(areas, "base")), "0xffffc90000000000");
	ck_assert_uint_eq(json_array_size(json_object_get(areas, "step")), 3);
	ck_assert_int_eq(number(areas, "step", 1), 16);
	ck_assert_int_eq(number(areas, "step", 2), 32);
	ck_assert_int_eq(number(areas, "pages", 1), 3);
	ck_assert_int_eq(number(areas, "mapped", 1), 2);
	/* "vmalloc_thing" is a caller and no kind. */
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(areas, "kinds"), 0)),
			 "ioremap");
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(areas, "kinds"), 2)),
			 "lazy");
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(areas, "callers"), 1)),
			 "f+0x1/0x2");
	json_decref(areas);
	json_decref(list);
}
END_TEST

/* Two areas of 600 pages, a hole of 5 between them, one of 2^30, and one that is gone. */
START_TEST(wide_holes_are_folded_and_narrow_ones_are_not)
{
	json_t *list =
		list_of("[{\"start\":4096,\"end\":2461696,\"freed\":3,\"gone\":-1,\"born\":0},"
			"{\"start\":2482176,\"end\":4939776,\"freed\":-1,\"gone\":-1,\"born\":1},"
			"{\"start\":8192000,\"end\":8196096,\"freed\":1,\"gone\":2,\"born\":0},"
			"{\"start\":4402286333952,\"end\":4402286338048,\"freed\":-1,"
			"\"gone\":-1,\"born\":0}]");
	json_t *areas = picture_areas(list);
	struct picture_places places;

	ck_assert_int_eq(picture_places(areas, &places), 0);
	ck_assert_uint_eq(places.count, 3);
	ck_assert_str_eq(places.place[0].kind, "lazy");
	ck_assert_double_eq(places.place[1].at, 605);
	ck_assert(!places.place[1].folded && places.place[2].folded);
	ck_assert_double_eq(places.place[2].at, 1205 + 1201.0 / 60);
	ck_assert_double_eq(places.length, 1206 + 1201.0 / 60);
	ck_assert_uint_eq(picture_page_at(&places, 0), 1);
	ck_assert_uint_eq(picture_page_at(&places, 606), 607);
	ck_assert_uint_eq(picture_page_at(&places, 1210), places.place[2].page);
	ck_assert_uint_eq(picture_page_at(&places, 5000), 0);
	free(places.place);
	json_decref(areas);
	json_decref(list);
}
END_TEST

START_TEST(frames_know_their_zones)
{
	json_t *list = list_of("[{\"start\":0,\"end\":8192,\"state\":\"image\",\"node\":0,\"zone\":"
			       "\"DMA\"},{\"start\":16384,\"end\":20480,\"state\":\"vmalloc\","
			       "\"node\":0,\"zone\":\"DMA\"},{\"start\":20480,\"end\":24576,"
			       "\"state\":\"image\",\"node\":1,\"zone\":\"Normal\"}]");
	json_t *frames = picture_frames(list, NULL), *zones = json_object_get(frames, "zones");

	ck_assert_uint_eq(json_array_size(zones), 2);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(zones, 0), "frames")),
			 5);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(zones, 1), "start")), 5);
	ck_assert_int_eq(number(frames, "runs", 3), 4);
	ck_assert_int_eq(number(frames, "runs", 4), 1);
	ck_assert_int_eq(number(frames, "runs", 2), number(frames, "runs", 8));
	json_decref(frames);
	json_decref(list);
}
END_TEST

/* Every value is in one bucket, which is at most 1/16 of it wide; the ranks are exact. */
START_TEST(buckets_hold_every_sample_and_are_narrow)
{
	enum { COUNT = 5000 };
	uint64_t sum = 0, seed = (uint64_t)_i + 1, *samples;
	struct latency latency = {0};
	json_t *one, *bucket;
	size_t i;

	for (i = 0; i < COUNT; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		ck_assert_int_eq(latency_add(&latency, seed >> (1 + seed % 63)), 0);
	}
	one = picture_histogram("x", "ticks", &latency);
	samples = latency.samples;
	json_array_foreach (json_object_get(one, "buckets"), i, bucket) {
		uint64_t from = (uint64_t)json_integer_value(json_array_get(bucket, 0));
		uint64_t to = (uint64_t)json_integer_value(json_array_get(bucket, 1)), inside = 0;

		for (size_t j = 0; j < COUNT; j++)
			inside += samples[j] >= from && samples[j] < to;
		ck_assert_uint_eq(inside, (uint64_t)json_integer_value(json_array_get(bucket, 2)));
		ck_assert(from < 32 ? to == from + 1 : (to - from) * 16 <= from);
		sum += inside;
	}
	ck_assert_uint_eq(sum, COUNT);
	ck_assert_int_eq(json_integer_value(json_object_get(one, "p50")),
			 (json_int_t)samples[COUNT / 2 - 1]);
	ck_assert_int_eq(json_integer_value(json_object_get(one, "max")),
			 (json_int_t)samples[COUNT - 1]);
	json_decref(one);
	latency_deinit(&latency);
	ck_assert_ptr_null(picture_histogram("x", "ticks", &latency));
}
END_TEST

START_TEST(nothing_hostile_leaves_the_data)
{
	json_t *document = picture_create("</script><script>alert(1)</script>");
	struct error error;
	const char *text;

	picture_about(document, "name", "%s", "<!--<script>\xff\x1b[31m");
	ck_assert_int_eq(picture_write_html(document, path, &error), 0);
	text = written();
	ck_assert_ptr_null(strstr(text, "alert(1)</script>"));
	ck_assert_ptr_null(strstr(text, "<!--<script>"));
	ck_assert_ptr_null(strchr(text, '\x1b'));
	ck_assert_ptr_null(strstr(text, "@DATA@"));
	json_decref(document);
}
END_TEST

START_TEST(svg_escapes_what_it_is_given)
{
	json_t *document = picture_create("a<b&\"c\x01");
	json_t *list = list_of("[{\"start\":4096,\"end\":12288,\"state\":\"<x>\"}]");
	struct error error;

	json_object_set_new(document, "areas", picture_areas(list));
	ck_assert_int_eq(picture_write_svg(document, path, &error), 0);
	ck_assert_ptr_nonnull(strstr(written(), "a&#60;b&#38;&#34;c."));
	ck_assert_ptr_null(strstr(written(), "<x>"));
	json_decref(document);
	json_decref(list);
}
END_TEST

START_TEST(columns_are_blocks_that_gnuplot_indexes)
{
	json_t *document = picture_create("x"), *list;
	static const uint64_t samples[] = {3, 3, 100};
	struct latency latency = {0};
	struct error error;

	list = list_of("[{\"start\":4096,\"end\":12288,\"line\":\"a 8192 f+1 vmap\"}]");
	json_object_set_new(document, "areas", picture_areas(list));
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(latency_add(&latency, samples[i]), 0);
	json_object_set_new(document, "latency",
			    json_pack("[o]", picture_histogram("alloc", "ticks", &latency)));
	latency_deinit(&latency);
	ck_assert_int_eq(picture_write_dat(document, path, &error), 0);
	ck_assert_str_eq(written(), "# areas: start pages kind\n0x1000 2 \"vmap\"\n\n\n"
				    "# alloc, ticks: from up-to samples\n3 4 2\n100 104 1\n\n\n");
	json_decref(document);
	json_decref(list);
}
END_TEST

START_TEST(what_cannot_be_drawn_or_written_leaves_nothing)
{
	json_t *document = picture_create("x");
	struct error error;
	struct stat status;

	ck_assert_int_eq(picture_write_svg(document, path, &error), -ENODATA);
	ck_assert_int_eq(picture_write_dat(document, path, &error), -ENODATA);
	ck_assert_int_ne(stat(path, &status), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(picture_write_html(document, path, &error), -ENXIO);
	ck_assert_ptr_nonnull(strstr(error.text, path));
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert(S_ISFIFO(status.st_mode));
	json_decref(document);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("picture");
	Suite *suite = suite_create("picture");

	tcase_add_checked_fixture(tcase, make_folder, remove_folder);
	tcase_add_test(tcase, areas_are_sorted_steps_with_kinds_and_callers);
	tcase_add_test(tcase, wide_holes_are_folded_and_narrow_ones_are_not);
	tcase_add_test(tcase, frames_know_their_zones);
	tcase_add_loop_test(tcase, buckets_hold_every_sample_and_are_narrow, 0, 4);
	tcase_add_test(tcase, nothing_hostile_leaves_the_data);
	tcase_add_test(tcase, svg_escapes_what_it_is_given);
	tcase_add_test(tcase, columns_are_blocks_that_gnuplot_indexes);
	tcase_add_test(tcase, what_cannot_be_drawn_or_written_leaves_nothing);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
