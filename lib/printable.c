/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which bytes of a text are characters, and which are orders to the terminal. */
#include "lib/printable.h"

#include <stddef.h>
#include <string.h>

/* How many bytes after @first belong to it in UTF-8; 0 for those that begin nothing. */
static size_t bytes_after(unsigned char first)
{
	if (first >= 0xc2 && first <= 0xdf)
		return 1;
	if (first >= 0xe0 && first <= 0xef)
		return 2;
	return first >= 0xf0 && first <= 0xf4 ? 3 : 0;
}

/* The bytes of the character at @text that may be shown; 0: what is there may not. */
static size_t shown(const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t i, after = bytes_after(bytes[0]);

	if (bytes[0] < 0x80)
		return !is_control(text[0]);
	if (!after)
		return 0;
	for (i = 1; i <= after; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
	}
	/* C1; and what is written longer than it has to be. */
	if ((bytes[0] == 0xc2 && bytes[1] < 0xa0) || (bytes[0] == 0xe0 && bytes[1] < 0xa0) ||
	    (bytes[0] == 0xf0 && bytes[1] < 0x90))
		return 0;
	return after + 1;
}

void printable_utf8(char *text, const char *keep)
{
	size_t length;

	while (*text) {
		length = strchr(keep, *text) ? 1 : shown(text);
		if (!length)
			*text = '?';
		text += length ? length : 1;
	}
}
