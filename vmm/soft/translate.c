/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what Zydis says of an instruction to an op: the row of the tables of forms that has its
 * mnemonic and the kinds of its operands, and the operands in the op's few bytes.
 *
 * Zydis decodes as Intel's processors do (near branches are of 64 bits whatever the prefixes). It
 * has no state, so one decoder serves everybody.
 */
#include <pthread.h>
#include <string.h>

#include "vmm/soft/decode.h"
#include "vmm/soft/exec.h"

/* Forms that follow one another by mnemonic: indices in @rows, 0 for none. */
#define ROWS_MAX 1024
static struct {
	const struct soft_form *rows[ROWS_MAX];
	uint16_t next[ROWS_MAX];
	uint16_t first[ZYDIS_MNEMONIC_MAX_VALUE + 1];
	ZydisDecoder decoder;
	pthread_once_t once;
} tables = {.once = PTHREAD_ONCE_INIT};

static const struct soft_form *const forms[] = {
	soft_forms_alu,    soft_forms_move,     soft_forms_shift,   soft_forms_bits,
	soft_forms_string, soft_forms_multiply, soft_forms_branch,  soft_forms_stack,
	soft_forms_port,   soft_forms_system,   soft_forms_segment, soft_forms_far,
	soft_forms_other,
};

static void make_tables(void)
{
	size_t count = 1;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		for (const struct soft_form *row = forms[i]; row->mnemonic; row++, count++) {
			if (count == ROWS_MAX)
				__builtin_trap();
			tables.rows[count] = row;
			tables.next[count] = tables.first[row->mnemonic];
			tables.first[row->mnemonic] = count;
		}
	ZydisDecoderInit(&tables.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

/* What is being translated. */
struct insn {
	ZydisDecodedInstruction info;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static enum soft_kind kind_of(const ZydisDecodedOperand *operand)
{
	switch (operand->type) {
	case ZYDIS_OPERAND_TYPE_MEMORY:
		return SOFT_KIND_M;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		return SOFT_KIND_I;
	case ZYDIS_OPERAND_TYPE_REGISTER:
		break;
	default:
		return SOFT_KIND_OTHER;
	}
	switch (ZydisRegisterGetClass(operand->reg.value)) {
	case ZYDIS_REGCLASS_GPR8:
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
		return SOFT_KIND_R;
	case ZYDIS_REGCLASS_SEGMENT:
		return SOFT_KIND_S;
	case ZYDIS_REGCLASS_CONTROL:
		return SOFT_KIND_C;
	case ZYDIS_REGCLASS_DEBUG:
		return SOFT_KIND_D;
	default:
		return SOFT_KIND_OTHER;
	}
}

static uint16_t shape_of(const struct insn *insn)
{
	uint16_t shape = 0;

	for (unsigned int i = 0; i < insn->info.operand_count_visible && i < 4; i++)
		shape |= kind_of(&insn->operands[i]) << 4 * i;
	return shape;
}

static enum soft_form_how how_of(const struct insn *insn)
{
	ZydisInstructionAttributes attributes = insn->info.attributes;

	if (insn->info.mnemonic == ZYDIS_MNEMONIC_XCHG)
		return SOFT_PLAIN; /* locked with and without the prefix */
	if (attributes & ZYDIS_ATTRIB_HAS_LOCK)
		return SOFT_LOCK;
	if (attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE))
		return SOFT_REP;
	if (attributes & ZYDIS_ATTRIB_HAS_REPNE)
		return SOFT_REPNE;
	if (insn->info.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return SOFT_FAR;
	switch (insn->info.mnemonic) {
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
	case ZYDIS_MNEMONIC_CRC32:
		return SOFT_FROM8 + __builtin_ctz(insn->operands[1].size / 8 | 8);
	default:
		return SOFT_PLAIN;
	}
}

/* 0 to 3 for 8 to 64 bits. */
static unsigned int width_of(const struct insn *insn)
{
	unsigned int bits = insn->info.operand_width;
	enum soft_kind kind = SOFT_KIND_NONE;

	if (insn->info.operand_count_visible)
		kind = kind_of(&insn->operands[0]);
	if ((kind == SOFT_KIND_R || kind == SOFT_KIND_M) && insn->operands[0].size <= 64)
		bits = insn->operands[0].size;
	/* A far pointer is its offset and two bytes. */
	if (insn->info.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		bits = insn->info.operand_width;
	/* Ports: OUT names the port first. */
	if (insn->info.mnemonic == ZYDIS_MNEMONIC_OUT)
		bits = insn->operands[1].size;
	return bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3;
}

static const struct soft_form *find_form(const struct insn *insn)
{
	uint16_t shape = shape_of(insn);
	enum soft_form_how how = how_of(insn);

	for (uint16_t at = tables.first[insn->info.mnemonic]; at; at = tables.next[at])
		if ((tables.rows[at]->shape == shape || tables.rows[at]->shape == SOFT_SHAPE_ANY) &&
		    tables.rows[at]->how == how && tables.rows[at]->run[width_of(insn)])
			return tables.rows[at];
	return NULL;
}

/* A register's number, or for operands the offset of its bytes in cpu->regs. */
static uint8_t number_of(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	return whole == ZYDIS_REGISTER_NONE ? ZydisRegisterGetId(reg) : ZydisRegisterGetId(whole);
}

static uint8_t offset_of(ZydisRegister reg)
{
	bool high = reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;

	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR8:
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
		return number_of(reg) * 8 + high;
	default:
		return ZydisRegisterGetId(reg);
	}
}

static uint8_t slot_of(ZydisRegister reg)
{
	if (reg == ZYDIS_REGISTER_NONE)
		return SOFT_ZERO;
	if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
		return SOFT_PAGE;
	return number_of(reg);
}

/* FS and GS are all that add anything in long mode: enum soft_segment, or 0. */
static uint8_t segment_of(const struct insn *insn)
{
	if (insn->info.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS)
		return SOFT_FS;
	return insn->info.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS ? SOFT_GS : 0;
}

/*
 * Writes the memory operand's address into @op, or, where there is more to it than fits, into an op
 * of its own, @before. Returns whether it did that.
 */
static bool put_address(const struct insn *insn, const ZydisDecodedOperand *operand,
			struct soft_op *op, struct soft_op *before)
{
	const ZydisDecodedOperandMem *mem = &operand->mem;
	bool agen = mem->type == ZYDIS_MEMOP_TYPE_AGEN;
	uint8_t segment = agen ? 0 : segment_of(insn);
	bool narrow = insn->info.address_width == 32;
	int64_t disp = mem->disp.has_displacement ? mem->disp.value : 0;
	struct soft_op address = {.base = slot_of(mem->base), .index = slot_of(mem->index)};

	if (address.base == SOFT_PAGE)
		disp += op->at + op->length;
	/* POP works its address out with RSP as it is afterwards. */
	if (address.base == SOFT_RSP && insn->info.mnemonic == ZYDIS_MNEMONIC_POP)
		disp += operand->size / 8;
	if (mem->index != ZYDIS_REGISTER_NONE)
		address.scale = __builtin_ctz(mem->scale | 8);
	if (!segment && !narrow && disp == (int32_t)disp) {
		op->base = address.base;
		op->index = address.index;
		op->scale = address.scale;
		op->disp = disp;
		return false;
	}
	*before = address;
	before->run = narrow ? soft_do_address32 : soft_do_address;
	before->a = segment;
	before->imm = disp;
	before->at = op->at;
	before->length = op->length;
	op->base = SOFT_ADDRESS;
	op->index = SOFT_ZERO;
	return true;
}

/* Register operands go to a and b in their order, an immediate to imm, a second one to disp. */
static bool put_operands(const struct insn *insn, struct soft_op *op, struct soft_op *before)
{
	unsigned int registers = 0, immediates = 0;
	bool own = false;

	for (unsigned int i = 0; i < insn->info.operand_count_visible; i++) {
		const ZydisDecodedOperand *operand = &insn->operands[i];

		switch (operand->type) {
		case ZYDIS_OPERAND_TYPE_MEMORY:
			own = put_address(insn, operand, op, before);
			break;
		case ZYDIS_OPERAND_TYPE_IMMEDIATE:
			if (immediates++ || operand->imm.is_relative)
				op->disp = operand->imm.value.s;
			else
				op->imm = operand->imm.value.u;
			break;
		case ZYDIS_OPERAND_TYPE_REGISTER:
			if (registers++ == 0)
				op->a = offset_of(operand->reg.value);
			else if (registers == 2)
				op->b = offset_of(operand->reg.value);
			else
				op->scale = offset_of(operand->reg.value);
			break;
		default:
			break;
		}
	}
	return own;
}

/*
 * What instructions do not say of themselves: a segment for strings, 32-bit counts and addresses,
 * and that the stack is what they may fault on.
 */
static void put_implicit(const struct insn *insn, struct soft_op *op)
{
	op->a = segment_of(insn);
	op->b = insn->info.address_width == 32;
	for (unsigned int i = insn->info.operand_count_visible; i < insn->info.operand_count; i++)
		if (insn->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    insn->operands[i].mem.segment == ZYDIS_REGISTER_SS)
			op->base = SOFT_RSP;
}

static unsigned int put_failure(ZyanStatus status, size_t size, struct soft_op *op, bool *ends_out)
{
	*ends_out = true;
	op->length = 1;
	if (status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG ||
	    (status == ZYDIS_STATUS_NO_MORE_DATA && size >= ZYDIS_MAX_INSTRUCTION_LENGTH))
		op->run = soft_do_too_long;
	else if (status == ZYDIS_STATUS_NO_MORE_DATA)
		return 0;
	else
		op->run = soft_do_invalid;
	return 1;
}

unsigned int soft_translate(const uint8_t *bytes, size_t size, uint16_t at,
			    struct soft_op ops_out[2], bool *ends_out)
{
	struct insn insn;
	const struct soft_form *form;
	struct soft_op op = {.at = at, .index = SOFT_ZERO, .base = SOFT_ZERO}, before;
	ZyanStatus status;

	pthread_once(&tables.once, make_tables);
	if (size > ZYDIS_MAX_INSTRUCTION_LENGTH)
		size = ZYDIS_MAX_INSTRUCTION_LENGTH;
	status = ZydisDecoderDecodeFull(&tables.decoder, bytes, size, &insn.info, insn.operands);
	if (!ZYAN_SUCCESS(status)) {
		ops_out[0] = op;
		return put_failure(status, size, &ops_out[0], ends_out);
	}
	op.length = insn.info.length;
	form = find_form(&insn);
	if (!form) {
		op.run = soft_do_unknown;
		*ends_out = true;
		ops_out[0] = op;
		return 1;
	}
	*ends_out = form->ends;
	op.run = form->run[width_of(&insn)];
	put_implicit(&insn, &op);
	if (!put_operands(&insn, &op, &before)) {
		ops_out[0] = op;
		return 1;
	}
	ops_out[0] = before;
	ops_out[1] = op;
	return 2;
}
