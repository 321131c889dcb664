/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes: PML4s that share the kernel's half, user ranges, frames shown in them.
 *
 * Unmapping a range takes two passes over its leaves with one flush between: the first makes them
 * not present and keeps their addresses, the second, when no TLB knows them any more, drops the
 * references. So no frame is free while it can be reached, and no list is needed.
 */
#include "mm/process.h"

#include "mm/errno.h"
#include "mm/mm.h"
#include "mm/string.h"
#include "mm/vmalloc_private.h"
#include "mm/vmap_private.h"

#define VMA_FLAGS \
	(VM_READ | VM_WRITE | VM_EXEC | VM_SHARED | VM_DONTEXPAND | VM_DONTDUMP | VM_MIXEDMAP)

/* What the calls here add. */
#define VMA_FLAGS_MADE (VMA_FLAGS | VM_PFNMAP)

#define FIRST_KERNEL_ENTRY (X86_TABLE_ENTRIES / 2)

static u64 *root_of(const struct mm *mm, const struct page_table *pt)
{
	return phys_to_virt(mm, pt->root_phys);
}

static inline struct page *entry_page(const struct mm *mm, u64 entry)
{
	return pfn_to_page(mm, (entry & X86_PTE_ADDR_MASK) >> PAGE_SHIFT);
}

/* ---- processes ---- */

/* The kernel's entries that @process does not have. process_list.lock is held. */
static void copy_kernel_half(struct mm *mm, struct process *process)
{
	const u64 *from = root_of(mm, &mm->pt);
	u64 *to = root_of(mm, &process->pt);

	lockdep_assert_held(&mm->processes.lock);
	for (u32 i = FIRST_KERNEL_ENTRY; i < X86_TABLE_ENTRIES; i++) {
		u64 entry = smp_load_acquire(&from[i]);

		if (to[i] != entry)
			smp_store_release(&to[i], entry);
	}
}

/* Makes @process, which is ready, one of those that can be found, and the caller's. */
static void link_process(struct mm *mm, struct process *process)
{
	lockdep_assert_held(&mm->processes.lock);
	copy_kernel_half(mm, process);
	process->id = ++mm->processes.last_id;
	process->claimed = 1;
	mm->processes.nr++;
	list_add_tail(&process->link, &mm->processes.head);
}

static void unlink_process(struct mm *mm, struct process *process)
{
	lockdep_assert_held(&mm->processes.lock);
	list_del(&process->link);
	mm->processes.nr--;
}

int process_create(struct mm *mm, struct process **process_out)
{
	struct process *process;
	struct page *root = NULL;

	if (mm_refuse_interrupt(mm, "process_create"))
		return -EPERM;
	process = kmalloc_node(mm, sizeof(*process), GFP_KERNEL | __GFP_ZERO, NUMA_NO_NODE);
	if (!process)
		return -ENOMEM;
	if (!fault_hit(mm, FAULT_TABLE))
		root = alloc_pages(mm, GFP_KERNEL | __GFP_ZERO, 0, NUMA_NO_NODE, PAGE_TABLE,
				   &process->pt);
	if (!root) {
		kfree(mm, process);
		return -ENOMEM;
	}
	root->index = 4;
	process->pt.root_phys = page_to_phys(mm, root);
	process->pt.nr_tables = 1;
	process->pt.user_flag = X86_PTE_US;
	list_init(&process->vmas);
	spin_lock(&mm->processes.lock);
	link_process(mm, process);
	spin_unlock(&mm->processes.lock);
	*process_out = process;
	return 0;
}

/* process_list.lock is held. */
static struct process *find_process(struct mm *mm, u64 id)
{
	struct process *process;

	lockdep_assert_held(&mm->processes.lock);
	list_for_each_entry (process, &mm->processes.head, link) {
		if (process->id == id)
			return process;
	}
	return NULL;
}

int process_claim(struct mm *mm, u64 id, struct process **process_out)
{
	struct process *process;
	int err = -ESRCH;

	if (mm_refuse_interrupt(mm, "process_claim"))
		return -EPERM;
	spin_lock(&mm->processes.lock);
	process = find_process(mm, id);
	if (process)
		err = process->claimed ? -EBUSY : 0;
	if (!err) {
		process->claimed = 1;
		*process_out = process;
	}
	spin_unlock(&mm->processes.lock);
	return err;
}

void process_release(struct mm *mm, struct process *process)
{
	spin_lock(&mm->processes.lock);
	process->claimed = 0;
	spin_unlock(&mm->processes.lock);
}

void process_destroy(struct mm *mm, struct process *process)
{
	struct vm_area_struct *vma, *following;

	if (mm_refuse_interrupt(mm, "process_destroy"))
		return;
	list_for_each_entry_safe (vma, following, &process->vmas, link)
		vma_destroy(mm, vma);
	spin_lock(&mm->processes.lock);
	unlink_process(mm, process);
	spin_unlock(&mm->processes.lock);
	pt_free_lower_half(mm, &process->pt);
	free_pages(mm, pfn_to_page(mm, process->pt.root_phys >> PAGE_SHIFT), 0);
	kfree(mm, process);
}

void vmalloc_sync_all(struct mm *mm)
{
	struct process *process;

	if (mm_refuse_interrupt(mm, "vmalloc_sync_all"))
		return;
	spin_lock(&mm->processes.lock);
	list_for_each_entry (process, &mm->processes.head, link)
		copy_kernel_half(mm, process);
	spin_unlock(&mm->processes.lock);
}

/* ---- user ranges ---- */

static pgprot_t user_prot(u64 vm_flags)
{
	pgprot_t prot = X86_PTE_P | X86_PTE_US | X86_PTE_A;

	if (vm_flags & VM_WRITE)
		prot |= X86_PTE_RW;
	if (!(vm_flags & VM_EXEC))
		prot |= X86_PTE_NX;
	return prot;
}

static bool vma_is_sane(u64 start, u64 end, u64 vm_flags, u64 known_flags)
{
	const u64 access = vm_flags & (VM_READ | VM_WRITE | VM_EXEC);

	return start < end && IS_ALIGNED(start | end, PAGE_SIZE) && start >= USER_START &&
	       end <= USER_END && !(vm_flags & ~known_flags) && access &&
	       (access & (VM_WRITE | VM_EXEC)) != (VM_WRITE | VM_EXEC);
}

int vma_create(struct mm *mm, struct process *process, u64 start, u64 end, u64 vm_flags,
	       struct vm_area_struct **vma_out)
{
	struct vm_area_struct *vma, *other;
	struct list_head *before = &process->vmas;

	if (mm_refuse_interrupt(mm, "vma_create"))
		return -EPERM;
	if (!vma_is_sane(start, end, vm_flags, VMA_FLAGS))
		return -EINVAL;
	list_for_each_entry (other, &process->vmas, link) {
		if (other->vm_start >= end)
			break;
		if (other->vm_end > start)
			return -EBUSY;
		before = &other->link;
	}
	vma = kmalloc_node(mm, sizeof(*vma), GFP_KERNEL, NUMA_NO_NODE);
	if (!vma)
		return -ENOMEM;
	*vma = (struct vm_area_struct){
		.process = process, .vm_start = start, .vm_end = end, .vm_flags = vm_flags};
	list_add(&vma->link, before);
	*vma_out = vma;
	return 0;
}

static void unmap_vma(struct mm *mm, struct vm_area_struct *vma)
{
	struct page_table *pt = &vma->process->pt;
	u64 va, value, *entry, nr = 0;

	for (va = vma->vm_start;
	     (va = pt_next_entry(mm, pt, va, vma->vm_end, &entry)) != vma->vm_end;
	     va += PAGE_SIZE) {
		__atomic_fetch_and(entry, ~X86_PTE_P, __ATOMIC_RELAXED);
		nr++;
	}
	if (nr == 0)
		return;
	mm_flush_tlb(mm, vma->vm_start, vma->vm_end);
	for (va = vma->vm_start;
	     (va = pt_next_entry(mm, pt, va, vma->vm_end, &entry)) != vma->vm_end;
	     va += PAGE_SIZE) {
		value = *entry;
		WRITE_ONCE(*entry, 0);
		if (!(vma->vm_flags & VM_PFNMAP))
			page_put(mm, entry_page(mm, value));
	}
	vma->process->nr_user_pages -= nr;
}

void vma_destroy(struct mm *mm, struct vm_area_struct *vma)
{
	if (mm_refuse_interrupt(mm, "vma_destroy"))
		return;
	unmap_vma(mm, vma);
	list_del(&vma->link);
	kfree(mm, vma);
}

struct vm_area_struct *find_vma(struct process *process, u64 addr)
{
	struct vm_area_struct *vma;

	list_for_each_entry (vma, &process->vmas, link) {
		if (addr >= vma->vm_start && addr < vma->vm_end)
			return vma;
	}
	return NULL;
}

/* ---- frames in user ranges ---- */

int vm_insert_page(struct mm *mm, struct vm_area_struct *vma, u64 addr, struct page *page)
{
	int err;

	if (mm_refuse_interrupt(mm, "vm_insert_page"))
		return -EPERM;
	if (addr < vma->vm_start || addr >= vma->vm_end || !IS_ALIGNED(addr, PAGE_SIZE))
		return -EFAULT;
	if (!page || !page_get(page))
		return -EINVAL;
	err = pt_map_pages(mm, &vma->process->pt, addr, &page, 1, user_prot(vma->vm_flags));
	if (err) {
		page_put(mm, page);
		return err;
	}
	vma->process->nr_user_pages++;
	vma->vm_flags |= VM_MIXEDMAP;
	return 0;
}

/* Gives up a reference to each of the @nr frames from @addr on. */
static void put_frames(struct mm *mm, u64 addr, u64 nr)
{
	while (nr--)
		page_put(mm, vmalloc_to_page(mm, addr + (nr << PAGE_SHIFT)));
}

/* Takes a reference to each of the @nr frames from @addr on. None after -EINVAL. */
static int get_frames(struct mm *mm, u64 addr, u64 nr)
{
	u64 i;

	for (i = 0; i < nr; i++) {
		struct page *page = vmalloc_to_page(mm, addr + (i << PAGE_SHIFT));

		if (!page || !page_get(page))
			break;
	}
	if (i == nr)
		return 0;
	put_frames(mm, addr, i);
	return -EINVAL;
}

/* 0 when a frame that can be shown is at each of @nr pages: an area with its own has them. */
static int look_for_frames(struct mm *mm, u32 kind, u64 addr, u64 nr)
{
	if (kind == VMAP_FRAMES)
		return 0;
	if (get_frames(mm, addr, nr))
		return -EINVAL;
	put_frames(mm, addr, nr);
	return 0;
}

/* Maps the frames from @addr on over @vma, whose tables are there and whose leaves are clear. */
static int map_frames(struct mm *mm, struct vm_area_struct *vma, u64 addr, u64 nr)
{
	pgprot_t prot = user_prot(vma->vm_flags);
	int err = get_frames(mm, addr, nr);

	lockdep_assert_held(&mm->vmap.lock);
	for (u64 at = 0; !err && at != nr << PAGE_SHIFT; at += PAGE_SIZE) {
		struct page *page = vmalloc_to_page(mm, addr + at);

		err = pt_map_pages(mm, &vma->process->pt, vma->vm_start + at, &page, 1, prot);
		if (err)
			mm_panic(mm, "a user range that was clear is not");
	}
	return err;
}

/* Whether @vm may be shown to users and has @nr pages from its page @pgoff on. */
static bool can_be_shown(const struct vm_struct *vm, u64 pgoff, u64 nr)
{
	u64 pages = vm_payload_bytes(vm) >> PAGE_SHIFT;

	return vm->flags & VM_USERMAP && pgoff < pages && nr <= pages - pgoff;
}

/*
 * Maps @nr pages of the area at @addr, from its page @pgoff on, over @vma; or only looks whether
 * that can be, for @vma NULL. As long as the lock is held the area stays complete: who frees it
 * begins by claiming it.
 */
static int remap_locked(struct mm *mm, struct vm_area_struct *vma, u64 addr, u64 pgoff, u64 nr)
{
	u64 first = addr + (pgoff << PAGE_SHIFT);
	struct vmap_area *area;
	struct vm_struct *vm;
	int err = -EINVAL;

	spin_lock(&mm->vmap.lock);
	area = vmap_busy_from(&mm->vmap, addr);
	vm = area ? smp_load_acquire(&area->vm) : NULL;
	if (vm && area->va_start == addr && can_be_shown(vm, pgoff, nr))
		err = vma ? map_frames(mm, vma, first, nr)
			  : look_for_frames(mm, area->kind, first, nr);
	spin_unlock(&mm->vmap.lock);
	return err;
}

int remap_vmalloc_range(struct mm *mm, struct vm_area_struct *vma, u64 addr, u64 pgoff)
{
	struct page_table *pt = &vma->process->pt;
	u64 nr = (vma->vm_end - vma->vm_start) >> PAGE_SHIFT, *entry;
	int err;

	if (mm_refuse_interrupt(mm, "remap_vmalloc_range"))
		return -EPERM;
	if (!IS_ALIGNED(addr, PAGE_SIZE) || nr > mm->total_pages)
		return -EINVAL;
	/* What is refused costs no tables. */
	err = remap_locked(mm, NULL, addr, pgoff, nr);
	if (!err)
		err = pt_prepare(mm, pt, vma->vm_start, vma->vm_end, 1);
	if (err)
		return err;
	if (pt_next_entry(mm, pt, vma->vm_start, vma->vm_end, &entry) != vma->vm_end)
		return -EBUSY;
	err = remap_locked(mm, vma, addr, pgoff, nr);
	if (err)
		return err;
	vma->process->nr_user_pages += nr;
	vma->vm_flags |= VM_DONTEXPAND | VM_DONTDUMP;
	return 0;
}

/* ---- the image in user ranges ---- */

static bool is_image(const struct mm *mm, u64 start, u64 end)
{
	for (u32 i = 0; i < mm->nr_reserved; i++) {
		if (mm->reserved[i].kind == RESERVED_IMAGE && start >= mm->reserved[i].start &&
		    start < end && end <= mm->reserved[i].end)
			return true;
	}
	return false;
}

int remap_pfn_range(struct mm *mm, struct vm_area_struct *vma, u64 pfn)
{
	u64 phys = pfn << PAGE_SHIFT, bytes = vma->vm_end - vma->vm_start;
	int err;

	if (mm_refuse_interrupt(mm, "remap_pfn_range"))
		return -EPERM;
	if (vma->vm_flags & VM_WRITE || phys >> PAGE_SHIFT != pfn ||
	    !is_image(mm, phys, phys + bytes))
		return -EINVAL;
	err = pt_map_range(mm, &vma->process->pt, vma->vm_start, vma->vm_end, phys,
			   user_prot(vma->vm_flags), 1);
	if (err)
		return err;
	vma->process->nr_user_pages += bytes >> PAGE_SHIFT;
	vma->vm_flags |= VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP;
	return 0;
}

/* ---- the checker ---- */

static const char *check_leaf(struct mm *mm, struct process *process, u64 va, u64 entry)
{
	const struct vm_area_struct *vma = find_vma(process, va);
	const pgprot_t ignored = X86_PTE_ADDR_MASK | X86_PTE_A | X86_PTE_D;
	const struct page *page;

	if (!vma)
		return "a user page is mapped outside all ranges";
	if ((entry ^ user_prot(vma->vm_flags)) & ~ignored)
		return "a user page has another protection than its range";
	if (vma->vm_flags & VM_PFNMAP) {
		u64 phys = entry & X86_PTE_ADDR_MASK;

		return is_image(mm, phys, phys + PAGE_SIZE)
			       ? NULL
			       : "a user page of the image's range shows other memory";
	}
	page = entry_page(mm, entry);
	if ((page->state != PAGE_VMALLOC && page->state != PAGE_OTHER) || page->refcount == 0)
		return "a user page shows a frame that is not in use";
	return NULL;
}

static const char *check_vmas(const struct process *process)
{
	const struct vm_area_struct *vma;
	u64 end = 0;

	list_for_each_entry (vma, &process->vmas, link) {
		if (!vma_is_sane(vma->vm_start, vma->vm_end, vma->vm_flags, VMA_FLAGS_MADE))
			return "a user range is none";
		if (vma->vm_start < end)
			return "user ranges overlap or are out of order";
		if (vma->process != process)
			return "a user range is another process's";
		end = vma->vm_end;
	}
	return NULL;
}

static const char *check_kernel_half(const struct mm *mm, const struct process *process)
{
	const u64 *kernel = root_of(mm, &mm->pt), *own = root_of(mm, &process->pt);

	for (u32 i = FIRST_KERNEL_ENTRY; i < X86_TABLE_ENTRIES; i++) {
		if (own[i] && own[i] != kernel[i])
			return "a process's kernel half is not the kernel's";
	}
	return NULL;
}

const char *process_check(struct mm *mm, struct process *process)
{
	const char *wrong = check_vmas(process);
	u64 va = USER_START, nr = 0, *entry;

	if (!wrong)
		wrong = check_kernel_half(mm, process);
	for (; !wrong && (va = pt_next_entry(mm, &process->pt, va, USER_END, &entry)) != USER_END;
	     va += PAGE_SIZE) {
		wrong = check_leaf(mm, process, va, *entry);
		nr++;
	}
	if (!wrong && nr != process->nr_user_pages)
		wrong = "a process's count of user pages is wrong";
	return wrong;
}
