/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way to CPL 3 and back, the load that may fault, and what runs at CPL 3 (guest/user.h).
 */
#include "guest/cpu.h"

/* Of struct user_run (guest/user.c). */
#define RUN_ROOT  0
#define RUN_RIP   8
#define RUN_RSP   16
#define RUN_ARG0  24
#define RUN_ARG1  32
#define RUN_ARG2  40

	/* For backtraces (vmm/image/backtrace.h), as in guest/traps.S. */
	.cfi_sections .debug_frame

	.macro push_register name
	pushq	%\name
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \name, 0
	.endm

	.macro pop_register name
	popq	%\name
	.cfi_adjust_cfa_offset -8
	.cfi_same_value \name
	.endm

	.text

/*
 * void user_enter(const struct user_run *run, void *tss_rsp0)
 * Returns by way of user_leave(). Until then interrupts and exceptions of CPL 3 find their stack
 * below this frame, through the task state.
 */
	.globl user_enter
	.type user_enter, @function
user_enter:
	.cfi_startproc
	push_register rbx
	push_register rbp
	push_register r12
	push_register r13
	push_register r14
	push_register r15
	pushfq
	.cfi_adjust_cfa_offset 8
	cli
	movq	%cr3, %rax
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	movq	%rsp, (%rsi)
	movq	RUN_ROOT(%rdi), %rax
	movq	%rax, %cr3
	pushq	$SELECTOR_USER_DATA
	.cfi_adjust_cfa_offset 8
	pushq	RUN_RSP(%rdi)
	.cfi_adjust_cfa_offset 8
	pushq	$RFLAGS_USER
	.cfi_adjust_cfa_offset 8
	pushq	$SELECTOR_USER_CODE
	.cfi_adjust_cfa_offset 8
	pushq	RUN_RIP(%rdi)
	.cfi_adjust_cfa_offset 8
	movq	RUN_ARG2(%rdi), %rdx
	movq	RUN_ARG1(%rdi), %rsi
	movq	RUN_ARG0(%rdi), %rdi
	xorl	%eax, %eax
	xorl	%ebx, %ebx
	xorl	%ecx, %ecx
	xorl	%ebp, %ebp
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	iretq
	.cfi_endproc
	.size user_enter, . - user_enter

/*
 * void user_leave(u64 tss_rsp0): goes back to who called user_enter(), with the segments and the
 * interrupt flag of then. Interrupts are off.
 */
	.globl user_leave
	.type user_leave, @function
user_leave:
	.cfi_startproc
	movq	%rdi, %rsp
	.cfi_def_cfa rsp, 72
	.cfi_offset rbx, -16
	.cfi_offset rbp, -24
	.cfi_offset r12, -32
	.cfi_offset r13, -40
	.cfi_offset r14, -48
	.cfi_offset r15, -56
	popq	%rax
	.cfi_adjust_cfa_offset -8
	movq	%rax, %cr3
	movl	$SELECTOR_DATA, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	xorl	%eax, %eax
	movl	%eax, %fs
	popfq
	.cfi_adjust_cfa_offset -8
	pop_register r15
	pop_register r14
	pop_register r13
	pop_register r12
	pop_register rbp
	pop_register rbx
	ret
	.cfi_endproc
	.size user_leave, . - user_leave

/* s64 user_load(u64 address, u64 *value_out): 0, or -1 where the load faults (user_fixup()). */
	.globl user_load, user_load_faults, user_load_fixup
	.type user_load, @function
user_load:
	.cfi_startproc
user_load_faults:
	movq	(%rdi), %rax
	.pushsection .marks.exempt, "", @progbits
	.quad	user_load_faults
	.popsection
	movq	%rax, (%rsi)
	xorl	%eax, %eax
	ret
user_load_fixup:
	movq	$-1, %rax
	ret
	.cfi_endproc
	.size user_load, . - user_load

/*
 * What runs at CPL 3, natively on every host, with a page to itself: RDI address, RSI words, RDX
 * value; the result in RAX. There is no memory to push to.
 */
	.section .text.user, "ax"
	.balign	0x1000
	.globl user_programs
	.type user_programs, @object
user_programs:

	.globl user_program_read
	.type user_program_read, @function
user_program_read:
	xorl	%eax, %eax
	testq	%rsi, %rsi
	jz	user_program_return
1:	addq	(%rdi), %rax
	addq	$8, %rdi
	decq	%rsi
	jnz	1b
	jmp	user_program_return
	.size user_program_read, . - user_program_read

	.globl user_program_write
	.type user_program_write, @function
user_program_write:
	xorl	%eax, %eax
1:	cmpq	%rsi, %rax
	jae	user_program_return
	movq	%rdx, (%rdi)
	incq	%rdx
	addq	$8, %rdi
	incq	%rax
	jmp	1b
	.size user_program_write, . - user_program_write

	/* What it jumps to returns through the last word of the page. */
	.globl user_program_jump
	.type user_program_jump, @function
user_program_jump:
	jmp	*%rdi
	.size user_program_jump, . - user_program_jump

	.globl user_program_spin
	.type user_program_spin, @function
user_program_spin:
	pause
	jmp	user_program_spin
	.size user_program_spin, . - user_program_spin

	/* The one exception that is no fault of the program's. */
	.globl user_program_return
	.type user_program_return, @function
user_program_return:
	ud2
	.size user_program_return, . - user_program_return

	.org	user_programs + USER_RETURN_OFFSET
	.globl user_program_stack
	.type user_program_stack, @object
user_program_stack:
	.quad	USER_CODE + user_program_return - user_programs
	.size user_program_stack, . - user_program_stack
	.size user_programs, . - user_programs

	.section .note.GNU-stack, "", @progbits
