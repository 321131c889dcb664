/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Zydis decodes; here its memory operands become addresses, in the state before the instruction. */
#include "vmm/machine/insn.h"

#include <Zydis/Zydis.h>

struct insn {
	ZydisDecodedInstruction decoded;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	const struct insn_state *state;
};

/* All 64 bits of a general register, whatever part of it is named. */
static uint64_t reg(const struct insn *insn, ZydisRegister name)
{
	static const uint8_t places[16] = {
		REGS_RAX, REGS_RCX, REGS_RDX, REGS_RBX, REGS_RSP, REGS_RBP, REGS_RSI, REGS_RDI,
		REGS_R8,  REGS_R9,  REGS_R10, REGS_R11, REGS_R12, REGS_R13, REGS_R14, REGS_R15};

	if (name == ZYDIS_REGISTER_NONE)
		return 0;
	if (name == ZYDIS_REGISTER_RIP || name == ZYDIS_REGISTER_EIP)
		return insn->state->regs[REGS_RIP] + insn->decoded.length;
	return insn->state->regs[places[ZydisRegisterGetId(name) & 15]];
}

/* How far from its operand a bit test with the bit's number in a register reaches, in bytes. */
static uint64_t bit_offset(const struct insn *insn)
{
	const ZydisDecodedOperand *bit = &insn->operands[1];
	ZydisMnemonic mnemonic = insn->decoded.mnemonic;
	unsigned int unused = 64u - bit->size;
	int64_t number;

	if (bit->type != ZYDIS_OPERAND_TYPE_REGISTER ||
	    (mnemonic != ZYDIS_MNEMONIC_BT && mnemonic != ZYDIS_MNEMONIC_BTC &&
	     mnemonic != ZYDIS_MNEMONIC_BTR && mnemonic != ZYDIS_MNEMONIC_BTS))
		return 0;
	/* Signed, and rounded down. */
	number = (int64_t)(reg(insn, bit->reg.value) << unused) >> unused;
	return (uint64_t)(number >> __builtin_ctz(bit->size)) * (bit->size / 8);
}

/* The stack grows down before a push, and is shorter already where a pop computes its address. */
static uint64_t stack_offset(const struct insn *insn, const ZydisDecodedOperand *operand)
{
	bool hidden = operand->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;

	if (operand->mem.base != ZYDIS_REGISTER_RSP)
		return 0;
	if (hidden && operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
		return -(uint64_t)(operand->size / 8);
	return !hidden && insn->decoded.mnemonic == ZYDIS_MNEMONIC_POP ? operand->size / 8 : 0;
}

static uint64_t address_of(const struct insn *insn, const ZydisDecodedOperand *operand)
{
	const ZydisDecodedOperandMem *mem = &operand->mem;
	uint64_t address = reg(insn, mem->base) + reg(insn, mem->index) * mem->scale;

	if (mem->disp.has_displacement)
		address += (uint64_t)mem->disp.value;
	address += bit_offset(insn) + stack_offset(insn, operand);
	if (insn->decoded.address_width == 32)
		address &= UINT32_MAX;
	if (mem->segment == ZYDIS_REGISTER_FS)
		address += insn->state->fs_base;
	if (mem->segment == ZYDIS_REGISTER_GS)
		address += insn->state->gs_base;
	return address;
}

/* Instructions with an operand in memory they do not touch. */
static bool only_names_memory(const ZydisDecodedInstruction *decoded)
{
	switch (decoded->meta.category) {
	case ZYDIS_CATEGORY_NOP:
	case ZYDIS_CATEGORY_WIDENOP:
	case ZYDIS_CATEGORY_PREFETCH:
		return true;
	default:
		return decoded->mnemonic == ZYDIS_MNEMONIC_INVLPG;
	}
}

/* Takes the operands that are @hidden or not, and that are written or not. */
static size_t take(const struct insn *insn, bool hidden, bool write, size_t count,
		   struct insn_access accesses[INSN_ACCESSES_MAX])
{
	for (unsigned int i = 0; i < insn->decoded.operand_count; i++) {
		const ZydisDecodedOperand *operand = &insn->operands[i];

		if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY ||
		    operand->mem.type != ZYDIS_MEMOP_TYPE_MEM || count == INSN_ACCESSES_MAX ||
		    (operand->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN) != hidden ||
		    !!(operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != write)
			continue;
		accesses[count++] = (struct insn_access){
			.address = address_of(insn, operand),
			.write = write,
			.read = operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ,
			.size_bytes = operand->size / 8,
		};
	}
	return count;
}

size_t insn_accesses(const uint8_t *code, size_t size, const struct insn_state *state,
		     struct insn_access accesses_out[INSN_ACCESSES_MAX])
{
	struct insn insn = {.state = state};
	ZydisDecoder decoder;
	size_t count = 0;

	if (!ZYAN_SUCCESS(
		    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) ||
	    !ZYAN_SUCCESS(
		    ZydisDecoderDecodeFull(&decoder, code, size, &insn.decoded, insn.operands)) ||
	    only_names_memory(&insn.decoded))
		return 0;
	for (unsigned int pass = 0; pass < 4; pass++)
		count = take(&insn, pass & 2, pass & 1, count, accesses_out);
	return count;
}

size_t insn_text(const uint8_t *code, size_t size, uint64_t address, char text[INSN_TEXT_BYTES])
{
	struct insn insn = {.state = NULL};
	ZydisFormatter formatter;
	ZydisDecoder decoder;

	text[0] = '\0';
	if (!ZYAN_SUCCESS(
		    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) ||
	    !ZYAN_SUCCESS(
		    ZydisDecoderDecodeFull(&decoder, code, size, &insn.decoded, insn.operands)) ||
	    !ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL)) ||
	    !ZYAN_SUCCESS(ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE,
						    ZYAN_FALSE)) ||
	    !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &insn.decoded, insn.operands,
							  insn.decoded.operand_count_visible, text,
							  INSN_TEXT_BYTES, address, NULL)))
		return 0;
	return insn.decoded.length;
}
