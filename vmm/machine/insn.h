/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which memory an instruction touches: of a vCPU that stopped at an instruction, at which linear
 * addresses it loads and stores. Gathers, scatters and the state XSAVE leaves out are not told
 * apart; nothing is said of bytes that are no whole instruction.
 *
 * Source: Intel SDM vol. 2 for what is explicit and implicit in each instruction.
 */
#ifndef VMM_MACHINE_INSN_H
#define VMM_MACHINE_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/regs.h"

struct insn_state {
	uint64_t regs[NR_REGS];
	uint64_t fs_base, gs_base;
};

struct insn_access {
	uint64_t address;
	bool write; /* stores, or loads and stores */
	bool read;  /* loads, or loads and stores */
	uint32_t size_bytes;
};

/* What is beyond these is not told: two operands and the stack. */
#define INSN_ACCESSES_MAX 3

/*
 * The accesses of the instruction in @code, of which @size bytes are there (15 are enough, as the
 * processor takes no more), before it is executed in @state: what its text names before the stack
 * and other implicit operands, in each the loads first. Of a repeated string instruction those of
 * the step at hand. Returns how many: 0 for one without.
 */
size_t insn_accesses(const uint8_t *code, size_t size, const struct insn_state *state,
		     struct insn_access accesses_out[INSN_ACCESSES_MAX]);

#define INSN_TEXT_BYTES 96
#define INSN_BYTES_MAX  15

/*
 * The instruction in @code, which lies at @address, in Intel's syntax; addresses it names are
 * absolute. Returns its length; 0 where the bytes are no whole instruction, @text then being empty.
 */
size_t insn_text(const uint8_t *code, size_t size, uint64_t address, char text[INSN_TEXT_BYTES]);

#endif
