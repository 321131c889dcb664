/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes of the guest-physical address space: who is told, and what a refusal leaves. */
#include "tests/ept/gpa_space_fixture.h"

/* ---- listeners ---- */

/* A listener that keeps its own list and can be told to refuse. */
struct mirror {
	struct gpa_region regions[16];
	size_t count;
	bool refuse;
	uint64_t written; /* bytes */
};

static int mirror_add(void *context, const struct gpa_region *region, struct error *out)
{
	struct mirror *mirror = context;

	if (mirror->refuse)
		return error_set(out, -EPERM, "the mirror refuses");
	mirror->regions[mirror->count++] = *region;
	return 0;
}

static int mirror_remove(void *context, const struct gpa_region *region, struct error *out)
{
	struct mirror *mirror = context;
	size_t i = 0;

	if (mirror->refuse)
		return error_set(out, -EPERM, "the mirror refuses");
	while (i < mirror->count && mirror->regions[i].id != region->id)
		i++;
	ck_assert_uint_lt(i, mirror->count);
	ck_assert_uint_eq(mirror->regions[i].start.value, region->start.value);
	ck_assert_uint_eq(mirror->regions[i].end.value, region->end.value);
	mirror->regions[i] = mirror->regions[--mirror->count];
	return 0;
}

static void mirror_wrote(void *context, gpa_t gpa, uint64_t size_bytes)
{
	((struct mirror *)context)->written += size_bytes;
}

static const struct gpa_listener_ops mirror_ops = {mirror_add, mirror_remove, mirror_wrote};

static void mirror_must_match(const struct mirror *mirror, const struct gpa_space *space)
{
	const struct gpa_region *region;
	size_t i;

	ck_assert_uint_eq(mirror->count, gpa_space_count(space));
	for (i = 0; i < mirror->count; i++) {
		region = gpa_space_find(space, mirror->regions[i].start);
		ck_assert_ptr_nonnull(region);
		ck_assert_uint_eq(region->id, mirror->regions[i].id);
		ck_assert_uint_eq(region->end.value, mirror->regions[i].end.value);
	}
}

START_TEST(a_refused_change_leaves_space_and_listeners_as_they_were)
{
	struct gpa_space *space = new_space(40);
	struct gpa_request request = {
		.name = "new", .start = gpa_make(0x100000), .size_bytes = PAGE};
	struct mirror mirrors[3] = {{.count = 0}};
	const struct gpa_region *region;
	char *host;
	int i;

	region = must_add(space, "ram", GPA_RAM, 0, 4 * PAGE);
	host = region->host;
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(gpa_space_listen(space, &mirror_ops, &mirrors[i], &error), 0);
	host[3 * PAGE] = 33;
	mirrors[_i].refuse = true;
	ck_assert_int_eq(gpa_space_add(space, &request, NULL, &error), -EPERM);
	ck_assert_str_eq(error.text, "the mirror refuses");
	ck_assert_int_eq(gpa_space_remove(space, region, &error), -EPERM);
	for (i = 0; i < 3; i++)
		mirror_must_match(&mirrors[i], space);
	ck_assert_int_eq(gpa_space_check(space, &error), 0);
	ck_assert_uint_eq(region->end.value, 4 * PAGE);
	ck_assert_int_eq(host[3 * PAGE], 33);
	mirrors[_i].refuse = false;
	ck_assert_int_eq(gpa_space_remove(space, region, &error), 0);
	for (i = 0; i < 3; i++)
		mirror_must_match(&mirrors[i], space);
	gpa_space_destroy(space);
}
END_TEST

START_TEST(a_listener_hears_of_all_there_is_and_of_writes)
{
	struct gpa_space *space = new_space(40);
	struct mirror mirror = {.count = 0}, refusing = {.refuse = true};

	must_add(space, "ram", GPA_RAM, 0, PAGE);
	must_add(space, "more", GPA_RAM, PAGE, PAGE);
	must_add(space, "rom", GPA_ROM, 2 * PAGE, PAGE);
	ck_assert_int_eq(gpa_space_listen(space, &mirror_ops, &refusing, &error), -EPERM);
	ck_assert_int_eq(gpa_space_listen(space, &mirror_ops, &mirror, &error), 0);
	mirror_must_match(&mirror, space);
	ck_assert_int_eq(gpa_space_write(space, gpa_make(PAGE - 2), "four", 4), 0);
	ck_assert_uint_eq(mirror.written, 4);
	gpa_space_note_write(space, gpa_make(0), 2 * PAGE);
	ck_assert_uint_eq(mirror.written, 4 + 2 * PAGE);
	ck_assert_int_eq(gpa_space_write(space, gpa_make(2 * PAGE), "x", 1), -EROFS);
	ck_assert_uint_eq(mirror.written, 4 + 2 * PAGE);
	ck_assert_int_eq(gpa_space_unlisten(space, &mirror, &error), 0);
	ck_assert_uint_eq(mirror.count, 0);
	ck_assert_int_eq(gpa_space_unlisten(space, &mirror, &error), -ENOENT);
	gpa_space_destroy(space);
}
END_TEST

/* ---- the n-th failure ---- */

static const struct gpa_backing nth_backings[] = {
	{.kind = GPA_BACKING_MEMFD, .thp = true},
	{.kind = GPA_BACKING_ANON, .thp = true},
	{.kind = GPA_BACKING_MEMFD, .prealloc = true},
	{.kind = GPA_BACKING_FILE, .file_private = true},
};

START_TEST(every_failing_call_leaves_nothing_behind)
{
	unsigned long long mapped = fail_nth_mapped_bytes();
	int image = memfd_create("image", MFD_CLOEXEC);
	unsigned int files = fail_nth_open_files(), n;
	struct gpa_request request = {.name = "ram",
				      .start = gpa_make(0x3000),
				      .size_bytes = 16 * PAGE,
				      .backing = nth_backings[_i]};
	const struct gpa_region *region;
	struct gpa_space *space = NULL;
	int err;

	request.backing.fd = image;
	ck_assert_int_eq(ftruncate(image, 64 * PAGE), 0);
	for (n = 1;; n++) {
		fail_nth_arm(n);
		err = gpa_space_create(40, &space, &error);
		if (!err)
			err = gpa_space_add(space, &request, &region, &error);
		if (!fail_nth_disarm())
			break;
		ck_assert_int_lt(err, 0);
		gpa_space_destroy(space);
		space = NULL;
		ck_assert_uint_eq(fail_nth_open_files(), files);
		ck_assert_uint_lt(fail_nth_mapped_bytes(), mapped + GIB);
	}
	ck_assert_int_eq(err, 0);
	ck_assert_uint_gt(n, 4);
	gpa_space_destroy(space);
	close(image);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gpa_space_change");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, a_refused_change_leaves_space_and_listeners_as_they_were, 0, 3);
	tcase_add_test(tcase, a_listener_hears_of_all_there_is_and_of_writes);
	tcase_add_loop_test(tcase, every_failing_call_leaves_nothing_behind, 0, 4);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
