/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Areas by hand: reserving, filling, emptying and giving up ranges.
 *
 * Everything that changes an area's leaves claims it first (vmap_claim()) and publishes it again
 * afterwards, so it has one user at a time without a lock held over the page tables.
 */
#include "mm/vm_area.h"

#include "mm/errno.h"
#include "mm/process.h"
#include "mm/vmalloc_private.h"
#include "mm/vmap_private.h"

/* ---- reserving ---- */

/* An I/O area of 2^n pages is aligned to itself, up to a limit, so that large leaves can map it. */
static u64 ioremap_align(u64 bytes)
{
	u64 align = PAGE_SIZE;

	while (align < bytes && align < 1ull << IOREMAP_MAX_ORDER)
		align <<= 1;
	return align;
}

struct vm_struct *vm_area_reserve(struct mm *mm, const struct vmalloc_request *request,
				  int *err_out)
{
	u64 nr_pages = request_pages(request), align = request->align;

	/* The guard must not wrap either. */
	if (nr_pages == 0 || request->size > VM_SIZE_MAX) {
		*err_out = -EINVAL;
		return NULL;
	}
	if (request->flags & VM_IOREMAP && ioremap_align(nr_pages << PAGE_SHIFT) > align)
		align = ioremap_align(nr_pages << PAGE_SHIFT);
	return vm_area_make(mm, request, align, nr_pages, err_out);
}

int get_vm_area_node(struct mm *mm, const struct vmalloc_request *request, u64 *addr_out)
{
	struct vm_struct *vm;
	int err;

	if (mm_refuse_interrupt(mm, "get_vm_area_node"))
		return -EPERM;
	vm = vm_area_reserve(mm, request, &err);
	if (!vm)
		return err;
	*addr_out = vm->addr;
	vmap_publish(mm, vm->area, vm, VMAP_RESERVED);
	return 0;
}

int get_vm_area_window(struct mm *mm, u64 size, u64 flags, u64 start, u64 end, u64 *addr_out)
{
	const struct vmalloc_request request = {
		.size = size,
		.align = 1,
		.start = start,
		.end = end,
		.flags = flags,
		.caller = (u64)(uintptr_t)__builtin_return_address(0),
		.gfp = GFP_KERNEL,
		.node = NUMA_NO_NODE,
	};

	if (mm_refuse_interrupt(mm, "get_vm_area_window"))
		return -EPERM;
	return get_vm_area_node(mm, &request, addr_out);
}

int get_vm_area(struct mm *mm, u64 size, u64 flags, u64 *addr_out)
{
	if (mm_refuse_interrupt(mm, "get_vm_area"))
		return -EPERM;
	return get_vm_area_window(mm, size, flags, VMALLOC_START, VMALLOC_END, addr_out);
}

int vm_area_copy(struct mm *mm, u64 addr, struct vm_struct *copy_out)
{
	const struct vmap_area *area;
	const struct vm_struct *vm = NULL;

	if (mm_refuse_interrupt(mm, "vm_area_copy"))
		return -EPERM;
	spin_lock(&mm->vmap.lock);
	area = vmap_busy_from(&mm->vmap, addr);
	if (area && area->va_start <= addr)
		vm = smp_load_acquire(&area->vm);
	if (vm)
		*copy_out = *vm;
	spin_unlock(&mm->vmap.lock);
	return vm ? 0 : -ENOENT;
}

/* ---- giving up ---- */

/* Linux 2.6.23's %p: sixteen digits. */
int vm_report_free_at(struct mm *mm, const char *file, int line, const char *what, u64 addr,
		      const char *text, int err)
{
	mm_log(mm, LOG_ERR, "Trying to %s (%016llx)", what, (unsigned long long)addr);
	mm_warn_at(mm, file, line, text);
	return err;
}

int free_vm_area(struct mm *mm, u64 addr)
{
	struct vmap_area *area;
	struct vm_struct *vm;
	int err;

	if (mm_refuse_interrupt(mm, "free_vm_area"))
		return -EPERM;
	if (addr == 0 || !IS_ALIGNED(addr, PAGE_SIZE))
		return vm_report_free(mm, "free bad address", addr,
				      "free_vm_area() of a bad address", -EINVAL);
	err = vmap_claim(mm, addr, VMAP_RESERVED, &area, &vm);
	if (err == -EBUSY)
		return vm_report_free(mm, "free vm area with pages", addr,
				      "free_vm_area() of a vmalloc or vmap area", err);
	if (err)
		return vm_report_free(mm, "free nonexistent vm area", addr,
				      "free_vm_area() of a nonexistent area", err);
	vm_area_destroy(mm, area, vm);
	return 0;
}

/* Claims the area at @addr if it has frames of its own only when @frames is set. */
static int claim_any(struct mm *mm, u64 addr, bool frames, struct vmap_area **area_out,
		     struct vm_struct **vm_out)
{
	int err = vmap_claim(mm, addr, VMAP_RESERVED, area_out, vm_out);

	if (err == -EBUSY)
		err = vmap_claim(mm, addr, VMAP_MAPPED, area_out, vm_out);
	if (err == -EBUSY && frames)
		err = vmap_claim(mm, addr, VMAP_FRAMES, area_out, vm_out);
	return err;
}

int remove_vm_area(struct mm *mm, u64 addr, struct vm_struct **vm_out)
{
	struct vmap_area *area;
	struct vm_struct *vm;
	u64 end;
	int err;

	if (mm_refuse_interrupt(mm, "remove_vm_area"))
		return -EPERM;
	if (addr == 0 || !IS_ALIGNED(addr, PAGE_SIZE))
		return -EINVAL;
	err = claim_any(mm, addr, true, &area, &vm);
	if (err)
		return err;
	end = addr + vm_payload_bytes(vm);
	mm->ops->flush_cache_vunmap(mm->arch, addr, end);
	pt_unmap(mm, &mm->pt, addr, end);
	vmap_free(mm, area);
	vm->size = end - addr;
	vm->area = NULL;
	*vm_out = vm;
	return 0;
}

/* ---- filling and emptying ---- */

/*
 * Tables for more pages than the machine has would take its memory, and stay: so such an area is
 * refused before anything is made.
 */
int alloc_vm_area(struct mm *mm, u64 size, u64 *addr_out)
{
	const struct vmalloc_request request = {
		.size = size,
		.align = 1,
		.start = VMALLOC_START,
		.end = VMALLOC_END,
		.flags = VM_IOREMAP,
		.caller = (u64)(uintptr_t)__builtin_return_address(0),
		.gfp = GFP_KERNEL,
		.node = NUMA_NO_NODE,
	};
	struct vm_struct *vm;
	int err;

	if (mm_refuse_interrupt(mm, "alloc_vm_area"))
		return -EPERM;
	if (size <= VM_SIZE_MAX && request_pages(&request) > mm->total_pages)
		return -ENOMEM;
	vm = vm_area_reserve(mm, &request, &err);
	if (!vm)
		return err;
	err = pt_prepare(mm, &mm->pt, vm->addr, vm->addr + vm_payload_bytes(vm), 1);
	if (err) {
		vm_area_destroy(mm, vm->area, vm);
		return err;
	}
	vmalloc_sync_all(mm);
	*addr_out = vm->addr;
	vmap_publish(mm, vm->area, vm, VMAP_RESERVED);
	return 0;
}

/*
 * Maps @pages[0..@nr) at @addr, in an area that is the caller's alone. Nobody may reach a frame of
 * a mapping that then fails, because the frames go back to their owner and the area may live on
 * without a flush: so a leaf is written only when nothing is left that can fail.
 */
static int map_area(struct mm *mm, u64 addr, struct page *const *pages, u64 nr, pgprot_t prot)
{
	u64 end = addr + (nr << PAGE_SHIFT), i = 0;
	int err = -EBUSY;

	while (i < nr && pages[i])
		i++;
	if (i != nr)
		err = -EINVAL;
	else if (pt_expect_clear(mm, &mm->pt, addr, end))
		err = pt_map_pages(mm, &mm->pt, addr, pages, nr, prot);
	/* After an error too, as the seed does it. */
	mm->ops->flush_cache_vmap(mm->arch, addr, end);
	return err;
}

int map_vm_area(struct mm *mm, u64 addr, struct page *const *pages, u64 nr, pgprot_t prot)
{
	struct vmap_area *area;
	struct vm_struct *vm;
	int err;

	if (mm_refuse_interrupt(mm, "map_vm_area"))
		return -EPERM;
	if (!prot_is_data(prot))
		return -EINVAL;
	err = vmap_claim(mm, addr, VMAP_RESERVED, &area, &vm);
	if (err)
		return err;
	if (nr == vm_payload_bytes(vm) >> PAGE_SHIFT)
		err = map_area(mm, addr, pages, nr, prot);
	else
		err = -EINVAL;
	if (!err) {
		vm->flags |= VM_MAP;
		vm->prot = prot;
	}
	vmap_publish(mm, area, vm, VMAP_RESERVED);
	return err;
}

/* Clears and flushes [addr, end) of an area nobody else can find. */
static void unmap_flush(struct mm *mm, u64 addr, u64 end)
{
	mm->ops->flush_cache_vunmap(mm->arch, addr, end);
	pt_unmap(mm, &mm->pt, addr, end);
	mm_flush_tlb(mm, addr, end);
}

int unmap_kernel_range(struct mm *mm, u64 addr, u64 size)
{
	struct vmap_area *area;
	struct vm_struct *vm;
	u64 start, end = addr + size;
	enum vmap_kind kind;
	int err;

	if (mm_refuse_interrupt(mm, "unmap_kernel_range"))
		return -EPERM;
	if (end <= addr || !IS_ALIGNED(addr | size, PAGE_SIZE)) {
		mm_warn(mm, "unmap_kernel_range() of a range that is none");
		return -EINVAL;
	}
	spin_lock(&mm->vmap.lock);
	area = vmap_busy_from(&mm->vmap, addr);
	start = area ? area->va_start : 0;
	spin_unlock(&mm->vmap.lock);
	if (!area || start > addr)
		return -ENOENT;
	err = claim_any(mm, start, false, &area, &vm);
	if (err)
		return err;
	kind = area->kind;
	if (end <= area->va_end)
		unmap_flush(mm, addr, end);
	else
		err = -ENOENT;
	vmap_publish(mm, area, vm, kind);
	return err;
}

int unmap_vm_area(struct mm *mm, u64 addr)
{
	struct vmap_area *area;
	struct vm_struct *vm;
	int err;

	if (mm_refuse_interrupt(mm, "unmap_vm_area"))
		return -EPERM;
	err = claim_any(mm, addr, false, &area, &vm);
	if (err)
		return err;
	unmap_flush(mm, addr, addr + vm_payload_bytes(vm));
	vmap_publish(mm, area, vm, area->kind);
	return 0;
}

/* ---- vmap ---- */

/* Whether @page is a frame that its holder can give to an area. */
static bool can_be_given(const struct page *page)
{
	return page && (page->state == PAGE_VMALLOC || page->state == PAGE_OTHER) &&
	       page->order == 0 && page->refcount > 0;
}

static bool vmap_is_sane(struct page *const *pages, u64 count, u64 flags, pgprot_t prot)
{
	if (count == 0 || !pages || flags & ~VMAP_FLAGS || !prot_is_data(prot))
		return false;
	for (u64 i = 0; i < count; i++) {
		if (!pages[i] || (flags & VM_MAP_PUT_PAGES && !can_be_given(pages[i])))
			return false;
	}
	return true;
}

/* Makes the frames and the array that lists them the area's own. */
static void give_pages(struct vm_struct *vm, struct page **pages, u64 count)
{
	for (u64 i = 0; i < count; i++) {
		pages[i]->state = PAGE_VMALLOC;
		pages[i]->owner = vm;
	}
	vm->pages = pages;
	vm->nr_pages = count;
	vm->array = VM_ARRAY_KMALLOC;
}

int vmap(struct mm *mm, struct page **pages, u64 count, u64 flags, pgprot_t prot, u64 *addr_out)
{
	const struct vmalloc_request request = {
		.size = count << PAGE_SHIFT,
		.align = 1,
		.start = VMALLOC_START,
		.end = VMALLOC_END,
		.prot = prot,
		.flags = flags | VM_MAP,
		.caller = (u64)(uintptr_t)__builtin_return_address(0),
		.gfp = GFP_KERNEL,
		.node = NUMA_NO_NODE,
	};
	bool give = flags & VM_MAP_PUT_PAGES;
	struct vm_struct *vm;
	int err;

	if (mm_refuse_interrupt(mm, "vmap"))
		return -EPERM;
	if (count > mm->total_pages)
		return -ENOMEM;
	if (!vmap_is_sane(pages, count, flags, prot))
		return -EINVAL;
	vm = vm_area_reserve(mm, &request, &err);
	if (!vm)
		return err;
	err = map_area(mm, vm->addr, pages, count, prot);
	if (err) {
		/* What was in the way is not this area's. */
		vmap_free(mm, vm->area);
		kfree(mm, vm);
		return err;
	}
	if (give)
		give_pages(vm, pages, count);
	*addr_out = vm->addr;
	vmap_publish(mm, vm->area, vm, give ? VMAP_FRAMES : VMAP_MAPPED);
	return 0;
}

int vunmap(struct mm *mm, u64 addr)
{
	struct vmap_area *area;
	struct vm_struct *vm;
	int err;

	if (mm_refuse_interrupt(mm, "vunmap"))
		return -EPERM;
	if (addr == 0)
		return 0;
	if (!IS_ALIGNED(addr, PAGE_SIZE))
		return vm_report_free(mm, "vfree() bad address", addr, "vunmap() of a bad address",
				      -EINVAL);
	err = vmap_claim(mm, addr, VMAP_MAPPED, &area, &vm);
	if (err == -EBUSY)
		return vm_report_free(mm, "vunmap() vm area that vmap() did not make", addr,
				      "vunmap() of an area that is not vmap()'s", err);
	if (err)
		return vm_report_free(mm, "vfree() nonexistent vm area", addr,
				      "vunmap() of a nonexistent area", err);
	vm_area_destroy(mm, area, vm);
	return 0;
}
