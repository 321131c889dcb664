/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handing out frames and taking them back: per-CPU lists (mm/pcp.c) in front of the zones' blocks
 * (mm/buddy.c), and the choice of a zone.
 *
 * Instructions are what this file saves. The usual request, one frame from the preferred node,
 * pops a stack; everything else goes through functions kept out of line. So does asking which CPU
 * this is, on machines with more than one: the call alone would double the registers to save.
 * page->word is written
 * whole, and compared whole where frames come in bulk: frames of one area were all given the same
 * word, so one compare says that a frame is allocated, single, and of the same zone as the last.
 */
#include "mm/buddy.h"
#include "mm/string.h"

#define NOINLINE      __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* What the quick path of alloc_pages() leaves to the other. */
#define GFP_UNUSUAL (__GFP_DMA | __GFP_DMA32 | __GFP_THISNODE | __GFP_ZERO)
/* Who may go below the watermark. */
#define GFP_NO_WATERMARK (__GFP_HIGH | __GFP_MEMALLOC | __GFP_NOFAIL)

/* Two bytes of the word that never change, whoever exchanges it meanwhile. */
__attribute__((no_sanitize("thread"))) struct zone *page_zone(struct mm *mm,
							      const struct page *page)
{
	return &mm->node[page->node].zone[page->zone];
}

/* The node @node names, or this CPU's own for one below 0; NULL for one that is not there. */
static struct node *preferred_node(struct mm *mm, int node)
{
	if (node < 0)
		return mm->local_node[mm->nr_cpus == 1 ? 0 : cpu_id(mm)];
	if ((u32)node < mm->nr_nodes)
		return &mm->node[node];
	mm_warn(mm, "frames were asked for of a node that is not there");
	return NULL;
}

static enum zone_id highest_zone(gfp_t gfp)
{
	if (gfp & __GFP_DMA)
		return ZONE_DMA;
	return gfp & __GFP_DMA32 ? ZONE_DMA32 : ZONE_NORMAL;
}

/* How many frames a request with @gfp must leave free in @zone. */
static u64 zone_floor(const struct zone *zone, gfp_t gfp)
{
	if (gfp & GFP_NO_WATERMARK)
		return 0;
	return zone->watermark_min + zone->reserve[highest_zone(gfp)];
}

static bool zone_allowed(const struct zone *zone, gfp_t gfp, const struct node *node)
{
	if (zone->id > highest_zone(gfp))
		return false;
	return !(gfp & __GFP_THISNODE) || zone->node == node->id;
}

/* ---- allocating ---- */

static NOINLINE void report_failure(struct mm *mm, gfp_t gfp, u32 order, u64 nr)
{
	if (gfp & __GFP_NOFAIL)
		mm_warn(mm, "a __GFP_NOFAIL allocation failed: nothing is left");
	if (!(gfp & __GFP_NOWARN) && mm_printk_ratelimit(mm))
		mm_log(mm, LOG_WARNING, "page allocation failure: order:%u, mode:%llx, missing:%lu",
		       order, (unsigned long long)gfp, (unsigned long)nr);
}

/*
 * A table is zeroed by stores of this CPU, whatever the machine offers: a hypervisor that shadows
 * page tables follows those, and may still know the frame as the table it was before.
 */
static void zero_block(struct mm *mm, struct page *page, u32 order)
{
	if (mm->ops->zero_frames && page->state != PAGE_TABLE)
		mm->ops->zero_frames(mm->arch, page_to_pfn(mm, page), 1ull << order);
	else
		clear_words(page_address(mm, page), PAGE_SIZE / sizeof(u64) << order);
}

static struct page *alloc_from_zone(struct mm *mm, struct zone *zone, gfp_t gfp, u32 order,
				    enum page_state state)
{
	struct page_pcp *pcp = &zone->pcp[cpu_id(mm)];
	u64 word = page_word_held(zone, state, order), floor = zone_floor(zone, gfp);
	struct page *page;

	if (order)
		return buddy_alloc(mm, zone, order, word, floor);
	if (!pcp->top && !pcp_refill(mm, zone, pcp, floor))
		return NULL;
	page = pcp->top;
	pcp->top = page->next;
	pcp->count--;
	page_set_word(page, word);
	return page;
}

static struct page *alloc_from_zones(struct mm *mm, gfp_t gfp, u32 order, struct node *node,
				     enum page_state state)
{
	for (u32 i = 0; i < node->nr_fallback; i++) {
		struct zone *zone = node->fallback[i];
		struct page *page;

		if (!zone_allowed(zone, gfp, node))
			continue;
		page = alloc_from_zone(mm, zone, gfp, order, state);
		if (page)
			return page;
	}
	return NULL;
}

/*
 * Whether @word is that of an allocated block of @order: a state from PAGE_TABLE on, and one
 * reference. Both halves of the word are compared at once.
 */
static inline bool word_is_allocated(u64 word, u32 order)
{
	u32 state_order = word & 0xffff;

	return state_order - (order << PAGE_WORD_ORDER_SHIFT | PAGE_TABLE) <=
		       PAGE_OTHER - PAGE_TABLE &&
	       word >> PAGE_WORD_REFCOUNT_SHIFT == 1;
}

/* ---- frames that are followed ---- */

/* A block is handed out, or is about to be given back. */
static inline void follow_block(struct mm *mm, struct page *page, u32 order, bool taken)
{
	if (likely(!mm->ops->frames_note))
		return;
	mm->ops->frames_note(mm->arch, page_to_pfn(mm, page), 1ull << order, taken);
	mm->ops->frames_settle(mm->arch);
}

static NOINLINE void follow_many(struct mm *mm, u64 nr, struct page *const *pages, bool taken)
{
	for (u64 i = 0; i < nr; i++)
		if (taken || word_is_allocated(page_get_word(pages[i]), 0))
			mm->ops->frames_note(mm->arch, page_to_pfn(mm, pages[i]), 1, taken);
	mm->ops->frames_settle(mm->arch);
}

/* ---- allocating, the slow ways ---- */

/* Whether this allocation is one to fail on demand, if it is one that may. */
static inline bool frame_must_fail(struct mm *mm, gfp_t gfp)
{
	return !(gfp & __GFP_NOFAIL) && fault_hit(mm, FAULT_FRAME);
}

/*
 * Any request. A block that is not there may be in pieces on this CPU's lists; to give those up for
 * it is what __GFP_NORETRY declines.
 */
static NOINLINE struct page *alloc_pages_slow(struct mm *mm, gfp_t gfp, u32 order, int node,
					      enum page_state state, void *owner)
{
	struct node *preferred = preferred_node(mm, node);
	struct page *page = NULL;

	if (!preferred)
		return NULL;
	if (order <= MAX_ORDER && !frame_must_fail(mm, gfp)) {
		page = alloc_from_zones(mm, gfp, order, preferred, state);
		if (!page && order && !(gfp & __GFP_NORETRY)) {
			drain_local_pages(mm);
			page = alloc_from_zones(mm, gfp, order, preferred, state);
		}
	}
	if (!page) {
		report_failure(mm, gfp, order, 1ull << (order <= MAX_ORDER ? order : 0));
		return NULL;
	}
	page->owner = owner;
	follow_block(mm, page, order, true);
	if (gfp & __GFP_ZERO)
		zero_block(mm, page, order);
	return page;
}

/* One frame, nothing unusual about it, of the own node of @cpu, which this is. */
static inline struct page *alloc_one(struct mm *mm, gfp_t gfp, enum page_state state, void *owner,
				     u32 cpu)
{
	struct zone *zone = mm->local_node[cpu]->fallback[0];
	struct page_pcp *pcp = &zone->pcp[cpu];
	struct page *page = pcp->top;

	if (unlikely(!page))
		return alloc_pages_slow(mm, gfp, 0, NUMA_NO_NODE, state, owner);
	pcp->top = page->next;
	pcp->count--;
	page_set_word(page, page_word_held(zone, state, 0));
	page->owner = owner;
	return page;
}

static NOINLINE struct page *alloc_one_smp(struct mm *mm, gfp_t gfp, enum page_state state,
					   void *owner)
{
	if (mm->ops->frames_note)
		return alloc_pages_slow(mm, gfp, 0, NUMA_NO_NODE, state, owner);
	return alloc_one(mm, gfp, state, owner, cpu_id(mm));
}

struct page *alloc_pages(struct mm *mm, gfp_t gfp, u32 order, int node, enum page_state state,
			 void *owner)
{
	if (unlikely(order | (gfp & GFP_UNUSUAL) | mm->fault.fail[FAULT_FRAME]) ||
	    unlikely(node >= 0))
		return alloc_pages_slow(mm, gfp, order, node, state, owner);
	if (mm->slow_frames)
		return alloc_one_smp(mm, gfp, state, owner);
	return alloc_one(mm, gfp, state, owner, 0);
}

static inline struct page *pop_one(struct page *page, u64 word, void *owner, struct page **out)
{
	struct page *next = page->next;

	page_set_word(page, word);
	page->owner = owner;
	*out = page;
	return next;
}

/* Pops @nr frames, which @pcp has. */
static ALWAYS_INLINE void pop_many(struct page_pcp *pcp, u64 word, void *owner, u64 nr,
				   struct page **out)
{
	struct page *page = pcp->top, **end = out + nr;

	for (; end - out >= 4; out += 4) {
		page = pop_one(page, word, owner, &out[0]);
		page = pop_one(page, word, owner, &out[1]);
		page = pop_one(page, word, owner, &out[2]);
		page = pop_one(page, word, owner, &out[3]);
	}
	for (; out != end; out++)
		page = pop_one(page, word, owner, out);
	pcp->top = page;
	pcp->count -= (u32)nr;
}

static u64 bulk_from_zone(struct mm *mm, struct zone *zone, gfp_t gfp, enum page_state state,
			  void *owner, u64 nr, struct page **pages)
{
	struct page_pcp *pcp = &zone->pcp[cpu_id(mm)];
	u64 word = page_word_held(zone, state, 0), floor = zone_floor(zone, gfp), got = 0;

	while (got < nr) {
		u64 run = nr - got;

		if (!pcp->top && !pcp_refill(mm, zone, pcp, floor))
			break;
		if (run > pcp->count)
			run = pcp->count;
		pop_many(pcp, word, owner, run, pages + got);
		got += run;
	}
	return got;
}

/* How many of @nr frames there are before the one that must fail. */
static NOINLINE u64 frames_before_fault(struct mm *mm, u64 nr)
{
	u64 good = 0;

	while (good < nr && !fault_hit(mm, FAULT_FRAME))
		good++;
	return good;
}

/* Any bulk request. */
static NOINLINE u64 bulk_slow(struct mm *mm, gfp_t gfp, int node, enum page_state state,
			      void *owner, u64 nr, struct page **pages)
{
	struct node *preferred = preferred_node(mm, node);
	u64 want = nr, got = 0;

	if (!preferred)
		return 0;
	if (mm->fault.fail[FAULT_FRAME] && !(gfp & __GFP_NOFAIL))
		want = frames_before_fault(mm, nr);
	for (u32 i = 0; got < want && i < preferred->nr_fallback; i++) {
		struct zone *zone = preferred->fallback[i];

		if (zone_allowed(zone, gfp, preferred))
			got += bulk_from_zone(mm, zone, gfp, state, owner, want - got, pages + got);
	}
	if (mm->ops->frames_note)
		follow_many(mm, got, pages, true);
	if (gfp & __GFP_ZERO) {
		for (u64 i = 0; i < got; i++)
			zero_block(mm, pages[i], 0);
	}
	if (got < nr)
		report_failure(mm, gfp, 0, nr - got);
	return got;
}

u64 alloc_pages_bulk(struct mm *mm, gfp_t gfp, int node, enum page_state state, void *owner, u64 nr,
		     struct page **pages)
{
	struct zone *zone = mm->local_node[0]->fallback[0];
	struct page_pcp *pcp = &zone->pcp[0];

	if (unlikely((gfp & GFP_UNUSUAL) | mm->fault.fail[FAULT_FRAME] | mm->slow_frames) ||
	    unlikely(node >= 0) || unlikely(pcp->count < nr))
		return bulk_slow(mm, gfp, node, state, owner, nr, pages);
	pop_many(pcp, page_word_held(zone, state, 0), owner, nr, pages);
	return nr;
}

/* ---- freeing ---- */

static NOINLINE void report_bad_free(struct mm *mm, const struct page *page, u32 order)
{
	mm_log(mm, LOG_ERR, "bad free of frame %llx, order %u: state %u, order %u, refcount %u",
	       (unsigned long long)page_to_pfn(mm, page), order, page->state, page->order,
	       page->refcount);
	mm_warn(mm, "free of a block that is not allocated");
}

static NOINLINE void free_pages_slow(struct mm *mm, struct page *page, u32 order)
{
	struct zone *zone;

	if (order == 0 && page_leave(page))
		return;
	if (order > MAX_ORDER || !word_is_allocated(page_peek_word(page), order)) {
		report_bad_free(mm, page, order);
		return;
	}
	follow_block(mm, page, order, false);
	zone = page_zone(mm, page);
	spin_lock(&zone->lock);
	buddy_free(mm, zone, page, order);
	spin_unlock(&zone->lock);
}

/* One frame, known to be allocated, on @cpu. */
static inline void free_one(struct mm *mm, struct page *page, u32 cpu)
{
	struct zone *zone = page_zone(mm, page);
	struct page_pcp *pcp = &zone->pcp[cpu];

	page_set_word(page, page_word(zone, PAGE_PCP, 0));
	page->next = pcp->top;
	pcp->top = page;
	if (unlikely(++pcp->count > zone->pcp_high))
		pcp_drain(mm, zone, pcp, zone->pcp_batch);
}

static NOINLINE void free_one_smp(struct mm *mm, struct page *page)
{
	follow_block(mm, page, 0, false);
	free_one(mm, page, cpu_id(mm));
}

void free_pages(struct mm *mm, struct page *page, u32 order)
{
	if (unlikely(order || !word_is_allocated(page_peek_word(page), 0)))
		free_pages_slow(mm, page, order);
	else if (mm->slow_frames)
		free_one_smp(mm, page);
	else
		free_one(mm, page, 0);
}

static inline bool push_one(struct page **top, struct page *page, u64 word, u64 pcp_word)
{
	if (unlikely(page_peek_word(page) != word))
		return false;
	page_set_word(page, pcp_word);
	page->next = *top;
	*top = page;
	return true;
}

/*
 * Pushes end[-1], end[-2] and so on, down to @start, as long as each has the word @word. Returns
 * where it stopped.
 */
static ALWAYS_INLINE struct page *const *push_many(struct page_pcp *pcp, u64 word, u64 pcp_word,
						   struct page *const *start,
						   struct page *const *end)
{
	struct page *top = pcp->top;
	struct page *const *at = end;

	for (; at - start >= 4; at -= 4) {
		if (!push_one(&top, at[-1], word, pcp_word))
			goto out;
		if (!push_one(&top, at[-2], word, pcp_word)) {
			at -= 1;
			goto out;
		}
		if (!push_one(&top, at[-3], word, pcp_word)) {
			at -= 2;
			goto out;
		}
		if (!push_one(&top, at[-4], word, pcp_word)) {
			at -= 3;
			goto out;
		}
	}
	while (at != start && push_one(&top, at[-1], word, pcp_word))
		at--;
out:
	pcp->top = top;
	pcp->count += (u32)(end - at);
	return at;
}

/*
 * Frees the last of @nr frames and those before it, as long as they are like it and @cpu's list has
 * room. Returns how many are left: all of them, when there is no room or the last is wrong.
 */
static ALWAYS_INLINE u64 free_some(struct mm *mm, u64 nr, struct page *const *pages, u32 cpu)
{
	struct page *page = pages[nr - 1];
	struct zone *zone = page_zone(mm, page);
	struct page_pcp *pcp = &zone->pcp[cpu];
	u64 word = page_peek_word(page), run;

	if (unlikely(!word_is_allocated(word, 0)))
		return nr;
	run = zone->pcp_high - pcp->count;
	if (run > nr)
		run = nr;
	return (u64)(push_many(pcp, word, page_word(zone, PAGE_PCP, 0), pages + nr - run,
			       pages + nr) -
		     pages);
}

static NOINLINE void free_bulk_slow(struct mm *mm, u64 nr, struct page *const *pages)
{
	u32 cpu = cpu_id(mm);

	if (mm->ops->frames_note)
		follow_many(mm, nr, pages, false);
	while (nr) {
		struct page *page = pages[nr - 1];
		u64 left = free_some(mm, nr, pages, cpu);

		if (left == nr && !word_is_allocated(page_peek_word(page), 0)) {
			free_pages_slow(mm, page, 0);
			left--;
		} else if (left == nr) {
			struct zone *zone = page_zone(mm, page);

			pcp_drain(mm, zone, &zone->pcp[cpu], zone->pcp_batch);
		}
		nr = left;
	}
}

void free_pages_bulk(struct mm *mm, u64 nr, struct page *const *pages)
{
	if (likely(nr && !mm->slow_frames))
		nr = free_some(mm, nr, pages, 0);
	if (unlikely(nr))
		free_bulk_slow(mm, nr, pages);
}

u64 nr_free_pages(struct mm *mm)
{
	u64 pages = 0;

	for (u32 id = 0; id < mm->nr_nodes; id++) {
		for (u32 z = 0; z < NR_ZONES; z++) {
			struct zone *zone = &mm->node[id].zone[z];

			pages += READ_ONCE(zone->free_pages);
			for (u32 cpu = 0; cpu < mm->nr_cpus; cpu++)
				pages += READ_ONCE(zone->pcp[cpu].count);
		}
	}
	return pages;
}
