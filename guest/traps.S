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

/*
 * For backtraces, which go through here into what was interrupted (vmm/image/backtrace.h): the frame is
 * what the processor pushed, SS RSP RFLAGS CS RIP from high to low, and the CFA the address above
 * it. RSP is what it says there, because the processor may have switched stacks or aligned it.
 */
#define FRAME_BYTES 40
	.cfi_sections .debug_frame

	.macro begin_frame
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, FRAME_BYTES
	.cfi_offset rip, -40
	.cfi_offset rsp, -16
	.endm

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

	.section .text.stubs, "ax"
	.globl trap_stubs
	.type trap_stubs, @function
trap_stubs:
	begin_frame
	.set	vector, 0
	.rept	256
	.balign	TRAP_STUB_BYTES
	.if	vector == VECTOR_DOORBELL || vector == VECTOR_WAKE
	jmp	acknowledge
	.else
	.cfi_def_cfa_offset FRAME_BYTES
	.if	vector >= 32
	pushq	$0
	.elseif	((HAS_ERROR_CODE >> vector) & 1) == 0
	pushq	$0
	.endif
	.cfi_def_cfa_offset FRAME_BYTES + 8
	pushq	$vector
	.cfi_adjust_cfa_offset 8
	jmp	trap_common
	.endif
	.set	vector, vector + 1
	.endr
	.balign	TRAP_STUB_BYTES
	.cfi_endproc
	.size trap_stubs, . - trap_stubs
	.globl trap_stubs_end
trap_stubs_end:

	.text
	.type trap_common, @function
trap_common:
	begin_frame
	.cfi_adjust_cfa_offset 16	/* vector and error code */
	push_register rax
	push_register rbx
	push_register rcx
	push_register rdx
	push_register rsi
	push_register rdi
	push_register rbp
	push_register r8
	push_register r9
	push_register r10
	push_register r11
	push_register r12
	push_register r13
	push_register r14
	push_register r15
	cld
	movq	%rsp, %rdi
	call	trap_handle
	pop_register r15
	pop_register r14
	pop_register r13
	pop_register r12
	pop_register r11
	pop_register r10
	pop_register r9
	pop_register r8
	pop_register rbp
	pop_register rdi
	pop_register rsi
	pop_register rdx
	pop_register rcx
	pop_register rbx
	pop_register rax
	addq	$16, %rsp
	.cfi_adjust_cfa_offset -16
	iretq
	.cfi_endproc
	.size trap_common, . - trap_common

	.type acknowledge, @function
acknowledge:
	begin_frame
	push_register rax
	push_register rcx
	push_register rdx
	movl	$MSR_X2APIC_EOI, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	wrmsr
	pop_register rdx
	pop_register rcx
	pop_register rax
	iretq
	.cfi_endproc
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
