/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two-operand arithmetic and logic, comparisons, and INC, DEC, NEG, NOT: plain and locked. */
#include "vmm/soft/exec.h"

/*
 * f(flags, a, b) in the six ways operands come. A locked one tries until nobody else wrote in
 * between: other processors do not run now, but the host's threads do.
 */
#define LOCKED(N, pointer, old, new_value) \
	do {                               \
		old = *pointer;            \
	} while (!__sync_bool_compare_and_swap((uint##N##_t *)pointer, old, new_value))

#define BINARY(f, N)                                                                  \
	SOFT_HANDLER(f##_rr##N)                                                       \
	{                                                                             \
		SOFT_SET##N(op->a, soft_##f##N(&cpu->flags, SOFT_A(N), SOFT_B(N)));   \
		return SOFT_NEXT;                                                     \
	}                                                                             \
                                                                                      \
	SOFT_HANDLER(f##_ri##N)                                                       \
	{                                                                             \
		SOFT_SET##N(op->a, soft_##f##N(&cpu->flags, SOFT_A(N), SOFT_IMM(N))); \
		return SOFT_NEXT;                                                     \
	}                                                                             \
                                                                                      \
	SOFT_MEMORY_HANDLER(f##_rm##N)                                                \
	{                                                                             \
		uint64_t gva = soft_address(cpu, op);                                 \
                                                                                      \
		SOFT_READ_AT(N, from, gva);                                           \
		SOFT_SET##N(op->a, soft_##f##N(&cpu->flags, SOFT_A(N), *from));       \
		return SOFT_NEXT;                                                     \
	}                                                                             \
                                                                                      \
	BINARY_MEMORY(f, N, mr, SOFT_A(N))                                            \
	BINARY_MEMORY(f, N, mi, SOFT_IMM(N))

#define BINARY_MEMORY(f, N, shape, b)                                                  \
	SOFT_MEMORY_HANDLER(f##_##shape##N)                                            \
	{                                                                              \
		uint64_t gva = soft_address(cpu, op);                                  \
		struct soft_flags flags = cpu->flags;                                  \
                                                                                       \
		SOFT_UPDATE_AT(N, at, gva, SOFT_UPDATE);                               \
		*at = soft_##f##N(&flags, *at, b);                                     \
		SOFT_UPDATED();                                                        \
		cpu->flags = flags;                                                    \
		return SOFT_NEXT;                                                      \
	}                                                                              \
                                                                                       \
	SOFT_MEMORY_HANDLER(f##_locked_##shape##N)                                     \
	{                                                                              \
		uint64_t gva = soft_address(cpu, op);                                  \
		struct soft_flags flags;                                               \
		uint##N##_t old;                                                       \
                                                                                       \
		SOFT_UPDATE_AT(N, at, gva, SOFT_LOCKED);                               \
		LOCKED(N, at, old, (flags = cpu->flags, soft_##f##N(&flags, old, b))); \
		SOFT_UPDATED();                                                        \
		cpu->flags = flags;                                                    \
		return SOFT_NEXT;                                                      \
	}

/* CMP and TEST: f's result is not kept, and memory is only read. */
#define COMPARISON(name, f, N)                                    \
	SOFT_HANDLER(name##_rr##N)                                \
	{                                                         \
		soft_##f##N(&cpu->flags, SOFT_A(N), SOFT_B(N));   \
		return SOFT_NEXT;                                 \
	}                                                         \
                                                                  \
	SOFT_HANDLER(name##_ri##N)                                \
	{                                                         \
		soft_##f##N(&cpu->flags, SOFT_A(N), SOFT_IMM(N)); \
		return SOFT_NEXT;                                 \
	}                                                         \
                                                                  \
	COMPARISON_MEMORY(name, f, N, mr, *from, SOFT_A(N))       \
	COMPARISON_MEMORY(name, f, N, mi, *from, SOFT_IMM(N))

#define COMPARISON_MEMORY(name, f, N, shape, x, y)    \
	SOFT_MEMORY_HANDLER(name##_##shape##N)        \
	{                                             \
		uint64_t gva = soft_address(cpu, op); \
                                                      \
		SOFT_READ_AT(N, from, gva);           \
		soft_##f##N(&cpu->flags, x, y);       \
		return SOFT_NEXT;                     \
	}

#define UNARY(f, N)                                                                 \
	SOFT_HANDLER(f##_r##N)                                                      \
	{                                                                           \
		SOFT_SET##N(op->a, soft_##f##N(&cpu->flags, SOFT_A(N)));            \
		return SOFT_NEXT;                                                   \
	}                                                                           \
                                                                                    \
	SOFT_MEMORY_HANDLER(f##_m##N)                                               \
	{                                                                           \
		uint64_t gva = soft_address(cpu, op);                               \
		struct soft_flags flags = cpu->flags;                               \
                                                                                    \
		SOFT_UPDATE_AT(N, at, gva, SOFT_UPDATE);                            \
		*at = soft_##f##N(&flags, *at);                                     \
		SOFT_UPDATED();                                                     \
		cpu->flags = flags;                                                 \
		return SOFT_NEXT;                                                   \
	}                                                                           \
                                                                                    \
	SOFT_MEMORY_HANDLER(f##_locked_m##N)                                        \
	{                                                                           \
		uint64_t gva = soft_address(cpu, op);                               \
		struct soft_flags flags;                                            \
		uint##N##_t old;                                                    \
                                                                                    \
		SOFT_UPDATE_AT(N, at, gva, SOFT_LOCKED);                            \
		LOCKED(N, at, old, (flags = cpu->flags, soft_##f##N(&flags, old))); \
		SOFT_UPDATED();                                                     \
		cpu->flags = flags;                                                 \
		return SOFT_NEXT;                                                   \
	}

#define ALL(N)                                                                         \
	static inline uint##N##_t soft_not##N(struct soft_flags *flags, uint##N##_t a) \
	{                                                                              \
		(void)flags;                                                           \
		return ~a;                                                             \
	}                                                                              \
                                                                                       \
	BINARY(add, N)                                                                 \
	BINARY(adc, N)                                                                 \
	BINARY(sub, N)                                                                 \
	BINARY(sbb, N)                                                                 \
	BINARY(and, N)                                                                 \
	BINARY(or, N)                                                                  \
	BINARY(xor, N)                                                                 \
	COMPARISON(cmp, sub, N)                                                        \
	COMPARISON_MEMORY(cmp, sub, N, rm, SOFT_A(N), *from)                           \
	COMPARISON(test, and, N)                                                       \
	UNARY(inc, N)                                                                  \
	UNARY(dec, N)                                                                  \
	UNARY(neg, N)                                                                  \
	UNARY(not, N)

ALL(8)
ALL(16)
ALL(32)
ALL(64)

#define ROW_LOCK(name, shape, handler)                                               \
	{                                                                            \
		ZYDIS_MNEMONIC_##name, shape, SOFT_LOCK, false, SOFT_WIDTHS(handler) \
	}
#define ROWS_BINARY(name, f)                                    \
	SOFT_ROW(name, SOFT_SHAPE(R, R, NONE), f##_rr),         \
		SOFT_ROW(name, SOFT_SHAPE(R, I, NONE), f##_ri), \
		SOFT_ROW(name, SOFT_SHAPE(R, M, NONE), f##_rm), \
		SOFT_ROW(name, SOFT_SHAPE(M, R, NONE), f##_mr), \
		SOFT_ROW(name, SOFT_SHAPE(M, I, NONE), f##_mi)
#define ROWS_TEST(name, f)                                      \
	SOFT_ROW(name, SOFT_SHAPE(R, R, NONE), f##_rr),         \
		SOFT_ROW(name, SOFT_SHAPE(R, I, NONE), f##_ri), \
		SOFT_ROW(name, SOFT_SHAPE(M, R, NONE), f##_mr), \
		SOFT_ROW(name, SOFT_SHAPE(M, I, NONE), f##_mi)
#define ROWS_LOCK(name, f)                                     \
	ROW_LOCK(name, SOFT_SHAPE(M, R, NONE), f##_locked_mr), \
		ROW_LOCK(name, SOFT_SHAPE(M, I, NONE), f##_locked_mi)
#define ROWS_UNARY(name, f)                                       \
	SOFT_ROW(name, SOFT_SHAPE(R, NONE, NONE), f##_r),         \
		SOFT_ROW(name, SOFT_SHAPE(M, NONE, NONE), f##_m), \
		ROW_LOCK(name, SOFT_SHAPE(M, NONE, NONE), f##_locked_m)

const struct soft_form soft_forms_alu[] = {
	ROWS_BINARY(ADD, add), ROWS_LOCK(ADD, add),   ROWS_BINARY(ADC, adc),
	ROWS_LOCK(ADC, adc),   ROWS_BINARY(SUB, sub), ROWS_LOCK(SUB, sub),
	ROWS_BINARY(SBB, sbb), ROWS_LOCK(SBB, sbb),   ROWS_BINARY(AND, and),
	ROWS_LOCK(AND, and),   ROWS_BINARY(OR, or),   ROWS_LOCK(OR, or),
	ROWS_BINARY(XOR, xor), ROWS_LOCK(XOR, xor),   ROWS_BINARY(CMP, cmp),
	ROWS_TEST(TEST, test), ROWS_UNARY(INC, inc),  ROWS_UNARY(DEC, dec),
	ROWS_UNARY(NEG, neg),  ROWS_UNARY(NOT, not ), {0},
};
