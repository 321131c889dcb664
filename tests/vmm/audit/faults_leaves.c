/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults in leaves, and in what areas list. */
#include "tests/vmm/audit/faults.h"

#define WILD 0xdeadbeef000ull

/* ---- mapping ---- */

static u64 leaf_cleared(struct mix *mix)
{
	u64 va = mix->kmalloced + 17 * PAGE_SIZE;

	*mix_entry(mix, va, 1) = 0;
	return va;
}

static u64 last_leaf_cleared(struct mix *mix)
{
	u64 va = mix->nested + 999 * PAGE_SIZE;

	*mix_entry(mix, va, 1) = 0;
	return va;
}

static u64 all_leaves_cleared(struct mix *mix)
{
	pt_unmap(mix->mm, &mix->mm->pt, mix->module, mix->module + 5 * PAGE_SIZE);
	return mix->module;
}

static u64 wrong_frame(struct mix *mix)
{
	u64 va = mix->directory + 600 * PAGE_SIZE;

	*mix_entry(mix, va, 1) ^= PAGE_SIZE;
	return va;
}

static u64 frames_swapped(struct mix *mix)
{
	struct vm_struct *vm = mix_vm(mix, mix->inlined);
	struct page *page = vm->pages[3];

	vm->pages[3] = vm->pages[4];
	vm->pages[4] = page;
	return mix->inlined + 3 * PAGE_SIZE;
}

/* The list of frames and the leaves agree; only the flush is missing. */
static u64 frames_exchanged(struct mix *mix)
{
	u64 va = frames_swapped(mix), *leaf = mix_entry(mix, va, 1), entry = leaf[0];

	leaf[0] = leaf[1];
	leaf[1] = entry;
	return va;
}

static u64 eager_without_flush(struct mix *mix)
{
	vmap_set_mode(mix->mm, VMAP_EAGER);
	return leaf_cleared(mix);
}

static u64 written_read_only(struct mix *mix)
{
	*mix_entry(mix, mix->readonly + PAGE_SIZE, 1) |= X86_PTE_RW;
	return mix->readonly + PAGE_SIZE;
}

static u64 executable_data(struct mix *mix)
{
	*mix_entry(mix, mix->single, 1) &= ~X86_PTE_NX;
	return mix->single;
}

static u64 uncached_data(struct mix *mix)
{
	*mix_entry(mix, mix->outside, 1) |= X86_PTE_PCD;
	return mix->outside;
}

static u64 reserved_range_mapped(struct mix *mix)
{
	mix_map(mix, mix->reserved + PAGE_SIZE, 0x3000, PAGE_KERNEL);
	return mix->reserved + PAGE_SIZE;
}

static u64 array_entry_wild(struct mix *mix)
{
	mix_vm(mix, mix->kmalloced)->pages[5] = (struct page *)(uintptr_t)WILD;
	return mix->kmalloced + 5 * PAGE_SIZE;
}

static u64 array_entry_between(struct mix *mix)
{
	struct vm_struct *vm = mix_vm(mix, mix->kmalloced);

	vm->pages[6] = (struct page *)((char *)vm->pages[6] + 8);
	return mix->kmalloced + 6 * PAGE_SIZE;
}

static u64 array_wild(struct mix *mix)
{
	mix_vm(mix, mix->kmalloced)->pages = (struct page **)(uintptr_t)WILD;
	return mix->kmalloced;
}

static u64 nested_array_unmapped(struct mix *mix)
{
	struct vm_struct *vm = mix_vm(mix, mix->nested);

	*mix_entry(mix, (u64)(uintptr_t)vm->pages + PAGE_SIZE, 1) = 0;
	return mix->nested + 512 * PAGE_SIZE;
}

static u64 large_leaf(struct mix *mix)
{
	u64 va = ALIGN_UP(mix->directory, 1ull << 21);

	*mix_entry(mix, va, 2) = 0x400000 | X86_PTE_PS | PAGE_KERNEL;
	return va;
}

/* ---- stray ---- */

static u64 leaf_in_hole(struct mix *mix)
{
	mix_map(mix, mix->hole + 2 * PAGE_SIZE, 0x5000, PAGE_KERNEL);
	return mix->hole + 2 * PAGE_SIZE;
}

static u64 leaf_in_lazy_range(struct mix *mix)
{
	mix_map(mix, mix->lazy[2] + 4 * PAGE_SIZE, 0x5000, PAGE_KERNEL);
	return mix->lazy[2] + 4 * PAGE_SIZE;
}

static u64 leaf_in_user_half(struct mix *mix)
{
	mix_map(mix, 0x400000, 0x5000, PAGE_KERNEL);
	return 0x400000;
}

static u64 leaf_in_module_window(struct mix *mix)
{
	mix_map(mix, MODULES_END - PAGE_SIZE, 0x5000, PAGE_KERNEL);
	return MODULES_END - PAGE_SIZE;
}

static u64 direct_map_crooked(struct mix *mix)
{
	mix_map(mix, NB_DIRECT_BASE + 0x7000, 0x8000, PAGE_KERNEL);
	return NB_DIRECT_BASE + 0x7000;
}

static u64 image_maps_others(struct mix *mix)
{
	mix_map(mix, NB_IMAGE_BASE + 0x7000, 0x7000, PAGE_KERNEL);
	return NB_IMAGE_BASE + 0x7000;
}

static u64 page_array_outside_ram(struct mix *mix)
{
	mix_map(mix, NB_MEMMAP_BASE, 1ull << 45, PAGE_KERNEL);
	return NB_MEMMAP_BASE;
}

/* ---- zones, stage2, wx ---- */

static u64 frame_above_zone(struct mix *mix)
{
	mix_vm(mix, mix->inlined)->gfp |= __GFP_DMA32;
	return mix->inlined;
}

static u64 frame_of_other_node(struct mix *mix)
{
	const struct audit_expectation expectation = {
		.address = mix->single,
		.size = PAGE_SIZE,
		.align = 1,
		.start = VMALLOC_START,
		.end = VMALLOC_END,
		.gfp = GFP_KERNEL | __GFP_THISNODE,
		.node = 1,
	};

	audit_expect(mix->audit, &expectation);
	return mix->single;
}

static u64 leaf_without_memory(struct mix *mix)
{
	*mix_entry(mix, mix->single, 1) =
		(*mix_entry(mix, mix->single, 1) & ~X86_PTE_ADDR_MASK) | 1ull << 44;
	return mix->single;
}

static u64 open_to_user(struct mix *mix)
{
	for (int level = 4; level >= 1; level--)
		*mix_entry(mix, mix->single, level) |= X86_PTE_US;
	return mix->single;
}

/* A leaf of vmap()'s that leads to @phys. */
static u64 show(struct mix *mix, u64 phys)
{
	u64 *entry = mix_entry(mix, mix->mapped + 2 * PAGE_SIZE, 1);

	*entry = (*entry & ~X86_PTE_ADDR_MASK) | phys;
	return mix->mapped + 2 * PAGE_SIZE;
}

static u64 free_frame_shown(struct mix *mix)
{
	struct zone *zone;

	return show(mix, mix_phys(mix, mix_free_block(mix, 0, &zone)));
}

static u64 fresh_frame_shown(struct mix *mix)
{
	return show(mix, MIX_FAR_PHYS);
}

static u64 page_table_shown(struct mix *mix)
{
	return show(mix, *mix_entry(mix, mix->single, 2) & X86_PTE_ADDR_MASK);
}

static u64 shown_uncached(struct mix *mix)
{
	*mix_entry(mix, mix->mapped + PAGE_SIZE, 1) |= X86_PTE_PCD;
	return mix->mapped + PAGE_SIZE;
}

static u64 image_written_by_alias(struct mix *mix)
{
	mix_map(mix, NB_IMAGE_BASE + MIX_IMAGE_PHYS, MIX_IMAGE_PHYS, PAGE_KERNEL_ROX);
	mix_map(mix, NB_DIRECT_BASE + MIX_IMAGE_PHYS, MIX_IMAGE_PHYS, PAGE_KERNEL);
	return NB_DIRECT_BASE + MIX_IMAGE_PHYS;
}

const struct fault leaf_faults[] = {
	FAULT(leaf_cleared, AUDIT_MAPPING, "1 pages of the area"),
	FAULT(last_leaf_cleared, AUDIT_MAPPING, "not mapped"),
	FAULT(all_leaves_cleared, AUDIT_MAPPING, "5 pages of the area"),
	FAULT(wrong_frame, AUDIT_MAPPING, "another frame"),
	FAULT(frames_swapped, AUDIT_MAPPING, "another frame"),
	FAULT(written_read_only, AUDIT_MAPPING, "protection"),
	FAULT(executable_data, AUDIT_MAPPING, "protection"),
	FAULT(uncached_data, AUDIT_MAPPING, "protection"),
	FAULT(reserved_range_mapped, AUDIT_MAPPING, "lists no frame for"),
	FAULT(array_entry_wild, AUDIT_MAPPING, "no struct page"),
	FAULT(array_entry_between, AUDIT_MAPPING, "no struct page"),
	FAULT(array_wild, AUDIT_MAPPING, "cannot be read"),
	FAULT(nested_array_unmapped, AUDIT_MAPPING, "cannot be read"),
	FAULT(large_leaf, AUDIT_MAPPING, "large leaf"),
	FAULT(free_frame_shown, AUDIT_MAPPING, "nobody's to show"),
	FAULT(fresh_frame_shown, AUDIT_MAPPING, "nobody's to show"),
	FAULT(page_table_shown, AUDIT_MAPPING, "nobody's to show"),
	FAULT(shown_uncached, AUDIT_MAPPING, "protection"),
	FAULT(leaf_in_hole, AUDIT_STRAY, "outside all areas"),
	FAULT(leaf_in_lazy_range, AUDIT_STRAY, "lazily freed"),
	FAULT(leaf_in_user_half, AUDIT_STRAY, "outside all areas"),
	FAULT(leaf_in_module_window, AUDIT_STRAY, "outside all areas"),
	FAULT(direct_map_crooked, AUDIT_STRAY, "the direct map"),
	FAULT(image_maps_others, AUDIT_STRAY, "the image"),
	FAULT(page_array_outside_ram, AUDIT_STRAY, "the page array"),
	FAULT(frame_above_zone, AUDIT_ZONES, "above the zone"),
	FAULT(frame_of_other_node, AUDIT_ZONES, "another node"),
	FAULT(leaf_without_memory, AUDIT_STAGE2, "no memory"),
	FAULT(page_array_outside_ram, AUDIT_STAGE2, "no memory"),
	FAULT(executable_data, AUDIT_WX, "writable and executable"),
	FAULT(open_to_user, AUDIT_WX, "user mode"),
	FAULT(image_written_by_alias, AUDIT_WX, "alias"),
	FAULT(frames_exchanged, AUDIT_TLB, "not flushed since"),
	FAULT(eager_without_flush, AUDIT_TLB, "no flush covers it"),
	{.name = NULL},
};
