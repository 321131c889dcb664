/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PUSH, POP, PUSHF, POPF, ENTER, LEAVE: of 64 bits, or 16 with the prefix. */
#include "vmm/soft/exec.h"

#define RSP cpu->regs[SOFT_RSP]
#define RBP cpu->regs[SOFT_RBP]

#define PUSH(N, name, value)                       \
	SOFT_MEMORY_HANDLER(name##N)               \
	{                                          \
		SOFT_WRITE(N, RSP - N / 8, value); \
		RSP -= N / 8;                      \
		return SOFT_NEXT;                  \
	}

#define STACK(N)                                                                                \
	PUSH(N, push_r, SOFT_A(N))                                                              \
	PUSH(N, push_i, SOFT_IMM(N))                                                            \
	PUSH(N, push_s, cpu->segments[op->a].selector)                                          \
	PUSH(N, pushf, (uint##N##_t)(soft_cpu_rflags(cpu) & ~SOFT_RF))                          \
                                                                                                \
	SOFT_MEMORY_HANDLER(push_m##N)                                                          \
	{                                                                                       \
		uint##N##_t value;                                                              \
                                                                                                \
		SOFT_READ_AT(N, from, soft_address(cpu, op));                                   \
		value = *from;                                                                  \
		SOFT_WRITE(N, RSP - N / 8, value);                                              \
		RSP -= N / 8;                                                                   \
		return SOFT_NEXT;                                                               \
	}                                                                                       \
                                                                                                \
	SOFT_MEMORY_HANDLER(pop_r##N)                                                           \
	{                                                                                       \
		uint##N##_t value;                                                              \
                                                                                                \
		SOFT_READ_AT(N, from, RSP);                                                     \
		value = *from;                                                                  \
		RSP += N / 8;                                                                   \
		SOFT_SET##N(op->a, value);                                                      \
		return SOFT_NEXT;                                                               \
	}                                                                                       \
                                                                                                \
	SOFT_MEMORY_HANDLER(pop_m##N)                                                           \
	{                                                                                       \
		uint64_t gva = soft_address(cpu, op);                                           \
		uint##N##_t value;                                                              \
                                                                                                \
		SOFT_READ_AT(N, from, RSP);                                                     \
		value = *from;                                                                  \
		SOFT_WRITE(N, gva, value);                                                      \
		RSP += N / 8;                                                                   \
		return SOFT_NEXT;                                                               \
	}                                                                                       \
                                                                                                \
	SOFT_MEMORY_HANDLER(leave##N)                                                           \
	{                                                                                       \
		uint##N##_t value;                                                              \
                                                                                                \
		SOFT_READ_AT(N, from, RBP);                                                     \
		value = *from;                                                                  \
		RSP = RBP + N / 8;                                                              \
		SOFT_SET##N(SOFT_RBP * 8, value);                                               \
		return SOFT_NEXT;                                                               \
	}                                                                                       \
                                                                                                \
	SOFT_MEMORY_HANDLER(popf##N)                                                            \
	{                                                                                       \
		uint64_t old = soft_cpu_rflags(cpu), may = SOFT_POPF_BITS & (uint##N##_t) - 1;  \
                                                                                                \
		if (cpu->cpl > (old & SOFT_IOPL) >> 12)                                         \
			may &= ~SOFT_IF;                                                        \
		if (cpu->cpl)                                                                   \
			may &= ~SOFT_IOPL;                                                      \
		SOFT_READ_AT(N, from, RSP);                                                     \
		soft_cpu_set_rflags(cpu, (old & ~may & ~SOFT_RF) | (*from & may));              \
		RSP += N / 8;                                                                   \
		if ((cpu->rflags ^ old) & (SOFT_IF | SOFT_TF | SOFT_AC))                        \
			return soft_leave(cpu, soft_op_next(cpu, op), left, SOFT_EXIT_AGAIN);   \
		return SOFT_NEXT;                                                               \
	}                                                                                       \
                                                                                                \
	/* Everything is probed, then pushed; the frame's last word is touched too. */          \
	SOFT_HANDLER(enter##N)                                                                  \
	{                                                                                       \
		unsigned int level = op->disp % 32;                                             \
		uint64_t frame = RSP - N / 8, at = frame, from = RBP;                           \
		uint##N##_t value = RBP;                                                        \
                                                                                                \
		soft_begin(cpu, op, left);                                                      \
		for (unsigned int i = 1; i <= level + 1; i++)                                   \
			if (!soft_probe(cpu, RSP - i * (N / 8), N / 8))                         \
				return NULL;                                                    \
		if (!soft_probe(cpu, RSP - (level + 1) * (N / 8) - (uint16_t)op->imm, N / 8) || \
		    !soft_write(cpu, at, N / 8, &value))                                        \
			return NULL;                                                            \
		for (unsigned int i = 1; i < level; i++) {                                      \
			const void *old = soft_read(cpu, from -= N / 8, N / 8);                 \
                                                                                                \
			if (!old)                                                               \
				return NULL;                                                    \
			memcpy(&value, old, sizeof(value));                                     \
			if (!soft_write(cpu, at -= N / 8, N / 8, &value))                       \
				return NULL;                                                    \
		}                                                                               \
		value = frame;                                                                  \
		if (level && !soft_write(cpu, at -= N / 8, N / 8, &value))                      \
			return NULL;                                                            \
		SOFT_SET##N(SOFT_RBP * 8, (uint##N##_t)frame);                                  \
		RSP = at - (uint16_t)op->imm;                                                   \
		return SOFT_NEXT;                                                               \
	}

STACK(16)
STACK(64)

#define ROW_STACK(name, shape, handler)                          \
	{                                                        \
		ZYDIS_MNEMONIC_##name, shape, SOFT_PLAIN, false, \
		{                                                \
			NULL, handler##16, NULL, handler##64     \
		}                                                \
	}
#define ROW_FIXED(name, shape, handler)                                            \
	{                                                                          \
		ZYDIS_MNEMONIC_##name, shape, SOFT_PLAIN, false, SOFT_ANY(handler) \
	}
#define R SOFT_SHAPE(R, NONE, NONE)
#define M SOFT_SHAPE(M, NONE, NONE)
#define I SOFT_SHAPE(I, NONE, NONE)

const struct soft_form soft_forms_stack[] = {
	ROW_STACK(PUSH, R, push_r),
	ROW_STACK(PUSH, M, push_m),
	ROW_STACK(PUSH, I, push_i),
	ROW_STACK(PUSH, SOFT_SHAPE(S, NONE, NONE), push_s),
	ROW_STACK(POP, R, pop_r),
	ROW_STACK(POP, M, pop_m),
	ROW_FIXED(PUSHF, 0, pushf16),
	ROW_FIXED(PUSHFQ, 0, pushf64),
	ROW_FIXED(POPF, 0, popf16),
	ROW_FIXED(POPFQ, 0, popf64),
	ROW_STACK(LEAVE, 0, leave),
	ROW_STACK(ENTER, SOFT_SHAPE(I, I, NONE), enter),
	{0},
};
