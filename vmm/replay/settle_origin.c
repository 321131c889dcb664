/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nodes of ranges that were lazy when the snapshot was taken, where nobody has told them: a
 * range goes to its node's pool or, without a node, to the tree. One range that is thought to be
 * elsewhere makes a pool shorter by one, the quarter that decays by one, and shifts what comes out
 * of that pool until it is empty. So each range in turn gets every node, and keeps the one that
 * leaves the fewest misses.
 */
#include "vmm/replay/settle_private.h"

/* Which part of all work this may take. */
#define SHARE 4

static bool is_unknown(const struct settle *settle, size_t number)
{
	const struct replay_area *area = &settle->plan->areas[number];
	const struct space_rules *rules = &settle->options->rules;

	return area->unpurged && !area->has_va_node && area->address >= rules->pool_start &&
	       area->address + area->va_bytes <= rules->pool_end;
}

/* Moves the range to another node's list. */
static void set_node(struct settle *settle, size_t number, uint16_t node)
{
	const struct replay_area *area = &settle->plan->areas[number];
	struct space_list *lazy = &settle->start.lazy;
	uint32_t i;

	settle->nodes[number] = node;
	for (i = 0; i < lazy->count; i++) {
		if (lazy->ranges[i].start == area->address) {
			lazy->ranges[i].node = node;
			lazy->ranges[i].list =
				space_lazy_list(&settle->options->rules, area->address, node);
		}
	}
}

uint64_t settle_origins(struct settle *settle, uint64_t misses, struct settle_report *report)
{
	const uint32_t nodes = settle->options->rules.nodes;
	uint64_t work_end = settle->work + settle->options->work / SHARE, left;
	uint16_t node, best;
	size_t i;

	for (i = 0; nodes > 1 && i < settle->plan->initial_areas && misses; i++) {
		if (!is_unknown(settle, i))
			continue;
		best = settle->nodes[i];
		for (node = 0; node <= nodes && settle->work < work_end; node++) {
			set_node(settle, i, node);
			settle_restart(settle);
			left = settle_count(settle, &settle->run, 0, settle->count, misses);
			if (left < misses) {
				misses = left;
				best = node;
			}
		}
		report->nodes_found += best != 0;
		set_node(settle, i, best);
	}
	return misses;
}
