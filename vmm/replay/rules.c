/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of each release, and finding out which. */
#include "vmm/replay/rules.h"

#include <stdio.h>
#include <string.h>

/*
 * What changed when: the order of purges in 5.11 (they sort and merge), the search in 5.16 and
 * 5.18, nodes with pools in 6.9, and in 6.17 a decay by a quarter of fewer than four takes none.
 */
static const struct {
	unsigned int since; /* 100 * major + minor */
	const char *text;
	enum tree_rule search;
	enum space_order order;
	bool pools, small_empty;
} releases[] = {
	{617, "Linux 6.17 and later", TREE_RULE_5_18, SPACE_BY_ADDRESS, true, false},
	{609, "Linux 6.9 to 6.16", TREE_RULE_5_18, SPACE_BY_ADDRESS, true, true},
	{518, "Linux 5.18 to 6.8", TREE_RULE_5_18, SPACE_BY_ADDRESS, false, false},
	{516, "Linux 5.16 and 5.17", TREE_RULE_5_16, SPACE_BY_ADDRESS, false, false},
	{511, "Linux 5.11 to 5.15", TREE_RULE_5_2, SPACE_BY_ADDRESS, false, false},
	{502, "Linux 5.2 to 5.10", TREE_RULE_5_2, SPACE_NEWEST_FIRST, false, false},
};

#define RELEASES (sizeof(releases) / sizeof(releases[0]))

/* Model steps of inference for each of the rules that may be. */
#define TRIAL_WORK UINT64_C(2000000)

/* Possible CPUs, at most as many as Linux has nodes for; the online ones where nobody says. */
static uint32_t nodes_of(const struct replay_plan *plan, const struct ftrace_info *info)
{
	uint64_t nodes = info->possible_cpus ? info->possible_cpus : info->cpus;
	size_t i;

	for (i = 0; i < plan->area_count; i++) {
		if (plan->areas[i].has_va_node && plan->areas[i].va_node > nodes)
			nodes = plan->areas[i].va_node;
	}
	if (!nodes)
		nodes = 1;
	return nodes < SPACE_NODES_MAX ? (uint32_t)nodes : SPACE_NODES_MAX;
}

static void fill(struct rules_found *found, size_t release, uint32_t nodes)
{
	found->rules.search = releases[release].search;
	found->rules.order = releases[release].order;
	found->rules.small_empty = releases[release].small_empty;
	found->rules.nodes = releases[release].pools ? nodes : 0;
	if (found->rules.nodes > 1)
		snprintf(found->text, sizeof(found->text), "%s, %u nodes with pools",
			 releases[release].text, nodes);
	else
		snprintf(found->text, sizeof(found->text), "%s", releases[release].text);
}

/* Only kernels with nodes have probes that tell of them. */
static bool tells_nodes(const struct replay_plan *plan)
{
	size_t i;

	for (i = 0; i < plan->area_count; i++) {
		if (plan->areas[i].has_va_node && plan->areas[i].va_node)
			return true;
	}
	return false;
}

static bool parse_release(const char *text, unsigned int *release_out)
{
	unsigned int major, minor;

	if (sscanf(text, "%u.%u", &major, &minor) != 2 || major > 99 || minor > 99)
		return false;
	*release_out = 100 * major + minor;
	return *release_out >= releases[RELEASES - 1].since;
}

/*
 * Tries all rules that are possible. Where several leave the fewest misses, the first of these is
 * taken: without a word on nodes the commonest kernels are those before them.
 */
static int find_best(struct replay_plan *plan, uint32_t nodes, const struct settle_start *start,
		     struct rules_found *found, struct input_error *error)
{
	bool pools = tells_nodes(plan);
	uint64_t best = UINT64_MAX, misses;
	struct rules_found tried = *found;
	struct settle_options options = {
		.start = *start, .work = TRIAL_WORK, .shape_max = SIZE_MAX};
	static const size_t order[RELEASES] = {2, 1, 0, 4, 5, 3};
	size_t i, j;
	int err = 0;

	for (j = 0; j < RELEASES && best && !err; j++) {
		i = order[j];
		if ((pools && !releases[i].pools) || (releases[i].pools && nodes < 2 && !pools))
			continue;
		fill(&tried, i, nodes);
		options.rules = tried.rules;
		err = settle_measure(plan, &options, &misses, error);
		if (!err && misses < best) {
			best = misses;
			*found = tried;
		}
	}
	return err;
}

int rules_find(struct replay_plan *plan, const struct ftrace_info *info,
	       const struct settle_start *start, uint64_t pool_start, uint64_t pool_end,
	       struct rules_found *found_out, struct input_error *error)
{
	struct rules_found found = {.rules = {.pool_start = pool_start, .pool_end = pool_end}};
	uint32_t nodes = nodes_of(plan, info);
	unsigned int release;
	size_t i = 0;
	int err = 0;

	found.known = parse_release(info->kernel, &release);
	if (found.known) {
		while (releases[i].since > release)
			i++;
		fill(&found, i, nodes);
	} else {
		err = find_best(plan, nodes, start, &found, error);
	}
	if (!err)
		*found_out = found;
	return err;
}
