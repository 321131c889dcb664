/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instructions of the system: control and debug registers, MSRs, interrupts, CPUID, TSC, caches. */
#include "vmm/soft/control.h"
#include "vmm/soft/exec.h"

#define AGAIN soft_leave(cpu, soft_op_next(cpu, op), left, SOFT_EXIT_AGAIN)

#define PRIVILEGED()                                            \
	do {                                                    \
		if (cpu->cpl)                                   \
			return soft_raise_gp(cpu, op, left, 0); \
		soft_begin(cpu, op, left);                      \
	} while (0)

/* What the registers read as in the instruction's two operands, and after a write events, lines
 * and the next instruction are looked at anew. */
SOFT_HANDLER(mov_rc)
{
	PRIVILEGED();
	return soft_control_read(cpu, op->b, &cpu->regs[op->a / 8]) ? SOFT_NEXT : NULL;
}

SOFT_HANDLER(mov_cr)
{
	PRIVILEGED();
	return soft_control_write(cpu, op->a, SOFT_B(64)) ? AGAIN : NULL;
}

/* General detect comes before the access. */
static bool debug_guarded(struct soft_cpu *cpu)
{
	if (!(cpu->dr7 & SOFT_DR7_GD))
		return false;
	cpu->dr7 &= ~SOFT_DR7_GD;
	cpu->dr6 |= SOFT_DR6_BD;
	soft_cpu_raise(cpu, SOFT_DB, false, 0);
	return true;
}

SOFT_HANDLER(mov_rd)
{
	PRIVILEGED();
	if (debug_guarded(cpu))
		return NULL;
	return soft_debug_read(cpu, op->b, &cpu->regs[op->a / 8]) ? SOFT_NEXT : NULL;
}

SOFT_HANDLER(mov_dr)
{
	PRIVILEGED();
	if (debug_guarded(cpu))
		return NULL;
	return soft_debug_write(cpu, op->a, SOFT_B(64)) ? AGAIN : NULL;
}

SOFT_HANDLER(clts)
{
	PRIVILEGED();
	cpu->cr0 &= ~X86_CR0_TS;
	return SOFT_NEXT;
}

#define SMSW(N)                                                 \
	SOFT_HANDLER(smsw##N)                                   \
	{                                                       \
		if (cpu->cpl && (cpu->cr4 & X86_CR4_UMIP))      \
			return soft_raise_gp(cpu, op, left, 0); \
		SOFT_SET##N(op->a, (uint##N##_t)cpu->cr0);      \
		return SOFT_NEXT;                               \
	}

SMSW(16)
SMSW(32)
SMSW(64)

SOFT_HANDLER(smsw_m)
{
	uint16_t value = cpu->cr0;

	if (cpu->cpl && (cpu->cr4 & X86_CR4_UMIP))
		return soft_raise_gp(cpu, op, left, 0);
	soft_begin(cpu, op, left);
	return soft_write(cpu, soft_address(cpu, op), 2, &value) ? SOFT_NEXT : NULL;
}

/* The low four bits of CR0, of which PE cannot be cleared. */
static struct soft_op *load_status(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
				   uint16_t value)
{
	uint64_t cr0 = (cpu->cr0 & ~14ull) | (value & 15);

	return soft_control_write(cpu, 0, cr0) ? AGAIN : NULL;
}

SOFT_HANDLER(lmsw_r)
{
	PRIVILEGED();
	return load_status(cpu, op, left, SOFT_A(16));
}

SOFT_HANDLER(lmsw_m)
{
	const soft_u16 *from;

	PRIVILEGED();
	from = soft_read(cpu, soft_address(cpu, op), 2);
	return from ? load_status(cpu, op, left, *from) : NULL;
}

SOFT_HANDLER(invlpg)
{
	uint64_t gva = soft_address(cpu, op);

	PRIVILEGED();
	soft_cpu_drop_line(cpu, gva);
	cpu->ops->flush(cpu, SOFT_FLUSH_PAGE, gva);
	return AGAIN;
}

SOFT_HANDLER(rdmsr)
{
	uint64_t value = 0;

	PRIVILEGED();
	if (!soft_msr_read(cpu, cpu->regs[SOFT_RCX], &value))
		return NULL;
	cpu->regs[SOFT_RAX] = (uint32_t)value;
	cpu->regs[SOFT_RDX] = value >> 32;
	return SOFT_NEXT;
}

SOFT_HANDLER(wrmsr)
{
	uint64_t value = cpu->regs[SOFT_RDX] << 32 | (uint32_t)cpu->regs[SOFT_RAX];

	PRIVILEGED();
	return soft_msr_write(cpu, cpu->regs[SOFT_RCX], value) ? AGAIN : NULL;
}

/* CR4.TSD keeps the counter from CPL 1 to 3. */
#define CR4_TSD 4

SOFT_HANDLER(rdtsc)
{
	uint64_t value;

	if (cpu->cpl && (cpu->cr4 & CR4_TSD))
		return soft_raise_gp(cpu, op, left, 0);
	soft_begin(cpu, op, left);
	value = cpu->ops->tsc(cpu);
	cpu->regs[SOFT_RAX] = (uint32_t)value;
	cpu->regs[SOFT_RDX] = value >> 32;
	return SOFT_NEXT;
}

SOFT_HANDLER(rdtscp)
{
	if (!cpu->cpl || !(cpu->cr4 & CR4_TSD))
		cpu->regs[SOFT_RCX] = (uint32_t)cpu->msr.tsc_aux;
	return rdtsc(cpu, op, left);
}

SOFT_HANDLER(cpuid)
{
	uint32_t regs[4] = {0};

	soft_begin(cpu, op, left);
	cpu->ops->cpuid(cpu, cpu->regs[SOFT_RAX], cpu->regs[SOFT_RCX], regs);
	cpu->regs[SOFT_RAX] = regs[0];
	cpu->regs[SOFT_RBX] = regs[1];
	cpu->regs[SOFT_RCX] = regs[2];
	cpu->regs[SOFT_RDX] = regs[3];
	return SOFT_NEXT;
}

/* No counters are offered. */
SOFT_HANDLER(general_protection)
{
	return soft_raise_gp(cpu, op, left, 0);
}

SOFT_HANDLER(hlt)
{
	PRIVILEGED();
	cpu->halted = true;
	return soft_leave(cpu, soft_op_next(cpu, op), left, SOFT_STOP_HLT);
}

SOFT_HANDLER(pause)
{
	return soft_leave(cpu, soft_op_next(cpu, op), left, SOFT_STOP_PAUSE);
}

SOFT_HANDLER(cli)
{
	if (cpu->cpl > (cpu->rflags & SOFT_IOPL) >> 12)
		return soft_raise_gp(cpu, op, left, 0);
	cpu->rflags &= ~SOFT_IF;
	return SOFT_NEXT;
}

/* The instruction after it still runs undisturbed, if interrupts were off. */
SOFT_HANDLER(sti)
{
	if (cpu->cpl > (cpu->rflags & SOFT_IOPL) >> 12)
		return soft_raise_gp(cpu, op, left, 0);
	if (cpu->rflags & SOFT_IF)
		return SOFT_NEXT;
	cpu->rflags |= SOFT_IF;
	cpu->shadow = true;
	return AGAIN;
}

/* AC decides with SMAP what a supervisor may touch. */
SOFT_HANDLER(clac)
{
	PRIVILEGED();
	soft_cpu_set_rflags(cpu, soft_cpu_rflags(cpu) & ~SOFT_AC);
	return SOFT_NEXT;
}

SOFT_HANDLER(stac)
{
	PRIVILEGED();
	soft_cpu_set_rflags(cpu, soft_cpu_rflags(cpu) | SOFT_AC);
	return SOFT_NEXT;
}

SOFT_HANDLER(swapgs)
{
	uint64_t base = cpu->segments[SOFT_GS].base;

	PRIVILEGED();
	cpu->segments[SOFT_GS].base = cpu->msr.kernel_gs_base;
	cpu->msr.kernel_gs_base = base;
	return SOFT_NEXT;
}

#define SEGMENT_BASE(N, name, segment)                                        \
	SOFT_HANDLER(rd##name##N)                                             \
	{                                                                     \
		if (!(cpu->cr4 & X86_CR4_FSGSBASE))                           \
			return soft_raise(cpu, op, left, SOFT_UD);            \
		SOFT_SET##N(op->a, (uint##N##_t)cpu->segments[segment].base); \
		return SOFT_NEXT;                                             \
	}                                                                     \
                                                                              \
	SOFT_HANDLER(wr##name##N)                                             \
	{                                                                     \
		if (!(cpu->cr4 & X86_CR4_FSGSBASE))                           \
			return soft_raise(cpu, op, left, SOFT_UD);            \
		if (!soft_canonical(SOFT_A(N)))                               \
			return soft_raise_gp(cpu, op, left, 0);               \
		cpu->segments[segment].base = SOFT_A(N);                      \
		return SOFT_NEXT;                                             \
	}

SEGMENT_BASE(32, fsbase, SOFT_FS)
SEGMENT_BASE(64, fsbase, SOFT_FS)
SEGMENT_BASE(32, gsbase, SOFT_GS)
SEGMENT_BASE(64, gsbase, SOFT_GS)

SOFT_HANDLER(nothing)
{
	return SOFT_NEXT;
}

SOFT_HANDLER(privileged_nothing)
{
	PRIVILEGED();
	return SOFT_NEXT;
}

/* A line of the cache is named by a byte that may be read. */
SOFT_MEMORY_HANDLER(clflush)
{
	uint64_t gva = soft_address(cpu, op);

	SOFT_READ_AT(8, from, gva);
	(void)from;
	return SOFT_NEXT;
}

/* INT n and INT3: through the gate, with the next instruction to come back to. */
static struct soft_op *interrupt(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
				 uint8_t vector)
{
	soft_begin(cpu, op, left);
	cpu->event = (struct soft_event){
		.pending = true, .software = true, .vector = vector, .length = op->length};
	cpu->left = left - 1;
	return NULL;
}

SOFT_HANDLER(int_n)
{
	return interrupt(cpu, op, left, op->imm);
}

void soft_stop_at(struct soft_cpu *cpu)
{
	cpu->debug_hit.vector = SOFT_BP;
	cpu->debug_hit.pc = cpu->rip;
	cpu->debug_hit.dr6 = SOFT_DR6_FIXED;
	cpu->debug_hit.dr7 = SOFT_DR7_FIXED;
	cpu->exit = SOFT_STOP_DEBUG;
}

SOFT_HANDLER(int3)
{
	soft_begin(cpu, op, left);
	if (!cpu->debug_breakpoints)
		return interrupt(cpu, op, left, SOFT_BP);
	soft_stop_at(cpu);
	return NULL;
}

/* A trap like that of TF, but no privilege is asked for. */
SOFT_HANDLER(int1)
{
	soft_begin(cpu, op, left);
	cpu->event = (struct soft_event){
		.pending = true, .trap = true, .vector = SOFT_DB, .length = op->length};
	cpu->left = left - 1;
	return NULL;
}

#define ROW3(name, shape, handler)                                  \
	{                                                           \
		ZYDIS_MNEMONIC_##name, shape, SOFT_PLAIN, false,    \
		{                                                   \
			NULL, handler##16, handler##32, handler##64 \
		}                                                   \
	}
#define ROWS_BASE(FS, fs)                                                                    \
	{ZYDIS_MNEMONIC_RD##FS, R, SOFT_PLAIN, false, {NULL, NULL, rd##fs##32, rd##fs##64}}, \
	{                                                                                    \
		ZYDIS_MNEMONIC_WR##FS, R, SOFT_PLAIN, false,                                 \
		{                                                                            \
			NULL, NULL, wr##fs##32, wr##fs##64                                   \
		}                                                                            \
	}
#define R                 SOFT_SHAPE(R, NONE, NONE)
#define M                 SOFT_SHAPE(M, NONE, NONE)
#define I                 SOFT_SHAPE(I, NONE, NONE)
#define ROW_NOTHING(name) SOFT_ROW_ANY(name, SOFT_SHAPE_ANY, nothing)

const struct soft_form soft_forms_system[] = {
	SOFT_ROW_ANY(MOV, SOFT_SHAPE(R, C, NONE), mov_rc),
	SOFT_ROW_ANY(MOV, SOFT_SHAPE(C, R, NONE), mov_cr),
	SOFT_ROW_ANY(MOV, SOFT_SHAPE(R, D, NONE), mov_rd),
	SOFT_ROW_ANY(MOV, SOFT_SHAPE(D, R, NONE), mov_dr),
	SOFT_ROW_ANY(CLTS, 0, clts),
	ROW3(SMSW, R, smsw),
	SOFT_ROW_ANY(SMSW, M, smsw_m),
	SOFT_ROW_ANY(LMSW, R, lmsw_r),
	SOFT_ROW_ANY(LMSW, M, lmsw_m),
	SOFT_ROW_ANY(INVLPG, M, invlpg),
	SOFT_ROW_ANY(RDMSR, 0, rdmsr),
	SOFT_ROW_ANY(WRMSR, 0, wrmsr),
	SOFT_ROW_ANY(RDTSC, 0, rdtsc),
	SOFT_ROW_ANY(RDTSCP, 0, rdtscp),
	SOFT_ROW_ANY(RDPMC, 0, general_protection),
	SOFT_ROW_ANY(CPUID, 0, cpuid),
	SOFT_ROW_ANY(HLT, 0, hlt),
	SOFT_ROW_ANY(PAUSE, 0, pause),
	SOFT_ROW_ANY(CLI, 0, cli),
	SOFT_ROW_ANY(STI, 0, sti),
	SOFT_ROW_ANY(CLAC, 0, clac),
	SOFT_ROW_ANY(STAC, 0, stac),
	SOFT_ROW_ANY(SWAPGS, 0, swapgs),
	ROWS_BASE(FSBASE, fsbase),
	ROWS_BASE(GSBASE, gsbase),
	SOFT_ROW_ANY(WBINVD, 0, privileged_nothing),
	SOFT_ROW_ANY(INVD, 0, privileged_nothing),
	SOFT_ROW_ANY(CLFLUSH, M, clflush),
	SOFT_ROW_ANY(CLFLUSHOPT, M, clflush),
	SOFT_ROW_ANY(CLWB, M, clflush),
	SOFT_ROW_ANY(INT, I, int_n),
	SOFT_ROW_ANY(INT3, 0, int3),
	SOFT_ROW_ANY(INT1, 0, int1),
	ROW_NOTHING(NOP),
	ROW_NOTHING(ENDBR64),
	ROW_NOTHING(ENDBR32),
	ROW_NOTHING(LFENCE),
	ROW_NOTHING(MFENCE),
	ROW_NOTHING(SFENCE),
	ROW_NOTHING(PREFETCH),
	ROW_NOTHING(PREFETCHW),
	ROW_NOTHING(PREFETCHNTA),
	ROW_NOTHING(PREFETCHT0),
	ROW_NOTHING(PREFETCHT1),
	ROW_NOTHING(PREFETCHT2),
	ROW_NOTHING(PREFETCHWT1),
	{0},
};
