/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The arithmetic flags, kept as what they are made from until somebody asks.
 *
 *   result   the last result, sign-extended to 64 bits. ZF: it is 0. SF: its bit 63. PF: its low
 *            byte has an even number of ones.
 *   carries  the carries (or borrows) out of each bit, shifted so that the one out of the
 *            operand's top bit is bit 63 and the one into it bit 62, with the one out of bit 3
 *            left in place. CF: bit 63. OF: bits 63 and 62 differ. AF: bit 3.
 *   twist    what is xored to result for SF and PF, so that any combination can be written down:
 *            not 0 only after POPF and the like.
 *
 * So an addition stores three words and a conditional jump looks at one, or two.
 *
 * Where the SDM leaves a flag undefined, it is here: after logic operations AF 0; after shifts AF
 * 0 and OF as for a shift by one; after multiplications SF, ZF, PF of the low half and AF 0; after
 * divisions all as before; after BSF and BSR of the source (CF, OF, AF 0); after BT and its kin all
 * but CF as before. SDM vol. 1 appendix A.
 */
#ifndef VMM_SOFT_FLAGS_H
#define VMM_SOFT_FLAGS_H

#include "vmm/soft/cpu.h"

#define SOFT_CARRY_OUT (1ull << 63)
#define SOFT_CARRY_IN  (1ull << 62)
#define SOFT_CARRY_AUX (1ull << 3)

static inline bool soft_cf(const struct soft_flags *flags)
{
	return flags->carries >> 63;
}

static inline bool soft_of(const struct soft_flags *flags)
{
	return (flags->carries ^ flags->carries << 1) >> 63;
}

static inline bool soft_zf(const struct soft_flags *flags)
{
	return flags->result == 0;
}

static inline bool soft_sf(const struct soft_flags *flags)
{
	return (flags->result ^ flags->twist) >> 63;
}

static inline bool soft_pf(const struct soft_flags *flags)
{
	return !__builtin_parity((flags->result ^ flags->twist) & 0xff);
}

static inline bool soft_af(const struct soft_flags *flags)
{
	return flags->carries & SOFT_CARRY_AUX;
}

static inline uint64_t soft_flags_read(const struct soft_flags *flags)
{
	return (soft_cf(flags) ? SOFT_CF : 0) | (soft_pf(flags) ? SOFT_PF : 0) |
	       (soft_af(flags) ? SOFT_AF : 0) | (soft_zf(flags) ? SOFT_ZF : 0) |
	       (soft_sf(flags) ? SOFT_SF : 0) | (soft_of(flags) ? SOFT_OF : 0);
}

static inline void soft_flags_carry(struct soft_flags *flags, bool carry, bool overflow)
{
	flags->carries &= ~(SOFT_CARRY_OUT | SOFT_CARRY_IN);
	flags->carries |= (carry ? SOFT_CARRY_OUT : 0) | (carry != overflow ? SOFT_CARRY_IN : 0);
}

static inline void soft_flags_write(struct soft_flags *flags, uint64_t rflags)
{
	/* 0x100: neither zero nor negative, and parity even. */
	flags->result = rflags & SOFT_ZF ? 0 : 0x100;
	flags->twist = (rflags & SOFT_SF ? 1ull << 63 : 0) | (rflags & SOFT_PF ? 0 : 1);
	flags->carries = rflags & SOFT_AF ? SOFT_CARRY_AUX : 0;
	soft_flags_carry(flags, rflags & SOFT_CF, rflags & SOFT_OF);
}

static inline void soft_flags_zf(struct soft_flags *flags, bool zf)
{
	uint64_t rest = soft_flags_read(flags) & ~SOFT_ZF;

	soft_flags_write(flags, rest | (zf ? SOFT_ZF : 0));
}

static inline void soft_flags_cf(struct soft_flags *flags, bool cf)
{
	soft_flags_carry(flags, cf, soft_of(flags));
}

/* The sixteen conditions of Jcc, SETcc, CMOVcc (SDM vol. 1 appendix B); X(name of the SDM). */
#define SOFT_CONDITIONS(X) \
	X(O)               \
	X(NO)              \
	X(B)               \
	X(NB)              \
	X(Z)               \
	X(NZ)              \
	X(BE)              \
	X(NBE)             \
	X(S)               \
	X(NS)              \
	X(P)               \
	X(NP)              \
	X(L)               \
	X(NL)              \
	X(LE)              \
	X(NLE)

#define SOFT_IF_O(flags)   soft_of(flags)
#define SOFT_IF_NO(flags)  (!soft_of(flags))
#define SOFT_IF_B(flags)   soft_cf(flags)
#define SOFT_IF_NB(flags)  (!soft_cf(flags))
#define SOFT_IF_Z(flags)   soft_zf(flags)
#define SOFT_IF_NZ(flags)  (!soft_zf(flags))
#define SOFT_IF_BE(flags)  (soft_cf(flags) || soft_zf(flags))
#define SOFT_IF_NBE(flags) (!SOFT_IF_BE(flags))
#define SOFT_IF_S(flags)   soft_sf(flags)
#define SOFT_IF_NS(flags)  (!soft_sf(flags))
#define SOFT_IF_P(flags)   soft_pf(flags)
#define SOFT_IF_NP(flags)  (!soft_pf(flags))
#define SOFT_IF_L(flags)   (soft_sf(flags) != soft_of(flags))
#define SOFT_IF_NL(flags)  (!SOFT_IF_L(flags))
#define SOFT_IF_LE(flags)  (soft_zf(flags) || SOFT_IF_L(flags))
#define SOFT_IF_NLE(flags) (!SOFT_IF_LE(flags))

/*
 * The arithmetic of one width: soft_add8() to soft_add64() and so on, each of which returns the
 * result and writes the flags.
 */
#define SOFT_ARITHMETIC_OF(N)                                                                 \
	static inline void soft_flags_set##N(struct soft_flags *flags, uint##N##_t result,    \
					     uint##N##_t carries)                             \
	{                                                                                     \
		flags->result = (int64_t)(int##N##_t)result;                                  \
		flags->carries = carries | (uint64_t)carries << (64 - N);                     \
		flags->twist = 0;                                                             \
	}                                                                                     \
                                                                                              \
	static inline uint##N##_t soft_add_carry##N(struct soft_flags *flags, uint##N##_t a,  \
						    uint##N##_t b, bool carry)                \
	{                                                                                     \
		uint##N##_t sum = a + b + carry;                                              \
                                                                                              \
		soft_flags_set##N(flags, sum, (a & b) | ((a | b) & ~sum));                    \
		return sum;                                                                   \
	}                                                                                     \
                                                                                              \
	static inline uint##N##_t soft_sub_borrow##N(struct soft_flags *flags, uint##N##_t a, \
						     uint##N##_t b, bool borrow)              \
	{                                                                                     \
		uint##N##_t difference = a - b - borrow;                                      \
                                                                                              \
		soft_flags_set##N(flags, difference, (~a & b) | ((~a | b) & difference));     \
		return difference;                                                            \
	}                                                                                     \
                                                                                              \
	static inline uint##N##_t soft_logic##N(struct soft_flags *flags, uint##N##_t result) \
	{                                                                                     \
		soft_flags_set##N(flags, result, 0);                                          \
		return result;                                                                \
	}                                                                                     \
                                                                                              \
	static inline uint##N##_t soft_add##N(struct soft_flags *flags, uint##N##_t a,        \
					      uint##N##_t b)                                  \
	{                                                                                     \
		return soft_add_carry##N(flags, a, b, false);                                 \
	}                                                                                     \
                                                                                              \
	static inline uint##N##_t soft_adc##N(struct soft_flags *flags, uint##N##_t a,        \
					      uint##N##_t b)                                  \
	{                                                                                     \
		return soft_add_carry##N(flags, a, b, soft_cf(flags));                        \
	}                                                                                     \
                                                                                              \
	static inline uint##N##_t soft_sub##N(struct soft_flags *flags, uint##N##_t a,        \
					      uint##N##_t b)                                  \
	{                                                                                     \
		return soft_sub_borrow##N(flags, a, b, false);                                \
	}                                                                                     \
                                                                                              \
	static inline uint##N##_t soft_sbb##N(struct soft_flags *flags, uint##N##_t a,        \
					      uint##N##_t b)                                  \
	{                                                                                     \
		return soft_sub_borrow##N(flags, a, b, soft_cf(flags));                       \
	}                                                                                     \
                                                                                              \
	static inline uint##N##_t soft_and##N(struct soft_flags *flags, uint##N##_t a,        \
					      uint##N##_t b)                                  \
	{                                                                                     \
		return soft_logic##N(flags, a & b);                                           \
	}                                                                                     \
                                                                                              \
	static inline uint##N##_t soft_or##N(struct soft_flags *flags, uint##N##_t a,         \
					     uint##N##_t b)                                   \
	{                                                                                     \
		return soft_logic##N(flags, a | b);                                           \
	}                                                                                     \
                                                                                              \
	static inline uint##N##_t soft_xor##N(struct soft_flags *flags, uint##N##_t a,        \
					      uint##N##_t b)                                  \
	{                                                                                     \
		return soft_logic##N(flags, a ^ b);                                           \
	}                                                                                     \
                                                                                              \
	static inline uint##N##_t soft_neg##N(struct soft_flags *flags, uint##N##_t a)        \
	{                                                                                     \
		return soft_sub_borrow##N(flags, 0, a, false);                                \
	}                                                                                     \
                                                                                              \
	/* INC and DEC leave CF: bits 63 and 62 turn together, so OF stays what it became. */ \
	static inline uint##N##_t soft_inc##N(struct soft_flags *flags, uint##N##_t a)        \
	{                                                                                     \
		bool cf = soft_cf(flags);                                                     \
		uint##N##_t result = soft_add##N(flags, a, 1);                                \
                                                                                              \
		soft_flags_cf(flags, cf);                                                     \
		return result;                                                                \
	}                                                                                     \
                                                                                              \
	static inline uint##N##_t soft_dec##N(struct soft_flags *flags, uint##N##_t a)        \
	{                                                                                     \
		bool cf = soft_cf(flags);                                                     \
		uint##N##_t result = soft_sub##N(flags, a, 1);                                \
                                                                                              \
		soft_flags_cf(flags, cf);                                                     \
		return result;                                                                \
	}

SOFT_ARITHMETIC_OF(8)
SOFT_ARITHMETIC_OF(16)
SOFT_ARITHMETIC_OF(32)
SOFT_ARITHMETIC_OF(64)

#endif
