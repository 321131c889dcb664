/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Searching by halving what is in order. */
#ifndef LIB_SEARCH_H
#define LIB_SEARCH_H

#include <stddef.h>

/*
 * The first @i below @count for which @holds, an expression in @i, is true; @count where it is true
 * for none. @holds must be false up to some place and true from there on. O(log @count).
 */
#define FIRST_WHERE(i, count, holds)                                \
	({                                                          \
		size_t low_ = 0, high_ = (count);                   \
                                                                    \
		while (low_ < high_) {                              \
			const size_t i = low_ + (high_ - low_) / 2; \
                                                                    \
			if (holds)                                  \
				high_ = i;                          \
			else                                        \
				low_ = i + 1;                       \
		}                                                   \
		low_;                                               \
	})

#endif
