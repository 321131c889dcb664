/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The symbols of a guest image: which name holds an address. They are for people and the layout
 * of reports only, so an image without them is good, and a symbol that makes no sense is left
 * out.
 */
#include <errno.h>
#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"
#include "lib/search.h"
#include "vmm/image/image.h"

const struct image_segment *image_segment_find(const struct image *image, gva_t gva)
{
	for (size_t i = 0; i < image->nr_segments; i++) {
		const struct image_segment *segment = &image->segments[i];

		if (gva.value >= segment->start.value && gva.value < segment->end.value)
			return segment;
	}
	return NULL;
}

/* The section of symbols, or NULL; its header goes to @header_out. */
static Elf_Scn *find_symtab(Elf *elf, GElf_Shdr *header_out)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		if (gelf_getshdr(section, header_out) && header_out->sh_type == SHT_SYMTAB)
			return section;
	}
	return NULL;
}

static bool is_place(const struct image *image, const GElf_Sym *symbol)
{
	unsigned int type = GELF_ST_TYPE(symbol->st_info);

	if (type != STT_FUNC && type != STT_OBJECT && type != STT_NOTYPE)
		return false;
	return symbol->st_shndx != SHN_UNDEF &&
	       image_segment_find(image, gva_make(symbol->st_value)) != NULL;
}

static bool is_in_file(const struct image *image, const char *text)
{
	uintptr_t start = (uintptr_t)image->bytes, at = (uintptr_t)text;

	return at >= start && at - start < image->size_bytes;
}

static int compare_symbols(const void *left, const void *right)
{
	const struct image_symbol *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	/* Of two at one address, the one with the greater size is found. */
	return a->end < b->end ? -1 : a->end > b->end;
}

/* Gives symbols without a size (from assembly) the room up to the next or the segment's end. */
static void close_gaps(struct image *image)
{
	for (size_t i = image->nr_symbols; i-- > 0;) {
		struct image_symbol *symbol = &image->symbols[i];
		const struct image_segment *segment =
			image_segment_find(image, gva_make(symbol->start));
		uint64_t next = segment->end.value;

		for (size_t j = i + 1; j < image->nr_symbols && j < i + 8; j++) {
			if (image->symbols[j].start > symbol->start) {
				if (image->symbols[j].start < next)
					next = image->symbols[j].start;
				break;
			}
		}
		if (symbol->end == symbol->start || symbol->end > segment->end.value ||
		    symbol->end < symbol->start)
			symbol->end = next;
	}
}

int image_read_symbols(struct image *image, Elf *elf, struct error *error)
{
	GElf_Shdr header;
	Elf_Scn *section = find_symtab(elf, &header);
	Elf_Data *data = section ? elf_getdata(section, NULL) : NULL;
	size_t count;

	if (!data || header.sh_entsize != sizeof(Elf64_Sym))
		return 0;
	count = data->d_size / sizeof(Elf64_Sym);
	if (count == 0 || count > IMAGE_SYMBOLS_MAX)
		return 0;
	image->symbols = calloc(count, sizeof(*image->symbols));
	if (!image->symbols)
		return error_set(error, -ENOMEM, "no memory for the symbols of %s", image->name);
	for (size_t i = 0; i < count; i++) {
		GElf_Sym symbol;
		const char *name;

		if (!gelf_getsym(data, (int)i, &symbol) || !is_place(image, &symbol))
			continue;
		name = elf_strptr(elf, header.sh_link, symbol.st_name);
		/* A name libelf had to unpack dies with the Elf: only those in the file are kept.
		 */
		if (!name || !*name || !is_in_file(image, name))
			continue;
		image->symbols[image->nr_symbols++] = (struct image_symbol){
			symbol.st_value, symbol.st_value + symbol.st_size, name};
	}
	qsort(image->symbols, image->nr_symbols, sizeof(*image->symbols), compare_symbols);
	close_gaps(image);
	return 0;
}

const struct image_symbol *image_symbol_find(const struct image *image, uint64_t address)
{
	size_t low = FIRST_WHERE(i, image->nr_symbols, image->symbols[i].start > address);

	/* Labels inside a function come after it: look back a little for one that holds it. */
	for (size_t back = 0; back < 16 && low > back; back++) {
		const struct image_symbol *symbol = &image->symbols[low - 1 - back];

		if (address < symbol->end)
			return symbol;
	}
	return NULL;
}

const struct image_symbol *image_symbol_named(const struct image *image, const char *name)
{
	for (size_t i = 0; i < image->nr_symbols; i++) {
		if (strcmp(image->symbols[i].name, name) == 0)
			return &image->symbols[i];
	}
	return NULL;
}

const char *image_place(const struct image *image, uint64_t address, char text[IMAGE_PLACE_BYTES])
{
	const struct image_symbol *symbol = image_symbol_find(image, address);

	if (!symbol)
		snprintf(text, IMAGE_PLACE_BYTES, "0x%" PRIx64, address);
	else
		snprintf(text, IMAGE_PLACE_BYTES, "%.90s+0x%" PRIx64 "/0x%" PRIx64, symbol->name,
			 address - symbol->start, symbol->end - symbol->start);
	printable(text);
	return text;
}
