/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loader of guest images against images spoiled in one field each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/harness.h"
#include "tests/vmm/image/tiny_image.h"
#include "vmm/image/image.h"

static struct tiny_image tiny;
static struct image image;
static struct error error;

static void setup(void)
{
	tiny_image_make(&tiny, NULL, 0, 0);
	memset(&image, 0x5a, sizeof(image));
}

static int load(void)
{
	return image_load_bytes("tiny", &tiny, sizeof(tiny), &image, &error);
}

START_TEST(a_good_image_is_read_whole)
{
	const struct image_segment *text = &image.segments[0], *data = &image.segments[2];

	ck_assert_int_eq(load(), 0);
	ck_assert_uint_eq(image.entry.value, TINY_TEXT_GVA);
	ck_assert_uint_eq(image.nr_segments, 3);
	ck_assert_uint_eq(text->start.value, TINY_TEXT_GVA);
	ck_assert_uint_eq(text->end.value, TINY_TEXT_GVA + TINY_CODE_MAX);
	ck_assert_uint_eq(text->gpa.value, TINY_TEXT_GPA);
	ck_assert_ptr_eq(text->bytes, tiny.text);
	ck_assert(text->executable && !text->writable);
	ck_assert_uint_eq(data->end.value, NB_IMAGE_BASE + TINY_END_GPA);
	ck_assert_uint_eq(data->file_bytes, sizeof(tiny.data));
	ck_assert(!data->executable && data->writable);
	ck_assert_uint_eq(image.layout_bytes, sizeof(TINY_LAYOUT) - 1);
	ck_assert_mem_eq(image.layout, TINY_LAYOUT, image.layout_bytes);
	ck_assert_uint_eq(image.layout_gva.value,
			  TINY_RODATA_GVA + sizeof(Elf64_Nhdr) + sizeof(NB_NOTE_NAME));
	ck_assert_str_eq(image.build_id, "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3");
	image_unload(&image);
}
END_TEST

START_TEST(an_address_has_the_symbol_that_holds_it)
{
	char text[IMAGE_PLACE_BYTES];

	ck_assert_int_eq(load(), 0);
	ck_assert_str_eq(image_place(&image, TINY_TEXT_GVA, text), "tiny_entry+0x0/0x40");
	ck_assert_str_eq(image_place(&image, TINY_TEXT_GVA + 0x3f, text), "tiny_entry+0x3f/0x40");
	ck_assert_str_eq(image_place(&image, TINY_TEXT_GVA + 0x52, text), "tiny_inner+0x12/0x40");
	ck_assert_str_eq(image_place(&image, TINY_TEXT_GVA + 0x81, text), "tiny_label+0x1/0xf80");
	ck_assert_str_eq(image_place(&image, TINY_DATA_GVA + 7, text), "tiny_data+0x7/0x8");
	ck_assert_str_eq(image_place(&image, TINY_DATA_GVA + 8, text), "0xffffffff80103008");
	ck_assert_str_eq(image_place(&image, TINY_TEXT_GVA - 1, text), "0xffffffff800fffff");
	ck_assert_str_eq(image_place(&image, 0, text), "0x0");
	ck_assert_str_eq(image_place(&image, UINT64_MAX, text), "0xffffffffffffffff");
	ck_assert_ptr_eq(image_symbol_named(&image, "tiny_inner"),
			 image_symbol_find(&image, TINY_TEXT_GVA + 0x40));
	ck_assert_ptr_null(image_symbol_named(&image, "tiny"));
	image_unload(&image);
}
END_TEST

START_TEST(symbols_that_make_no_sense_are_left_out)
{
	char text[IMAGE_PLACE_BYTES];

	tiny.symbols[TINY_SYM_ENTRY].st_name = UINT32_MAX;
	tiny.symbols[TINY_SYM_INNER].st_value = 0x1000;
	tiny.symbols[TINY_SYM_LABEL].st_size = UINT64_MAX;
	tiny.symbols[TINY_SYM_DATA].st_shndx = SHN_UNDEF;
	ck_assert_int_eq(load(), 0);
	ck_assert_uint_eq(image.nr_symbols, 1);
	ck_assert_str_eq(image_place(&image, TINY_TEXT_GVA + 0x81, text), "tiny_label+0x1/0xf80");
	image_unload(&image);
	tiny.sections[1].sh_offset = UINT64_MAX - 8;
	ck_assert_int_eq(load(), 0);
	ck_assert_uint_eq(image.nr_symbols, 0);
	image_unload(&image);
}
END_TEST

/* A zlib stream (RFC 1950, 1951) of one stored block, behind the header ELF has for it. */
static size_t put_compressed(uint8_t *at, const char *bytes, uint16_t size)
{
	Elf64_Chdr header = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = size, .ch_addralign = 1};
	uint16_t lengths[2] = {size, (uint16_t)~size};
	uint32_t a = 1, b = 0;
	uint8_t *start = at;

	for (uint16_t i = 0; i < size; i++) {
		a = (a + (uint8_t)bytes[i]) % 65521;
		b = (b + a) % 65521;
	}
	memcpy(at, &header, sizeof(header));
	at += sizeof(header);
	*at++ = 0x78;
	*at++ = 0x01;
	*at++ = 1;
	memcpy(at, lengths, 4);
	memcpy(at + 4, bytes, size);
	at += 4 + size;
	*at++ = (uint8_t)(b >> 8);
	*at++ = (uint8_t)b;
	*at++ = (uint8_t)(a >> 8);
	*at++ = (uint8_t)a;
	return (size_t)(at - start);
}

/* Names libelf unpacks into memory of its own, which it frees, must not be kept. */
START_TEST(names_outside_the_file_are_left_out)
{
	size_t offset = offsetof(struct tiny_image, text) + 1024;

	tiny.sections[2].sh_flags = SHF_COMPRESSED;
	tiny.sections[2].sh_offset = (offset + 7) & ~(size_t)7;
	tiny.sections[2].sh_size = put_compressed((uint8_t *)&tiny + tiny.sections[2].sh_offset,
						  tiny.strings, sizeof(tiny.strings));
	ck_assert_int_eq(load(), 0);
	for (size_t i = 0; i < image.nr_symbols; i++)
		ck_assert(image.symbols[i].name >= (char *)&tiny &&
			  image.symbols[i].name < (char *)(&tiny + 1));
	image_unload(&image);
}
END_TEST

START_TEST(a_name_is_made_printable)
{
	char text[IMAGE_PLACE_BYTES];
	char *name;

	name = tiny.strings + tiny.symbols[TINY_SYM_ENTRY].st_name;
	name[0] = 27;
	ck_assert_int_eq(load(), 0);
	ck_assert_str_eq(image_place(&image, TINY_TEXT_GVA, text), "?iny_entry+0x0/0x40");
	image_unload(&image);
}
END_TEST

/* One way each to spoil the good image, and what must be said about it. */
#define SPOIL(name, statement) \
	static void name(void) \
	{                      \
		statement;     \
	}

SPOIL(magic, tiny.header.e_ident[1] = 'e')
SPOIL(class32, tiny.header.e_ident[EI_CLASS] = ELFCLASS32)
SPOIL(big_endian, tiny.header.e_ident[EI_DATA] = ELFDATA2MSB)
SPOIL(ident_version, tiny.header.e_ident[EI_VERSION] = 2)
SPOIL(machine, tiny.header.e_machine = EM_386)
SPOIL(type, tiny.header.e_type = ET_DYN)
SPOIL(version, tiny.header.e_version = 2)
SPOIL(header_size, tiny.header.e_ehsize = 52)
SPOIL(phent_size, tiny.header.e_phentsize = 32)
SPOIL(no_segments, tiny.header.e_phnum = 0)
SPOIL(too_many_headers, tiny.header.e_phnum = 60000)
SPOIL(headers_outside, tiny.header.e_phoff = UINT64_MAX - 8)
SPOIL(entry_outside, tiny.header.e_entry = 0x1000)
SPOIL(entry_in_data, tiny.header.e_entry = TINY_DATA_GVA)
SPOIL(entry_at_end, tiny.header.e_entry = TINY_TEXT_GVA + TINY_CODE_MAX)
SPOIL(unaligned, tiny.segments[TINY_TEXT].p_vaddr += 8)
SPOIL(empty, tiny.segments[TINY_DATA].p_memsz = 0)
SPOIL(memsz_small, tiny.segments[TINY_DATA].p_memsz = tiny.segments[TINY_DATA].p_filesz - 1)
SPOIL(offset_outside, tiny.segments[TINY_DATA].p_offset = sizeof(tiny) + 1)
SPOIL(offset_wraps, tiny.segments[TINY_DATA].p_offset = UINT64_MAX - 16)
SPOIL(file_end, tiny.segments[TINY_DATA].p_offset = sizeof(tiny) - 2047)
SPOIL(below_base, tiny.segments[TINY_TEXT].p_vaddr = NB_DIRECT_BASE)
SPOIL(in_modules, tiny.segments[TINY_TEXT].p_vaddr = NB_MODULES_BASE)
SPOIL(over_modules, tiny.segments[TINY_DATA].p_memsz = NB_MODULES_BASE - TINY_DATA_GVA + 1)
SPOIL(memsz_wraps, tiny.segments[TINY_DATA].p_memsz = UINT64_MAX)
SPOIL(too_long, tiny.segments[TINY_DATA].p_memsz = IMAGE_SPAN_MAX)
SPOIL(physical, tiny.segments[TINY_DATA].p_paddr += 4096)
SPOIL(frame_0,
      (tiny.segments[TINY_TEXT].p_paddr = 0, tiny.segments[TINY_TEXT].p_vaddr = NB_IMAGE_BASE))
SPOIL(wx, tiny.segments[TINY_TEXT].p_flags |= PF_W)
SPOIL(overlap, (tiny.segments[TINY_DATA].p_vaddr = TINY_RODATA_GVA,
		tiny.segments[TINY_DATA].p_paddr = TINY_RODATA_GPA))
SPOIL(descending, (tiny.segments[TINY_DATA].p_vaddr = TINY_TEXT_GVA - 4096 * 2,
		   tiny.segments[TINY_DATA].p_paddr = TINY_TEXT_GPA - 4096 * 2))
SPOIL(no_note, tiny.segments[TINY_NOTE].p_type = PT_NULL)
SPOIL(note_name, tiny.rodata.layout_name[0] = 'M')
SPOIL(note_type, tiny.rodata.layout.n_type++)
SPOIL(note_size, tiny.rodata.layout.n_descsz = UINT32_MAX)
SPOIL(note_name_size, tiny.rodata.layout.n_namesz = UINT32_MAX)
SPOIL(note_empty, tiny.rodata.layout.n_descsz = 0)
SPOIL(note_control, tiny.rodata.layout_text[3] = 7)
SPOIL(note_writable, tiny.segments[TINY_RODATA].p_flags |= PF_W)
SPOIL(note_elsewhere, tiny.segments[TINY_NOTE].p_vaddr = TINY_TEXT_GVA)
SPOIL(note_nowhere, tiny.segments[TINY_NOTE].p_vaddr = 0x1000)
SPOIL(notes_outside, tiny.segments[TINY_NOTE].p_offset = sizeof(tiny))
SPOIL(note_twice, tiny.segments[TINY_DATA] = tiny.segments[TINY_NOTE])

static const struct {
	void (*spoil)(void);
	const char *text;
} spoiled[] = {
	{magic, "no ELF file"},
	{class32, "class is 1"},
	{big_endian, "little-endian"},
	{ident_version, "ELF version is 2"},
	{machine, "machine is 3"},
	{type, "type is 3"},
	{version, "header says version 2"},
	{header_size, "52 bytes"},
	{phent_size, "program headers have 32 bytes"},
	{no_segments, "nothing to load"},
	{too_many_headers, "program headers"},
	{headers_outside, "program headers"},
	{entry_outside, "entry, 0x1000"},
	{entry_in_data, "not in executable memory"},
	{entry_at_end, "not in executable memory"},
	{unaligned, "segment 0 starts at"},
	{empty, "segment 2 is empty"},
	{memsz_small, "0x7ff in memory"},
	{offset_outside, "segment 2 reaches beyond the file's end"},
	{offset_wraps, "segment 2 reaches beyond the file's end"},
	{file_end, "segment 2 reaches beyond the file's end"},
	{below_base, "segment 0, 0x1000 bytes at 0xffff888000000000, is not inside"},
	{in_modules, "segment 0, 0x1000 bytes at 0xffffffffc0000000, is not inside"},
	{over_modules, "is not inside"},
	{memsz_wraps, "is not inside"},
	{too_long, "spans"},
	{physical, "segment 2 has physical address 0x104000"},
	{frame_0, "frame 0"},
	{wx, "segment 0 is writable and executable"},
	{overlap, "segment 2 shares a page"},
	{descending, "segment 2 shares a page with the one before it, or lies below it"},
	{no_note, "no layout note"},
	{note_name, "no layout note"},
	{note_type, "no layout note"},
	{note_size, "no layout note"},
	{note_name_size, "no layout note"},
	{note_empty, "layout note has 0 bytes"},
	{note_control, "not plain text"},
	{note_writable, "not in read-only memory"},
	{note_elsewhere, "not where its segment has it"},
	{note_nowhere, "not in read-only memory"},
	{notes_outside, "notes reach beyond"},
	{note_twice, "two layout notes"},
};

START_TEST(each_bad_field_is_named)
{
	struct image before;

	memcpy(&before, &image, sizeof(image));
	spoiled[_i].spoil();
	ck_assert_int_eq(load(), -ENOEXEC);
	ck_assert_msg(strstr(error.text, spoiled[_i].text), "\"%s\" lacks \"%s\"", error.text,
		      spoiled[_i].text);
	ck_assert_ptr_nonnull(strstr(error.text, "tiny is not a guest image"));
	ck_assert_mem_eq(&before, &image, sizeof(image));
}
END_TEST

START_TEST(every_truncation_is_refused_or_harmless)
{
	/* A copy of just that size, so that the sanitizer sees a read beyond it. */
	for (size_t size = 0; size < sizeof(tiny); size += size < 512 ? 1 : 61) {
		void *copy = malloc(size + !size);

		memcpy(copy, &tiny, size);
		if (image_load_bytes("cut", copy, size, &image, &error) == 0)
			image_unload(&image);
		else
			ck_assert(size < offsetof(struct tiny_image, symbols));
		free(copy);
	}
}
END_TEST

START_TEST(a_file_is_read_and_freed)
{
	const char *path = tiny_image_write(&tiny);

	ck_assert_int_eq(image_load_file(path, &image, &error), 0);
	ck_assert_str_eq(image.name, path);
	ck_assert_uint_eq(image.nr_segments, 3);
	image_unload(&image);
	unlink(path);
	ck_assert_int_eq(image_load_file(path, &image, &error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, path));
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
	ck_assert_int_eq(image_load_file("/", &image, &error), -ENOEXEC);
	ck_assert_ptr_nonnull(strstr(error.text, "not a regular file"));
	ck_assert_int_eq(image_load_file("/dev/null", &image, &error), -ENOEXEC);
	ck_assert_int_eq(mkfifo("tiny-image-fifo", 0600), 0);
	ck_assert_int_eq(image_load_file("tiny-image-fifo", &image, &error), -ENOEXEC);
	unlink("tiny-image-fifo");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image");
	TCase *tcase = tcase_create("image");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, a_good_image_is_read_whole);
	tcase_add_test(tcase, an_address_has_the_symbol_that_holds_it);
	tcase_add_test(tcase, symbols_that_make_no_sense_are_left_out);
	tcase_add_test(tcase, names_outside_the_file_are_left_out);
	tcase_add_test(tcase, a_name_is_made_printable);
	tcase_add_loop_test(tcase, each_bad_field_is_named, 0,
			    (int)(sizeof(spoiled) / sizeof(spoiled[0])));
	tcase_add_test(tcase, every_truncation_is_refused_or_harmless);
	tcase_add_test(tcase, a_file_is_read_and_freed);
	tcase_add_test(tcase, what_is_no_file_is_refused);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
