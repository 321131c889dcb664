/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking at a guest: the data behind nestctl's verbs, as plain structures. Everything is read
 * through an inspector (vmm/inspect/inspect.h), so the guest may be running, stopped, dead, a core
 * file.
 *
 *     look.h          what an address is, and what maps a frame
 *     maps.h     page tables as ranges
 *     walk.h     one address, entry by entry, both stages
 *     search.h   bytes, in physical or virtual memory
 *     frames.h   one frame, and all of them by state and owner
 *     zones.h    zones and slabs
 *     tree.h     the address space: busy, lazy, free; areas as /proc/vmallocinfo's lines
 *     diff.h     the state of the machine at a moment, and what changed between two
 *
 * Common to all: each call first makes the inspector forget its translations, so it sees the
 * guest as it is. Nothing that is read is trusted: text is printable, counts and lists are bounded
 * by the RAM the host gave; numbers are the guest's own word where a field says so. With the guest
 * running, a result may mix two moments; lists that broke on the way are read again, LOOK_TRIES
 * times. Errors are 0 or -errno; results are untouched on failure. -ENOMEM is the host's.
 *
 * A callback returns other than 0 to end the call, which then returns that; it must not use the
 * inspector. Not locked: one inspector belongs to one thread at a time.
 */
#ifndef VMM_LOOK_LOOK_H
#define VMM_LOOK_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ept/paging.h"
#include "vmm/inspect/inspect.h"

#define LOOK_TRIES 4

#define LOOK_RIGHTS_BYTES 5

/* "rwxu", a '-' for each right that @rights (PAGING_R..) has not. Returns @text. */
const char *look_rights(unsigned int rights, char text[LOOK_RIGHTS_BYTES]);

/* Which part of the layout of addresses (docs/architecture.md) an address is in. */
enum look_region {
	LOOK_USER,    /* the lower half */
	LOOK_NOWHERE, /* not canonical */
	LOOK_DIRECT,  /* the direct map: offset is the guest-physical address */
	LOOK_VMALLOC, /* the vmalloc window */
	LOOK_MEMMAP,  /* the page array: offset / SIZE(page) is the frame number */
	LOOK_IMAGE,   /* the image: offset is the guest-physical address */
	LOOK_MODULES, /* the module window */
	LOOK_OTHER,   /* elsewhere in the upper half */
	LOOK_NR_REGIONS
};

/* "user", "not canonical", "direct map", "vmalloc", "page array", "image", "modules", "other". */
const char *look_region_name(enum look_region region);

/* What an address is by where it lies; nothing of the guest is read. */
struct look_place {
	enum look_region region;
	uint64_t start, end; /* of the region: [start, end); an end of 0 is 2^64 */
	uint64_t offset;     /* address - start */
};
void look_place(const struct inspector *inspector, uint64_t address, struct look_place *place_out);

/*
 * The paging mode of the process with number @id, for the functions that take one. Errors: -ESRCH,
 * no such process (or its list cannot be followed to it); -ENOMEM.
 */
int look_process(struct inspector *inspector, uint32_t id, struct paging_mode *paging_out);

/*
 * Translates @gva by the page tables of @paging (NULL: the kernel's). Errors: -EFAULT, not mapped;
 * vmm/look/walk.h says why. *@host_out, which may be NULL, is where this process has the byte, or
 * NULL where the leaf maps no memory.
 */
int look_translate(struct inspector *inspector, const struct paging_mode *paging, uint64_t gva,
		   uint64_t *gpa_out, const void **host_out);

/* One leaf that maps a guest-physical address. */
struct look_mapping {
	uint64_t gva;        /* what translates to the address asked for */
	uint64_t page_bytes; /* of the leaf */
	unsigned int rights;
	enum look_region region;
};
typedef int (*look_mapping_fn)(void *context, const struct look_mapping *mapping);

/*
 * Visits every leaf of @paging (NULL: the kernel's) that maps @gpa, in address order: the whole
 * tables are read. Errors: a callback's; -ELOOP, tables that refer to tables already seen.
 */
int look_mappings_of(struct inspector *inspector, const struct paging_mode *paging, uint64_t gpa,
		     look_mapping_fn mapping, void *context);

/* For this room and their like: the tiles, read again where the list broke. -ENOMEM. */
int look_areas(struct inspector *inspector, struct inspect_areas *areas_out);

/* Reads text at @gva up to its NUL or @bytes - 1, what is not printable as '?'. "" if unmapped. */
void look_text(struct inspector *inspector, uint64_t gva, char *text, size_t bytes);

/*
 * paging_for_each() over [start, end) of @paging (NULL: the kernel's), which ends with -ELOOP when
 * more than LOOK_SHARED_TABLES tables were come by a second time: a guest's tables may refer to
 * themselves, and the ways through 32,768 of them are more than anybody can go. *@tables_out (may
 * be NULL) is how many tables were read. The visitor's table callback is taken.
 */
#define LOOK_SHARED_TABLES 4096
int look_for_each(struct inspector *inspector, const struct paging_mode *paging, uint64_t start,
		  uint64_t end, const struct paging_visitor *visitor, uint64_t *tables_out);

#endif
