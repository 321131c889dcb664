/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of a few instructions that takes hypercalls by polling, and misbehaves where it is told
 * to: opcodes 0x200 and up (tests/machine/tiny_guest.h). Position-independent; it is copied into
 * a tiny image (tests/vmm/image/tiny_image.h).
 *
 * rdi: the boot information, rsi: the vCPU's index. Kept in:
 *   r8  this vCPU's area   r9d  the next submission   r10  its slot   r11  its completion slot
 */
#include "tests/machine/tiny_guest.h"

	.section .rodata.tiny_guest, "a", @progbits
	.globl tiny_guest
	.globl tiny_guest_end
tiny_guest:
	mov	TINY_AREA_GPA(%rdi,%rsi,8), %r8
	movabs	$TINY_DIRECT_BASE, %rax
	add	%rax, %r8
	xor	%r9d, %r9d
	movl	$1, TINY_ONLINE(%r8)

next:
	cmp	%r9d, TINY_SQ_TAIL(%r8)
	jne	take
	pause
	jmp	next

take:
	movzbl	%r9b, %eax
	mov	%eax, %r10d
	shl	$7, %r10
	lea	TINY_SQ(%r8,%r10), %r10
	shl	$6, %rax
	lea	TINY_CQ(%r8,%rax), %r11
	mov	8(%r10), %rax
	mov	%rax, TINY_CURRENT(%r8)
	mov	%rax, (%r11)
	movq	$0, 8(%r11)
	mov	16(%r10), %rax
	mov	%rax, 16(%r11)
	movzwl	(%r10), %ecx

	cmp	$TINY_OP_BAD_STATUS, %ecx
	je	bad_status
	cmp	$TINY_OP_BAD_USER_DATA, %ecx
	je	bad_user_data
	cmp	$TINY_OP_TOO_MANY, %ecx
	je	too_many
	cmp	$TINY_OP_OUT8, %ecx
	je	out8
	cmp	$TINY_OP_OUT32, %ecx
	je	out32
	cmp	$TINY_OP_IN32, %ecx
	je	in32
	cmp	$TINY_OP_LOAD, %ecx
	je	load
	cmp	$TINY_OP_HLT, %ecx
	je	halt
	cmp	$TINY_OP_WORK, %ecx
	je	work
	cmp	$TINY_OP_STACK, %ecx
	je	stack

answer:
	inc	%r9d
	mov	%r9d, TINY_SQ_HEAD(%r8)
	mov	%r9d, TINY_CQ_TAIL(%r8)
	movq	$0, TINY_CURRENT(%r8)
	cmp	%r9d, TINY_SQ_TAIL(%r8)
	jne	take
	mov	$0x600, %edx
	mov	%esi, %eax
	out	%eax, %dx
	jmp	next

bad_status:
	movq	$7, 8(%r11)
	jmp	answer
bad_user_data:
	incq	(%r11)
	jmp	answer
	/* Says so at its port, as it would the truth, and rests. */
too_many:
	add	$300, %r9d
	mov	%r9d, TINY_CQ_TAIL(%r8)
	mov	$0x600, %edx
	mov	%esi, %eax
	out	%eax, %dx
	jmp	halt
out8:
	mov	$0x600, %edx
	mov	%esi, %eax
	out	%al, %dx
	jmp	answer
out32:
	mov	16(%r10), %edx
	mov	24(%r10), %eax
	out	%eax, %dx
	jmp	answer
in32:
	mov	16(%r10), %edx
	in	%dx, %eax
	jmp	answer
load:
	mov	16(%r10), %rdx
	mov	(%rdx), %rdx
	mov	%rdx, 16(%r11)
	jmp	answer
halt:
	hlt
	jmp	halt
	/* arg[0] turns that show as progress. */
work:
	mov	16(%r10), %rdx
1:	incq	TINY_PROGRESS(%r8)
	dec	%rdx
	jnz	1b
	jmp	answer
	/* Stands still with a stack, at arg[0], that a return address lies on. */
stack:
	mov	16(%r10), %rsp
	call	inner
after:
	jmp	answer
inner:
	jmp	inner
tiny_guest_end:

	.globl tiny_guest_after
	.set	tiny_guest_after, after
	.section .note.GNU-stack, "", @progbits
