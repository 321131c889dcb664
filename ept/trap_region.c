/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Regions with traps, as they come and go with those of the space. */
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
	for (size_t i = 0; i < set->nr_regions; i++) {
		struct trap_region *region = &set->regions[i];

		if (region->id != id)
			continue;
		trap_forget(set, region);
		region_free(region);
		*region = set->regions[--set->nr_regions];
		return;
	}
}

static int on_add(void *context, const struct gpa_region *region, struct error *error)
{
	struct trap_set *set = context;
	int err = 0;

	if (!region->host)
		return 0;
	pthread_mutex_lock(&set->lock);
	err = add_region(set, region);
	pthread_mutex_unlock(&set->lock);
	return err ? error_set(error, err, "no memory for the traps of a region") : 0;
}

/* It takes its watches with it. */
static int on_remove(void *context, const struct gpa_region *region, struct error *error)
{
	struct trap_set *set = context;

	(void)error;
	pthread_mutex_lock(&set->lock);
	drop_region(set, region->id);
	pthread_mutex_unlock(&set->lock);
	return 0;
}

const struct gpa_listener_ops trap_listener_ops = {.add = on_add, .remove = on_remove};
