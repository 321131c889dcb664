/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Object caches and kmalloc(). The usual allocation pops the list of this CPU's active slab, the
 * usual free pushes onto it, and neither reads a struct page: that an object lies in the active
 * slab already says that it is this cache's. Asking which CPU this is is out of line, as in
 * mm/page_alloc.c.
 *
 * A slab is in one of three places, told by its struct page: active on a CPU (page->active), on a
 * partial list (page->freelist not empty), or full, on none.
 */
#include "mm/slab.h"

#include "mm/mm.h"
#include "mm/string.h"

#define NOINLINE __attribute__((noinline))

#define GFP_ZONES (__GFP_DMA | __GFP_DMA32)

/* A free object's link to the next. */
static inline void **link_of(void *object)
{
	return object;
}

static inline void *next_of(void *object)
{
	return read_free_link(link_of(object));
}

/*
 * Whether @object begins an object, @offset being where in its frame it lies. offset * inverse is,
 * modulo 2^32, below inverse exactly when object_bytes divides offset (Lemire, Kaser, Kurz 2019);
 * the objects end before the frame may.
 */
static inline bool is_boundary(const struct kmem_cache *cache, const void *object)
{
	u32 offset = (u32)((uintptr_t)object & (PAGE_SIZE - 1));

	return offset * cache->inverse < cache->inverse && offset <= cache->last_offset;
}

void kmem_cache_init(struct kmem_cache *cache, const char *name, u32 object_bytes)
{
	cache->name = name;
	cache->object_bytes = object_bytes;
	cache->objects = (u32)PAGE_SIZE / object_bytes;
	cache->inverse = ~0u / object_bytes + 1;
	cache->last_offset = (cache->objects - 1) * object_bytes;
	for (u32 node = 0; node < MAX_NODES; node++)
		list_init(&cache->node[node].partial);
}

/* In the core's tests what is in a free object is nothing anybody can go on with. */
static inline void poison(const struct kmem_cache *cache, void *object)
{
#ifdef MM_DEBUG
	memset((char *)object + sizeof(void *), 0x6b, cache->object_bytes - sizeof(void *));
#endif
}

/* ---- the lists; cache->lock is held ---- */

static void add_partial(struct kmem_cache *cache, struct page *slab)
{
	struct kmem_cache_node *node = &cache->node[slab->node];

	lockdep_assert_held(&cache->lock);
	list_add(&slab->list, &node->partial);
	node->nr_partial++;
	node->nr_empty += slab->in_use == 0;
}

static void remove_partial(struct kmem_cache *cache, struct page *slab)
{
	struct kmem_cache_node *node = &cache->node[slab->node];

	lockdep_assert_held(&cache->lock);
	list_del(&slab->list);
	node->nr_partial--;
	node->nr_empty -= slab->in_use == 0;
}

/* Makes @slab, which is on no list, this CPU's, with all its free objects. */
static void activate(struct kmem_cache *cache, struct kmem_cache_cpu *cpu, struct page *slab,
		     u32 id)
{
	lockdep_assert_held(&cache->lock);
	slab->active = (u16)(id + 1);
	slab->in_use = slab->objects;
	cpu->freelist = slab->freelist;
	cpu->slab = slab;
	slab->freelist = NULL;
}

/*
 * Ends @slab's being active: its objects on the CPU's list are its own again. Returns the slab
 * when it is one empty slab too many and its frame is to be freed, otherwise NULL.
 */
static struct page *deactivate(struct kmem_cache *cache, struct kmem_cache_cpu *cpu)
{
	struct page *slab = cpu->slab;
	struct kmem_cache_node *node = &cache->node[slab->node];

	lockdep_assert_held(&cache->lock);
	while (cpu->freelist) {
		void *object = cpu->freelist;

		cpu->freelist = next_of(object);
		*link_of(object) = slab->freelist;
		slab->freelist = object;
		slab->in_use--;
	}
	cpu->slab = NULL;
	slab->active = 0;
	if (slab->in_use == 0 && node->nr_empty) {
		node->nr_slabs--;
		return slab;
	}
	if (slab->freelist)
		add_partial(cache, slab);
	return NULL;
}

static struct page *first_partial(struct kmem_cache *cache, u32 node)
{
	struct list_head *partial = &cache->node[node].partial;

	return list_empty(partial) ? NULL : list_entry(partial->next, struct page, list);
}

/* A slab with free objects of @node, or, with NUMA_NO_NODE, of this CPU's own or any other. */
static struct page *find_partial(struct mm *mm, struct kmem_cache *cache, int node)
{
	struct page *own;

	if (node != NUMA_NO_NODE)
		return first_partial(cache, (u32)node);
	own = first_partial(cache, mm->local_node[cpu_id(mm)]->id);
	if (own)
		return own;
	for (u32 id = 0; id < mm->nr_nodes; id++) {
		struct page *slab = first_partial(cache, id);

		if (slab)
			return slab;
	}
	return NULL;
}

/* ---- allocating, the long way ---- */

/* Makes a free frame a slab: its objects linked in ascending order, all free. */
static void carve(struct mm *mm, struct kmem_cache *cache, struct page *slab)
{
	char *object = page_address(mm, slab), *last = object + cache->last_offset;

	slab->freelist = object;
	slab->in_use = 0;
	slab->objects = (u16)cache->objects;
	slab->active = 0;
	for (; object != last; object += cache->object_bytes)
		*link_of(object) = object + cache->object_bytes;
	*link_of(last) = NULL;
}

/* Makes a new slab active on this CPU, which has none. */
static bool take_new(struct mm *mm, struct kmem_cache *cache, struct kmem_cache_cpu *cpu, gfp_t gfp,
		     int node)
{
	struct page *slab = alloc_pages(mm, gfp & ~__GFP_ZERO, 0, node, PAGE_SLAB, cache);

	if (!slab)
		return false;
	carve(mm, cache, slab);
	spin_lock(&cache->lock);
	cache->node[slab->node].nr_slabs++;
	activate(cache, cpu, slab, cpu_id(mm));
	spin_unlock(&cache->lock);
	return true;
}

/* Takes over what other CPUs gave back to the active slab, or a partial slab of @node. */
static bool take_partial(struct mm *mm, struct kmem_cache *cache, struct kmem_cache_cpu *cpu,
			 int node)
{
	struct page *slab;

	spin_lock(&cache->lock);
	slab = cpu->slab;
	if (slab && !slab->freelist)
		deactivate(cache, cpu);
	if (!cpu->slab) {
		slab = find_partial(mm, cache, node);
		if (slab)
			remove_partial(cache, slab);
	}
	if (slab && slab->freelist)
		activate(cache, cpu, slab, cpu_id(mm));
	spin_unlock(&cache->lock);
	return cpu->freelist != NULL;
}

/* Gives up the active slab of this CPU, because an object of another node is wanted. */
static void leave_active(struct mm *mm, struct kmem_cache *cache, struct kmem_cache_cpu *cpu)
{
	struct page *surplus;

	spin_lock(&cache->lock);
	surplus = deactivate(cache, cpu);
	spin_unlock(&cache->lock);
	if (surplus)
		free_pages(mm, surplus, 0);
}

/*
 * Fills this CPU's list, from @node if it can; before it takes a new frame of another node it
 * looks for objects there, or a node without memory would cost a frame an object.
 */
static bool refill(struct mm *mm, struct kmem_cache *cache, struct kmem_cache_cpu *cpu, gfp_t gfp,
		   int node)
{
	if (cpu->slab && node != NUMA_NO_NODE && cpu->slab->node != node)
		leave_active(mm, cache, cpu);
	if (cpu->freelist || take_partial(mm, cache, cpu, node))
		return true;
	if (node == NUMA_NO_NODE || (gfp & __GFP_THISNODE))
		return take_new(mm, cache, cpu, gfp, node);
	return take_new(mm, cache, cpu, gfp | __GFP_THISNODE | __GFP_NOWARN, node) ||
	       take_partial(mm, cache, cpu, NUMA_NO_NODE) || take_new(mm, cache, cpu, gfp, node);
}

static inline void *pop_object(struct kmem_cache_cpu *cpu)
{
	void *object = cpu->freelist;

	cpu->freelist = next_of(object);
	return object;
}

/* Whether this allocation is one to fail on demand, if it is one that may. */
static inline bool slab_must_fail(struct mm *mm, gfp_t gfp)
{
	return !(gfp & __GFP_NOFAIL) && fault_hit(mm, FAULT_SLAB);
}

static NOINLINE void *alloc_slow(struct mm *mm, struct kmem_cache *cache, gfp_t gfp, int node)
{
	struct kmem_cache_cpu *cpu = &cache->cpu[cpu_id(mm)];
	void *object;

	if (slab_must_fail(mm, gfp))
		return NULL;
	if (node >= (int)mm->nr_nodes) {
		mm_warn(mm, "an object was asked for of a node that is not there");
		return NULL;
	}
	if (node < 0)
		node = gfp & __GFP_THISNODE ? mm->local_node[cpu_id(mm)]->id : NUMA_NO_NODE;
	if (!refill(mm, cache, cpu, gfp, node))
		return NULL;
	object = pop_object(cpu);
	if (gfp & __GFP_ZERO)
		memset(object, 0, cache->object_bytes);
	return object;
}

static inline void *alloc_on(struct mm *mm, struct kmem_cache *cache, gfp_t gfp, int node, u32 id)
{
	struct kmem_cache_cpu *cpu = &cache->cpu[id];

	if (unlikely(!cpu->freelist || (node >= 0 && cpu->slab->node != node)))
		return alloc_slow(mm, cache, gfp, node);
	return pop_object(cpu);
}

static NOINLINE void *alloc_smp(struct mm *mm, struct kmem_cache *cache, gfp_t gfp, int node)
{
	return alloc_on(mm, cache, gfp, node, cpu_id(mm));
}

static inline void *cache_alloc(struct mm *mm, struct kmem_cache *cache, gfp_t gfp, int node)
{
	if (unlikely((gfp & __GFP_ZERO) | mm->fault.fail[FAULT_SLAB]))
		return alloc_slow(mm, cache, gfp, node);
	if (mm->nr_cpus != 1)
		return alloc_smp(mm, cache, gfp, node);
	return alloc_on(mm, cache, gfp, node, 0);
}

void *kmem_cache_alloc(struct mm *mm, struct kmem_cache *cache, gfp_t gfp, int node)
{
	return cache_alloc(mm, cache, gfp, node);
}

/* ---- freeing ---- */

/* The struct page of the frame that @object lies in, or NULL where there is no RAM in use. */
static inline struct page *object_page(struct mm *mm, const void *object)
{
	u64 phys = virt_to_phys(mm, object);

	if (unlikely(phys >= (u64)MAX_SECTIONS << SECTION_SHIFT ||
		     !mm->section_online[phys >> SECTION_SHIFT]))
		return NULL;
	return pfn_to_page(mm, phys >> PAGE_SHIFT);
}

static NOINLINE void report_bad_object(struct mm *mm, const void *object)
{
	mm_log(mm, LOG_ERR, "bad free of object %p", object);
	mm_warn(mm, "free of an object that is not allocated");
}

/* Puts @object back on its slab's own list. Returns the slab when its frame is to be freed. */
static struct page *free_to_slab(struct kmem_cache *cache, struct page *slab, void *object)
{
	struct kmem_cache_node *node = &cache->node[slab->node];
	bool listed = slab->freelist && !slab->active;

	lockdep_assert_held(&cache->lock);
	*link_of(object) = slab->freelist;
	slab->freelist = object;
	poison(cache, object);
	slab->in_use--;
	if (slab->active)
		return NULL;
	if (slab->in_use == 0 && node->nr_empty) {
		if (listed) {
			list_del(&slab->list);
			node->nr_partial--;
		}
		node->nr_slabs--;
		return slab;
	}
	if (!listed)
		add_partial(cache, slab);
	else
		node->nr_empty += slab->in_use == 0;
	return NULL;
}

/*
 * A free to a slab that is not this CPU's active one, or one that is wrong: what the quick path
 * turned away although the slab is this CPU's cannot be right.
 */
static NOINLINE void free_slow(struct mm *mm, struct kmem_cache *cache, void *object)
{
	struct page *slab = object_page(mm, object), *surplus;

	if (!slab || slab->state != PAGE_SLAB || slab->owner != cache ||
	    !is_boundary(cache, object) || slab == cache->cpu[cpu_id(mm)].slab) {
		report_bad_object(mm, object);
		return;
	}
	spin_lock(&cache->lock);
	if (slab->in_use == 0 || slab->freelist == object) {
		spin_unlock(&cache->lock);
		report_bad_object(mm, object);
		return;
	}
	surplus = free_to_slab(cache, slab, object);
	spin_unlock(&cache->lock);
	if (surplus)
		free_pages(mm, surplus, 0);
}

static inline void free_on(struct mm *mm, struct kmem_cache *cache, void *object, u32 id)
{
	struct kmem_cache_cpu *cpu = &cache->cpu[id];

	if (unlikely(virt_to_page(mm, object) != cpu->slab || !is_boundary(cache, object) ||
		     object == cpu->freelist)) {
		free_slow(mm, cache, object);
		return;
	}
	*link_of(object) = cpu->freelist;
	cpu->freelist = object;
	poison(cache, object);
}

static NOINLINE void free_smp(struct mm *mm, struct kmem_cache *cache, void *object)
{
	free_on(mm, cache, object, cpu_id(mm));
}

static inline void cache_free(struct mm *mm, struct kmem_cache *cache, void *object)
{
	if (mm->nr_cpus != 1)
		free_smp(mm, cache, object);
	else
		free_on(mm, cache, object, 0);
}

void kmem_cache_free(struct mm *mm, struct kmem_cache *cache, void *object)
{
	cache_free(mm, cache, object);
}

u64 kmem_cache_shrink(struct mm *mm, struct kmem_cache *cache)
{
	struct kmem_cache_cpu *cpu = &cache->cpu[cpu_id(mm)];
	u64 freed = 0;

	if (cpu->slab)
		leave_active(mm, cache, cpu);
	for (u32 id = 0; id < mm->nr_nodes; id++) {
		struct page *slab, *next;
		struct page *empty = NULL;

		spin_lock(&cache->lock);
		list_for_each_entry_safe (slab, next, &cache->node[id].partial, list) {
			if (slab->in_use == 0) {
				remove_partial(cache, slab);
				cache->node[id].nr_slabs--;
				empty = slab;
			}
		}
		spin_unlock(&cache->lock);
		if (empty) {
			free_pages(mm, empty, 0);
			freed++;
		}
	}
	return freed;
}

/* ---- kmalloc ---- */

void kmalloc_init(struct mm *mm)
{
	static const struct {
		u16 bytes;
		char name[14];
	} classes[NR_KMALLOC_CACHES] = {
		{16, "kmalloc-16"},     {32, "kmalloc-32"},     {64, "kmalloc-64"},
		{96, "kmalloc-96"},     {128, "kmalloc-128"},   {192, "kmalloc-192"},
		{256, "kmalloc-256"},   {512, "kmalloc-512"},   {1024, "kmalloc-1024"},
		{1344, "kmalloc-1344"}, {2048, "kmalloc-2048"},
	};
	u32 size16 = 0;

	for (u32 i = 0; i < NR_KMALLOC_CACHES; i++) {
		u32 end16 = classes[i].bytes / 16 + 1;

		kmem_cache_init(&mm->kmalloc[i], classes[i].name, classes[i].bytes);
		memset(&mm->kmalloc_index[size16], (int)i, end16 - size16);
		size16 = end16;
	}
}

/* Whole frames: for what no cache holds, and for requests that name a zone. */
static NOINLINE void *kmalloc_frames(struct mm *mm, u64 size, gfp_t gfp, int node)
{
	struct page *page;
	u32 order = 0;

	if (size == 0 || size > KMALLOC_MAX_BYTES || slab_must_fail(mm, gfp))
		return NULL;
	while (PAGE_SIZE << order < size)
		order++;
	page = alloc_pages(mm, gfp, order, node, PAGE_KMALLOC, NULL);
	return page ? page_address(mm, page) : NULL;
}

void *kmalloc_node(struct mm *mm, u64 size, gfp_t gfp, int node)
{
	/* Size 0 wraps to a large one. */
	if (unlikely(size - 1 >= KMALLOC_MAX_CACHE_BYTES || (gfp & GFP_ZONES)))
		return kmalloc_frames(mm, size, gfp, node);
	return cache_alloc(mm, &mm->kmalloc[mm->kmalloc_index[(size + 15) / 16]], gfp, node);
}

static NOINLINE void kfree_frames(struct mm *mm, struct page *page, void *object)
{
	if (page && page->state == PAGE_KMALLOC && IS_ALIGNED((uintptr_t)object, PAGE_SIZE))
		free_pages(mm, page, page->order);
	else if (object)
		report_bad_object(mm, object);
}

void kfree(struct mm *mm, void *object)
{
	struct page *page = object_page(mm, object);

	if (unlikely(!page || page->state != PAGE_SLAB))
		kfree_frames(mm, page, object);
	else
		cache_free(mm, page->owner, object);
}
