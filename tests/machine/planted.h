/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's image with a fault planted: instructions of one of its functions made others, as if
 * its source had not said them.
 */
#ifndef TESTS_MACHINE_PLANTED_H
#define TESTS_MACHINE_PLANTED_H

#include <Zydis/Zydis.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mm/vmap.h"
#include "tests/harness.h"
#include "vmm/image/image.h"

struct planted {
	struct image image;
	uint8_t *file; /* its bytes, changed */
};

static inline void planted_open(struct planted *planted)
{
	struct error error;

	ck_assert_msg(image_load_builtin(&planted->image, &error) == 0, "%s", error.text);
	planted->file = malloc(planted->image.size_bytes);
	ck_assert_ptr_nonnull(planted->file);
	memcpy(planted->file, planted->image.bytes, planted->image.size_bytes);
}

static inline void planted_close(struct planted *planted)
{
	free(planted->file);
	image_unload(&planted->image);
}

/* Writes the file, whose name becomes @path. The caller removes it. */
static inline void planted_save(const struct planted *planted, char *path, size_t bytes)
{
	FILE *out;

	snprintf(path, bytes, "planted.%d.image", (int)getpid());
	out = fopen(path, "w");
	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(planted->file, 1, planted->image.size_bytes, out),
			  planted->image.size_bytes);
	ck_assert_int_eq(fclose(out), 0);
}

/* Whether the instruction is one to change; then @bytes are what stands there instead. */
typedef bool (*plant_fn)(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
			 uint8_t *bytes);

/* Changes what is to be in @function: something is. */
static inline void plant(struct planted *planted, const char *function, plant_fn change)
{
	const struct image_symbol *symbol = image_symbol_named(&planted->image, function);
	const struct image_segment *segment;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;
	unsigned int changed = 0;
	uint8_t *code;

	ck_assert_msg(symbol != NULL, "no function %s", function);
	segment = image_segment_find(&planted->image, gva_make(symbol->start));
	code = planted->file + (segment->bytes - planted->image.bytes) +
	       (symbol->start - segment->start.value);
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (uint64_t at = 0; at < symbol->end - symbol->start; at += insn.length) {
		ck_assert(ZYAN_SUCCESS(ZydisDecoderDecodeFull(
			&decoder, code + at, symbol->end - symbol->start - at, &insn, operands)));
		changed += change(&insn, operands, code + at);
	}
	ck_assert_msg(changed > 0, "nothing to change in %s", function);
}

/* A lock is taken without a look at whether it is free, nor a mark that it is taken. */
static inline bool no_lock(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
			   uint8_t *bytes)
{
	uint8_t reg = insn->raw.modrm.reg;

	if (insn->mnemonic != ZYDIS_MNEMONIC_XCHG || insn->operand_count_visible != 2 ||
	    (operands[0].type != ZYDIS_OPERAND_TYPE_MEMORY &&
	     operands[1].type != ZYDIS_OPERAND_TYPE_MEMORY) ||
	    (insn->raw.rex.R))
		return false;
	memset(bytes, 0x90, insn->length);
	bytes[0] = 0x31; /* xor reg, reg */
	bytes[1] = (uint8_t)(0xc0 | reg << 3 | reg);
	return true;
}

static inline bool no_flush(const ZydisDecodedInstruction *insn,
			    const ZydisDecodedOperand *operands, uint8_t *bytes)
{
	bool writes_cr = insn->mnemonic == ZYDIS_MNEMONIC_MOV &&
			 operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
			 operands[0].reg.value == ZYDIS_REGISTER_CR4;

	if (insn->mnemonic != ZYDIS_MNEMONIC_INVLPG && !writes_cr)
		return false;
	memset(bytes, 0x90, insn->length);
	return true;
}

/* A loop ends after its first turn. */
static inline bool no_loop(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
			   uint8_t *bytes)
{
	if (insn->meta.category != ZYDIS_CATEGORY_COND_BR || operands[0].imm.value.s >= 0)
		return false;
	memset(bytes, 0x90, insn->length);
	return true;
}

/* Where an area ends is where it starts. */
static inline bool no_end(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
			  uint8_t *bytes)
{
	(void)operands;
	if (insn->raw.disp.size != 8 ||
	    insn->raw.disp.value != (int)offsetof(struct vmap_area, va_end))
		return false;
	bytes[insn->raw.disp.offset] = offsetof(struct vmap_area, va_start);
	return true;
}

/* The function does nothing. */
static inline bool no_function(const ZydisDecodedInstruction *insn,
			       const ZydisDecodedOperand *operands, uint8_t *bytes)
{
	(void)insn;
	(void)operands;
	bytes[0] = 0xc3; /* ret */
	return true;
}

#endif
