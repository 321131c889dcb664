/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A processor over an array of bytes: what the tests of vmm/soft/'s processor run it in. Linear
 * addresses [0, bytes) are the array; pages of it may be made read-only, supervisor-only, absent,
 * not to be executed, MMIO, or such that each access is told of.
 */
#ifndef TESTS_VMM_SOFT_BARE_H
#define TESTS_VMM_SOFT_BARE_H

#include "vmm/soft/cpu.h"

#define BARE_ABSENT     1u
#define BARE_READ_ONLY  2u
#define BARE_SUPERVISOR 4u
#define BARE_NO_EXECUTE 8u
#define BARE_MMIO       16u
#define BARE_CALL       32u

#define BARE_PAGES_MAX 4096

/* Where things are: the tables of bare_tables(), each in a page of its own. */
#define BARE_GDT      0x1000
#define BARE_IDT      0x2000
#define BARE_TSS      0x3000
#define BARE_HANDLERS 0x4000 /* of vector v: a HLT at BARE_HANDLERS + 16 * v */
#define BARE_STACK    0x8000 /* where RSP begins, downwards */
#define BARE_RSP0     0xa000
#define BARE_IST1     0xc000
#define BARE_CODE     0x10000
#define BARE_DATA     0x20000

#define BARE_KERNEL_CS 0x08
#define BARE_KERNEL_SS 0x10
#define BARE_USER_SS   0x1b
#define BARE_USER_CS   0x23
#define BARE_TR        0x28

struct bare {
	struct soft_cpu *cpu;
	struct soft_code *code;
	uint8_t *memory;
	size_t bytes;
	uint8_t pages[BARE_PAGES_MAX]; /* BARE_ flags */
	int interrupt;                 /* to be taken once, or -1 */
	unsigned int fills, calls, flushes;
	uint64_t last_call;
	size_t last_call_bytes;
	enum soft_access last_access;
};

/* Of @bytes, in long mode at CPL 0 with flat segments; exits the test when there is no memory. */
struct bare *bare_new(size_t bytes);
void bare_free(struct bare *bare);

/* A GDT, an IDT of interrupt gates to handlers that halt, a TSS. */
void bare_tables(struct bare *bare);

/* Page flags, from now on. */
void bare_set_page(struct bare *bare, uint64_t address, uint8_t flags);

/* Puts code somewhere and RIP to it. */
void bare_code(struct bare *bare, uint64_t address, const void *code, size_t bytes);

/* CPL 3 with flat segments. */
void bare_user(struct bare *bare);

uint64_t bare_word(const struct bare *bare, uint64_t address);

#endif
