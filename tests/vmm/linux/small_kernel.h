/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel of two megabytes, made up: page tables, VMCOREINFO, kallsyms, BTF, a few areas in the
 * lists of either kind of kernel. Just what vmm/linux/ reads, at addresses of its own choosing and
 * with other offsets than any real one, so that what is right here was not learned by heart.
 */
#ifndef TESTS_VMM_LINUX_SMALL_KERNEL_H
#define TESTS_VMM_LINUX_SMALL_KERNEL_H

#include "vmm/inspect/inspect.h"
#include "vmm/linux/linux.h"

#define SMALL_PAGES 512u

#define SMALL_DIRECT  0xffff888000000000ull
#define SMALL_VMALLOC 0xffffc90000000000ull
#define SMALL_MEMMAP  0xffffea0000000000ull
#define SMALL_STEXT   0xffffffff81000000ull

struct small_kernel {
	uint8_t memory[SMALL_PAGES * 4096] __attribute__((aligned(4096)));
	struct inspect_source source;
	char vmcoreinfo[4096];
	/* Where things are, for tests that change them: addresses in the guest. */
	uint64_t info_gpa, btf, names, lazy_nr, free_head, busy_head, free_lock, modules;
	uint64_t first_area, first_vm, first_free, state;
	uint64_t pglist, zone;   /* struct pglist_data; its zone with frames */
	uint64_t area_frame[16]; /* the frames of areas, in the order of areas */
	unsigned int nr_area_frames;
	size_t btf_bytes;
	char lines[8][160]; /* what its vmallocinfo has */
	unsigned int nr_lines;
	/* for building */
	uint64_t next_frame, heap, heap_end, image, root;
	uint64_t symbol_address[96];
	char symbol_name[96][32];
	unsigned int nr_symbols;
	bool nodes;
};

/* Builds one; @nodes: of the kind with vmap nodes (6.9 and later). */
void small_kernel_make(struct small_kernel *kernel, bool nodes);

/* The bytes at @address; aborts where it is not mapped. */
void *small_kernel_at(struct small_kernel *kernel, uint64_t address);

void small_kernel_set(struct small_kernel *kernel, uint64_t address, uint64_t value);
uint64_t small_kernel_get(struct small_kernel *kernel, uint64_t address);

/* The entry that maps the page of @address (level 1). */
uint64_t *small_kernel_entry(struct small_kernel *kernel, uint64_t address);

/* The struct page of @pfn, and what stands in it: type is page_type's word. */
uint64_t small_kernel_page(uint64_t pfn);
void small_kernel_page_set(struct small_kernel *kernel, uint64_t pfn, uint64_t flags, uint32_t type,
			   uint32_t references);

/* Makes frames from @pfn on a free block, counted by its zone. */
void small_kernel_free_block(struct small_kernel *kernel, uint64_t pfn, unsigned int order);

#endif
