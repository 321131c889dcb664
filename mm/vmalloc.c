/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmalloc: areas of the address space with frames in them.
 *
 * One allocation, in Linux's order, so that nested ones land where Linux's do: bookkeeping, range,
 * page array (mm/vm_array.c), frames and leaves chunk by chunk of the array, publication. Until
 * the last step nobody can find the area, so an error simply takes the steps back.
 *
 * One free: claim (only one caller gets the area), clear the leaves, give the range back, then
 * the frames. The range stays busy until its leaves are clear; it can be handed out again only
 * after a flush (mm/vmap.h).
 */
#include "mm/vmalloc.h"

#include "mm/errno.h"
#include "mm/mm.h"
#include "mm/vm_area.h"
#include "mm/vm_array.h"
#include "mm/vmalloc_private.h"

#define COLD          __attribute__((noinline, cold))
#define ALWAYS_INLINE inline __attribute__((always_inline))

static COLD void report_alloc(struct mm *mm, const struct vmalloc_request *request,
			      const char *what)
{
	if (!(request->gfp & __GFP_NOWARN) && mm_printk_ratelimit(mm))
		mm_log(mm, LOG_WARNING, "vmalloc error: size %lu, %s", (unsigned long)request->size,
		       what);
}

static COLD void report_range(struct mm *mm, const struct vmalloc_request *request, u64 size)
{
	if (!(request->gfp & __GFP_NOWARN) && mm_printk_ratelimit(mm))
		mm_log(mm, LOG_WARNING,
		       "vmap allocation for size %lu failed: use vmalloc=<size> to increase size",
		       (unsigned long)size);
}

static COLD int undo_bookkeeping(struct mm *mm, const struct vmalloc_request *request,
				 struct vm_struct *vm, u64 size, int err)
{
	/* Nothing is there for a node that is not, which the bookkeeping, asked for first, finds.
	 */
	if (request->node >= (int)mm->nr_nodes)
		err = -EINVAL;
	else if (!vm)
		report_alloc(mm, request, "vm_struct allocation failed");
	else if (err != -EINVAL)
		report_range(mm, request, size);
	kfree(mm, vm);
	return err;
}

/*
 * The bookkeeping for @nr frames (0: none of its own) and the range, which is @nr_pages and the
 * guard. Returns NULL after an error, which is reported and then in *@err_out: -EINVAL, -ENOMEM,
 * -ENOSPC.
 */
static ALWAYS_INLINE struct vm_struct *make_area(struct mm *mm,
						 const struct vmalloc_request *request, u64 align,
						 u64 nr_pages, u64 nr, int *err_out)
{
	struct vmap_request range = {
		.size = (nr_pages + (request->flags & VM_NO_GUARD ? 0 : 1)) << PAGE_SHIFT,
		.align = align,
		.start = request->start,
		.end = request->end,
		.gfp = request->gfp,
		.node = request->node,
		.flags = request->flags & VM_LINUX_SEARCH ? VMAP_LINUX_SEARCH : 0,
	};
	struct vm_struct *vm;
	int err = -ENOMEM;

	vm = kmalloc_node(mm, vm_struct_bytes(nr), request->gfp & GFP_RECLAIM_MASK, request->node);
	if (likely(vm))
		err = vmap_alloc(mm, &range, &vm->area);
	if (unlikely(err)) {
		*err_out = undo_bookkeeping(mm, request, vm, range.size, err);
		return NULL;
	}
	vm->addr = vm->area->va_start;
	vm->size = range.size;
	vm->flags = request->flags & ~VM_VPAGES;
	vm->pages = vm->inline_pages;
	vm->nr_pages = nr;
	vm->phys_addr = 0;
	vm->caller = request->caller;
	vm->prot = request->prot;
	vm->gfp = request->gfp;
	vm->array = VM_ARRAY_INLINE;
	return vm;
}

static __attribute__((noinline)) void free_outside(struct mm *mm, struct vm_struct *vm, u64 nr)
{
	struct page **pages;
	u64 count;

	for (u64 first = 0; first < nr; first += count) {
		pages = vm_pages_chunk(mm, vm, first, &count);
		if (count > nr - first)
			count = nr - first;
		free_pages_bulk(mm, count, pages);
	}
	vm_array_free(mm, vm);
}

/* Gives back the first @nr frames of @vm and the array that is not inline. */
static inline void free_frames(struct mm *mm, struct vm_struct *vm, u64 nr)
{
	if (unlikely(vm->array != VM_ARRAY_INLINE))
		free_outside(mm, vm, nr);
	else if (nr == 1)
		free_pages(mm, vm->inline_pages[0], 0);
	else
		free_pages_bulk(mm, nr, vm->inline_pages);
}

/*
 * Gives everything of an area back that nobody can find (any more): the leaves of its first @bytes,
 * range, the first @nr frames, page array, bookkeeping. Leaves and range go first, and in this
 * order: with the range in hand nobody else maps there, and in VMAP_EAGER mode no frame is free
 * before its flush.
 */
static ALWAYS_INLINE void destroy_area(struct mm *mm, struct vmap_area *area, struct vm_struct *vm,
				       u64 nr, u64 bytes)
{
	u64 addr = vm->addr, end = addr + bytes;

	mm->ops->flush_cache_vunmap(mm->arch, addr, end);
	(nr ? pt_unmap_quick : pt_unmap)(mm, &mm->pt, addr, end);
	vmap_free(mm, area);
	free_frames(mm, vm, nr);
	kfree(mm, vm);
}

void vm_area_destroy(struct mm *mm, struct vmap_area *area, struct vm_struct *vm)
{
	destroy_area(mm, area, vm, 0, vm_payload_bytes(vm));
}

struct vm_struct *vm_area_make(struct mm *mm, const struct vmalloc_request *request, u64 align,
			       u64 nr_pages, int *err_out)
{
	return make_area(mm, request, align, nr_pages, 0, err_out);
}

void vm_struct_free(struct mm *mm, struct vm_struct *vm)
{
	if (!vm)
		return;
	free_frames(mm, vm, vm->nr_pages);
	kfree(mm, vm);
}

/* Only the first @nr_mapped pages: a leaf that was in the way is not this area's. */
static COLD int undo_area(struct mm *mm, const struct vmalloc_request *request,
			  struct vm_struct *vm, u64 nr_got, u64 nr_mapped, const char *what,
			  int err)
{
	report_alloc(mm, request, what);
	if (nr_mapped) {
		destroy_area(mm, vm->area, vm, nr_got, nr_mapped << PAGE_SHIFT);
		return err;
	}
	vmap_free(mm, vm->area);
	free_frames(mm, vm, nr_got);
	kfree(mm, vm);
	return err;
}

/*
 * Leaves for @pages could not be made, because of @err. Tables that must be there are asked for
 * once more, by the request's own rules; what is in the way is reported. Returns 0 or the error.
 */
static COLD int map_again(struct mm *mm, const struct vmalloc_request *request,
			  const struct vm_struct *vm, u64 start, struct page **pages, u64 nr,
			  int err)
{
	u64 end = start + (nr << PAGE_SHIFT);

	if (err == -ENOMEM && request->gfp & __GFP_NOFAIL) {
		err = pt_prepare_gfp(mm, &mm->pt, start, end, 1, request->gfp);
		if (!err)
			err = pt_map_pages(mm, &mm->pt, start, pages, nr, vm->prot);
	}
	if (err == -EBUSY)
		pt_expect_clear(mm, &mm->pt, start, end);
	/* After an error too, as the seed does it. */
	if (err)
		mm->ops->flush_cache_vmap(mm->arch, vm->addr,
					  vm->addr + (vm->nr_pages << PAGE_SHIFT));
	return err;
}

/*
 * Allocates @nr frames into @pages, part of @vm's page array from entry @first on, and maps them.
 * After an error the area and all before @first are gone, too.
 */
static inline int fill_part(struct mm *mm, const struct vmalloc_request *request,
			    struct vm_struct *vm, u64 first, struct page **pages, u64 nr)
{
	gfp_t gfp = request->gfp | __GFP_NOWARN;
	u64 start = vm->addr + (first << PAGE_SHIFT), got;
	int err;

	if (nr == 1) {
		pages[0] = alloc_pages(mm, gfp, 0, request->node, PAGE_VMALLOC, vm);
		got = pages[0] != NULL;
	} else {
		got = alloc_pages_bulk(mm, gfp, request->node, PAGE_VMALLOC, vm, nr, pages);
	}
	if (unlikely(got != nr))
		return undo_area(mm, request, vm, first + got, first, "failed to allocate pages",
				 -ENOMEM);
	err = pt_map_pages(mm, &mm->pt, start, pages, nr, vm->prot);
	if (unlikely(err))
		err = map_again(mm, request, vm, start, pages, nr, err);
	if (unlikely(err))
		return undo_area(mm, request, vm, first + nr, first, "failed to map pages", err);
	return 0;
}

/* All tables are made before the first leaf is written. */
__attribute__((noinline)) int vm_fill_outside(struct mm *mm, const struct vmalloc_request *request,
					      struct vm_struct *vm)
{
	struct page **pages;
	u64 count;
	int err = vm_array_alloc(mm, vm, request);

	if (err)
		return undo_area(mm, request, vm, 0, 0, "failed to allocate page array", err);
	err = pt_prepare_gfp(mm, &mm->pt, vm->addr, vm->addr + (vm->nr_pages << PAGE_SHIFT), 1,
			     request->gfp);
	if (err == -EBUSY)
		pt_expect_clear(mm, &mm->pt, vm->addr, vm->addr + (vm->nr_pages << PAGE_SHIFT));
	if (err)
		return undo_area(mm, request, vm, 0, 0, "failed to map pages", err);
	for (u64 first = 0; first < vm->nr_pages; first += count) {
		pages = vm_pages_chunk(mm, vm, first, &count);
		err = fill_part(mm, request, vm, first, pages, count);
		if (err)
			return err;
	}
	return 0;
}

/* A size of 0, one that wraps, or one of more pages than there are. */
static COLD int refuse_size(struct mm *mm, const struct vmalloc_request *request)
{
	if (request_pages(request) == 0)
		return -EINVAL;
	report_alloc(mm, request, "exceeds total pages");
	return -ENOMEM;
}

/* vmalloc_node_range() of an area of @kind. */
static ALWAYS_INLINE int allocate(struct mm *mm, const struct vmalloc_request *request,
				  enum vmap_kind kind, u64 *addr_out)
{
	u64 nr = request_pages(request);
	struct vm_struct *vm;
	int err;

	if (unlikely(nr - 1 >= mm->total_pages))
		return refuse_size(mm, request);
	vm = make_area(mm, request, request->align, nr, nr, &err);
	if (unlikely(!vm))
		return err;
	vm->flags |= VM_ALLOC;
	if (likely(nr <= VM_INLINE_PAGES))
		err = fill_part(mm, request, vm, 0, vm->inline_pages, nr);
	else
		err = vm_fill_outside(mm, request, vm);
	if (unlikely(err))
		return err;
	*addr_out = vm->addr;
	mm->ops->flush_cache_vmap(mm->arch, vm->addr, vm->addr + (nr << PAGE_SHIFT));
	vmap_publish(mm, vm->area, vm, kind);
	return 0;
}

int vmalloc_node_range(struct mm *mm, const struct vmalloc_request *request, u64 *addr_out)
{
	if (mm_refuse_interrupt(mm, "vmalloc_node_range"))
		return -EPERM;
	return allocate(mm, request, VMAP_FRAMES, addr_out);
}

/* ---- page arrays that are areas themselves ---- */

COLD int vm_nested_alloc(struct mm *mm, const struct vmalloc_request *request, u64 *addr_out)
{
	return allocate(mm, request, VMAP_ARRAY, addr_out);
}

COLD void vm_nested_free(struct mm *mm, u64 addr)
{
	struct vmap_area *area;
	struct vm_struct *vm;

	if (vmap_claim(mm, addr, VMAP_ARRAY, &area, &vm))
		mm_panic(mm, "a page array is not an area");
	destroy_area(mm, area, vm, vm->nr_pages, vm_payload_bytes(vm));
}

/* ---- freeing ---- */

int vfree(struct mm *mm, u64 addr)
{
	struct vmap_area *area;
	struct vm_struct *vm;
	int err;

	if (mm_refuse_interrupt(mm, "vfree"))
		return -EPERM;
	if (unlikely(addr == 0))
		return 0;
	if (unlikely(!IS_ALIGNED(addr, PAGE_SIZE)))
		return vm_report_free(mm, "vfree() bad address", addr, "vfree() of a bad address",
				      -EINVAL);
	err = vmap_claim(mm, addr, VMAP_FRAMES, &area, &vm);
	if (unlikely(err == -EBUSY))
		return vm_report_free(mm, "vfree() vm area without pages of its own", addr,
				      "vfree() of an area that is not vmalloc()'s", err);
	if (unlikely(err))
		return vm_report_free(mm, "vfree() nonexistent vm area", addr,
				      "vfree() of a nonexistent area", err);
	destroy_area(mm, area, vm, vm->nr_pages, vm_payload_bytes(vm));
	return 0;
}

struct vm_struct *find_vm_area(struct mm *mm, u64 addr)
{
	if (mm_refuse_interrupt(mm, "find_vm_area"))
		return NULL;
	return vmap_find_vm(mm, addr);
}

struct page *vmalloc_to_page(struct mm *mm, u64 addr)
{
	u64 phys, section;

	if (!pt_translate(mm, &mm->pt, addr, &phys))
		return NULL;
	section = phys >> SECTION_SHIFT;
	if (section >= MAX_SECTIONS || !smp_load_acquire(&mm->section_online[section]))
		return NULL;
	return pfn_to_page(mm, phys >> PAGE_SHIFT);
}
