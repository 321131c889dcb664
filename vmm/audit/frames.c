/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "frames", second half: when all lists have signed, one sweep over the sections in use
 * finds frames that nobody signed for, or whose struct page says another thing; those that only
 * their struct page speaks for (slabs, kmalloc blocks) sign during it. Memory never used is
 * compared as ranges. In the end every frame of RAM was looked at once.
 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/audit/frames.h"

#define PAGE INSPECT_PAGE_BYTES

static uint64_t overlap(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_end)
{
	if (start < other_start)
		start = other_start;
	if (end > other_end)
		end = other_end;
	return start < end ? end - start : 0;
}

/* ---- zones ---- */

/* RAM of @node in the zone, less boot memory. */
static uint64_t count_managed(const struct audit_pass *pass, uint32_t node, uint32_t zone)
{
	const struct inspect_source *source = inspect_source_of(pass->inspector);
	uint64_t first, last, pages = 0;

	for (uint32_t i = 0; i < source->nr_ram; i++) {
		if (!inspect_zone_ram(pass->inspector, node, zone, i, &first, &last))
			continue;
		pages += last - first;
		for (uint32_t j = 0; j < source->nr_reserved; j++)
			pages -= overlap(first, last, source->reserved[j].start / PAGE,
					 source->reserved[j].end / PAGE);
	}
	return pages;
}

/* Struct pages that lie in @span: signed for in the map, but inside the span's numbers. */
static uint64_t memmap_in_span(const struct audit_pass *pass, const struct span *span)
{
	const struct frame_map *map = &pass->map;
	uint64_t count = 0;

	for (uint64_t section = span->start / map->section_pages;
	     section * map->section_pages < span->end && section < map->nr_sections; section++) {
		const struct frame *frame = map->section[section];
		uint64_t first = section * map->section_pages;
		uint64_t i = span->start > first ? span->start - first : 0;
		uint64_t end = span->end - first;

		for (; frame && map->online[section] && i < end && i < map->section_pages; i++)
			count += frame[i].claim == CLAIM_MEMMAP;
	}
	return count;
}

static void check_span(struct audit_pass *pass, const struct span *span)
{
	const struct inspect_source *source = inspect_source_of(pass->inspector);
	const struct nb_range *ram = inspect_ram_range(pass->inspector, span->start);

	if (!ram || span->end * PAGE > ram->end || ram->node != span->node)
		audit_found(pass, span->start * PAGE, span->end * PAGE, ram ? ram->end : 0,
			    "a fresh span is not RAM of node %u", span->node);
	if (inspect_zone_of(pass->inspector, span->start) != span->zone ||
	    inspect_zone_of(pass->inspector, span->end - 1) != span->zone)
		audit_found(pass, span->start * PAGE, span->zone,
			    inspect_zone_of(pass->inspector, span->start),
			    "a fresh span of another zone");
	for (uint32_t i = 0; i < source->nr_reserved; i++) {
		if (overlap(span->start, span->end, source->reserved[i].start / PAGE,
			    source->reserved[i].end / PAGE))
			audit_found(pass, span->start * PAGE, source->reserved[i].start, 0,
				    "a fresh span lies over boot memory");
	}
}

static void check_zone_counts(struct audit_pass *pass, const struct zone_sum *zone)
{
	const struct layout *l = pass->l;
	uint64_t managed = 0, free = 0, expected = zone->free + zone->fresh - zone->memmap;

	inspect_u64(pass->inspector, zone->address + l->zone.managed_pages, &managed);
	inspect_u64(pass->inspector, zone->address + l->zone.free_pages, &free);
	if (managed != zone->managed)
		audit_found(pass, zone->address, managed, zone->managed,
			    "zone %u of node %u counts its frames wrong", zone->zone, zone->node);
	if (free != expected)
		audit_found(pass, zone->address, free, expected,
			    "zone %u of node %u counts its free frames wrong", zone->zone,
			    zone->node);
}

static void check_zones(struct audit_frames *frames)
{
	struct audit_pass *pass = frames->pass;

	for (uint32_t node = 0; node < pass->l->max_nodes; node++) {
		for (uint32_t id = 0; id < pass->l->nr_zones && !frames->err; id++) {
			struct zone_sum zone = {
				.address = inspect_zone_address(pass->inspector, node, id),
				.node = node,
				.zone = id,
				.managed = count_managed(pass, node, id),
			};

			for (size_t i = 0; i < pass->map.nr_spans; i++) {
				const struct span *span = &pass->map.span[i];

				if (span->node != node || span->zone != id)
					continue;
				check_span(pass, span);
				zone.fresh += span->end - span->start;
				if (!pass->map.spans_overlap)
					zone.memmap += memmap_in_span(pass, span);
			}
			audit_claim_zone(frames, &zone);
			check_zone_counts(pass, &zone);
		}
	}
	if (pass->map.spans_overlap)
		audit_found(pass, 0, 0, 0, "two spans of fresh frames overlap");
}

/* ---- the sweep ---- */

/* One reference for the owner, who may have left, and one for each user page. */
static void check_references(struct audit_pass *pass, uint64_t pfn, const struct inspect_page *page,
			     uint32_t users)
{
	uint64_t expected = (uint64_t)users + (page->owner != 0);

	if (page->refcount != expected)
		audit_found(pass, pfn * PAGE, page->refcount, expected,
			    "a frame with other references than it has users");
}

/* A frame that no list has: its struct page speaks for it, or nobody does. */
static void check_unclaimed(struct audit_frames *frames, uint64_t pfn, uint32_t users,
			    const struct inspect_page *page)
{
	struct audit_pass *pass = frames->pass;
	const struct layout *l = pass->l;
	const char *what = "a frame in no known state, which nobody owns";

	if (page->state == l->page_slab || page->state == l->page_kmalloc ||
	    page->state == l->page_other) {
		audit_check_identity(pass, pfn, page);
		if (page->refcount == 0)
			audit_found(pass, pfn * PAGE, 0, 1, "a frame in use that nobody holds");
		else if (page->state == l->page_other && page->order == 0)
			check_references(pass, pfn, page, users);
		if (page->order > l->max_order)
			audit_found(pass, pfn * PAGE, page->order, l->max_order,
				    "a block of an order there is not");
		else
			audit_claim_block(frames, pfn, page->order,
					  page->state == l->page_slab      ? CLAIM_SLAB
					  : page->state == l->page_kmalloc ? CLAIM_KMALLOC
									   : CLAIM_OTHER);
		if (page->state == l->page_slab)
			audit_check_slab(frames, pfn, page);
		else if (page->state == l->page_kmalloc && page->order <= l->max_order)
			audit_objects_in_block(frames, inspect_frame_address(pass->inspector, pfn),
					       page->order);
		return;
	}
	if (page->state == l->page_vmalloc)
		what = "a frame marked as an area's that no area lists";
	else if (page->state == l->page_table_state)
		what = "a frame marked as a page table that no entry refers to";
	else if (page->state == l->page_free)
		what = "a frame marked free that is on no free list";
	else if (page->state == l->page_pcp_state)
		what = "a frame marked as on a per-CPU list that is on none";
	else if (page->state == l->page_memmap)
		what = "a frame marked as struct pages of no section";
	else if (page->state == l->page_body)
		what = "a frame in the middle of no block";
	else if (page->state == l->page_fresh)
		what = "a frame nobody owns";
	audit_found(pass, pfn * PAGE, page->state, 0, "%s", what);
}

/* A frame that somebody signed for, whose struct page nobody has looked at yet. */
static void check_claimed(struct audit_frames *frames, uint64_t pfn, const struct frame *frame,
			  const struct inspect_page *page)
{
	struct audit_pass *pass = frames->pass;
	const struct layout *l = pass->l;
	bool body = page->state == l->page_fresh || page->state == l->page_body;

	if (frame->level != 0 && frame->claim != CLAIM_TABLE && frame->claim != CLAIM_BOOT_TABLE)
		audit_found(pass, pfn * PAGE, 0, 0, "a frame is owned by %s and by %s",
			    claim_name(CLAIM_TABLE), claim_name(frame->claim));
	switch (frame->claim) {
	case CLAIM_RESERVED:
	case CLAIM_BOOT_TABLE:
	case CLAIM_FRESH:
		if (page->state != l->page_fresh)
			audit_found(pass, pfn * PAGE, page->state, l->page_fresh,
				    "a struct page says more than nothing of a frame of %s",
				    claim_name(frame->claim));
		break;
	case CLAIM_FREE:
		if (frame->order)
			audit_check_buddy(pass, pfn, frame);
		else if (!body)
			audit_found(pass, pfn * PAGE, page->state, l->page_body,
				    "a frame inside a free block that says it is something else");
		break;
	case CLAIM_MEMMAP:
		if (!body && page->state != l->page_memmap)
			audit_found(pass, pfn * PAGE, page->state, l->page_memmap,
				    "a frame of struct pages that is not marked so");
		break;
	case CLAIM_SLAB:
	case CLAIM_KMALLOC:
	case CLAIM_OTHER:
		/* The first frame of a block was looked at when it signed. */
		if (!body)
			audit_found(pass, pfn * PAGE, page->state, l->page_body,
				    "a frame inside a block in use that says it is something else");
		break;
	case CLAIM_TABLE:
		if (page->state != l->page_table_state)
			audit_found(pass, pfn * PAGE, page->state, l->page_table_state,
				    "a page table in a frame that is not marked so");
		break;
	default:
		break;
	}
}

/* The page array of a section is where the guest keeps it, all 2 MiB in a row. */
static void check_memmap_place(struct audit_pass *pass, uint64_t section)
{
	const struct frame *frame = pass->map.section[section];
	const struct inspect_source *source = inspect_source_of(pass->inspector);
	struct paging_reader reader = inspect_paging_reader(pass->inspector);
	uint64_t first = section * pass->map.section_pages, i = 0;
	uint64_t bytes = pass->map.section_pages * pass->l->page.bytes;

	if (source->virtual)
		return; /* the page tables have no part in it */
	while (i < pass->map.section_pages && frame[i].claim != CLAIM_MEMMAP)
		i++;
	for (uint64_t offset = 0; offset < bytes; offset += PAGE) {
		struct paging_walk walk;

		paging_walk(&source->paging, &reader,
			    gva_make(inspect_page_address(pass->inspector, first) + offset), &walk);
		if (walk.status == PAGING_MAPPED && walk.gpa.value == (first + i) * PAGE + offset)
			continue;
		audit_found(pass, inspect_page_address(pass->inspector, first) + offset,
			    walk.status == PAGING_MAPPED ? walk.gpa.value : 0,
			    (first + i) * PAGE + offset,
			    "the page array of a section is not where the core says");
		return;
	}
}

static void sweep_online(struct audit_frames *frames, uint64_t section)
{
	struct audit_pass *pass = frames->pass;
	uint64_t first = section * pass->map.section_pages;
	struct frame *frame = pass->map.section[section];
	uint64_t count = audit_section_frames(pass, section);

	for (uint64_t i = 0; i < count && !frames->err; i++) {
		struct inspect_page page;

		if (!inspect_ram_range(pass->inspector, first + i))
			continue;
		audit_looked(pass, 1);
		if (!inspect_page(pass->inspector, first + i, &page)) {
			audit_found(pass, (first + i) * PAGE, 0, 0,
				    "a section in use whose struct pages cannot be read");
			return;
		}
		if (frame[i].claim == CLAIM_NONE)
			check_unclaimed(frames, first + i, frame[i].users, &page);
		else
			check_claimed(frames, first + i, &frame[i], &page);
	}
}

/* Frames in [first, last) that boot memory or a span accounts for. */
static uint64_t count_untouched(const struct audit_pass *pass, uint64_t first, uint64_t last)
{
	const struct inspect_source *source = inspect_source_of(pass->inspector);
	uint64_t count = 0;

	for (size_t i = audit_first_span_above(&pass->map, first);
	     i < pass->map.nr_spans && pass->map.span[i].start < last; i++)
		count += overlap(first, last, pass->map.span[i].start, pass->map.span[i].end);
	for (uint32_t i = 0; i < source->nr_reserved; i++)
		count += overlap(first, last, source->reserved[i].start / PAGE,
				 source->reserved[i].end / PAGE);
	return count;
}

/* Frames of the span in [first, last) that were given up for want of room for their struct pages.
 */
static uint64_t given_up_of_span(const struct audit_pass *pass, const struct inspect_span *span,
				 uint64_t first, uint64_t last)
{
	uint64_t memmap = pass->map.section_pages * pass->l->page.bytes / PAGE;
	uint64_t began = span->first > first ? span->first : first;
	uint64_t end = span->end < last ? span->end : last;

	if (began >= end || (began + memmap - 1) / memmap * memmap + memmap <= end)
		return 0; /* nothing of the section, or there was room */
	return overlap(began, end, began, span->start);
}

/* The same of all spans. */
static uint64_t count_given_up(struct audit_pass *pass, uint64_t first, uint64_t last)
{
	struct inspect_span spans[INSPECT_SPANS_MAX];
	uint64_t count = 0;

	for (uint32_t node = 0; node < pass->l->max_nodes; node++) {
		for (uint32_t id = 0; id < pass->l->nr_zones; id++) {
			size_t nr = inspect_zone_spans(pass->inspector, node, id, spans);

			for (size_t i = 0; i < nr; i++)
				count += given_up_of_span(pass, &spans[i], first, last);
		}
	}
	return count;
}

/*
 * A section that never came to life: all of its RAM is boot memory or fresh, or was given up
 * because nowhere in it is room for its struct pages.
 */
static void sweep_offline(struct audit_frames *frames, uint64_t section)
{
	struct audit_pass *pass = frames->pass;
	const struct inspect_source *source = inspect_source_of(pass->inspector);
	uint64_t first = section * pass->map.section_pages;
	uint64_t last = first + pass->map.section_pages;

	for (uint32_t i = 0; i < source->nr_ram; i++) {
		uint64_t start = source->ram[i].start / PAGE, end = source->ram[i].end / PAGE;
		uint64_t pages = overlap(first, last, start, end), untouched;

		if (pages == 0)
			continue;
		if (start < first)
			start = first;
		untouched = count_untouched(pass, start, start + pages);
		if (untouched != pages)
			untouched += count_given_up(pass, start, start + pages);
		audit_looked(pass, pages);
		if (untouched != pages)
			audit_found(pass, start * PAGE, untouched, pages,
				    "a section not in use, not all of whose frames are fresh");
	}
}

static void check_total(struct audit_pass *pass)
{
	uint64_t address = inspect_mm(pass->inspector) + pass->l->mm.total_pages, said = 0;

	inspect_u64(pass->inspector, address, &said);
	if (said != inspect_ram_pages(pass->inspector))
		audit_found(pass, address, said, inspect_ram_pages(pass->inspector),
			    "the core counts all of RAM wrong");
}

int audit_frames(struct audit_pass *pass)
{
	struct audit_frames *frames = calloc(1, sizeof(*frames));
	int err;

	if (!frames)
		return -ENOMEM;
	frames->pass = pass;
	/* First of all: what it finds wrong makes much else look wrong. */
	for (uint64_t section = 0; section < pass->map.nr_sections; section++) {
		if (pass->map.online[section])
			check_memmap_place(pass, section);
	}
	frames->err = audit_take_objects(frames);
	audit_read_caches(frames);
	check_zones(frames);
	audit_claim_areas(frames);
	for (uint64_t section = 0; section < pass->map.nr_sections && !frames->err; section++) {
		if (pass->map.online[section])
			sweep_online(frames, section);
		else
			sweep_offline(frames, section);
	}
	audit_check_caches(frames);
	if (!frames->err)
		audit_check_objects(frames);
	check_total(pass);
	err = frames->err;
	free(frames->object);
	free(frames);
	return err;
}
