/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single bits (BT and its kin), bit scans and counts, MOVBE, CRC32, and the flags' own
 * instructions. */
#include "vmm/soft/exec.h"

#define BTS_VALUE(value, bit) ((value) | (bit))
#define BTR_VALUE(value, bit) ((value) & ~(bit))
#define BTC_VALUE(value, bit) ((value) ^ (bit))

/* A register's bit number may lead anywhere in memory, an immediate's stays in the operand. */
#define BIT_ADDRESS_mi(N) soft_address(cpu, op)
#define BIT_ADDRESS_mr(N) (soft_address(cpu, op) + ((int##N##_t)SOFT_A(N) >> BIT_LOG##N) * (N / 8))
#define BIT_LOG16         4
#define BIT_LOG32         5
#define BIT_LOG64         6

#define BIT_REGISTER(F, f, N, shape, number)                                \
	SOFT_HANDLER(f##_##shape##N)                                        \
	{                                                                   \
		unsigned int at = (number) % N;                             \
		uint##N##_t value = SOFT_A(N);                              \
                                                                            \
		soft_flags_cf(&cpu->flags, value >> at & 1);                \
		SOFT_SET##N(op->a, F##_VALUE(value, (uint##N##_t)1 << at)); \
		return SOFT_NEXT;                                           \
	}

#define BIT_MEMORY(F, f, N, shape, number)                                     \
	SOFT_MEMORY_HANDLER(f##_##shape##N)                                    \
	{                                                                      \
		uint64_t gva = BIT_ADDRESS_##shape(N);                         \
		uint##N##_t bit = (uint##N##_t)1 << (number) % N, old;         \
                                                                               \
		SOFT_UPDATE_AT(N, at, gva, SOFT_UPDATE);                       \
		old = *at;                                                     \
		*at = F##_VALUE(old, bit);                                     \
		SOFT_UPDATED();                                                \
		soft_flags_cf(&cpu->flags, old &bit);                          \
		return SOFT_NEXT;                                              \
	}                                                                      \
                                                                               \
	SOFT_MEMORY_HANDLER(f##_locked_##shape##N)                             \
	{                                                                      \
		uint64_t gva = BIT_ADDRESS_##shape(N);                         \
		uint##N##_t bit = (uint##N##_t)1 << (number) % N, old;         \
                                                                               \
		SOFT_UPDATE_AT(N, at, gva, SOFT_LOCKED);                       \
		do {                                                           \
			old = *at;                                             \
		} while (!__sync_bool_compare_and_swap((uint##N##_t *)at, old, \
						       F##_VALUE(old, bit)));  \
		SOFT_UPDATED();                                                \
		soft_flags_cf(&cpu->flags, old &bit);                          \
		return SOFT_NEXT;                                              \
	}

#define BIT_TEST_REGISTER(N, shape, number)                                \
	SOFT_HANDLER(bt_##shape##N)                                        \
	{                                                                  \
		soft_flags_cf(&cpu->flags, SOFT_A(N) >> (number) % N & 1); \
		return SOFT_NEXT;                                          \
	}

#define BIT_TEST(N, shape, number)                                     \
	SOFT_MEMORY_HANDLER(bt_##shape##N)                             \
	{                                                              \
		uint64_t gva = BIT_ADDRESS_##shape(N);                 \
                                                                       \
		SOFT_READ_AT(N, from, gva);                            \
		soft_flags_cf(&cpu->flags, *from >> (number) % N & 1); \
		return SOFT_NEXT;                                      \
	}

#define BIT_ALL(F, f, N)                       \
	BIT_REGISTER(F, f, N, ri, SOFT_IMM(8)) \
	BIT_REGISTER(F, f, N, rr, SOFT_B(N))   \
	BIT_MEMORY(F, f, N, mi, SOFT_IMM(8))   \
	BIT_MEMORY(F, f, N, mr, SOFT_A(N))

/* f(value, &cpu->flags, the destination as it is): the new destination. */
#define SCAN(f, N)                                    \
	SOFT_HANDLER(f##_rr##N)                       \
	{                                             \
		f##N(cpu, op, SOFT_B(N));             \
		return SOFT_NEXT;                     \
	}                                             \
                                                      \
	SOFT_MEMORY_HANDLER(f##_rm##N)                \
	{                                             \
		uint64_t gva = soft_address(cpu, op); \
                                                      \
		SOFT_READ_AT(N, from, gva);           \
		f##N(cpu, op, *from);                 \
		return SOFT_NEXT;                     \
	}

/* BSF and BSR of 0 leave their destination, all of it, as it is. */
#define SCANS(N)                                                                                  \
	static inline void bsf##N(struct soft_cpu *cpu, struct soft_op *op, uint##N##_t value)    \
	{                                                                                         \
		soft_logic##N(&cpu->flags, value);                                                \
		if (value)                                                                        \
			SOFT_SET##N(op->a, __builtin_ctzll(value));                               \
	}                                                                                         \
                                                                                                  \
	static inline void bsr##N(struct soft_cpu *cpu, struct soft_op *op, uint##N##_t value)    \
	{                                                                                         \
		soft_logic##N(&cpu->flags, value);                                                \
		if (value)                                                                        \
			SOFT_SET##N(op->a, 63 - __builtin_clzll(value));                          \
	}                                                                                         \
                                                                                                  \
	static inline void tzcnt##N(struct soft_cpu *cpu, struct soft_op *op, uint##N##_t value)  \
	{                                                                                         \
		uint##N##_t count = value ? __builtin_ctzll(value) : N;                           \
                                                                                                  \
		soft_logic##N(&cpu->flags, count);                                                \
		soft_flags_carry(&cpu->flags, !value, false);                                     \
		SOFT_SET##N(op->a, count);                                                        \
	}                                                                                         \
                                                                                                  \
	static inline void lzcnt##N(struct soft_cpu *cpu, struct soft_op *op, uint##N##_t value)  \
	{                                                                                         \
		uint##N##_t count = value ? __builtin_clzll(value) - (64 - N) : N;                \
                                                                                                  \
		soft_logic##N(&cpu->flags, count);                                                \
		soft_flags_carry(&cpu->flags, !value, false);                                     \
		SOFT_SET##N(op->a, count);                                                        \
	}                                                                                         \
                                                                                                  \
	static inline void popcnt##N(struct soft_cpu *cpu, struct soft_op *op, uint##N##_t value) \
	{                                                                                         \
		soft_flags_write(&cpu->flags, value ? 0 : SOFT_ZF);                               \
		SOFT_SET##N(op->a, __builtin_popcountll(value));                                  \
	}                                                                                         \
                                                                                                  \
	SCAN(bsf, N)                                                                              \
	SCAN(bsr, N)                                                                              \
	SCAN(tzcnt, N)                                                                            \
	SCAN(lzcnt, N)                                                                            \
	SCAN(popcnt, N)

#define MOVBE(N)                                                   \
	SOFT_MEMORY_HANDLER(movbe_rm##N)                           \
	{                                                          \
		uint64_t gva = soft_address(cpu, op);              \
                                                                   \
		SOFT_READ_AT(N, from, gva);                        \
		SOFT_SET##N(op->a, __builtin_bswap##N(*from));     \
		return SOFT_NEXT;                                  \
	}                                                          \
                                                                   \
	SOFT_MEMORY_HANDLER(movbe_mr##N)                           \
	{                                                          \
		uint64_t gva = soft_address(cpu, op);              \
                                                                   \
		SOFT_WRITE(N, gva, __builtin_bswap##N(SOFT_A(N))); \
		return SOFT_NEXT;                                  \
	}

#define ALL(N)                                \
	BIT_TEST_REGISTER(N, ri, SOFT_IMM(8)) \
	BIT_TEST_REGISTER(N, rr, SOFT_B(N))   \
	BIT_TEST(N, mi, SOFT_IMM(8))          \
	BIT_TEST(N, mr, SOFT_A(N))            \
	BIT_ALL(BTS, bts, N)                  \
	BIT_ALL(BTR, btr, N)                  \
	BIT_ALL(BTC, btc, N)                  \
	SCANS(N)                              \
	MOVBE(N)

ALL(16)
ALL(32)
ALL(64)

/* CRC32 by the Castagnoli polynomial, its bits reversed (SDM vol. 2A). */
static uint32_t crc32c(uint32_t crc, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++) {
		crc ^= (uint8_t)(value >> 8 * i);
		for (unsigned int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

#define CRC32(N)                                                         \
	SOFT_HANDLER(crc32_rr##N)                                        \
	{                                                                \
		SOFT_SET32(op->a, crc32c(SOFT_A(32), SOFT_B(N), N / 8)); \
		return SOFT_NEXT;                                        \
	}                                                                \
                                                                         \
	SOFT_MEMORY_HANDLER(crc32_rm##N)                                 \
	{                                                                \
		uint64_t gva = soft_address(cpu, op);                    \
                                                                         \
		SOFT_READ_AT(N, from, gva);                              \
		SOFT_SET32(op->a, crc32c(SOFT_A(32), *from, N / 8));     \
		return SOFT_NEXT;                                        \
	}

CRC32(8)
CRC32(16)
CRC32(32)
CRC32(64)

#define FLAG(name, statement)     \
	SOFT_HANDLER(name)        \
	{                         \
		statement;        \
		return SOFT_NEXT; \
	}

#define AH        SOFT_REGISTER(8, 1)
#define SAHF_BITS (SOFT_SF | SOFT_ZF | SOFT_AF | SOFT_PF | SOFT_CF)

FLAG(clc, soft_flags_cf(&cpu->flags, false))
FLAG(stc, soft_flags_cf(&cpu->flags, true))
FLAG(cmc, soft_flags_cf(&cpu->flags, !soft_cf(&cpu->flags)))
FLAG(cld, cpu->rflags &= ~SOFT_DF)
FLAG(std, cpu->rflags |= SOFT_DF)
FLAG(lahf, AH = (soft_flags_read(&cpu->flags) & SAHF_BITS) | 2)
FLAG(sahf, soft_flags_write(&cpu->flags, (AH & SAHF_BITS) | (soft_of(&cpu->flags) ? SOFT_OF : 0)))

#define ROW3(name, how, shape, handler)                             \
	{                                                           \
		ZYDIS_MNEMONIC_##name, shape, how, false,           \
		{                                                   \
			NULL, handler##16, handler##32, handler##64 \
		}                                                   \
	}
#define RR SOFT_SHAPE(R, R, NONE)
#define RI SOFT_SHAPE(R, I, NONE)
#define RM SOFT_SHAPE(R, M, NONE)
#define MR SOFT_SHAPE(M, R, NONE)
#define MI SOFT_SHAPE(M, I, NONE)
#define ROWS_BIT(name, f)                                                       \
	ROW3(name, SOFT_PLAIN, RR, f##_rr), ROW3(name, SOFT_PLAIN, RI, f##_ri), \
		ROW3(name, SOFT_PLAIN, MR, f##_mr), ROW3(name, SOFT_PLAIN, MI, f##_mi)
#define ROWS_BIT_LOCK(name, f) \
	ROW3(name, SOFT_LOCK, MR, f##_locked_mr), ROW3(name, SOFT_LOCK, MI, f##_locked_mi)
#define ROWS_SCAN(name, f) ROW3(name, SOFT_PLAIN, RR, f##_rr), ROW3(name, SOFT_PLAIN, RM, f##_rm)
#define ROW_CRC(how, shape, handler)                                       \
	{                                                                  \
		ZYDIS_MNEMONIC_CRC32, shape, how, false, SOFT_ANY(handler) \
	}

const struct soft_form soft_forms_bits[] = {
	ROWS_BIT(BT, bt),
	ROWS_BIT(BTS, bts),
	ROWS_BIT(BTR, btr),
	ROWS_BIT(BTC, btc),
	ROWS_BIT_LOCK(BTS, bts),
	ROWS_BIT_LOCK(BTR, btr),
	ROWS_BIT_LOCK(BTC, btc),
	ROWS_SCAN(BSF, bsf),
	ROWS_SCAN(BSR, bsr),
	ROWS_SCAN(TZCNT, tzcnt),
	ROWS_SCAN(LZCNT, lzcnt),
	ROWS_SCAN(POPCNT, popcnt),
	ROW3(MOVBE, SOFT_PLAIN, RM, movbe_rm),
	ROW3(MOVBE, SOFT_PLAIN, MR, movbe_mr),
	ROW_CRC(SOFT_FROM8, RR, crc32_rr8),
	ROW_CRC(SOFT_FROM8, RM, crc32_rm8),
	ROW_CRC(SOFT_FROM16, RR, crc32_rr16),
	ROW_CRC(SOFT_FROM16, RM, crc32_rm16),
	ROW_CRC(SOFT_FROM32, RR, crc32_rr32),
	ROW_CRC(SOFT_FROM32, RM, crc32_rm32),
	ROW_CRC(SOFT_FROM64, RR, crc32_rr64),
	ROW_CRC(SOFT_FROM64, RM, crc32_rm64),
	SOFT_ROW_ANY(CLC, 0, clc),
	SOFT_ROW_ANY(STC, 0, stc),
	SOFT_ROW_ANY(CMC, 0, cmc),
	SOFT_ROW_ANY(CLD, 0, cld),
	SOFT_ROW_ANY(STD, 0, std),
	SOFT_ROW_ANY(LAHF, 0, lahf),
	SOFT_ROW_ANY(SAHF, 0, sahf),
	{0},
};
