/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults in frames: those of areas, free ones, fresh ones. */
#include "tests/vmm/audit/faults.h"

#define WILD 0xdeadbeef000ull

/* ---- frames: areas ---- */

static u64 page_doubled(struct mix *mix)
{
	struct vm_struct *vm = mix_vm(mix, mix->kmalloced);

	vm->pages[9] = vm->pages[8];
	return mix_phys(mix, vm->pages[8]);
}

static u64 page_of_two_areas(struct mix *mix)
{
	struct page *page = mix_page(mix, mix->single);

	mix_vm(mix, mix->readonly)->pages[1] = page;
	return mix_phys(mix, page);
}

static u64 area_page_free(struct mix *mix)
{
	struct zone *zone;
	struct page *page = mix_free_block(mix, 0, &zone);

	mix_vm(mix, mix->single)->pages[0] = page;
	return mix_phys(mix, page);
}

static u64 area_page_leaked(struct mix *mix)
{
	struct vm_struct *vm = mix_vm(mix, mix->inlined);
	struct page *leaked = vm->pages[2];

	vm->pages[2] = vm->pages[1];
	return mix_phys(mix, leaked);
}

static u64 area_page_other_state(struct mix *mix)
{
	struct page *page = mix_page(mix, mix->single);

	page->state = PAGE_OTHER;
	return mix_phys(mix, page);
}

static u64 area_page_other_owner(struct mix *mix)
{
	struct page *page = mix_page(mix, mix->single);

	page->owner = mix_vm(mix, mix->inlined);
	return mix_phys(mix, page);
}

static u64 area_page_count(struct mix *mix)
{
	struct page *page = mix_page(mix, mix->single);

	page->refcount = 2;
	return mix_phys(mix, page);
}

static u64 area_page_other_zone(struct mix *mix)
{
	struct page *page = mix_page(mix, mix->single);

	page->zone = ZONE_DMA;
	return mix_phys(mix, page);
}

static u64 area_page_other_node(struct mix *mix)
{
	struct page *page = mix_page(mix, mix->single);

	page->node = 1;
	return mix_phys(mix, page);
}

static u64 area_page_forgotten(struct mix *mix)
{
	struct page *page = mix_page(mix, mix->single);

	/* As if it had never been handed out, and the area had lost it. */
	page->word = 0;
	mix_vm(mix, mix->single)->nr_pages = 0;
	return mix_phys(mix, page);
}

static u64 area_freed_frames_kept(struct mix *mix)
{
	struct page *page = mix_page(mix, mix->inlined);

	mix_tile(mix, mix->inlined)->kind = VMAP_MAPPED;
	return mix_phys(mix, page);
}

/* ---- frames: free lists ---- */

static u64 block_forgotten(struct mix *mix)
{
	struct zone *zone;
	struct page *page = mix_free_block(mix, 0, &zone);

	list_del(&page->list);
	zone->nr_free[page->order]--;
	return mix_phys(mix, page);
}

static u64 block_count_wrong(struct mix *mix)
{
	struct zone *zone;
	struct page *page = mix_free_block(mix, 0, &zone);

	zone->nr_free[page->order]++;
	return (u64)(uintptr_t)zone;
}

static u64 free_count_wrong(struct mix *mix)
{
	struct zone *zone;

	mix_free_block(mix, 0, &zone);
	zone->free_pages--;
	return (u64)(uintptr_t)zone;
}

static u64 managed_count_wrong(struct mix *mix)
{
	mix->mm->node[1].zone[ZONE_NORMAL].managed_pages++;
	return (u64)(uintptr_t)&mix->mm->node[1].zone[ZONE_NORMAL];
}

static u64 block_list_loops(struct mix *mix)
{
	struct zone *zone;
	struct page *page = mix_free_block(mix, 0, &zone);

	page->list.next = &page->list;
	return mix_phys(mix, page);
}

static u64 block_link_wild(struct mix *mix)
{
	struct zone *zone;
	struct page *page = mix_free_block(mix, 0, &zone);

	page->list.next = (struct list_head *)(uintptr_t)WILD;
	return (u64)(uintptr_t)&page->list;
}

static u64 block_order_wrong(struct mix *mix)
{
	struct zone *zone;
	struct page *page = mix_free_block(mix, 1, &zone);

	page->order--;
	return mix_phys(mix, page);
}

static u64 block_marked_in_use(struct mix *mix)
{
	struct zone *zone;
	struct page *page = mix_free_block(mix, 0, &zone);

	page->state = PAGE_KMALLOC;
	return mix_phys(mix, page);
}

static u64 block_body_in_use(struct mix *mix)
{
	struct zone *zone;
	struct page *page = mix_free_block(mix, 1, &zone) + 1;

	page->state = PAGE_SLAB;
	return mix_phys(mix, page);
}

static u64 buddies_not_merged(struct mix *mix)
{
	struct zone *zone;
	struct page *page = mix_free_block(mix, 1, &zone);
	u32 order = page->order;
	struct page *half = page + (1u << (order - 1));

	list_del(&page->list);
	zone->nr_free[order]--;
	page->order--;
	half->word = page->word;
	list_add(&page->list, &zone->free[order - 1]);
	list_add(&half->list, &zone->free[order - 1]);
	zone->nr_free[order - 1] += 2;
	return mix_phys(mix, page);
}

static u64 page_on_two_lists(struct mix *mix)
{
	struct zone *zone = mix_pcp_zone(mix);
	struct page *page = zone->pcp[0].top, *last = page;

	while (last->next)
		last = last->next;
	/* The same list twice, so that the other CPU has what this one has. */
	zone->pcp[1] = zone->pcp[0];
	return mix_phys(mix, page);
}

static u64 pcp_loops(struct mix *mix)
{
	struct zone *zone = mix_pcp_zone(mix);
	struct page *page = zone->pcp[0].top;

	page->next->next = page;
	return mix_phys(mix, page);
}

static u64 pcp_link_wild(struct mix *mix)
{
	struct page_pcp *pcp = &mix_pcp_zone(mix)->pcp[0];

	pcp->top->next = (struct page *)(uintptr_t)WILD;
	return (u64)(uintptr_t)pcp;
}

static u64 pcp_count_wrong(struct mix *mix)
{
	struct page_pcp *pcp = &mix_pcp_zone(mix)->pcp[0];

	pcp->count++;
	return (u64)(uintptr_t)pcp;
}

static u64 pcp_page_lost(struct mix *mix)
{
	struct page_pcp *pcp = &mix_pcp_zone(mix)->pcp[0];
	struct page *page = pcp->top;

	pcp->top = page->next;
	pcp->count--;
	return mix_phys(mix, page);
}

static u64 pcp_of_no_cpu(struct mix *mix)
{
	struct page_pcp *pcp = mix_pcp_zone(mix)->pcp;

	pcp[5] = pcp[0];
	pcp[0] = (struct page_pcp){.top = NULL};
	return (u64)(uintptr_t)&pcp[5];
}

/* ---- frames: fresh spans and boot memory ---- */

/* The span that frames are eaten from, which has some left. */
static struct fresh_span *eaten_span(struct mix *mix)
{
	struct zone *zone = &mix->mm->node[0].zone[ZONE_NORMAL];

	return &zone->span[zone->next_span];
}

static u64 span_takes_back(struct mix *mix)
{
	struct fresh_span *span = eaten_span(mix);
	struct page *page = mix_page(mix, mix->single);

	span->start_pfn = page_to_pfn(mix->mm, page);
	return mix_phys(mix, page);
}

static u64 span_loses(struct mix *mix)
{
	struct fresh_span *span = eaten_span(mix);

	span->start_pfn += 4;
	return (span->start_pfn - 4) << PAGE_SHIFT;
}

static u64 unused_span_loses(struct mix *mix)
{
	mix->mm->node[1].zone[ZONE_NORMAL].span[0].end_pfn -= 100;
	return MIX_FAR_PHYS;
}

static u64 span_over_boot_memory(struct mix *mix)
{
	struct fresh_span *span = &mix->mm->node[1].zone[ZONE_NORMAL].span[0];

	*span = (struct fresh_span){.start_pfn = MIX_IMAGE_PHYS >> PAGE_SHIFT,
				    .end_pfn = (MIX_IMAGE_PHYS >> PAGE_SHIFT) + 2};
	return MIX_IMAGE_PHYS;
}

static u64 boot_memory_in_use(struct mix *mix)
{
	struct page *page = mix_page(mix, mix->dma32);

	/* A frame of the image, in a section in use, handed to an area. */
	mix_vm(mix, mix->dma32)->pages[0] = pfn_to_page(mix->mm, MIX_IMAGE_PHYS >> PAGE_SHIFT);
	return page ? MIX_IMAGE_PHYS : 0;
}

static u64 boot_memory_marked(struct mix *mix)
{
	pfn_to_page(mix->mm, MIX_IMAGE_PHYS >> PAGE_SHIFT)->state = PAGE_SLAB;
	return MIX_IMAGE_PHYS;
}

static u64 total_wrong(struct mix *mix)
{
	mix->mm->total_pages++;
	return (u64)(uintptr_t)&mix->mm->total_pages;
}

const struct fault frame_faults[] = {
	FAULT(page_doubled, AUDIT_FRAMES, "an area and by an area"),
	FAULT(page_of_two_areas, AUDIT_FRAMES, "an area and by an area"),
	FAULT(area_page_free, AUDIT_FRAMES, "a free list and by an area"),
	FAULT(area_page_leaked, AUDIT_FRAMES, "no area lists"),
	FAULT(area_page_other_state, AUDIT_FRAMES, "not marked so"),
	FAULT(area_page_other_owner, AUDIT_FRAMES, "another owner"),
	FAULT(area_page_count, AUDIT_FRAMES, "wrong count"),
	FAULT(area_page_other_zone, AUDIT_FRAMES, "another zone"),
	FAULT(area_page_other_node, AUDIT_FRAMES, "another node"),
	FAULT(area_page_forgotten, AUDIT_FRAMES, "nobody owns"),
	FAULT(area_freed_frames_kept, AUDIT_FRAMES, "no area lists"),
	FAULT(block_forgotten, AUDIT_FRAMES, "on no free list"),
	FAULT(block_count_wrong, AUDIT_FRAMES, "free blocks of order"),
	FAULT(free_count_wrong, AUDIT_FRAMES, "counts its free frames wrong"),
	FAULT(managed_count_wrong, AUDIT_FRAMES, "counts its frames wrong"),
	FAULT(block_list_loops, AUDIT_FRAMES, "prev link"),
	FAULT(block_link_wild, AUDIT_FRAMES, "no struct page"),
	FAULT(block_order_wrong, AUDIT_FRAMES, "another order"),
	FAULT(block_marked_in_use, AUDIT_FRAMES, "not marked free"),
	FAULT(block_body_in_use, AUDIT_FRAMES, "inside a free block"),
	FAULT(buddies_not_merged, AUDIT_FRAMES, "not merged"),
	FAULT(page_on_two_lists, AUDIT_FRAMES, "a per-CPU list and by a per-CPU list"),
	FAULT(pcp_loops, AUDIT_FRAMES, "a per-CPU list and by a per-CPU list"),
	FAULT(pcp_link_wild, AUDIT_FRAMES, "no struct page"),
	FAULT(pcp_count_wrong, AUDIT_FRAMES, "counts its frames of zone"),
	FAULT(pcp_page_lost, AUDIT_FRAMES, "that is on none"),
	FAULT(pcp_of_no_cpu, AUDIT_FRAMES, "which is none"),
	FAULT(span_takes_back, AUDIT_FRAMES, "fresh frames and by an area"),
	FAULT(span_loses, AUDIT_FRAMES, "nobody owns"),
	FAULT(unused_span_loses, AUDIT_FRAMES, "not in use"),
	FAULT(span_over_boot_memory, AUDIT_FRAMES, "over boot memory"),
	FAULT(boot_memory_in_use, AUDIT_FRAMES, "boot memory and by an area"),
	FAULT(boot_memory_marked, AUDIT_FRAMES, "more than nothing"),
	FAULT(total_wrong, AUDIT_FRAMES, "all of RAM"),
	{.name = NULL},
};
