/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a guest's memory management at a moment, kept apart from the guest, and what
 * changed between two such moments. A snapshot holds no guest memory, only what the other
 * look_*.h say of it, and stays good after the guest has gone.
 */
#ifndef VMM_LOOK_DIFF_H
#define VMM_LOOK_DIFF_H

#include "vmm/look/look.h"
#include "vmm/look/frames.h"
#include "vmm/look/maps.h"
#include "vmm/look/zones.h"

struct look_snapshot;

/* A guest can make more ranges of its tables than the host has memory for. */
#define LOOK_SNAPSHOT_RANGES_MAX (1u << 22)

/*
 * Pair with look_snapshot_free(). Errors: -ENOMEM; -EOVERFLOW, where the guest maps more than
 * LOOK_SNAPSHOT_RANGES_MAX ranges: half a moment is none.
 */
int look_snapshot(struct inspector *inspector, struct look_snapshot **snapshot_out);
void look_snapshot_free(struct look_snapshot *snapshot);

enum look_change_kind {
	LOOK_TILE_CAME,    /* a busy or lazy tile: start, end, state_after */
	LOOK_TILE_WENT,    /* state_before */
	LOOK_TILE_CHANGED, /* the same range: state, flags, number of pages or owner */
	LOOK_MAP_CAME,     /* [start, end) is mapped now: rights_after, page_bytes_after */
	LOOK_MAP_WENT,
	LOOK_MAP_CHANGED,  /* mapped before and after, with other rights or page size */
	LOOK_FRAMES_MOVED, /* [start, end), 4 KiB pages: mapped as before, to other frames */
	LOOK_COUNT         /* a number: name, before, after */
};

/* "area came", "area went", "area changed", "mapped", "unmapped", "mapping changed", ... */
const char *look_change_name(enum look_change_kind kind);

struct look_change {
	enum look_change_kind kind;
	uint64_t start, end; /* [start, end) where the kind has one; an end of 0 is 2^64 */
	enum inspect_tile_state state_before, state_after;
	uint64_t flags_before, flags_after; /* VM_* of busy tiles */
	uint64_t pages_before, pages_after;
	unsigned int rights_before, rights_after;
	uint64_t page_bytes_before, page_bytes_after;
	/* COUNT: "node 0 zone DMA32 free", "frames table", "slab kmalloc-64 objects", ... */
	char name[64];
	uint64_t before, after;
};
typedef int (*look_change_fn)(void *context, const struct look_change *change);

/*
 * Visits what differs between @before and @after: tiles, then mappings, both in address order,
 * then counts. Errors: the callback's.
 */
int look_diff(const struct look_snapshot *before, const struct look_snapshot *after,
	      look_change_fn change, void *context);

#endif
