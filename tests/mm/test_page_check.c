/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checker of the page allocator: one planted fault for each thing it says it sees. A fault it
 * misses, or one that makes it run wild, fails here.
 */
#include "tests/harness.h"
#include "tests/mm/sim.h"

#include <string.h>

/* A machine with something of everything, and where to find it. */
struct scene {
	struct sim *sim;
	struct mm *mm;
	struct zone *zone;
	struct page *held, *block; /* one frame; eight frames */
	struct page *pcp;          /* on top of CPU 0's list */
	struct page *free3;        /* a free block of eight frames */
	struct page *memmap;
	struct page *fresh;
};

static struct list_head stray_list;
static struct page stray_page;

static void bad_state(struct scene *s)
{
	s->held->state = PAGE_NR_STATES;
}

static void lost_frame(struct scene *s)
{
	s->held->word = 0;
}

static void lost_body(struct scene *s)
{
	s->held->state = PAGE_BODY;
	s->held->refcount = 0;
}

static void bad_order(struct scene *s)
{
	s->block->order = MAX_ORDER + 1;
}

static void order_on_pcp(struct scene *s)
{
	s->pcp->order = 1;
}

static void too_large_order(struct scene *s)
{
	s->block->order = 4;
}

static void unaligned_order(struct scene *s)
{
	pfn_to_page(s->mm, page_to_pfn(s->mm, s->held) | 1)->order = 1;
}

static void wrong_zone(struct scene *s)
{
	s->held->zone = ZONE_DMA;
}

static void wrong_node(struct scene *s)
{
	s->block->node = 1;
}

static void no_reference(struct scene *s)
{
	s->held->refcount = 0;
}

static void referenced_free(struct scene *s)
{
	s->free3->refcount = 1;
}

static void body_is_a_head(struct scene *s)
{
	s->block[5].word = s->held->word;
}

static void body_of_free_is_free(struct scene *s)
{
	s->free3[4].state = PAGE_FREE;
}

static void lost_memmap(struct scene *s)
{
	s->memmap->state = PAGE_OTHER;
}

static void second_memmap(struct scene *s)
{
	s->held->state = PAGE_MEMMAP;
}

static void fresh_is_used(struct scene *s)
{
	s->fresh->state = PAGE_VMALLOC;
}

static void span_goes_backward(struct scene *s)
{
	s->zone->span[0].start_pfn = s->zone->span[0].end_pfn + 1;
}

static void span_eaten_too_far(struct scene *s)
{
	s->zone->span[0].start_pfn += 1;
}

static void span_eaten_too_little(struct scene *s)
{
	s->zone->span[0].start_pfn -= 1;
}

static void too_many_spans(struct scene *s)
{
	s->zone->nr_spans = MAX_SPANS + 1;
}

static void free_count_high(struct scene *s)
{
	s->zone->free_pages++;
}

static void managed_count_low(struct scene *s)
{
	s->zone->managed_pages--;
}

static void list_count_high(struct scene *s)
{
	s->zone->nr_free[3]++;
}

static void list_count_low(struct scene *s)
{
	s->zone->nr_free[3]--;
}

static void list_count_endless(struct scene *s)
{
	s->zone->nr_free[3] = ~0ull;
}

static void block_not_on_list(struct scene *s)
{
	list_del(&s->free3->list);
	s->zone->nr_free[3]--;
}

static void block_on_wrong_list(struct scene *s)
{
	list_del(&s->free3->list);
	s->zone->nr_free[3]--;
	list_add(&s->free3->list, &s->zone->free[2]);
	s->zone->nr_free[2]++;
}

static void held_on_list(struct scene *s)
{
	list_add(&s->held->list, &s->zone->free[0]);
	s->zone->nr_free[0]++;
}

static void list_is_a_cycle(struct scene *s)
{
	s->free3->list.next = &s->free3->list;
}

static void list_leads_to_null(struct scene *s)
{
	s->free3->list.next = NULL;
	s->zone->nr_free[3]++;
}

static void list_leads_outside(struct scene *s)
{
	s->free3->list.next = &stray_list;
	s->zone->nr_free[3]++;
	stray_list.next = stray_list.prev = &stray_list;
}

static void list_leads_to_offline_section(struct scene *s)
{
	s->free3->list.next = &pfn_to_page(s->mm, SECTION_PAGES * 5)->list;
	s->zone->nr_free[3]++;
}

static void list_leads_beyond_all_sections(struct scene *s)
{
	s->free3->list.next = &pfn_to_page(s->mm, SECTION_PAGES * MAX_SECTIONS)->list;
	s->zone->nr_free[3]++;
}

static void list_leads_between_pages(struct scene *s)
{
	s->free3->list.next = (struct list_head *)((char *)&s->held->list + 8);
	s->zone->nr_free[3]++;
}

static void back_link_wrong(struct scene *s)
{
	s->free3->list.prev = &s->held->list;
}

static void head_back_link_wrong(struct scene *s)
{
	s->zone->free[3].prev = &s->zone->free[3];
}

static void buddies_not_merged(struct scene *s)
{
	u64 word = s->free3->word - (1u << 8);

	list_del(&s->free3->list);
	s->zone->nr_free[3]--;
	for (u32 i = 0; i < 8; i += 4) {
		s->free3[i].word = word;
		list_add(&s->free3[i].list, &s->zone->free[2]);
		s->zone->nr_free[2]++;
	}
}

static void pcp_count_high(struct scene *s)
{
	s->zone->pcp[0].count++;
}

static void pcp_count_low(struct scene *s)
{
	s->zone->pcp[0].count--;
}

static void pcp_is_a_cycle(struct scene *s)
{
	s->pcp->next = s->pcp;
}

static void pcp_leads_outside(struct scene *s)
{
	s->pcp->next = &stray_page;
}

static void pcp_frame_is_held(struct scene *s)
{
	s->pcp->state = PAGE_OTHER;
	s->pcp->refcount = 1;
}

static void pcp_frame_on_two_lists(struct scene *s)
{
	s->zone->pcp[1] = s->zone->pcp[0];
}

static void pcp_frame_of_another_zone(struct scene *s)
{
	s->mm->node[0].zone[ZONE_DMA].pcp[1] = s->zone->pcp[0];
}

static void section_forgotten(struct scene *s)
{
	s->mm->section_online[page_to_pfn(s->mm, s->held) / SECTION_PAGES] = 0;
}

static void memmap_elsewhere(struct scene *s)
{
	s->mm->section_online[page_to_pfn(s->mm, s->held) / SECTION_PAGES] = 1;
}

#define FAULT(plant, text)          \
	{                           \
#plant, plant, text \
	}

static const struct {
	const char *name;
	void (*plant)(struct scene *scene);
	const char *text;
} faults[] = {
	FAULT(bad_state, "state is none"),
	FAULT(lost_frame, "in no block"),
	FAULT(lost_body, "in no block"),
	FAULT(bad_order, "order is none"),
	FAULT(order_on_pcp, "order is none"),
	FAULT(too_large_order, "inside a block"),
	FAULT(unaligned_order, "not aligned"),
	FAULT(wrong_zone, "not the one it lies in"),
	FAULT(wrong_node, "not the one it lies in"),
	FAULT(no_reference, "reference count"),
	FAULT(referenced_free, "reference count"),
	FAULT(body_is_a_head, "inside a block"),
	FAULT(body_of_free_is_free, "inside a block"),
	FAULT(lost_memmap, "struct pages are not marked so"),
	FAULT(second_memmap, "struct pages are not where"),
	FAULT(fresh_is_used, "fresh frame"),
	FAULT(span_goes_backward, "no range of frames"),
	FAULT(span_eaten_too_far, "in no block"),
	FAULT(span_eaten_too_little, "reaches into fresh memory"),
	FAULT(too_many_spans, "count of spans"),
	FAULT(free_count_high, "count of free frames"),
	FAULT(managed_count_low, "count of frames"),
	FAULT(list_count_high, "count differ"),
	FAULT(list_count_low, "longer than its count"),
	FAULT(list_count_endless, "count differ"),
	FAULT(block_not_on_list, "on no list"),
	FAULT(block_on_wrong_list, "of another order"),
	FAULT(held_on_list, "is not free"),
	FAULT(list_is_a_cycle, ""),
	FAULT(list_leads_to_null, "list ends"),
	FAULT(list_leads_outside, "to no struct page"),
	FAULT(list_leads_to_offline_section, "to no struct page"),
	FAULT(list_leads_beyond_all_sections, "to no struct page"),
	FAULT(list_leads_between_pages, "to no struct page"),
	FAULT(back_link_wrong, "links do not agree"),
	FAULT(head_back_link_wrong, "count differ"),
	FAULT(buddies_not_merged, "not merged"),
	FAULT(pcp_count_high, "shorter than its count"),
	FAULT(pcp_count_low, "longer than its count"),
	FAULT(pcp_is_a_cycle, "longer than its count"),
	FAULT(pcp_leads_outside, "to no struct page"),
	FAULT(pcp_frame_is_held, "not marked so"),
	FAULT(pcp_frame_on_two_lists, "on two"),
	FAULT(pcp_frame_of_another_zone, "out of its zone"),
	FAULT(section_forgotten, ""),
	FAULT(memmap_elsewhere, "struct pages are not where"),
};

/* A free block of eight frames whose buddy is held: it cannot merge. */
static struct page *make_free3(struct mm *mm)
{
	struct page *last, *page = alloc_pages(mm, GFP_KERNEL, 3, 0, PAGE_OTHER, NULL);

	do {
		last = page;
		page = alloc_pages(mm, GFP_KERNEL, 3, 0, PAGE_OTHER, NULL);
	} while (page_to_pfn(mm, page) % 16 == 0 || page != last + 8);
	free_pages(mm, page, 3);
	return page;
}

static struct scene make_scene(void)
{
	struct sim_config config = sim_default_config(2);
	struct scene scene = {.sim = sim_create_frames(&config)};
	struct mm *mm = scene.mm = &scene.sim->mm;

	scene.zone = &mm->node[0].zone[ZONE_NORMAL];
	scene.held = alloc_pages(mm, GFP_KERNEL, 0, 0, PAGE_OTHER, NULL);
	scene.pcp = scene.zone->pcp[0].top;
	scene.block = alloc_pages(mm, GFP_KERNEL, 3, 0, PAGE_OTHER, NULL);
	scene.free3 = make_free3(mm);
	alloc_pages(mm, GFP_KERNEL | GFP_DMA, 2, 0, PAGE_OTHER, NULL);
	scene.fresh = pfn_to_page(mm, scene.zone->span[0].start_pfn + 100);
	scene.memmap = pfn_to_page(mm, ((4ull << 30) + (62ull << 20)) >> PAGE_SHIFT);
	ck_assert_uint_eq(scene.memmap->state, PAGE_MEMMAP);
	ck_assert_uint_ge(scene.zone->pcp[0].count, 2);
	/* unaligned_order wants a held frame of an odd number. */
	alloc_pages(mm, GFP_KERNEL, 0, 0, PAGE_OTHER, NULL);
	scene.pcp = scene.zone->pcp[0].top;
	return scene;
}

START_TEST(a_planted_fault_is_seen)
{
	struct scene scene = make_scene();
	const char *wrong = page_alloc_check(scene.mm);

	ck_assert_msg(!wrong, "before the fault: %s", wrong);
	faults[_i].plant(&scene);
	wrong = page_alloc_check(scene.mm);
	ck_assert_msg(wrong != NULL, "%s is not seen", faults[_i].name);
	ck_assert_msg(strstr(wrong, faults[_i].text), "%s: %s", faults[_i].name, wrong);
	sim_destroy(scene.sim);
}
END_TEST

/* Any one bit of any struct page in use, or of a zone's lists and counts. */
START_TEST(no_flipped_bit_makes_the_checker_run_wild)
{
	struct scene scene = make_scene();
	u64 first = scene.zone->span[0].first_pfn, seed = 88172645463325252ull, seen = 0;

	for (u32 i = 0; i < 20000; i++) {
		u8 *byte, old;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		byte = i % 4 ? (u8 *)pfn_to_page(scene.mm, first + seed / 512 % 1024) + seed % 32
			     : (u8 *)scene.zone + 8 + seed / 512 % (sizeof(*scene.zone) - 8);
		old = *byte;
		*byte ^= (u8)(1u << (seed >> 32) % 8);
		seen += page_alloc_check(scene.mm) != NULL;
		*byte = old;
	}
	/* Owners, links of held frames and free room are nobody's invariant. */
	ck_assert_uint_gt(seen, 4000);
	ck_assert_ptr_null(page_alloc_check(scene.mm));
	sim_destroy(scene.sim);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("page_check");
	TCase *tcase = tcase_create("check");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, a_planted_fault_is_seen, 0, ARRAY_SIZE(faults));
	tcase_add_test(tcase, no_flipped_bit_makes_the_checker_run_wild);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(suite());
}
