/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest image, as it was linked, inside the program: vmm/image/image.c reads it like any other. */

	.section .rodata.builtin_image, "a", @progbits
	.balign 64
	.globl builtin_image
	.type builtin_image, @object
builtin_image:
	.incbin "guest/nestbox-guest"
	.size builtin_image, . - builtin_image
	.globl builtin_image_end
builtin_image_end:

	.section .note.GNU-stack, "", @progbits
