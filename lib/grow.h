/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arrays that grow by one. The room of such an array follows from its count: 16 members, or the
 * next power of two. So nobody keeps it, and an array that began as NULL may shrink and grow again.
 */
#ifndef LIB_GROW_H
#define LIB_GROW_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * Makes room for a member behind the @count that the array *@pointer (any kind of pointer; NULL
 * when it has never had one) holds. Returns 0, or -ENOMEM with nothing changed; free() frees it.
 */
static inline int grow_array(void *pointer, size_t count, size_t member_bytes)
{
	void *array, *grown;
	size_t bytes;

	if (count & (count - 1) || (count > 0 && count < 16))
		return 0;
	memcpy(&array, pointer, sizeof(array));
	if (__builtin_mul_overflow(count ? 2 * count : 16, member_bytes, &bytes))
		return -ENOMEM;
	grown = realloc(array, bytes);
	if (!grown)
		return -ENOMEM;
	memcpy(pointer, &grown, sizeof(grown));
	return 0;
}

#define GROW(array, count) grow_array(&(array), count, sizeof(*(array)))

#endif
