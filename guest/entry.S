/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where every vCPU starts (guest/abi.h, ENTRY): takes its own stack, descriptor tables and flat
 * segments of its own, and goes on in cpu_start() (guest/main.c) with the arguments it came with:
 * RDI the boot information, ESI the CPU's index. Also here: the descriptor table and the stacks.
 */
#include "guest/cpu.h"

	.cfi_sections .debug_frame

	.section .text.entry, "ax"
	.globl entry
	.type entry, @function
entry:
	.cfi_startproc simple
	.cfi_def_cfa rsp, 8
	.cfi_undefined rip	/* nobody called: backtraces end here */
	cmpl	$GDT_MAX_CPUS, %esi
	jae	dead
	movl	%esi, %eax
	shlq	$STACKS_SHIFT, %rax
	leaq	stacks + STACK_TOP(%rax), %rsp
	lgdt	gdt_pointer
	lidt	idt_pointer
	movl	$SELECTOR_DATA, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	pushq	$SELECTOR_CODE
	pushq	$1f
	lretq
1:	xorl	%ebp, %ebp
	call	cpu_start
dead:	cli
	hlt
	jmp	dead
	.cfi_endproc
	.size entry, . - entry

	/* Flat 64-bit segments, accessed bit set; a CPU fills its task descriptor itself. */
	.data
	.balign	16
	.globl gdt
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* SELECTOR_CODE */
	.quad	0x00cf93000000ffff	/* SELECTOR_DATA */
	.quad	0x00cff3000000ffff	/* SELECTOR_USER_DATA */
	.quad	0x00affb000000ffff	/* SELECTOR_USER_CODE */
	.fill	TASK_ENTRIES * GDT_MAX_CPUS, 8, 0
	.type gdt, @object
	.size gdt, . - gdt
	.if	. - gdt - 1 - GDT_LIMIT
	.error	"the descriptor table is not as long as its limit says"
	.endif

	.section .rodata
	.balign	16
gdt_pointer:
	.word	GDT_LIMIT
	.quad	gdt
	.balign	16
idt_pointer:
	.word	256 * 16 - 1
	.quad	idt

	.section .stacks, "aw", @nobits
	.balign	STACKS_BYTES
	.globl stacks
	.type stacks, @object
stacks:
	.skip	STACKS_BYTES * GDT_MAX_CPUS
	.size stacks, . - stacks

	.section .note.GNU-stack, "", @progbits
