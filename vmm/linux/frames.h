/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Linux's frames: what its struct page says of one, whose it is, and how many there are of each
 * kind. The kernel's word for it is taken; what contradicts itself is the audit's (check.h,
 * LINUX_CHECK_FRAMES).
 *
 * Where which bits are: members by BTF; flags by its enum pageflags; what page_type holds by
 * VMCOREINFO's PAGE_*_MAPCOUNT_VALUE, which is either a bit that is cleared (up to 6.10) or a
 * number in the topmost byte (since). Free frames of a CPU's own lists bear no mark: they are among
 * those without a reference.
 */
#ifndef VMM_LINUX_FRAMES_H
#define VMM_LINUX_FRAMES_H

#include "vmm/linux/space.h"

enum linux_frame_state {
	LINUX_FRAME_FREE,         /* in a free block of the buddy allocator */
	LINUX_FRAME_UNREFERENCED, /* no reference: on a CPU's free list, or on its way */
	LINUX_FRAME_VMALLOC,      /* in the array of a busy area */
	LINUX_FRAME_ANON,         /* anonymous memory of processes */
	LINUX_FRAME_FILE,         /* the page cache */
	LINUX_FRAME_SLAB,
	LINUX_FRAME_TABLE,    /* page tables, where the kernel marks them */
	LINUX_FRAME_KERNEL,   /* referenced, and nothing else is known of it */
	LINUX_FRAME_HUGETLB,  /* of hugetlbfs */
	LINUX_FRAME_RESERVED, /* the image, boot memory, firmware's, holes of a zone */
	LINUX_FRAME_OFFLINE,  /* given back to the hypervisor, or not yet taken */
	LINUX_FRAME_POISONED, /* a hardware error was seen there */
	LINUX_FRAME_UNKNOWN,  /* its struct page cannot be read */
	LINUX_FRAME_STATES
};

/* "free", "unreferenced", "vmalloc", "anon", "file", "slab", ... */
const char *linux_frame_state_name(enum linux_frame_state state);

/* A zone, as its node's pglist_data has it: frames [start_pfn, start_pfn + spanned). */
struct linux_zone {
	uint32_t node;
	char name[16];
	uint64_t start_pfn, spanned, present, managed;
	uint64_t listed_free; /* frames of all blocks that free_area[] counts */
	bool locked;          /* zone->lock was held just before */
};

/* Zones with frames, by node. */
struct linux_zones {
	struct linux_zone *zone;
	size_t count;
};

/*
 * Errors: -EOPNOTSUPP, with what this kernel lacks; -EFAULT, what is there are no zones; -ENOMEM.
 * Pair with linux_zones_free().
 */
int linux_zones_read(struct linux_guest *guest, struct linux_zones *zones_out, struct error *error);
void linux_zones_free(struct linux_zones *zones);

#define LINUX_FLAGS_BYTES 256

struct linux_frame {
	uint64_t pfn;
	enum linux_frame_state state;
	const struct linux_zone *zone; /* of the caller's zones; NULL: in none */
	uint64_t page_address;         /* of its struct page; the rest: as that says */
	uint64_t flags, mapping, private;
	char flag_names[LINUX_FLAGS_BYTES]; /* "uptodate|lru"; "" for none */
	uint64_t head_pfn;                  /* of its compound page or free block; pfn: of none */
	unsigned int order;                 /* of the free block */
	int32_t references, mapcount;       /* the head's; mappings by processes */
	bool has_area;                      /* VMALLOC: */
	struct linux_area area;
	uint32_t area_page; /* it is page so much of the area */
};

/*
 * Errors: -EOPNOTSUPP, with what this kernel lacks; -ENOENT: @pfn is in no zone and has no struct
 * page. @space and @zones: of this moment.
 */
int linux_frame(struct linux_guest *guest, const struct linux_space *space,
		const struct linux_zones *zones, uint64_t pfn, struct linux_frame *frame_out,
		struct error *error);

/*
 * Counts @zone's frames by state; they add up to what it spans. Errors: -EOPNOTSUPP, with words;
 * -ENOMEM.
 */
int linux_frames_count(struct linux_guest *guest, const struct linux_space *space,
		       const struct linux_zone *zone, uint64_t counts_out[LINUX_FRAME_STATES],
		       struct error *error);

#endif
