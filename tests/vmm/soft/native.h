/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An instruction carried out by this host's own processor, in this process: registers and flags
 * loaded, the instruction, registers and flags stored. Code and data lie at fixed low addresses, so
 * that the soft engine's processor can run the same bytes at the same place.
 */
#ifndef TESTS_VMM_SOFT_NATIVE_H
#define TESTS_VMM_SOFT_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#define NATIVE_DATA       0x200000u
#define NATIVE_DATA_BYTES 0x2000u
#define NATIVE_CODE       0x300000u

struct native_state {
	uint64_t regs[16]; /* as instructions number them */
	uint64_t rflags;
};

/* Maps code and data, takes the signals. Exits the process when it cannot. */
void native_setup(void);

/* Where the instruction will be. */
uint64_t native_rip(void);

/*
 * Runs @bytes, which fall through to their end, with *@state. Returns 0, or the signal that it got
 * instead of an end; *@state is as it was then. */
int native_run(const uint8_t *bytes, size_t size, struct native_state *state);

#endif
