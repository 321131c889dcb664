/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The image tests spoil, built field by field. */
#include "tests/vmm/image/tiny_image.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(offsetof(struct tiny_image, sections) % 8 == 0, "sections are aligned");
_Static_assert(sizeof(((struct tiny_image *)0)->rodata.layout_text) ==
		       sizeof(TINY_LAYOUT) - 1 + 3 - (sizeof(TINY_LAYOUT) + 2) % 4,
	       "the layout text is padded to 4 bytes");

static void put_segment(Elf64_Phdr *segment, uint32_t flags, uint64_t offset, uint64_t gpa,
			uint64_t file_bytes, uint64_t memory_bytes)
{
	*segment = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = flags,
		.p_offset = offset,
		.p_vaddr = NB_IMAGE_BASE + gpa,
		.p_paddr = gpa,
		.p_filesz = file_bytes,
		.p_memsz = memory_bytes,
		.p_align = 4096,
	};
}

static void put_segments(struct tiny_image *image)
{
	put_segment(&image->segments[TINY_TEXT], PF_R | PF_X, offsetof(struct tiny_image, text),
		    TINY_TEXT_GPA, sizeof(image->text), sizeof(image->text));
	put_segment(&image->segments[TINY_RODATA], PF_R, offsetof(struct tiny_image, rodata),
		    TINY_RODATA_GPA, sizeof(image->rodata), sizeof(image->rodata));
	put_segment(&image->segments[TINY_DATA], PF_R | PF_W, offsetof(struct tiny_image, data),
		    TINY_DATA_GPA, sizeof(image->data), TINY_END_GPA - TINY_DATA_GPA);
	image->segments[TINY_NOTE] = image->segments[TINY_RODATA];
	image->segments[TINY_NOTE].p_type = PT_NOTE;
	image->segments[TINY_NOTE].p_align = 4;
}

static void put_notes(struct tiny_image *image)
{
	image->rodata.layout =
		(Elf64_Nhdr){sizeof(NB_NOTE_NAME), sizeof(TINY_LAYOUT) - 1, NB_NOTE_LAYOUT};
	memcpy(image->rodata.layout_name, NB_NOTE_NAME, sizeof(NB_NOTE_NAME));
	memcpy(image->rodata.layout_text, TINY_LAYOUT, sizeof(TINY_LAYOUT) - 1);
	image->rodata.build_id = (Elf64_Nhdr){4, 20, NT_GNU_BUILD_ID};
	memcpy(image->rodata.build_id_name, ELF_NOTE_GNU, 4);
	for (int i = 0; i < 20; i++)
		image->rodata.build_id_bytes[i] = (uint8_t)(0xa0 + i);
}

static void put_symbol(struct tiny_image *image, int index, const char *name, uint64_t gva,
		       uint64_t size, unsigned char type)
{
	size_t at = 1;

	while (image->strings[at])
		at += strlen(image->strings + at) + 1;
	strcpy(image->strings + at, name);
	image->symbols[index] = (Elf64_Sym){
		.st_name = (uint32_t)at,
		.st_info = ELF64_ST_INFO(STB_GLOBAL, type),
		.st_shndx = SHN_ABS,
		.st_value = gva,
		.st_size = size,
	};
}

static void put_symbols(struct tiny_image *image)
{
	put_symbol(image, TINY_SYM_LABEL, "tiny_label", TINY_TEXT_GVA + 0x80, 0, STT_NOTYPE);
	put_symbol(image, TINY_SYM_INNER, "tiny_inner", TINY_TEXT_GVA + 0x40, 0x40, STT_FUNC);
	put_symbol(image, TINY_SYM_ENTRY, "tiny_entry", TINY_TEXT_GVA, 0x40, STT_FUNC);
	put_symbol(image, TINY_SYM_DATA, "tiny_data", TINY_DATA_GVA, 8, STT_OBJECT);
	image->sections[1] = (Elf64_Shdr){
		.sh_type = SHT_SYMTAB,
		.sh_offset = offsetof(struct tiny_image, symbols),
		.sh_size = sizeof(image->symbols),
		.sh_link = 2,
		.sh_info = 1,
		.sh_addralign = 8,
		.sh_entsize = sizeof(Elf64_Sym),
	};
	image->sections[2] = (Elf64_Shdr){
		.sh_type = SHT_STRTAB,
		.sh_offset = offsetof(struct tiny_image, strings),
		.sh_size = sizeof(image->strings),
		.sh_addralign = 1,
	};
}

void tiny_image_make(struct tiny_image *image, const void *code, size_t code_bytes,
		     uint64_t entry_offset)
{
	memset(image, 0, sizeof(*image));
	memcpy(image->header.e_ident, ELFMAG, SELFMAG);
	image->header.e_ident[EI_CLASS] = ELFCLASS64;
	image->header.e_ident[EI_DATA] = ELFDATA2LSB;
	image->header.e_ident[EI_VERSION] = EV_CURRENT;
	image->header.e_type = ET_EXEC;
	image->header.e_machine = EM_X86_64;
	image->header.e_version = EV_CURRENT;
	image->header.e_entry = TINY_TEXT_GVA + entry_offset;
	image->header.e_phoff = offsetof(struct tiny_image, segments);
	image->header.e_shoff = offsetof(struct tiny_image, sections);
	image->header.e_ehsize = sizeof(Elf64_Ehdr);
	image->header.e_phentsize = sizeof(Elf64_Phdr);
	image->header.e_phnum = TINY_SEGMENTS;
	image->header.e_shentsize = sizeof(Elf64_Shdr);
	image->header.e_shnum = 3;
	image->header.e_shstrndx = 2;
	memset(image->text, 0xf4, sizeof(image->text));
	if (code_bytes)
		memcpy(image->text, code,
		       code_bytes < sizeof(image->text) ? code_bytes : sizeof(image->text));
	memset(image->data, 0xd5, sizeof(image->data));
	put_segments(image);
	put_notes(image);
	put_symbols(image);
}

const char *tiny_image_write(const struct tiny_image *image)
{
	static char path[64];
	int fd;

	snprintf(path, sizeof(path), "tiny-image-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, image, sizeof(*image)) != (ssize_t)sizeof(*image)) {
		perror(path);
		abort();
	}
	close(fd);
	return path;
}
