/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A good guest image of four pages, made in memory, for tests to spoil: text, read-only data with
 * the layout note and a build id, data of half a page with a page and a half of zeroes behind, and
 * a symbol table.
 */
#ifndef TESTS_TINY_IMAGE_H
#define TESTS_TINY_IMAGE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/abi.h"

#define TINY_TEXT_GPA   0x100000ull
#define TINY_RODATA_GPA 0x102000ull
#define TINY_DATA_GPA   0x103000ull
#define TINY_END_GPA    0x105000ull

#define TINY_TEXT_GVA   (NB_IMAGE_BASE + TINY_TEXT_GPA)
#define TINY_RODATA_GVA (NB_IMAGE_BASE + TINY_RODATA_GPA)
#define TINY_DATA_GVA   (NB_IMAGE_BASE + TINY_DATA_GPA)

#define TINY_CODE_MAX 4096

enum { TINY_TEXT, TINY_RODATA, TINY_DATA, TINY_NOTE, TINY_SEGMENTS };
enum { TINY_SYM_NULL, TINY_SYM_ENTRY, TINY_SYM_INNER, TINY_SYM_LABEL, TINY_SYM_DATA, TINY_SYMBOLS };

#define TINY_LAYOUT "NUMBER(abi_version)=1\nSYMBOL(tiny)=ffffffff80100000\n"

/* The file; 8-byte aligned, everything in it is the test's to change. */
struct tiny_image {
	Elf64_Ehdr header;
	Elf64_Phdr segments[TINY_SEGMENTS];
	uint8_t text[TINY_CODE_MAX];
	struct {
		Elf64_Nhdr layout;
		char layout_name[8];
		char layout_text[(sizeof(TINY_LAYOUT) - 1 + 3) / 4 * 4];
		Elf64_Nhdr build_id;
		char build_id_name[4];
		uint8_t build_id_bytes[20];
	} rodata;
	uint8_t data[2048];
	Elf64_Sym symbols[TINY_SYMBOLS];
	char strings[64];
	Elf64_Shdr sections[3]; /* null, symtab, strtab */
};

/*
 * Fills @image. Its text is @code, @code_bytes long, entered at @entry_offset; without code it is
 * a HLT. Symbols: tiny_entry [0, 0x40), tiny_inner [0x40, 0x80), tiny_label at 0x80 without a
 * size, tiny_data in the data segment.
 */
void tiny_image_make(struct tiny_image *image, const void *code, size_t code_bytes,
		     uint64_t entry_offset);

/* Writes it to a new file of its own in the current directory's tmp; the name is static. */
const char *tiny_image_write(const struct tiny_image *image);

#endif
