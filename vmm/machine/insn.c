/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decodes prefixes, opcode, ModRM and SIB, and adds up the address. */
#include "vmm/machine/insn.h"

#include <string.h>

#define REX_X 2
#define REX_B 1

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

#define RIP 16 /* in insn_state.regs */

struct insn {
	const uint8_t *code;
	size_t size, at;
	const struct insn_state *state;
	struct insn_access *accesses;
	size_t count;
	uint8_t rex;
	bool address32, operand16, repne;
	uint64_t segment; /* base */
	uint8_t modrm;
	uint64_t operand;   /* where the ModRM operand is */
	bool memory;        /* it is in memory */
	bool relative, bad; /* bad: beyond the bytes there are */
};

/* By the processor's number of a register. */
static uint64_t reg(const struct insn *insn, unsigned int number)
{
	static const uint8_t places[16] = {0, 2, 3, 1, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};

	return insn->state->regs[places[number & 15]];
}

static uint8_t next(struct insn *insn)
{
	if (insn->at < insn->size)
		return insn->code[insn->at++];
	insn->bad = true;
	return 0;
}

static uint64_t next_signed(struct insn *insn, unsigned int bytes)
{
	uint64_t value = 0, sign = 1ull << (bytes * 8 - 1);

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)next(insn) << 8 * i;
	return bytes == 8 ? value : (value ^ sign) - sign;
}

static void touch(struct insn *insn, uint64_t address, bool write)
{
	if (insn->count < INSN_ACCESSES_MAX)
		insn->accesses[insn->count++] = (struct insn_access){address, write};
}

static void touch_operand(struct insn *insn, bool write)
{
	if (insn->memory)
		touch(insn, insn->operand, write);
}

static void push(struct insn *insn)
{
	touch(insn, reg(insn, RSP) - 8, true);
}

static void pop(struct insn *insn)
{
	touch(insn, reg(insn, RSP), false);
}

/* Reads the prefixes and returns the first byte of the opcode. */
static uint8_t read_prefixes(struct insn *insn)
{
	for (;;) {
		uint8_t byte = next(insn);

		switch (byte) {
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0xf0:
		case 0xf3:
			break;
		case 0xf2:
			insn->repne = true;
			break;
		case 0x64:
			insn->segment = insn->state->fs_base;
			break;
		case 0x65:
			insn->segment = insn->state->gs_base;
			break;
		case 0x66:
			insn->operand16 = true;
			break;
		case 0x67:
			insn->address32 = true;
			break;
		default:
			if ((byte & 0xf0) != 0x40 || insn->bad)
				return byte;
			insn->rex = byte; /* the last prefix */
			return next(insn);
		}
	}
}

static uint64_t read_sib(struct insn *insn, unsigned int mod)
{
	uint8_t sib = next(insn);
	unsigned int index = (sib >> 3 & 7) | (insn->rex & REX_X ? 8 : 0);
	uint64_t address = 0;

	if ((sib & 7) == RBP && mod == 0)
		address = next_signed(insn, 4);
	else
		address = reg(insn, (sib & 7) | (insn->rex & REX_B ? 8 : 0));
	if (index != RSP)
		address += reg(insn, index) << (sib >> 6);
	return address;
}

static void read_modrm(struct insn *insn)
{
	unsigned int mod, rm;
	uint64_t address;

	insn->modrm = next(insn);
	mod = insn->modrm >> 6;
	rm = insn->modrm & 7;
	insn->memory = mod != 3;
	if (!insn->memory)
		return;
	insn->relative = mod == 0 && rm == RBP;
	if (rm == RSP)
		address = read_sib(insn, mod);
	else if (insn->relative)
		address = insn->state->regs[RIP] + next_signed(insn, 4);
	else
		address = reg(insn, rm | (insn->rex & REX_B ? 8 : 0));
	if (mod == 1)
		address += next_signed(insn, 1);
	else if (mod == 2)
		address += next_signed(insn, 4);
	insn->operand = (insn->address32 ? address & UINT32_MAX : address) + insn->segment;
	/* Relative to the next instruction, which an immediate may put further off. */
	if (insn->relative)
		insn->operand += insn->at;
}

static void add_immediate(struct insn *insn, unsigned int bytes)
{
	if (insn->relative)
		insn->operand += bytes;
}

static unsigned int digit(const struct insn *insn)
{
	return insn->modrm >> 3 & 7;
}

static unsigned int immediate_bytes(const struct insn *insn)
{
	return insn->operand16 ? 2 : 4;
}

/* Group 3: TEST, NOT, NEG, MUL, DIV. */
static void group3(struct insn *insn, bool byte)
{
	if (digit(insn) < 2)
		add_immediate(insn, byte ? 1 : immediate_bytes(insn));
	touch_operand(insn, digit(insn) == 2 || digit(insn) == 3);
}

/* Groups 4 and 5: INC, DEC, CALL, JMP, PUSH. */
static void group5(struct insn *insn)
{
	touch_operand(insn, digit(insn) < 2);
	if (digit(insn) == 2 || digit(insn) == 6)
		push(insn);
}

static void string(struct insn *insn, uint8_t opcode)
{
	uint64_t source = reg(insn, RSI) + insn->segment, target = reg(insn, RDI);

	switch (opcode & 0xfe) {
	case 0xa4: /* MOVS */
		touch(insn, source, false);
		touch(insn, target, true);
		return;
	case 0xa6: /* CMPS */
		touch(insn, source, false);
		touch(insn, target, false);
		return;
	case 0xaa: /* STOS */
		touch(insn, target, true);
		return;
	case 0xac: /* LODS */
		touch(insn, source, false);
		return;
	default: /* SCAS */
		touch(insn, target, false);
	}
}

/* One-byte opcodes with a ModRM operand: 1 if it is written, 0 if read, -1 if there is none. */
static int operand_one(struct insn *insn, uint8_t opcode)
{
	if (opcode < 0x40)
		return (opcode & 7) > 3 ? -1 : (opcode & 2) == 0 && opcode < 0x38;
	switch (opcode) {
	case 0x63:
	case 0x69:
	case 0x6b:
	case 0x84:
	case 0x85:
	case 0x8a:
	case 0x8b:
	case 0x8e:
		return 0;
	case 0x80 ... 0x83:
	case 0x86:
	case 0x87:
	case 0x88:
	case 0x89:
	case 0x8c:
	case 0x8f:
	case 0xc0:
	case 0xc1:
	case 0xc6:
	case 0xc7:
	case 0xd0 ... 0xd3:
		return 1;
	default:
		return -1;
	}
}

/* Bytes of immediate after the ModRM operand of a one-byte opcode. */
static unsigned int operand_immediate(const struct insn *insn, uint8_t opcode)
{
	switch (opcode) {
	case 0x69:
	case 0x81:
	case 0xc7:
		return immediate_bytes(insn);
	case 0x6b:
	case 0x80:
	case 0x83:
	case 0xc0:
	case 0xc1:
	case 0xc6:
		return 1;
	default:
		return 0;
	}
}

static void decode_one(struct insn *insn, uint8_t opcode)
{
	int write = operand_one(insn, opcode);

	if (write >= 0) {
		read_modrm(insn);
		/* CMP is the one of group 1 that only reads. */
		if (opcode >= 0x80 && opcode <= 0x83 && digit(insn) == 7)
			write = 0;
		add_immediate(insn, operand_immediate(insn, opcode));
		touch_operand(insn, write);
		if (opcode == 0x8f)
			pop(insn);
		return;
	}
	switch (opcode) {
	case 0x50 ... 0x57:
	case 0x68:
	case 0x6a:
	case 0x9c:
	case 0xe8:
		push(insn);
		return;
	case 0x58 ... 0x5f:
	case 0x9d:
	case 0xc2:
	case 0xc3:
	case 0xcf:
		pop(insn);
		return;
	case 0xc9:
		touch(insn, reg(insn, RBP), false);
		return;
	case 0xa0 ... 0xa3:
		touch(insn, next_signed(insn, 8) + insn->segment, opcode >= 0xa2);
		return;
	case 0xa4 ... 0xa7:
	case 0xaa ... 0xaf:
		string(insn, opcode);
		return;
	case 0xf6:
	case 0xf7:
		read_modrm(insn);
		group3(insn, opcode == 0xf6);
		return;
	case 0xfe:
	case 0xff:
		read_modrm(insn);
		group5(insn);
	}
}

static void decode_0f(struct insn *insn)
{
	uint8_t opcode = next(insn);

	switch (opcode) {
	case 0x40 ... 0x4f: /* CMOVcc */
	case 0xa3:          /* BT */
	case 0xaf:          /* IMUL */
	case 0xb6 ... 0xb8: /* MOVZX, POPCNT */
	case 0xbc ... 0xbf: /* BSF, BSR, MOVSX */
		read_modrm(insn);
		touch_operand(insn, false);
		return;
	case 0x90 ... 0x9f: /* SETcc */
	case 0xa5:
	case 0xab: /* BTS */
	case 0xad:
	case 0xb0: /* CMPXCHG */
	case 0xb1:
	case 0xb3: /* BTR */
	case 0xbb: /* BTC */
	case 0xc0: /* XADD */
	case 0xc1:
	case 0xc3: /* MOVNTI */
	case 0xc7: /* CMPXCHG16B */
		read_modrm(insn);
		touch_operand(insn, true);
		return;
	case 0xba: /* BT and its kin with an immediate */
		read_modrm(insn);
		add_immediate(insn, 1);
		touch_operand(insn, digit(insn) > 4);
		return;
	case 0x38: /* CRC32, MOVBE */
		opcode = next(insn);
		if (opcode != 0xf0 && opcode != 0xf1)
			return;
		read_modrm(insn);
		touch_operand(insn, opcode == 0xf1 && !insn->repne);
	}
}

size_t insn_accesses(const uint8_t *code, size_t size, const struct insn_state *state,
		     struct insn_access accesses_out[INSN_ACCESSES_MAX])
{
	struct insn insn = {.code = code, .size = size, .state = state, .accesses = accesses_out};
	uint8_t opcode = read_prefixes(&insn);

	if (opcode == 0x0f)
		decode_0f(&insn);
	else
		decode_one(&insn, opcode);
	return insn.bad ? 0 : insn.count;
}
