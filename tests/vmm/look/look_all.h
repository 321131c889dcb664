/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything that can be looked at, for tests that want it all to end and to read nothing wrong. */
#ifndef TESTS_VMM_LOOK_LOOK_ALL_H
#define TESTS_VMM_LOOK_LOOK_ALL_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmm/dump/core.h"
#include "vmm/look/diff.h"
#include "vmm/look/maps.h"
#include "vmm/look/search.h"
#include "vmm/look/tree.h"
#include "vmm/look/walk.h"

static inline int look_all_change(void *context, const struct look_change *change)
{
	return 0;
}

static inline int look_all_hit(void *context, uint64_t address)
{
	return 0;
}

static inline int look_all_mapping(void *context, const struct look_mapping *mapping)
{
	return 0;
}

/* Lines, and each area's frames' owners. */
static inline void look_all_areas(struct inspector *inspector)
{
	char text[LOOK_LINE_BYTES];
	struct look_tree tree;

	if (look_tree(inspector, 0, 0, &tree))
		abort();
	for (size_t i = 0; i < tree.areas.count && i < 32; i++) {
		const struct inspect_area *area = &tree.areas.area[i];
		struct look_frame frame;
		struct look_walk walk;
		uint64_t address, pfn;

		look_area_line(inspector, area, NULL, text);
		look_walk(inspector, NULL, area->start, NULL, &walk);
		if (area->has_vm && inspect_area_page(inspector, area, 0, &address) &&
		    inspect_page_pfn(inspector, address, &pfn) &&
		    look_frame(inspector, pfn, &frame))
			abort();
	}
	look_tree_free(&tree);
}

static inline int look_all_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	return done_bytes > 4ull << 20;
}

/* The headers of a core, and its first bytes. */
static inline void look_all_core(struct inspector *inspector)
{
	const struct core_options options = {.progress = look_all_progress};
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || core_write(inspector, fd, &options, NULL, NULL) != -ECANCELED)
		abort();
	close(fd);
}

/* A snapshot, or NULL of a guest that maps ranges without end. */
static inline struct look_snapshot *look_all_snapshot(struct inspector *inspector)
{
	struct look_snapshot *snapshot = NULL;
	int err = look_snapshot(inspector, &snapshot);

	if (err && err != -EOVERFLOW)
		abort();
	return snapshot;
}

/* Looks at everything. Only memory can be short: that ends the process. */
static inline void look_at_everything(struct inspector *inspector, uint64_t number)
{
	const struct look_search_query query = {.start = inspect_layout(inspector)->vmalloc_start,
						.end = inspect_layout(inspector)->vmalloc_start +
						       (64ull << 20),
						.pattern = &number,
						.pattern_bytes = sizeof(number),
						.align = 8,
						.max_hits = 100};
	struct look_snapshot *before = look_all_snapshot(inspector), *after;
	struct look_search_sum sum;

	look_all_areas(inspector);
	look_all_core(inspector);
	look_search(inspector, &query, look_all_hit, NULL, &sum);
	look_mappings_of(inspector, NULL, number, look_all_mapping, NULL);
	after = look_all_snapshot(inspector);
	if (before && after)
		look_diff(before, after, look_all_change, NULL);
	look_snapshot_free(before);
	look_snapshot_free(after);
}

#endif
