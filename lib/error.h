/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words that go with a -errno: one sentence on what could not be done and why, and what the
 * reader can do about it. Every function of ept/ that can fail for a reason the caller cannot
 * name takes a `struct error *error` as its last parameter, which may be NULL; it is written
 * only when the function fails.
 */
#ifndef LIB_ERROR_H
#define LIB_ERROR_H

#include <stddef.h>

struct error {
	char text[256];
};

/*
 * Writes the text (cut at 255 bytes) and returns @code, a -errno, so that a failure is reported
 * and returned in one statement. @error may be NULL.
 */
int error_set(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
