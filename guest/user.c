/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What cpl3.S leaves to C: the start of a program, its time, and what each of its ends means.
 *
 * What CPL 3 can change of this CPU's state is put right before it is used: GS by user_trap(), the
 * other segments and the flags by user_leave(). Debug, control and model-specific registers are
 * out of its reach, and the kernel uses neither x87 nor vector registers.
 */
#include "guest/user.h"

#include "guest/apic.h"
#include "guest/report.h"
#include "mm/errno.h"

/* One run; cpl3.S knows the first six words. */
struct user_run {
	u64 root, rip, rsp;
	u64 arg[3];
	u64 *result; /* NB_OP_USER_RUN's four */
	s64 status;
	u32 ticks; /* left */
};
_Static_assert(offsetof(struct user_run, rsp) == 16 && offsetof(struct user_run, arg) == 24,
	       "cpl3.S knows these places");
_Static_assert(NB_USER_CODE == USER_CODE && NB_USER_CODE + PAGE_SIZE == USER_END,
	       "the last page of user addresses");

void user_enter(const struct user_run *run, void *tss_rsp0);
__attribute__((noreturn)) void user_leave(u64 tss_rsp0);
s64 user_load(u64 address, u64 *value_out);

extern const char user_load_faults[], user_load_fixup[];
extern const char user_programs[], user_program_read[], user_program_write[], user_program_jump[],
	user_program_spin[], user_program_return[], user_program_stack[];

static const char *const programs[] = {
	[NB_USER_READ] = user_program_read,
	[NB_USER_WRITE] = user_program_write,
	[NB_USER_JUMP] = user_program_jump,
	[NB_USER_SPIN] = user_program_spin,
};

/* Where something of the page of programs is in a process. */
static u64 user_address(const char *kernel_address)
{
	return NB_USER_CODE + (u64)(kernel_address - user_programs);
}

void user_init(void)
{
	wrmsr(X86_MSR_EFER, rdmsr(X86_MSR_EFER) & ~X86_EFER_SCE);
}

int user_prepare(struct process *process)
{
	struct mm *mm = &machine.mm;
	struct vm_area_struct *vma;
	int err = vma_create(mm, process, NB_USER_CODE, NB_USER_CODE + PAGE_SIZE, VM_READ | VM_EXEC,
			     &vma);

	if (err)
		return err;
	return remap_pfn_range(mm, vma, ((u64)user_programs - NB_IMAGE_BASE) >> PAGE_SHIFT);
}

/* ---- running ---- */

static void start_ticks(void)
{
	wrmsr(MSR_X2APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	wrmsr(MSR_X2APIC_LVT_TIMER, APIC_LVT_PERIODIC | VECTOR_TIMER);
	wrmsr(MSR_X2APIC_TIMER_INITIAL, USER_TICK_NANOSECONDS);
}

/* A tick that is on its way still is one of the kernel's, and nothing. */
static void stop_ticks(void)
{
	wrmsr(MSR_X2APIC_TIMER_INITIAL, 0);
	wrmsr(MSR_X2APIC_LVT_TIMER, APIC_LVT_MASKED | VECTOR_TIMER);
}

s64 user_run(struct cpu *cpu, u64 root_phys, const struct user_program *program, u64 *result)
{
	struct user_run run = {
		.root = root_phys,
		.rip = user_address(programs[program->program]),
		.rsp = user_address(user_program_stack),
		.arg = {program->arg[0], program->arg[1], program->arg[2]},
		.result = result,
		.ticks = USER_TICKS,
	};

	cpu->user = &run;
	start_ticks();
	user_enter(&run, (char *)&cpu->tss + offsetof(struct tss, rsp[0]));
	stop_ticks();
	cpu->user = NULL;
	return READ_ONCE(run.status);
}

/* ---- its ends ---- */

__attribute__((noreturn)) static void leave(struct cpu *cpu, s64 status)
{
	WRITE_ONCE(cpu->user->status, status);
	user_leave(cpu->tss.rsp[0]);
}

__attribute__((noreturn)) static void leave_by_exception(struct cpu *cpu,
							 const struct trap_frame *frame)
{
	u64 *result = cpu->user->result;

	if (frame->vector == VECTOR_UD && frame->rip == user_address(user_program_return)) {
		result[0] = frame->rax;
		leave(cpu, 0);
	}
	result[0] = frame->vector;
	result[1] = frame->error_code;
	result[2] = frame->vector == VECTOR_PF ? read_cr2() : 0;
	result[3] = frame->rip;
	leave(cpu, -EFAULT);
}

static void tick(struct cpu *cpu)
{
	apic_eoi();
	if (--cpu->user->ticks == 0)
		leave(cpu, -EINTR);
}

/* GS is what the program made of it; the stack the frame is on is this CPU's. */
static struct cpu *take_cpu_back(const struct trap_frame *frame)
{
	struct cpu *cpu = &machine.cpu[((u64)frame - (u64)stacks) >> STACKS_SHIFT];

	wrmsr(MSR_GS_BASE, (u64)cpu);
	return cpu;
}

bool user_trap(const struct trap_frame *frame)
{
	struct cpu *cpu = take_cpu_back(frame);

	switch (frame->vector) {
	case VECTOR_TIMER:
		tick(cpu);
		return true;
	case VECTOR_NMI:
	case VECTOR_DF:
	case VECTOR_MC:
		report_trap(frame); /* not the program's doing */
	default:
		if (frame->vector >= NR_EXCEPTIONS)
			return false;
		leave_by_exception(cpu, frame);
	}
}

/* ---- probing ---- */

bool user_fixup(struct trap_frame *frame)
{
	if (frame->rip != (u64)user_load_faults ||
	    (frame->vector != VECTOR_PF && frame->vector != VECTOR_GP))
		return false;
	frame->rip = (u64)user_load_fixup;
	return true;
}

s64 user_probe(u64 root_phys, u64 address, u64 *value_out)
{
	u64 flags = irq_flags(), root = read_cr3();
	s64 err;

	irq_disable();
	if (root_phys)
		write_cr3(root_phys);
	err = user_load(address, value_out);
	if (root_phys)
		write_cr3(root);
	if (flags & RFLAGS_IF)
		irq_enable();
	return err ? -EFAULT : 0;
}
