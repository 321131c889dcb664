/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot of /proc/vmallocinfo: the areas a kernel had at one moment.
 *
 * The file's order is by address up to Linux 6.8 and by node from 6.9 on; here the areas are
 * sorted by address whatever the file's order. They are disjoint: a snapshot in which two areas
 * overlap is refused. Lazily freed ranges ("unpurged vm_area") are areas too; the kernel merges
 * neighbouring ones, so one line may stand for several frees.
 */
#ifndef VMM_REPLAY_VMALLOCINFO_H
#define VMM_REPLAY_VMALLOCINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/input.h"

enum vmallocinfo_flags {
	VMALLOCINFO_VMALLOC = 1 << 0,
	VMALLOCINFO_VMAP = 1 << 1,
	VMALLOCINFO_IOREMAP = 1 << 2,
	VMALLOCINFO_USER = 1 << 3,
	VMALLOCINFO_DMA_COHERENT = 1 << 4,
	VMALLOCINFO_VPAGES = 1 << 5, /* the array of pages is itself vmalloc'ed */
	VMALLOCINFO_SPARSE = 1 << 6,
	VMALLOCINFO_VM_MAP_RAM = 1 << 7,
	VMALLOCINFO_UNPURGED = 1 << 8, /* freed, not yet given back */
};

struct vmallocinfo_area {
	uint64_t start; /* [start, end), whole pages, the guard page inside */
	uint64_t end;
	uint64_t pages; /* frames behind it; 0 where the line gives none */
	uint64_t phys;  /* of an ioremap; 0 where the line gives none */
	unsigned int flags;
	unsigned long line; /* in the file */
	char caller[64];    /* symbol+offset/size, "" where there is none; cut where longer */
};

struct vmallocinfo {
	struct vmallocinfo_area *areas; /* sorted by start */
	size_t count;
};

/*
 * Reads the snapshot at @path. Returns 0 and the areas, to be freed with vmallocinfo_free(); or a
 * negative errno with @error filled in and nothing to free: -EINVAL for an empty file, a line that
 * is no such line, areas that overlap (both lines are named), and addresses that the kernel hid
 * (with what to do about it).
 */
int vmallocinfo_read(const char *path, struct vmallocinfo *info_out, struct input_error *error);

/* Frees the areas; a zeroed struct is allowed. */
void vmallocinfo_free(struct vmallocinfo *info);

/* The area that @address lies in, or NULL. */
const struct vmallocinfo_area *vmallocinfo_find(const struct vmallocinfo *info, uint64_t address);

#endif
