/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decoded instructions: each page of code that runs is turned, as far as it runs, into ops of our
 * own, kept by the page's frame (its host address) for all processors of a machine and all linear
 * addresses. Zydis decodes; the tables of forms (struct soft_form) say which handler carries out
 * what it found.
 *
 * A page with ops is not written straight: the interpreter leaves the write tags of its lines
 * marked SOFT_LINE_CODE. A write there drops the ops: each gets a handler that looks its place up
 * again, so who is in the middle of them comes out after the instruction at hand, and their memory
 * goes when no handler runs any more.
 */
#ifndef VMM_SOFT_DECODE_H
#define VMM_SOFT_DECODE_H

#include <Zydis/Zydis.h>

#include "vmm/soft/cpu.h"

struct soft_op;

/*
 * Carries out @op and goes on with the next one. @left instructions of the chunk remain, @op's
 * among them. Returns NULL when the chunk ends otherwise than by its length: cpu->rip, cpu->left
 * and cpu->exit say how. Else the op to go on with (exec.h).
 */
typedef struct soft_op *soft_handler(struct soft_cpu *cpu, struct soft_op *op, int64_t left);

/* Two to a cache line. */
struct soft_op {
	soft_handler *run;
	union {
		uint64_t imm;
		struct soft_op *target; /* of a branch within the page; NULL: not decoded yet */
	};
	int32_t disp;        /* of the address; of a branch: target less the page's address */
	uint8_t a, b;        /* register operands: byte offsets in cpu->regs, so AH is 1 */
	uint8_t base, index; /* enum soft_reg */
	uint8_t scale;       /* a shift */
	uint8_t length;
	uint16_t at; /* offset in the page */
};

_Static_assert(sizeof(struct soft_op) == 32, "two to a cache line");

/*
 * The kinds of operand, and an instruction's shape: its operands' kinds, four bits each, the first
 * one lowest.
 */
enum soft_kind {
	SOFT_KIND_NONE,
	SOFT_KIND_R, /* general register */
	SOFT_KIND_M, /* memory, or an address */
	SOFT_KIND_I, /* immediate, or a relative target */
	SOFT_KIND_S, /* segment register */
	SOFT_KIND_C, /* control register */
	SOFT_KIND_D, /* debug register */
	SOFT_KIND_OTHER,
};

#define SOFT_SHAPE(x, y, z) (SOFT_KIND_##x | SOFT_KIND_##y << 4 | SOFT_KIND_##z << 8)

/* A row for operands of any kind. */
#define SOFT_SHAPE_ANY 0xffff

enum soft_form_how {
	SOFT_PLAIN,
	SOFT_LOCK, /* with LOCK */
	SOFT_REP,  /* with REP or REPE */
	SOFT_REPNE,
	SOFT_FAR,   /* a far branch */
	SOFT_FROM8, /* the second operand has 8, 16, 32 bits and the first more */
	SOFT_FROM16,
	SOFT_FROM32,
	SOFT_FROM64,
};

/*
 * One row: a mnemonic with operands of a shape, and its handlers for 8, 16, 32 and 64 bits (of
 * the first operand; where there is none, the instruction's operand width).
 */
struct soft_form {
	uint16_t mnemonic; /* ZydisMnemonic */
	uint16_t shape;
	uint8_t how;
	bool ends; /* the next instruction is not the one after it */
	soft_handler *run[4];
};

#define SOFT_LINE_EMPTY                                                                  \
	(struct soft_line)                                                               \
	{                                                                                \
		.read = SOFT_LINE_NONE, .write = SOFT_LINE_NONE, .fetch = SOFT_LINE_NONE \
	}

#define SOFT_WIDTHS(name)                             \
	{                                             \
		name##8, name##16, name##32, name##64 \
	}
#define SOFT_ANY(name)                 \
	{                              \
		name, name, name, name \
	}

/* The tables, each ended by a row without handlers. */
extern const struct soft_form soft_forms_alu[], soft_forms_move[], soft_forms_shift[],
	soft_forms_bits[], soft_forms_multiply[], soft_forms_string[], soft_forms_branch[],
	soft_forms_stack[], soft_forms_port[], soft_forms_system[], soft_forms_segment[],
	soft_forms_far[], soft_forms_other[];

/* The ops of one page. */
struct soft_page {
	const uint8_t *host;
	struct soft_page *next; /* in the hash chain */
	struct soft_block *blocks;
	struct soft_op *at[X86_PAGE_SIZE]; /* by offset; NULL: not decoded */
	/* The instruction that goes on in the next page, if one has run: its bytes, its ops. */
	uint8_t crossing_bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
	struct soft_op crossing[3];
	uint8_t copy[X86_PAGE_SIZE]; /* what was decoded */
};

/*
 * The page at @host, or NULL if nothing of it was decoded yet. With other bytes than were decoded
 * it comes empty.
 */
struct soft_page *soft_page_find(struct soft_code *code, const uint8_t *host);
/* Makes one; NULL when there is no memory. */
struct soft_page *soft_page_new(struct soft_code *code, const uint8_t *host);

static inline bool soft_page_decoded(const struct soft_page *page)
{
	return page->blocks != NULL;
}

/* The op at @offset, decoded now if need be. NULL when there is no memory. */
struct soft_op *soft_page_op(struct soft_code *code, struct soft_page *page, uint16_t offset);

/* The ops of @page are not to be used any more. */
void soft_page_drop(struct soft_code *code, struct soft_page *page);

/* Frees what was dropped. No handler runs. */
void soft_code_reap(struct soft_code *code);

void soft_code_add(struct soft_code *code, struct soft_cpu *cpu);
void soft_code_remove(struct soft_code *code, struct soft_cpu *cpu);

/*
 * Turns the instruction in @bytes into one op, or two when its address needs one of its own.
 * Returns how many. Bytes that are no instruction, or none known here, become an op that says so.
 * 0: the instruction goes on behind @size. *@ends_out: what follows is not executed after it.
 */
unsigned int soft_translate(const uint8_t *bytes, size_t size, uint16_t at,
			    struct soft_op ops_out[2], bool *ends_out);

/* Ops that are no instruction (exec_other.c). */
soft_handler soft_do_join, soft_do_again, soft_do_cross, soft_do_invalid, soft_do_too_long,
	soft_do_unknown, soft_do_address, soft_do_address32, soft_do_stop;

#endif
