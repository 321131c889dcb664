/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The four functions of the C library that the core may use, as C has them. In the guest they are
 * mm/string.c; under test on the host they are libc's own.
 */
#ifndef MM_STRING_H
#define MM_STRING_H

#include <stddef.h>

void *memcpy(void *destination, const void *source, size_t bytes);
void *memset(void *destination, int value, size_t bytes);
void *memmove(void *destination, const void *source, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes);

#endif
