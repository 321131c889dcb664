/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small objects: caches of one object size, each slab a single frame (PAGE_SLAB), and kmalloc()
 * on top of them.
 *
 * A CPU has one active slab per cache. It has taken over that slab's free list whole, and takes
 * objects from it and gives them back without a lock; other CPUs give theirs back to the slab's
 * own list. Other slabs with free objects are on the cache's per-node partial lists. A free
 * object's first word links it to the next. A free to a slab that is not this CPU's active one
 * takes cache->lock. Full slabs are on no list. One empty slab per node is kept on the partial
 * list, further ones go back as frames.
 *
 * Invariants (kmem_cache_check()): page->in_use + length of page->freelist == objects, where what
 * a CPU took over counts as in use; a free list stays inside its slab at object boundaries and has
 * no cycle; partial lists hold exactly the slabs with free objects that are no CPU's active one;
 * counts agree with the lists and with the frames that are slabs of the cache.
 */
#ifndef MM_SLAB_H
#define MM_SLAB_H

#include "mm/page_alloc.h"

struct kmem_cache_cpu {
	void *freelist; /* free objects of the active slab, taken over from it whole */
	struct page *slab;
};

struct kmem_cache_node {
	struct list_head partial;
	u64 nr_partial;
	u64 nr_empty; /* of those partial: slabs without an object in use, 0 or 1 */
	u64 nr_slabs; /* all slabs of this node, active, partial and full */
};

struct kmem_cache {
	const char *name;
	u32 object_bytes; /* at least 8, a multiple of 8 */
	u32 objects;      /* in one slab */
	u32 inverse;      /* 2^32 / object_bytes, rounded up: tells object boundaries */
	u32 last_offset;  /* where in the frame the last object starts */
	spinlock_t lock;  /* guards node[] and the slabs on its lists, and slabs no CPU uses */
	struct kmem_cache_node node[MAX_NODES];
	struct kmem_cache_cpu cpu[MAX_CPUS];
};

/* kmalloc's size classes, up to KMALLOC_MAX_CACHE_BYTES; above that whole blocks of frames. */
#define KMALLOC_MAX_CACHE_BYTES 2048
#define KMALLOC_MAX_BYTES       (PAGE_SIZE << MAX_ORDER)
#define NR_KMALLOC_CACHES       11 /* 16 32 64 96 128 192 256 512 1024 1344 2048 */

/* Sets up @cache in the caller's memory. @object_bytes in [8, 2048], a multiple of 8. */
void kmem_cache_init(struct kmem_cache *cache, const char *name, u32 object_bytes);

/* One object, on @node if possible (below 0: this CPU's own), zeroed with __GFP_ZERO; or NULL. */
void *kmem_cache_alloc(struct mm *mm, struct kmem_cache *cache, gfp_t gfp, int node);

/*
 * Gives @object back. An address that is no object's of @cache is the caller's bug: reported
 * through arch->warn, nothing changes. So are double frees where the object is the last one freed
 * on its slab, or the slab is empty; kmem_cache_check() finds the others.
 */
void kmem_cache_free(struct mm *mm, struct kmem_cache *cache, void *object);

/*
 * Gives up this CPU's active slab and returns every empty slab's frame. Returns how many frames
 * that were.
 */
u64 kmem_cache_shrink(struct mm *mm, struct kmem_cache *cache);

/* Sets up mm->kmalloc[]. */
void kmalloc_init(struct mm *mm);

/*
 * @size bytes, aligned to 8 and, for a power of two, to min(@size, PAGE_SIZE). Zone flags in
 * @gfp apply: with __GFP_DMA or __GFP_DMA32 the memory is whole frames. Returns NULL for a @size of
 * 0, above KMALLOC_MAX_BYTES, or when memory is out.
 */
void *kmalloc_node(struct mm *mm, u64 size, gfp_t gfp, int node);

/*
 * Gives back what kmalloc_node() returned; NULL is nothing. Anything else is reported as
 * kmem_cache_free() does.
 */
void kfree(struct mm *mm, void *object);

/* Returns NULL when every invariant above holds, otherwise what is wrong, as static text. */
const char *kmem_cache_check(struct mm *mm, struct kmem_cache *cache);

#endif
