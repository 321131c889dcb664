/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "frames", objects: what the address space and processes are kept in (tiles, bookkeeping,
 * page arrays, processes, their ranges) lies in memory that is allocated: in an object of a slab
 * that is not on any free list, or in a kmalloc block. A structure that was freed and is still
 * linked looks right until somebody else gets its memory; here it does not.
 *
 * The addresses are sorted once; each slab and block then looks at those that lie in it, and what
 * nobody has looked at lies nowhere.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/search.h"
#include "vmm/audit/frames.h"

#define PAGE INSPECT_PAGE_BYTES

static int by_address(const void *left, const void *right)
{
	const struct object *a = left, *b = right;

	return a->address < b->address ? -1 : a->address > b->address;
}

static void add_object(struct audit_frames *frames, uint64_t address, uint64_t area,
		       enum object_kind kind)
{
	frames->object[frames->nr_objects++] = (struct object){address, area, kind, false};
}

int audit_take_objects(struct audit_frames *frames)
{
	const struct inspect_processes *processes = &frames->pass->processes;
	const struct inspect_areas *areas = &frames->pass->areas;
	const struct layout *l = frames->pass->l;

	frames->object = calloc(3 * areas->count + processes->count + processes->nr_vmas + 1,
				sizeof(*frames->object));
	if (!frames->object)
		return -ENOMEM;
	for (size_t i = 0; i < areas->count; i++) {
		const struct inspect_area *area = &areas->area[i];

		add_object(frames, area->tile, area->start, OBJECT_TILE);
		if (area->state != INSPECT_BUSY || !area->has_vm)
			continue;
		add_object(frames, area->link, area->start, OBJECT_VM);
		if (area->nr_pages && area->array != l->vm_array_inline &&
		    area->array != l->vm_array_vmalloc)
			add_object(frames, area->pages, area->start, OBJECT_ARRAY);
	}
	for (size_t i = 0; i < processes->count; i++)
		add_object(frames, processes->process[i].address, processes->process[i].address,
			   OBJECT_PROCESS);
	for (size_t i = 0; i < processes->nr_vmas; i++)
		add_object(frames, processes->vma[i].address, processes->vma[i].start,
			   OBJECT_RANGE);
	qsort(frames->object, frames->nr_objects, sizeof(*frames->object), by_address);
	return 0;
}

/* The index of the first object at or above @address. */
static size_t first_object(const struct audit_frames *frames, uint64_t address)
{
	return FIRST_WHERE(i, frames->nr_objects, frames->object[i].address >= address);
}

static const char *object_name(enum object_kind kind)
{
	static const char *const names[] = {
		[OBJECT_TILE] = "tile",        [OBJECT_VM] = "bookkeeping",
		[OBJECT_ARRAY] = "page array", [OBJECT_PROCESS] = "process",
		[OBJECT_RANGE] = "user range",
	};

	return names[kind];
}

void audit_objects_in_slab(struct audit_frames *frames, uint64_t slab,
			   const struct cache_sum *cache, const uint8_t *free)
{
	bool tiles = cache->address == inspect_vmap_cache_address(frames->pass->inspector);

	for (size_t i = first_object(frames, slab);
	     i < frames->nr_objects && frames->object[i].address - slab < PAGE; i++) {
		struct object *object = &frames->object[i];
		uint64_t offset = object->address - slab, index = offset / cache->object_bytes;

		object->seen = true;
		if (offset % cache->object_bytes != 0 || index >= cache->objects ||
		    tiles != (object->kind == OBJECT_TILE))
			audit_found(frames->pass, object->area, object->address, cache->address,
				    "the %s lies in a slab, but is no object of its own",
				    object_name(object->kind));
		else if (free[index / 8] & 1u << index % 8)
			audit_found(frames->pass, object->area, object->address, 0,
				    "the %s lies in memory that is free",
				    object_name(object->kind));
	}
}

void audit_objects_in_block(struct audit_frames *frames, uint64_t block, unsigned int order)
{
	for (size_t i = first_object(frames, block);
	     i < frames->nr_objects && frames->object[i].address - block < PAGE << order; i++) {
		struct object *object = &frames->object[i];

		/* Bookkeeping is a block of its own where a request named a low zone. */
		object->seen = object->address == block && object->kind != OBJECT_TILE;
	}
}

void audit_check_objects(struct audit_frames *frames)
{
	for (size_t i = 0; i < frames->nr_objects; i++) {
		const struct object *object = &frames->object[i];

		if (!object->seen)
			audit_found(frames->pass, object->area, object->address, 0,
				    "the %s lies in memory nobody allocated",
				    object_name(object->kind));
		if (i > 0 && object->address == frames->object[i - 1].address)
			audit_found(frames->pass, object->area, object->address, 0,
				    "the %s is another area's as well", object_name(object->kind));
	}
}
