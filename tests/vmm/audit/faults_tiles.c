/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults in tiles and trees. */
#include "tests/vmm/audit/faults.h"

#define WILD 0xdeadbeef000ull

/* ---- areas ---- */

static u64 tile_overlaps(struct mix *mix)
{
	struct vmap_area *area = mix_tile(mix, mix->inlined);
	u64 next = area->va_end;

	area->va_end += PAGE_SIZE;
	return next;
}

static u64 tile_leaves_gap(struct mix *mix)
{
	struct vmap_area *area = mix_tile(mix, mix->inlined);

	area->va_end -= PAGE_SIZE;
	return area->va_end;
}

static u64 tile_off_page(struct mix *mix)
{
	struct vmap_area *area = mix_tile(mix, mix->kmalloced);

	area->va_start += 8;
	list_entry(area->tile.prev, struct vmap_area, tile)->va_end += 8;
	return mix->kmalloced + 8;
}

static u64 tile_empty(struct mix *mix)
{
	struct vmap_area *area = mix_tile(mix, mix->single);

	area->va_end = area->va_start;
	return mix->single;
}

static u64 tile_state_unknown(struct mix *mix)
{
	mix_tile(mix, mix->single)->state = 7;
	return mix->single;
}

static u64 tiles_swapped(struct mix *mix)
{
	struct vmap_area *area = mix_tile(mix, mix->single);
	struct list_head *next = area->tile.next;

	list_del(&area->tile);
	list_add(&area->tile, next);
	return mix->inlined;
}

static u64 tiles_loop(struct mix *mix)
{
	struct vmap_area *early = mix_tile(mix, mix->single);

	mix_tile(mix, mix->nested)->tile.next = &early->tile;
	return (u64)(uintptr_t)early;
}

static u64 tile_link_wild(struct mix *mix)
{
	mix_tile(mix, mix->nested)->tile.next = (struct list_head *)(uintptr_t)WILD;
	return WILD - offsetof(struct vmap_area, tile);
}

static u64 tiles_cut_short(struct mix *mix)
{
	struct vmap_space *space = &mix->mm->vmap;
	struct vmap_area *last = list_entry(space->tiles.prev, struct vmap_area, tile);
	u64 end = last->va_start;

	list_del(&last->tile);
	return end;
}

static u64 vm_missing(struct mix *mix)
{
	mix_tile(mix, mix->single)->vm = NULL;
	return mix->single;
}

static u64 vm_wild(struct mix *mix)
{
	mix_tile(mix, mix->single)->vm = (struct vm_struct *)(uintptr_t)(WILD + 3);
	return mix->single;
}

static u64 vm_address_wrong(struct mix *mix)
{
	mix_vm(mix, mix->inlined)->addr -= PAGE_SIZE;
	return mix->inlined;
}

static u64 vm_size_wrong(struct mix *mix)
{
	mix_vm(mix, mix->inlined)->size -= PAGE_SIZE;
	return mix->inlined;
}

static u64 vm_of_another(struct mix *mix)
{
	mix_vm(mix, mix->inlined)->area = mix_tile(mix, mix->single);
	return mix->inlined;
}

static u64 vm_lists_too_many(struct mix *mix)
{
	mix_vm(mix, mix->inlined)->nr_pages++;
	return mix->inlined;
}

static u64 vm_lists_too_few(struct mix *mix)
{
	mix_vm(mix, mix->inlined)->nr_pages--;
	return mix->inlined;
}

static u64 guard_mapped(struct mix *mix)
{
	u64 guard = mix->inlined + 10 * PAGE_SIZE;

	mix_map(mix, guard, mix_phys(mix, mix_page(mix, mix->inlined)), PAGE_KERNEL);
	return guard;
}

static void expect(struct mix *mix, u64 address, u64 size, u64 align, u64 start, u64 end)
{
	const struct audit_expectation expectation = {
		.address = address,
		.size = size,
		.align = align,
		.start = start,
		.end = end,
		.node = -1,
	};

	audit_expect(mix->audit, &expectation);
}

static u64 outside_window(struct mix *mix)
{
	expect(mix, mix->outside, 2 * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	return mix->outside;
}

static u64 beyond_window(struct mix *mix)
{
	/* The guard page does not fit any more. */
	expect(mix, mix->inlined, 10 * PAGE_SIZE, 1, VMALLOC_START,
	       mix->inlined + 11 * PAGE_SIZE - 1);
	return mix->inlined;
}

static u64 not_aligned(struct mix *mix)
{
	expect(mix, mix->inlined, 10 * PAGE_SIZE, 1ull << 21, VMALLOC_START, VMALLOC_END);
	return mix->inlined;
}

static u64 not_the_size(struct mix *mix)
{
	expect(mix, mix->inlined, 11 * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	return mix->inlined;
}

static u64 not_there(struct mix *mix)
{
	expect(mix, mix->hole, PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	return mix->hole;
}

/* ---- free-tree ---- */

static struct vmap_area *of_node(struct rb_node *node)
{
	return container_of(node, struct vmap_area, node);
}

static u64 maximum_wrong(struct mix *mix)
{
	struct vmap_area *root = of_node(mix->mm->vmap.free.node);

	root->subtree_max += PAGE_SIZE;
	return root->va_start;
}

static u64 maximum_stale(struct mix *mix)
{
	struct vmap_area *hole = mix_tile(mix, mix->hole);

	hole->subtree_max -= PAGE_SIZE;
	return mix->hole;
}

static u64 colour_flipped(struct mix *mix)
{
	struct vmap_area *root = of_node(mix->mm->vmap.busy.node);

	root->node.parent_color ^= RB_RED;
	return (u64)(uintptr_t)&root->node;
}

static u64 node_out_of_order(struct mix *mix)
{
	struct rb_node *root = mix->mm->vmap.busy.node, *left = root->left;

	root->left = root->right;
	root->right = left;
	return of_node(root)->va_start;
}

static u64 parent_wrong(struct mix *mix)
{
	struct rb_node *root = mix->mm->vmap.busy.node, *right = root->right;

	right->parent_color = (uintptr_t)right | (right->parent_color & 1);
	return of_node(right)->va_start;
}

static u64 free_tile_forgotten(struct mix *mix)
{
	struct vmap_area *hole = mix_tile(mix, mix->hole);

	rb_erase(&mix->mm->vmap.free, &hole->node, NULL);
	return mix->hole;
}

static u64 busy_tile_forgotten(struct mix *mix)
{
	rb_erase(&mix->mm->vmap.busy, &mix_tile(mix, mix->nested)->node, NULL);
	return mix->nested;
}

static u64 busy_tile_in_free_tree(struct mix *mix)
{
	mix_tile(mix, mix->hole)->state = VMAP_AREA_BUSY;
	return mix->hole;
}

static u64 tree_loops(struct mix *mix)
{
	struct rb_node *first = rb_first(&mix->mm->vmap.busy);

	first->left = mix->mm->vmap.busy.node;
	return of_node(mix->mm->vmap.busy.node)->va_start;
}

static u64 tree_link_wild(struct mix *mix)
{
	rb_first(&mix->mm->vmap.free)->left = (struct rb_node *)(uintptr_t)WILD;
	return WILD;
}

static u64 lazy_list_loops(struct mix *mix)
{
	struct vmap_area *newest = mix->mm->vmap.lazy;

	newest->next_lazy->next_lazy = newest;
	return newest->va_start;
}

static u64 lazy_tile_forgotten(struct mix *mix)
{
	u64 forgotten = mix->mm->vmap.lazy->va_start;

	mix->mm->vmap.lazy = mix->mm->vmap.lazy->next_lazy;
	return forgotten;
}

static u64 busy_count_wrong(struct mix *mix)
{
	mix->mm->vmap.nr_busy++;
	return (u64)(uintptr_t)&mix->mm->vmap.nr_busy;
}

static u64 lazy_pages_wrong(struct mix *mix)
{
	mix->mm->vmap.nr_lazy_pages++;
	return (u64)(uintptr_t)&mix->mm->vmap.nr_lazy_pages;
}

static u64 neighbours_not_merged(struct mix *mix)
{
	struct vmap_area *lazy = mix_tile(mix, mix->lazy[1]);

	mix_tile(mix, mix->lazy[0])->state = VMAP_AREA_FREE;
	lazy->state = VMAP_AREA_FREE;
	return mix->lazy[1];
}

/* ---- areas: what kind ---- */

static u64 change_kind(struct mix *mix, u64 va, u32 kind)
{
	mix_tile(mix, va)->kind = kind;
	return va;
}

static u64 kind_unknown(struct mix *mix)
{
	return change_kind(mix, mix->single, 77);
}

static u64 frames_in_reserved(struct mix *mix)
{
	return change_kind(mix, mix->kmalloced, VMAP_RESERVED);
}

static u64 frames_in_mapped(struct mix *mix)
{
	return change_kind(mix, mix->inlined, VMAP_MAPPED);
}

static u64 no_frames(struct mix *mix)
{
	return change_kind(mix, mix->mapped, VMAP_FRAMES);
}

static u64 array_for_anybody(struct mix *mix)
{
	change_kind(mix, (u64)(uintptr_t)mix_vm(mix, mix->nested)->pages, VMAP_FRAMES);
	return mix->nested;
}

static u64 array_of_nobody(struct mix *mix)
{
	change_kind(mix, mix->single, VMAP_ARRAY);
	return 0;
}

static u64 space_locked(struct mix *mix)
{
	spin_lock(&mix->mm->vmap.lock);
	return (u64)(uintptr_t)&mix->mm->vmap.lock;
}

const struct fault tile_faults[] = {
	FAULT(tile_overlaps, AUDIT_AREAS, "overlap"),
	FAULT(tile_leaves_gap, AUDIT_AREAS, "gap"),
	FAULT(tile_off_page, AUDIT_AREAS, "does not start on a page"),
	FAULT(tile_empty, AUDIT_AREAS, "ends before it starts"),
	FAULT(tile_state_unknown, AUDIT_AREAS, "no known state"),
	FAULT(tiles_swapped, AUDIT_AREAS, "not in address order"),
	FAULT(tiles_loop, AUDIT_AREAS, "prev link"),
	FAULT(tile_link_wild, AUDIT_AREAS, "leads to no memory"),
	FAULT(tiles_cut_short, AUDIT_AREAS, "do not end where the space does"),
	FAULT(vm_missing, AUDIT_AREAS, "not complete"),
	FAULT(vm_wild, AUDIT_AREAS, "not in memory"),
	FAULT(vm_address_wrong, AUDIT_AREAS, "another address"),
	FAULT(vm_size_wrong, AUDIT_AREAS, "another size"),
	FAULT(vm_of_another, AUDIT_AREAS, "another tile"),
	FAULT(vm_lists_too_many, AUDIT_AREAS, "more frames than it has pages"),
	FAULT(vm_lists_too_few, AUDIT_AREAS, "fewer frames than it has pages"),
	FAULT(kind_unknown, AUDIT_AREAS, "no known kind"),
	FAULT(frames_in_reserved, AUDIT_AREAS, "without frames of its own lists some"),
	FAULT(frames_in_mapped, AUDIT_AREAS, "without frames of its own lists some"),
	FAULT(no_frames, AUDIT_AREAS, "lists none"),
	FAULT(array_for_anybody, AUDIT_AREAS, "is no area for one"),
	FAULT(array_of_nobody, AUDIT_AREAS, "not as many areas for page arrays"),
	FAULT(guard_mapped, AUDIT_AREAS, "guard page"),
	FAULT(outside_window, AUDIT_AREAS, "outside the window"),
	FAULT(beyond_window, AUDIT_AREAS, "outside the window"),
	FAULT(not_aligned, AUDIT_AREAS, "not aligned"),
	FAULT(not_the_size, AUDIT_AREAS, "not the size"),
	FAULT(not_there, AUDIT_AREAS, "no area where"),
	FAULT(maximum_wrong, AUDIT_FREE_TREE, "maximum"),
	FAULT(maximum_stale, AUDIT_FREE_TREE, "maximum"),
	FAULT(colour_flipped, AUDIT_FREE_TREE, "root of the busy tree is red"),
	FAULT(node_out_of_order, AUDIT_FREE_TREE, "not in order"),
	FAULT(parent_wrong, AUDIT_FREE_TREE, "parent"),
	FAULT(free_tile_forgotten, AUDIT_FREE_TREE, "not in the free tree"),
	FAULT(busy_tile_forgotten, AUDIT_FREE_TREE, "not in the busy tree"),
	FAULT(busy_tile_in_free_tree, AUDIT_FREE_TREE, "another state"),
	FAULT(tree_loops, AUDIT_FREE_TREE, "twice"),
	FAULT(tree_link_wild, AUDIT_FREE_TREE, "no tile"),
	FAULT(lazy_list_loops, AUDIT_FREE_TREE, "lazy list"),
	FAULT(lazy_tile_forgotten, AUDIT_FREE_TREE, "not on the lazy list"),
	FAULT(busy_count_wrong, AUDIT_FREE_TREE, "nr_busy"),
	FAULT(lazy_pages_wrong, AUDIT_FREE_TREE, "nr_lazy_pages"),
	FAULT(neighbours_not_merged, AUDIT_FREE_TREE, "not merged"),
	FAULT(space_locked, AUDIT_FREE_TREE, "lock of the address space"),
	FAULT(guard_mapped, AUDIT_STRAY, "guard page"),
	{.name = NULL},
};
