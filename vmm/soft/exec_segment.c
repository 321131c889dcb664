/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads and stores of segment registers and descriptor tables. */
#include "vmm/soft/segment.h"

#include "vmm/soft/exec.h"

#define AGAIN(rip) soft_leave(cpu, rip, left, SOFT_EXIT_AGAIN)

/* After a load of SS one instruction runs before an interrupt is taken. */
static struct soft_op *loaded(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
			      enum soft_segment which)
{
	cpu->shadow = cpu->quiet = which == SOFT_SS;
	return AGAIN(soft_op_next(cpu, op));
}

/* MOV to CS does not exist. */
static struct soft_op *load(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
			    enum soft_segment which, uint16_t selector)
{
	if (which == SOFT_CS)
		return soft_raise(cpu, op, left, SOFT_UD);
	return soft_segment_load(cpu, which, selector) ? loaded(cpu, op, left, which) : NULL;
}

SOFT_HANDLER(mov_sr)
{
	soft_begin(cpu, op, left);
	return load(cpu, op, left, op->a, SOFT_B(16));
}

SOFT_HANDLER(mov_sm)
{
	const soft_u16 *from;

	soft_begin(cpu, op, left);
	from = soft_read(cpu, soft_address(cpu, op), 2);
	return from ? load(cpu, op, left, op->a, *from) : NULL;
}

#define SELECTOR_TO(N)                                             \
	SOFT_HANDLER(mov_rs##N)                                    \
	{                                                          \
		SOFT_SET##N(op->a, cpu->segments[op->b].selector); \
		return SOFT_NEXT;                                  \
	}                                                          \
                                                                   \
	SOFT_HANDLER(sldt_r##N)                                    \
	{                                                          \
		if (cpu->cpl && (cpu->cr4 & X86_CR4_UMIP))         \
			return soft_raise_gp(cpu, op, left, 0);    \
		SOFT_SET##N(op->a, cpu->ldt.selector);             \
		return SOFT_NEXT;                                  \
	}                                                          \
                                                                   \
	SOFT_HANDLER(str_r##N)                                     \
	{                                                          \
		if (cpu->cpl && (cpu->cr4 & X86_CR4_UMIP))         \
			return soft_raise_gp(cpu, op, left, 0);    \
		SOFT_SET##N(op->a, cpu->tr.selector);              \
		return SOFT_NEXT;                                  \
	}

SELECTOR_TO(16)
SELECTOR_TO(32)
SELECTOR_TO(64)

static struct soft_op *store16(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
			       uint16_t value)
{
	soft_begin(cpu, op, left);
	return soft_write(cpu, soft_address(cpu, op), 2, &value) ? SOFT_NEXT : NULL;
}

SOFT_HANDLER(mov_ms)
{
	return store16(cpu, op, left, cpu->segments[op->a].selector);
}

SOFT_HANDLER(sldt_m)
{
	if (cpu->cpl && (cpu->cr4 & X86_CR4_UMIP))
		return soft_raise_gp(cpu, op, left, 0);
	return store16(cpu, op, left, cpu->ldt.selector);
}

SOFT_HANDLER(str_m)
{
	if (cpu->cpl && (cpu->cr4 & X86_CR4_UMIP))
		return soft_raise_gp(cpu, op, left, 0);
	return store16(cpu, op, left, cpu->tr.selector);
}

#define POP_SEGMENT(N)                                              \
	SOFT_HANDLER(pop_s##N)                                      \
	{                                                           \
		const soft_u16 *from;                               \
                                                                    \
		soft_begin(cpu, op, left);                          \
		from = soft_read(cpu, cpu->regs[SOFT_RSP], N / 8);  \
		if (!from || !soft_segment_load(cpu, op->a, *from)) \
			return NULL;                                \
		cpu->regs[SOFT_RSP] += N / 8;                       \
		return loaded(cpu, op, left, op->a);                \
	}

POP_SEGMENT(16)
POP_SEGMENT(64)

#define LOAD_FAR(N)                                                                                \
	/* LSS, LFS, LGS: offset, then selector. */                                                \
	static struct soft_op *load_far##N(struct soft_cpu *cpu, struct soft_op *op, int64_t left, \
					   enum soft_segment which)                                \
	{                                                                                          \
		const uint8_t *from;                                                               \
		uint##N##_t offset;                                                                \
		uint16_t selector;                                                                 \
                                                                                                   \
		soft_begin(cpu, op, left);                                                         \
		from = soft_read(cpu, soft_address(cpu, op), N / 8 + 2);                           \
		if (!from)                                                                         \
			return NULL;                                                               \
		memcpy(&offset, from, N / 8);                                                      \
		memcpy(&selector, from + N / 8, 2);                                                \
		if (!soft_segment_load(cpu, which, selector))                                      \
			return NULL;                                                               \
		SOFT_SET##N(op->a, offset);                                                        \
		return loaded(cpu, op, left, which);                                               \
	}                                                                                          \
                                                                                                   \
	SOFT_HANDLER(lss##N)                                                                       \
	{                                                                                          \
		return load_far##N(cpu, op, left, SOFT_SS);                                        \
	}                                                                                          \
                                                                                                   \
	SOFT_HANDLER(lfs##N)                                                                       \
	{                                                                                          \
		return load_far##N(cpu, op, left, SOFT_FS);                                        \
	}                                                                                          \
                                                                                                   \
	SOFT_HANDLER(lgs##N)                                                                       \
	{                                                                                          \
		return load_far##N(cpu, op, left, SOFT_GS);                                        \
	}

LOAD_FAR(16)
LOAD_FAR(32)
LOAD_FAR(64)

/* LTR, LLDT. */
static bool load_task(struct soft_cpu *cpu, uint16_t selector)
{
	struct soft_descriptor descriptor;
	struct kvm_segment tr;

	if ((selector & ~3u) == 0 || (selector & 4))
		return soft_selector_fault(cpu, SOFT_GP, selector, 0);
	if (!soft_descriptor_read(cpu, selector, true, 0, &descriptor))
		return false;
	tr = soft_segment_of(selector, &descriptor);
	if (tr.s || tr.type != SOFT_TYPE_TSS)
		return soft_selector_fault(cpu, SOFT_GP, selector, 0);
	if (!tr.present)
		return soft_selector_fault(cpu, SOFT_NP, selector, 0);
	if (!soft_descriptor_write(cpu, selector, descriptor.low | 2ull << 40))
		return false;
	tr.type = SOFT_TYPE_TSS_BUSY;
	cpu->tr = tr;
	return true;
}

static bool load_ldt(struct soft_cpu *cpu, uint16_t selector)
{
	struct soft_descriptor descriptor;
	struct kvm_segment ldt;

	if ((selector & ~3u) == 0) {
		cpu->ldt = soft_segment_null(selector);
		return true;
	}
	if (selector & 4)
		return soft_selector_fault(cpu, SOFT_GP, selector, 0);
	if (!soft_descriptor_read(cpu, selector, true, 0, &descriptor))
		return false;
	ldt = soft_segment_of(selector, &descriptor);
	if (ldt.s || ldt.type != SOFT_TYPE_LDT)
		return soft_selector_fault(cpu, SOFT_GP, selector, 0);
	if (!ldt.present)
		return soft_selector_fault(cpu, SOFT_NP, selector, 0);
	cpu->ldt = ldt;
	return true;
}

#define LOAD_SYSTEM(name, load)                                     \
	SOFT_HANDLER(name##_r)                                      \
	{                                                           \
		if (cpu->cpl)                                       \
			return soft_raise_gp(cpu, op, left, 0);     \
		soft_begin(cpu, op, left);                          \
		return load(cpu, SOFT_A(16)) ? SOFT_NEXT : NULL;    \
	}                                                           \
                                                                    \
	SOFT_HANDLER(name##_m)                                      \
	{                                                           \
		const soft_u16 *from;                               \
                                                                    \
		if (cpu->cpl)                                       \
			return soft_raise_gp(cpu, op, left, 0);     \
		soft_begin(cpu, op, left);                          \
		from = soft_read(cpu, soft_address(cpu, op), 2);    \
		return from && load(cpu, *from) ? SOFT_NEXT : NULL; \
	}

LOAD_SYSTEM(ltr, load_task)
LOAD_SYSTEM(lldt, load_ldt)

/* LGDT, LIDT, SGDT, SIDT: limit and base, ten bytes. */
static struct soft_op *load_table(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
				  struct kvm_dtable *table)
{
	const uint8_t *from;
	uint64_t base;

	if (cpu->cpl)
		return soft_raise_gp(cpu, op, left, 0);
	soft_begin(cpu, op, left);
	from = soft_read(cpu, soft_address(cpu, op), 10);
	if (!from)
		return NULL;
	memcpy(&base, from + 2, 8);
	if (!soft_canonical(base))
		return soft_raise_gp(cpu, op, left, 0);
	memcpy(&table->limit, from, 2);
	table->base = base;
	return SOFT_NEXT;
}

static struct soft_op *store_table(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
				   const struct kvm_dtable *table)
{
	uint8_t image[10];

	if (cpu->cpl && (cpu->cr4 & X86_CR4_UMIP))
		return soft_raise_gp(cpu, op, left, 0);
	soft_begin(cpu, op, left);
	memcpy(image, &table->limit, 2);
	memcpy(image + 2, &table->base, 8);
	return soft_write(cpu, soft_address(cpu, op), 10, image) ? SOFT_NEXT : NULL;
}

SOFT_HANDLER(lgdt)
{
	return load_table(cpu, op, left, &cpu->gdt);
}

SOFT_HANDLER(lidt)
{
	return load_table(cpu, op, left, &cpu->idt);
}

SOFT_HANDLER(sgdt)
{
	return store_table(cpu, op, left, &cpu->gdt);
}

SOFT_HANDLER(sidt)
{
	return store_table(cpu, op, left, &cpu->idt);
}

#define ROW3(name, shape, handler)                                  \
	{                                                           \
		ZYDIS_MNEMONIC_##name, shape, SOFT_PLAIN, false,    \
		{                                                   \
			NULL, handler##16, handler##32, handler##64 \
		}                                                   \
	}
#define ROW2(name, shape, handler)                               \
	{                                                        \
		ZYDIS_MNEMONIC_##name, shape, SOFT_PLAIN, false, \
		{                                                \
			NULL, handler##16, NULL, handler##64     \
		}                                                \
	}
#define R  SOFT_SHAPE(R, NONE, NONE)
#define M  SOFT_SHAPE(M, NONE, NONE)
#define S  SOFT_SHAPE(S, NONE, NONE)
#define RM SOFT_SHAPE(R, M, NONE)

const struct soft_form soft_forms_segment[] = {
	SOFT_ROW_ANY(MOV, SOFT_SHAPE(S, R, NONE), mov_sr),
	SOFT_ROW_ANY(MOV, SOFT_SHAPE(S, M, NONE), mov_sm),
	SOFT_ROW_ANY(MOV, SOFT_SHAPE(M, S, NONE), mov_ms),
	ROW3(MOV, SOFT_SHAPE(R, S, NONE), mov_rs),
	ROW2(POP, S, pop_s),
	ROW3(LSS, RM, lss),
	ROW3(LFS, RM, lfs),
	ROW3(LGS, RM, lgs),
	SOFT_ROW_ANY(LTR, R, ltr_r),
	SOFT_ROW_ANY(LTR, M, ltr_m),
	SOFT_ROW_ANY(LLDT, R, lldt_r),
	SOFT_ROW_ANY(LLDT, M, lldt_m),
	ROW3(SLDT, R, sldt_r),
	SOFT_ROW_ANY(SLDT, M, sldt_m),
	ROW3(STR, R, str_r),
	SOFT_ROW_ANY(STR, M, str_m),
	SOFT_ROW_ANY(LGDT, M, lgdt),
	SOFT_ROW_ANY(LIDT, M, lidt),
	SOFT_ROW_ANY(SGDT, M, sgdt),
	SOFT_ROW_ANY(SIDT, M, sidt),
	{0},
};
