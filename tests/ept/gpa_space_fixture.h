/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A space, regions in it, and refusals with words. */
#ifndef TESTS_EPT_GPA_SPACE_FIXTURE_H
#define TESTS_EPT_GPA_SPACE_FIXTURE_H

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ept/gpa_space.h"
#include "tests/harness.h"
#include "tests/ept/fail_nth.h"

#define PAGE EPT_PAGE_BYTES
#define GIB  EPT_PAGE_1G_BYTES

static struct error error;

static inline struct gpa_space *new_space(unsigned int bits)
{
	struct gpa_space *space;

	ck_assert_int_eq(gpa_space_create(bits, &space, &error), 0);
	return space;
}

static inline const struct gpa_region *must_add(struct gpa_space *space, const char *name,
						enum gpa_kind kind, uint64_t start, uint64_t size)
{
	struct gpa_request request = {
		.name = name, .kind = kind, .start = gpa_make(start), .size_bytes = size};
	const struct gpa_region *region = NULL;

	ck_assert_msg(gpa_space_add(space, &request, &region, &error) == 0, "%s", error.text);
	ck_assert_msg(gpa_space_check(space, &error) == 0, "%s", error.text);
	return region;
}

/* Adds, expects @code, expects the words in @says, and that nothing came of it. */
static inline void must_refuse(struct gpa_space *space, const struct gpa_request *request, int code,
			       const char *says)
{
	size_t count = gpa_space_count(space);
	unsigned int files = fail_nth_open_files();
	unsigned long long mapped = fail_nth_mapped_bytes();
	int err;

	error.text[0] = '\0';
	err = gpa_space_add(space, request, NULL, &error);
	ck_assert_msg(err == code, "%s: %d, not %d: %s", request->name ? request->name : "NULL",
		      err, code, error.text);
	ck_assert_msg(strstr(error.text, says) != NULL, "'%s' lacks '%s'", error.text, says);
	ck_assert_uint_eq(gpa_space_count(space), count);
	ck_assert_uint_eq(fail_nth_open_files(), files);
	ck_assert_uint_lt(fail_nth_mapped_bytes(), mapped + GIB / 2);
	ck_assert_int_eq(gpa_space_check(space, &error), 0);
}

#endif
