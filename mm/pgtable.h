/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's page tables: 4-level paging as in SDM vol. 3A, 4.5, with leaves of 4 KiB, 2 MiB
 * and 1 GiB. Levels are numbered as in the SDM's tables from the leaf: 1 PTE, 2 PDE, 3 PDPTE,
 * 4 PML4E. Table pages are frames marked PAGE_TABLE, with their level in page->index; the tables
 * the machine started with are boot memory instead.
 *
 * A function that maps either does all of it or changes no leaf: every table from the first leaf
 * to the last is in place before the first leaf is written. Tables that became empty stay (as in
 * Linux), so a later mapping of the range cannot fail. Nothing here flushes a TLB: the caller
 * knows when (mm/vmap.h).
 */
#ifndef MM_PGTABLE_H
#define MM_PGTABLE_H

#include "mm/gfp.h"
#include "mm/types.h"
#include "mm/x86.h"

struct mm;
struct page;

/* A leaf's low and high flag bits, without its address: what goes around a frame in an entry. */
typedef u64 pgprot_t;

/* Linux's kernel protections (values as a trace's prot= has them). */
#define PAGE_KERNEL      0x8000000000000163ull /* P RW A D G NX */
#define PAGE_KERNEL_RO   0x8000000000000121ull
#define PAGE_KERNEL_EXEC 0x0000000000000163ull
#define PAGE_KERNEL_ROX  0x0000000000000121ull

/*
 * Where walks went lately: a word for each of some 2 MiB ranges, that of the range with number
 * va >> 21 at that number modulo PT_WALKS. Bits 63:37 are bits 47:21 of the address, bits 36:0 the
 * frame number of its page table; 0 is none. It is read and written without a lock, a word at a
 * time, and cannot be wrong, because a page table stays where it is.
 */
#define PT_WALKS 64

struct page_table {
	u64 root_phys; /* the PML4 */
	u64 nr_tables; /* PAGE_TABLE frames allocated for it; boot tables not counted */
	u64 walk[PT_WALKS];
	u64 user_flag; /* X86_PTE_US where tables may lead to user pages, or 0 */
};

/*
 * Allocates every table that leaves of @level (1, 2 or 3) in [start, end) need. Both ends aligned
 * to that leaf size, start < end, canonical and in one half. Returns 0; -EINVAL when the range is
 * not so; -ENOMEM, with the tables made so far kept and no leaf changed; -EBUSY when a larger leaf
 * is in the way.
 */
int pt_prepare(struct mm *mm, struct page_table *pt, u64 start, u64 end, int level);

/* The same with a @gfp other than GFP_KERNEL: how to try, not where (GFP_RECLAIM_MASK). */
int pt_prepare_gfp(struct mm *mm, struct page_table *pt, u64 start, u64 end, int level, gfp_t gfp);

/*
 * Maps @pages[0..nr) at @start upward with 4 KiB leaves. @start page aligned, @nr > 0, the range
 * canonical and in one half. Returns 0; -EBUSY when a leaf in the range is not clear; -EINVAL when
 * the range is not so or a page pointer is NULL; -ENOMEM. After an error no leaf of the range is
 * different, but the first of them may have been mapped for a moment.
 */
int pt_map_pages(struct mm *mm, struct page_table *pt, u64 start, struct page *const *pages, u64 nr,
		 pgprot_t prot);

/*
 * Maps [start, end) to the contiguous physical range from @phys, with the largest leaves that
 * alignment and @max_level (1, 2, 3) allow; where a table is in a large leaf's place already,
 * smaller ones. Errors as pt_map_pages(); -EINVAL too for a @phys beyond 52 bits.
 */
int pt_map_range(struct mm *mm, struct page_table *pt, u64 start, u64 end, u64 phys, pgprot_t prot,
		 int max_level);

/*
 * Clears every leaf in [start, end), page aligned. A larger leaf that is only partly inside is
 * the caller's bug: it is reported (arch->warn) and stays whole. Clear leaves are skipped. So is
 * a range that is not canonical: nothing can be mapped there. What is neither clear nor present is
 * cleared and reported as the seed does: a warning for each such page, a line "bad pmd" (pud, pgd)
 * for an entry above.
 */
void pt_unmap(struct mm *mm, struct page_table *pt, u64 start, u64 end);

/* The same, but entries above the leaves are not looked at where a walk was lately. */
void pt_unmap_quick(struct mm *mm, struct page_table *pt, u64 start, u64 end);

/*
 * The leaf entry that maps @va: its value in *@entry_out and its level as the result (1, 2, 3),
 * or 0 when @va is not mapped (*@entry_out untouched).
 */
int pt_lookup(struct mm *mm, const struct page_table *pt, u64 va, u64 *entry_out);

/*
 * Whether nothing is in the way of a mapping of [start, end), page aligned: no leaf, no entry of
 * any level that is not clear and no table's. The first that is gets reported, a warning for leaves
 * and a line "bad pmd" for others, and stays. For ranges whose leaves are the caller's; none is in
 * the way where nothing can be mapped.
 */
bool pt_expect_clear(struct mm *mm, const struct page_table *pt, u64 start, u64 end);

/*
 * The first page in [va, end) whose 4 KiB entry is not all zero, present or not: its address, and
 * the entry in *@entry_out; or @end. Large leaves are passed over.
 */
u64 pt_next_entry(struct mm *mm, struct page_table *pt, u64 va, u64 end, u64 **entry_out);

/*
 * Frees all tables of the lower half of the PML4, which then maps nothing there. No leaf is left
 * in them, and no CPU uses them.
 */
void pt_free_lower_half(struct mm *mm, struct page_table *pt);

/* Returns true and the physical address @va maps to, or false when it is not mapped. */
bool pt_translate(struct mm *mm, const struct page_table *pt, u64 va, u64 *phys_out);

#endif
