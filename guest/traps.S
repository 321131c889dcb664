/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interrupt descriptor table and what its 256 gates lead to. Each stub makes the stack look
 * as struct trap_frame has it and goes on in trap_handle() (guest/trap.c); interrupts that only
 * end a halt are acknowledged right here, because on an emulating host every instruction counts.
 *
 * The stubs lie at a fixed address, 16 bytes each, so that the table needs no code to fill it
 * and can be read-only.
 */
#include "guest/cpu.h"

/* Vectors for which the processor pushes an error code: 8, 10-14, 17, 21, 29, 30. */
#define HAS_ERROR_CODE 0x60227d00

	.section .text.stubs, "ax"
	.globl trap_stubs
	.type trap_stubs, @function
trap_stubs:
	.set	vector, 0
	.rept	256
	.balign	TRAP_STUB_BYTES
	.if	vector == VECTOR_DOORBELL || vector == VECTOR_WAKE
	jmp	acknowledge
	.else
	.if	vector >= 32
	pushq	$0
	.elseif	((HAS_ERROR_CODE >> vector) & 1) == 0
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	.endif
	.set	vector, vector + 1
	.endr
	.balign	TRAP_STUB_BYTES
	.size trap_stubs, . - trap_stubs
	.globl trap_stubs_end
trap_stubs_end:

	.text
	.type trap_common, @function
trap_common:
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	call	trap_handle
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp
	iretq
	.size trap_common, . - trap_common

	.type acknowledge, @function
acknowledge:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	movl	$MSR_X2APIC_EOI, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	wrmsr
	popq	%rdx
	popq	%rcx
	popq	%rax
	iretq
	.size acknowledge, . - acknowledge

	/* 64-bit interrupt gates (SDM vol. 3A, figure 6-8), privilege level 0. */
	.section .rodata
	.balign	16
	.globl idt
	.type idt, @object
idt:
	.set	vector, 0
	.rept	256
	.set	stub, TRAP_STUBS_LOW + TRAP_STUB_BYTES * vector
	.word	stub & 0xffff
	.word	SELECTOR_CODE
	.if	vector == VECTOR_DF || vector == VECTOR_MC
	.byte	IST_DF
	.elseif	vector == VECTOR_NMI
	.byte	IST_NMI
	.elseif	vector == VECTOR_PF
	.byte	IST_PF
	.else
	.byte	0
	.endif
	.byte	0x8e
	.word	(stub >> 16) & 0xffff
	.long	0xffffffff
	.long	0
	.set	vector, vector + 1
	.endr
	.size idt, . - idt

	/* What the linker script checks: the table above is right only for this address. */
	.globl trap_stubs_low
	.set	trap_stubs_low, TRAP_STUBS_LOW

	.section .note.GNU-stack, "", @progbits
