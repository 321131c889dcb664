/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "frames", first half: everybody who has a list of frames signs for them in the map: zones
 * for their spans, free blocks and per-CPU lists, areas for their page arrays. A frame somebody
 * signed for before has two owners, and the list that comes second is not followed further there,
 * so no list can lead in circles.
 */
#include "vmm/audit/frames.h"

#define PAGE INSPECT_PAGE_BYTES

/* Signs for one frame; false where that is not possible, which is then reported. */
static bool claim(struct audit_frames *frames, uint64_t pfn, enum claim claim)
{
	struct frame *frame = audit_frame(frames->pass, pfn, &frames->err);

	if (frames->err)
		return false;
	if (!frame) {
		audit_found(frames->pass, pfn * PAGE, 0, 0, "%s holds a frame that is no RAM",
			    claim_name(claim));
		return false;
	}
	if (frame->claim != CLAIM_NONE) {
		audit_found(frames->pass, pfn * PAGE, 0, 0, "a frame is owned by %s and by %s",
			    claim_name(frame->claim), claim_name(claim));
		return false;
	}
	frame->claim = (uint8_t)claim;
	return true;
}

bool audit_claim_block(struct audit_frames *frames, uint64_t pfn, unsigned int order,
		       enum claim kind)
{
	for (uint64_t i = 0; i < 1ull << order; i++) {
		if (!claim(frames, pfn + i, kind))
			return false;
	}
	return true;
}

void audit_check_identity(struct audit_pass *pass, uint64_t pfn, const struct inspect_page *page)
{
	const struct nb_range *ram = inspect_ram_range(pass->inspector, pfn);
	uint32_t zone = inspect_zone_of(pass->inspector, pfn);

	if (page->zone != zone)
		audit_found(pass, pfn * PAGE, page->zone, zone, "a struct page of another zone");
	if (ram && page->node != ram->node)
		audit_found(pass, pfn * PAGE, page->node, ram->node,
			    "a struct page of another node");
}

/* ---- zones ---- */

/* One block on the free list of @order. Returns false where the list cannot be followed on. */
static bool take_free_block(struct audit_frames *frames, struct zone_sum *zone, uint64_t pfn,
			    unsigned int order, const struct inspect_page *page)
{
	struct audit_pass *pass = frames->pass;
	struct frame *frame;

	if (page->state != pass->l->page_free)
		audit_found(pass, pfn * PAGE, page->state, pass->l->page_free,
			    "a frame on a free list that is not marked free");
	if (page->order != order)
		audit_found(pass, pfn * PAGE, page->order, order,
			    "a free block of another order than its list's");
	if (page->refcount != 0 && page->state == pass->l->page_free)
		audit_found(pass, pfn * PAGE, page->refcount, 0, "a free block that is in use");
	if (pfn & ((1ull << order) - 1))
		audit_found(pass, pfn * PAGE, pfn, order, "a free block is not aligned");
	audit_check_identity(pass, pfn, page);
	if (inspect_zone_of(pass->inspector, pfn) != zone->zone)
		audit_found(pass, pfn * PAGE, inspect_zone_of(pass->inspector, pfn), zone->zone,
			    "a free block on another zone's list");
	if (!audit_claim_block(frames, pfn, order, CLAIM_FREE))
		return false;
	frame = audit_frame(pass, pfn, &frames->err);
	if (frame)
		frame->order = (uint8_t)(order + 1);
	zone->free += 1ull << order;
	return true;
}

static void take_free_list(struct audit_frames *frames, struct zone_sum *zone, unsigned int order)
{
	struct audit_pass *pass = frames->pass;
	const struct layout *l = pass->l;
	uint64_t head = zone->address + l->zone.free + (uint64_t)order * l->list_head.bytes;
	uint64_t count = 0, said = 0, from = head, link = 0, pfn;
	struct inspect_page page;

	inspect_u64(pass->inspector, head + l->list_head.next, &link);
	/* An unused zone is all zeroes: an empty list of its own kind. */
	while (link != head && (link != 0 || zone->managed != 0)) {
		if (!inspect_page_pfn(pass->inspector, link - l->page.list, &pfn) ||
		    !inspect_page(pass->inspector, pfn, &page)) {
			audit_found(pass, from, link, head,
				    "a link in the free list of order %u leads to no struct page",
				    order);
			break;
		}
		if (page.list_prev != from) {
			audit_found(pass, pfn * PAGE, page.list_prev, from,
				    "a prev link in the free list of order %u is wrong", order);
			break;
		}
		if (!take_free_block(frames, zone, pfn, order, &page))
			break;
		count++;
		from = link;
		link = page.list_next;
	}
	inspect_u64(pass->inspector, zone->address + l->zone.nr_free + 8ull * order, &said);
	if (said != count)
		audit_found(pass, zone->address, said, count,
			    "zone %u of node %u counts its free blocks of order %u wrong",
			    zone->zone, zone->node, order);
}

static void take_pcp(struct audit_frames *frames, struct zone_sum *zone, uint32_t cpu)
{
	struct audit_pass *pass = frames->pass;
	uint64_t pcp = inspect_pcp_address(pass->inspector, zone->address, cpu);
	uint64_t top = 0, pfn;
	uint32_t said = 0, count = 0;
	struct inspect_page page;

	inspect_u64(pass->inspector, pcp + pass->l->page_pcp.top, &top);
	inspect_u32(pass->inspector, pcp + pass->l->page_pcp.count, &said);
	while (top != 0) {
		if (!inspect_page_pfn(pass->inspector, top, &pfn) ||
		    !inspect_page(pass->inspector, pfn, &page)) {
			audit_found(pass, pcp, top, 0, "the list of CPU %u leads to no struct page",
				    cpu);
			break;
		}
		if (!claim(frames, pfn, CLAIM_PCP))
			break;
		if (page.state != pass->l->page_pcp_state)
			audit_found(pass, pfn * PAGE, page.state, pass->l->page_pcp_state,
				    "a frame on a per-CPU list that is not marked so");
		audit_check_identity(pass, pfn, &page);
		if (inspect_zone_of(pass->inspector, pfn) != zone->zone)
			audit_found(pass, pfn * PAGE, inspect_zone_of(pass->inspector, pfn),
				    zone->zone, "a frame on another zone's per-CPU list");
		count++;
		top = page.next;
	}
	if (said != count)
		audit_found(pass, pcp, said, count, "CPU %u counts its frames of zone %u wrong",
			    cpu, zone->zone);
	if (count && cpu >= inspect_source_of(pass->inspector)->nr_cpus)
		audit_found(pass, pcp, count, 0, "frames on the list of CPU %u, which is none",
			    cpu);
}

void audit_claim_zone(struct audit_frames *frames, struct zone_sum *zone)
{
	audit_check_lock(frames->pass, zone->address + frames->pass->l->zone.lock, "a zone");
	for (unsigned int order = 0; order <= frames->pass->l->max_order && !frames->err; order++)
		take_free_list(frames, zone, order);
	for (uint32_t cpu = 0; cpu < frames->pass->l->max_cpus && !frames->err; cpu++)
		take_pcp(frames, zone, cpu);
}

/* Two free blocks that should be one. */
void audit_check_buddy(struct audit_pass *pass, uint64_t pfn, const struct frame *frame)
{
	unsigned int order = frame->order - 1u;
	const struct frame *buddy;
	int err;

	if (order >= pass->l->max_order || pfn & 1ull << order)
		return;
	buddy = audit_frame(pass, pfn ^ 1ull << order, &err);
	if (buddy && buddy->claim == CLAIM_FREE && buddy->order == frame->order &&
	    inspect_ram_range(pass->inspector, pfn) ==
		    inspect_ram_range(pass->inspector, pfn ^ 1ull << order))
		audit_found(pass, pfn * PAGE, 2, 1, "two free buddies of order %u are not merged",
			    order);
}

/* ---- areas ---- */

/* Returns false where the rest of the area cannot be read. */
static bool claim_area_frame(struct audit_frames *frames, const struct inspect_area *area,
			     uint64_t index)
{
	struct audit_pass *pass = frames->pass;
	const struct frame *frame;
	struct inspect_page page;
	uint64_t pfn;

	if (!audit_area_frame(pass, area, index, &pfn))
		return false;
	if (pfn == AUDIT_NO_FRAME)
		return true;
	/* A frame with two owners is reported; the area's other frames are its own still. */
	if (!claim(frames, pfn, CLAIM_AREA))
		return !frames->err;
	if (!inspect_page(pass->inspector, pfn, &page)) {
		audit_found(pass, pfn * PAGE, 0, 0, "an area's frame has no struct page");
		return true;
	}
	if (page.state != pass->l->page_vmalloc)
		audit_found(pass, pfn * PAGE, page.state, pass->l->page_vmalloc,
			    "a frame of the area at %#llx that is not marked so",
			    (unsigned long long)area->start);
	else if (page.owner != area->link)
		audit_found(pass, pfn * PAGE, page.owner, area->link,
			    "a frame of the area at %#llx with another owner",
			    (unsigned long long)area->start);
	frame = audit_frame(pass, pfn, &frames->err);
	if (frame && page.refcount != 1 + (uint64_t)frame->users)
		audit_found(pass, pfn * PAGE, page.refcount, 1 + (uint64_t)frame->users,
			    "an area's frame with a wrong count");
	audit_check_identity(pass, pfn, &page);
	return true;
}

void audit_claim_areas(struct audit_frames *frames)
{
	struct audit_pass *pass = frames->pass;

	for (size_t i = 0; i < pass->areas.count && !frames->err; i++) {
		const struct inspect_area *area = &pass->areas.area[i];

		if (!audit_owns_frames(pass, area))
			continue;
		for (uint64_t index = 0; index < area->nr_pages; index++) {
			if (!claim_area_frame(frames, area, index))
				break;
		}
	}
}
