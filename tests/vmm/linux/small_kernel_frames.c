/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The small kernel's frames: one zone, all reserved but those of areas and what nobody took, which
 * is in free blocks. Types are bits that are cleared in the older kind of kernel, numbers in the
 * newer.
 */
#include <string.h>

#include "tests/vmm/linux/small_kernel_private.h"

#define NODE 1u /* of node_data */

static void set32(struct small_kernel *kernel, uint64_t address, uint32_t value)
{
	small_kernel_copy(kernel, address, &value, sizeof(value));
}

void small_kernel_zone(struct small_kernel *kernel)
{
	uint64_t name, data;

	kernel->pglist = small_kernel_variable(
		kernel, kernel->nodes ? "node_1" : "contig_page_data", PGLIST_BYTES);
	if (kernel->nodes) {
		data = small_kernel_variable(kernel, "node_data", 16);
		small_kernel_set(kernel, data + 8 * NODE, kernel->pglist);
	}
	name = small_kernel_variable(kernel, "zone_name", 16);
	small_kernel_copy(kernel, name, "Small", 6);
	set32(kernel, kernel->pglist + PGLIST_ID, kernel->nodes ? NODE : 0);
	set32(kernel, kernel->pglist + PGLIST_NR, 2);
	kernel->zone = kernel->pglist + PGLIST_ZONES + ZONE_STRUCT; /* the first one is empty */
	small_kernel_set(kernel, kernel->zone + ZONE_SPANNED, SMALL_PAGES);
	small_kernel_set(kernel, kernel->zone + ZONE_PRESENT, SMALL_PAGES);
	small_kernel_set(kernel, kernel->zone + ZONE_NAME, name);
}

const char *small_kernel_frames_info(const struct small_kernel *kernel)
{
	return kernel->nodes ? "LENGTH(node_data)=2\nNUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456\n"
			       "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376\n"
			     : "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\n";
}

uint64_t small_kernel_page(uint64_t pfn)
{
	return SMALL_MEMMAP + pfn * PAGE_STRUCT;
}

void small_kernel_page_set(struct small_kernel *kernel, uint64_t pfn, uint64_t flags, uint32_t type,
			   uint32_t references)
{
	small_kernel_set(kernel, small_kernel_page(pfn) + PG_FLAGS, flags);
	set32(kernel, small_kernel_page(pfn) + PG_TYPE, type);
	set32(kernel, small_kernel_page(pfn) + PG_REFERENCES, references);
}

void small_kernel_free_block(struct small_kernel *kernel, uint64_t pfn, unsigned int order)
{
	uint64_t counter = kernel->zone + ZONE_FREE + order * FREE_AREA_BYTES + FREE_NR;

	for (uint64_t i = pfn; i < pfn + (1u << order); i++)
		small_kernel_page_set(kernel, i, 0, UINT32_MAX, 0);
	small_kernel_page_set(kernel, pfn, 0, kernel->nodes ? 0xf0ffffffu : ~0x80u, 0);
	small_kernel_set(kernel, small_kernel_page(pfn) + PG_PRIVATE, order);
	small_kernel_set(kernel, counter, small_kernel_get(kernel, counter) + 1);
}

void small_kernel_frames(struct small_kernel *kernel)
{
	uint64_t pfn = kernel->next_frame / 4096;

	for (uint64_t i = 0; i < pfn; i++)
		small_kernel_page_set(kernel, i, 1u << FLAG_RESERVED, UINT32_MAX, 1);
	for (unsigned int i = 0; i < kernel->nr_area_frames; i++)
		small_kernel_page_set(kernel, kernel->area_frame[i], 0, UINT32_MAX, 1);
	while (pfn < SMALL_PAGES) {
		unsigned int order = 0;

		while (order + 1 < NR_ORDERS && pfn % (2u << order) == 0 &&
		       pfn + (2u << order) <= SMALL_PAGES)
			order++;
		small_kernel_free_block(kernel, pfn, order);
		pfn += 1u << order;
	}
}
