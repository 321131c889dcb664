/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's virtual address space: placement, splitting, lookup. mm/vmap.h says what
 * a tile is; mm/vmap_purge.c gives ranges back; mm/vmap_check.c proves the invariants.
 */
#include "mm/vmap.h"

#include "mm/errno.h"
#include "mm/mm.h"
#include "mm/vmap_linux.h"
#include "mm/vmap_private.h"

/* ---- allocation's side of the trees ---- */

/* The area is on the tile list. A busy tile beside it saves the search. */
static inline __attribute__((always_inline)) void insert_busy(struct vmap_space *space,
							      struct vmap_area *area)
{
	area->state = VMAP_AREA_BUSY;
	area->kind = VMAP_RESERVED;
	area->vm = NULL;
	space->nr_busy++;
	*recent_slot(space, area->va_start) = area;
	if (prev_tile(area)->state == VMAP_AREA_BUSY)
		rb_insert_after(&space->busy, &area->node, &prev_tile(area)->node, NULL);
	else if (next_tile(area)->state == VMAP_AREA_BUSY)
		rb_insert_before(&space->busy, &area->node, &next_tile(area)->node, NULL);
	else
		busy_insert(space, area);
}

/* ---- placement ---- */

/* A hole and the address in it. */
struct place {
	struct vmap_area *hole;
	u64 addr;
};

/* The lowest aligned address at or after @from at which @size bytes fit into @hole. */
static inline bool fits(struct vmap_area *hole, u64 size, u64 align, u64 from, struct place *place)
{
	u64 addr = from > hole->va_start ? from : hole->va_start;
	u64 aligned = ALIGN_UP(addr, align);

	if (aligned < addr || aligned >= hole->va_end || hole->va_end - aligned < size)
		return false;
	place->hole = hole;
	place->addr = aligned;
	return true;
}

/* The first tile of at least @length bytes in the subtree of @node, which has one. */
static inline struct vmap_area *first_of_length(struct rb_node *node, u64 length)
{
	for (;;) {
		if (subtree_max(node->left) >= length)
			node = node->left;
		else if (area_bytes(area_of(node)) >= length)
			return area_of(node);
		else
			node = node->right;
	}
}

/*
 * The tile that begins at or before @start if the request truly fits there, otherwise the first
 * one after it of at least @length >= @size bytes. One way down towards @start, then up again:
 * what lies after @start hangs off that path to the right, nearer ends first.
 */
static bool find_by_length(const struct vmap_space *space, const struct vmap_request *request,
			   u64 align, u64 length, struct place *place)
{
	u64 start = request->start, size = request->size;
	struct vmap_area *floor = NULL;
	struct rb_node *node = space->free.node, *last = NULL;

	while (node && area_of(node)->subtree_max >= size) {
		last = node;
		if (start < area_of(node)->va_start) {
			node = node->left;
		} else {
			floor = area_of(node);
			node = node->right;
		}
	}
	if (floor && fits(floor, size, align, start, place))
		return true;
	for (node = last; node; node = rb_parent(node)) {
		if (area_of(node)->va_start <= start)
			continue;
		if (area_bytes(area_of(node)) >= length)
			return fits(area_of(node), size, align, start, place);
		if (subtree_max(node->right) >= length)
			return fits(first_of_length(node->right, length), size, align, start,
				    place);
	}
	return false;
}

/* The hint's hole, if it is what find_by_length() would come to. */
static inline bool find_by_hint(const struct vmap_space *space, const struct vmap_request *request,
				u64 align, u64 length, struct place *place)
{
	struct vmap_area *hole = space->hint.hole;

	if (!hole || request->start != space->hint.start || request->size < space->hint.bytes)
		return false;
	if (area_bytes(hole) < length && hole->va_start > request->start)
		return false;
	return fits(hole, request->size, align, request->start, place);
}

/* The lowest place in the window, tile by tile: the last resort for large alignments. */
static __attribute__((noinline)) bool find_exact(const struct vmap_space *space,
						 const struct vmap_request *request,
						 struct place *place)
{
	struct rb_node *node = rb_first(&space->free);

	for (; node && area_of(node)->va_start < request->end; node = rb_next(node)) {
		if (fits(area_of(node), request->size, request->align, request->start, place))
			return true;
	}
	return false;
}

static inline bool ends_inside(const struct place *place, const struct vmap_request *request)
{
	return place->addr < request->end && request->end - place->addr >= request->size;
}

/*
 * Linux's rule: the length looked for makes room for the worst alignment, and there is no second
 * try when the tile it finds lies too high.
 */
static inline bool find_place(struct vmap_space *space, const struct vmap_request *request,
			      struct place *place)
{
	u64 align = request->align, length = request->size;

	if (align <= PAGE_SIZE)
		align = PAGE_SIZE;
	else if (__builtin_add_overflow(request->size, align - 1, &length))
		length = ~0ull;
	if (!find_by_hint(space, request, align, length, place)) {
		if (!find_by_length(space, request, align, length, place))
			return false;
		space->hint = (struct vmap_hint){place->hole, request->start, length};
	}
	return ends_inside(place, request);
}

/* ---- allocation ---- */

static inline __attribute__((always_inline)) struct vmap_area *new_area(
	struct mm *mm, const struct vmap_request *request, u64 start, u64 end)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *area = space->spare;

	if (likely(area)) {
		space->spare = area->next_lazy;
		space->nr_spare--;
	} else {
		area = kmem_cache_alloc(mm, &space->cache, request->gfp & GFP_RECLAIM_MASK,
					request->node);
		if (!area)
			return NULL;
	}
	area->va_start = start;
	area->va_end = end;
	return area;
}

/* Cuts the busy range out of the middle of @hole, which keeps what is behind it, as in Linux. */
static __attribute__((noinline)) struct vmap_area *cut_middle(struct mm *mm,
							      const struct vmap_request *request,
							      struct vmap_area *hole, u64 addr)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *area, *rest;

	area = new_area(mm, request, addr, addr + request->size);
	if (!area)
		return NULL;
	rest = new_area(mm, request, hole->va_start, addr);
	if (!rest) {
		vmap_area_put(mm, area);
		return NULL;
	}
	hole->va_start = area->va_end;
	rb_propagate(&hole->node, hole_summarise);
	list_add_tail(&rest->tile, &hole->tile);
	list_add_tail(&area->tile, &hole->tile);
	hole_insert_before(space, rest, hole);
	if (space->hint.hole == hole)
		space->hint.hole = rest;
	return area;
}

/*
 * Takes [addr, addr + size) out of its hole. At an end of the hole the hole shrinks; a hole used
 * whole becomes the area itself. NULL without memory, nothing changed.
 */
static inline __attribute__((always_inline)) struct vmap_area *cut(
	struct mm *mm, const struct vmap_request *request, const struct place *place)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *hole = place->hole, *area;
	u64 addr = place->addr, end = addr + request->size;
	bool at_start = addr == hole->va_start, at_end = end == hole->va_end;

	if (at_start && at_end) {
		if (space->hint.hole == hole)
			space->hint.hole = area_or_null(rb_next(&hole->node));
		hole_erase(space, hole);
		area = hole;
	} else if (!at_start && !at_end) {
		area = cut_middle(mm, request, hole, addr);
		if (!area)
			return NULL;
	} else {
		area = new_area(mm, request, addr, end);
		if (!area)
			return NULL;
		if (at_start) {
			hole->va_start = end;
			list_add_tail(&area->tile, &hole->tile);
		} else {
			hole->va_end = addr;
			list_add(&area->tile, &hole->tile);
		}
		rb_propagate(&hole->node, hole_summarise);
	}
	insert_busy(space, area);
	return area;
}

void vmap_insert_busy(struct vmap_space *space, struct vmap_area *area)
{
	insert_busy(space, area);
}

struct vmap_area *vmap_cut(struct mm *mm, const struct vmap_request *request,
			   struct vmap_area *hole, u64 addr)
{
	const struct place place = {hole, addr};

	return cut(mm, request, &place);
}

/* Nothing was found: once more after a purge, and then without Linux's short cut. */
static __attribute__((noinline)) bool find_harder(struct mm *mm, const struct vmap_request *request,
						  struct place *place)
{
	struct vmap_space *space = &mm->vmap;

	if (space->mode != VMAP_MANUAL) {
		spin_unlock(&space->lock);
		vmap_purge(mm);
		spin_lock(&space->lock);
		if (find_place(space, request, place))
			return true;
	}
	if (request->align <= PAGE_SIZE || (request->flags & VMAP_LINUX_SEARCH))
		return false;
	return find_exact(space, request, place) && ends_inside(place, request);
}

int vmap_alloc(struct mm *mm, const struct vmap_request *request, struct vmap_area **area_out)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *area;
	struct place place;
	int err = 0;

	if (request->size == 0 || !IS_ALIGNED(request->size, PAGE_SIZE) ||
	    !is_power_of_2(request->align) || request->start >= request->end)
		return -EINVAL;
	if (fault_hit(mm, FAULT_AREA))
		return -ENOSPC;
	if (unlikely(space->rules.order))
		return vmap_alloc_linux(mm, request, area_out);
	spin_lock(&space->lock);
	if (likely(find_place(space, request, &place)) || find_harder(mm, request, &place)) {
		area = cut(mm, request, &place);
		if (area)
			*area_out = area;
		else
			err = -ENOMEM;
	} else {
		err = -ENOSPC;
	}
	spin_unlock(&space->lock);
	return err;
}

/* ---- lookup ---- */

static inline struct vmap_area *find_busy(struct vmap_space *space, u64 addr)
{
	struct vmap_area *recent = *recent_slot(space, addr);
	struct rb_node *node = space->busy.node;

	lockdep_assert_held(&space->lock);
	if (recent && recent->va_start == addr)
		return recent;

	while (node && area_of(node)->va_start != addr)
		node = addr < area_of(node)->va_start ? node->left : node->right;
	return node ? area_of(node) : NULL;
}

static struct vmap_area *find_busy_containing(const struct vmap_space *space, u64 addr)
{
	struct rb_node *node = space->busy.node;

	lockdep_assert_held(&space->lock);
	while (node) {
		if (addr < area_of(node)->va_start)
			node = node->left;
		else if (addr >= area_of(node)->va_end)
			node = node->right;
		else
			return area_of(node);
	}
	return NULL;
}

struct vmap_area *vmap_find(struct mm *mm, u64 addr)
{
	struct vmap_area *area;

	spin_lock(&mm->vmap.lock);
	area = find_busy(&mm->vmap, addr);
	spin_unlock(&mm->vmap.lock);
	return area;
}

struct vmap_area *vmap_find_containing(struct mm *mm, u64 addr)
{
	struct vmap_area *area;

	spin_lock(&mm->vmap.lock);
	area = find_busy_containing(&mm->vmap, addr);
	spin_unlock(&mm->vmap.lock);
	return area;
}

struct vm_struct *vmap_find_vm(struct mm *mm, u64 addr)
{
	struct vmap_area *area;
	struct vm_struct *vm = NULL;

	spin_lock(&mm->vmap.lock);
	area = find_busy_containing(&mm->vmap, addr);
	if (area)
		vm = smp_load_acquire(&area->vm);
	spin_unlock(&mm->vmap.lock);
	return vm;
}

int vmap_claim(struct mm *mm, u64 addr, enum vmap_kind kind, struct vmap_area **area_out,
	       struct vm_struct **vm_out)
{
	struct vmap_area *area;
	struct vm_struct *vm;
	int err = -ENOENT;

	spin_lock(&mm->vmap.lock);
	area = find_busy(&mm->vmap, addr);
	vm = area ? smp_load_acquire(&area->vm) : NULL;
	if (vm && area->kind != kind) {
		err = -EBUSY;
	} else if (vm) {
		area->vm = NULL;
		*area_out = area;
		*vm_out = vm;
		err = 0;
	}
	spin_unlock(&mm->vmap.lock);
	return err;
}

void vmap_trim(struct mm *mm)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *area;

	if (mm_refuse_interrupt(mm, "vmap_trim"))
		return;
	spin_lock(&space->lock);
	while ((area = space->spare)) {
		space->spare = area->next_lazy;
		space->nr_spare--;
		kmem_cache_free(mm, &space->cache, area);
	}
	spin_unlock(&space->lock);
}

void vmap_set_mode(struct mm *mm, enum vmap_mode mode)
{
	if (mm_refuse_interrupt(mm, "vmap_set_mode"))
		return;
	spin_lock(&mm->vmap.lock);
	WRITE_ONCE(mm->vmap.mode, mode);
	spin_unlock(&mm->vmap.lock);
}

int vmap_init(struct mm *mm)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *all;
	u32 log = 0;

	list_init(&space->tiles);
	kmem_cache_init(&space->cache, "vmap_area", sizeof(struct vmap_area));
	all = kmem_cache_alloc(mm, &space->cache, GFP_KERNEL, NUMA_NO_NODE);
	if (!all)
		return -ENOMEM;
	while (mm->nr_cpus >> log)
		log++;
	space->lazy_max_pages = log * (32ull << (20 - PAGE_SHIFT));
	all->va_start = VMAP_FIRST;
	all->va_end = VMAP_END;
	list_add(&all->tile, &space->tiles);
	hole_insert(space, all);
	return 0;
}
