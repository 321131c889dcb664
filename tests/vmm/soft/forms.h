/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random instances of the rows of vmm/soft/'s tables of forms: an encoding with random operands
 * (Zydis encodes), and registers and memory that suit it.
 */
#ifndef TESTS_VMM_SOFT_FORMS_H
#define TESTS_VMM_SOFT_FORMS_H

#include "tests/vmm/soft/native.h"
#include "vmm/soft/decode.h"

struct form_case {
	uint8_t bytes[ZYDIS_MAX_INSTRUCTION_LENGTH + 4];
	size_t size; /* with the instruction a branch jumps over */
	size_t insn_size;
	struct native_state state;
	uint8_t data[NATIVE_DATA_BYTES]; /* what NATIVE_DATA holds before */
	uint64_t unspecified;            /* flags the SDM leaves undefined */
	bool result_unspecified;         /* the result too */
};

/* Does it need this host to offer what it does not, or the system to be told of? */
bool form_runs_here(const struct soft_form *form);

/* The instance of width @width (0 to 3) for one step of *@random. False: not encodable. */
bool form_make(const struct soft_form *form, unsigned int width, uint64_t *random,
	       struct form_case *case_out);

#endif
