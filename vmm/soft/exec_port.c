/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IN, OUT, INS, OUTS. Each access leaves (SOFT_STOP_IO) and is done when the answer is there. */
#include "vmm/soft/exec.h"

#define TSS_IO_MAP_BASE 0x66

/* May this CPL use the port (SDM vol. 1 19.5)? False with #GP pending, or whatever came up. */
static bool may_use(struct soft_cpu *cpu, uint16_t port, unsigned int bytes)
{
	unsigned int mask = (1u << bytes) - 1;
	uint16_t base, bits;

	if (cpu->cpl <= (cpu->rflags & SOFT_IOPL) >> 12)
		return true;
	if (cpu->tr.limit < TSS_IO_MAP_BASE + 1)
		goto fault;
	if (!soft_read_as(cpu, cpu->tr.base + TSS_IO_MAP_BASE, 2, SOFT_SUPERVISOR, &base))
		return false;
	if ((uint32_t)base + port / 8 + 1 > cpu->tr.limit)
		goto fault;
	if (!soft_read_as(cpu, cpu->tr.base + base + port / 8, 2, SOFT_SUPERVISOR, &bits))
		return false;
	if (!(bits >> port % 8 & mask))
		return true;
fault:
	soft_cpu_raise(cpu, SOFT_GP, true, 0);
	return false;
}

#define PORT_OPERAND(shape) PORT_##shape
#define PORT_i              ((uint8_t)op->imm)
#define PORT_d              SOFT_REGISTER(16, SOFT_RDX * 8)

#define PORTS(N, shape)                                                         \
	SOFT_HANDLER(in_##shape##N)                                             \
	{                                                                       \
		uint64_t value = 0;                                             \
                                                                                \
		soft_begin(cpu, op, left);                                      \
		if (!may_use(cpu, PORT_OPERAND(shape), N / 8) ||                \
		    !soft_port(cpu, PORT_OPERAND(shape), N / 8, false, &value)) \
			return NULL;                                            \
		SOFT_SET##N(SOFT_RAX * 8, value);                               \
		return SOFT_NEXT;                                               \
	}                                                                       \
                                                                                \
	SOFT_HANDLER(out_##shape##N)                                            \
	{                                                                       \
		uint64_t value = SOFT_REGISTER(N, SOFT_RAX * 8);                \
                                                                                \
		soft_begin(cpu, op, left);                                      \
		if (!may_use(cpu, PORT_OPERAND(shape), N / 8) ||                \
		    !soft_port(cpu, PORT_OPERAND(shape), N / 8, true, &value))  \
			return NULL;                                            \
		return SOFT_NEXT;                                               \
	}

PORTS(8, i)
PORTS(16, i)
PORTS(32, i)
PORTS(8, d)
PORTS(16, d)
PORTS(32, d)

static uint64_t index_of(const struct soft_cpu *cpu, const struct soft_op *op, enum soft_reg reg)
{
	return op->b ? (uint32_t)cpu->regs[reg] : cpu->regs[reg];
}

static void add_to(struct soft_cpu *cpu, const struct soft_op *op, enum soft_reg reg, int64_t by)
{
	uint64_t sum = cpu->regs[reg] + by;

	cpu->regs[reg] = op->b ? (uint32_t)sum : sum;
}

/* One element; false as may_use(). */
static bool ins(struct soft_cpu *cpu, struct soft_op *op, unsigned int bytes)
{
	uint16_t port = PORT_d;
	uint64_t to = index_of(cpu, op, SOFT_RDI), value = 0;

	if (!may_use(cpu, port, bytes) || !soft_probe(cpu, to, bytes) ||
	    !soft_port(cpu, port, bytes, false, &value) || !soft_write(cpu, to, bytes, &value))
		return false;
	add_to(cpu, op, SOFT_RDI, cpu->rflags & SOFT_DF ? -(int64_t)bytes : bytes);
	return true;
}

static bool outs(struct soft_cpu *cpu, struct soft_op *op, unsigned int bytes)
{
	uint16_t port = PORT_d;
	uint64_t from = index_of(cpu, op, SOFT_RSI) + (op->a ? cpu->segments[op->a].base : 0);
	uint64_t value = 0;
	const void *at;

	if (!may_use(cpu, port, bytes))
		return false;
	at = soft_read(cpu, from, bytes);
	if (!at)
		return false;
	memcpy(&value, at, bytes);
	if (!soft_port(cpu, port, bytes, true, &value))
		return false;
	add_to(cpu, op, SOFT_RSI, cpu->rflags & SOFT_DF ? -(int64_t)bytes : bytes);
	return true;
}

#define STRINGS(f, N)                                                                   \
	SOFT_HANDLER(f##N)                                                              \
	{                                                                               \
		soft_begin(cpu, op, left);                                              \
		return f(cpu, op, N / 8) ? SOFT_NEXT : NULL;                            \
	}                                                                               \
                                                                                        \
	SOFT_HANDLER(rep_##f##N)                                                        \
	{                                                                               \
		if (!index_of(cpu, op, SOFT_RCX))                                       \
			return SOFT_NEXT;                                               \
		soft_begin(cpu, op, left);                                              \
		if (!f(cpu, op, N / 8))                                                 \
			return NULL;                                                    \
		add_to(cpu, op, SOFT_RCX, -1);                                          \
		return soft_next(cpu, index_of(cpu, op, SOFT_RCX) ? op : op + 1, left); \
	}

STRINGS(ins, 8)
STRINGS(ins, 16)
STRINGS(ins, 32)
STRINGS(outs, 8)
STRINGS(outs, 16)
STRINGS(outs, 32)

/* REX.W does nothing here. */
#define THREE(handler)                                            \
	{                                                         \
		handler##8, handler##16, handler##32, handler##32 \
	}
#define ROW(name, shape, handler)                                               \
	{                                                                       \
		ZYDIS_MNEMONIC_##name, shape, SOFT_PLAIN, false, THREE(handler) \
	}
#define ROWS_STRING(name, handler)                                                    \
	{ZYDIS_MNEMONIC_##name, 0, SOFT_PLAIN, false, SOFT_ANY(handler)},             \
		{ZYDIS_MNEMONIC_##name, 0, SOFT_REP, false, SOFT_ANY(rep_##handler)}, \
	{                                                                             \
		ZYDIS_MNEMONIC_##name, 0, SOFT_REPNE, false, SOFT_ANY(rep_##handler)  \
	}

const struct soft_form soft_forms_port[] = {
	ROW(IN, SOFT_SHAPE(R, I, NONE), in_i),
	ROW(IN, SOFT_SHAPE(R, R, NONE), in_d),
	ROW(OUT, SOFT_SHAPE(I, R, NONE), out_i),
	ROW(OUT, SOFT_SHAPE(R, R, NONE), out_d),
	ROWS_STRING(INSB, ins8),
	ROWS_STRING(INSW, ins16),
	ROWS_STRING(INSD, ins32),
	ROWS_STRING(OUTSB, outs8),
	ROWS_STRING(OUTSW, outs16),
	ROWS_STRING(OUTSD, outs32),
	{0},
};
