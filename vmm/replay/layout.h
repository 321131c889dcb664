/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a recording's addresses go in the guest. A kernel with KASLR, with 5 levels or of another
 * architecture has its vmalloc range where the guest has its direct map, or nothing at all; so the
 * recording is moved, piece by piece, and addresses are compared after moving.
 *
 *     recorded    |S..areas....|            far apart             |...areas.E|
 *     guest       |VMALLOC_START..areas....|  less far  |...areas.VMALLOC_END|
 *
 * [S, E) is the widest window that something was allocated in. What lies near each other (within
 * 64 GiB) is moved as one piece, by a multiple of 1 GiB, which keeps every alignment. Pieces keep
 * their order; only the empty space between two may shrink, and stays larger than any request
 * (128 GiB at least). Linux's search compares sizes of holes with requests and addresses with each
 * other, so it takes the same way through the moved holes. One thing does not survive: since 6.9 a
 * free of an area without a node picks one by (address / 64 KiB) % nodes, which is the same after
 * moving only where the number of nodes is a power of two. Who computes it must do so with the
 * recorded address (replay_layout_recorded()).
 *
 * A recording whose windows the guest has is not moved.
 */
#ifndef VMM_REPLAY_LAYOUT_H
#define VMM_REPLAY_LAYOUT_H

#include "vmm/replay/plan.h"

/* Addresses the guest can map areas at, besides those of its own: the guest's, all [start, end). */
struct replay_room {
	uint64_t low, high;                  /* around vmalloc's range, free of anything else */
	uint64_t vmalloc_start, vmalloc_end; /* Linux's: its end is the window's vend */
	uint64_t modules_start, modules_end;
};

/* What lies in [start, end] in the recording lies at `to` and above in the guest. */
struct replay_piece {
	uint64_t start, end;
	uint64_t to;
};

struct replay_layout {
	struct replay_piece *pieces; /* by address */
	size_t count;
	bool moved;              /* at least one is elsewhere */
	uint64_t recorded_start; /* the widest window: what becomes of it is */
	uint64_t recorded_end;   /* [moved_start, moved_end) */
	uint64_t moved_start;
	uint64_t moved_end;
};

/*
 * Finds where the plan and its snapshots (NULL where there is none) go. Returns 0 with the layout,
 * to be freed with replay_layout_free(); or, with @error filled in, -EINVAL when the guest cannot
 * hold it, with what to do, or -ENOMEM. @path is what the error calls the recording.
 */
int replay_layout_find(const struct replay_plan *plan, const struct vmallocinfo *begin,
		       const struct vmallocinfo *end, const struct replay_room *room,
		       const char *path, struct replay_layout *layout_out,
		       struct input_error *error);

/* Moves the areas of the plan: address, vstart, vend. */
void replay_layout_move_plan(const struct replay_layout *layout, struct replay_plan *plan);

/* Moves a snapshot's areas. */
void replay_layout_move_snapshot(const struct replay_layout *layout, struct vmallocinfo *info);

/* Where @address goes, and where it was; an address in no piece stays as it is. */
uint64_t replay_layout_moved(const struct replay_layout *layout, uint64_t address);
uint64_t replay_layout_recorded(const struct replay_layout *layout, uint64_t address);

/* Frees the pieces; a zeroed layout is allowed. */
void replay_layout_free(struct replay_layout *layout);

#endif
