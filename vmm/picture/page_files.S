/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The page's own files, as text that ends in a NUL (vmm/picture/page.h). */

.macro text name, file
	.globl \name
	.type \name, @object
\name:
	.incbin "\file"
	.byte 0
	.size \name, . - \name
.endm

	.section .rodata.picture_page, "a", @progbits
	text page_html, "vmm/picture/page.html"
	text page_css, "vmm/picture/page.css"
	text page_core_js, "vmm/picture/core.js"
	text page_space_js, "vmm/picture/space.js"
	text page_tables_js, "vmm/picture/tables.js"
	text page_figures_js, "vmm/picture/figures.js"

	.section .note.GNU-stack, "", @progbits
