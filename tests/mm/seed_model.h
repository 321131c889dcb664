/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model that all calls of the seed are run against at random: every area with its kind, size,
 * frames and first byte of each page; every user range with what it shows; and the address space
 * as one linear list of what is taken (tests/mm/vmap_model.h), which says where an area must be.
 * Include it in the one .c file of a test program.
 */
#ifndef TESTS_MM_SEED_MODEL_H
#define TESTS_MM_SEED_MODEL_H

#include "mm/process.h"
#include "mm/vm_array.h"
#include "mm/vmap_private.h"
#include "tests/mm/seed_fixture.h"
#include "tests/mm/vmap_model.h"

#define MAX_AREAS     40
#define MAX_VMAS      24
#define MAX_PROCESSES 4
#define OWN_PAGES     64

enum kind { FRAMES, RESERVED, MAPPED };

struct area {
	enum kind kind;
	u64 addr, nr;
	bool io, user, filled; /* RESERVED: filled is map_vm_area()'s */
	unsigned char first[1100];
	const struct page *frame[1100]; /* FRAMES: mapped from addr on */
};

struct range {
	struct process *process;
	struct vm_area_struct *vma;
	u64 nr;
	struct page *shown[32]; /* NULL: nothing */
};

static struct area areas[MAX_AREAS];
static struct range ranges[MAX_VMAS];
static u32 nr_areas, nr_ranges;

/* ---- the address space ---- */

static struct vmap_model space;

static inline u64 guarded(u64 nr_pages)
{
	return (nr_pages + 1) << PAGE_SHIFT;
}

/* An area of @nr pages at @addr is where the list has its first hole. */
static inline void expect_placed(u64 addr, u64 nr, bool io)
{
	struct vmap_request request = {
		.size = guarded(nr), .align = 1, .start = VMALLOC_START, .end = VMALLOC_END};
	u64 expected = 0;

	while (io && request.align < nr << PAGE_SHIFT && request.align < 1ull << IOREMAP_MAX_ORDER)
		request.align <<= 1;
	ck_assert(model_place(&space, &request, &expected));
	ck_assert_msg(addr == expected, "%llu pages are at 0x%llx, not at 0x%llx",
		      (unsigned long long)nr, (unsigned long long)addr,
		      (unsigned long long)expected);
	model_take(&space, addr, request.size);
}

/* The pages of the array that lists @nr frames, where it is an area of its own; else 0. */
static inline u64 array_pages(u64 nr)
{
	return nr > VM_CHUNK_PAGES ? (nr * sizeof(struct page *) + PAGE_SIZE - 1) >> PAGE_SHIFT : 0;
}

/* Where the array of the area at @addr is. */
static inline u64 array_of(u64 addr)
{
	const struct vm_struct *vm = find_vm_area(mm, addr);

	ck_assert(vm && vm->array == VM_ARRAY_VMALLOC);
	return (u64)(uintptr_t)vm->pages;
}

static inline void note_free(u64 addr)
{
	if (mm->vmap.mode == VMAP_EAGER) {
		model_remove(&space, addr);
		return;
	}
	model_make_lazy(&space, addr);
	if (mm->vmap.mode == VMAP_LAZY && model_lazy_pages(&space) > mm->vmap.lazy_max_pages)
		model_purge(&space);
}

/* What a call that failed took and gave back is the one thing the list does not know. */
static inline void learn_tiles(void)
{
	const struct vmap_area *tile;

	space.nr = 0;
	list_for_each_entry (tile, &mm->vmap.tiles, tile) {
		if (tile->state == VMAP_AREA_FREE)
			continue;
		model_take(&space, tile->va_start, tile->va_end - tile->va_start);
		if (tile->state == VMAP_AREA_LAZY)
			model_make_lazy(&space, tile->va_start);
	}
}

/* ---- frames ---- */

/* By struct page: who has it. */
static const void **owner;
static u64 nr_owners;

static inline u64 pfn_of(const struct page *page)
{
	return page_to_pfn(mm, page);
}

/* Each of Check's assertions is a write to its parent: too many here. */
static inline void claim(const struct page *page, const void *by)
{
	u64 pfn = pfn_of(page);

	if (pfn >= nr_owners || (owner[pfn] && owner[pfn] != by))
		ck_abort_msg("frame 0x%llx is in two areas", (unsigned long long)pfn);
	owner[pfn] = by;
}

static inline bool is_own(const struct page *page)
{
	for (u32 i = 0; i < OWN_PAGES; i++) {
		if (pages[i] == page)
			return true;
	}
	return false;
}

/* Each page of a FRAMES area maps the frame it always did. */
static inline void claim_area(const struct area *area)
{
	u64 array = array_pages(area->nr), at = array ? array_of(area->addr) : 0;

	for (u64 i = 0; i < area->nr; i++) {
		if (vmalloc_to_page(mm, area->addr + (i << PAGE_SHIFT)) != area->frame[i])
			ck_abort_msg("page %llu of an area has another frame than before",
				     (unsigned long long)i);
		claim(area->frame[i], area);
	}
	for (u64 i = 0; i < array; i++)
		claim(vmalloc_to_page(mm, at + (i << PAGE_SHIFT)), area);
}

static inline void forget_owners(void)
{
	for (u32 i = 0; i < mm->nr_ram; i++) {
		u64 first = mm->ram[i].start >> PAGE_SHIFT, end = mm->ram[i].end >> PAGE_SHIFT;

		memset(owner + first, 0, (end - first) * sizeof(*owner));
	}
}

static inline void check_frame(u64 pfn)
{
	bool marked = mm->section_online[pfn / SECTION_PAGES] &&
		      pfn_to_page(mm, pfn)->state == PAGE_VMALLOC;

	if (marked != (owner[pfn] != NULL))
		ck_abort_msg("frame 0x%llx: %s", (unsigned long long)pfn,
			     owner[pfn] ? "an area's, and not marked so"
					: "marked as an area's, and nobody's");
}

/* A frame of an area that is gone: the range alone keeps it. */
static inline void still_shown(const struct page *page)
{
	if (page->state != PAGE_OTHER || page->refcount == 0)
		ck_abort_msg("frame 0x%llx is shown and nobody's",
			     (unsigned long long)pfn_of(page));
}

/* The frames that belong to areas are those the model knows of, and each to one area. */
static inline void check_frames(void)
{
	forget_owners();
	for (u32 i = 0; i < nr_areas; i++) {
		if (areas[i].kind == FRAMES)
			claim_area(&areas[i]);
	}
	for (u32 i = 0; i < nr_ranges; i++) {
		for (u64 n = 0; n < ranges[i].nr; n++) {
			const struct page *page = ranges[i].shown[n];

			if (page && !is_own(page) && !owner[pfn_of(page)])
				still_shown(page);
		}
	}
	for (u32 i = 0; i < mm->nr_ram; i++) {
		for (u64 pfn = mm->ram[i].start >> PAGE_SHIFT; pfn < mm->ram[i].end >> PAGE_SHIFT;
		     pfn++)
			check_frame(pfn);
	}
}

static inline void check_all(u64 step)
{
	const char *wrong = core_check(sim);

	ck_assert_msg(!wrong, "step %llu: %s", (unsigned long long)step, wrong);
	ck_assert_msg(model_same(&space, &mm->vmap), "step %llu: the tiles differ from the list",
		      (unsigned long long)step);
	check_frames();
}

#endif
