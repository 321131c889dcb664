/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A simulated core with a bit of everything in it, an inspector on it, and an auditor: what the
 * auditor's tests plant their faults in.
 */
#ifndef TESTS_VMM_INSPECT_CORE_MIX_H
#define TESTS_VMM_INSPECT_CORE_MIX_H

#include "mm/vmalloc.h"
#include "tests/vmm/inspect/core_source.h"
#include "vmm/audit/audit.h"

/* RAM: 64 MiB at 0 and at 4 GiB on node 0, 128 MiB at 8 GiB on node 1, the last never used. */
#define MIX_IMAGE_PHYS  0x200000ull
#define MIX_IMAGE_BYTES 0x10000ull
#define MIX_FAR_PHYS    (8ull << 30)

struct mix {
	struct sim *sim;
	struct mm *mm;
	struct core_source *source;
	struct audit *audit;
	/* Areas, by what they are. All but the first two lie in the vmalloc window. */
	u64 module;    /* 5 pages, read-only and executable, in the module window */
	u64 outside;   /* 2 pages, in a window of its own */
	u64 single;    /* 1 page */
	u64 inlined;   /* 10 pages, the array inside the bookkeeping */
	u64 kmalloced; /* 300 pages, the array a kmalloc */
	u64 nested;    /* 1000 pages, the array an area of its own */
	u64 directory; /* 1000 pages, the array in frames under a directory */
	u64 readonly;  /* 3 pages */
	u64 dma32;     /* 4 pages below 4 GiB */
	u64 reserved;  /* 4 pages, no frames */
	u64 mapped;    /* 4 pages of vmap()'s, frames of others */
	u64 lazy[3];   /* given back, not purged: 2, 2 and 6 pages with their guards */
	u64 lazy_bytes[3];
	u64 hole; /* a free range of 7 pages between areas */
	/* Two processes. Both show `shared`, the second from its page 2 on. */
	struct process *process[2];
	u64 shared;            /* 5 pages for users */
	struct page *inserted; /* a frame of the machine's; it and one of outside's are inserted */
};

/* The ranges of the processes: of `shared`, of what was inserted and a hole, of the image, of an
 * area that is gone. The first has all four. */
#define MIX_USER_SHARED   0x10000000ull
#define MIX_USER_INSERTED 0x20000000ull
#define MIX_USER_IMAGE    0x30000000ull
#define MIX_USER_GONE     0x40000000ull

/* Everything is right in it. Ends the process where that cannot be had. */
struct mix *mix_create(void);
void mix_destroy(struct mix *mix);

/* Audits with all checks; what the last run found is in mix->audit. */
struct audit_result mix_audit(struct mix *mix);

/* Whether a violation of @check at @address has a text that contains @text. */
bool mix_has(const struct mix *mix, enum audit_check check, u64 address, const char *text);

/* Prints every violation kept, for a test that fails. */
void mix_print(const struct mix *mix);

/* ---- for planting ---- */

/* The entry of @level that @va goes through; the tables above it must be there. */
u64 *mix_entry(struct mix *mix, u64 va, int level);
u64 *mix_user_entry(struct mix *mix, u32 process, u64 va, int level);

/* The range of @process that starts at @va. */
struct vm_area_struct *mix_vma(struct mix *mix, u32 process, u64 va);

/* The tile that starts at @va, of any state; NULL where none does. */
struct vmap_area *mix_tile(struct mix *mix, u64 va);
struct vm_struct *mix_vm(struct mix *mix, u64 va);

/* The struct page mapped at @va, and its physical address. */
struct page *mix_page(struct mix *mix, u64 va);
u64 mix_phys(struct mix *mix, const struct page *page);

/* A leaf, as another part of the kernel would make it. */
void mix_map(struct mix *mix, u64 va, u64 phys, u64 prot);

/* The first free block of at least @order, or NULL; *@zone_out is its zone. */
struct page *mix_free_block(struct mix *mix, u32 order, struct zone **zone_out);

/* A zone that has frames on CPU 0's list. */
struct zone *mix_pcp_zone(struct mix *mix);

#endif
