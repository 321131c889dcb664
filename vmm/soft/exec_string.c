/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions. With REP each iteration counts as an instruction and may be the last of a
 * chunk, so interrupts, faults and steps come between them as they should; MOVS and STOS upwards
 * do as many as lie in one page at once, with the same count.
 *
 * The op's a is the source's segment if it is FS or GS, b says that addresses and counts have 32
 * bits.
 */
#include "vmm/soft/exec.h"

/* What the bodies return when one element is done; anything else is the handler's result. */
static struct soft_op done;

static inline uint64_t index_of(const struct soft_cpu *cpu, const struct soft_op *op,
				enum soft_reg reg)
{
	return op->b ? (uint32_t)cpu->regs[reg] : cpu->regs[reg];
}

static inline uint64_t source_of(const struct soft_cpu *cpu, const struct soft_op *op)
{
	return index_of(cpu, op, SOFT_RSI) + (op->a ? cpu->segments[op->a].base : 0);
}

static inline void add_to(struct soft_cpu *cpu, const struct soft_op *op, enum soft_reg reg,
			  int64_t by)
{
	uint64_t sum = cpu->regs[reg] + by;

	cpu->regs[reg] = op->b ? (uint32_t)sum : sum;
}

static inline int64_t step_of(const struct soft_cpu *cpu, int bytes)
{
	return cpu->rflags & SOFT_DF ? -bytes : bytes;
}

/* An iteration of REP is done: the next instruction is this one again unless it was the last. */
static inline struct soft_op *repeat(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
				     bool more)
{
	add_to(cpu, op, SOFT_RCX, -1);
	return soft_next(cpu, more && index_of(cpu, op, SOFT_RCX) ? op : op + 1, left);
}

/* How many iterations of @bytes each may be done at once from @gva on: 0 if not straight. */
static size_t run_of(struct soft_cpu *cpu, struct soft_op *op, int64_t left, uint64_t gva,
		     size_t bytes, bool write, uint8_t **host_out)
{
	uint64_t count = index_of(cpu, op, SOFT_RCX);

	if (cpu->rflags & SOFT_DF)
		return 0;
	if (count > (uint64_t)left)
		count = left;
	if (count > X86_PAGE_SIZE)
		count = X86_PAGE_SIZE;
	return soft_straight(cpu, gva, count * bytes, write, host_out) / bytes;
}

/* @count iterations are done. */
static struct soft_op *finish_run(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
				  size_t count)
{
	add_to(cpu, op, SOFT_RCX, -(int64_t)count);
	return soft_next(cpu, index_of(cpu, op, SOFT_RCX) ? op : op + 1, left - count + 1);
}

#define STRINGS(N)                                                                               \
	/* Ascending, element by element, whatever overlaps. */                                  \
	static void copy##N(uint8_t *to, const uint8_t *from, size_t count)                      \
	{                                                                                        \
		if (to + count * (N / 8) <= from || from + count * (N / 8) <= to) {              \
			memcpy(to, from, count *(N / 8));                                        \
			return;                                                                  \
		}                                                                                \
		for (size_t i = 0; i < count; i++)                                               \
			((SOFT_TYPE(N) *)to)[i] = ((const SOFT_TYPE(N) *)from)[i];               \
	}                                                                                        \
                                                                                                 \
	SOFT_BODY(movs##N)                                                                       \
	{                                                                                        \
		int64_t step = step_of(cpu, N / 8);                                              \
		uint64_t to = index_of(cpu, op, SOFT_RDI);                                       \
                                                                                                 \
		SOFT_READ_AT(N, from, source_of(cpu, op));                                       \
		SOFT_WRITE(N, to, *from);                                                        \
		add_to(cpu, op, SOFT_RSI, step);                                                 \
		add_to(cpu, op, SOFT_RDI, step);                                                 \
		return &done;                                                                    \
	}                                                                                        \
                                                                                                 \
	SOFT_BODY(stos##N)                                                                       \
	{                                                                                        \
		SOFT_WRITE(N, index_of(cpu, op, SOFT_RDI), SOFT_REGISTER(N, SOFT_RAX * 8));      \
		add_to(cpu, op, SOFT_RDI, step_of(cpu, N / 8));                                  \
		return &done;                                                                    \
	}                                                                                        \
                                                                                                 \
	SOFT_BODY(lods##N)                                                                       \
	{                                                                                        \
		SOFT_READ_AT(N, from, source_of(cpu, op));                                       \
		SOFT_SET##N(SOFT_RAX * 8, *from);                                                \
		add_to(cpu, op, SOFT_RSI, step_of(cpu, N / 8));                                  \
		return &done;                                                                    \
	}                                                                                        \
                                                                                                 \
	SOFT_BODY(cmps##N)                                                                       \
	{                                                                                        \
		int64_t step = step_of(cpu, N / 8);                                              \
		uint##N##_t a;                                                                   \
                                                                                                 \
		SOFT_READ_AT(N, source, source_of(cpu, op));                                     \
		a = *source;                                                                     \
		SOFT_READ_AT(N, other, index_of(cpu, op, SOFT_RDI));                             \
		soft_sub##N(&cpu->flags, a, *other);                                             \
		add_to(cpu, op, SOFT_RSI, step);                                                 \
		add_to(cpu, op, SOFT_RDI, step);                                                 \
		return &done;                                                                    \
	}                                                                                        \
                                                                                                 \
	SOFT_BODY(scas##N)                                                                       \
	{                                                                                        \
		SOFT_READ_AT(N, other, index_of(cpu, op, SOFT_RDI));                             \
		soft_sub##N(&cpu->flags, SOFT_REGISTER(N, SOFT_RAX * 8), *other);                \
		add_to(cpu, op, SOFT_RDI, step_of(cpu, N / 8));                                  \
		return &done;                                                                    \
	}                                                                                        \
                                                                                                 \
	static inline size_t run_movs##N(struct soft_cpu *cpu, struct soft_op *op, int64_t left) \
	{                                                                                        \
		uint8_t *from, *to;                                                              \
		size_t count, writes;                                                            \
                                                                                                 \
		count = run_of(cpu, op, left, source_of(cpu, op), N / 8, false, &from);          \
		writes = run_of(cpu, op, left, index_of(cpu, op, SOFT_RDI), N / 8, true, &to);   \
		count = count < writes ? count : writes;                                         \
		if (count) {                                                                     \
			copy##N(to, from, count);                                                \
			add_to(cpu, op, SOFT_RSI, count *(N / 8));                               \
			add_to(cpu, op, SOFT_RDI, count *(N / 8));                               \
		}                                                                                \
		return count;                                                                    \
	}                                                                                        \
                                                                                                 \
	static inline size_t run_stos##N(struct soft_cpu *cpu, struct soft_op *op, int64_t left) \
	{                                                                                        \
		uint8_t *to;                                                                     \
		size_t count;                                                                    \
                                                                                                 \
		count = run_of(cpu, op, left, index_of(cpu, op, SOFT_RDI), N / 8, true, &to);    \
		for (size_t i = 0; i < count; i++)                                               \
			((SOFT_TYPE(N) *)to)[i] = SOFT_REGISTER(N, SOFT_RAX * 8);                \
		add_to(cpu, op, SOFT_RDI, count *(N / 8));                                       \
		return count;                                                                    \
	}                                                                                        \
                                                                                                 \
	STRING(movs, N, true, run_movs##N(cpu, op, left))                                        \
	STRING(stos, N, true, run_stos##N(cpu, op, left))                                        \
	STRING(lods, N, true, 0)                                                                 \
	STRING(cmps, N, soft_zf(&cpu->flags), 0)                                                 \
	STRING(scas, N, soft_zf(&cpu->flags), 0)                                                 \
	REPEATED(repne_cmps##N, cmps##N##_body, !soft_zf(&cpu->flags), 0)                        \
	REPEATED(repne_scas##N, scas##N##_body, !soft_zf(&cpu->flags), 0)

#define STRING(name, N, more, run)                                          \
	SOFT_MEMORY_HANDLER(one_##name##N)                                  \
	{                                                                   \
		struct soft_op *next = name##N##_body(cpu, op, left, slow); \
                                                                            \
		return next == &done ? SOFT_NEXT : next;                    \
	}                                                                   \
                                                                            \
	REPEATED(rep_##name##N, name##N##_body, more, run)

#define REPEATED(name, body, more, run)                                    \
	SOFT_MEMORY_HANDLER(name)                                          \
	{                                                                  \
		struct soft_op *next;                                      \
		size_t count;                                              \
                                                                           \
		if (!index_of(cpu, op, SOFT_RCX))                          \
			return SOFT_NEXT;                                  \
		count = slow ? run : 0;                                    \
		if (count)                                                 \
			return finish_run(cpu, op, left, count);           \
		next = body(cpu, op, left, slow);                          \
		return next == &done ? repeat(cpu, op, left, more) : next; \
	}

STRINGS(8)
STRINGS(16)
STRINGS(32)
STRINGS(64)

/* AL from the table at RBX. */
SOFT_MEMORY_HANDLER(xlat)
{
	uint64_t index = cpu->regs[SOFT_RBX] + SOFT_REGISTER(8, SOFT_RAX * 8);
	uint64_t gva = (op->b ? (uint32_t)index : index) + (op->a ? cpu->segments[op->a].base : 0);

	SOFT_READ_AT(8, from, gva);
	SOFT_SET8(SOFT_RAX * 8, *from);
	return SOFT_NEXT;
}

#define ROW_STRING(name, how, handler)                                  \
	{                                                               \
		ZYDIS_MNEMONIC_##name, 0, how, false, SOFT_ANY(handler) \
	}
#define ROWS_STRING(B, W, D, Q, how, handler)                            \
	ROW_STRING(B, how, handler##8), ROW_STRING(W, how, handler##16), \
		ROW_STRING(D, how, handler##32), ROW_STRING(Q, how, handler##64)

const struct soft_form soft_forms_string[] = {
	ROWS_STRING(MOVSB, MOVSW, MOVSD, MOVSQ, SOFT_PLAIN, one_movs),
	ROWS_STRING(STOSB, STOSW, STOSD, STOSQ, SOFT_PLAIN, one_stos),
	ROWS_STRING(LODSB, LODSW, LODSD, LODSQ, SOFT_PLAIN, one_lods),
	ROWS_STRING(CMPSB, CMPSW, CMPSD, CMPSQ, SOFT_PLAIN, one_cmps),
	ROWS_STRING(SCASB, SCASW, SCASD, SCASQ, SOFT_PLAIN, one_scas),
	ROWS_STRING(MOVSB, MOVSW, MOVSD, MOVSQ, SOFT_REP, rep_movs),
	ROWS_STRING(STOSB, STOSW, STOSD, STOSQ, SOFT_REP, rep_stos),
	ROWS_STRING(LODSB, LODSW, LODSD, LODSQ, SOFT_REP, rep_lods),
	ROWS_STRING(CMPSB, CMPSW, CMPSD, CMPSQ, SOFT_REP, rep_cmps),
	ROWS_STRING(SCASB, SCASW, SCASD, SCASQ, SOFT_REP, rep_scas),
	/* Where it has no meaning REPNE repeats like REP. */
	ROWS_STRING(MOVSB, MOVSW, MOVSD, MOVSQ, SOFT_REPNE, rep_movs),
	ROWS_STRING(STOSB, STOSW, STOSD, STOSQ, SOFT_REPNE, rep_stos),
	ROWS_STRING(LODSB, LODSW, LODSD, LODSQ, SOFT_REPNE, rep_lods),
	ROWS_STRING(CMPSB, CMPSW, CMPSD, CMPSQ, SOFT_REPNE, repne_cmps),
	ROWS_STRING(SCASB, SCASW, SCASD, SCASQ, SOFT_REPNE, repne_scas),
	SOFT_ROW_ANY(XLAT, 0, xlat),
	{0},
};
