/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shifts and rotates. A count of 0, after it was cut to 5 or 6 bits, changes no flag. */
#include "vmm/soft/exec.h"

#define TOP(N, value) ((value) >> ((N)-1) & 1)

/* Each takes and returns the value; @count is 1 to 31, or 63. */
#define SHIFTS_OF(N)                                                                              \
	static inline uint##N##_t shl##N(struct soft_flags *flags, uint##N##_t a, unsigned count) \
	{                                                                                         \
		uint##N##_t before = count <= N ? (uint##N##_t)(a << (count - 1)) : 0;            \
		uint##N##_t result = before << 1;                                                 \
                                                                                                  \
		soft_logic##N(flags, result);                                                     \
		soft_flags_carry(flags, TOP(N, before), TOP(N, before) != TOP(N, result));        \
		return result;                                                                    \
	}                                                                                         \
                                                                                                  \
	static inline uint##N##_t shr##N(struct soft_flags *flags, uint##N##_t a, unsigned count) \
	{                                                                                         \
		uint##N##_t before = count <= N ? a >> (count - 1) : 0;                           \
		uint##N##_t result = before >> 1;                                                 \
                                                                                                  \
		soft_logic##N(flags, result);                                                     \
		soft_flags_carry(flags, before & 1, TOP(N, before));                              \
		return result;                                                                    \
	}                                                                                         \
                                                                                                  \
	static inline uint##N##_t sar##N(struct soft_flags *flags, uint##N##_t a, unsigned count) \
	{                                                                                         \
		int##N##_t before = (int##N##_t)a >> (count <= N ? count - 1 : N - 1);            \
		uint##N##_t result = before >> 1;                                                 \
                                                                                                  \
		soft_logic##N(flags, result);                                                     \
		soft_flags_carry(flags, before & 1, false);                                       \
		return result;                                                                    \
	}                                                                                         \
                                                                                                  \
	static inline uint##N##_t rol##N(struct soft_flags *flags, uint##N##_t a, unsigned count) \
	{                                                                                         \
		unsigned by = count % N;                                                          \
		uint##N##_t result = by ? a << by | a >> (N - by) : a;                            \
                                                                                                  \
		soft_flags_carry(flags, result & 1, TOP(N, result) != (result & 1));              \
		return result;                                                                    \
	}                                                                                         \
                                                                                                  \
	static inline uint##N##_t ror##N(struct soft_flags *flags, uint##N##_t a, unsigned count) \
	{                                                                                         \
		unsigned by = count % N;                                                          \
		uint##N##_t result = by ? a >> by | a << (N - by) : a;                            \
                                                                                                  \
		soft_flags_carry(flags, TOP(N, result), TOP(N, result) != TOP(N, result << 1));   \
		return result;                                                                    \
	}                                                                                         \
                                                                                                  \
	static inline uint##N##_t rcl##N(struct soft_flags *flags, uint##N##_t a, unsigned count) \
	{                                                                                         \
		bool carry = soft_cf(flags), out;                                                 \
                                                                                                  \
		for (count %= N + 1; count; count--, carry = out) {                               \
			out = TOP(N, a);                                                          \
			a = a << 1 | carry;                                                       \
		}                                                                                 \
		soft_flags_carry(flags, carry, TOP(N, a) != carry);                               \
		return a;                                                                         \
	}                                                                                         \
                                                                                                  \
	static inline uint##N##_t rcr##N(struct soft_flags *flags, uint##N##_t a, unsigned count) \
	{                                                                                         \
		bool carry = soft_cf(flags), out;                                                 \
                                                                                                  \
		for (count %= N + 1; count; count--, carry = out) {                               \
			out = a & 1;                                                              \
			a = a >> 1 | (uint##N##_t)carry << (N - 1);                               \
		}                                                                                 \
		soft_flags_carry(flags, carry, TOP(N, a) != TOP(N, a << 1));                      \
		return a;                                                                         \
	}

SHIFTS_OF(8)
SHIFTS_OF(16)
SHIFTS_OF(32)
SHIFTS_OF(64)

/* Of two: @b's bits come in. With 16 bits and a count beyond them, @a's follow (undefined). */
#define DOUBLES_OF(N)                                                                             \
	static inline uint##N##_t shld##N(struct soft_flags *flags, uint##N##_t a, uint##N##_t b, \
					  unsigned count)                                         \
	{                                                                                         \
		unsigned by = count % N;                                                          \
		uint##N##_t high = count < N ? a : b, low = count < N ? b : a;                    \
		uint##N##_t result = by ? high << by | low >> (N - by) : high;                    \
		bool carry = by ? high >> (N - by) & 1 : a & 1;                                   \
                                                                                                  \
		soft_logic##N(flags, result);                                                     \
		soft_flags_carry(flags, carry, TOP(N, a) != TOP(N, result));                      \
		return result;                                                                    \
	}                                                                                         \
                                                                                                  \
	static inline uint##N##_t shrd##N(struct soft_flags *flags, uint##N##_t a, uint##N##_t b, \
					  unsigned count)                                         \
	{                                                                                         \
		unsigned by = count % N;                                                          \
		uint##N##_t low = count < N ? a : b, high = count < N ? b : a;                    \
		uint##N##_t result = by ? low >> by | high << (N - by) : low;                     \
		bool carry = by ? low >> (by - 1) & 1 : TOP(N, a);                                \
                                                                                                  \
		soft_logic##N(flags, result);                                                     \
		soft_flags_carry(flags, carry, TOP(N, a) != TOP(N, result));                      \
		return result;                                                                    \
	}

DOUBLES_OF(16)
DOUBLES_OF(32)
DOUBLES_OF(64)

#define COUNT_MASK8  31
#define COUNT_MASK16 31
#define COUNT_MASK32 31
#define COUNT_MASK64 63

/*
 * The count is an immediate or CL; where the destination is memory CL is register operand a. A
 * 32-bit register's upper half is cleared by a count of 0 too.
 */
#define SHIFT(f, N, shape_r, shape_m, count_r, count_m)                                      \
	SOFT_HANDLER(f##_##shape_r##N)                                                       \
	{                                                                                    \
		unsigned count = (count_r)&COUNT_MASK##N;                                    \
                                                                                             \
		SOFT_SET##N(op->a, count ? f##N(&cpu->flags, SOFT_A(N), count) : SOFT_A(N)); \
		return SOFT_NEXT;                                                            \
	}                                                                                    \
                                                                                             \
	SOFT_MEMORY_HANDLER(f##_##shape_m##N)                                                \
	{                                                                                    \
		uint64_t gva = soft_address(cpu, op);                                        \
		unsigned count = (count_m)&COUNT_MASK##N;                                    \
		struct soft_flags flags = cpu->flags;                                        \
                                                                                             \
		SOFT_UPDATE_AT(N, at, gva, SOFT_UPDATE);                                     \
		if (count)                                                                   \
			*at = f##N(&flags, *at, count);                                      \
		SOFT_UPDATED();                                                              \
		cpu->flags = flags;                                                          \
		return SOFT_NEXT;                                                            \
	}

#define CL SOFT_REGISTER(8, SOFT_RCX * 8)

#define SHIFT_FORMS(f, N)                             \
	SHIFT(f, N, ri, mi, SOFT_IMM(8), SOFT_IMM(8)) \
	SHIFT(f, N, rc, mc, CL, CL)

#define DOUBLE(f, N, shape_r, shape_m, count_in)                                                 \
	SOFT_HANDLER(f##_##shape_r##N)                                                           \
	{                                                                                        \
		unsigned count = (count_in)&COUNT_MASK##N;                                       \
                                                                                                 \
		SOFT_SET##N(op->a,                                                               \
			    count ? f##N(&cpu->flags, SOFT_A(N), SOFT_B(N), count) : SOFT_A(N)); \
		return SOFT_NEXT;                                                                \
	}                                                                                        \
                                                                                                 \
	SOFT_MEMORY_HANDLER(f##_##shape_m##N)                                                    \
	{                                                                                        \
		uint64_t gva = soft_address(cpu, op);                                            \
		unsigned count = (count_in)&COUNT_MASK##N;                                       \
		struct soft_flags flags = cpu->flags;                                            \
                                                                                                 \
		SOFT_UPDATE_AT(N, at, gva, SOFT_UPDATE);                                         \
		if (count)                                                                       \
			*at = f##N(&flags, *at, SOFT_A(N), count);                               \
		SOFT_UPDATED();                                                                  \
		cpu->flags = flags;                                                              \
		return SOFT_NEXT;                                                                \
	}

#define DOUBLE_FORMS(f, N)                  \
	DOUBLE(f, N, rri, mri, SOFT_IMM(8)) \
	DOUBLE(f, N, rrc, mrc, CL)

#define ALL(N)              \
	SHIFT_FORMS(shl, N) \
	SHIFT_FORMS(shr, N) \
	SHIFT_FORMS(sar, N) \
	SHIFT_FORMS(rol, N) \
	SHIFT_FORMS(ror, N) \
	SHIFT_FORMS(rcl, N) \
	SHIFT_FORMS(rcr, N)

ALL(8)
ALL(16)
ALL(32)
ALL(64)
DOUBLE_FORMS(shld, 16)
DOUBLE_FORMS(shld, 32)
DOUBLE_FORMS(shld, 64)
DOUBLE_FORMS(shrd, 16)
DOUBLE_FORMS(shrd, 32)
DOUBLE_FORMS(shrd, 64)

#define ROWS_SHIFT(name, f)                                     \
	SOFT_ROW(name, SOFT_SHAPE(R, I, NONE), f##_ri),         \
		SOFT_ROW(name, SOFT_SHAPE(M, I, NONE), f##_mi), \
		SOFT_ROW(name, SOFT_SHAPE(R, R, NONE), f##_rc), \
		SOFT_ROW(name, SOFT_SHAPE(M, R, NONE), f##_mc)
#define ROW_DOUBLE(name, shape, handler)                            \
	{                                                           \
		ZYDIS_MNEMONIC_##name, shape, SOFT_PLAIN, false,    \
		{                                                   \
			NULL, handler##16, handler##32, handler##64 \
		}                                                   \
	}
#define ROWS_DOUBLE(name, f)                                    \
	ROW_DOUBLE(name, SOFT_SHAPE(R, R, I), f##_rri),         \
		ROW_DOUBLE(name, SOFT_SHAPE(M, R, I), f##_mri), \
		ROW_DOUBLE(name, SOFT_SHAPE(R, R, R), f##_rrc), \
		ROW_DOUBLE(name, SOFT_SHAPE(M, R, R), f##_mrc)

const struct soft_form soft_forms_shift[] = {
	ROWS_SHIFT(SHL, shl),    ROWS_SHIFT(SHR, shr),
	ROWS_SHIFT(SAR, sar),    ROWS_SHIFT(ROL, rol),
	ROWS_SHIFT(ROR, ror),    ROWS_SHIFT(RCL, rcl),
	ROWS_SHIFT(RCR, rcr),    ROWS_DOUBLE(SHLD, shld),
	ROWS_DOUBLE(SHRD, shrd), {0},
};
