/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The address space the core allocates from, tile by tile, and areas as lines. */
#ifndef VMM_LOOK_TREE_H
#define VMM_LOOK_TREE_H

#include "vmm/look/look.h"

struct look_tree {
	struct inspect_areas areas;                  /* the tiles of the window, whole, ascending */
	uint64_t busy, lazy, free, unknown;          /* how many */
	uint64_t busy_bytes, lazy_bytes, free_bytes; /* inside the window */
	uint64_t payload_bytes;                      /* of busy tiles, without guards */
	uint64_t largest_start, largest_end;         /* the largest free piece inside the window */
};

/*
 * The tiles that reach into [start, end); both 0: all, with an end of 0 for 2^64 as everywhere.
 * areas.broken says whether and where the list could not be followed. Errors: -EINVAL, -ENOMEM.
 * Pair with look_tree_free().
 */
int look_tree(struct inspector *inspector, uint64_t start, uint64_t end,
	      struct look_tree *tree_out);
void look_tree_free(struct look_tree *tree);

/* "free", "busy", "lazy", "unknown". */
const char *look_tile_state_name(enum inspect_tile_state state);

/* Frames of @area by node, as the page array it lists says; others than RAM are not counted. */
void look_area_nodes(struct inspector *inspector, const struct inspect_area *area,
		     uint64_t pages_out[NB_MAX_NODES]);

#define LOOK_LINE_BYTES 256

/*
 * A busy or lazy tile as /proc/vmallocinfo prints it, without newline:
 *   0xffffc90000000000-0xffffc90000003000   12288 caller+0x12/0x40 pages=2 vmalloc N0=2
 *   0xffffc90000003000-0xffffc90000005000    8192 unpurged vm_area
 * @caller is what to print for area->caller; NULL: its number. Returns @text.
 */
const char *look_area_line(struct inspector *inspector, const struct inspect_area *area,
			   const char *caller, char text[LOOK_LINE_BYTES]);

#endif
