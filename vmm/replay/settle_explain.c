/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether Linux could have chosen an address that the model did not: with the free ranges as they
 * are, which the recording tells, but another shape of the tree or another filling of the pools,
 * which it does not tell.
 *
 * Whatever the shape, the search ends at or before the first hole that is long enough for the
 * worst alignment; a shorter one before it is taken if it truly fits and happens to be passed. So
 *
 *	vstart        [fits, passed?]     [too short]    [long enough: no shape gets past]
 *
 * of the holes in the window, Linux's must be one that fits, at its lowest aligned address, and not
 * behind the first that no shape gets past.
 */
#include "vmm/replay/settle_private.h"

#define PAGE UINT64_C(4096)

/* A pool may have held it: of a node that the trace does not name, or since before the trace. */
static bool pool_explains(const struct settle *settle, const struct space *space,
			  const struct replay_area *area)
{
	const struct space_rules *rules = &settle->options->rules;
	struct space_range range;

	if (rules->nodes < 2 || area->vstart != rules->pool_start ||
	    area->vend != rules->pool_end || area->va_bytes > SPACE_POOL_PAGES * PAGE)
		return false;
	if (space_find(space, area->address, area->address + area->va_bytes, &range) == SPACE_POOL)
		return !area->has_va_node && range.start == area->address &&
		       range.end == area->address + area->va_bytes;
	return !settle->options->start.pools_known &&
	       tree_holding(&space->tree, area->address, area->address + area->va_bytes);
}

bool settle_explains(const struct settle *settle, const struct space *space,
		     const struct replay_op *op)
{
	const struct replay_area *area = &settle->plan->areas[op->area];
	struct tree_request request = settle_request(settle, area);
	const struct tree_hole *holes = space->tree.holes;
	uint32_t held, hole;
	uint64_t lowest;

	if (pool_explains(settle, space, area))
		return true;
	held = tree_holding(&space->tree, area->address, area->address + area->va_bytes);
	if (!held || settle->options->start.shape)
		return false;
	lowest = holes[held].start > area->vstart ? holes[held].start : area->vstart;
	if (area->address - lowest >= area->align)
		return false;
	for (hole = tree_from(&space->tree, area->vstart); hole != held;
	     hole = tree_next(&space->tree, hole)) {
		if (holes[hole].start > area->vstart &&
		    holes[hole].end - holes[hole].start >= tree_length(&request))
			return false;
	}
	return true;
}
