/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checker of object caches. Every walk is bounded, and no pointer is followed before it is
 * known to lead to an object of its slab.
 */
#include "mm/buddy.h"

/* The smallest object is 8 bytes. */
#define MAX_OBJECTS (PAGE_SIZE / 8)

/* The free objects of one slab met so far. */
struct met {
	u64 bits[MAX_OBJECTS / 64];
};

/* Walks a list of free objects of @slab; its length, or what is wrong in *@wrong. */
static u32 walk_objects(struct mm *mm, const struct kmem_cache *cache, const struct page *slab,
			void *object, struct met *met, const char **wrong)
{
	u64 base = (u64)(uintptr_t)page_address(mm, slab);
	u32 length = 0;

	for (; object; length++) {
		u64 offset = (u64)(uintptr_t)object - base, index = offset / cache->object_bytes;
		u64 bit = 1ull << (index % 64);

		if (index >= cache->objects || offset % cache->object_bytes) {
			*wrong = "a free list leads out of its slab, or between two objects";
			break;
		}
		if (met->bits[index / 64] & bit) {
			*wrong = "an object is free twice";
			break;
		}
		met->bits[index / 64] |= bit;
		object = *(void **)object;
	}
	return length;
}

static const char *check_cpu(const struct mm *mm, const struct kmem_cache *cache, u32 id)
{
	const struct kmem_cache_cpu *cpu = &cache->cpu[id];

	if (!cpu->slab)
		return cpu->freelist ? "a CPU has free objects of no slab" : NULL;
	if (!page_is_mapped(mm, cpu->slab) || cpu->slab->state != PAGE_SLAB ||
	    cpu->slab->owner != cache)
		return "a CPU's active slab is none of the cache's";
	return cpu->slab->active == id + 1 ? NULL : "a CPU's active slab is not marked so";
}

static const char *check_slab(struct mm *mm, const struct kmem_cache *cache,
			      const struct page *slab)
{
	struct met met = {0};
	const char *wrong = NULL;
	u32 own, taken = 0;

	if (slab->objects != cache->objects || slab->in_use > slab->objects)
		return "a slab's count of objects is wrong";
	if (slab->active > mm->nr_cpus ||
	    (slab->active && cache->cpu[slab->active - 1].slab != slab))
		return "a slab is marked active and is not";
	own = walk_objects(mm, cache, slab, slab->freelist, &met, &wrong);
	if (slab->active && !wrong)
		taken = walk_objects(mm, cache, slab, cache->cpu[slab->active - 1].freelist, &met,
				     &wrong);
	if (wrong)
		return wrong;
	if (slab->in_use + own != slab->objects || taken > slab->in_use)
		return "a slab's count of objects in use is wrong";
	return NULL;
}

static const char *check_partial(const struct mm *mm, const struct kmem_cache *cache, u32 node)
{
	const struct kmem_cache_node *its = &cache->node[node];
	const struct list_head *head = &its->partial, *link = head;
	u64 left = its->nr_partial, empty = 0;

	for (; link->next && link->next != head; link = link->next) {
		const struct page *slab = list_entry(link->next, struct page, list);

		if (left-- == 0)
			return "a partial list is longer than its count";
		if (!page_is_mapped(mm, slab) || slab->state != PAGE_SLAB || slab->owner != cache)
			return "a partial list leads to no slab of the cache";
		if (slab->list.prev != link)
			return "a partial list's links do not agree";
		if (slab->node != node || slab->active || !slab->freelist)
			return "a slab does not belong on its partial list";
		empty += slab->in_use == 0;
	}
	if (left || link->next != head || head->prev != link)
		return "a partial list and its count differ";
	return empty == its->nr_empty && empty <= 1 ? NULL : "the count of empty slabs is wrong";
}

/* All frames that say they are slabs of @cache, and what they add up to. */
static const char *check_slabs(struct mm *mm, const struct kmem_cache *cache)
{
	u64 slabs[MAX_NODES] = {0}, partial[MAX_NODES] = {0};
	struct block_walk walk = {0};

	while (block_walk_next(mm, &walk)) {
		const char *wrong;

		if (walk.page->state != PAGE_SLAB || walk.page->owner != cache)
			continue;
		wrong = check_slab(mm, cache, walk.page);
		if (wrong)
			return wrong;
		slabs[walk.page->node]++;
		partial[walk.page->node] += walk.page->freelist && !walk.page->active;
	}
	if (walk.error)
		return walk.error;
	for (u32 node = 0; node < MAX_NODES; node++) {
		if (slabs[node] != cache->node[node].nr_slabs)
			return "the count of slabs is wrong";
		if (partial[node] != cache->node[node].nr_partial)
			return "a slab with free objects is on no list, or on two";
	}
	return NULL;
}

const char *kmem_cache_check(struct mm *mm, struct kmem_cache *cache)
{
	const char *wrong = NULL;

	for (u32 cpu = 0; cpu < mm->nr_cpus && !wrong; cpu++)
		wrong = check_cpu(mm, cache, cpu);
	for (u32 node = 0; node < MAX_NODES && !wrong; node++)
		wrong = check_partial(mm, cache, node);
	return wrong ? wrong : check_slabs(mm, cache);
}
