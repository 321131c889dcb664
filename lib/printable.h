/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text of a guest, a file or a client made fit for a terminal. */
#ifndef LIB_PRINTABLE_H
#define LIB_PRINTABLE_H

#include <stdbool.h>

static inline bool is_printable(char c)
{
	return c >= ' ' && c <= '~';
}

/* A byte that moves the cursor or worse; those of UTF-8 do not. */
static inline bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

/* Replaces every byte of the string @text that is not printable ASCII, in place, by '?'. */
static inline void printable(char *text)
{
	for (; *text; text++) {
		if (!is_printable(*text))
			*text = '?';
	}
}

/*
 * Replaces by '?', in place, what a terminal would obey in the string @text: control bytes but
 * those of @keep, the C1 controls of U+0080 to U+009F, and bytes that are no UTF-8, which are C1
 * controls to a terminal that knows none. All other text stays.
 */
void printable_utf8(char *text, const char *keep);

#endif
