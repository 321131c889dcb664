/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The four memory functions a freestanding compiler may call, for the guest alone: the host has
 * libc's. String instructions move eight bytes an iteration, and an iteration is what an emulated
 * CPL 0 pays for. The direction flag is clear, as the System V ABI has it.
 */
#include "mm/string.h"

#include <stdint.h>

void *memcpy(void *destination, const void *source, size_t bytes)
{
	void *to = destination;
	size_t words = bytes / 8, tail = bytes % 8;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(source), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(source), "+c"(tail) : : "memory");
	return destination;
}

void *memset(void *destination, int value, size_t bytes)
{
	void *to = destination;
	size_t words = bytes / 8, tail = bytes % 8;
	uint64_t pattern = (uint8_t)value * 0x0101010101010101ull;

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(tail) : "a"(pattern) : "memory");
	return destination;
}

/* Copies from the last byte down: a destination above an overlapping source. */
static void copy_down(void *destination, const void *source, size_t bytes)
{
	uint8_t *to = (uint8_t *)destination + bytes - 1;
	const uint8_t *from = (const uint8_t *)source + bytes - 1;

	__asm__ volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

void *memmove(void *destination, const void *source, size_t bytes)
{
	if ((uintptr_t)destination - (uintptr_t)source >= bytes)
		return memcpy(destination, source, bytes);
	copy_down(destination, source, bytes);
	return destination;
}

int memcmp(const void *left, const void *right, size_t bytes)
{
	const uint8_t *a = left, *b = right;

	for (size_t i = 0; i < bytes; i++) {
		if (a[i] != b[i])
			return a[i] - b[i];
	}
	return 0;
}
