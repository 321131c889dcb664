/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which memory an instruction touches: as much of x86-64's encoding as it takes to say, of a vCPU
 * that stopped at an instruction, at which linear addresses it loads and stores. For the general
 * instructions a kernel is compiled to; what it does not know it says nothing of.
 *
 * Source: Intel SDM vol. 2, chapter 2 (format) and appendix A (opcode maps).
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
};

/* No instruction known here has more than a memory operand and the stack. */
#define INSN_ACCESSES_MAX 3

/*
 * The accesses of the instruction in @code, of which @size bytes are there (15 are enough), before
 * it is executed in @state. Returns how many: 0 for one without, or one that is not known.
 */
size_t insn_accesses(const uint8_t *code, size_t size, const struct insn_state *state,
		     struct insn_access accesses_out[INSN_ACCESSES_MAX]);

#endif
