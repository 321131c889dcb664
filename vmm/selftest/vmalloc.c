/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of the self-test: memory allocated, mapped and freed. */
#include <errno.h>

#include "vmm/selftest/private.h"

#define RW  (PAGING_R | PAGING_W)
#define RWX (PAGING_R | PAGING_W | PAGING_X)

#define ANY_NODE      ((uint64_t)-1)
#define PROT_READONLY (NB_PAGE_KERNEL & ~(uint64_t)X86_PTE_RW)
#define PROT_EXEC     (NB_PAGE_KERNEL & ~X86_PTE_NX)

/* More frames than fit in an array of one page. */
#define LARGE_PAGES 513u

/* Takes @pages pages by @call; with its arguments. */
#define VMALLOC(t, call, pages, ...) MAKE(t, NB_OP_VMALLOC_CALL, call, (pages)*PAGE, __VA_ARGS__)

static void expect_vmalloc(struct selftest *t, uint64_t at, uint64_t pages, unsigned int rights)
{
	selftest_expect_area(t, at, pages, pages, NB_VM_ALLOC);
	selftest_expect_mapped(t, at, pages, rights);
}

static void release(struct selftest *t, uint64_t at, uint64_t pages)
{
	DO(t, NB_OP_VFREE, at);
	selftest_expect_gone(t, at, pages);
}

/* What every one of NB_OP_VMALLOC_CALL's refuses. */
static void refuse_sizes(struct selftest *t, enum nb_vmalloc_call call, uint64_t gfp, uint64_t prot,
			 uint64_t node)
{
	REFUSE(t, -EINVAL, NB_OP_VMALLOC_CALL, call, 0, gfp, prot, node);
	REFUSE(t, -EINVAL, NB_OP_VMALLOC_CALL, call, UINT64_MAX, gfp, prot, node);
	REFUSE(t, -ENOMEM, NB_OP_VMALLOC_CALL, call, 1ull << 45, gfp, prot, node);
}

static void row_vmalloc(struct selftest *t)
{
	uint64_t at = MAKE(t, NB_OP_VMALLOC_CALL, NB_VMALLOC, 2 * PAGE + 1), other;

	expect_vmalloc(t, at, 3, RW);
	selftest_set_word(t, at + 3 * PAGE - 8, 0x1a57);
	if (DO(t, NB_OP_VMALLOC_TO_PAGE, at + 2 * PAGE))
		EXPECT(t, t->answer.result[0] == selftest_frame(t, at + 2 * PAGE),
		       "the guest says frame %#lx, its tables %#lx", t->answer.result[0],
		       selftest_frame(t, at + 2 * PAGE));
	other = VMALLOC(t, NB_VMALLOC, 1, 0);
	EXPECT(t, other >= at + 4 * PAGE || other < at, "%#lx lies in the area of %#lx", other, at);
	selftest_expect_word(t, at + 3 * PAGE - 8, 0x1a57);
	release(t, other, 1);
	release(t, at, 3);
	refuse_sizes(t, NB_VMALLOC, 0, 0, 0);
}

static void row_vmalloc_prot(struct selftest *t)
{
	uint64_t at = VMALLOC(t, NB_VMALLOC_PROT, 2, NB_GFP_KERNEL | NB_GFP_ZERO, PROT_READONLY);

	expect_vmalloc(t, at, 2, PAGING_R);
	selftest_expect_word(t, at + PAGE, 0);
	release(t, at, 2);
	REFUSE(t, -EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC_PROT, PAGE, NB_GFP_KERNEL, PROT_EXEC);
	refuse_sizes(t, NB_VMALLOC_PROT, NB_GFP_KERNEL, NB_PAGE_KERNEL, 0);
}

/* Frames above the limit of gfp, or of another node, are the auditor's to find as well. */
static void row_vmalloc_prot_node(struct selftest *t)
{
	uint64_t at = VMALLOC(t, NB_VMALLOC_PROT_NODE, 2, t->layout->gfp_dma | NB_GFP_KERNEL,
			      NB_PAGE_KERNEL, 0);

	expect_vmalloc(t, at, 2, RW);
	for (uint64_t i = 0; i < 2; i++)
		EXPECT(t, selftest_frame(t, at + i * PAGE) < t->layout->zone_dma_end_pfn,
		       "frame %#lx is not in zone DMA", selftest_frame(t, at + i * PAGE));
	release(t, at, 2);
	REFUSE(t, -EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC_PROT_NODE, PAGE, NB_GFP_KERNEL, PROT_EXEC,
	       ANY_NODE);
	REFUSE(t, -EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC_PROT_NODE, PAGE, NB_GFP_KERNEL,
	       NB_PAGE_KERNEL, NB_MAX_NODES);
}

/* The last node there is. */
static uint64_t last_node(const struct selftest *t)
{
	const struct nb_boot_info *info = &guest_boot(t->guest)->info;
	uint64_t node = 0;

	for (uint32_t i = 0; i < info->nr_ram && i < NB_MAX_RANGES; i++)
		node = info->ram[i].node > node ? info->ram[i].node : node;
	return node;
}

static void row_vmalloc_node(struct selftest *t)
{
	uint64_t node = last_node(t), at = VMALLOC(t, NB_VMALLOC_NODE, 4, 0, 0, node);

	expect_vmalloc(t, at, 4, RW);
	for (uint64_t i = 0; i < 4; i++) {
		const struct nb_range *ram =
			inspect_ram_range(t->inspector, selftest_frame(t, at + i * PAGE));

		EXPECT(t, ram && ram->node == node, "page %lu is not of node %lu", i, node);
	}
	release(t, at, 4);
	REFUSE(t, -EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC_NODE, PAGE, 0, 0, NB_MAX_NODES);
}

/* Frames that were full of ones before come back full of zeroes. */
static void expect_zeroed(struct selftest *t, enum nb_vmalloc_call call, uint64_t limit_pfn)
{
	uint64_t dirty = VMALLOC(t, call, 3, 0), at;

	for (uint64_t i = 0; i < 3 * PAGE; i += 512)
		selftest_set_word(t, dirty + i, UINT64_MAX);
	release(t, dirty, 3);
	at = VMALLOC(t, call, 3, 0);
	expect_vmalloc(t, at, 3, RW);
	selftest_expect_area(t, at, 3, 3, t->layout->vm_usermap);
	for (uint64_t i = 0; i < 3 * PAGE; i += 512)
		selftest_expect_word(t, at + i, 0);
	for (uint64_t i = 0; i < 3; i++)
		EXPECT(t, selftest_frame(t, at + i * PAGE) < limit_pfn,
		       "frame %#lx is above the limit %#lx", selftest_frame(t, at + i * PAGE),
		       limit_pfn);
	release(t, at, 3);
	refuse_sizes(t, call, 0, 0, 0);
}

static void row_vmalloc_user(struct selftest *t)
{
	expect_zeroed(t, NB_VMALLOC_USER, UINT64_MAX);
}

static void row_vmalloc_32_user(struct selftest *t)
{
	expect_zeroed(t, NB_VMALLOC_32_USER, t->layout->zone_dma32_end_pfn);
}

static void row_vmalloc_32(struct selftest *t)
{
	uint64_t at = VMALLOC(t, NB_VMALLOC_32, 8, 0);

	expect_vmalloc(t, at, 8, RW);
	for (uint64_t i = 0; i < 8; i++)
		EXPECT(t, selftest_frame(t, at + i * PAGE) < t->layout->zone_dma32_end_pfn,
		       "frame %#lx is above 4 GiB", selftest_frame(t, at + i * PAGE));
	release(t, at, 8);
	refuse_sizes(t, NB_VMALLOC_32, 0, 0, 0);
}

static void row_vmalloc_exec(struct selftest *t)
{
	uint64_t at = VMALLOC(t, NB_VMALLOC_EXEC, 2, 0);

	expect_vmalloc(t, at, 2, RWX);
	release(t, at, 2);
	refuse_sizes(t, NB_VMALLOC_EXEC, 0, 0, 0);
}

static void row_vmalloc_area(struct selftest *t)
{
	uint64_t at = MAKE(t, NB_OP_GET_VM_AREA_WINDOW, 3 * PAGE, NB_VM_ALLOC, 0, 0);

	selftest_expect_clear(t, at, 3);
	REFUSE(t, -EINVAL, NB_OP_VMALLOC_AREA, at, NB_GFP_KERNEL, 0, ANY_NODE);
	DO(t, NB_OP_VMALLOC_AREA, at, NB_GFP_KERNEL | NB_GFP_ZERO, NB_PAGE_KERNEL, ANY_NODE);
	expect_vmalloc(t, at, 3, RW);
	selftest_expect_word(t, at + 2 * PAGE, 0);
	REFUSE(t, -EBUSY, NB_OP_VMALLOC_AREA, at, NB_GFP_KERNEL, NB_PAGE_KERNEL, ANY_NODE);
	release(t, at, 3);
	REFUSE(t, -ENOENT, NB_OP_VMALLOC_AREA, at, NB_GFP_KERNEL, NB_PAGE_KERNEL, ANY_NODE);
	/* As a kernel's module_alloc() asks for it. */
	at = MAKE(t, NB_OP_GET_VM_AREA_WINDOW, 2 * PAGE, NB_VM_ALLOC, 0, 0);
	DO(t, NB_OP_VMALLOC_AREA, at, NB_GFP_KERNEL, PROT_EXEC, ANY_NODE);
	expect_vmalloc(t, at, 2, RWX);
	release(t, at, 2);
}

/*
 * The array of a large area's frames is an area of its own, and goes with it; without memory the
 * reserved area is gone, as in the seed.
 */
static void row_vmalloc_area_node(struct selftest *t)
{
	uint64_t at = MAKE(t, NB_OP_GET_VM_AREA_WINDOW, LARGE_PAGES * PAGE, NB_VM_ALLOC, 0, 0);
	const struct inspect_area *area;
	uint64_t array = 0;

	DO(t, NB_OP_VMALLOC_AREA, at, NB_GFP_KERNEL, NB_PAGE_KERNEL, 0);
	expect_vmalloc(t, at, LARGE_PAGES, RW);
	selftest_expect_area(t, at, LARGE_PAGES, LARGE_PAGES, t->layout->vm_vpages);
	area = selftest_area(t, at);
	if (area)
		array = area->pages;
	selftest_expect_area(t, array, 2, 2, NB_VM_ALLOC);
	release(t, at, LARGE_PAGES);
	selftest_expect_gone(t, array, 2);
	at = MAKE(t, NB_OP_GET_VM_AREA_WINDOW, 3 * PAGE, NB_VM_ALLOC, 0, 0);
	DO(t, NB_OP_SET_FAULT, NB_FAULT_FRAME, 2);
	REFUSE(t, -ENOMEM, NB_OP_VMALLOC_AREA, at, NB_GFP_KERNEL | NB_GFP_NOWARN, NB_PAGE_KERNEL,
	       0);
	DO(t, NB_OP_SET_FAULT, NB_FAULT_FRAME, 0);
	selftest_expect_gone(t, at, 3);
}

static void row_vfree(struct selftest *t)
{
	uint64_t at = VMALLOC(t, NB_VMALLOC, 2, 0), reserved;

	reserved = MAKE(t, NB_OP_GET_VM_AREA_WINDOW, PAGE, NB_VM_MAP, 0, 0);
	DO(t, NB_OP_VFREE, 0);
	REFUSE(t, -EINVAL, NB_OP_VFREE, at + 0x123);
	REFUSE(t, -ENOENT, NB_OP_VFREE, at + PAGE);
	REFUSE(t, -ENOENT, NB_OP_VFREE, NB_VMALLOC_START - PAGE);
	REFUSE(t, -EBUSY, NB_OP_VFREE, reserved);
	expect_vmalloc(t, at, 2, RW);
	release(t, at, 2);
	REFUSE(t, -ENOENT, NB_OP_VFREE, at);
	DO(t, NB_OP_FREE_VM_AREA, reserved);
}

/* Takes two frames and maps them by vmap(). */
static uint64_t map_two(struct selftest *t, uint64_t pfn[2])
{
	selftest_take_frames(t, pfn, 2);
	selftest_list_frames(t, pfn, 2);
	return MAKE(t, NB_OP_VMAP, 2, 0, NB_PAGE_KERNEL, 0);
}

static void row_vmap(struct selftest *t)
{
	uint64_t pfn[2], at = map_two(t, pfn);

	selftest_expect_area(t, at, 2, 0, NB_VM_MAP);
	selftest_expect_mapped(t, at, 2, RW);
	selftest_expect_frames(t, at, 2, pfn);
	selftest_set_frame_word(t, pfn[1], 0x5ea);
	selftest_expect_word(t, at + PAGE, 0x5ea);
	DO(t, NB_OP_VUNMAP, at);
	REFUSE(t, -EINVAL, NB_OP_VMAP, 0, 0, NB_PAGE_KERNEL, 0);
	REFUSE(t, -EINVAL, NB_OP_VMAP, 2, 0, PROT_EXEC, 0);
	REFUSE(t, -EINVAL, NB_OP_VMAP, 2, t->layout->vm_ioremap, NB_PAGE_KERNEL, 0);
	REFUSE(t, -EINVAL, NB_OP_VMAP, NB_DATA_BYTES / 8 + 1, 0, NB_PAGE_KERNEL, 0);
	selftest_expect_frame_word(t, pfn[1], 0x5ea);
	selftest_put_frames(t, pfn, 2);
}

static void row_vunmap(struct selftest *t)
{
	uint64_t pfn[2], at = map_two(t, pfn);
	uint64_t own = VMALLOC(t, NB_VMALLOC, 1, 0);

	DO(t, NB_OP_VUNMAP, 0);
	REFUSE(t, -EINVAL, NB_OP_VUNMAP, at + 1);
	REFUSE(t, -ENOENT, NB_OP_VUNMAP, at + PAGE);
	REFUSE(t, -EBUSY, NB_OP_VUNMAP, own);
	expect_vmalloc(t, own, 1, RW);
	selftest_expect_mapped(t, at, 2, RW);
	DO(t, NB_OP_VUNMAP, at);
	selftest_expect_gone(t, at, 2);
	REFUSE(t, -ENOENT, NB_OP_VUNMAP, at);
	release(t, own, 1);
	selftest_put_frames(t, pfn, 2);
}

/* What frees what: frames given away go with the area, frames only mapped stay. */
static void row_vunmap_inner(struct selftest *t)
{
	uint64_t pfn[2], at = map_two(t, pfn);

	REFUSE(t, -EBUSY, NB_OP_VFREE, at);
	selftest_expect_mapped(t, at, 2, RW);
	DO(t, NB_OP_VUNMAP, at);
	selftest_put_frames(t, pfn, 2);
	selftest_take_frames(t, pfn, 2);
	selftest_list_frames(t, pfn, 2);
	at = MAKE(t, NB_OP_VMAP, 2, t->layout->vm_map_put_pages, NB_PAGE_KERNEL, 0);
	selftest_expect_area(t, at, 2, 2, NB_VM_MAP);
	REFUSE(t, -EBUSY, NB_OP_VUNMAP, at);
	REFUSE(t, -EINVAL, NB_OP_FREE_PAGES, pfn[0], 0);
	release(t, at, 2);
	REFUSE(t, -EINVAL, NB_OP_FREE_PAGES, pfn[0], 0);
}

/* ---- what it stands on ---- */

static void row_frames(struct selftest *t)
{
	uint64_t before = 0, low, many;

	if (DO(t, NB_OP_STATS))
		before = t->answer.result[0];
	low = MAKE(t, NB_OP_ALLOC_PAGES, 0, t->layout->gfp_dma | NB_GFP_KERNEL, 0);
	EXPECT(t, low < t->layout->zone_dma_end_pfn, "frame %#lx is not in zone DMA", low);
	many = MAKE(t, NB_OP_ALLOC_PAGES, 4, NB_GFP_KERNEL | NB_GFP_ZERO, ANY_NODE);
	EXPECT(t, many % 16 == 0, "16 frames from %#lx on", many);
	selftest_expect_frame_word(t, many + 15, 0);
	REFUSE(t, -EINVAL, NB_OP_FREE_PAGES, many, 3);
	REFUSE(t, -EINVAL, NB_OP_FREE_PAGES, many + 1, 0);
	REFUSE(t, -EINVAL, NB_OP_FREE_PAGES, UINT64_MAX, 0);
	DO(t, NB_OP_FREE_PAGES, many, 4);
	REFUSE(t, -EINVAL, NB_OP_FREE_PAGES, many, 4);
	DO(t, NB_OP_FREE_PAGES, low, 0);
	if (DO(t, NB_OP_STATS))
		EXPECT(t, t->answer.result[0] == before, "%lu frames free, %lu before",
		       t->answer.result[0], before);
}

static void row_kmalloc(struct selftest *t)
{
	uint64_t at = MAKE(t, NB_OP_KMALLOC, 100, NB_GFP_KERNEL | NB_GFP_ZERO, ANY_NODE), large;

	EXPECT(t, at >= NB_DIRECT_BASE && at % 8 == 0, "kmalloc() gave %#lx", at);
	selftest_expect_word(t, at + 88, 0);
	large = MAKE(t, NB_OP_KMALLOC, 3 * PAGE, NB_GFP_KERNEL, last_node(t));
	EXPECT(t, large % PAGE == 0, "a large kmalloc() gave %#lx", large);
	REFUSE(t, -EINVAL, NB_OP_KFREE, at + 8);
	REFUSE(t, -EINVAL, NB_OP_KFREE, NB_VMALLOC_START);
	DO(t, NB_OP_KFREE, large);
	DO(t, NB_OP_KFREE, at);
	REFUSE(t, -EINVAL, NB_OP_KFREE, at);
}

/* The first, second, ... frame, object, table or range that vmalloc() wants is not there. */
static void row_failures(struct selftest *t)
{
	static const enum nb_fault faults[] = {NB_FAULT_FRAME, NB_FAULT_SLAB, NB_FAULT_TABLE,
					       NB_FAULT_AREA};
	uint64_t failed = 0;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		for (uint64_t nth = 1; nth < 8 && t->row->ok; nth++) {
			uint64_t left;

			DO(t, NB_OP_SET_FAULT, faults[i], nth);
			/* A window in a table of its own for each try. */
			selftest_call(t, SELFTEST_ANY, NB_OP_VMALLOC, 0,
				      ARGS(2 * PAGE, 1,
					   0xffffcd0000000000 + (nth << 30) + (i << 36),
					   0xffffcd0000000000 + (nth << 30) + (i << 36) + 16 * PAGE,
					   NB_GFP_KERNEL | NB_GFP_NOWARN, NB_PAGE_KERNEL,
					   NB_VM_ALLOC, ANY_NODE));
			if (t->answer.status == 0) {
				release(t, t->answer.result[0], 2);
				DO(t, NB_OP_SET_FAULT, faults[i], 0);
				break;
			}
			failed++;
			EXPECT(t, t->answer.status == -ENOMEM || t->answer.status == -ENOSPC,
			       "a failure of kind %d is answered with %ld", faults[i],
			       t->answer.status);
			left = MAKE(t, NB_OP_SET_FAULT, faults[i], 0);
			EXPECT(t, left == 0, "a failure that was not asked for");
		}
	}
	EXPECT(t, failed >= 6, "only %lu failures", failed);
}

const struct selftest_row selftest_rows_vmalloc[] = {
	{"__vunmap", row_vunmap_inner},
	{"vfree", row_vfree},
	{"vunmap", row_vunmap},
	{"vmap", row_vmap},
	{"__vmalloc_area_node", row_vmalloc_area_node},
	{"__vmalloc_area", row_vmalloc_area},
	{"__vmalloc_node", row_vmalloc_prot_node},
	{"__vmalloc", row_vmalloc_prot},
	{"vmalloc", row_vmalloc},
	{"vmalloc_user", row_vmalloc_user},
	{"vmalloc_node", row_vmalloc_node},
	{"vmalloc_exec", row_vmalloc_exec},
	{"vmalloc_32", row_vmalloc_32},
	{"vmalloc_32_user", row_vmalloc_32_user},
	{"alloc_pages_node", row_frames},
	{"kmalloc_node", row_kmalloc},
	{"should_fail_alloc", row_failures},
	{0},
};
