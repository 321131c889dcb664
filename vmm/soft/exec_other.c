/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ops that are no instruction: addresses, joints between blocks, what cannot be decoded. */
#include "vmm/soft/exec.h"

/* Handlers other files name. */
#define SOFT_PUBLIC(name) \
	struct soft_op *name(struct soft_cpu *cpu, struct soft_op *op, int64_t left)

/* An address of more parts than an op has room for. */
SOFT_PUBLIC(soft_do_address)
{
	cpu->regs[SOFT_ADDRESS] = cpu->regs[op->base] + (cpu->regs[op->index] << op->scale) +
				  op->imm + (op->a ? cpu->segments[op->a].base : 0);
	return soft_go(cpu, op + 1, left);
}

SOFT_PUBLIC(soft_do_address32)
{
	cpu->regs[SOFT_ADDRESS] =
		(uint32_t)(cpu->regs[op->base] + (cpu->regs[op->index] << op->scale) + op->imm) +
		(op->a ? cpu->segments[op->a].base : 0);
	return soft_go(cpu, op + 1, left);
}

/* To the op at the same place, decoded by somebody else or not yet. */
SOFT_PUBLIC(soft_do_join)
{
	if (unlikely(!op->target)) {
		op->target = soft_quick_op(cpu, soft_op_rip(cpu, op));
		if (!op->target)
			return soft_do_again(cpu, op, left);
	}
	return soft_go(cpu, op->target, left);
}

SOFT_PUBLIC(soft_do_again)
{
	soft_begin(cpu, op, left);
	return NULL;
}

/* The bytes of an instruction that begins in one page and ends in the next. */
SOFT_PUBLIC(soft_do_cross)
{
	struct soft_page *page;
	struct soft_line *line;
	size_t first = X86_PAGE_SIZE - op->at;
	uint8_t bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
	unsigned int count;
	bool ends;

	soft_begin(cpu, op, left);
	line = soft_fetch(cpu, cpu->rip);
	if (!line)
		return NULL;
	page = line->page;
	memcpy(bytes, line->host + op->at, first);
	line = soft_fetch(cpu, cpu->rip + first);
	if (!line)
		return NULL;
	memcpy(bytes + first, line->host, sizeof(bytes) - first);
	if (!page)
		return NULL;
	if (page->crossing[0].at != op->at || !page->crossing[0].run ||
	    memcmp(bytes, page->crossing_bytes, sizeof(bytes)) != 0) {
		memset(page->crossing, 0, sizeof(page->crossing));
		memcpy(page->crossing_bytes, bytes, sizeof(bytes));
		count = soft_translate(bytes, sizeof(bytes), op->at, page->crossing, &ends);
		page->crossing[count] = (struct soft_op){
			.run = soft_do_again, .at = op->at + page->crossing[count - 1].length};
	}
	return soft_go(cpu, page->crossing, left);
}

SOFT_PUBLIC(soft_do_invalid)
{
	return soft_raise(cpu, op, left, SOFT_UD);
}

/* More than 15 bytes. */
SOFT_PUBLIC(soft_do_too_long)
{
	return soft_raise_gp(cpu, op, left, 0);
}

/* An instruction, but not one of this processor's. */
SOFT_PUBLIC(soft_do_unknown)
{
	soft_begin(cpu, op, left);
	soft_unknown(cpu, op->length);
	return NULL;
}

/* A breakpoint that is not in memory. */
SOFT_PUBLIC(soft_do_stop)
{
	soft_begin(cpu, op, left);
	soft_stop_at(cpu);
	return NULL;
}

static struct soft_op *invalid(struct soft_cpu *cpu, struct soft_op *op, int64_t left)
{
	return soft_do_invalid(cpu, op, left);
}

/* What no CPUID here offers: #UD, as without the feature. */
#define ROW_INVALID(name) SOFT_ROW_END(name, SOFT_SHAPE_ANY, invalid)

const struct soft_form soft_forms_other[] = {
	ROW_INVALID(UD0),      ROW_INVALID(UD1),     ROW_INVALID(UD2),     ROW_INVALID(SYSENTER),
	ROW_INVALID(SYSEXIT),  ROW_INVALID(MONITOR), ROW_INVALID(MWAIT),   ROW_INVALID(XGETBV),
	ROW_INVALID(XSETBV),   ROW_INVALID(INVPCID), ROW_INVALID(RDRAND),  ROW_INVALID(RDSEED),
	ROW_INVALID(RDPID),    ROW_INVALID(VMCALL),  ROW_INVALID(VMMCALL), ROW_INVALID(VMLAUNCH),
	ROW_INVALID(VMRESUME), ROW_INVALID(VMRUN),   ROW_INVALID(RSM),     {0},
};
