/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Regions with traps, as they come, move, change their size and go with those of the space. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/grow.h"
#include "ept/trap_private.h"

static void region_free(struct trap_region *region)
{
	if (region->pages)
		munmap(region->pages, region->nr_pages);
	free(region->watched);
}

static int region_make(const struct gpa_region *from, struct trap_region *region_out)
{
	struct trap_region region = {
		.id = from->id,
		.trappable = from->slot_host != from->host,
		.start = from->start,
		.nr_pages = (from->end.value - from->start.value) / EPT_PAGE_BYTES,
		.host = from->host,
		.slot_host = from->slot_host,
		.chunk_pages = EPT_PAGE_2M_BYTES / EPT_PAGE_BYTES,
	};
	void *pages;

	while (region.nr_pages / region.chunk_pages > TRAP_CHUNKS_MAX)
		region.chunk_pages *= 2;
	region.nr_chunks = (region.nr_pages + region.chunk_pages - 1) / region.chunk_pages;
	pages = mmap(NULL, region.nr_pages, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	region.pages = pages == MAP_FAILED ? NULL : pages;
	region.watched = calloc(region.nr_chunks, sizeof(*region.watched));
	if (!region.pages || !region.watched) {
		region_free(&region);
		return -ENOMEM;
	}
	*region_out = region;
	return 0;
}

static struct trap_region *region_by_id(const struct trap_set *set, uint32_t id)
{
	for (size_t i = 0; i < set->nr_regions; i++)
		if (set->regions[i].id == id)
			return &set->regions[i];
	return NULL;
}

static int add_region(struct trap_set *set, const struct gpa_region *from)
{
	int err = GROW(set->regions, set->nr_regions);

	if (!err)
		err = region_make(from, &set->regions[set->nr_regions]);
	if (!err)
		set->nr_regions++;
	return err;
}

static void drop_region(struct trap_set *set, uint32_t id)
{
	struct trap_region *region = region_by_id(set, id);

	if (!region)
		return;
	trap_forget(set, region);
	region_free(region);
	*region = set->regions[--set->nr_regions];
}

/* A region that goes, or gets another size, takes its watches with it; one that moves keeps them.
 */
static int on_change(void *context, const struct gpa_region *before, const struct gpa_region *after,
		     struct error *error)
{
	const struct gpa_region *any = before ? before : after;
	struct trap_set *set = context;
	struct trap_region *region;
	int err = 0;

	if (!any->host)
		return 0;
	pthread_mutex_lock(&set->lock);
	region = before ? region_by_id(set, before->id) : NULL;
	if (before && after && region && before->start.value != after->start.value) {
		region->start = after->start;
	} else {
		if (before)
			drop_region(set, before->id);
		if (after)
			err = add_region(set, after);
	}
	pthread_mutex_unlock(&set->lock);
	return err ? error_set(error, err, "no memory for the traps of a region") : 0;
}

const struct gpa_listener_ops trap_listener_ops = {.change = on_change};
