/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's layout note, parsed: where in the guest's structures each field is. Nothing else
 * tells the host about them.
 *
 * The note comes out of an image or a core somebody else made, so it is hostile: its text is
 * bounded, every key the inspector needs must be there exactly once, every offset must lie with
 * its field inside its structure, aligned, and every number in the range its use can bear. After
 * layout_parse() succeeded, address arithmetic on the fields below needs no further check than
 * that of the structure's own address.
 */
#ifndef VMM_INSPECT_LAYOUT_H
#define VMM_INSPECT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "guest/layout_list.h"
#include "lib/error.h"

/* No note is longer. */
#define LAYOUT_TEXT_BYTES_MAX 65536u

/* No structure is larger: what can be asked of the guest's memory by one address. */
#define LAYOUT_STRUCT_BYTES_MAX (1u << 20)

/* Nor one that is copied out whole: a page, a tile, an area's bookkeeping, a node of a tree. */
#define LAYOUT_COPIED_BYTES_MAX 512u

#define LAYOUT_DECLARE_FIELD(structure, field, align, width) uint32_t field;
#define LAYOUT_DECLARE_STRUCT(structure, fields) \
	struct {                                 \
		uint32_t bytes; /* SIZE() */     \
		fields(LAYOUT_DECLARE_FIELD)     \
	} structure;
#define LAYOUT_DECLARE_NUMBER(member, key, least, greatest) uint64_t member;

/* The parsed note: layout.vmap_area.va_start is OFFSET(vmap_area.va_start), and so on. */
struct layout {
	uint64_t machine;    /* SYMBOL(machine): an address in the guest */
	uint64_t machine_mm; /* OFFSET(machine.mm) */
	LAYOUT_STRUCTS(LAYOUT_DECLARE_STRUCT)
	LAYOUT_NUMBERS(LAYOUT_DECLARE_NUMBER)
};

/*
 * Parses the descriptor of a layout note: @bytes bytes at @text, which need no terminator. Keys
 * nobody needs are skipped, so that a note may grow. Errors: -EINVAL with the line or the key in
 * @error; *@layout_out is then untouched.
 */
int layout_parse(const char *text, size_t bytes, struct layout *layout_out, struct error *error);

#endif
