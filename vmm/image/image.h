/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest image: an ELF executable, read with libelf, every field that is used checked once
 * here. Nothing of it is trusted: it may come from --image FILE.
 *
 * A good image is ET_EXEC for x86-64, 64-bit, little-endian; its PT_LOAD segments are page
 * aligned, ascending, disjoint (in whole pages), inside [NB_IMAGE_BASE, NB_MODULES_BASE), at most
 * IMAGE_SPAN_MAX from the first to the last byte, with p_paddr = p_vaddr - NB_IMAGE_BASE (never
 * frame 0), no writable and executable one, and no file bytes beyond the file; the entry lies in
 * an executable one; the layout note (guest/abi.h) lies inside a read-only one. Anything else in
 * the file is not looked at, except symbols, marks and the build id, which may be missing.
 */
#ifndef VMM_IMAGE_IMAGE_H
#define VMM_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "ept/types.h"

#define IMAGE_SEGMENTS_MAX   16
#define IMAGE_FILE_BYTES_MAX (64u << 20)
#define IMAGE_SPAN_MAX       (64u << 20)
#define IMAGE_SYMBOLS_MAX    (1u << 20)
#define IMAGE_MARKS_MAX      (1u << 20)
#define IMAGE_BUILD_ID_MAX   64

struct image_segment {
	gva_t start, end; /* whole pages: [start, end) */
	gpa_t gpa;        /* of start */
	const uint8_t *bytes;
	uint64_t file_bytes; /* the rest, up to end, is zero */
	bool writable, executable;
};

struct image_symbol {
	uint64_t start, end; /* [start, end); a symbol without size ends where the next starts */
	const char *name;
};

/* An instruction the guest's source marks (mm/once.h). */
struct image_mark {
	uint64_t address;
	const char *kind; /* of the section .marks.KIND */
};

/* Read only for users; owned by whoever loaded it. */
struct image {
	char name[256];       /* "built-in", or the file's path */
	const uint8_t *bytes; /* the whole file */
	size_t size_bytes;
	void *owned; /* the file's bytes where they are to be freed, or NULL */
	gva_t entry;
	size_t nr_segments;
	struct image_segment segments[IMAGE_SEGMENTS_MAX];
	const char *layout;  /* the layout note's text, not terminated */
	size_t layout_bytes; /* printable ASCII and newlines only */
	gva_t layout_gva;    /* where the guest has it */
	size_t nr_symbols;
	struct image_symbol *symbols; /* ascending by start */
	size_t nr_marks;
	struct image_mark *marks;                  /* by section */
	char build_id[2 * IMAGE_BUILD_ID_MAX + 1]; /* hexadecimal; empty when there is none */
};

/*
 * Loads the image built into this program. Errors: as image_load_file().
 */
int image_load_builtin(struct image *image_out, struct error *error);

/*
 * Loads @path, reading it whole. Errors: open(2)'s and read(2)'s; -ENOEXEC when it is not an image
 * as above, the text saying which field of it; -ENOMEM. Pair with image_unload().
 */
int image_load_file(const char *path, struct image *image_out, struct error *error);

/*
 * The same for bytes in memory, 8-byte aligned, which must outlive the image and are not freed.
 * @name is for messages.
 */
int image_load_bytes(const char *name, const void *bytes, size_t size_bytes,
		     struct image *image_out, struct error *error);

/* Frees what a load took. */
void image_unload(struct image *image);

/* The segment that holds @gva, or NULL. */
const struct image_segment *image_segment_find(const struct image *image, gva_t gva);

/* The symbol that holds @address, or NULL. O(log n). */
const struct image_symbol *image_symbol_find(const struct image *image, uint64_t address);

/* The symbol of that name, or NULL. O(n). */
const struct image_symbol *image_symbol_named(const struct image *image, const char *name);

#define IMAGE_PLACE_BYTES 128

/*
 * Writes "name+0x12/0x40" for @address, or "0x..." where no symbol holds it, cut at
 * IMAGE_PLACE_BYTES - 1. Returns @text.
 */
const char *image_place(const struct image *image, uint64_t address, char text[IMAGE_PLACE_BYTES]);

/*
 * The number the layout note has for "SIZE(page)", "OFFSET(page.state)", "NUMBER(PAGE_PCP)", ... as
 * the guest has it, negative ones modulo 2^64. False: none.
 */
bool image_layout_number(const struct image *image, const char *key, uint64_t *value_out);

/* For image.c and image_symbols.c: the symbol table, read from an Elf that stays the caller's. */
struct Elf;
int image_read_symbols(struct image *image, struct Elf *elf, struct error *error);
/* The same of image_marks.c: the marks. */
int image_read_marks(struct image *image, struct Elf *elf, struct error *error);

#endif
