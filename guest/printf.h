/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Formatting of text: the part of printf that the core's messages use.
 */
#ifndef GUEST_PRINTF_H
#define GUEST_PRINTF_H

#include <stdarg.h>

#include "mm/types.h"

/*
 * Writes at most @size bytes to @buffer, without a terminator, and returns how many it wrote;
 * what does not fit is cut off. Conversions: %s (NULL is "(null)"), %c, %p (0x and hexadecimal
 * digits), %d %i %u %x %X with no length, l or ll, and %%. A width pads with blanks on the left,
 * or with zeroes if it starts with 0. Anything else is written as it stands and takes no
 * argument.
 */
u32 format_text(char *buffer, u32 size, const char *format, va_list args);

#endif
