/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything at once: see core_check.h. User pages are counted by frame in an array of this
 * file's, and taken out of it again.
 */
#include "tests/mm/core_check.h"

#include "mm/vm_area.h"

#define MAX_PFN (1u << 21) /* 8 GiB */

static u16 shown[MAX_PFN]; /* user pages by frame */

u64 core_count_leaves(struct sim *sim, u64 table_phys, int level)
{
	const u64 *table = phys_to_virt(&sim->mm, table_phys);
	u64 leaves = 0;

	for (u32 i = 0; i < 512; i++) {
		if (!(table[i] & X86_PTE_P))
			continue;
		if (level == 1)
			leaves++;
		else
			leaves += core_count_leaves(sim, table[i] & X86_PTE_ADDR_MASK, level - 1);
	}
	return leaves;
}

/* Adds @by to the count of every frame a user page of @process shows. */
static void count_shown(struct mm *mm, struct process *process, int by)
{
	u64 va = USER_START, *entry;

	for (; (va = pt_next_entry(mm, &process->pt, va, USER_END, &entry)) != USER_END;
	     va += PAGE_SIZE)
		shown[(*entry & X86_PTE_ADDR_MASK) >> PAGE_SHIFT] += (u16)by;
}

/* The frames user pages show have a reference for each, and one for an owner they still have. */
static const char *check_shown(struct mm *mm, struct process *process)
{
	u64 va = USER_START, *entry;

	for (; (va = pt_next_entry(mm, &process->pt, va, USER_END, &entry)) != USER_END;
	     va += PAGE_SIZE) {
		u64 pfn = (*entry & X86_PTE_ADDR_MASK) >> PAGE_SHIFT;
		const struct page *page = pfn_to_page(mm, pfn);
		const struct vm_area_struct *vma = find_vma(process, va);

		if (vma && vma->vm_flags & VM_PFNMAP)
			continue;
		if (page->refcount != (u32)shown[pfn] + (page->owner ? 1u : 0u))
			return "a frame has other references than it has users";
	}
	return NULL;
}

static const char *check_owned(struct mm *mm, struct vm_struct *vm)
{
	struct page **pages;
	u64 entry, count;

	for (u64 i = 0; i < vm->nr_pages; i += count) {
		pages = vm_pages_chunk(mm, vm, i, &count);
		for (u64 j = 0; j < count; j++) {
			u64 va = vm->addr + ((i + j) << PAGE_SHIFT);

			if (pt_lookup(mm, &mm->pt, va, &entry) != 1)
				return "a page is not mapped";
			if (entry != (page_to_phys(mm, pages[j]) | vm->prot))
				return "a leaf is not that of the listed frame";
			if (pages[j]->state != PAGE_VMALLOC || pages[j]->owner != vm)
				return "a frame is not the area's";
			if (pages[j]->refcount != 1u + shown[page_to_pfn(mm, pages[j])])
				return "an area's frame has other references than users";
		}
	}
	return NULL;
}

/* Adds the area's leaves to *@leaves. */
static const char *check_area(struct mm *mm, const struct vmap_area *area, u64 *leaves)
{
	struct vm_struct *vm = area->vm;
	u64 payload, nr, entry, va;

	if (!vm)
		return "a busy area without bookkeeping";
	if (vm->addr != area->va_start || vm->size != area->va_end - area->va_start ||
	    vm->area != area)
		return "an area's bookkeeping names another range";
	payload = vm->size - (vm->flags & VM_NO_GUARD ? 0 : PAGE_SIZE);
	nr = 0;
	for (va = vm->addr; va != vm->addr + payload && payload < 1ull << 32; va += PAGE_SIZE)
		nr += pt_lookup(mm, &mm->pt, va, &entry) != 0;
	*leaves += nr;
	if ((area->kind == VMAP_FRAMES || area->kind == VMAP_ARRAY) != (vm->nr_pages != 0))
		return "an area's kind does not go with its frames";
	if (area->kind != VMAP_RESERVED && nr != payload >> PAGE_SHIFT)
		return "an area is not mapped to its end";
	if (!(vm->flags & VM_NO_GUARD) && pt_lookup(mm, &mm->pt, vm->addr + payload, &entry))
		return "the guard is mapped";
	return check_owned(mm, vm);
}

static const char *check_areas(struct sim *sim)
{
	struct mm *mm = &sim->mm;
	const struct vmap_area *area;
	const char *wrong = NULL;
	u64 leaves = 0;

	list_for_each_entry (area, &mm->vmap.tiles, tile) {
		if (!wrong && area->state == VMAP_AREA_BUSY)
			wrong = check_area(mm, area, &leaves);
	}
	if (!wrong && core_count_leaves(sim, mm->pt.root_phys, 4) != leaves)
		wrong = "a stray leaf";
	return wrong;
}

const char *core_check(struct sim *sim)
{
	struct mm *mm = &sim->mm;
	struct process *process;
	const char *wrong = vmap_check(mm);

	if (!wrong)
		wrong = page_alloc_check(mm);
	if (!wrong)
		wrong = kmem_cache_check(mm, &mm->vmap.cache);
	for (u32 i = 0; i < NR_KMALLOC_CACHES && !wrong; i++)
		wrong = kmem_cache_check(mm, &mm->kmalloc[i]);
	list_for_each_entry (process, &mm->processes.head, link) {
		if (!wrong)
			wrong = process_check(mm, process);
		count_shown(mm, process, 1);
	}
	if (!wrong)
		wrong = check_areas(sim);
	list_for_each_entry (process, &mm->processes.head, link) {
		if (!wrong)
			wrong = check_shown(mm, process);
	}
	list_for_each_entry (process, &mm->processes.head, link)
		count_shown(mm, process, -1);
	return wrong;
}

u64 core_frames_in_use(struct sim *sim)
{
	struct mm *mm = &sim->mm;
	struct process *process;
	u64 tables = mm->pt.nr_tables;

	list_for_each_entry (process, &mm->processes.head, link)
		tables += process->pt.nr_tables;
	vmap_purge(mm);
	vmap_trim(mm);
	kmem_cache_shrink(mm, &mm->vmap.cache);
	for (u32 i = 0; i < NR_KMALLOC_CACHES; i++)
		kmem_cache_shrink(mm, &mm->kmalloc[i]);
	return mm->total_pages - nr_free_pages(mm) - tables -
	       sim->nr_populated * SECTION_MEMMAP_BYTES / PAGE_SIZE;
}

u64 core_objects_in_use(struct sim *sim)
{
	struct mm *mm = &sim->mm;
	u64 objects = 0;

	for (u32 i = 0; i < mm->nr_ram; i++) {
		u64 end = mm->ram[i].end >> PAGE_SHIFT;

		for (u64 pfn = mm->ram[i].start >> PAGE_SHIFT; pfn < end; pfn++) {
			if (!mm->section_online[pfn / SECTION_PAGES])
				continue;
			if (pfn_to_page(mm, pfn)->state == PAGE_SLAB)
				objects += pfn_to_page(mm, pfn)->in_use;
		}
	}
	return objects;
}
