/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes the words that go with a failure. */
#include <stdarg.h>
#include <stdio.h>

#include "lib/error.h"

int error_set(struct error *error, int code, const char *format, ...)
{
	va_list args;

	if (error) {
		va_start(args, format);
		vsnprintf(error->text, sizeof(error->text), format, args);
		va_end(args);
	}
	return code;
}
