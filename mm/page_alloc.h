/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames: the page array, nodes and zones, and the buddy allocator with its per-CPU lists.
 *
 * Every 4 KiB frame of RAM has a struct page in one array indexed by frame number (mm->memmap,
 * at 0xffffea0000000000 in the guest). All zeroes means "never handed out", and the host gives
 * RAM and page array as zeroes, so nothing has to be initialised: booting touches no struct page,
 * and a guest of any size costs what it uses.
 *
 *   zone.span[]   fresh frames, [start_pfn, end_pfn), eaten from the bottom in blocks of up to
 *                 MAX_ORDER; no struct page of theirs is ever read by the allocator except as
 *                 the buddy of a block beside them, where zero means "not free"; what was eaten
 *                 is [first_pfn, start_pfn)
 *   zone.free[o]  free blocks of 2^o frames, naturally aligned, first frame PAGE_FREE
 *   zone.pcp[cpu] single frames, PAGE_PCP, a stack through page->next
 *
 * RAM comes to life a section (128 MiB) at a time, when its first fresh frame is needed: its part
 * of the page array, exactly 2 MiB, is taken from the end of the section's own RAM, wherever a
 * span of the section has 2 MiB, so aligned, highest up. A section without such a place is not
 * used. Until a section is online, nobody may touch its struct pages: they are not mapped.
 *
 * Invariants (page_alloc_check()): blocks are aligned, disjoint, of the right zone and node, and
 * no block's buddy is free at the same order; frames inside a block but the first are PAGE_BODY or
 * PAGE_FRESH; counts agree with the lists; every frame is in exactly one place.
 *
 * Buddies: a block and its buddy lie in the same 4 MiB, so in the same section and RAM range; RAM
 * ranges, zones and sections all begin and end on 4 MiB.
 *
 * Not handled here: reclaim (there is nothing to reclaim), and memory coming or going at run time.
 */
#ifndef MM_PAGE_ALLOC_H
#define MM_PAGE_ALLOC_H

#include "mm/gfp.h"
#include "mm/list.h"
#include "mm/spinlock.h"
#include "mm/types.h"

struct mm;

#define MAX_ORDER       10 /* the largest block: 2^10 frames, 4 MiB */
#define MAX_ORDER_PAGES (1ull << MAX_ORDER)
#define MAX_CPUS        64
#define MAX_NODES       8

#define SECTION_SHIFT        27
#define SECTION_PAGES        (1ull << (SECTION_SHIFT - PAGE_SHIFT))
#define SECTION_MEMMAP_BYTES (SECTION_PAGES * sizeof(struct page)) /* 2 MiB */
#define MAX_SECTIONS         16384 /* 2 TiB of guest-physical addresses */

/* Zones as on x86-64: below 16 MiB, below 4 GiB, the rest. */
enum zone_id { ZONE_DMA, ZONE_DMA32, ZONE_NORMAL, NR_ZONES };
#define ZONE_DMA_END_PFN   (1ull << (24 - PAGE_SHIFT))
#define ZONE_DMA32_END_PFN (1ull << (32 - PAGE_SHIFT))

/*
 * What a frame is. The values are part of the layout note. PAGE_FRESH and PAGE_BODY frames are
 * what the block or span around them is.
 */
enum page_state {
	PAGE_FRESH = 0,   /* never handed out, or boot memory: its struct page is all zeroes */
	PAGE_BODY = 1,    /* in a block, free or allocated, whose first frame says what it is */
	PAGE_FREE = 2,    /* first frame of a free block of 2^order */
	PAGE_PCP = 3,     /* on a per-CPU list */
	PAGE_MEMMAP = 4,  /* holds struct pages; order says how many frames */
	PAGE_TABLE = 5,   /* a page-table page; index is its level (1 = PTEs) */
	PAGE_SLAB = 6,    /* a slab; owner is its struct kmem_cache */
	PAGE_KMALLOC = 7, /* a large kmalloc of 2^order frames */
	PAGE_VMALLOC = 8, /* a frame of a vmalloc area; owner is its struct vm_struct */
	PAGE_OTHER = 9,   /* anything else the machine around the core allocated */
	PAGE_NR_STATES
};

/* One frame. The word holds all that changes when a frame is handed out, so it is one store. */
struct page {
	union {
		u64 word;
		struct {
			u8 state; /* enum page_state */
			u8 order; /* of the block this is the first frame of */
			u8 zone;  /* enum zone_id */
			u8 node;
			u32 refcount;
		};
	};
	void *owner;
	union {
		struct page *next;     /* PAGE_PCP: the frame below on the stack */
		struct list_head list; /* PAGE_FREE: zone.free[order]; PAGE_SLAB: the cache's */
	};
	union {
		u64 index; /* PAGE_TABLE: its level */
		struct {   /* PAGE_SLAB */
			void *freelist;
			u32 in_use;
			u16 objects;
			u16 active; /* 1 + the CPU whose active slab it is, or 0 */
		};
	};
	u64 reserved[2];
};
_Static_assert(sizeof(struct page) == 64, "a section's struct pages fill exactly 2 MiB");

/* RAM of a zone from first_pfn on, of which [start_pfn, end_pfn) was never handed out. */
struct fresh_span {
	u64 start_pfn, end_pfn, first_pfn;
};
#define MAX_SPANS 16

/* A CPU's own frames of one zone; only that CPU touches them, and not from interrupts. */
struct page_pcp {
	struct page *top;
	u32 count;
	u32 pad;
};

struct zone {
	spinlock_t lock; /* guards all but pcp[] */
	u8 id, node;
	u8 nr_spans;
	u8 next_span;      /* those below it are eaten up */
	u64 page_word;     /* zone and node as page->word has them, all else zero */
	u64 managed_pages; /* all frames of the zone this allocator owns, fixed after init */
	u64 free_pages;    /* in free[] and span[]; not those on per-CPU lists, nor struct pages */
	u64 watermark_min; /* below it only those go that may (mm/gfp.h) */
	/* By the highest zone a request would take: what it must leave here on top of the
	 * watermark, so that requests that can go elsewhere do not use up a small low zone. */
	u64 reserve[NR_ZONES];
	u32 pcp_high; /* a per-CPU list longer than this gives pcp_batch frames back */
	u32 pcp_batch;
	struct list_head free[MAX_ORDER + 1];
	u64 nr_free[MAX_ORDER + 1];
	struct fresh_span span[MAX_SPANS];
	struct page_pcp pcp[MAX_CPUS];
};

struct node {
	u8 id;
	bool present;
	u16 nr_fallback;
	struct zone zone[NR_ZONES];
	/*
	 * Zones in the order an allocation that prefers this node tries them: for each node,
	 * nearest first, NORMAL then DMA32 then DMA. A request's highest zone filters it.
	 */
	struct zone *fallback[MAX_NODES * NR_ZONES];
};

/* A range of guest-physical memory, [start, end) in bytes. */
struct mem_range {
	u64 start, end;
	u32 node;
	u32 kind; /* enum reserved_kind where the range is reserved, 0 where it is RAM */
};

/* What boot memory the allocator never owns is used for; part of the layout note. */
enum reserved_kind { RESERVED_IMAGE = 1, RESERVED_TABLES = 2, RESERVED_BOOT = 3 };

/*
 * Builds nodes and zones from @ram: @nr_ram ranges, ascending, disjoint, 4 MiB aligned at both
 * ends, each on one node, less the @nr_reserved ranges of @reserved (page aligned, inside @ram,
 * ascending, disjoint, each in one range). Touches no frame. Returns 0; -EINVAL when a range breaks
 * these rules; -ENOSPC when there are more ranges, spans, nodes or sections than the core can keep;
 * -ENOMEM when all RAM is reserved.
 */
int page_alloc_init(struct mm *mm, const struct mem_range *ram, u32 nr_ram,
		    const struct mem_range *reserved, u32 nr_reserved);

/*
 * Allocates a block of 2^@order frames, @order in [0, MAX_ORDER], and marks its first frame with
 * @state, @order, @owner and refcount 1. @node is preferred (only that one with
 * __GFP_THISNODE); one below 0, NUMA_NO_NODE above all, is this CPU's own; from a
 * node beyond mm->nr_nodes there is nothing, which is reported through arch->warn. __GFP_DMA and
 * __GFP_DMA32 bound the zone. With __GFP_ZERO the frames are zeroed. Order 0 comes from the
 * per-CPU list. Returns NULL when nothing fits, or @order is above MAX_ORDER; without __GFP_NOWARN
 * that is logged. mm/gfp.h says what each flag does. Frames on other CPUs' lists are out of reach.
 * page->index is not set. Takes and drops section_lock and zone.lock.
 */
struct page *alloc_pages(struct mm *mm, gfp_t gfp, u32 order, int node, enum page_state state,
			 void *owner);

/*
 * References: a single frame of PAGE_VMALLOC or PAGE_OTHER may have more than its owner's, one for
 * each user mapping (mm/process.h). page_get() adds one and returns true, or false for a frame that
 * cannot have it: of another kind, part of a block, or with too many. The caller knows that the
 * frame is not being freed. page_put() takes one away; with the last the frame is free.
 */
bool page_get(struct page *page);
void page_put(struct mm *mm, struct page *page);

/*
 * Gives back the block that @page heads, allocated with this @order. A frame that has other
 * references stays allocated, PAGE_OTHER and without owner, until page_put() drops the last. A
 * frame that is not allocated, or with another order, is the caller's bug: it is reported
 * (arch->warn) and nothing changes. @page itself must be a struct page of an online section. Two
 * CPUs that free one block at the same moment are not told apart.
 */
void free_pages(struct mm *mm, struct page *page, u32 order);

/*
 * Allocates up to @nr single frames into @pages[0..nr) and marks each with @state and @owner, as
 * alloc_pages() with order 0 would, but in one pass over the per-CPU list. Returns how many it
 * got, in [0, @nr]; the rest of @pages is untouched. Fewer than @nr is logged as alloc_pages()
 * does. Frames come from the preferred zones as long as those have any.
 */
u64 alloc_pages_bulk(struct mm *mm, gfp_t gfp, int node, enum page_state state, void *owner, u64 nr,
		     struct page **pages);

/*
 * Gives back @nr single frames, the last first, so that the next bulk allocation gets them in the
 * same order; each is checked as free_pages() does, and one that fails is left out.
 */
void free_pages_bulk(struct mm *mm, u64 nr, struct page *const *pages);

/* Returns all frames of @cpu's lists to the buddy lists. That CPU is this one or stands still. */
void drain_pages(struct mm *mm, u32 cpu);

/* The same for this CPU. */
void drain_local_pages(struct mm *mm);

/* The zone a frame belongs to. @page must not be fresh. */
struct zone *page_zone(struct mm *mm, const struct page *page);

/*
 * Frames not handed out: buddy lists, fresh spans and all per-CPU lists. It falls by 512 when a
 * section comes to life.
 */
u64 nr_free_pages(struct mm *mm);

/* Returns NULL when every invariant above holds, otherwise what is wrong, as static text. */
const char *page_alloc_check(struct mm *mm);

#endif
