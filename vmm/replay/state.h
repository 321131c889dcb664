/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A state file: what vmallocinfo does not show of a kernel's vmap space at the moment of the
 * snapshot. docs/linux.md has its format, and vmm/linux/tree.c writes it. A free tree alone, lines
 * DEPTH SIDE COLOUR START END as a state's are behind the word `free`, is read too.
 */
#ifndef VMM_REPLAY_STATE_H
#define VMM_REPLAY_STATE_H

#include "lib/input.h"
#include "vmm/replay/layout.h"
#include "vmm/replay/settle.h"

struct replay_state {
	struct tree_shape *shape;
	size_t shape_count;
	struct space_range *pooled, *lazy; /* node: 1 + OWNER; list: 1 + NODE */
	size_t pooled_count, lazy_count;
	bool pools_known; /* pooled is all there was */
};

/*
 * Reads the file at @path. Returns 0 and the state, to be freed with replay_state_free(), or a
 * negative errno with @error filled in: -EINVAL for a line of no such kind, else what
 * line_reader_open() says. Whether the holes make a tree, settle_plan() finds out.
 */
int replay_state_read(const char *path, struct replay_state *state_out, struct input_error *error);

/*
 * Reads what @folder has of it, `state` or else `freetree.begin`, and moves it as @layout moves the
 * recording. Without either the state is empty. Returns as replay_state_read() does, or -ENOMEM.
 */
int replay_state_read_folder(const char *folder, const struct replay_layout *layout,
			     struct replay_state *state_out, struct input_error *error);

/* Gives the plan's unpurged ranges the nodes that the state knows. */
void replay_state_apply(const struct replay_state *state, struct replay_plan *plan);

void replay_state_free(struct replay_state *state);

#endif
