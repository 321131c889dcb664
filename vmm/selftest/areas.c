/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of the self-test: areas of the address space, reserved, found and given up. */
#include <errno.h>

#include "vmm/selftest/private.h"

#define RW (PAGING_R | PAGING_W)

/* A window no other row uses. */
#define WINDOW 0xffffcc0000000000ull

/* NB_OP_GET_VM_AREA of @size in [WINDOW, WINDOW + 16 MiB). */
#define NODE_ARGS(size, align, flags, node)                                                \
	size, align, WINDOW, WINDOW + (16ull << 20), NB_GFP_KERNEL, NB_PAGE_KERNEL, flags, \
		(uint64_t)(node)

static void get_vm_area_in_general(struct selftest *t)
{
	uint64_t any, io, io_flag = t->layout->vm_ioremap;

	any = MAKE(t, NB_OP_GET_VM_AREA_WINDOW, 2 * PAGE + 1, NB_VM_ALLOC, 0, 0);
	selftest_expect_area(t, any, 3, 0, NB_VM_ALLOC);
	selftest_expect_clear(t, any, 4);
	io = MAKE(t, NB_OP_GET_VM_AREA_WINDOW, 8 * PAGE, io_flag, 0, 0);
	selftest_expect_area(t, io, 8, 0, io_flag);
	EXPECT(t, io % (8 * PAGE) == 0, "an I/O area of 8 pages at %#lx", io);
	REFUSE(t, -EINVAL, NB_OP_GET_VM_AREA_WINDOW, 0, 0, 0, 0);
	REFUSE(t, -EINVAL, NB_OP_GET_VM_AREA_WINDOW, UINT64_MAX, 0, 0, 0);
	REFUSE(t, -ENOSPC, NB_OP_GET_VM_AREA_WINDOW, 1ull << 46, 0, 0, 0);
	DO(t, NB_OP_FREE_VM_AREA, io);
	DO(t, NB_OP_FREE_VM_AREA, any);
	selftest_expect_gone(t, any, 4);
}

/* The window is kept to: what just fits is there, and nothing more fits in. */
static void get_vm_area_in_window(struct selftest *t)
{
	uint64_t at = selftest_reserve_at(t, WINDOW, 3), unaligned;

	selftest_expect_area(t, at, 3, 0, NB_VM_MAP);
	REFUSE(t, -ENOSPC, NB_OP_GET_VM_AREA_WINDOW, PAGE, 0, WINDOW, WINDOW + 4 * PAGE);
	unaligned = MAKE(t, NB_OP_GET_VM_AREA_WINDOW, PAGE, 0, WINDOW + 4 * PAGE + 0x123,
			 WINDOW + 16 * PAGE);
	EXPECT(t, unaligned == WINDOW + 5 * PAGE, "in a window from %#llx on: %#lx",
	       WINDOW + 4 * PAGE + 0x123, unaligned);
	DO(t, NB_OP_FREE_VM_AREA, unaligned);
	DO(t, NB_OP_FREE_VM_AREA, at);
}

/* An I/O area is aligned to its size, up to IOREMAP_MAX_ORDER: 512 KiB. */
static void get_vm_area_node_inner(struct selftest *t)
{
	uint64_t small, large;

	small = MAKE(t, NB_OP_GET_VM_AREA, NODE_ARGS(PAGE, 1, 0, -1));
	EXPECT(t, small == WINDOW, "the lowest address that fits is %#llx, not %#lx", WINDOW,
	       small);
	large = MAKE(t, NB_OP_GET_VM_AREA, NODE_ARGS(2ull << 20, 1, t->layout->vm_ioremap, -1));
	EXPECT(t, large == WINDOW + (512ull << 10), "an I/O area of 2 MiB is at %#lx", large);
	selftest_expect_area(t, large, 512, 0, t->layout->vm_ioremap);
	DO(t, NB_OP_FREE_VM_AREA, large);
	DO(t, NB_OP_FREE_VM_AREA, small);
	selftest_expect_gone(t, small, 1);
}

static void get_vm_area_node(struct selftest *t)
{
	uint64_t at = MAKE(t, NB_OP_GET_VM_AREA, NODE_ARGS(5 * PAGE, 64 * PAGE, NB_VM_MAP, 0));

	EXPECT(t, at % (64 * PAGE) == 0, "%#lx is not aligned to 64 pages", at);
	selftest_expect_area(t, at, 5, 0, NB_VM_MAP);
	REFUSE(t, -EINVAL, NB_OP_GET_VM_AREA, NODE_ARGS(PAGE, 1, 0, NB_MAX_NODES));
	REFUSE(t, -EINVAL, NB_OP_GET_VM_AREA, NODE_ARGS(PAGE, 3 * PAGE, 0, -1));
	DO(t, NB_OP_FREE_VM_AREA, at);
}

static void find_vm_area(struct selftest *t)
{
	uint64_t at = MAKE(t, NB_OP_VMALLOC_CALL, NB_VMALLOC, 3 * PAGE);

	for (uint64_t offset = 0; offset < 3 * PAGE; offset += 3 * PAGE / 2 - 8) {
		if (!DO(t, NB_OP_FIND_VM_AREA, at + offset))
			break;
		EXPECT(t, t->answer.result[0] == at && t->answer.result[3] == 3,
		       "the area of %#lx is at %#lx, with %lu frames", at + offset,
		       t->answer.result[0], t->answer.result[3]);
		EXPECT(t, t->answer.result[2] & NB_VM_ALLOC, "found with flags %#lx",
		       t->answer.result[2]);
	}
	DO(t, NB_OP_VFREE, at);
	REFUSE(t, -ENOENT, NB_OP_FIND_VM_AREA, at);
	REFUSE(t, -ENOENT, NB_OP_FIND_VM_AREA, NB_VMALLOC_END - 1);
}

/* Of an area with frames: they are freed with the bookkeeping. */
static void remove_vm_area(struct selftest *t)
{
	uint64_t at = MAKE(t, NB_OP_VMALLOC_CALL, NB_VMALLOC, 2 * PAGE);

	REFUSE(t, -EINVAL, NB_OP_REMOVE_VM_AREA, at + 1);
	REFUSE(t, -ENOENT, NB_OP_REMOVE_VM_AREA, at + PAGE);
	selftest_expect_mapped(t, at, 2, RW);
	if (DO(t, NB_OP_REMOVE_VM_AREA, at))
		EXPECT(t, t->answer.result[0] == 2 * PAGE && t->answer.result[2] == 2,
		       "removed %#lx bytes, %lu frames", t->answer.result[0], t->answer.result[2]);
	selftest_expect_gone(t, at, 3);
	REFUSE(t, -ENOENT, NB_OP_REMOVE_VM_AREA, at);
}

/* Of a mapping: the frames stay their owner's. */
static void remove_vm_area_inner(struct selftest *t)
{
	uint64_t pfn[2], at;

	selftest_take_frames(t, pfn, 2);
	selftest_set_frame_word(t, pfn[0], 0x0b501e7e);
	selftest_list_frames(t, pfn, 2);
	at = MAKE(t, NB_OP_VMAP, 2, 0, NB_PAGE_KERNEL, 0);
	if (DO(t, NB_OP_REMOVE_VM_AREA, at))
		EXPECT(t,
		       t->answer.result[0] == 2 * PAGE && t->answer.result[1] & NB_VM_MAP &&
			       t->answer.result[2] == 0,
		       "removed %#lx bytes, flags %#lx, %lu frames", t->answer.result[0],
		       t->answer.result[1], t->answer.result[2]);
	selftest_expect_gone(t, at, 2);
	selftest_expect_frame_word(t, pfn[0], 0x0b501e7e);
	selftest_put_frames(t, pfn, 2);
}

/* The tables are there, up to the last page, and nothing is mapped. */
static void expect_tables(struct selftest *t, uint64_t at, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i += pages - 1) {
		struct paging_walk walk = selftest_walk(t, at + i * PAGE);

		EXPECT(t, walk.status == PAGING_NOT_PRESENT && walk.level == 1,
		       "%#lx: %s at level %u", at + i * PAGE, paging_status_name(walk.status),
		       walk.level);
	}
}

static void alloc_vm_area(struct selftest *t)
{
	uint64_t at = MAKE(t, NB_OP_ALLOC_VM_AREA, 3 * PAGE), pfn[3];

	selftest_expect_area(t, at, 3, 0, t->layout->vm_ioremap);
	expect_tables(t, at, 3);
	/* A later mapping takes no table, so the next table that fails fails nothing. */
	selftest_take_frames(t, pfn, 3);
	selftest_list_frames(t, pfn, 3);
	DO(t, NB_OP_SET_FAULT, NB_FAULT_TABLE, 1);
	DO(t, NB_OP_MAP_VM_AREA, at, 3, NB_PAGE_KERNEL, 0);
	if (DO(t, NB_OP_SET_FAULT, NB_FAULT_TABLE, 0))
		EXPECT(t, t->answer.result[0] == 1, "mapping took a page table");
	selftest_expect_frames(t, at, 3, pfn);
	DO(t, NB_OP_FREE_VM_AREA, at);
	selftest_put_frames(t, pfn, 3);
	REFUSE(t, -EINVAL, NB_OP_ALLOC_VM_AREA, 0);
	REFUSE(t, -EINVAL, NB_OP_ALLOC_VM_AREA, UINT64_MAX);
}

/* The seed's callback that makes it touch every PTE: tables over more than one directory entry. */
static void touch_tables(struct selftest *t)
{
	uint64_t at = MAKE(t, NB_OP_ALLOC_VM_AREA, 513 * PAGE);

	selftest_expect_area(t, at, 513, 0, t->layout->vm_ioremap);
	expect_tables(t, at, 513);
	DO(t, NB_OP_FREE_VM_AREA, at);
	selftest_expect_gone(t, at, 513);
}

static void free_vm_area(struct selftest *t)
{
	uint64_t at = MAKE(t, NB_OP_ALLOC_VM_AREA, PAGE);
	uint64_t frames = MAKE(t, NB_OP_VMALLOC_CALL, NB_VMALLOC, PAGE);

	REFUSE(t, -EINVAL, NB_OP_FREE_VM_AREA, 0);
	REFUSE(t, -EINVAL, NB_OP_FREE_VM_AREA, at + 8);
	REFUSE(t, -EBUSY, NB_OP_FREE_VM_AREA, frames);
	selftest_expect_mapped(t, frames, 1, RW);
	DO(t, NB_OP_FREE_VM_AREA, at);
	selftest_expect_gone(t, at, 1);
	REFUSE(t, -ENOENT, NB_OP_FREE_VM_AREA, at);
	DO(t, NB_OP_VFREE, frames);
}

const struct selftest_row selftest_rows_areas[] = {
	{"__get_vm_area_node", get_vm_area_node_inner},
	{"__get_vm_area", get_vm_area_in_window},
	{"get_vm_area", get_vm_area_in_general},
	{"get_vm_area_node", get_vm_area_node},
	{"__find_vm_area", find_vm_area},
	{"__remove_vm_area", remove_vm_area_inner},
	{"remove_vm_area", remove_vm_area},
	{"f", touch_tables},
	{"alloc_vm_area", alloc_vm_area},
	{"free_vm_area", free_vm_area},
	{0},
};
