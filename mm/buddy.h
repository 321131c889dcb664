/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the page allocator: blocks of one zone, between its free lists, its fresh spans and the
 * per-CPU lists above (mm/page_alloc.c); and what
 * the checkers share. Nobody else includes this.
 */
#ifndef MM_BUDDY_H
#define MM_BUDDY_H

#include "mm/mm.h"

/* page->word: what each field of it is shifted by. */
#define PAGE_WORD_ORDER_SHIFT    8
#define PAGE_WORD_ZONE_SHIFT     16
#define PAGE_WORD_NODE_SHIFT     24
#define PAGE_WORD_REFCOUNT_SHIFT 32

/* The word of the first frame of a block of @zone that nobody, or one owner, holds. */
static inline u64 page_word(const struct zone *zone, enum page_state state, u32 order)
{
	return zone->page_word | (u64)state | (u64)order << PAGE_WORD_ORDER_SHIFT;
}

static inline u64 page_word_held(const struct zone *zone, enum page_state state, u32 order)
{
	return page_word(zone, state, order) | 1ull << PAGE_WORD_REFCOUNT_SHIFT;
}

/* Whether a frame with this word is allocated and may have more references than its owner's. */
static inline bool page_is_shareable(u64 word)
{
	u32 state_order = word & 0xffff;

	return state_order == PAGE_VMALLOC || state_order == PAGE_OTHER;
}

/*
 * The owner gives up a frame that others still refer to: takes its reference away and makes the
 * frame PAGE_OTHER. Returns false, and nothing changes, when there is no other reference.
 */
bool page_leave(struct page *page);

#define SECTION_MEMMAP_PAGES (SECTION_MEMMAP_BYTES / PAGE_SIZE)
#define SECTION_MEMMAP_ORDER 9
_Static_assert(SECTION_MEMMAP_PAGES == 1ull << SECTION_MEMMAP_ORDER, "one block of frames");

/* The first frame of the struct pages of a section, @online being its mm->section_online. */
static inline u64 section_memmap_pfn(u64 section, u8 online)
{
	return section * SECTION_PAGES + (online - 1ull) * SECTION_MEMMAP_PAGES;
}

/*
 * A frame's word may be read, as somebody's buddy, while its holder changes it: the reader only
 * wants to know whether it is PAGE_FREE, and that changes under zone->lock alone.
 */
static inline u64 page_get_word(const struct page *page)
{
	return READ_ONCE(page->word);
}

/*
 * The same of a frame that its holder is about to free, while others who show it may drop their
 * references. It is compared with the word that a frame of one holder has, so that what it was a
 * moment ago only means the longer way. A plain load, which a compare can be made of: x86 reads it
 * whole and in order. A race detector is told that it is meant.
 */
static inline u64 page_peek_word(const struct page *page)
{
#ifdef __SANITIZE_THREAD__
	return __atomic_load_n(&page->word, __ATOMIC_ACQUIRE);
#else
	return page->word;
#endif
}

static inline void page_set_word(struct page *page, u64 word)
{
	WRITE_ONCE(page->word, word);
}

/*
 * Gives @section its struct pages, unless it has them. Returns 0; -ENOSPC when it has too little
 * RAM for them, and so can never be used; -ENOMEM from arch->memmap_populate. After an error it is
 * as it was. Takes and drops mm->section_lock and, inside, zone locks.
 */
int section_start(struct mm *mm, u64 section);

/*
 * Takes a block of 2^@order frames out of @zone, gives its first frame the word @word, and leaves
 * at least @floor frames free in the zone. Brings a section to life when it must. Returns NULL
 * when the zone has no such block. Takes and drops mm->section_lock and zone->lock.
 */
struct page *buddy_alloc(struct mm *mm, struct zone *zone, u32 order, u64 word, u64 floor);

/*
 * Gives a block back, merged with its buddies as far as they are free. zone->lock is held, and the
 * block is the caller's.
 */
void buddy_free(struct mm *mm, struct zone *zone, struct page *page, u32 order);

/*
 * Fills @pcp, which is this CPU's list of @zone and empty, leaving at least @floor frames free in
 * the zone; they will come out in ascending order. Returns false when the zone has none to spare.
 */
bool pcp_refill(struct mm *mm, struct zone *zone, struct page_pcp *pcp, u64 floor);

/* Gives the @nr frames on top of @pcp, or all it has, back to the zone. */
void pcp_drain(struct mm *mm, struct zone *zone, struct page_pcp *pcp, u32 nr);

/*
 * A walk over every block that was ever cut from fresh memory, free or not, by zone and address.
 * Start with all zeroes; the machine stands still.
 */
struct block_walk {
	u32 node, zone_id, span;
	u64 pfn;
	struct zone *zone;
	struct page *page; /* the block's first frame */
	u32 order;
	const char *error; /* what is wrong with the block, or NULL */
};

/*
 * Goes to the next block. Returns false at the end, or, with walk->error set, at a frame that
 * cannot be the first of a block.
 */
bool block_walk_next(struct mm *mm, struct block_walk *walk);

/* Whether @page is a struct page that may be touched: one of an online section. */
bool page_is_mapped(const struct mm *mm, const struct page *page);

#endif
