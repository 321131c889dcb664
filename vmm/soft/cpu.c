/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A processor's registers and lines, as its owner sees them, and the exceptions it raises. */
#include "vmm/soft/cpu.h"

#include <string.h>

#include "vmm/soft/exec.h"

#define RFLAGS_FIXED 2ull
#define RFLAGS_BITS  (SOFT_POPF_BITS | SOFT_RF)
#define PAT_RESET    0x0007040600070406ull

void soft_cpu_init(struct soft_cpu *cpu, const struct soft_cpu_ops *ops, void *context,
		   struct soft_code *code)
{
	memset(cpu, 0, sizeof(*cpu));
	cpu->ops = ops;
	cpu->context = context;
	cpu->code = code;
	cpu->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_PG;
	cpu->cr4 = X86_CR4_PAE;
	cpu->efer = X86_EFER_LME | X86_EFER_LMA;
	cpu->dr6 = SOFT_DR6_FIXED;
	cpu->dr7 = SOFT_DR7_FIXED;
	cpu->msr.pat = PAT_RESET;
	soft_cpu_set_rflags(cpu, 0);
	cpu->filled_count = SOFT_FILLED + 1;
	soft_cpu_drop_lines(cpu);
	soft_cpu_update(cpu);
	soft_code_add(code, cpu);
}

void soft_cpu_fini(struct soft_cpu *cpu)
{
	soft_code_remove(cpu->code, cpu);
}

void soft_cpu_drop_line(struct soft_cpu *cpu, uint64_t gva)
{
	for (size_t class = 0; class < SOFT_CLASSES; class ++) {
		cpu->line_sets[class][soft_line_index(gva)] = SOFT_LINE_EMPTY;
		cpu->line_sets[class][soft_fetch_index(gva)] = SOFT_LINE_EMPTY;
	}
}

void soft_cpu_drop_lines(struct soft_cpu *cpu)
{
	struct soft_line *lines = &cpu->line_sets[0][0];

	if (cpu->filled_count <= SOFT_FILLED)
		for (size_t i = 0; i < cpu->filled_count; i++)
			lines[cpu->filled[i]] = SOFT_LINE_EMPTY;
	else
		for (size_t at = 0; at < SOFT_CLASSES * SOFT_LINES_ALL; at++)
			lines[at] = SOFT_LINE_EMPTY;
	cpu->filled_count = 0;
}

void soft_cpu_update(struct soft_cpu *cpu)
{
	cpu->cpl = cpu->segments[SOFT_SS].dpl;
	cpu->lines = cpu->line_sets[cpu->cpl == 3 ? SOFT_USER : SOFT_SUPERVISOR];
	soft_cpu_drop_lines(cpu);
}

uint64_t soft_cpu_rflags(const struct soft_cpu *cpu)
{
	return cpu->rflags | soft_flags_read(&cpu->flags);
}

void soft_cpu_set_rflags(struct soft_cpu *cpu, uint64_t rflags)
{
	bool access = (cpu->rflags ^ rflags) & SOFT_AC;

	cpu->rflags = (rflags & RFLAGS_BITS & ~SOFT_ARITHMETIC) | RFLAGS_FIXED;
	soft_flags_write(&cpu->flags, rflags);
	/* With SMAP, AC decides what a supervisor may touch. */
	if (access && (cpu->cr4 & X86_CR4_SMAP))
		soft_cpu_drop_lines(cpu);
}

uint64_t soft_cpu_rip(const struct soft_cpu *cpu)
{
	return cpu->rip;
}

enum soft_answer soft_cpu_raise(struct soft_cpu *cpu, uint8_t vector, bool has_error,
				uint32_t error)
{
	cpu->event = (struct soft_event){
		.pending = true, .vector = vector, .has_error = has_error, .error = error};
	return SOFT_FAULT;
}

enum soft_answer soft_cpu_page_fault(struct soft_cpu *cpu, uint64_t gva, uint32_t error)
{
	soft_cpu_raise(cpu, SOFT_PF_VECTOR, true, error);
	cpu->event.cr2 = gva;
	return SOFT_FAULT;
}

struct soft_op *soft_raise(struct soft_cpu *cpu, struct soft_op *op, int64_t left, uint8_t vector)
{
	soft_begin(cpu, op, left);
	soft_cpu_raise(cpu, vector, false, 0);
	return NULL;
}

struct soft_op *soft_raise_gp(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
			      uint32_t error)
{
	soft_begin(cpu, op, left);
	soft_cpu_raise(cpu, SOFT_GP, true, error);
	return NULL;
}

uint8_t soft_address_vector(const struct soft_cpu *cpu)
{
	bool stack = cpu->op && (cpu->op->base == SOFT_RSP || cpu->op->base == SOFT_RBP);

	return stack ? SOFT_SS_VECTOR : SOFT_GP;
}

void soft_unknown(struct soft_cpu *cpu, uint8_t length)
{
	const struct soft_line *line = &cpu->lines[soft_fetch_index(cpu->rip)];
	size_t room = X86_PAGE_SIZE - cpu->rip % X86_PAGE_SIZE;

	memset(&cpu->unknown, 0, sizeof(cpu->unknown));
	cpu->exit = SOFT_STOP_INTERNAL;
	if (line->fetch != (cpu->rip & ~(X86_PAGE_SIZE - 1)))
		return;
	if (room > sizeof(cpu->unknown.bytes))
		room = sizeof(cpu->unknown.bytes);
	memcpy(cpu->unknown.bytes, line->host + cpu->rip % X86_PAGE_SIZE, room);
	cpu->unknown.length = length ? length : room;
}
