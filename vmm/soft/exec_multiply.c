/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MUL, IMUL, DIV, IDIV. */
#include "vmm/soft/exec.h"

/* Twice the width. */
__extension__ typedef __int128 int128_t;
#define WIDE8           16
#define WIDE16          32
#define WIDE32          64
#define WIDE64          128
#define PASTE3(a, b, c) a##b##c
#define INT_OF(N)       PASTE3(int, N, _t)
#define UINT_OF(N)      PASTE3(uint, N, _t)

/* RDX:RAX, for bytes AX: of 8 to 64 bits each. */
#define AX     SOFT_REGISTER(16, SOFT_RAX * 8)
#define LOW(N) SOFT_REGISTER(N, SOFT_RAX * 8)
#define TOP(N) SOFT_REGISTER(N, SOFT_RDX * 8)

#define SET_PAIR8(low, high)  (AX = (uint8_t)(low) | (uint16_t)(uint8_t)(high) << 8)
#define SET_PAIR16(low, high) (SOFT_SET16(SOFT_RAX * 8, low), SOFT_SET16(SOFT_RDX * 8, high))
#define SET_PAIR32(low, high) (SOFT_SET32(SOFT_RAX * 8, low), SOFT_SET32(SOFT_RDX * 8, high))
#define SET_PAIR64(low, high) (SOFT_SET64(SOFT_RAX * 8, low), SOFT_SET64(SOFT_RDX * 8, high))
#define PAIR8                 AX
#define PAIR16                ((uint32_t)TOP(16) << 16 | LOW(16))
#define PAIR32                ((uint64_t)TOP(32) << 32 | LOW(32))
#define PAIR64                ((uint128_t)TOP(64) << 64 | LOW(64))

#define MULTIPLIES(N)                                                                     \
	static inline void mul##N(struct soft_cpu *cpu, uint##N##_t by)                   \
	{                                                                                 \
		UINT_OF(WIDE##N) product = (UINT_OF(WIDE##N))LOW(N) * by;                 \
		bool carry = product >> N != 0;                                           \
                                                                                          \
		soft_logic##N(&cpu->flags, product);                                      \
		soft_flags_carry(&cpu->flags, carry, carry);                              \
		SET_PAIR##N(product, product >> N);                                       \
	}                                                                                 \
                                                                                          \
	static inline INT_OF(WIDE##N)                                                     \
		product##N(struct soft_cpu *cpu, uint##N##_t a, uint##N##_t b)            \
	{                                                                                 \
		INT_OF(WIDE##N) product = (INT_OF(WIDE##N))(int##N##_t)a * (int##N##_t)b; \
		bool carry = product != (int##N##_t)product;                              \
                                                                                          \
		soft_logic##N(&cpu->flags, product);                                      \
		soft_flags_carry(&cpu->flags, carry, carry);                              \
		return product;                                                           \
	}                                                                                 \
                                                                                          \
	static inline void imul##N(struct soft_cpu *cpu, uint##N##_t by)                  \
	{                                                                                 \
		UINT_OF(WIDE##N) product = product##N(cpu, LOW(N), by);                   \
                                                                                          \
		SET_PAIR##N(product, product >> N);                                       \
	}

/* False where the processor raises #DE. */
#define DIVIDES(N)                                                                \
	static inline bool div##N(struct soft_cpu *cpu, uint##N##_t by)           \
	{                                                                         \
		UINT_OF(WIDE##N) pair = PAIR##N;                                  \
                                                                                  \
		if (!by || pair / by > (uint##N##_t) - 1)                         \
			return false;                                             \
		SET_PAIR##N(pair / by, pair % by);                                \
		return true;                                                      \
	}                                                                         \
                                                                                  \
	static inline bool idiv##N(struct soft_cpu *cpu, uint##N##_t by)          \
	{                                                                         \
		INT_OF(WIDE##N) pair = PAIR##N, quotient;                         \
		const INT_OF(WIDE##N) least = (UINT_OF(WIDE##N))1 << (2 * N - 1); \
                                                                                  \
		if (!by || ((int##N##_t)by == -1 && pair == least))               \
			return false;                                             \
		quotient = pair / (int##N##_t)by;                                 \
		if (quotient != (int##N##_t)quotient)                             \
			return false;                                             \
		pair %= (int##N##_t)by;                                           \
		SET_PAIR##N(quotient, pair);                                      \
		return true;                                                      \
	}

#define ONE_OPERAND(f, N)                             \
	SOFT_HANDLER(f##_r##N)                        \
	{                                             \
		f##N(cpu, SOFT_A(N));                 \
		return SOFT_NEXT;                     \
	}                                             \
                                                      \
	SOFT_MEMORY_HANDLER(f##_m##N)                 \
	{                                             \
		uint64_t gva = soft_address(cpu, op); \
                                                      \
		SOFT_READ_AT(N, from, gva);           \
		f##N(cpu, *from);                     \
		return SOFT_NEXT;                     \
	}

#define ONE_DIVISOR(f, N)                                          \
	SOFT_HANDLER(f##_r##N)                                     \
	{                                                          \
		if (!f##N(cpu, SOFT_A(N)))                         \
			return soft_raise(cpu, op, left, SOFT_DE); \
		return SOFT_NEXT;                                  \
	}                                                          \
                                                                   \
	SOFT_MEMORY_HANDLER(f##_m##N)                              \
	{                                                          \
		uint64_t gva = soft_address(cpu, op);              \
                                                                   \
		SOFT_READ_AT(N, from, gva);                        \
		if (!f##N(cpu, *from))                             \
			return soft_raise(cpu, op, left, SOFT_DE); \
		return SOFT_NEXT;                                  \
	}

#define TWO_OPERANDS(N)                                                                   \
	SOFT_HANDLER(imul_rr##N)                                                          \
	{                                                                                 \
		SOFT_SET##N(op->a, (uint##N##_t)product##N(cpu, SOFT_A(N), SOFT_B(N)));   \
		return SOFT_NEXT;                                                         \
	}                                                                                 \
                                                                                          \
	SOFT_MEMORY_HANDLER(imul_rm##N)                                                   \
	{                                                                                 \
		uint64_t gva = soft_address(cpu, op);                                     \
                                                                                          \
		SOFT_READ_AT(N, from, gva);                                               \
		SOFT_SET##N(op->a, (uint##N##_t)product##N(cpu, SOFT_A(N), *from));       \
		return SOFT_NEXT;                                                         \
	}                                                                                 \
                                                                                          \
	SOFT_HANDLER(imul_rri##N)                                                         \
	{                                                                                 \
		SOFT_SET##N(op->a, (uint##N##_t)product##N(cpu, SOFT_B(N), SOFT_IMM(N))); \
		return SOFT_NEXT;                                                         \
	}                                                                                 \
                                                                                          \
	SOFT_MEMORY_HANDLER(imul_rmi##N)                                                  \
	{                                                                                 \
		uint64_t gva = soft_address(cpu, op);                                     \
                                                                                          \
		SOFT_READ_AT(N, from, gva);                                               \
		SOFT_SET##N(op->a, (uint##N##_t)product##N(cpu, *from, SOFT_IMM(N)));     \
		return SOFT_NEXT;                                                         \
	}

#define ALL(N)               \
	MULTIPLIES(N)        \
	DIVIDES(N)           \
	ONE_OPERAND(mul, N)  \
	ONE_OPERAND(imul, N) \
	ONE_DIVISOR(div, N)  \
	ONE_DIVISOR(idiv, N)

ALL(8)
ALL(16)
ALL(32)
ALL(64)
TWO_OPERANDS(16)
TWO_OPERANDS(32)
TWO_OPERANDS(64)

#define ROWS_ONE(name, f)                                 \
	SOFT_ROW(name, SOFT_SHAPE(R, NONE, NONE), f##_r), \
		SOFT_ROW(name, SOFT_SHAPE(M, NONE, NONE), f##_m)
#define ROW_IMUL(shape, handler)                                    \
	{                                                           \
		ZYDIS_MNEMONIC_IMUL, shape, SOFT_PLAIN, false,      \
		{                                                   \
			NULL, handler##16, handler##32, handler##64 \
		}                                                   \
	}

const struct soft_form soft_forms_multiply[] = {
	ROWS_ONE(MUL, mul),
	ROWS_ONE(IMUL, imul),
	ROWS_ONE(DIV, div),
	ROWS_ONE(IDIV, idiv),
	ROW_IMUL(SOFT_SHAPE(R, R, NONE), imul_rr),
	ROW_IMUL(SOFT_SHAPE(R, M, NONE), imul_rm),
	ROW_IMUL(SOFT_SHAPE(R, R, I), imul_rri),
	ROW_IMUL(SOFT_SHAPE(R, M, I), imul_rmi),
	{0},
};
