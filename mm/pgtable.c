/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 4-level page tables (SDM vol. 3A, 4.5): walks, tables made on demand, leaves written and
 * cleared a table at a time.
 *
 * What is common is kept short: a range within one page table that a walk led to lately, and two
 * inner loops. Everything else, large leaves and missing tables too, is handled out of line.
 * Entries above the leaves are published by compare-and-exchange, because two areas of two CPUs may
 * share a table; leaves belong to whoever owns the area.
 *
 * Deliberately absent: freeing of tables one by one (pt->walk[] counts on that; a process's go all
 * at once), TLB flushes, splitting of large leaves.
 */
#include "mm/pgtable.h"

#include "mm/errno.h"
#include "mm/mm.h"
#include "mm/string.h"

/* What an entry that names a table looks like: all rights, which the leaves then restrict. */
#define TABLE_FLAGS (X86_PTE_P | X86_PTE_RW | X86_PTE_A)

#define PT_BYTES (1ull << X86_LEVEL_SHIFT(2)) /* what one page table's leaves map */

static inline u64 level_bytes(int level)
{
	return 1ull << X86_LEVEL_SHIFT(level);
}

static inline u64 entry_index(u64 va, int level)
{
	return (va >> X86_LEVEL_SHIFT(level)) & (X86_TABLE_ENTRIES - 1);
}

static inline u64 entry_read(const u64 *entry)
{
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

static inline bool is_table(u64 entry)
{
	return (entry & (X86_PTE_P | X86_PTE_PS)) == X86_PTE_P;
}

static inline u64 *table_at(const struct mm *mm, u64 entry)
{
	return phys_to_virt(mm, entry & X86_PTE_ADDR_MASK);
}

/* Both addresses in one canonical half (vol. 1, 3.3.7.1): bits 63:47 all alike, and the same. */
static inline bool is_canonical_range(u64 start, u64 last)
{
	s64 sign = (s64)start >> 47;

	return start <= last && sign == (s64)last >> 47 && (sign == 0 || sign == -1);
}

/* The end of the part of [va, end) below the next multiple of @step. */
static inline u64 part_end(u64 va, u64 end, u64 step)
{
	u64 last = va | (step - 1);

	return last < end - 1 ? last + 1 : end;
}

/* ---- walking ---- */

/* pt->walk[] (mm/pgtable.h): the upper bits of a word are the address's, shifted. */
#define WALK_VA_SHIFT  16
#define WALK_PFN_SHIFT 27 /* out of the upper bits' way, and back */

static inline u64 *walk_slot(struct page_table *pt, u64 va)
{
	return &pt->walk[(va >> X86_PAGE_2M_SHIFT) % PT_WALKS];
}

static inline bool is_canonical(u64 va)
{
	return (u64)((s64)(va << WALK_VA_SHIFT) >> WALK_VA_SHIFT) == va;
}

/* The page table for the canonical @va if a walk led there lately, or NULL. */
static inline u64 *recent_table(const struct mm *mm, struct page_table *pt, u64 va)
{
	u64 word = __atomic_load_n(walk_slot(pt, va), __ATOMIC_ACQUIRE);
	u64 phys = word << WALK_PFN_SHIFT >> (WALK_PFN_SHIFT - PAGE_SHIFT);

	if (((word ^ va << WALK_VA_SHIFT) >> (64 - WALK_PFN_SHIFT)) || !phys)
		return NULL;
	return phys_to_virt(mm, phys);
}

/* The page table (level 1) that @va's leaf would be in, or NULL where there is none. */
static u64 *find_table(const struct mm *mm, struct page_table *pt, u64 va)
{
	u64 entry;

	entry = entry_read(table_at(mm, pt->root_phys) + entry_index(va, 4));
	if (unlikely(!is_table(entry)))
		return NULL;
	entry = entry_read(table_at(mm, entry) + entry_index(va, 3));
	if (unlikely(!is_table(entry)))
		return NULL;
	entry = entry_read(table_at(mm, entry) + entry_index(va, 2));
	if (unlikely(!is_table(entry)))
		return NULL;
	__atomic_store_n(walk_slot(pt, va),
			 (va >> X86_PAGE_2M_SHIFT << (64 - WALK_PFN_SHIFT)) |
				 (entry & X86_PTE_ADDR_MASK) >> PAGE_SHIFT,
			 __ATOMIC_RELEASE);
	return table_at(mm, entry);
}

/*
 * Walks down to @level or to where no table leads on: returns that entry, its level in
 * *@level_out.
 */
static u64 *walk(const struct mm *mm, const struct page_table *pt, u64 va, int level,
		 int *level_out)
{
	u64 *entry = table_at(mm, pt->root_phys) + entry_index(va, 4);
	int at = 4;

	while (at > level && is_table(entry_read(entry))) {
		at--;
		entry = table_at(mm, entry_read(entry)) + entry_index(va, at);
	}
	*level_out = at;
	return entry;
}

/* Makes the clear @entry of @level name a new table of the level below. */
static int make_table(struct mm *mm, struct page_table *pt, u64 *entry, int level)
{
	struct page *page = NULL;
	u64 expected = 0;

	if (!fault_hit(mm, FAULT_TABLE))
		page = alloc_pages(mm, GFP_KERNEL | __GFP_ZERO, 0, NUMA_NO_NODE, PAGE_TABLE, pt);
	if (!page)
		return -ENOMEM;
	page->index = (u64)level - 1;
	if (__atomic_compare_exchange_n(entry, &expected,
					page_to_phys(mm, page) | TABLE_FLAGS | pt->user_flag, false,
					__ATOMIC_RELEASE, __ATOMIC_RELAXED))
		__atomic_fetch_add(&pt->nr_tables, 1, __ATOMIC_RELAXED);
	else
		free_pages(mm, page, 0); /* another CPU was first */
	return 0;
}

/* Makes what tables are missing until @va has an entry of @level. */
static int make_tables(struct mm *mm, struct page_table *pt, u64 va, int level)
{
	u64 *entry, value;
	int at, err;

	for (;;) {
		entry = walk(mm, pt, va, level, &at);
		if (at == level)
			return 0;
		value = entry_read(entry);
		if (is_table(value))
			continue; /* another CPU's, since the walk */
		if (value)
			return -EBUSY;
		err = make_table(mm, pt, entry, at);
		if (err)
			return err;
	}
}

int pt_prepare(struct mm *mm, struct page_table *pt, u64 start, u64 end, int level)
{
	u64 step = level_bytes(level + 1);
	int err;

	if (start >= end || !is_canonical_range(start, end - 1) ||
	    !IS_ALIGNED(start | end, level_bytes(level)))
		return -EINVAL;
	for (u64 va = start; va != end; va = part_end(va, end, step)) {
		err = make_tables(mm, pt, va, level);
		if (err)
			return err;
	}
	return 0;
}

int pt_lookup(struct mm *mm, const struct page_table *pt, u64 va, u64 *entry_out)
{
	u64 entry;
	int level;

	if (!is_canonical_range(va, va))
		return 0;
	entry = entry_read(walk(mm, pt, va, 1, &level));
	if (!(entry & X86_PTE_P))
		return 0;
	*entry_out = entry;
	return level;
}

bool pt_translate(struct mm *mm, const struct page_table *pt, u64 va, u64 *phys_out)
{
	u64 entry, offset_mask;
	int level = pt_lookup(mm, pt, va, &entry);

	if (level == 0)
		return false;
	offset_mask = level_bytes(level) - 1;
	*phys_out = (entry & X86_PTE_ADDR_MASK & ~offset_mask) | (va & offset_mask);
	return true;
}

/* ---- clearing ---- */

/* Clears @nr entries; with a string instruction that is one instruction for each. */
static inline void clear_entries(u64 *entry, u64 nr)
{
	u64 zero = 0;

	__asm__ volatile("rep stosq" : "+D"(entry), "+c"(nr) : "a"(zero) : "memory");
}

/*
 * What lies at @va is no page table: clears a large leaf, skips a hole. Returns where to go on,
 * not beyond @end.
 */
static __attribute__((noinline)) u64 unmap_large(struct mm *mm, struct page_table *pt, u64 va,
						 u64 end)
{
	int level;
	u64 *entry = walk(mm, pt, va, 1, &level);
	u64 next = part_end(va, end, level_bytes(level));

	if (!(entry_read(entry) & X86_PTE_P))
		return next;
	if (next - va == level_bytes(level))
		__atomic_store_n(entry, 0, __ATOMIC_RELAXED);
	else
		mm_warn(mm, "a part of a large page was to be unmapped");
	return next;
}

/* A range of any kind: over several page tables, where there is none, or senseless. */
static __attribute__((noinline)) void unmap_slow(struct mm *mm, struct page_table *pt, u64 start,
						 u64 end)
{
	u64 next;

	if (start >= end || !IS_ALIGNED(start | end, PAGE_SIZE)) {
		mm_warn(mm, "what was to be unmapped is no range of pages");
		return;
	}
	if (!is_canonical_range(start, end - 1))
		return;
	for (; start != end; start = next) {
		u64 *table = find_table(mm, pt, start);

		if (table) {
			next = part_end(start, end, PT_BYTES);
			clear_entries(table + entry_index(start, 1), (next - start) >> PAGE_SHIFT);
		} else {
			next = unmap_large(mm, pt, start, end);
		}
	}
}

/* Whether @nr > 0 pages from entry @index on are in one page table. */
static inline bool in_one_table(u64 index, u64 nr)
{
	return nr - 1 < X86_TABLE_ENTRIES - index;
}

void pt_unmap(struct mm *mm, struct page_table *pt, u64 start, u64 end)
{
	u64 index = entry_index(start, 1), nr = (end - start) >> PAGE_SHIFT;

	if (likely(in_one_table(index, nr) && IS_ALIGNED(start | end, PAGE_SIZE) &&
		   is_canonical(start))) {
		u64 *table = recent_table(mm, pt, start);

		if (likely(table)) {
			clear_entries(table + index, nr);
			return;
		}
	}
	unmap_slow(mm, pt, start, end);
}

u64 pt_next_entry(struct mm *mm, struct page_table *pt, u64 va, u64 end, u64 **entry_out)
{
	u64 *entry, next;
	int level;

	while (va != end) {
		entry = walk(mm, pt, va, 1, &level);
		next = part_end(va, end, level > 1 ? level_bytes(level) : PT_BYTES);
		if (level > 1) {
			va = next;
			continue;
		}
		/* The rest of one page table. */
		for (; va != next; va += PAGE_SIZE, entry++) {
			if (entry_read(entry)) {
				*entry_out = entry;
				return va;
			}
		}
	}
	return end;
}

/* Frees the table @entry names, of @level, and those it leads to. */
static void free_table(struct mm *mm, struct page_table *pt, u64 entry, int level)
{
	const u64 *table = table_at(mm, entry);

	for (u32 i = 0; level > 1 && i < X86_TABLE_ENTRIES; i++) {
		if (is_table(table[i]))
			free_table(mm, pt, table[i], level - 1);
	}
	free_pages(mm, pfn_to_page(mm, (entry & X86_PTE_ADDR_MASK) >> PAGE_SHIFT), 0);
	pt->nr_tables--;
}

void pt_free_lower_half(struct mm *mm, struct page_table *pt)
{
	u64 *root = table_at(mm, pt->root_phys);

	for (u32 i = 0; i < X86_TABLE_ENTRIES / 2; i++) {
		u64 entry = root[i];

		root[i] = 0;
		if (is_table(entry))
			free_table(mm, pt, entry, 3);
	}
	memset(pt->walk, 0, sizeof(pt->walk));
}

/* ---- mapping frames ---- */

/* A frame's struct page is 64 bytes, so its leaf is its address, shifted, plus this. */
static inline u64 leaf_bias(const struct mm *mm, pgprot_t prot)
{
	return prot - ((u64)(uintptr_t)mm->memmap << (PAGE_SHIFT - 6));
}
_Static_assert(sizeof(struct page) == 1 << 6, "leaf_bias() and write_entries() shift by it");

/*
 * Writes leaves for @pages[0..nr), nr > 0. Returns NULL, or where it stopped: at a frame that is
 * none or at an entry that is not clear.
 */
static inline struct page *const *write_entries(u64 *entry, struct page *const *pages, u64 nr,
						u64 bias)
{
	struct page *const *end = pages + nr;

	do {
		if (unlikely(!*pages) || unlikely(READ_ONCE(*entry)))
			return pages;
		WRITE_ONCE(*entry, ((u64)(uintptr_t)*pages << (PAGE_SHIFT - 6)) + bias);
		entry++;
	} while (++pages != end);
	return NULL;
}

/* Undoes a mapping of @pages from @start on that stopped at @at, and says why it did. */
static __attribute__((noinline)) int undo_map(struct mm *mm, struct page_table *pt, u64 start,
					      struct page *const *pages, struct page *const *at)
{
	if (at != pages)
		pt_unmap(mm, pt, start, start + ((u64)(at - pages) << PAGE_SHIFT));
	return *at ? -EBUSY : -EINVAL;
}

/* A range of any kind, as unmap_slow(). */
static __attribute__((noinline)) int map_slow(struct mm *mm, struct page_table *pt, u64 start,
					      struct page *const *pages, u64 nr, pgprot_t prot)
{
	u64 bias = leaf_bias(mm, prot), end = start + (nr << PAGE_SHIFT), next;
	struct page *const *from = pages, *const * stop;
	int err;

	if (nr == 0 || nr >> (47 - PAGE_SHIFT))
		return -EINVAL;
	err = pt_prepare(mm, pt, start, end, 1);
	if (err)
		return err;
	for (u64 va = start; va != end; va = next) {
		next = part_end(va, end, PT_BYTES);
		nr = (next - va) >> PAGE_SHIFT;
		stop = write_entries(find_table(mm, pt, va) + entry_index(va, 1), pages, nr, bias);
		if (stop)
			return undo_map(mm, pt, start, from, stop);
		pages += nr;
	}
	return 0;
}

int pt_map_pages(struct mm *mm, struct page_table *pt, u64 start, struct page *const *pages, u64 nr,
		 pgprot_t prot)
{
	u64 index = entry_index(start, 1), *table;
	struct page *const *stop;

	if (unlikely(!in_one_table(index, nr) || !IS_ALIGNED(start, PAGE_SIZE) ||
		     !is_canonical(start)))
		return map_slow(mm, pt, start, pages, nr, prot);
	table = recent_table(mm, pt, start);
	if (unlikely(!table))
		return map_slow(mm, pt, start, pages, nr, prot);
	stop = write_entries(table + index, pages, nr, leaf_bias(mm, prot));
	return unlikely(stop) ? undo_map(mm, pt, start, pages, stop) : 0;
}

/* ---- mapping physical ranges ---- */

/* A leaf of @level: in large ones PS is set and the PAT bit has another place. */
static u64 make_leaf(u64 phys, pgprot_t prot, int level)
{
	if (level == 1)
		return phys | prot;
	if (prot & X86_PTE_PAT)
		prot |= X86_PTE_PAT_BIG;
	return phys | prot | X86_PTE_PS;
}

/* The largest level a leaf at @va may have; a table in its place, even an empty one, stays. */
static int leaf_level(const struct mm *mm, const struct page_table *pt, u64 va, u64 end, u64 phys,
		      int max_level)
{
	int level = max_level, at;

	while (level > 1 &&
	       (!IS_ALIGNED(va | phys, level_bytes(level)) || end - va < level_bytes(level) ||
		(is_table(entry_read(walk(mm, pt, va, level, &at))) && at == level)))
		level--;
	return level;
}

/* Makes the tables for every leaf of the range and sees that the leaves' places are clear. */
static int prepare_range(struct mm *mm, struct page_table *pt, u64 start, u64 end, u64 phys,
			 int max_level)
{
	int level, at, err;

	for (u64 va = start; va != end; va += level_bytes(level)) {
		level = leaf_level(mm, pt, va, end, phys + (va - start), max_level);
		err = make_tables(mm, pt, va, level);
		if (err)
			return err;
		if (entry_read(walk(mm, pt, va, level, &at)))
			return -EBUSY;
	}
	return 0;
}

int pt_map_range(struct mm *mm, struct page_table *pt, u64 start, u64 end, u64 phys, pgprot_t prot,
		 int max_level)
{
	int level, at, err;

	if (start >= end || !is_canonical_range(start, end - 1) ||
	    !IS_ALIGNED(start | end | phys, PAGE_SIZE) || max_level < 1 || max_level > 3 ||
	    phys >> X86_PHYSICAL_BITS_MAX || (phys + (end - start) - 1) >> X86_PHYSICAL_BITS_MAX)
		return -EINVAL;
	err = prepare_range(mm, pt, start, end, phys, max_level);
	if (err)
		return err;
	for (u64 va = start; va != end; va += level_bytes(level)) {
		u64 to = phys + (va - start);

		level = leaf_level(mm, pt, va, end, to, max_level);
		__atomic_store_n(walk(mm, pt, va, level, &at), make_leaf(to, prot, level),
				 __ATOMIC_RELAXED);
	}
	return 0;
}
