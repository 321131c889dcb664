/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slabs. A cache counts its slabs, not its objects; those are found by one pass over the struct
 * pages of all sections in use.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/look/zones.h"

#define PAGE INSPECT_PAGE_BYTES

/* ---- a cache ---- */

static void take_counts(struct inspector *inspector, struct look_slab *slab)
{
	const struct layout *l = inspect_layout(inspector);

	for (uint32_t node = 0; node < l->max_nodes; node++) {
		uint64_t address = slab->address + l->kmem_cache.node +
				   (uint64_t)node * l->kmem_cache_node.bytes;
		uint64_t slabs = 0, partial = 0;

		inspect_u64(inspector, address + l->kmem_cache_node.nr_slabs, &slabs);
		inspect_u64(inspector, address + l->kmem_cache_node.nr_partial, &partial);
		slab->slabs += slabs;
		slab->partial += partial;
	}
}

/* Reads the cache at @address; false where it is none, or not set up. */
static bool take_cache(struct inspector *inspector, uint64_t address, struct look_slab *slab)
{
	const struct layout *l = inspect_layout(inspector);
	uint64_t name = 0;

	*slab = (struct look_slab){.address = address};
	if (!inspect_u32(inspector, address + l->kmem_cache.object_bytes, &slab->object_bytes) ||
	    !inspect_u32(inspector, address + l->kmem_cache.objects, &slab->objects) ||
	    slab->object_bytes == 0 || slab->objects == 0 || slab->objects > PAGE / 8)
		return false;
	if (inspect_u64(inspector, address + l->kmem_cache.name, &name))
		look_text(inspector, name, slab->name, sizeof(slab->name));
	if (slab->name[0] == '\0')
		snprintf(slab->name, sizeof(slab->name), "size-%u", slab->object_bytes);
	take_counts(inspector, slab);
	return true;
}

/* ---- its objects ---- */

/* Objects on the CPUs' own lists, which their slabs count as in use. */
static uint64_t on_cpus(struct inspector *inspector, const struct look_slab *slab)
{
	const struct layout *l = inspect_layout(inspector);
	uint32_t cpus = inspect_source_of(inspector)->nr_cpus;
	uint64_t free = 0;

	for (uint32_t cpu = 0; cpu < cpus && cpu < l->max_cpus; cpu++) {
		uint64_t address =
			slab->address + l->kmem_cache.cpu + (uint64_t)cpu * l->kmem_cache_cpu.bytes;
		uint64_t object = 0;
		uint32_t length = 0;

		inspect_u64(inspector, address + l->kmem_cache_cpu.freelist, &object);
		for (; object != 0 && length < slab->objects; length++) {
			if (!inspect_u64(inspector, object, &object))
				break;
		}
		free += length;
	}
	return free;
}

static struct look_slab *find_cache(struct look_slabs *slabs, uint64_t address)
{
	for (size_t i = 0; i < slabs->nr_slabs; i++) {
		if (slabs->slab[i].address == address)
			return &slabs->slab[i];
	}
	return NULL;
}

/* The frames [pfn, end) of a section in use. */
static void take_frames(struct inspector *inspector, uint64_t pfn, uint64_t end,
			struct look_slabs *slabs)
{
	const struct layout *l = inspect_layout(inspector);

	for (; pfn < end; pfn++) {
		struct inspect_page page;
		struct look_slab *slab;

		if (!inspect_page(inspector, pfn, &page) || page.state != l->page_slab)
			continue;
		slab = find_cache(slabs, page.owner);
		if (!slab)
			continue;
		slab->found++;
		slab->total += page.objects;
		slab->in_use += page.in_use;
	}
}

static void take_objects(struct inspector *inspector, struct look_slabs *slabs)
{
	const struct inspect_source *source = inspect_source_of(inspector);
	uint64_t section_pages = (1ull << inspect_layout(inspector)->section_shift) / PAGE;

	for (uint32_t i = 0; i < source->nr_ram; i++) {
		uint64_t pfn = source->ram[i].start / PAGE, end = source->ram[i].end / PAGE;

		while (pfn < end) {
			uint64_t next = (pfn / section_pages + 1) * section_pages;

			if (next > end)
				next = end;
			if (inspect_section_online(inspector, pfn))
				take_frames(inspector, pfn, next, slabs);
			pfn = next;
		}
	}
	for (size_t i = 0; i < slabs->nr_slabs; i++) {
		uint64_t free = on_cpus(inspector, &slabs->slab[i]);

		slabs->slab[i].in_use -=
			free < slabs->slab[i].in_use ? free : slabs->slab[i].in_use;
	}
}

int look_slabs(struct inspector *inspector, struct look_slabs *slabs_out)
{
	const struct layout *l = inspect_layout(inspector);
	struct look_slabs slabs = {.nr_slabs = 0};

	slabs.slab = calloc(l->nr_kmalloc_caches + 1, sizeof(*slabs.slab));
	if (!slabs.slab)
		return -ENOMEM;
	inspect_refresh(inspector);
	for (uint32_t i = 0; i <= l->nr_kmalloc_caches; i++) {
		uint64_t address = i < l->nr_kmalloc_caches ? inspect_kmalloc_address(inspector, i)
							    : inspect_vmap_cache_address(inspector);

		slabs.nr_slabs += take_cache(inspector, address, &slabs.slab[slabs.nr_slabs]);
	}
	take_objects(inspector, &slabs);
	*slabs_out = slabs;
	return 0;
}

void look_slabs_free(struct look_slabs *slabs)
{
	free(slabs->slab);
	*slabs = (struct look_slabs){.slab = NULL};
}
