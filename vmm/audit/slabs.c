/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "frames", slabs: a frame marked as one belongs to a cache there is, its objects and free
 * lists add up and stay inside it, and the caches' partial lists and counts agree with the slabs
 * found.
 */
#include "vmm/audit/frames.h"

#define PAGE INSPECT_PAGE_BYTES

void audit_read_caches(struct audit_frames *frames)
{
	struct audit_pass *pass = frames->pass;
	const struct layout *l = pass->l;

	for (uint32_t i = 0; i <= l->nr_kmalloc_caches; i++) {
		struct cache_sum *cache = &frames->cache[frames->nr_caches];

		cache->address = i < l->nr_kmalloc_caches
					 ? inspect_kmalloc_address(pass->inspector, i)
					 : inspect_vmap_cache_address(pass->inspector);
		if (!inspect_u32(pass->inspector, cache->address + l->kmem_cache.object_bytes,
				 &cache->object_bytes) ||
		    !inspect_u32(pass->inspector, cache->address + l->kmem_cache.objects,
				 &cache->objects))
			continue;
		/* An object holds at least a link; a cache that is all zeroes is not set up. */
		if (cache->object_bytes < 8 || cache->object_bytes % 8 != 0 ||
		    cache->objects != PAGE / cache->object_bytes) {
			if (cache->object_bytes || cache->objects)
				audit_found(pass, cache->address, cache->object_bytes,
					    cache->objects, "a cache whose objects fill no slab");
			continue;
		}
		frames->nr_caches++;
	}
}

static struct cache_sum *find_cache(struct audit_frames *frames, uint64_t address)
{
	for (size_t i = 0; i < frames->nr_caches; i++) {
		if (frames->cache[i].address == address)
			return &frames->cache[i];
	}
	return NULL;
}

/*
 * The length of the list of free objects from @object on, each inside the slab at @slab, at an
 * object's start, and there once; or -1, with what is wrong reported. @seen has a bit an object.
 */
static int64_t free_length(struct audit_pass *pass, const struct cache_sum *cache, uint64_t slab,
			   uint64_t object, uint8_t seen[PAGE / 64])
{
	int64_t length = 0;

	while (object != 0) {
		uint64_t index = (object - slab) / cache->object_bytes;

		if (object < slab || index >= cache->objects ||
		    (object - slab) % cache->object_bytes != 0) {
			audit_found(pass, slab, object, 0,
				    "a slab's free list leads to what is no object of it");
			return -1;
		}
		if (seen[index / 8] & 1u << index % 8) {
			audit_found(pass, slab, object, 0, "an object is free twice");
			return -1;
		}
		seen[index / 8] |= (uint8_t)(1u << index % 8);
		length++;
		if (!inspect_u64(pass->inspector, object, &object))
			return -1;
	}
	return length;
}

/* The CPU whose active slab @page says it is knows it, and its list is inside it. */
static void check_active(struct audit_pass *pass, const struct cache_sum *cache, uint64_t pfn,
			 const struct inspect_page *page, uint8_t seen[PAGE / 64])
{
	const struct layout *l = pass->l;
	uint64_t cpu = cache->address + l->kmem_cache.cpu +
		       (uint64_t)(page->active - 1) * l->kmem_cache_cpu.bytes;
	uint64_t slab = 0, freelist = 0;

	if (page->active > inspect_source_of(pass->inspector)->nr_cpus ||
	    page->active > l->max_cpus) {
		audit_found(pass, pfn * PAGE, page->active, 0, "a slab active on no CPU");
		return;
	}
	inspect_u64(pass->inspector, cpu + l->kmem_cache_cpu.slab, &slab);
	inspect_u64(pass->inspector, cpu + l->kmem_cache_cpu.freelist, &freelist);
	if (slab != inspect_page_address(pass->inspector, pfn))
		audit_found(pass, pfn * PAGE, slab, inspect_page_address(pass->inspector, pfn),
			    "a slab says it is active and its CPU does not");
	else
		free_length(pass, cache, inspect_frame_address(pass->inspector, pfn), freelist,
			    seen);
}

void audit_check_slab(struct audit_frames *frames, uint64_t pfn, const struct inspect_page *page)
{
	struct audit_pass *pass = frames->pass;
	struct cache_sum *cache = find_cache(frames, page->owner);
	const struct nb_range *ram = inspect_ram_range(pass->inspector, pfn);
	uint8_t seen[PAGE / 64] = {0};
	int64_t length;

	if (!cache) {
		audit_found(pass, pfn * PAGE, page->owner, 0, "a slab of a cache there is not");
		return;
	}
	if (ram && ram->node < pass->l->max_nodes) {
		cache->node[ram->node].slabs++;
		cache->node[ram->node].partial += page->freelist != 0 && page->active == 0;
	}
	length = free_length(pass, cache, inspect_frame_address(pass->inspector, pfn),
			     page->freelist, seen);
	if (page->objects != cache->objects)
		audit_found(pass, pfn * PAGE, page->objects, cache->objects,
			    "a slab with another number of objects than its cache's");
	else if (length >= 0 && page->in_use + (uint64_t)length != cache->objects)
		audit_found(pass, pfn * PAGE, page->in_use, cache->objects - (uint64_t)length,
			    "a slab's objects in use and free are not all of them");
	if (page->active)
		check_active(pass, cache, pfn, page, seen);
	audit_objects_in_slab(frames, inspect_frame_address(pass->inspector, pfn), cache, seen);
}

/* Follows a partial list, bounded by the slabs that should be on it. */
static void check_partial(struct audit_frames *frames, const struct cache_sum *cache, uint32_t node,
			  uint64_t address)
{
	struct audit_pass *pass = frames->pass;
	const struct layout *l = pass->l;
	uint64_t head = address + l->kmem_cache_node.partial, from = head, link = 0;
	uint64_t expected = cache->node[node].partial, count = 0, pfn;
	struct inspect_page page;

	inspect_u64(pass->inspector, head + l->list_head.next, &link);
	while (link != head && count <= expected) {
		if (!inspect_page_pfn(pass->inspector, link - l->page.list, &pfn) ||
		    !inspect_page(pass->inspector, pfn, &page) || page.list_prev != from) {
			audit_found(pass, address, link, from,
				    "the list of partial slabs is broken");
			return;
		}
		if (page.state != l->page_slab || page.owner != cache->address || page.active ||
		    page.freelist == 0)
			audit_found(pass, pfn * PAGE, page.owner, cache->address,
				    "a frame on a list of partial slabs that is none of them");
		count++;
		from = link;
		link = page.list_next;
	}
	if (count != expected)
		audit_found(pass, address, count, expected,
			    "not all partial slabs are on their list, or more");
}

static void check_cache_node(struct audit_frames *frames, const struct cache_sum *cache,
			     uint32_t node)
{
	struct audit_pass *pass = frames->pass;
	const struct layout *l = pass->l;
	uint64_t address =
		cache->address + l->kmem_cache.node + (uint64_t)node * l->kmem_cache_node.bytes;
	uint64_t slabs = 0, partial = 0;

	check_partial(frames, cache, node, address);
	inspect_u64(pass->inspector, address + l->kmem_cache_node.nr_slabs, &slabs);
	inspect_u64(pass->inspector, address + l->kmem_cache_node.nr_partial, &partial);
	if (slabs != cache->node[node].slabs)
		audit_found(pass, address, slabs, cache->node[node].slabs,
			    "a cache counts its slabs wrong");
	if (partial != cache->node[node].partial)
		audit_found(pass, address, partial, cache->node[node].partial,
			    "a cache counts its partial slabs wrong");
}

/* A CPU's active slab says so itself: with check_active(), they agree both ways. */
static void check_cache_cpu(struct audit_frames *frames, const struct cache_sum *cache,
			    uint32_t cpu)
{
	struct audit_pass *pass = frames->pass;
	const struct layout *l = pass->l;
	uint64_t address =
		cache->address + l->kmem_cache.cpu + (uint64_t)cpu * l->kmem_cache_cpu.bytes;
	uint64_t slab = 0, pfn;
	struct inspect_page page;

	inspect_u64(pass->inspector, address + l->kmem_cache_cpu.slab, &slab);
	if (slab == 0)
		return;
	if (!inspect_page_pfn(pass->inspector, slab, &pfn) ||
	    !inspect_page(pass->inspector, pfn, &page) || page.state != l->page_slab ||
	    page.owner != cache->address || page.active != cpu + 1)
		audit_found(pass, address, slab, 0, "CPU %u has an active slab that is none", cpu);
}

void audit_check_caches(struct audit_frames *frames)
{
	for (size_t i = 0; i < frames->nr_caches; i++) {
		audit_check_lock(frames->pass,
				 frames->cache[i].address + frames->pass->l->kmem_cache.lock,
				 "a cache");
		for (uint32_t node = 0; node < frames->pass->l->max_nodes; node++)
			check_cache_node(frames, &frames->cache[i], node);
		for (uint32_t cpu = 0; cpu < frames->pass->l->max_cpus; cpu++)
			check_cache_cpu(frames, &frames->cache[i], cpu);
	}
}
