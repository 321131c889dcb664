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
#include "mm/pgtable_private.h"
#include "mm/string.h"

/* What an entry that names a table looks like: all rights, which the leaves then restrict. */
#define TABLE_FLAGS (X86_PTE_P | X86_PTE_RW | X86_PTE_A)

#define PT_BYTES (1ull << X86_LEVEL_SHIFT(2)) /* what one page table's leaves map */

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

/* Where the page table for the canonical @va is if a walk led there lately, or 0. */
static inline u64 recent_table(struct page_table *pt, u64 va)
{
	u64 word = smp_load_acquire(walk_slot(pt, va));

	if ((word ^ va << WALK_VA_SHIFT) >> (64 - WALK_PFN_SHIFT))
		return 0;
	return word << WALK_PFN_SHIFT >> (WALK_PFN_SHIFT - PAGE_SHIFT);
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
	smp_store_release(walk_slot(pt, va), (va >> X86_PAGE_2M_SHIFT << (64 - WALK_PFN_SHIFT)) |
						     (entry & X86_PTE_ADDR_MASK) >> PAGE_SHIFT);
	return table_at(mm, entry);
}

u64 *pt_walk(const struct mm *mm, const struct page_table *pt, u64 va, int level, int *level_out)
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

/*
 * Makes the clear @entry of @level name a new table of the level below. What @gfp says of zones is
 * not for tables.
 */
static int make_table(struct mm *mm, struct page_table *pt, u64 *entry, int level, gfp_t gfp)
{
	struct page *page = NULL;
	u64 expected = 0;

	if (gfp & __GFP_NOFAIL || !fault_hit(mm, FAULT_TABLE))
		page = alloc_pages(mm, (gfp & GFP_RECLAIM_MASK) | __GFP_ZERO, 0, NUMA_NO_NODE,
				   PAGE_TABLE, pt);
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

int pt_make_tables(struct mm *mm, struct page_table *pt, u64 va, int level, gfp_t gfp)
{
	u64 *entry, value;
	int at, err;

	for (;;) {
		entry = pt_walk(mm, pt, va, level, &at);
		if (at == level)
			return 0;
		value = entry_read(entry);
		if (is_table(value))
			continue; /* another CPU's, since the walk */
		if (value)
			return -EBUSY;
		err = make_table(mm, pt, entry, at, gfp);
		if (err)
			return err;
	}
}

int pt_prepare_gfp(struct mm *mm, struct page_table *pt, u64 start, u64 end, int level, gfp_t gfp)
{
	u64 step = level_bytes(level + 1);
	int err;

	if (start >= end || !is_canonical_range(start, end - 1) ||
	    !IS_ALIGNED(start | end, level_bytes(level)))
		return -EINVAL;
	for (u64 va = start; va != end; va = part_end(va, end, step)) {
		err = pt_make_tables(mm, pt, va, level, gfp);
		if (err)
			return err;
	}
	return 0;
}

int pt_prepare(struct mm *mm, struct page_table *pt, u64 start, u64 end, int level)
{
	return pt_prepare_gfp(mm, pt, start, end, level, GFP_KERNEL);
}

int pt_lookup(struct mm *mm, const struct page_table *pt, u64 va, u64 *entry_out)
{
	u64 entry;
	int level;

	if (!is_canonical_range(va, va))
		return 0;
	entry = entry_read(pt_walk(mm, pt, va, 1, &level));
	if (!is_leaf(entry, level))
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

/* ---- what is no leaf and not clear ---- */

/* The seed's pgd_none_or_clear_bad(), pud_ and pmd_, report so. */
static __attribute__((noinline, cold)) void report_bad(struct mm *mm, const u64 *entry, u64 value,
						       int level)
{
	static const char *const names[] = {"pte", "pmd", "pud", "pgd"};

	mm_log(mm, LOG_WARNING, "%s:%d: bad %s %016llx(%016llx).", __FILE__, __LINE__,
	       names[level - 1], (unsigned long long)(uintptr_t)entry, (unsigned long long)value);
}

/* Reports what of @nr entries is neither clear nor present, before it is cleared. */
static __attribute__((noinline, cold)) void report_absent(struct mm *mm, const u64 *entry, u64 nr)
{
	for (; nr; nr--, entry++) {
		if (*entry && !(*entry & X86_PTE_P))
			mm_warn(mm, "a page table entry is not present and not clear");
	}
}

/*
 * The first entry for [va, end) that is neither clear nor a table's, of any level: the address from
 * which on it is for the range, or @end.
 */
static u64 next_used(struct mm *mm, const struct page_table *pt, u64 va, u64 end, u64 **entry_out,
		     int *level_out)
{
	while (va != end) {
		u64 *entry = pt_walk(mm, pt, va, 1, level_out);
		u64 next = part_end(va, end, *level_out > 1 ? level_bytes(*level_out) : PT_BYTES);
		u64 step = *level_out > 1 ? next - va : PAGE_SIZE;

		/* One upper entry, or the rest of a page table. */
		for (; va != next; va += step, entry++) {
			u64 value = entry_read(entry);

			if (value && !(*level_out > 1 && is_table(value))) {
				*entry_out = entry;
				return va;
			}
		}
	}
	return end;
}

u64 pt_next_entry(struct mm *mm, struct page_table *pt, u64 va, u64 end, u64 **entry_out)
{
	int level;

	while ((va = next_used(mm, pt, va, end, entry_out, &level)) != end && level > 1)
		va = part_end(va, end, level_bytes(level));
	return va;
}

bool pt_expect_clear(struct mm *mm, const struct page_table *pt, u64 start, u64 end)
{
	u64 *entry, value;
	int level;

	if (start >= end || !is_canonical_range(start, end - 1) ||
	    next_used(mm, pt, start, end, &entry, &level) == end)
		return true;
	value = entry_read(entry);
	if (level == 1 || is_leaf(value, level))
		mm_warn(mm, "something is mapped where a mapping was to go");
	else
		report_bad(mm, entry, value, level);
	return false;
}

/* ---- clearing ---- */

/* Whether all of @nr > 0 entries are present. */
static inline bool all_present(const u64 *entry, u64 nr)
{
	u64 all = X86_PTE_P;

	for (; nr >= 4; nr -= 4, entry += 4)
		all &= entry[0] & entry[1] & entry[2] & entry[3];
	while (nr--)
		all &= *entry++;
	return all;
}

/* Clears @nr > 0 entries; with a string instruction that is one instruction for each. */
static inline void clear_entries(struct mm *mm, u64 *entry, u64 nr)
{
	if (nr == 1 && likely(*entry & X86_PTE_P)) {
		leaf_write(entry, 0);
		return;
	}
	if (unlikely(!all_present(entry, nr)))
		report_absent(mm, entry, nr);
	clear_words(entry, nr);
}

/*
 * What lies at @va is no page table: clears a large leaf, reports and clears what is bad, skips a
 * hole. Returns where to go on, not beyond @end.
 */
static __attribute__((noinline)) u64 unmap_large(struct mm *mm, struct page_table *pt, u64 va,
						 u64 end)
{
	int level;
	u64 *entry = pt_walk(mm, pt, va, 1, &level), value = entry_read(entry);
	u64 next = part_end(va, end, level_bytes(level));

	/* A table that came since the walk is another area's; nothing of this one is in it. */
	if (!value || is_table(value))
		return next;
	if (is_leaf(value, level) && next - va != level_bytes(level)) {
		mm_warn(mm, "a part of a large page was to be unmapped");
		return next;
	}
	if (!is_leaf(value, level)) {
		report_bad(mm, entry, value, level);
		/* Walks that led on from here lead nowhere. */
		for (u32 i = 0; i < PT_WALKS; i++)
			smp_store_release(&pt->walk[i], 0);
	}
	WRITE_ONCE(*entry, 0);
	return next;
}

void pt_unmap(struct mm *mm, struct page_table *pt, u64 start, u64 end)
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
			clear_entries(mm, table + entry_index(start, 1),
				      (next - start) >> PAGE_SHIFT);
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

void pt_unmap_quick(struct mm *mm, struct page_table *pt, u64 start, u64 end)
{
	u64 index = entry_index(start, 1), nr = (end - start) >> PAGE_SHIFT;

	if (likely(in_one_table(index, nr) && IS_ALIGNED(start | end, PAGE_SIZE) &&
		   is_canonical(start))) {
		u64 phys = recent_table(pt, start);

		if (likely(phys)) {
			clear_entries(mm, (u64 *)phys_to_virt(mm, phys) + index, nr);
			return;
		}
	}
	pt_unmap(mm, pt, start, end);
}

/* ---- mapping frames ---- */

/* A frame's struct page is 64 bytes, so its leaf is its address, shifted, plus this. */
static inline u64 leaf_bias(const struct mm *mm, pgprot_t prot)
{
	return prot - ((u64)(uintptr_t)mm->memmap << (PAGE_SHIFT - 6));
}
_Static_assert(sizeof(struct page) == 1 << 6, "leaf_bias() and write_entries() shift by it");

static inline bool write_entry(u64 *entry, const struct page *page, u64 bias)
{
	if (unlikely(!page) || unlikely(*entry))
		return false;
	leaf_write(entry, ((u64)(uintptr_t)page << (PAGE_SHIFT - 6)) + bias);
	return true;
}

/*
 * Writes leaves for @pages[0..nr), nr > 0. Returns NULL, or where it stopped: at a frame that is
 * none or at an entry that is not clear.
 */
static inline struct page *const *write_entries(u64 *entry, struct page *const *pages, u64 nr,
						u64 bias)
{
	struct page *const *end = pages + nr;

	if (nr == 1)
		return write_entry(entry, *pages, bias) ? NULL : pages;
	for (; end - pages >= 4; pages += 4, entry += 4) {
		if (!write_entry(&entry[0], pages[0], bias))
			return &pages[0];
		if (!write_entry(&entry[1], pages[1], bias))
			return &pages[1];
		if (!write_entry(&entry[2], pages[2], bias))
			return &pages[2];
		if (!write_entry(&entry[3], pages[3], bias))
			return &pages[3];
	}
	for (; pages != end; pages++, entry++) {
		if (!write_entry(entry, *pages, bias))
			return pages;
	}
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

/* A range of any kind: over several page tables, where there is none, or senseless. */
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
	u64 index = entry_index(start, 1), phys;
	struct page *const *stop;

	if (unlikely(!in_one_table(index, nr) || !IS_ALIGNED(start, PAGE_SIZE) ||
		     !is_canonical(start)))
		return map_slow(mm, pt, start, pages, nr, prot);
	phys = recent_table(pt, start);
	if (unlikely(!phys))
		return map_slow(mm, pt, start, pages, nr, prot);
	stop = write_entries((u64 *)phys_to_virt(mm, phys) + index, pages, nr, leaf_bias(mm, prot));
	return unlikely(stop) ? undo_map(mm, pt, start, pages, stop) : 0;
}
