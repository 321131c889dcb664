/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moves: MOV, MOVZX, MOVSX, LEA, XCHG, XADD, CMPXCHG, CMOVcc, SETcc, sign extensions. */
#include "vmm/soft/exec.h"

#define MOVES(N)                                                                             \
	SOFT_HANDLER(mov_rr##N)                                                              \
	{                                                                                    \
		SOFT_SET##N(op->a, SOFT_B(N));                                               \
		return SOFT_NEXT;                                                            \
	}                                                                                    \
                                                                                             \
	SOFT_HANDLER(mov_ri##N)                                                              \
	{                                                                                    \
		SOFT_SET##N(op->a, SOFT_IMM(N));                                             \
		return SOFT_NEXT;                                                            \
	}                                                                                    \
                                                                                             \
	SOFT_MEMORY_HANDLER(mov_rm##N)                                                       \
	{                                                                                    \
		uint64_t gva = soft_address(cpu, op);                                        \
                                                                                             \
		SOFT_READ_AT(N, from, gva);                                                  \
		SOFT_SET##N(op->a, *from);                                                   \
		return SOFT_NEXT;                                                            \
	}                                                                                    \
                                                                                             \
	SOFT_MEMORY_HANDLER(mov_mr##N)                                                       \
	{                                                                                    \
		uint64_t gva = soft_address(cpu, op);                                        \
                                                                                             \
		SOFT_WRITE(N, gva, SOFT_A(N));                                               \
		return SOFT_NEXT;                                                            \
	}                                                                                    \
                                                                                             \
	SOFT_MEMORY_HANDLER(mov_mi##N)                                                       \
	{                                                                                    \
		uint64_t gva = soft_address(cpu, op);                                        \
                                                                                             \
		SOFT_WRITE(N, gva, SOFT_IMM(N));                                             \
		return SOFT_NEXT;                                                            \
	}                                                                                    \
                                                                                             \
	SOFT_HANDLER(lea##N)                                                                 \
	{                                                                                    \
		SOFT_SET##N(op->a, (uint##N##_t)soft_address(cpu, op));                      \
		return SOFT_NEXT;                                                            \
	}                                                                                    \
                                                                                             \
	SOFT_HANDLER(xchg_rr##N)                                                             \
	{                                                                                    \
		uint##N##_t a = SOFT_A(N), b = SOFT_B(N);                                    \
                                                                                             \
		SOFT_SET##N(op->a, b);                                                       \
		SOFT_SET##N(op->b, a);                                                       \
		return SOFT_NEXT;                                                            \
	}                                                                                    \
                                                                                             \
	SOFT_MEMORY_HANDLER(xchg_m##N)                                                       \
	{                                                                                    \
		uint64_t gva = soft_address(cpu, op);                                        \
		uint##N##_t old;                                                             \
                                                                                             \
		SOFT_UPDATE_AT(N, at, gva, SOFT_LOCKED);                                     \
		old = __atomic_exchange_n((uint##N##_t *)at, SOFT_A(N), __ATOMIC_SEQ_CST);   \
		SOFT_UPDATED();                                                              \
		SOFT_SET##N(op->a, old);                                                     \
		return SOFT_NEXT;                                                            \
	}                                                                                    \
                                                                                             \
	SOFT_HANDLER(xadd_r##N)                                                              \
	{                                                                                    \
		uint##N##_t old = SOFT_A(N), sum = soft_add##N(&cpu->flags, old, SOFT_B(N)); \
                                                                                             \
		SOFT_SET##N(op->b, old);                                                     \
		SOFT_SET##N(op->a, sum);                                                     \
		return SOFT_NEXT;                                                            \
	}                                                                                    \
                                                                                             \
	XADD_MEMORY(N, xadd_m##N, SOFT_UPDATE)                                               \
	XADD_MEMORY(N, xadd_locked##N, SOFT_LOCKED)                                          \
                                                                                             \
	SOFT_HANDLER(cmpxchg_r##N)                                                           \
	{                                                                                    \
		uint##N##_t expected = SOFT_REGISTER(N, SOFT_RAX * 8), old = SOFT_A(N);      \
                                                                                             \
		soft_sub##N(&cpu->flags, expected, old);                                     \
		if (expected == old)                                                         \
			SOFT_SET##N(op->a, SOFT_B(N));                                       \
		else                                                                         \
			SOFT_SET##N(SOFT_RAX * 8, old);                                      \
		return SOFT_NEXT;                                                            \
	}                                                                                    \
                                                                                             \
	CMPXCHG_MEMORY(N, cmpxchg_m##N, SOFT_UPDATE)                                         \
	CMPXCHG_MEMORY(N, cmpxchg_locked##N, SOFT_LOCKED)

/* Atomic with and without LOCK: the access says which it is. */
#define XADD_MEMORY(N, name, access)                                                   \
	SOFT_MEMORY_HANDLER(name)                                                      \
	{                                                                              \
		uint64_t gva = soft_address(cpu, op);                                  \
		uint##N##_t old, addend = SOFT_A(N);                                   \
                                                                                       \
		SOFT_UPDATE_AT(N, at, gva, access);                                    \
		old = __atomic_fetch_add((uint##N##_t *)at, addend, __ATOMIC_SEQ_CST); \
		SOFT_UPDATED();                                                        \
		SOFT_SET##N(op->a, old);                                               \
		soft_add##N(&cpu->flags, old, addend);                                 \
		return SOFT_NEXT;                                                      \
	}

#define CMPXCHG_MEMORY(N, name, access)                                                \
	SOFT_MEMORY_HANDLER(name)                                                      \
	{                                                                              \
		uint64_t gva = soft_address(cpu, op);                                  \
		uint##N##_t expected = SOFT_REGISTER(N, SOFT_RAX * 8), old = expected; \
                                                                                       \
		SOFT_UPDATE_AT(N, at, gva, access);                                    \
		__atomic_compare_exchange_n((uint##N##_t *)at, &old, SOFT_A(N), false, \
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);       \
		SOFT_UPDATED();                                                        \
		soft_sub##N(&cpu->flags, expected, old);                               \
		if (old != expected)                                                   \
			SOFT_SET##N(SOFT_RAX * 8, old);                                \
		return SOFT_NEXT;                                                      \
	}

MOVES(8)
MOVES(16)
MOVES(32)
MOVES(64)

/* From @from bits to N, with or without sign. */
#define EXTEND(name, N, from, cast)                                  \
	SOFT_HANDLER(name##from##_rr##N)                             \
	{                                                            \
		SOFT_SET##N(op->a, (uint##N##_t)(cast)SOFT_B(from)); \
		return SOFT_NEXT;                                    \
	}                                                            \
                                                                     \
	SOFT_MEMORY_HANDLER(name##from##_rm##N)                      \
	{                                                            \
		uint64_t gva = soft_address(cpu, op);                \
                                                                     \
		SOFT_READ_AT(from, source, gva);                     \
		SOFT_SET##N(op->a, (uint##N##_t)(cast)*source);      \
		return SOFT_NEXT;                                    \
	}

#define EXTENDS(N)                     \
	EXTEND(movzx, N, 8, uint8_t)   \
	EXTEND(movzx, N, 16, uint16_t) \
	EXTEND(movsx, N, 8, int8_t)    \
	EXTEND(movsx, N, 16, int16_t)  \
	EXTEND(movsx, N, 32, int32_t)

EXTENDS(16)
EXTENDS(32)
EXTENDS(64)

/* A 32-bit CMOV clears the upper half whether or not it moves; memory is read in any case. */
#define CMOV(condition, N)                                                                    \
	SOFT_HANDLER(cmov##condition##_rr##N)                                                 \
	{                                                                                     \
		SOFT_SET##N(op->a, SOFT_IF_##condition(&cpu->flags) ? SOFT_B(N) : SOFT_A(N)); \
		return SOFT_NEXT;                                                             \
	}                                                                                     \
                                                                                              \
	SOFT_MEMORY_HANDLER(cmov##condition##_rm##N)                                          \
	{                                                                                     \
		uint64_t gva = soft_address(cpu, op);                                         \
                                                                                              \
		SOFT_READ_AT(N, from, gva);                                                   \
		SOFT_SET##N(op->a, SOFT_IF_##condition(&cpu->flags) ? *from : SOFT_A(N));     \
		return SOFT_NEXT;                                                             \
	}

#define CONDITION(condition)                                          \
	CMOV(condition, 16)                                           \
	CMOV(condition, 32)                                           \
	CMOV(condition, 64)                                           \
                                                                      \
	SOFT_HANDLER(set##condition##_r)                              \
	{                                                             \
		SOFT_SET8(op->a, SOFT_IF_##condition(&cpu->flags));   \
		return SOFT_NEXT;                                     \
	}                                                             \
                                                                      \
	SOFT_MEMORY_HANDLER(set##condition##_m)                       \
	{                                                             \
		uint64_t gva = soft_address(cpu, op);                 \
                                                                      \
		SOFT_WRITE(8, gva, SOFT_IF_##condition(&cpu->flags)); \
		return SOFT_NEXT;                                     \
	}

SOFT_CONDITIONS(CONDITION)

#define RAX SOFT_REGISTER(64, SOFT_RAX * 8)

#define SIGN(name, statement)     \
	SOFT_HANDLER(name)        \
	{                         \
		statement;        \
		return SOFT_NEXT; \
	}

SIGN(cbw, SOFT_SET16(SOFT_RAX * 8, (uint16_t)(int8_t)RAX))
SIGN(cwde, SOFT_SET32(SOFT_RAX * 8, (uint32_t)(int16_t)RAX))
SIGN(cdqe, SOFT_SET64(SOFT_RAX * 8, (uint64_t)(int32_t)RAX))
SIGN(cwd, SOFT_SET16(SOFT_RDX * 8, (int16_t)RAX < 0 ? UINT16_MAX : 0))
SIGN(cdq, SOFT_SET32(SOFT_RDX * 8, (int32_t)RAX < 0 ? UINT32_MAX : 0))
SIGN(cqo, SOFT_SET64(SOFT_RDX * 8, (int64_t)RAX < 0 ? UINT64_MAX : 0))
SIGN(bswap16, SOFT_SET16(op->a, 0)) /* undefined by the SDM; what processors do */
SIGN(bswap32, SOFT_SET32(op->a, __builtin_bswap32(SOFT_A(32))))
SIGN(bswap64, SOFT_SET64(op->a, __builtin_bswap64(SOFT_A(64))))

/* CMPXCHG8B and 16B; the latter wants its operand aligned. */
SOFT_MEMORY_HANDLER(cmpxchg8b)
{
	uint64_t gva = soft_address(cpu, op), old, expected;

	SOFT_UPDATE_AT(64, at, gva, SOFT_LOCKED);
	expected = cpu->regs[SOFT_RDX] << 32 | (uint32_t)cpu->regs[SOFT_RAX];
	old = expected;
	__atomic_compare_exchange_n((uint64_t *)at, &old,
				    cpu->regs[SOFT_RCX] << 32 | (uint32_t)cpu->regs[SOFT_RBX],
				    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	SOFT_UPDATED();
	soft_flags_zf(&cpu->flags, old == expected);
	if (old != expected) {
		cpu->regs[SOFT_RAX] = (uint32_t)old;
		cpu->regs[SOFT_RDX] = old >> 32;
	}
	return SOFT_NEXT;
}

SOFT_MEMORY_HANDLER(cmpxchg16b)
{
	uint64_t gva = soft_address(cpu, op);
	uint128_t expected, old;

	if (gva % 16)
		return soft_raise_gp(cpu, op, left, 0);
	SOFT_UPDATE_AT(128, at, gva, SOFT_LOCKED);
	expected = (uint128_t)cpu->regs[SOFT_RDX] << 64 | cpu->regs[SOFT_RAX];
	old = *at;
	if (old == expected)
		*at = (uint128_t)cpu->regs[SOFT_RCX] << 64 | cpu->regs[SOFT_RBX];
	SOFT_UPDATED();
	soft_flags_zf(&cpu->flags, old == expected);
	if (old != expected) {
		cpu->regs[SOFT_RAX] = old;
		cpu->regs[SOFT_RDX] = old >> 64;
	}
	return SOFT_NEXT;
}

#define ROW_HOW(name, how, shape, ...)                    \
	{                                                 \
		ZYDIS_MNEMONIC_##name, shape, how, false, \
		{                                         \
			__VA_ARGS__                       \
		}                                         \
	}
#define RR SOFT_SHAPE(R, R, NONE)
#define RM SOFT_SHAPE(R, M, NONE)
#define MR SOFT_SHAPE(M, R, NONE)
#define ROWS_EXTEND(name, how, handler)                                               \
	ROW_HOW(name, how, RR, NULL, handler##_rr16, handler##_rr32, handler##_rr64), \
		ROW_HOW(name, how, RM, NULL, handler##_rm16, handler##_rm32, handler##_rm64)
#define ROWS_CONDITION(condition)                                                            \
	ROW_HOW(CMOV##condition, SOFT_PLAIN, RR, NULL, cmov##condition##_rr16,               \
		cmov##condition##_rr32, cmov##condition##_rr64),                             \
		ROW_HOW(CMOV##condition, SOFT_PLAIN, RM, NULL, cmov##condition##_rm16,       \
			cmov##condition##_rm32, cmov##condition##_rm64),                     \
		SOFT_ROW_ANY(SET##condition, SOFT_SHAPE(R, NONE, NONE), set##condition##_r), \
		SOFT_ROW_ANY(SET##condition, SOFT_SHAPE(M, NONE, NONE), set##condition##_m),

const struct soft_form soft_forms_move[] = {
	SOFT_ROW(MOV, RR, mov_rr),
	SOFT_ROW(MOV, SOFT_SHAPE(R, I, NONE), mov_ri),
	SOFT_ROW(MOV, RM, mov_rm),
	SOFT_ROW(MOV, MR, mov_mr),
	SOFT_ROW(MOV, SOFT_SHAPE(M, I, NONE), mov_mi),
	SOFT_ROW(MOVNTI, MR, mov_mr),
	SOFT_ROW(LEA, RM, lea),
	SOFT_ROW(XCHG, RR, xchg_rr),
	SOFT_ROW(XCHG, MR, xchg_m),
	SOFT_ROW(XADD, RR, xadd_r),
	SOFT_ROW(XADD, MR, xadd_m),
	{ZYDIS_MNEMONIC_XADD, MR, SOFT_LOCK, false, SOFT_WIDTHS(xadd_locked)},
	SOFT_ROW(CMPXCHG, RR, cmpxchg_r),
	SOFT_ROW(CMPXCHG, MR, cmpxchg_m),
	{ZYDIS_MNEMONIC_CMPXCHG, MR, SOFT_LOCK, false, SOFT_WIDTHS(cmpxchg_locked)},
	SOFT_ROW_ANY(CMPXCHG8B, SOFT_SHAPE(M, NONE, NONE), cmpxchg8b),
	{ZYDIS_MNEMONIC_CMPXCHG8B, SOFT_SHAPE(M, NONE, NONE), SOFT_LOCK, false,
	 SOFT_ANY(cmpxchg8b)},
	SOFT_ROW_ANY(CMPXCHG16B, SOFT_SHAPE(M, NONE, NONE), cmpxchg16b),
	{ZYDIS_MNEMONIC_CMPXCHG16B, SOFT_SHAPE(M, NONE, NONE), SOFT_LOCK, false,
	 SOFT_ANY(cmpxchg16b)},
	ROWS_EXTEND(MOVZX, SOFT_FROM8, movzx8),
	ROWS_EXTEND(MOVZX, SOFT_FROM16, movzx16),
	ROWS_EXTEND(MOVSX, SOFT_FROM8, movsx8),
	ROWS_EXTEND(MOVSX, SOFT_FROM16, movsx16),
	ROWS_EXTEND(MOVSXD, SOFT_FROM16, movsx16),
	ROWS_EXTEND(MOVSXD, SOFT_FROM32, movsx32),
	SOFT_CONDITIONS(ROWS_CONDITION) SOFT_ROW_ANY(CBW, 0, cbw),
	SOFT_ROW_ANY(CWDE, 0, cwde),
	SOFT_ROW_ANY(CDQE, 0, cdqe),
	SOFT_ROW_ANY(CWD, 0, cwd),
	SOFT_ROW_ANY(CDQ, 0, cdq),
	SOFT_ROW_ANY(CQO, 0, cqo),
	ROW_HOW(BSWAP, SOFT_PLAIN, SOFT_SHAPE(R, NONE, NONE), NULL, bswap16, bswap32, bswap64),
	{0},
};
