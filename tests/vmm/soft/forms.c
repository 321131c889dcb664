/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random instances of forms. */
#include "tests/vmm/soft/forms.h"

#include <cpuid.h>
#include <string.h>

#include "tests/ept/random.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

/* What a branch jumps over: LEA RAX, [RAX+1]. */
static const uint8_t jumped_over[] = {0x48, 0x8d, 0x40, 0x01};

#define MIDDLE (NATIVE_DATA + NATIVE_DATA_BYTES / 2)

static bool is_one_of(ZydisMnemonic mnemonic, const ZydisMnemonic *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == mnemonic)
			return true;
	return false;
}

#define IS_ONE_OF(mnemonic, ...)                                  \
	is_one_of(mnemonic, (const ZydisMnemonic[]){__VA_ARGS__}, \
		  sizeof((const ZydisMnemonic[]){__VA_ARGS__}) / sizeof(ZydisMnemonic))

/* Bit @bit of ECX of a leaf of CPUID: what every compiler's __builtin_cpu_supports() has is less.
 */
static bool cpuid_ecx(unsigned int leaf, unsigned int bit)
{
	unsigned int eax, ebx, ecx = 0, edx;

	return __get_cpuid(leaf, &eax, &ebx, &ecx, &edx) && ecx >> bit & 1;
}

bool form_runs_here(const struct soft_form *form)
{
	__builtin_cpu_init();
	switch (form->mnemonic) {
	case ZYDIS_MNEMONIC_POPCNT:
		return __builtin_cpu_supports("popcnt");
	case ZYDIS_MNEMONIC_LZCNT:
		return cpuid_ecx(0x80000001, 5);
	case ZYDIS_MNEMONIC_TZCNT:
		return __builtin_cpu_supports("bmi");
	case ZYDIS_MNEMONIC_MOVBE:
		return cpuid_ecx(1, 22);
	case ZYDIS_MNEMONIC_CRC32:
		return __builtin_cpu_supports("sse4.2");
	case ZYDIS_MNEMONIC_MOVSXD:
		/* From 16 bits in memory: Zydis decodes it but does not encode it (test_cpu does).
		 */
		return form->shape != SOFT_SHAPE(R, M, NONE) || form->how != SOFT_FROM16;
	default:
		return form->shape != SOFT_SHAPE(S, NONE, NONE);
	}
}

/* Numbers at which arithmetic goes wrong, and any. */
static uint64_t random_value(uint64_t *random)
{
	static const uint64_t edges[] = {
		0,          1,         2,         0x7f,       0x80,          0xff,       0x100,
		0x7fff,     0x8000,    0xffff,    0x10000,    0x7fffffff,    0x80000000, 0xffffffff,
		1ull << 32, INT64_MAX, INT64_MIN, UINT64_MAX, UINT64_MAX - 1};
	uint64_t value = random_next(random);

	switch (random_below(random, 4)) {
	case 0:
		return edges[value % (sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return value >> random_below(random, 64);
	default:
		return value;
	}
}

static ZydisRegister general(unsigned int number, unsigned int bits)
{
	switch (bits) {
	case 16:
		return ZYDIS_REGISTER_AX + number;
	case 32:
		return ZYDIS_REGISTER_EAX + number;
	default:
		return ZYDIS_REGISTER_RAX + number;
	}
}

/* Of 8 bits there are also AH to BH. */
static ZydisRegister random_register(uint64_t *random, unsigned int bits)
{
	unsigned int number = random_below(random, 16);

	if (bits == 8)
		return ZYDIS_REGISTER_AL + random_below(random, 20);
	return general(number, bits);
}

/* How many bits the operand at @at has. */
static unsigned int operand_bits(const struct soft_form *form, unsigned int width, unsigned int at)
{
	static const ZydisMnemonic shifts[] = {
		ZYDIS_MNEMONIC_SHL, ZYDIS_MNEMONIC_SHR, ZYDIS_MNEMONIC_SAR, ZYDIS_MNEMONIC_ROL,
		ZYDIS_MNEMONIC_ROR, ZYDIS_MNEMONIC_RCL, ZYDIS_MNEMONIC_RCR};

	if (at == 1 && form->how >= SOFT_FROM8)
		return 8u << (form->how - SOFT_FROM8);
	if (at == 1 && is_one_of(form->mnemonic, shifts, 7))
		return 8;
	if (form->mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B)
		return 128;
	if (form->mnemonic == ZYDIS_MNEMONIC_CRC32)
		return form->how == SOFT_FROM64 ? 64 : 32;
	/* Handlers that are the same for all widths are so because there is one. */
	if (form->run[0] == form->run[3] && (form->shape & 15) != SOFT_KIND_I &&
	    form->how == SOFT_PLAIN && form->mnemonic != ZYDIS_MNEMONIC_CMPXCHG8B &&
	    !IS_ONE_OF(form->mnemonic, ZYDIS_MNEMONIC_JMP, ZYDIS_MNEMONIC_CALL))
		return 8;
	return 8u << width;
}

static uint64_t random_immediate(uint64_t *random, const struct soft_form *form, unsigned int bits)
{
	uint64_t value = random_value(random);

	if (form->mnemonic == ZYDIS_MNEMONIC_ENTER)
		return value % 24;
	if (form->mnemonic == ZYDIS_MNEMONIC_RET)
		return value % 256;
	if (bits == 64 && form->mnemonic == ZYDIS_MNEMONIC_MOV && random_below(random, 2))
		return value;
	switch (random_below(random, 2) ? 8 : bits) {
	case 8:
		return (uint64_t)(int8_t)value;
	case 16:
		return (uint64_t)(int16_t)value;
	default:
		return (uint64_t)(int32_t)value;
	}
}

/* Somewhere in the data, now and then across its two pages. */
static uint64_t random_address(uint64_t *random)
{
	uint64_t at =
		random_below(random, 2) ? random_below(random, 2048) : random_below(random, 48);

	return MIDDLE + at - (random_below(random, 2) ? 24 : 1024);
}

/* Base, index and displacement that add up to @address; the registers are set to it. */
static void put_memory(uint64_t *random, uint64_t address, ZydisEncoderOperand *operand,
		       uint64_t regs[16])
{
	unsigned int base = random_below(random, 16), index = random_below(random, 16);
	unsigned int scale = random_below(random, 4);
	int64_t disp = random_below(random, 3) ? (int8_t)random_next(random)
					       : (int32_t)random_next(random) >> 4;
	bool indexed = index != base && index != RSP && random_below(random, 2);

	operand->mem.base = general(base, 64);
	operand->mem.displacement = random_below(random, 4) ? disp : 0;
	regs[base] = address - operand->mem.displacement;
	if (indexed) {
		regs[index] = random_value(random) >> random_below(random, 8);
		operand->mem.index = general(index, 64);
		operand->mem.scale = 1 << scale;
		regs[base] -= regs[index] << scale;
	}
}

static bool is_branch(const struct soft_form *form)
{
	ZydisMnemonic mnemonic = form->mnemonic;

	return (mnemonic >= ZYDIS_MNEMONIC_JB && mnemonic <= ZYDIS_MNEMONIC_JZ) ||
	       IS_ONE_OF(mnemonic, ZYDIS_MNEMONIC_CALL, ZYDIS_MNEMONIC_RET, ZYDIS_MNEMONIC_LOOP,
			 ZYDIS_MNEMONIC_LOOPE, ZYDIS_MNEMONIC_LOOPNE);
}

static ZydisInstructionAttributes prefix_of(const struct soft_form *form)
{
	static const ZydisMnemonic compares[] = {ZYDIS_MNEMONIC_CMPSB, ZYDIS_MNEMONIC_CMPSW,
						 ZYDIS_MNEMONIC_CMPSD, ZYDIS_MNEMONIC_CMPSQ,
						 ZYDIS_MNEMONIC_SCASB, ZYDIS_MNEMONIC_SCASW,
						 ZYDIS_MNEMONIC_SCASD, ZYDIS_MNEMONIC_SCASQ};

	switch (form->how) {
	case SOFT_LOCK:
		return ZYDIS_ATTRIB_HAS_LOCK;
	case SOFT_REP:
		return is_one_of(form->mnemonic, compares, 8) ? ZYDIS_ATTRIB_HAS_REPE
							      : ZYDIS_ATTRIB_HAS_REP;
	case SOFT_REPNE:
		return ZYDIS_ATTRIB_HAS_REPNE;
	default:
		return 0;
	}
}

/* The operand's place is where a memory operand shall lead, written to *@address. */
static void put_operand(const struct soft_form *form, unsigned int width, unsigned int at,
			uint64_t *random, ZydisEncoderOperand *operand, struct form_case *c)
{
	unsigned int bits = operand_bits(form, width, at);
	unsigned int kind = form->shape >> 4 * at & 15;
	bool count = at == 2 || (bits == 8 && at == 1 && width && form->how == SOFT_PLAIN &&
				 kind == SOFT_KIND_R);

	if (kind == SOFT_KIND_R) {
		operand->type = ZYDIS_OPERAND_TYPE_REGISTER;
		operand->reg.value = random_register(random, bits);
		if (count || (at == 1 && operand_bits(form, 3, 1) == 8 && form->how == SOFT_PLAIN))
			operand->reg.value = ZYDIS_REGISTER_CL;
	} else if (kind == SOFT_KIND_M) {
		operand->type = ZYDIS_OPERAND_TYPE_MEMORY;
		operand->mem.size = bits / 8;
		put_memory(random, random_address(random), operand, c->state.regs);
	} else {
		operand->type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
		operand->imm.u = is_branch(form) && form->mnemonic != ZYDIS_MNEMONIC_RET
					 ? sizeof(jumped_over)
					 : random_immediate(random, form, bits);
	}
}

static bool encode(const struct soft_form *form, unsigned int width, uint64_t *random,
		   struct form_case *c)
{
	ZydisEncoderRequest request = {
		.machine_mode = ZYDIS_MACHINE_MODE_LONG_64,
		.mnemonic = form->mnemonic,
		.prefixes = prefix_of(form),
	};
	ZyanUSize size = ZYDIS_MAX_INSTRUCTION_LENGTH;

	while (form->shape >> 4 * request.operand_count & 15) {
		put_operand(form, width, request.operand_count, random,
			    &request.operands[request.operand_count], c);
		request.operand_count++;
	}
	if (IS_ONE_OF(form->mnemonic, ZYDIS_MNEMONIC_PUSH, ZYDIS_MNEMONIC_ENTER,
		      ZYDIS_MNEMONIC_LEAVE))
		request.operand_size_hint =
			width == 1 ? ZYDIS_OPERAND_SIZE_HINT_16 : ZYDIS_OPERAND_SIZE_HINT_64;
	if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&request, c->bytes, &size)))
		return false;
	c->insn_size = c->size = size;
	if (is_branch(form)) {
		memcpy(c->bytes + size, jumped_over, sizeof(jumped_over));
		c->size += sizeof(jumped_over);
	}
	return true;
}

/* SDM vol. 1 appendix A, and the instructions' own pages. */
static uint64_t unspecified_flags(const ZydisDecodedInstruction *insn, unsigned int count,
				  unsigned int bits)
{
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_OR:
	case ZYDIS_MNEMONIC_XOR:
	case ZYDIS_MNEMONIC_TEST:
		return SOFT_AF;
	case ZYDIS_MNEMONIC_SHL:
	case ZYDIS_MNEMONIC_SHR:
		return SOFT_AF | (count > 1 ? SOFT_OF : 0) | (count >= bits ? SOFT_CF : 0);
	case ZYDIS_MNEMONIC_SAR:
	case ZYDIS_MNEMONIC_SHLD:
	case ZYDIS_MNEMONIC_SHRD:
		return SOFT_AF | (count > 1 ? SOFT_OF : 0);
	case ZYDIS_MNEMONIC_ROL:
	case ZYDIS_MNEMONIC_ROR:
	case ZYDIS_MNEMONIC_RCL:
	case ZYDIS_MNEMONIC_RCR:
		return count > 1 ? SOFT_OF : 0;
	case ZYDIS_MNEMONIC_MUL:
	case ZYDIS_MNEMONIC_IMUL:
		return SOFT_SF | SOFT_ZF | SOFT_AF | SOFT_PF;
	case ZYDIS_MNEMONIC_DIV:
	case ZYDIS_MNEMONIC_IDIV:
		return SOFT_ARITHMETIC;
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
	case ZYDIS_MNEMONIC_TZCNT:
	case ZYDIS_MNEMONIC_LZCNT:
		return SOFT_OF | SOFT_SF | SOFT_AF | SOFT_PF;
	case ZYDIS_MNEMONIC_BSF:
	case ZYDIS_MNEMONIC_BSR:
		return SOFT_CF | SOFT_OF | SOFT_SF | SOFT_AF | SOFT_PF;
	default:
		return 0;
	}
}

/* Where the memory operand is, or 0. */
static uint64_t memory_of(const ZydisDecodedOperand *operand, const uint64_t regs[16])
{
	uint64_t address = operand->mem.disp.value;

	address += regs[ZydisRegisterGetId(operand->mem.base)];
	if (operand->mem.index != ZYDIS_REGISTER_NONE)
		address += regs[ZydisRegisterGetId(operand->mem.index)] * operand->mem.scale;
	return address;
}

static void put_word(struct form_case *c, uint64_t address, uint64_t word)
{
	if (address - NATIVE_DATA <= NATIVE_DATA_BYTES - 8)
		memcpy(c->data + (address - NATIVE_DATA), &word, 8);
}

/* A bit number in a register may lead 2^60 bytes away: keeps it in the data. False: cannot. */
static bool tame_bit_number(struct form_case *c, const ZydisDecodedOperand operands[2],
			    uint64_t *random)
{
	unsigned int bit = ZydisRegisterGetId(operands[1].reg.value);
	int64_t number = (int64_t)random_below(random, 4096) - 2048;
	uint64_t before = memory_of(&operands[0], c->state.regs);
	unsigned int base = ZydisRegisterGetId(operands[0].mem.base);

	c->state.regs[bit] = number;
	/* The base takes up what the change did to the address. */
	c->state.regs[base] += before - memory_of(&operands[0], c->state.regs);
	return base != bit;
}

/* Registers that an instruction uses without naming them. */
static void suit_implicit(const struct soft_form *form, struct form_case *c, uint64_t *random)
{
	uint64_t *regs = c->state.regs, end = native_rip() + c->insn_size;

	switch (form->mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_POP:
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFQ:
	case ZYDIS_MNEMONIC_CALL:
	case ZYDIS_MNEMONIC_ENTER:
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFQ:
	case ZYDIS_MNEMONIC_RET:
		regs[RSP] = random_address(random);
		if (form->mnemonic == ZYDIS_MNEMONIC_RET)
			put_word(c, regs[RSP], end + sizeof(jumped_over));
		if (form->mnemonic == ZYDIS_MNEMONIC_POPF || form->mnemonic == ZYDIS_MNEMONIC_POPFQ)
			put_word(c, regs[RSP],
				 random_next(random) & (SOFT_ARITHMETIC | SOFT_DF | SOFT_IF |
							SOFT_ID | SOFT_IOPL));
		if (form->mnemonic == ZYDIS_MNEMONIC_ENTER)
			regs[RBP] = random_address(random);
		return;
	case ZYDIS_MNEMONIC_LEAVE:
		regs[RBP] = random_address(random);
		return;
	case ZYDIS_MNEMONIC_XLAT:
		regs[RBX] = random_address(random) - 128;
		return;
	case ZYDIS_MNEMONIC_LOOP:
	case ZYDIS_MNEMONIC_LOOPE:
	case ZYDIS_MNEMONIC_LOOPNE:
	case ZYDIS_MNEMONIC_JRCXZ:
	case ZYDIS_MNEMONIC_JECXZ:
		if (random_below(random, 2))
			regs[RCX] = random_below(random, 3) << 32 * random_below(random, 2);
		return;
	default:
		break;
	}
	if (form->shape == 0 && form->how != SOFT_LOCK) {
		regs[RSI] = random_address(random);
		regs[RDI] = random_address(random);
		if (form->how != SOFT_PLAIN)
			regs[RCX] = random_below(random, 24);
	}
}

/* Compare-and-exchanges succeed half of the time, quotients fit half of the time. */
static void suit_values(const struct soft_form *form, struct form_case *c,
			const ZydisDecodedOperand *operands, uint64_t *random)
{
	uint64_t *regs = c->state.regs, address;
	bool memory = operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;

	address = memory ? memory_of(&operands[0], regs) : 0;
	switch (form->mnemonic) {
	case ZYDIS_MNEMONIC_CMPXCHG8B:
		if (random_below(random, 2))
			put_word(c, address, regs[RDX] << 32 | (uint32_t)regs[RAX]);
		return;
	case ZYDIS_MNEMONIC_CMPXCHG16B:
		if (random_below(random, 2)) {
			put_word(c, address, regs[RAX]);
			put_word(c, address + 8, regs[RDX]);
		}
		return;
	case ZYDIS_MNEMONIC_CMPXCHG:
		if (memory && random_below(random, 2))
			put_word(c, address, regs[RAX]);
		return;
	case ZYDIS_MNEMONIC_DIV:
	case ZYDIS_MNEMONIC_IDIV:
		/* Not where it would move the operand. */
		if (!memory && random_below(random, 2))
			regs[RDX] = random_below(random, 2) ? 0 : -1ull;
		return;
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_CALL:
		if (memory)
			put_word(c, address, native_rip() + c->size);
		else if (operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER)
			regs[ZydisRegisterGetId(operands[0].reg.value)] = native_rip() + c->size;
		return;
	default:
		return;
	}
}

/* The count of a shift as the processor will see it. */
static unsigned int count_of(const struct form_case *c, const ZydisDecodedInstruction *insn,
			     const ZydisDecodedOperand *operands, unsigned int bits)
{
	const ZydisDecodedOperand *last;

	if (!insn->operand_count_visible)
		return 0;
	last = &operands[insn->operand_count_visible - 1];
	return (last->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? last->imm.value.u
							   : c->state.regs[RCX]) &
	       (bits == 64 ? 63 : 31);
}

bool form_make(const struct soft_form *form, unsigned int width, uint64_t *random,
	       struct form_case *c)
{
	ZydisDecoder decoder;
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	unsigned int count, bits = 8u << width;

	for (size_t i = 0; i < sizeof(c->data); i += 8) {
		uint64_t word = i % 64 ? random_next(random) : random_value(random);

		memcpy(c->data + i, &word, 8);
	}
	for (unsigned int i = 0; i < 16; i++)
		c->state.regs[i] = random_value(random);
	c->state.rflags = (random_next(random) & (SOFT_ARITHMETIC | SOFT_DF)) | SOFT_IF | 2;
	if (!encode(form, width, random, c))
		return false;
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(
		    ZydisDecoderDecodeFull(&decoder, c->bytes, c->insn_size, &insn, operands)))
		return false;
	/* A call through RSP would push into the code. */
	if (form->mnemonic == ZYDIS_MNEMONIC_CALL && operands[0].reg.value == ZYDIS_REGISTER_RSP)
		return false;
	suit_implicit(form, c, random);
	if (IS_ONE_OF(form->mnemonic, ZYDIS_MNEMONIC_BT, ZYDIS_MNEMONIC_BTS, ZYDIS_MNEMONIC_BTR,
		      ZYDIS_MNEMONIC_BTC) &&
	    operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
	    operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	    !tame_bit_number(c, operands, random))
		return false;
	suit_values(form, c, operands, random);
	count = count_of(c, &insn, operands, bits);
	c->unspecified = unspecified_flags(&insn, count, bits);
	c->result_unspecified = false;
	if (IS_ONE_OF(form->mnemonic, ZYDIS_MNEMONIC_SHLD, ZYDIS_MNEMONIC_SHRD) && count > bits) {
		c->unspecified = SOFT_ARITHMETIC;
		c->result_unspecified = true;
	}
	return true;
}
