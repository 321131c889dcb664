/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the sources are, for tests that read files of the tree. */
#ifndef TESTS_TOP_H
#define TESTS_TOP_H

#include <stdlib.h>

/* The top of the sources: make check sets it; the default is right in a build directory of them. */
static inline const char *test_top(void)
{
	const char *top = getenv("top_srcdir");

	return top ? top : "..";
}

#endif
