/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults in slabs, objects and locks. */
#include "tests/vmm/audit/faults.h"

#define WILD 0xdeadbeef000ull

/* ---- frames: slabs ---- */

/* The slab that the tiles come from now. */
static struct page *tile_slab(struct mix *mix)
{
	return mix->mm->vmap.cache.cpu[0].slab;
}

static u64 slab_of_no_cache(struct mix *mix)
{
	struct page *page = tile_slab(mix);

	page->owner = mix;
	return mix_phys(mix, page);
}

static u64 slab_in_use_wrong(struct mix *mix)
{
	struct page *page = tile_slab(mix);

	page->in_use--;
	return mix_phys(mix, page);
}

static u64 slab_list_wild(struct mix *mix)
{
	struct page *page = tile_slab(mix);

	mix->mm->vmap.cache.cpu[0].freelist = (void *)(uintptr_t)WILD;
	return (u64)(uintptr_t)page_address(mix->mm, page);
}

static u64 slab_object_freed_twice(struct mix *mix)
{
	void **object = mix->mm->vmap.cache.cpu[0].freelist;

	*object = object;
	return (u64)(uintptr_t)page_address(mix->mm, tile_slab(mix));
}

static u64 slab_count_wrong(struct mix *mix)
{
	mix->mm->vmap.cache.node[0].nr_slabs++;
	return (u64)(uintptr_t)&mix->mm->vmap.cache.node[0];
}

static u64 slab_forgotten(struct mix *mix)
{
	struct page *page = tile_slab(mix);

	mix->mm->vmap.cache.cpu[0].slab = NULL;
	return mix_phys(mix, page);
}

/* ---- frames: objects ---- */

/* Freed, and linked still: the next allocation would get its memory. */
static u64 tile_freed_and_linked(struct mix *mix)
{
	struct vmap_area *area = mix_tile(mix, mix->nested), copy = *area;

	kmem_cache_free(mix->mm, &mix->mm->vmap.cache, area);
	/* A free object's first word is the free list's, so it starts elsewhere now. */
	copy.va_start = area->va_start;
	*area = copy;
	return area->va_start;
}

static u64 vm_freed_and_linked(struct mix *mix)
{
	struct vm_struct *vm = mix_vm(mix, mix->single), copy = *vm;

	kfree(mix->mm, vm);
	/* The free list's link overwrites the first word: put back what a reader would see. */
	copy.addr = vm->addr;
	*vm = copy;
	return mix->single;
}

static u64 array_freed_and_linked(struct mix *mix)
{
	kfree(mix->mm, mix_vm(mix, mix->kmalloced)->pages);
	return mix->kmalloced;
}

static u64 vm_of_two_areas(struct mix *mix)
{
	mix_tile(mix, mix->single)->vm = mix_vm(mix, mix->inlined);
	return mix->inlined;
}

static u64 array_between_objects(struct mix *mix)
{
	struct vm_struct *vm = mix_vm(mix, mix->kmalloced);

	vm->pages++;
	return mix->kmalloced;
}

static u64 zone_locked(struct mix *mix)
{
	struct zone *zone = mix_pcp_zone(mix);

	spin_lock(&zone->lock);
	return (u64)(uintptr_t)&zone->lock;
}

static u64 cache_locked(struct mix *mix)
{
	spin_lock(&mix->mm->kmalloc[3].lock);
	return (u64)(uintptr_t)&mix->mm->kmalloc[3].lock;
}

const struct fault object_faults[] = {
	FAULT(slab_of_no_cache, AUDIT_FRAMES, "a cache there is not"),
	FAULT(slab_in_use_wrong, AUDIT_FRAMES, "not all of them"),
	FAULT(slab_list_wild, AUDIT_FRAMES, "no object of it"),
	FAULT(slab_object_freed_twice, AUDIT_FRAMES, "free twice"),
	FAULT(slab_count_wrong, AUDIT_FRAMES, "counts its slabs wrong"),
	FAULT(slab_forgotten, AUDIT_FRAMES, "its CPU does not"),
	FAULT(tile_freed_and_linked, AUDIT_FRAMES, "tile lies in memory that is free"),
	FAULT(vm_freed_and_linked, AUDIT_FRAMES, "bookkeeping lies in memory that is free"),
	FAULT(array_freed_and_linked, AUDIT_FRAMES, "page array lies in memory"),
	FAULT(vm_of_two_areas, AUDIT_FRAMES, "another area's as well"),
	FAULT(array_between_objects, AUDIT_FRAMES, "page array lies in"),
	FAULT(zone_locked, AUDIT_FRAMES, "lock of a zone"),
	FAULT(cache_locked, AUDIT_FRAMES, "lock of a cache"),
	{.name = NULL},
};
