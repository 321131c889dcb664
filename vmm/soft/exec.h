/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What handlers are written with.
 *
 * A handler ends in a call of the next op's: where the compiler makes jumps of such calls (it
 * optimizes, and no sanitizer wants its frames) a chunk of instructions is one string of handlers
 * without a loop; elsewhere each returns to the loop in run.c. Both are the same to a handler.
 *
 * A handler that touches memory exists twice, made of one body: the quick one, which reads and
 * writes through lines that are there and gives up, having changed nothing, at the first that is
 * not; and the thorough one, called then, which goes to memory.c for each access: walks, faults,
 * operands in two pages, MMIO, checks. So a body reads all it needs and has all writes but the
 * last one probed before it changes anything: faults are precise.
 */
#ifndef VMM_SOFT_EXEC_H
#define VMM_SOFT_EXEC_H

#include <string.h>

#include "vmm/soft/decode.h"
#include "vmm/soft/flags.h"
#include "vmm/soft/memory.h"

#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define SOFT_LOOP
#endif
#endif
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__)
#define SOFT_LOOP
#endif

/* Goes to @op without having completed an instruction. */
static inline struct soft_op *soft_go(struct soft_cpu *cpu, struct soft_op *op, int64_t left)
{
#ifdef SOFT_LOOP
	cpu->left = left;
	return op;
#else
	return op->run(cpu, op, left);
#endif
}

/* One instruction is done, @op the next. */
static inline struct soft_op *soft_next(struct soft_cpu *cpu, struct soft_op *op, int64_t left)
{
	if (unlikely(--left <= 0)) {
		cpu->left = left;
		return op;
	}
	return soft_go(cpu, op, left);
}

/* A completed instruction after which the chunk ends: @rip is next. */
static inline struct soft_op *soft_leave(struct soft_cpu *cpu, uint64_t rip, int64_t left, int exit)
{
	cpu->rip = rip;
	cpu->left = left - 1;
	cpu->exit = exit;
	return NULL;
}

static inline uint64_t soft_op_rip(const struct soft_cpu *cpu, const struct soft_op *op)
{
	return cpu->regs[SOFT_PAGE] + op->at;
}

static inline uint64_t soft_op_next(const struct soft_cpu *cpu, const struct soft_op *op)
{
	return cpu->regs[SOFT_PAGE] + op->at + op->length;
}

/* Says where the instruction is, before anything that may not complete it. */
static inline void soft_begin(struct soft_cpu *cpu, struct soft_op *op, int64_t left)
{
	cpu->op = op;
	cpu->left = left;
	cpu->rip = soft_op_rip(cpu, op);
	cpu->instructions = cpu->chunk_end - left;
	cpu->exit = SOFT_EXIT_AGAIN;
	cpu->bounce_count = 0;
}

/* The instruction does not complete but raises an exception. */
struct soft_op *soft_raise(struct soft_cpu *cpu, struct soft_op *op, int64_t left, uint8_t vector);
struct soft_op *soft_raise_gp(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
			      uint32_t error);

/* The exception an address that is not canonical raises: #SS by way of the stack, else #GP. */
uint8_t soft_address_vector(const struct soft_cpu *cpu);

/* The instruction at cpu->rip is not known: the stop is SOFT_STOP_INTERNAL. @length 0: nor that. */
void soft_unknown(struct soft_cpu *cpu, uint8_t length);

/* The stop is SOFT_STOP_DEBUG before the instruction at cpu->rip, which is an INT3 or is to be one.
 */
void soft_stop_at(struct soft_cpu *cpu);

/* Watched addresses: marks the line if there is one in its page; notes an access to one. */
void soft_watch_mark(struct soft_cpu *cpu, struct soft_line *line);
void soft_watch(struct soft_cpu *cpu, uint64_t gva, size_t bytes, enum soft_access access);

/* Operands. */
__extension__ typedef unsigned __int128 uint128_t;

/* What lies in guest memory or in part of a register: of any alignment, alias of anything. */
typedef uint8_t soft_u8 __attribute__((may_alias));
typedef uint16_t soft_u16 __attribute__((may_alias, aligned(1)));
typedef uint32_t soft_u32 __attribute__((may_alias, aligned(1)));
typedef uint64_t soft_u64 __attribute__((may_alias, aligned(1)));
typedef uint128_t soft_u128 __attribute__((may_alias, aligned(1)));
#define SOFT_TYPE(N) soft_u##N

#define SOFT_REGISTER(N, offset) (*(SOFT_TYPE(N) *)((uint8_t *)cpu->regs + (offset)))

/* 32 bits clear the upper half (SDM vol. 1 3.4.1.1). */
#define SOFT_SET8(offset, value)  (SOFT_REGISTER(8, offset) = (value))
#define SOFT_SET16(offset, value) (SOFT_REGISTER(16, offset) = (value))
#define SOFT_SET32(offset, value) (SOFT_REGISTER(64, offset) = (uint32_t)(value))
#define SOFT_SET64(offset, value) (SOFT_REGISTER(64, offset) = (value))

#define SOFT_A(N)   SOFT_REGISTER(N, op->a)
#define SOFT_B(N)   SOFT_REGISTER(N, op->b)
#define SOFT_IMM(N) ((uint##N##_t)op->imm)

/* What POPF may change, at CPL 0. */
#define SOFT_POPF_BITS \
	(SOFT_ARITHMETIC | SOFT_TF | SOFT_IF | SOFT_DF | SOFT_IOPL | SOFT_NT | SOFT_AC | SOFT_ID)

#define SOFT_NEXT soft_next(cpu, op + 1, left)

static inline uint64_t soft_address(const struct soft_cpu *cpu, const struct soft_op *op)
{
	return cpu->regs[op->base] + (cpu->regs[op->index] << op->scale) + (int64_t)op->disp;
}

/* Where @bytes at @gva are, if a line says so; the last byte is in the same page then. */
static inline void *soft_quick_read(const struct soft_cpu *cpu, uint64_t gva, size_t bytes)
{
	const struct soft_line *line = &cpu->lines[soft_line_index(gva)];

	if (unlikely(line->read != ((gva + bytes - 1) & ~(X86_PAGE_SIZE - 1))))
		return NULL;
	return line->host + gva % X86_PAGE_SIZE;
}

static inline void *soft_quick_write(const struct soft_cpu *cpu, uint64_t gva, size_t bytes)
{
	const struct soft_line *line = &cpu->lines[soft_line_index(gva)];

	if (unlikely(line->write != ((gva + bytes - 1) & ~(X86_PAGE_SIZE - 1))))
		return NULL;
	return line->host + gva % X86_PAGE_SIZE;
}

/* The op at @rip, if it is decoded and a line leads there. */
static inline struct soft_op *soft_quick_op(const struct soft_cpu *cpu, uint64_t rip)
{
	const struct soft_line *line = &cpu->lines[soft_fetch_index(rip)];

	if (unlikely(line->fetch != (rip & ~(X86_PAGE_SIZE - 1)) || !line->page))
		return NULL;
	return line->page->at[rip % X86_PAGE_SIZE];
}

static inline bool soft_canonical(uint64_t gva)
{
	return (uint64_t)((int64_t)(gva << 16) >> 16) == gva;
}

/* A branch is done, its target canonical; @op what soft_quick_op() found there. */
static inline struct soft_op *soft_branch(struct soft_cpu *cpu, struct soft_op *op, uint64_t rip,
					  int64_t left)
{
	if (unlikely(!op))
		return soft_leave(cpu, rip, left, SOFT_EXIT_AGAIN);
	cpu->regs[SOFT_PAGE] = rip & ~(X86_PAGE_SIZE - 1);
	return soft_next(cpu, op, left);
}

/* Declares a handler; a body follows. */
#define SOFT_HANDLER(name) \
	static struct soft_op *name(struct soft_cpu *cpu, struct soft_op *op, int64_t left)

/*
 * The same for one that touches memory: @slow, NULL in the thorough one, is what to call when
 * something is out of the ordinary.
 */
#define SOFT_BODY(name)                                                           \
	static inline __attribute__((always_inline)) struct soft_op *name##_body( \
		struct soft_cpu *cpu, struct soft_op *op, int64_t left, soft_handler *slow)
#define SOFT_MEMORY_HANDLER(name)                                           \
	SOFT_BODY(name);                                                    \
	static __attribute__((noinline, cold)) struct soft_op *name##_slow( \
		struct soft_cpu *cpu, struct soft_op *op, int64_t left)     \
	{                                                                   \
		soft_begin(cpu, op, left);                                  \
		return name##_body(cpu, op, left, NULL);                    \
	}                                                                   \
	SOFT_HANDLER(name)                                                  \
	{                                                                   \
		return name##_body(cpu, op, left, name##_slow);             \
	}                                                                   \
	SOFT_BODY(name)

/*
 * In such a body: *@pointer, of N bits at @gva, to be read. After SOFT_UPDATE_AT(), which is for
 * reading and writing, SOFT_UPDATED() once it is written.
 */
#define SOFT_READ_AT(N, pointer, gva)                         \
	const SOFT_TYPE(N) * pointer;                         \
	if (slow) {                                           \
		pointer = soft_quick_read(cpu, gva, (N) / 8); \
		if (unlikely(!pointer))                       \
			return slow(cpu, op, left);           \
	} else {                                              \
		pointer = soft_read(cpu, gva, (N) / 8);       \
		if (!pointer)                                 \
			return NULL;                          \
	}

#define SOFT_UPDATE_AT(N, pointer, gva, access)                   \
	SOFT_TYPE(N) * pointer;                                   \
	if (slow) {                                               \
		pointer = soft_quick_write(cpu, gva, (N) / 8);    \
		if (unlikely(!pointer))                           \
			return slow(cpu, op, left);               \
	} else {                                                  \
		pointer = soft_update(cpu, gva, (N) / 8, access); \
		if (!pointer)                                     \
			return NULL;                              \
	}

#define SOFT_UPDATED()                           \
	do {                                     \
		if (!slow && !soft_updated(cpu)) \
			return NULL;             \
	} while (0)

/* Writes @value at @gva, which may fault: before anything else is changed. */
#define SOFT_WRITE(N, gva, value)                                                \
	do {                                                                     \
		uint##N##_t value_ = (value);                                    \
		if (slow) {                                                      \
			SOFT_TYPE(N) *at_ = soft_quick_write(cpu, gva, (N) / 8); \
			if (unlikely(!at_))                                      \
				return slow(cpu, op, left);                      \
			*at_ = value_;                                           \
		} else if (!soft_write##N(cpu, gva, value_)) {                   \
			return NULL;                                             \
		}                                                                \
	} while (0)

#define SOFT_WRITES(N)                                                                          \
	static inline bool soft_write##N(struct soft_cpu *cpu, uint64_t gva, uint##N##_t value) \
	{                                                                                       \
		void *at;                                                                       \
                                                                                                \
		if (!soft_write_known(cpu, gva, (N) / 8, &at))                                  \
			return false;                                                           \
		if (!at)                                                                        \
			return soft_write(cpu, gva, (N) / 8, &value);                           \
		*(SOFT_TYPE(N) *)at = value;                                                    \
		if (unlikely(cpu->tell_written))                                                \
			soft_written(cpu);                                                      \
		return true;                                                                    \
	}

SOFT_WRITES(8)
SOFT_WRITES(16)
SOFT_WRITES(32)
SOFT_WRITES(64)
#undef SOFT_WRITES

/* Rows of a table of forms. */
#define SOFT_ROW(name, shape, handler)                                                \
	{                                                                             \
		ZYDIS_MNEMONIC_##name, shape, SOFT_PLAIN, false, SOFT_WIDTHS(handler) \
	}
#define SOFT_ROW_ANY(name, shape, handler)                                         \
	{                                                                          \
		ZYDIS_MNEMONIC_##name, shape, SOFT_PLAIN, false, SOFT_ANY(handler) \
	}
#define SOFT_ROW_END(name, shape, handler)                                        \
	{                                                                         \
		ZYDIS_MNEMONIC_##name, shape, SOFT_PLAIN, true, SOFT_ANY(handler) \
	}

#endif
