/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/vmm/linux/small_kernel_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm/x86.h"

#define KERNEL_MAP  0xffffffff80000000ull
#define IMAGE_GPA   0x10000ull /* phys_base is negative */
#define IMAGE_PAGES 96u
#define PAGE        4096ull
#define RW          (X86_PTE_P | X86_PTE_RW | X86_PTE_NX)
#define RX          X86_PTE_P

/* ---- memory ---- */

static const void *physical(void *context, uint64_t gpa, uint64_t bytes)
{
	struct small_kernel *kernel = context;

	return gpa < sizeof(kernel->memory) && bytes <= sizeof(kernel->memory) - gpa
		       ? kernel->memory + gpa
		       : NULL;
}

static bool touched(void *context, uint64_t gpa, uint64_t *start_out, uint64_t *end_out)
{
	const struct small_kernel *kernel = context;

	if (gpa >= sizeof(kernel->memory))
		return false;
	*start_out = gpa;
	*end_out = sizeof(kernel->memory);
	return true;
}

static uint64_t new_frame(struct small_kernel *kernel)
{
	uint64_t gpa = kernel->next_frame;

	if (gpa >= sizeof(kernel->memory))
		abort();
	kernel->next_frame += PAGE;
	return gpa;
}

static uint64_t *table_at(struct small_kernel *kernel, uint64_t gpa)
{
	return (uint64_t *)(void *)(kernel->memory + gpa);
}

uint64_t *small_kernel_entry(struct small_kernel *kernel, uint64_t address)
{
	uint64_t table = kernel->root;

	for (unsigned int level = 4;; level--) {
		uint64_t *entry = &table_at(kernel, table)[address >> (3 + 9 * level) & 511];

		if (level == 1)
			return entry;
		if (!*entry)
			*entry = new_frame(kernel) | X86_PTE_P | X86_PTE_RW;
		table = *entry & 0x000ffffffffff000ull;
	}
}

void *small_kernel_at(struct small_kernel *kernel, uint64_t address)
{
	uint64_t entry = *small_kernel_entry(kernel, address);

	if (!(entry & X86_PTE_P))
		abort();
	return kernel->memory + (entry & 0x000ffffffffff000ull) + address % PAGE;
}

void small_kernel_set(struct small_kernel *kernel, uint64_t address, uint64_t value)
{
	memcpy(small_kernel_at(kernel, address), &value, sizeof(value));
}

uint64_t small_kernel_get(struct small_kernel *kernel, uint64_t address)
{
	uint64_t value;

	memcpy(&value, small_kernel_at(kernel, address), sizeof(value));
	return value;
}

static void map(struct small_kernel *kernel, uint64_t address, uint64_t gpa, uint64_t flags)
{
	*small_kernel_entry(kernel, address) = gpa | flags;
}

/* Bytes of the slab, as the direct map has them. */
static uint64_t heap(struct small_kernel *kernel, size_t bytes)
{
	uint64_t at = kernel->heap;

	kernel->heap += (bytes + 15) & ~15ull;
	if (kernel->heap > kernel->heap_end)
		abort();
	return at;
}

/* Bytes of the image, with a symbol. */
uint64_t small_kernel_variable(struct small_kernel *kernel, const char *name, size_t bytes)
{
	uint64_t at = kernel->image;

	kernel->image += (bytes + 15) & ~15ull;
	if (kernel->image > SMALL_STEXT + IMAGE_PAGES * PAGE)
		abort();
	kernel->symbol_address[kernel->nr_symbols] = at;
	snprintf(kernel->symbol_name[kernel->nr_symbols++], 32, "%s", name);
	return at;
}

void small_kernel_copy(struct small_kernel *kernel, uint64_t address, const void *bytes,
		       size_t size)
{
	for (size_t i = 0; i < size; i++)
		*(uint8_t *)small_kernel_at(kernel, address + i) = ((const uint8_t *)bytes)[i];
}

static void make_tables(struct small_kernel *kernel)
{
	kernel->root = IMAGE_GPA + PAGE;
	kernel->next_frame = IMAGE_GPA + IMAGE_PAGES * PAGE;
	/* The image: a page of text, the root, data. */
	for (unsigned int i = 0; i < IMAGE_PAGES; i++)
		map(kernel, SMALL_STEXT + i * PAGE, IMAGE_GPA + i * PAGE, i == 0 ? RX : RW);
	kernel->image = SMALL_STEXT + 2 * PAGE;
	for (unsigned int i = 0; i < SMALL_PAGES; i++)
		map(kernel, SMALL_DIRECT + i * PAGE, i * PAGE,
		    i * PAGE == IMAGE_GPA ? X86_PTE_P | X86_PTE_NX : RW);
	for (unsigned int i = 0; i < SMALL_PAGES * PAGE_STRUCT / PAGE; i++)
		map(kernel, SMALL_MEMMAP + i * PAGE, new_frame(kernel), RW);
	kernel->heap = SMALL_DIRECT + kernel->next_frame;
	kernel->heap_end = kernel->heap + 8 * PAGE;
	kernel->next_frame += 8 * PAGE;
}

/* ---- areas ---- */

struct area {
	uint64_t start, end, link;
	uint64_t at;
};

static void init_list(struct small_kernel *kernel, uint64_t head)
{
	small_kernel_set(kernel, head, head);
	small_kernel_set(kernel, head + 8, head);
}

static void add_tail(struct small_kernel *kernel, uint64_t head, uint64_t entry)
{
	uint64_t last = small_kernel_get(kernel, head + 8);

	small_kernel_set(kernel, last, entry);
	small_kernel_set(kernel, entry, head);
	small_kernel_set(kernel, entry + 8, last);
	small_kernel_set(kernel, head + 8, entry);
}

static void make_area(struct small_kernel *kernel, struct area *area, uint64_t head)
{
	area->at = heap(kernel, VA_BYTES);
	small_kernel_set(kernel, area->at + VA_START, area->start);
	small_kernel_set(kernel, area->at + VA_END, area->end);
	small_kernel_set(kernel, area->at + VA_VM, area->link);
	add_tail(kernel, head, area->at + VA_LIST);
}

/* A tree of areas [low, high) of depth @left more levels, all black but the lowest. */
static uint64_t make_tree(struct small_kernel *kernel, struct area *area, int low, int high,
			  uint64_t parent, int left, bool augmented, uint64_t *max_out)
{
	int middle = low + (high - low) / 2;
	uint64_t node, max, below;

	if (low >= high) {
		*max_out = 0;
		return 0;
	}
	node = area[middle].at + VA_RB;
	max = area[middle].end - area[middle].start;
	small_kernel_set(kernel, node, parent | (left > 0 || !parent ? 1 : 0));
	small_kernel_set(kernel, node + 16,
			 make_tree(kernel, area, low, middle, node, left - 1, augmented, &below));
	max = below > max ? below : max;
	small_kernel_set(
		kernel, node + 8,
		make_tree(kernel, area, middle + 1, high, node, left - 1, augmented, &below));
	max = below > max ? below : max;
	if (augmented)
		small_kernel_set(kernel, area[middle].at + VA_VM, max);
	*max_out = max;
	return node;
}

static uint64_t tree(struct small_kernel *kernel, struct area *area, int count, bool augmented)
{
	int levels = 0;
	uint64_t max;

	while (1 << (levels + 1) <= count)
		levels++;
	return make_tree(kernel, area, 0, count, 0, levels, augmented, &max);
}

/* vmalloc()'s area @index: two pages, an array, a guard page. */
static void make_busy(struct small_kernel *kernel, struct area *area, uint64_t caller,
		      uint64_t head, unsigned int index)
{
	uint64_t vm = heap(kernel, VM_BYTES), pages = heap(kernel, 16);

	*area = (struct area){.start = SMALL_VMALLOC + index * 0x10000ull};
	area->end = area->start + 3 * PAGE;
	area->link = vm;
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t frame = new_frame(kernel);

		map(kernel, area->start + i * PAGE, frame, RW);
		kernel->area_frame[kernel->nr_area_frames++] = frame / PAGE;
		small_kernel_set(kernel, pages + 8 * i, SMALL_MEMMAP + frame / PAGE * PAGE_STRUCT);
	}
	small_kernel_set(kernel, vm + VM_ADDR, area->start);
	small_kernel_set(kernel, vm + VM_SIZE, area->end - area->start);
	small_kernel_set(kernel, vm + VM_FLAGS, 2);
	small_kernel_set(kernel, vm + VM_PAGES, pages);
	small_kernel_set(kernel, vm + VM_NR, 2);
	small_kernel_set(kernel, vm + VM_CALLER, caller);
	make_area(kernel, area, head);
}

#define NR_BUSY 4

static void make_space(struct small_kernel *kernel)
{
	uint64_t text = SMALL_STEXT + 0x120, heads[NR_NODES], roots[NR_NODES], lazy[NR_NODES];
	struct area busy[NR_BUSY], parted[NR_BUSY], free_area[NR_BUSY + 1], unpurged;
	uint64_t free_root, nodes = 0;
	unsigned int nr_nodes = kernel->nodes ? NR_NODES : 1;

	if (kernel->nodes) {
		uint64_t pointer = small_kernel_variable(kernel, "vmap_nodes", 8);

		nodes = heap(kernel, NODE_BYTES * NR_NODES);
		small_kernel_set(kernel, pointer, nodes);
		small_kernel_set(kernel, small_kernel_variable(kernel, "nr_vmap_nodes", 4),
				 NR_NODES);
		small_kernel_set(kernel, small_kernel_variable(kernel, "vmap_zone_size", 4),
				 ZONE_BYTES);
	}
	for (unsigned int i = 0; i < nr_nodes; i++) {
		uint64_t node = nodes + i * NODE_BYTES;

		roots[i] = nodes ? node + NODE_BUSY + RBL_ROOT
				 : small_kernel_variable(kernel, "vmap_area_root", 8);
		heads[i] = nodes ? node + NODE_BUSY + RBL_HEAD
				 : small_kernel_variable(kernel, "vmap_area_list", 16);
		lazy[i] = nodes ? node + NODE_LAZY
				: small_kernel_variable(kernel, "purge_vmap_area_root", 8);
		if (!nodes)
			small_kernel_variable(kernel, "purge_vmap_area_list", 16);
		init_list(kernel, heads[i]);
		init_list(kernel, nodes ? lazy[i] + RBL_HEAD : lazy[i] + 16);
		for (unsigned int p = 0; nodes && p < 2; p++)
			init_list(kernel, node + NODE_POOL + 24 * p);
	}
	kernel->busy_head = heads[0];
	kernel->lazy_nr = small_kernel_variable(kernel, "vmap_lazy_nr", 8);
	kernel->free_head = small_kernel_variable(kernel, "free_vmap_area_list", 16);
	free_root = small_kernel_variable(kernel, "free_vmap_area_root", 8);
	kernel->free_lock = small_kernel_variable(kernel, "free_vmap_area_lock", 4);
	init_list(kernel, kernel->free_head);
	for (unsigned int i = 0; i < NR_BUSY; i++)
		make_busy(kernel, &busy[i], text, heads[i % nr_nodes], i);
	for (unsigned int n = 0; n < nr_nodes; n++) {
		int count = 0;

		for (unsigned int i = n; i < NR_BUSY; i += nr_nodes)
			parted[count++] = busy[i];
		small_kernel_set(kernel, roots[n], tree(kernel, parted, count, false));
	}
	/* The last hole begins with an area that waits to be purged. */
	unpurged = (struct area){busy[NR_BUSY - 1].end, busy[NR_BUSY - 1].end + PAGE, 0, 0};
	make_area(kernel, &unpurged, nodes ? lazy[0] + RBL_HEAD : lazy[0] + 16);
	small_kernel_set(kernel, lazy[0], tree(kernel, &unpurged, 1, false));
	small_kernel_set(kernel, kernel->lazy_nr, 1);
	for (unsigned int i = 0; i <= NR_BUSY; i++) {
		free_area[i].start = i ? busy[i - 1].end : 1;
		free_area[i].end = i < NR_BUSY ? busy[i].start : UINT64_MAX;
		free_area[i].link = 0;
		if (i == NR_BUSY)
			free_area[i].start = unpurged.end;
		make_area(kernel, &free_area[i], kernel->free_head);
	}
	small_kernel_set(kernel, free_root, tree(kernel, free_area, NR_BUSY + 1, true));
	kernel->first_area = busy[0].at;
	kernel->first_vm = busy[0].link;
	kernel->first_free = free_area[1].at;
	for (unsigned int i = 0; i < NR_BUSY; i++) {
		unsigned int place = i * nr_nodes % NR_BUSY + i * nr_nodes / NR_BUSY;

		snprintf(kernel->lines[kernel->nr_lines++], 160,
			 "0x%016" PRIx64 "-0x%016" PRIx64 " %7llu work+0x20/0x100 pages=2 vmalloc",
			 busy[place].start, busy[place].end, 3 * PAGE);
	}
	snprintf(kernel->lines[kernel->nr_lines++], 160,
		 "0x%016" PRIx64 "-0x%016" PRIx64 " %7llu unpurged vm_area", unpurged.start,
		 unpurged.end, PAGE);
}

/* ---- kallsyms and VMCOREINFO ---- */

static void make_symbols(struct small_kernel *kernel)
{
	uint16_t index[256];
	char table[1024];
	size_t used = 0;
	unsigned int count;
	uint64_t tables[6], at;

	tables[2] = small_kernel_variable(kernel, "kallsyms_token_table", sizeof(table));
	tables[3] = small_kernel_variable(kernel, "kallsyms_token_index", sizeof(index));
	tables[1] = small_kernel_variable(kernel, "kallsyms_num_syms", 8);
	tables[5] = small_kernel_variable(kernel, "kallsyms_relative_base", 8);
	tables[4] = small_kernel_variable(kernel, "kallsyms_offsets", 4 * 96);
	tables[0] = kernel->names = small_kernel_variable(kernel, "kallsyms_names", 4096);
	small_kernel_variable(kernel, "_end", 0);
	count = kernel->nr_symbols;
	for (unsigned int c = 0; c < 256; c++) {
		index[c] = (uint16_t)used;
		if (c > ' ' && c <= '~')
			table[used++] = (char)c;
		table[used++] = '\0';
	}
	small_kernel_copy(kernel, tables[2], table, used);
	small_kernel_copy(kernel, tables[3], index, sizeof(index));
	small_kernel_set(kernel, tables[1], count);
	small_kernel_set(kernel, tables[5], SMALL_STEXT);
	at = tables[0];
	for (unsigned int i = 0; i < count; i++) {
		/* Relative to the base as with ABSOLUTE_PERCPU: below zero by one more. */
		int32_t offset = -1 - (int32_t)(kernel->symbol_address[i] - SMALL_STEXT);
		uint8_t name[40] = {(uint8_t)(strlen(kernel->symbol_name[i]) + 1), 'D'};

		memcpy(name + 2, kernel->symbol_name[i], name[0] - 1u);
		small_kernel_copy(kernel, tables[4] + 4 * i, &offset, sizeof(offset));
		small_kernel_copy(kernel, at, name, name[0] + 1u);
		at += name[0] + 1u;
	}
	snprintf(kernel->vmcoreinfo, sizeof(kernel->vmcoreinfo),
		 "OSRELEASE=9.9-small\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=%" PRIx64 "\n"
		 "OFFSET(uts_namespace.name)=0\nSYMBOL(_stext)=%llx\nSYMBOL(init_top_pgt)=%llx\n"
		 "NUMBER(phys_base)=%lld\nNUMBER(pgtable_l5_enabled)=0\nKERNELOFFSET=0\n"
		 "NUMBER(KERNEL_IMAGE_SIZE)=1073741824\n"
		 "SYMBOL(kallsyms_names)=%" PRIx64 "\nSYMBOL(kallsyms_num_syms)=%" PRIx64 "\n"
		 "SYMBOL(kallsyms_token_table)=%" PRIx64 "\nSYMBOL(kallsyms_token_index)=%" PRIx64
		 "\nSYMBOL(kallsyms_offsets)=%" PRIx64 "\nSYMBOL(kallsyms_relative_base)=%" PRIx64
		 "\n%s",
		 kernel->symbol_address[0], SMALL_STEXT, SMALL_STEXT + PAGE,
		 (long long)(IMAGE_GPA - (SMALL_STEXT - KERNEL_MAP)), tables[0], tables[1],
		 tables[2], tables[3], tables[4], tables[5], small_kernel_frames_info(kernel));
	kernel->info_gpa = new_frame(kernel);
	memcpy(kernel->memory + kernel->info_gpa, kernel->vmcoreinfo,
	       strlen(kernel->vmcoreinfo) + 1);
}

static void add_symbol(struct small_kernel *kernel, const char *name, uint64_t address)
{
	kernel->symbol_address[kernel->nr_symbols] = address;
	snprintf(kernel->symbol_name[kernel->nr_symbols++], 32, "%s", name);
}

void small_kernel_make(struct small_kernel *kernel, bool nodes)
{
	uint64_t uts;

	memset(kernel, 0, sizeof(*kernel));
	kernel->nodes = nodes;
	make_tables(kernel);
	uts = small_kernel_variable(kernel, "init_uts_ns", 400);
	small_kernel_copy(kernel, uts + 130, "9.9-small", 10);
	add_symbol(kernel, "_stext", SMALL_STEXT);
	add_symbol(kernel, "work", SMALL_STEXT + 0x100);
	add_symbol(kernel, "work_more", SMALL_STEXT + 0x200);
	small_kernel_set(kernel, small_kernel_variable(kernel, "page_offset_base", 8),
			 SMALL_DIRECT);
	small_kernel_set(kernel, small_kernel_variable(kernel, "vmalloc_base", 8), SMALL_VMALLOC);
	small_kernel_set(kernel, small_kernel_variable(kernel, "vmemmap_base", 8), SMALL_MEMMAP);
	kernel->state = small_kernel_variable(kernel, "system_state", 4);
	small_kernel_set(kernel, kernel->state, 7);
	kernel->modules = small_kernel_variable(kernel, "modules", 16);
	init_list(kernel, kernel->modules);
	small_kernel_btf(kernel);
	small_kernel_zone(kernel);
	make_space(kernel);
	make_symbols(kernel);
	small_kernel_frames(kernel);
	kernel->source = (struct inspect_source){.context = kernel,
						 .physical = physical,
						 .touched = touched,
						 .nr_cpus = 1,
						 .nr_ram = 1};
	kernel->source.ram[0] = (struct nb_range){.start = 0, .end = sizeof(kernel->memory)};
}
