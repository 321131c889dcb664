/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The image's layout note (guest/abi.h): the list of guest/layout.h as KEY=VALUE text, put into
 * .note.nestbox by the assembler, so that the guest spends no instruction on it. The linker
 * script keeps the section inside a read-only PT_LOAD and gives it a PT_NOTE.
 *
 * The statements stand in a function because only there an asm statement may have operands; the
 * function is never called. `volatile` keeps them in their order. %P prints a constant as a bare
 * signed decimal of any size (%c only one of 32 bits, with gcc): values from 2^63 on appear
 * negative, as Linux prints them in its VMCOREINFO.
 */
#include <stddef.h>

#include "guest/layout.h"
#include "guest/machine.h"

#define IN_NOTE(lines)  ".pushsection .note.nestbox, \"a\", @note\n" lines ".popsection\n"
#define NOTE_TEXT(text) IN_NOTE(".ascii \"" text "\\n\"\n")

#define NOTE_SIZE(name)   asm volatile(NOTE_TEXT("SIZE(" #name ")=%P0")::"i"(sizeof(struct name)));
#define NOTE_NUMBER(name) asm volatile(NOTE_TEXT("NUMBER(" #name ")=%P0")::"i"(name));
#define NOTE_OFFSET(name, field) \
	asm volatile(            \
		NOTE_TEXT("OFFSET(" #name "." #field ")=%P0")::"i"(offsetof(struct name, field)));
#define NOTE_FIELD(name, field, align, width) NOTE_OFFSET(name, field)
#define NOTE_STRUCT(name, fields)             NOTE_SIZE(name) fields(NOTE_FIELD)
/* Not through NOTE_NUMBER(), which would get the constant's value for its name. */
#define NOTE_LISTED_NUMBER(member, name, least, greatest) \
	asm volatile(NOTE_TEXT("NUMBER(" #name ")=%P0")::"i"(name));

void layout_note(void);

/* Elf64_Nhdr: name size, descriptor size, type; then both, padded to four bytes. */
__attribute__((used, noinline)) void layout_note(void)
{
	asm volatile(IN_NOTE(".balign 4\n"
			     ".long 2f - 1f, 4f - 3f, %P0\n"
			     "1: .asciz \"" NB_NOTE_NAME "\"\n"
			     "2: .balign 4\n"
			     "3:\n")::"i"(NB_NOTE_LAYOUT));
	asm volatile(NOTE_TEXT("SYMBOL(machine)=" LAYOUT_STRING(LAYOUT_MACHINE_HEX)));
	NOTE_OFFSET(machine, mm)
	LAYOUT_STRUCTS(NOTE_STRUCT)
	LAYOUT_MORE_OFFSETS(NOTE_OFFSET)
	LAYOUT_NUMBERS(NOTE_LISTED_NUMBER)
	LAYOUT_MORE_NUMBERS(NOTE_NUMBER)
	asm volatile(IN_NOTE("4: .balign 4\n"));
}
