/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events through the IDT of the soft engine's processor, and the ways in and out of CPL 3: frames,
 * error codes, stacks, double and triple faults, shadows, single steps, breakpoints.
 */
#include <string.h>

#include "tests/harness.h"
#include "tests/vmm/soft/bare.h"

#define MEMORY_BYTES 0x400000

static struct bare *bare;
static struct soft_cpu *cpu;

static void setup(void)
{
	bare = bare_new(MEMORY_BYTES);
	bare_tables(bare);
	cpu = bare->cpu;
}

static void teardown(void)
{
	bare_free(bare);
}

#define CODE(...)                                                 \
	do {                                                      \
		static const uint8_t code_[] = {__VA_ARGS__};     \
		bare_code(bare, BARE_CODE, code_, sizeof(code_)); \
		cpu->halted = false;                              \
	} while (0)

static unsigned int halted_in(void)
{
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_HLT);
	ck_assert_uint_ge(cpu->rip, BARE_HANDLERS);
	return (cpu->rip - 1 - BARE_HANDLERS) / 16;
}

static uint64_t frame(unsigned int word)
{
	return bare_word(bare, cpu->regs[SOFT_RSP] + 8 * word);
}

static void set_gate(unsigned int vector, unsigned int byte, uint8_t value)
{
	bare->memory[BARE_IDT + 16 * vector + byte] = value;
}

START_TEST(frame_at_the_same_privilege)
{
	cpu->regs[SOFT_RSP] = BARE_STACK - 4; /* the frame is aligned to 16 */
	soft_cpu_set_rflags(cpu, SOFT_IF | SOFT_CF);
	CODE(0x90, 0xcd, 0x80); /* nop; int $0x80 */
	ck_assert_uint_eq(halted_in(), 0x80);
	ck_assert_uint_eq(cpu->regs[SOFT_RSP], BARE_STACK - 16 - 40);
	ck_assert_uint_eq(frame(0), BARE_CODE + 3);
	ck_assert_uint_eq(frame(1), BARE_KERNEL_CS);
	ck_assert_uint_eq(frame(2), SOFT_IF | SOFT_CF | 2);
	ck_assert_uint_eq(frame(3), BARE_STACK - 4);
	ck_assert_uint_eq(frame(4), BARE_KERNEL_SS);
	ck_assert(!(cpu->rflags & SOFT_IF));
}
END_TEST

START_TEST(inwards_and_back)
{
	bare_user(bare);
	set_gate(0x80, 5, 0xee);
	CODE(0xcd, 0x80, 0xf4); /* int $0x80; hlt, which is not for CPL 3 */
	ck_assert_uint_eq(halted_in(), 0x80);
	ck_assert_uint_eq(cpu->cpl, 0);
	ck_assert_uint_eq(cpu->regs[SOFT_RSP], BARE_RSP0 - 40);
	ck_assert_uint_eq(frame(1), BARE_USER_CS);
	ck_assert_uint_eq(frame(4), BARE_USER_SS);
	ck_assert_uint_eq(cpu->segments[SOFT_SS].selector, 0);
	/* iretq */
	memcpy(bare->memory + BARE_HANDLERS + 0x801, "\x48\xcf", 2);
	soft_code_drop(bare->code, bare->memory + BARE_HANDLERS);
	cpu->halted = false;
	ck_assert_int_eq(soft_cpu_run(cpu, 1), SOFT_STOP_BUDGET);
	ck_assert_uint_eq(cpu->cpl, 3);
	ck_assert_uint_eq(cpu->rip, BARE_CODE + 2);
	ck_assert_uint_eq(cpu->regs[SOFT_RSP], BARE_STACK);
	ck_assert_uint_eq(halted_in(), SOFT_GP);
	ck_assert_uint_eq(frame(0), 0);
	ck_assert_uint_eq(frame(1), BARE_CODE + 2);
}
END_TEST

START_TEST(error_codes)
{
	bare_user(bare);
	CODE(0xcd, 0x80); /* a gate of DPL 0 */
	ck_assert_uint_eq(halted_in(), SOFT_GP);
	ck_assert_uint_eq(frame(0), 0x80 * 8 + 2);
	set_gate(0x81, 5, 0x6e); /* DPL 3, not present */
	bare_user(bare);
	CODE(0xcd, 0x81);
	ck_assert_uint_eq(halted_in(), SOFT_NP);
	ck_assert_uint_eq(frame(0), 0x81 * 8 + 2);
	bare_user(bare);
	cpu->regs[SOFT_RAX] = 0x1234 & ~7;
	CODE(0x8e, 0xd8); /* mov %ax, %ds: beyond the table */
	ck_assert_uint_eq(halted_in(), SOFT_GP);
	ck_assert_uint_eq(frame(0), 0x1230);
	bare_user(bare);
	bare_set_page(bare, BARE_DATA, BARE_SUPERVISOR);
	CODE(0x8b, 0x04, 0x25, 0, 0, 2, 0); /* mov BARE_DATA, %eax */
	ck_assert_uint_eq(halted_in(), SOFT_PF_VECTOR);
	ck_assert_uint_eq(frame(0), X86_PF_P | X86_PF_U);
	ck_assert_uint_eq(cpu->cr2, BARE_DATA);
	ck_assert(frame(3) & SOFT_RF);
}
END_TEST

START_TEST(interrupt_stack_table)
{
	set_gate(SOFT_DE, 4, 1);
	CODE(0xf7, 0xf0); /* div %eax, of 0 */
	ck_assert_uint_eq(halted_in(), SOFT_DE);
	ck_assert_uint_eq(cpu->regs[SOFT_RSP], BARE_IST1 - 40);
	ck_assert_uint_eq(frame(3), BARE_STACK);
}
END_TEST

START_TEST(double_fault)
{
	/* The stack cannot be written: the page fault's delivery faults, the double fault's does
	 * not. */
	cpu->regs[SOFT_RSP] = BARE_DATA;
	bare_set_page(bare, BARE_DATA - 1, BARE_ABSENT);
	set_gate(SOFT_DF_VECTOR, 4, 1);
	CODE(0x50); /* push %rax */
	ck_assert_uint_eq(halted_in(), SOFT_DF_VECTOR);
	ck_assert_uint_eq(cpu->regs[SOFT_RSP], BARE_IST1 - 48);
	ck_assert_uint_eq(frame(0), 0);
	ck_assert_uint_eq(frame(1), BARE_CODE);
	ck_assert_uint_eq(frame(4), BARE_DATA);
}
END_TEST

START_TEST(triple_fault)
{
	cpu->regs[SOFT_RSP] = BARE_DATA;
	bare_set_page(bare, BARE_DATA - 1, BARE_ABSENT);
	CODE(0x50);
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_SHUTDOWN);
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_SHUTDOWN);
}
END_TEST

START_TEST(no_table_is_a_triple_fault)
{
	cpu->idt.limit = 0;
	CODE(0x0f, 0x0b);
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_SHUTDOWN);
	teardown();
	setup();
	cpu->idt.base = 1ull << 62;
	CODE(0x0f, 0x0b);
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_SHUTDOWN);
}
END_TEST

START_TEST(sti_holds_interrupts_for_one_instruction)
{
	bare->interrupt = 0x40;
	CODE(0xfb, 0x48, 0xff, 0xc0, 0x48, 0xff, 0xc0); /* sti; inc %rax; inc %rax */
	ck_assert_uint_eq(halted_in(), 0x40);
	ck_assert_uint_eq(cpu->regs[SOFT_RAX], 1);
	ck_assert_uint_eq(frame(0), BARE_CODE + 4);
	ck_assert(frame(2) & SOFT_IF);
	/* sti; hlt: halts, and the interrupt ends the halt. */
	bare->interrupt = 0x41;
	CODE(0xfb, 0xf4);
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->rip, BARE_CODE + 2);
	ck_assert_uint_eq(halted_in(), 0x41);
	ck_assert_uint_eq(frame(0), BARE_CODE + 2);
}
END_TEST

START_TEST(interrupts_wait_for_the_flag)
{
	bare->interrupt = 0x40;
	CODE(0x90, 0xf4);
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->rip, BARE_CODE + 2);
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_HLT);
	ck_assert_int_eq(bare->interrupt, 0x40);
	/* An NMI does not, and is the only one until IRET. */
	cpu->nmi = true;
	ck_assert_uint_eq(halted_in(), SOFT_NMI);
	cpu->nmi = true;
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_HLT);
	ck_assert(cpu->nmi);
}
END_TEST

START_TEST(trap_flag)
{
	soft_cpu_set_rflags(cpu, SOFT_TF);
	CODE(0x90, 0x90);
	ck_assert_uint_eq(halted_in(), SOFT_DB);
	ck_assert_uint_eq(frame(0), BARE_CODE + 1);
	ck_assert(cpu->dr6 & SOFT_DR6_BS);
	ck_assert(frame(2) & SOFT_TF);
	ck_assert(!(frame(2) & SOFT_RF));
}
END_TEST

START_TEST(debugger_steps)
{
	cpu->debug_step = true;
	CODE(0x48, 0xff, 0xc0, 0xeb, 0xfb);
	for (unsigned int i = 0; i < 6; i++) {
		ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_DEBUG);
		ck_assert_uint_eq(cpu->debug_hit.pc, BARE_CODE + (i % 2 ? 0 : 3));
		ck_assert_uint_eq(cpu->debug_hit.vector, SOFT_DB);
		ck_assert_uint_eq(cpu->instructions, i + 1);
	}
}
END_TEST

/* MOV SS: whoever steps sees it and the next instruction as one; so does a guest. */
START_TEST(mov_ss_hides_a_step)
{
	cpu->debug_step = true;
	cpu->regs[SOFT_RAX] = cpu->segments[SOFT_SS].selector;
	CODE(0x8e, 0xd0, 0x90, 0x90);
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_DEBUG);
	ck_assert_uint_eq(cpu->debug_hit.pc, BARE_CODE + 3);
	cpu->debug_step = false;
	soft_cpu_set_rflags(cpu, SOFT_TF);
	CODE(0x8e, 0xd0, 0x90, 0x90);
	ck_assert_uint_eq(halted_in(), SOFT_DB);
	ck_assert_uint_eq(frame(0), BARE_CODE + 3);
}
END_TEST

START_TEST(breakpoints)
{
	cpu->debug_breakpoints = true;
	CODE(0x90, 0xcc);
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_DEBUG);
	ck_assert_uint_eq(cpu->debug_hit.vector, SOFT_BP);
	ck_assert_uint_eq(cpu->rip, BARE_CODE + 1);
	cpu->debug_breakpoints = false;
	set_gate(SOFT_BP, 5, 0xee);
	ck_assert_uint_eq(halted_in(), SOFT_BP);
	ck_assert_uint_eq(frame(0), BARE_CODE + 2);
	/* An address in a debug register: of the debugger's, then of the guest's own. */
	CODE(0x90, 0x90, 0x90, 0xf4);
	cpu->debug_dr[0] = BARE_CODE + 2;
	cpu->debug_dr7 = 1;
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_DEBUG);
	ck_assert_uint_eq(cpu->debug_hit.pc, BARE_CODE + 2);
	cpu->debug_dr7 = 0;
	cpu->dr[3] = BARE_CODE + 2;
	cpu->dr7 |= 0x40;
	ck_assert_uint_eq(halted_in(), SOFT_DB);
	ck_assert_uint_eq(frame(0), BARE_CODE + 2);
	ck_assert_uint_eq(cpu->dr6 & 15, 8);
	ck_assert(frame(2) & SOFT_RF);
}
END_TEST

START_TEST(watched_addresses)
{
	cpu->debug_dr[1] = BARE_DATA + 4;
	cpu->debug_dr7 = 0xd00004; /* a write of four bytes */
	cpu->regs[SOFT_RDI] = BARE_DATA;
	CODE(0x8b, 0x47, 0x04, 0x89, 0x07, 0x48, 0x89, 0x07, 0x90);
	soft_cpu_drop_lines(cpu);
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_DEBUG);
	ck_assert_uint_eq(cpu->rip, BARE_CODE + 8);
	ck_assert_uint_eq(cpu->debug_hit.dr6 & 15, 2);
}
END_TEST

START_TEST(syscall_and_sysret)
{
	cpu->efer |= X86_EFER_SCE;
	cpu->msr.star = (uint64_t)BARE_KERNEL_CS << 32 | (uint64_t)(BARE_USER_SS - 8) << 48;
	cpu->msr.lstar = BARE_CODE + 0x10;
	cpu->msr.fmask = SOFT_IF | SOFT_CF;
	bare_user(bare);
	soft_cpu_set_rflags(cpu, SOFT_IF | SOFT_CF | SOFT_ZF);
	CODE(0x0f, 0x05, 0x90, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x48, 0x0f, 0x07);
	ck_assert_int_eq(soft_cpu_run(cpu, 1), SOFT_STOP_BUDGET);
	ck_assert_uint_eq(cpu->rip, BARE_CODE + 0x10);
	ck_assert_uint_eq(cpu->cpl, 0);
	ck_assert_uint_eq(cpu->regs[SOFT_RCX], BARE_CODE + 2);
	ck_assert_uint_eq(cpu->regs[SOFT_R8 + 3], SOFT_IF | SOFT_CF | SOFT_ZF | 2);
	ck_assert_uint_eq(soft_cpu_rflags(cpu), SOFT_ZF | 2);
	ck_assert_int_eq(soft_cpu_run(cpu, 1), SOFT_STOP_BUDGET);
	ck_assert_uint_eq(cpu->rip, BARE_CODE + 2);
	ck_assert_uint_eq(cpu->cpl, 3);
	ck_assert_uint_eq(soft_cpu_rflags(cpu), SOFT_IF | SOFT_CF | SOFT_ZF | 2);
	ck_assert_uint_eq(cpu->segments[SOFT_CS].selector, BARE_USER_CS);
	ck_assert_uint_eq(cpu->segments[SOFT_SS].selector, BARE_USER_SS);
}
END_TEST

START_TEST(far_return_and_task_register)
{
	cpu->tr = (struct kvm_segment){0};
	cpu->regs[SOFT_RAX] = BARE_TR;
	CODE(0x6a, 0x08,                      /* push $BARE_KERNEL_CS */
	     0x68, 0x10, 0x00, 0x01, 0x00,    /* push $BARE_CODE + 0x10 */
	     0x48, 0xcb, 0, 0, 0, 0, 0, 0, 0, /* lretq */
	     0x0f, 0x00, 0xd8, 0xf4);         /* ltr %ax; hlt */
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->rip, BARE_CODE + 0x14);
	ck_assert_uint_eq(cpu->tr.base, BARE_TSS);
	ck_assert_uint_eq(cpu->tr.limit, 0x67);
	ck_assert_uint_eq(bare->memory[BARE_GDT + BARE_TR + 5], 0x8b);
	ck_assert_uint_eq(cpu->regs[SOFT_RSP], BARE_STACK);
	CODE(0x0f, 0x00, 0xd8); /* a busy one is not loaded again */
	ck_assert_uint_eq(halted_in(), SOFT_GP);
	ck_assert_uint_eq(frame(0), BARE_TR);
}
END_TEST

START_TEST(control_registers)
{
	cpu->regs[SOFT_RAX] = cpu->cr0 & ~X86_CR0_PG;
	CODE(0x0f, 0x22, 0xc0); /* paging cannot be left */
	ck_assert_uint_eq(halted_in(), SOFT_GP);
	cpu->regs[SOFT_RAX] = cpu->cr4 | X86_CR4_PCIDE;
	CODE(0x0f, 0x22, 0xe0);
	ck_assert_uint_eq(halted_in(), SOFT_GP);
	cpu->regs[SOFT_RAX] = 0x5000;
	CODE(0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xdb, 0xf4); /* cr3 and back, to rbx */
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->regs[SOFT_RBX], 0x5000);
	ck_assert_uint_eq(bare->flushes, 1);
	bare_user(bare);
	CODE(0x0f, 0x20, 0xd8); /* not for CPL 3 */
	ck_assert_uint_eq(halted_in(), SOFT_GP);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("soft cpu, events");
	TCase *tcase = tcase_create("delivery");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, frame_at_the_same_privilege);
	tcase_add_test(tcase, inwards_and_back);
	tcase_add_test(tcase, error_codes);
	tcase_add_test(tcase, interrupt_stack_table);
	tcase_add_test(tcase, double_fault);
	tcase_add_test(tcase, triple_fault);
	tcase_add_test(tcase, no_table_is_a_triple_fault);
	tcase_add_test(tcase, sti_holds_interrupts_for_one_instruction);
	tcase_add_test(tcase, interrupts_wait_for_the_flag);
	tcase_add_test(tcase, trap_flag);
	tcase_add_test(tcase, debugger_steps);
	tcase_add_test(tcase, mov_ss_hides_a_step);
	tcase_add_test(tcase, breakpoints);
	tcase_add_test(tcase, watched_addresses);
	tcase_add_test(tcase, syscall_and_sysret);
	tcase_add_test(tcase, far_return_and_task_register);
	tcase_add_test(tcase, control_registers);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
