/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes the n-th call to the outside fail: memory, mappings, files. A test program that links
 * fail_nth.c with the --wrap options of FAIL_NTH_LINK_FLAGS (Makefile.am) arms it for n = 1, 2, ...
 * until an operation passes without reaching its n-th call.
 */
#ifndef TESTS_EPT_FAIL_NTH_H
#define TESTS_EPT_FAIL_NTH_H

#include <stdbool.h>

/* The @n-th call from now fails, once. */
void fail_nth_arm(unsigned int n);

/* Ends it. Returns whether the armed call was reached. */
bool fail_nth_disarm(void);

/* Counts one call; true when it is the one to fail. For wrappers. */
bool fail_nth_step(void);

/* Sums that a leak moves: this process's address space in bytes, and its open files. */
unsigned long long fail_nth_mapped_bytes(void);
unsigned int fail_nth_open_files(void);

#endif
