/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of vmalloc share: a machine, requests, a check of everything at once, and a count
 * of frames that must come back. For the one .c file of a test program.
 */
#ifndef TESTS_MM_VMALLOC_FIXTURE_H
#define TESTS_MM_VMALLOC_FIXTURE_H

#include "tests/harness.h"

#include <string.h>

#include "mm/errno.h"
#include "mm/vm_array.h"
#include "mm/vmalloc.h"
#include "tests/mm/sim.h"

static struct sim *sim;
static struct mm *mm;

static inline void setup_cpus(u32 nr_cpus)
{
	struct sim_config config = sim_default_config(nr_cpus);

	sim = sim_create(&config);
	mm = &sim->mm;
}

static inline void setup(void)
{
	setup_cpus(1);
}

static inline void teardown(void)
{
	sim_destroy(sim);
}

static inline struct vmalloc_request request_of(u64 size)
{
	return (struct vmalloc_request){.size = size,
					.align = 1,
					.start = VMALLOC_START,
					.end = VMALLOC_END,
					.prot = PAGE_KERNEL,
					.caller = 0xffffffff81000000ull,
					.gfp = GFP_KERNEL,
					.node = NUMA_NO_NODE};
}

static inline u64 must(const struct vmalloc_request *request)
{
	u64 addr = 0;

	ck_assert_int_eq(vmalloc_node_range(mm, request, &addr), 0);
	return addr;
}

static inline u64 must_pages(u64 pages)
{
	struct vmalloc_request request = request_of(pages << PAGE_SHIFT);

	return must(&request);
}

/* ---- what must hold ---- */

static inline u64 count_leaves(u64 table_phys, int level)
{
	const u64 *table = phys_to_virt(mm, table_phys);
	u64 leaves = 0;

	for (u32 i = 0; i < 512; i++) {
		if (table[i] & X86_PTE_P)
			leaves += level == 1
					  ? 1
					  : count_leaves(table[i] & X86_PTE_ADDR_MASK, level - 1);
	}
	return leaves;
}

/* The frames of @vm are those its range maps, each once, and the guard is not mapped. */
static const char *check_area(struct vm_struct *vm)
{
	u64 entry, count, i, guard = vm->addr + (vm->nr_pages << PAGE_SHIFT);
	struct page **pages;

	for (i = 0; i < vm->nr_pages; i += count) {
		pages = vm_pages_chunk(mm, vm, i, &count);
		for (u64 j = 0; j < count; j++) {
			if (pt_lookup(mm, &mm->pt, vm->addr + ((i + j) << PAGE_SHIFT), &entry) != 1)
				return "a page is not mapped";
			if (entry != (page_to_phys(mm, pages[j]) | vm->prot))
				return "a leaf is not that of the listed frame";
			if (pages[j]->state != PAGE_VMALLOC || pages[j]->owner != vm)
				return "a frame is not the area's";
		}
	}
	if (pt_lookup(mm, &mm->pt, guard, &entry))
		return "the guard is mapped";
	return NULL;
}

/* Everything: each structure's own check, each area, and no leaf that is no area's. */
static const char *check_all(void)
{
	const struct vmap_area *area;
	const char *wrong = vmap_check(mm);
	u64 pages = 0;

	if (!wrong)
		wrong = page_alloc_check(mm);
	for (u32 i = 0; i < NR_KMALLOC_CACHES && !wrong; i++)
		wrong = kmem_cache_check(mm, &mm->kmalloc[i]);
	if (wrong)
		return wrong;
	list_for_each_entry (area, &mm->vmap.tiles, tile) {
		if (area->state != VMAP_AREA_BUSY)
			continue;
		if (!area->vm)
			return "a busy area without bookkeeping";
		if (area->vm->addr != area->va_start ||
		    area->vm->size != area->va_end - area->va_start)
			return "an area's bookkeeping names another range";
		wrong = check_area(area->vm);
		if (wrong)
			return wrong;
		pages += area->vm->nr_pages;
	}
	return count_leaves(mm->pt.root_phys, 4) == pages ? NULL : "a stray leaf";
}

/* Frames in use that no cache keeps for later, page tables left out: they stay for good. */
static inline u64 frames_in_use(void)
{
	vmap_purge(mm);
	vmap_trim(mm);
	kmem_cache_shrink(mm, &mm->vmap.cache);
	for (u32 i = 0; i < NR_KMALLOC_CACHES; i++)
		kmem_cache_shrink(mm, &mm->kmalloc[i]);
	return mm->total_pages - nr_free_pages(mm) - mm->pt.nr_tables -
	       sim->nr_populated * SECTION_MEMMAP_BYTES / PAGE_SIZE;
}

/* Sizes for every place an array can be in. */
struct array_case {
	u64 pages, flags;
	u32 array;
};

static const struct array_case array_cases[] = {
	{1, 0, VM_ARRAY_INLINE},
	{2, 0, VM_ARRAY_INLINE},
	{VM_INLINE_PAGES, 0, VM_ARRAY_INLINE},
	{VM_INLINE_PAGES + 1, 0, VM_ARRAY_KMALLOC},
	{512, 0, VM_ARRAY_KMALLOC},
	{512, VM_ARRAY_OUTSIDE, VM_ARRAY_KMALLOC},
	{513, 0, VM_ARRAY_VMALLOC},
	{513, VM_ARRAY_OUTSIDE, VM_ARRAY_DIRECTORY},
	{5000, 0, VM_ARRAY_VMALLOC},
	{5000, VM_ARRAY_OUTSIDE, VM_ARRAY_DIRECTORY},
};

#endif
