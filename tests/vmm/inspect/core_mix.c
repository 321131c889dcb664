/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A simulated core with a bit of everything in it. */
#include "tests/vmm/inspect/core_mix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm/vm_area.h"

__attribute__((noreturn)) static void fatal(const char *what)
{
	fprintf(stderr, "core mix: %s\n", what);
	abort();
}

static u64 request_area(struct mix *mix, const struct vmalloc_request *request, bool frames)
{
	u64 addr;
	int err = frames ? vmalloc_node_range(mix->mm, request, &addr)
			 : get_vm_area_node(mix->mm, request, &addr);

	if (err)
		fatal("an allocation failed");
	return addr;
}

static u64 allocate(struct mix *mix, u64 pages, u64 flags, u64 prot, gfp_t gfp)
{
	const struct vmalloc_request request = {
		.size = pages * PAGE_SIZE,
		.align = 1,
		.start = VMALLOC_START,
		.end = VMALLOC_END,
		.prot = prot,
		.flags = flags,
		.gfp = gfp,
		.node = NUMA_NO_NODE,
	};

	return request_area(mix, &request, true);
}

static u64 simple(struct mix *mix, u64 pages)
{
	return allocate(mix, pages, 0, PAGE_KERNEL, GFP_KERNEL);
}

static u64 reserve(struct mix *mix, u64 pages)
{
	const struct vmalloc_request request = {
		.size = pages * PAGE_SIZE,
		.align = 1,
		.start = VMALLOC_START,
		.end = VMALLOC_END,
		.flags = VM_IOREMAP,
		.gfp = GFP_KERNEL,
		.node = NUMA_NO_NODE,
	};

	return request_area(mix, &request, false);
}

static u64 in_window(struct mix *mix, u64 pages, u64 start, u64 end, u64 prot)
{
	const struct vmalloc_request request = {
		.size = pages * PAGE_SIZE,
		.align = 1,
		.start = start,
		.end = end,
		.prot = prot,
		.gfp = GFP_KERNEL,
		.node = NUMA_NO_NODE,
	};

	return request_area(mix, &request, true);
}

/* Four frames of the machine's own in an area. */
static u64 map_others(struct mix *mix)
{
	struct page *pages[4];
	u64 addr;

	if (alloc_pages_bulk(mix->mm, GFP_KERNEL, 0, PAGE_OTHER, mix, 4, pages) != 4 ||
	    vmap(mix->mm, pages, 4, VM_MAP, PAGE_KERNEL, &addr))
		fatal("frames cannot be mapped");
	return addr;
}

static void free_area(struct mix *mix, u64 addr)
{
	if (vfree(mix->mm, addr))
		fatal("a free failed");
}

static struct vm_area_struct *must_range(struct mix *mix, u32 process, u64 start, u64 pages,
					 u64 flags)
{
	struct vm_area_struct *vma;

	if (vma_create(mix->mm, mix->process[process], start, start + pages * PAGE_SIZE, flags,
		       &vma))
		fatal("no user range");
	return vma;
}

static void show(struct mix *mix, struct vm_area_struct *vma, u64 addr, u64 pgoff)
{
	if (remap_vmalloc_range(mix->mm, vma, addr, pgoff))
		fatal("an area cannot be shown");
}

static void insert(struct mix *mix, struct vm_area_struct *vma, u64 addr, struct page *page)
{
	if (vm_insert_page(mix->mm, vma, addr, page))
		fatal("a frame cannot be inserted");
}

static void fill_processes(struct mix *mix)
{
	struct vm_area_struct *vma;
	u64 gone;

	for (u32 i = 0; i < 2; i++) {
		if (process_create(mix->mm, &mix->process[i]))
			fatal("no process");
		process_release(mix->mm, mix->process[i]);
	}
	mix->shared = allocate(mix, 5, VM_USERMAP, PAGE_KERNEL, GFP_KERNEL);
	show(mix, must_range(mix, 0, MIX_USER_SHARED, 5, VM_READ | VM_WRITE), mix->shared, 0);
	show(mix, must_range(mix, 1, MIX_USER_SHARED, 3, VM_READ), mix->shared, 2);
	vma = must_range(mix, 0, MIX_USER_INSERTED, 4, VM_READ | VM_WRITE);
	mix->inserted = alloc_pages(mix->mm, GFP_KERNEL, 0, 0, PAGE_OTHER, mix);
	insert(mix, vma, MIX_USER_INSERTED, mix->inserted);
	insert(mix, vma, MIX_USER_INSERTED + 2 * PAGE_SIZE, mix_page(mix, mix->outside));
	vma = must_range(mix, 0, MIX_USER_IMAGE, 2, VM_READ | VM_EXEC);
	if (remap_pfn_range(mix->mm, vma, MIX_IMAGE_PHYS >> PAGE_SHIFT))
		fatal("the image cannot be shown");
	gone = allocate(mix, 2, VM_USERMAP, PAGE_KERNEL, GFP_KERNEL);
	show(mix, must_range(mix, 0, MIX_USER_GONE, 2, VM_READ), gone, 0);
	free_area(mix, gone);
	vmap_purge(mix->mm);
}

/* Areas in the order of their addresses: each leaves its neighbours something to be mixed with. */
static void fill(struct mix *mix)
{
	static const u64 lazy_pages[3] = {1, 1, 5};
	u64 hole;

	vmap_set_mode(mix->mm, VMAP_MANUAL);
	mix->single = simple(mix, 1);
	mix->inlined = simple(mix, 10);
	hole = simple(mix, 6);
	mix->kmalloced = simple(mix, 300);
	mix->lazy[0] = simple(mix, lazy_pages[0]);
	mix->lazy[1] = simple(mix, lazy_pages[1]);
	mix->nested = simple(mix, 1000);
	mix->directory = allocate(mix, 1000, VM_ARRAY_OUTSIDE, PAGE_KERNEL, GFP_KERNEL);
	mix->lazy[2] = simple(mix, lazy_pages[2]);
	mix->readonly = allocate(mix, 3, 0, PAGE_KERNEL_RO, GFP_KERNEL);
	mix->dma32 = allocate(mix, 4, 0, PAGE_KERNEL, GFP_KERNEL | __GFP_DMA32);
	mix->reserved = reserve(mix, 4);
	mix->mapped = map_others(mix);
	mix->module = in_window(mix, 5, MODULES_VADDR, MODULES_END, PAGE_KERNEL_ROX);
	mix->outside = in_window(mix, 2, 0xffffa00000000000ull, 0xffffa00001000000ull, PAGE_KERNEL);
	fill_processes(mix);
	free_area(mix, hole);
	vmap_purge(mix->mm);
	mix->hole = hole;
	for (int i = 0; i < 3; i++) {
		free_area(mix, mix->lazy[i]);
		mix->lazy_bytes[i] = (lazy_pages[i] + 1) * PAGE_SIZE;
	}
}

struct mix *mix_create(void)
{
	struct mix *mix = calloc(1, sizeof(*mix));
	struct sim_config config = {.nr_cpus = 2, .irq_check = true};

	if (!mix)
		fatal("no memory");
	sim_add_ram(&config, 0, 64ull << 20, 0);
	sim_add_ram(&config, 4ull << 30, 64ull << 20, 0);
	sim_add_ram(&config, MIX_FAR_PHYS, 128ull << 20, 1);
	sim_add_reserved(&config, MIX_IMAGE_PHYS, MIX_IMAGE_BYTES, RESERVED_IMAGE);
	mix->sim = sim_create(&config);
	mix->mm = &mix->sim->mm;
	fill(mix);
	mix->source = core_source_create(mix->sim);
	mix->audit = audit_create();
	if (!mix->audit)
		fatal("no memory");
	return mix;
}

void mix_destroy(struct mix *mix)
{
	audit_destroy(mix->audit);
	core_source_destroy(mix->source);
	sim_destroy(mix->sim);
	free(mix);
}

struct audit_result mix_audit(struct mix *mix)
{
	struct audit_result result;

	if (audit_run(mix->audit, mix->source->inspector, AUDIT_ALL, 7, &result))
		fatal("no memory for an audit");
	return result;
}

bool mix_has(const struct mix *mix, enum audit_check check, u64 address, const char *text)
{
	for (size_t i = 0; i < audit_violation_count(mix->audit); i++) {
		const struct audit_violation *violation = audit_violation_at(mix->audit, i);

		if (violation->check == check && violation->address == address &&
		    strstr(violation->text, text))
			return true;
	}
	return false;
}

void mix_print(const struct mix *mix)
{
	char text[256];

	for (size_t i = 0; i < audit_violation_count(mix->audit); i++) {
		audit_violation_format(audit_violation_at(mix->audit, i), text, sizeof(text));
		fprintf(stderr, "  %s\n", text);
	}
}

/* ---- for planting ---- */

static u64 *find_entry(struct mix *mix, u64 table, u64 va, int level)
{

	for (int at = 4;; at--) {
		u64 *entry = (u64 *)phys_to_virt(mix->mm, table) +
			     ((va >> X86_LEVEL_SHIFT(at)) & (X86_TABLE_ENTRIES - 1));

		if (at == level)
			return entry;
		if (!(*entry & X86_PTE_P) || *entry & X86_PTE_PS)
			fatal("no table to plant a fault in");
		table = *entry & X86_PTE_ADDR_MASK;
	}
}

u64 *mix_entry(struct mix *mix, u64 va, int level)
{
	return find_entry(mix, mix->mm->pt.root_phys, va, level);
}

u64 *mix_user_entry(struct mix *mix, u32 process, u64 va, int level)
{
	return find_entry(mix, mix->process[process]->pt.root_phys, va, level);
}

struct vm_area_struct *mix_vma(struct mix *mix, u32 process, u64 va)
{
	struct vm_area_struct *vma = find_vma(mix->process[process], va);

	if (!vma || vma->vm_start != va)
		fatal("no user range to plant a fault in");
	return vma;
}

struct vmap_area *mix_tile(struct mix *mix, u64 va)
{
	struct vmap_area *area;

	list_for_each_entry (area, &mix->mm->vmap.tiles, tile) {
		if (area->va_start == va)
			return area;
	}
	fatal("no tile to plant a fault in");
}

struct vm_struct *mix_vm(struct mix *mix, u64 va)
{
	return mix_tile(mix, va)->vm;
}

struct page *mix_page(struct mix *mix, u64 va)
{
	struct page *page = vmalloc_to_page(mix->mm, va);

	if (!page)
		fatal("no page to plant a fault in");
	return page;
}

u64 mix_phys(struct mix *mix, const struct page *page)
{
	return page_to_phys(mix->mm, page);
}

void mix_map(struct mix *mix, u64 va, u64 phys, u64 prot)
{
	if (pt_map_range(mix->mm, &mix->mm->pt, va, va + PAGE_SIZE, phys, prot, 1))
		fatal("a leaf to plant cannot be mapped");
}

struct page *mix_free_block(struct mix *mix, u32 order, struct zone **zone_out)
{
	for (u32 id = 0; id < NR_ZONES; id++) {
		struct zone *zone = &mix->mm->node[0].zone[id];

		for (u32 at = order; at <= MAX_ORDER; at++) {
			if (!zone->nr_free[at])
				continue;
			*zone_out = zone;
			return list_entry(zone->free[at].next, struct page, list);
		}
	}
	fatal("no free block to plant a fault in");
}

struct zone *mix_pcp_zone(struct mix *mix)
{
	for (u32 id = 0; id < NR_ZONES; id++) {
		if (mix->mm->node[0].zone[id].pcp[0].count > 1)
			return &mix->mm->node[0].zone[id];
	}
	fatal("no frames on a per-CPU list to plant a fault in");
}
