/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files for tests of readers: a text becomes a file in a directory of the test's own. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The path of the file last written; a test uses one at a time. */
static char scratch_path[64];

static inline const char *scratch_write_bytes(const void *bytes, size_t size)
{
	int fd;
	FILE *file;

	snprintf(scratch_path, sizeof(scratch_path), "%s/nestbox-test-XXXXXX", P_tmpdir);
	fd = mkstemp(scratch_path);
	ck_assert_int_ge(fd, 0);
	file = fdopen(fd, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
	return scratch_path;
}

static inline const char *scratch_write(const char *text)
{
	return scratch_write_bytes(text, strlen(text));
}

static inline void scratch_remove(void)
{
	unlink(scratch_path);
}

/* The error is "PATH:LINE: ..." (no line when @line is 0) and says @what. */
static inline void assert_error(const char *error, const char *path, unsigned long line,
				const char *what)
{
	char prefix[640];

	if (line)
		snprintf(prefix, sizeof(prefix), "%s:%lu: ", path, line);
	else
		snprintf(prefix, sizeof(prefix), "%s: ", path);
	ck_assert_msg(!strncmp(error, prefix, strlen(prefix)), "error \"%s\" is not at \"%s\"",
		      error, prefix);
	ck_assert_msg(strstr(error, what) != NULL, "error \"%s\" does not say \"%s\"", error, what);
}

#endif
