/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What else the image says of itself: the instructions its source marks, in sections .marks.KIND
 * that are not loaded, eight bytes an address; and single numbers of the layout note. An image
 * without marks is good. One that names what is no code is left out.
 */
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/input.h"
#include "vmm/image/image.h"

#define PREFIX ".marks."

/* The kind a section's marks are of, or NULL. */
static const char *kind_of(Elf *elf, Elf_Scn *section, size_t names)
{
	GElf_Shdr header;
	const char *name;

	if (!gelf_getshdr(section, &header) || header.sh_type != SHT_PROGBITS)
		return NULL;
	name = elf_strptr(elf, names, header.sh_name);
	return name && strncmp(name, PREFIX, strlen(PREFIX)) == 0 ? name + strlen(PREFIX) : NULL;
}

static void take_section(struct image *image, const Elf_Data *data, const char *kind)
{
	for (size_t at = 0; at + sizeof(uint64_t) <= data->d_size; at += sizeof(uint64_t)) {
		const struct image_segment *segment;
		uint64_t address;

		memcpy(&address, (const char *)data->d_buf + at, sizeof(address));
		segment = image_segment_find(image, gva_make(address));
		if (segment && segment->executable)
			image->marks[image->nr_marks++] = (struct image_mark){address, kind};
	}
}

int image_read_marks(struct image *image, Elf *elf, struct error *error)
{
	Elf_Scn *section = NULL;
	size_t names, room = 0;

	if (elf_getshdrstrndx(elf, &names) != 0)
		return 0;
	while ((section = elf_nextscn(elf, section))) {
		Elf_Data *data = elf_rawdata(section, NULL);
		const char *kind = kind_of(elf, section, names);
		struct image_mark *marks;

		/* A name that libelf had to unpack dies with it. */
		if (!kind || !data || !data->d_buf || kind < (const char *)image->bytes ||
		    kind >= (const char *)image->bytes + image->size_bytes)
			continue;
		room += data->d_size / sizeof(uint64_t);
		if (room > IMAGE_MARKS_MAX)
			return 0;
		marks = reallocarray(image->marks, room + 1, sizeof(*marks));
		if (!marks) {
			free(image->marks);
			return error_set(error, -ENOMEM, "no memory for the marks of %s",
					 image->name);
		}
		image->marks = marks;
		take_section(image, data, kind);
	}
	return 0;
}

bool image_layout_number(const struct image *image, const char *key, uint64_t *value_out)
{
	const char *at = image->layout, *end = at + image->layout_bytes;
	size_t length = strlen(key);

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t line = (size_t)((stop ? stop : end) - at);
		int64_t number;

		if (line > length + 1 && memcmp(at, key, length) == 0 && at[length] == '=') {
			if (number_parse_signed(at + length + 1, line - length - 1, &number) !=
			    NUMBER_OK)
				return false;
			*value_out = (uint64_t)number;
			return true;
		}
		at += line + 1;
	}
	return false;
}
