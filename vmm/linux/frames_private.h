/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Struct pages, and frames that areas have. Private to vmm/linux/. */
#ifndef VMM_LINUX_FRAMES_PRIVATE_H
#define VMM_LINUX_FRAMES_PRIVATE_H

#include "vmm/linux/frames.h"
#include "vmm/linux/private.h"

/* A struct page, read. */
struct linux_page {
	uint64_t flags, mapping, private, compound;
	uint32_t type; /* page_type, which shares its word with _mapcount */
	int32_t references;
};

/* Reads struct pages, those of one page of the page array at a time. */
struct linux_pages {
	struct linux_guest *guest;
	uint64_t window; /* what bytes[] holds; 0: nothing */
	uint8_t bytes[INSPECT_PAGE_BYTES];
	/* values of page_type; NO_TYPE: this kernel has none such */
	int64_t buddy, slab, offline, hugetlb, table;
	/* bits of flags; -1 */
	int slab_bit, reserved_bit, poison_bit;
};

#define NO_TYPE INT64_MIN

/* Errors: -EOPNOTSUPP, with what this kernel lacks. */
int linux_pages_init(struct linux_pages *pages, struct linux_guest *guest, struct error *error);

/* The struct page of @pfn; false where it cannot be read. */
bool linux_pages_read(struct linux_pages *pages, uint64_t pfn, struct linux_page *page_out);

/* The same of the head of the compound page it is in, or its own; *head_out is whose. */
bool linux_pages_head(struct linux_pages *pages, uint64_t pfn, struct linux_page *page_out,
		      uint64_t *head_out);

/* The free block @pfn is in: its first frame and order; false where it is in none. */
bool linux_pages_block(struct linux_pages *pages, uint64_t pfn, uint64_t *head_out,
		       unsigned int *order_out);

/* What the head's struct page says alone; KERNEL where it says nothing. */
enum linux_frame_state linux_pages_state(const struct linux_pages *pages,
					 const struct linux_page *head);

/* A frame that the array of a busy area lists. */
struct linux_owned {
	uint64_t pfn;
	const struct linux_area *area; /* of the space */
	uint32_t page;                 /* its index in the array */
};

/* All of them, ascending by frame; the caller frees *owned_out. -ENOMEM. */
int linux_owned_read(struct linux_guest *guest, const struct linux_space *space,
		     struct linux_owned **owned_out, size_t *count_out);

#endif
