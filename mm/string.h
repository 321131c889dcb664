/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The four functions of the C library that the core may use, as C has them, and zeroes for whole
 * words. In the guest the four are mm/string.c; under test on the host they are libc's own.
 */
#ifndef MM_STRING_H
#define MM_STRING_H

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *destination, const void *source, size_t bytes);
void *memset(void *destination, int value, size_t bytes);
void *memmove(void *destination, const void *source, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes);

/* Zeroes @nr words: one instruction for each, by whoever counts them. */
static inline void clear_words(uint64_t *words, uint64_t nr)
{
	const uint64_t zero = 0;

	__asm__ volatile("rep stosq" : "+D"(words), "+c"(nr) : "a"(zero) : "memory");
}

#endif
