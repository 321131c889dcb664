/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the room share. */
#ifndef VMM_PICTURE_PRIVATE_H
#define VMM_PICTURE_PRIVATE_H

#include "vmm/picture/picture.h"

/* Writes the document to a stream. Returns 0 or a negative errno; what the stream says is seen. */
typedef int (*picture_draw_fn)(const json_t *document, FILE *out);

/* @draw into the file @path, whole or not at all; the errors of picture_write_html(), and @draw's.
 */
int picture_write_file(const json_t *document, const char *path, picture_draw_fn draw,
		       struct error *error);

/* Number @index of an array of numbers; 0 where there is none. */
uint64_t picture_number(const json_t *array, size_t index);

/* The page number that a packed section's base is. */
uint64_t picture_base(const json_t *section);

#endif
