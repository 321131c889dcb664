/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text from the guest made fit for a terminal. */
#ifndef LIB_PRINTABLE_H
#define LIB_PRINTABLE_H

/* Replaces every byte of the string @text that is not printable ASCII, in place, by '?'. */
static inline void printable(char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

#endif
