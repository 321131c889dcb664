/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames: one, with all that is known of it, and their numbers. */
#include "vmm/look/frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/look/private.h"

#define PAGE INSPECT_PAGE_BYTES

const char *look_frame_state_name(enum look_frame_state state)
{
	static const char *const names[LOOK_FRAME_STATES] = {
		[LOOK_FRAME_FRESH] = "fresh",       [LOOK_FRAME_FREE] = "free",
		[LOOK_FRAME_PCP] = "per-cpu",       [LOOK_FRAME_MEMMAP] = "page array",
		[LOOK_FRAME_TABLE] = "table",       [LOOK_FRAME_SLAB] = "slab",
		[LOOK_FRAME_KMALLOC] = "kmalloc",   [LOOK_FRAME_VMALLOC] = "vmalloc",
		[LOOK_FRAME_OTHER] = "other",       [LOOK_FRAME_IMAGE] = "image",
		[LOOK_FRAME_TABLES] = "boot table", [LOOK_FRAME_BOOT] = "boot",
		[LOOK_FRAME_UNKNOWN] = "unknown",
	};

	return (unsigned int)state < LOOK_FRAME_STATES ? names[state] : "?";
}

static enum look_frame_state reserved_state(const struct layout *l, uint32_t kind)
{
	if (kind == l->reserved_image)
		return LOOK_FRAME_IMAGE;
	return kind == l->reserved_tables ? LOOK_FRAME_TABLES : LOOK_FRAME_BOOT;
}

/* What the first frame of a block, or a frame on its own, says it is. */
static enum look_frame_state head_state(const struct layout *l, uint8_t state)
{
	const struct {
		uint64_t raw;
		enum look_frame_state state;
	} states[] = {
		{l->page_free, LOOK_FRAME_FREE},       {l->page_pcp_state, LOOK_FRAME_PCP},
		{l->page_memmap, LOOK_FRAME_MEMMAP},   {l->page_table_state, LOOK_FRAME_TABLE},
		{l->page_slab, LOOK_FRAME_SLAB},       {l->page_kmalloc, LOOK_FRAME_KMALLOC},
		{l->page_vmalloc, LOOK_FRAME_VMALLOC}, {l->page_other, LOOK_FRAME_OTHER},
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (states[i].raw == state)
			return states[i].state;
	}
	return LOOK_FRAME_UNKNOWN;
}

static bool heads_nothing(const struct layout *l, const struct inspect_page *page)
{
	return page->state == l->page_fresh || page->state == l->page_body;
}

static bool is_in(const struct inspect_span *spans, size_t count, uint64_t pfn)
{
	for (size_t i = 0; i < count; i++) {
		if (pfn >= spans[i].start && pfn < spans[i].end)
			return true;
	}
	return false;
}

/* Whether @pfn, of @node and @zone, was never handed out, as the zone's spans say. */
static bool in_fresh_span(struct inspector *inspector, uint32_t node, uint32_t zone, uint64_t pfn)
{
	struct inspect_span spans[INSPECT_SPANS_MAX];

	return is_in(spans, inspect_zone_spans(inspector, node, zone, spans), pfn);
}

/* ---- one frame ---- */

/* Finds the block that @frame, whose own struct page says nothing, is in. */
static bool find_head(struct inspector *inspector, struct look_frame *frame,
		      struct inspect_page *head_out)
{
	const struct layout *l = inspect_layout(inspector);

	for (unsigned int order = 1; order <= l->max_order; order++) {
		uint64_t head = frame->pfn & ~((1ull << order) - 1);

		if (head == frame->pfn || !inspect_page(inspector, head, head_out) ||
		    heads_nothing(l, head_out))
			continue;
		if (head_out->order < order || head_out->order > l->max_order)
			return false;
		frame->head_pfn = head;
		return true;
	}
	return false;
}

/* Looks for the frame in the page array of the area that the bookkeeping at @vm describes. */
static void find_in_area(struct inspector *inspector, uint64_t vm, struct look_frame *frame)
{
	const struct layout *l = inspect_layout(inspector);
	uint64_t most = inspect_ram_pages(inspector), address;
	struct inspect_area area;

	if (!look_read_vm(inspector, vm, &area) || area.vm_addr % PAGE != 0)
		return;
	frame->have_area = true;
	frame->area_start = area.vm_addr;
	frame->area_size = area.vm_size;
	if (!(area.flags & l->vm_no_guard) && area.vm_size >= PAGE)
		frame->area_size -= PAGE;
	frame->area_caller = area.caller;
	for (uint64_t i = 0; i < area.nr_pages && i < most; i++) {
		if (!inspect_area_page(inspector, &area, i, &address))
			return;
		if (address != frame->page_address)
			continue;
		frame->have_index = true;
		frame->area_index = i;
		return;
	}
}

static void describe(struct inspector *inspector, const struct inspect_page *head,
		     struct look_frame *frame)
{
	const struct layout *l = inspect_layout(inspector);
	uint64_t name;

	frame->order = head->order <= l->max_order ? head->order : 0;
	frame->owner = head->owner;
	frame->references = head->refcount;
	switch (frame->state) {
	case LOOK_FRAME_TABLE:
		frame->table_level =
			head->index <= PAGING_LEVELS_MAX ? (unsigned int)head->index : 0;
		break;
	case LOOK_FRAME_SLAB:
		frame->slab_objects = head->objects;
		frame->slab_in_use = head->in_use;
		if (inspect_u64(inspector, head->owner + l->kmem_cache.name, &name))
			look_text(inspector, name, frame->cache, sizeof(frame->cache));
		break;
	case LOOK_FRAME_VMALLOC:
		find_in_area(inspector, head->owner, frame);
		break;
	default:
		break;
	}
}

/* A frame of a section in use, of no boot memory. */
static void look_in_section(struct inspector *inspector, struct look_frame *frame)
{
	const struct layout *l = inspect_layout(inspector);
	struct inspect_page head;

	if (!inspect_page(inspector, frame->pfn, &frame->page))
		return;
	head = frame->page;
	if (!heads_nothing(l, &frame->page) || find_head(inspector, frame, &head))
		frame->state = head_state(l, head.state);
	else if (in_fresh_span(inspector, frame->node, frame->zone, frame->pfn))
		frame->state = LOOK_FRAME_FRESH;
	describe(inspector, &head, frame);
}

int look_frame(struct inspector *inspector, uint64_t pfn, struct look_frame *frame_out)
{
	const struct nb_range *ram = inspect_ram_range(inspector, pfn);
	const struct nb_range *reserved = inspect_reserved_range(inspector, pfn);
	struct look_frame *frame = frame_out;

	if (!ram)
		return -ENOENT;
	inspect_refresh(inspector);
	*frame = (struct look_frame){
		.pfn = pfn,
		.gpa = pfn * PAGE,
		.node = ram->node,
		.zone = inspect_zone_of(inspector, pfn),
		.state = LOOK_FRAME_UNKNOWN,
		.online = inspect_section_online(inspector, pfn),
		.page_address = inspect_page_address(inspector, pfn),
		.head_pfn = pfn,
	};
	frame->zone_name = inspect_zone_name(inspect_layout(inspector), frame->zone);
	if (reserved)
		frame->state = reserved_state(inspect_layout(inspector), reserved->kind);
	else if (!frame->online)
		frame->state = LOOK_FRAME_FRESH;
	else
		look_in_section(inspector, frame);
	return 0;
}

/* ---- all frames ---- */

struct count {
	struct inspector *inspector;
	struct look_frames *frames;
	struct look_frames_zone *zone; /* the one the frames counted now are of */
	size_t nr_spans;
	struct inspect_span span[INSPECT_SPANS_MAX]; /* its fresh frames */
	look_frame_run_fn visit;                     /* NULL: they are only counted */
	void *context;
	struct look_frame_run run; /* the one that may still grow; no frames: none */
	int stop;                  /* what @visit returned */
};

/* Hands over the run that was built. */
static void end_run(struct count *count)
{
	if (count->visit && count->run.frames && !count->stop)
		count->stop = count->visit(count->context, &count->run);
	count->run.frames = 0;
}

/* The frames [pfn, pfn + frames). */
static void add(struct count *count, enum look_frame_state state, uint64_t pfn, uint64_t frames)
{
	struct look_frame_run *run = &count->run;

	if (run->frames && run->pfn + run->frames == pfn && run->state == state) {
		run->frames += frames;
	} else {
		end_run(count);
		*run = (struct look_frame_run){pfn, frames, count->zone->node,
					       count->zone->zone_name, state};
	}
	count->zone->frames[state] += frames;
	count->zone->total += frames;
	count->frames->frames[state] += frames;
	count->frames->total += frames;
}

/* The frames [pfn, end) of a section in use: boot memory is not among them. */
static void count_online(struct count *count, uint64_t pfn, uint64_t end)
{
	const struct layout *l = inspect_layout(count->inspector);

	while (pfn < end) {
		enum look_frame_state state = LOOK_FRAME_UNKNOWN;
		struct inspect_page page;
		uint64_t frames = 1;

		if (!inspect_page(count->inspector, pfn, &page)) {
			state = LOOK_FRAME_UNKNOWN;
		} else if (heads_nothing(l, &page)) {
			state = is_in(count->span, count->nr_spans, pfn) ? LOOK_FRAME_FRESH
									 : LOOK_FRAME_UNKNOWN;
		} else {
			state = head_state(l, page.state);
			if (page.order <= l->max_order && pfn % (1ull << page.order) == 0)
				frames = 1ull << page.order;
		}
		if (frames > end - pfn)
			frames = end - pfn;
		add(count, state, pfn, frames);
		pfn += frames;
	}
}

/* The frames [pfn, end) of one zone and range of RAM, no boot memory. */
static void count_piece(struct count *count, uint64_t pfn, uint64_t end)
{
	uint64_t section_pages = (1ull << inspect_layout(count->inspector)->section_shift) / PAGE;

	while (pfn < end) {
		uint64_t next = (pfn / section_pages + 1) * section_pages;

		if (next > end)
			next = end;
		if (inspect_section_online(count->inspector, pfn))
			count_online(count, pfn, next);
		else
			add(count, LOOK_FRAME_FRESH, pfn, next - pfn);
		pfn = next;
	}
}

/* One zone of one range of RAM: boot memory by its ranges, and what lies between. */
static void count_between(struct count *count, uint64_t pfn, uint64_t end)
{
	const struct inspect_source *source = inspect_source_of(count->inspector);
	const struct layout *l = inspect_layout(count->inspector);

	for (uint32_t i = 0; i < source->nr_reserved && pfn < end; i++) {
		uint64_t start = source->reserved[i].start / PAGE;
		uint64_t last = source->reserved[i].end / PAGE;

		if (last <= pfn || start >= end)
			continue;
		if (start > pfn)
			count_piece(count, pfn, start);
		else
			start = pfn;
		if (last > end)
			last = end;
		add(count, reserved_state(l, source->reserved[i].kind), start, last - start);
		pfn = last;
	}
	if (pfn < end)
		count_piece(count, pfn, end);
}

static void count_zone(struct count *count, uint32_t node, uint32_t zone)
{
	struct inspector *inspector = count->inspector;
	uint64_t first, last;

	count->zone = &count->frames->zone[count->frames->nr_zones];
	*count->zone = (struct look_frames_zone){
		.node = node,
		.zone = zone,
		.zone_name = inspect_zone_name(inspect_layout(inspector), zone)};
	count->nr_spans = inspect_zone_spans(inspector, node, zone, count->span);
	for (uint32_t i = 0; i < inspect_source_of(inspector)->nr_ram; i++) {
		if (inspect_zone_ram(inspector, node, zone, i, &first, &last))
			count_between(count, first, last);
	}
	end_run(count);
	if (count->zone->total)
		count->frames->nr_zones++;
}

static void count_sections(struct inspector *inspector, struct look_frames *frames)
{
	const struct inspect_source *source = inspect_source_of(inspector);
	uint64_t section_pages = (1ull << inspect_layout(inspector)->section_shift) / PAGE;
	uint64_t next = 0;

	for (uint32_t i = 0; i < source->nr_ram; i++) {
		uint64_t section = source->ram[i].start / PAGE / section_pages;

		if (section < next)
			section = next;
		for (; section * section_pages < source->ram[i].end / PAGE; section++) {
			frames->sections++;
			frames->online +=
				inspect_section_online(inspector, section * section_pages);
			next = section + 1;
		}
	}
}

/* All zones of all nodes; count->frames->zone is made here. */
static int count_all(struct count *count)
{
	const struct layout *l = inspect_layout(count->inspector);

	count->frames->zone = calloc(NB_MAX_NODES * LOOK_ZONES_MAX, sizeof(*count->frames->zone));
	if (!count->frames->zone)
		return -ENOMEM;
	inspect_refresh(count->inspector);
	for (uint32_t node = 0; node < NB_MAX_NODES && !count->stop; node++) {
		for (uint32_t zone = 0; zone < l->nr_zones && zone < LOOK_ZONES_MAX; zone++)
			count_zone(count, node, zone);
	}
	return count->stop;
}

int look_frames(struct inspector *inspector, struct look_frames *frames_out)
{
	struct look_frames frames = {.total = 0};
	struct count count = {.inspector = inspector, .frames = &frames};
	int err = count_all(&count);

	if (err)
		return err;
	count_sections(inspector, &frames);
	*frames_out = frames;
	return 0;
}

int look_frame_runs(struct inspector *inspector, look_frame_run_fn visit, void *context)
{
	struct look_frames frames = {.total = 0};
	struct count count = {
		.inspector = inspector, .frames = &frames, .visit = visit, .context = context};
	int err = count_all(&count);

	look_frames_free(&frames);
	return err;
}

void look_frames_free(struct look_frames *frames)
{
	free(frames->zone);
	*frames = (struct look_frames){.zone = NULL};
}
