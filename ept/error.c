/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes the words that go with a failure. */
#include <stdarg.h>
#include <stdio.h>

#include "ept/error.h"

int ept_error_set(struct ept_error *error, int code, const char *format, ...)
{
	va_list args;

	if (error) {
		va_start(args, format);
		vsnprintf(error->text, sizeof(error->text), format, args);
		va_end(args);
	}
	return code;
}
