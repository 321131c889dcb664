/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The map of RAM in which owners sign: made before the first check, it judges nothing. */
#include <errno.h>
#include <stdlib.h>

#include "lib/grow.h"
#include "lib/search.h"
#include "vmm/audit/private.h"

static const char *const claim_names[NR_CLAIMS] = {
	[CLAIM_NONE] = "nobody",
	[CLAIM_RESERVED] = "boot memory",
	[CLAIM_FRESH] = "a span of fresh frames",
	[CLAIM_MEMMAP] = "the page array",
	[CLAIM_FREE] = "a free list",
	[CLAIM_PCP] = "a per-CPU list",
	[CLAIM_TABLE] = "the page tables",
	[CLAIM_AREA] = "an area",
	[CLAIM_SLAB] = "a slab",
	[CLAIM_KMALLOC] = "a kmalloc block",
	[CLAIM_OTHER] = "the machine",
	[CLAIM_BOOT_TABLE] = "the boot page tables",
};

const char *claim_name(enum claim claim)
{
	return claim < NR_CLAIMS ? claim_names[claim] : "?";
}

/* ---- fresh spans ---- */

static int by_start(const void *left, const void *right)
{
	const struct span *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Takes a zone's spans that are not empty. */
static int take_spans(struct audit_pass *pass, uint32_t node, uint32_t zone)
{
	struct inspect_span spans[INSPECT_SPANS_MAX];
	size_t count = inspect_zone_spans(pass->inspector, node, zone, spans);
	struct frame_map *map = &pass->map;

	for (size_t i = 0; i < count; i++) {
		if (spans[i].start == spans[i].end)
			continue;
		if (GROW(map->span, map->nr_spans))
			return -ENOMEM;
		map->span[map->nr_spans++] =
			(struct span){spans[i].start, spans[i].end, node, zone};
	}
	return 0;
}

static int take_all_spans(struct audit_pass *pass)
{
	struct frame_map *map = &pass->map;

	for (uint32_t node = 0; node < pass->l->max_nodes; node++) {
		for (uint32_t zone = 0; zone < pass->l->nr_zones; zone++) {
			if (take_spans(pass, node, zone))
				return -ENOMEM;
		}
	}
	if (map->nr_spans)
		qsort(map->span, map->nr_spans, sizeof(*map->span), by_start);
	for (size_t i = 1; i < map->nr_spans; i++) {
		if (map->span[i].start < map->span[i - 1].end)
			map->spans_overlap = true;
	}
	return 0;
}

/* ---- sections ---- */

/* Signs for the part of [start, end), in frames, that lies in the section from @first on. */
static void fill(const struct frame_map *map, struct frame *frame, uint64_t first, uint64_t start,
		 uint64_t end, enum claim claim)
{
	if (start < first)
		start = first;
	if (end > first + map->section_pages)
		end = first + map->section_pages;
	for (; start < end; start++)
		frame[start - first].claim = (uint8_t)claim;
}

size_t audit_first_span_above(const struct frame_map *map, uint64_t pfn)
{
	return FIRST_WHERE(i, map->nr_spans, map->span[i].end > pfn);
}

/* Where the guest says the section's struct pages are: the n-th 2 MiB of it, or not at all. */
static void fill_memmap(struct audit_pass *pass, uint64_t section, struct frame *frame)
{
	const struct frame_map *map = &pass->map;
	uint64_t pages = map->section_pages * pass->l->page.bytes / INSPECT_PAGE_BYTES;
	uint64_t first = section * map->section_pages, place;
	uint8_t online;

	if (pages == 0 ||
	    !inspect_u8(pass->inspector,
			inspect_mm(pass->inspector) + pass->l->mm.section_online + section,
			&online) ||
	    online == 0)
		return;
	place = first + (uint64_t)(online - 1) * pages;
	fill(map, frame, first, place, place + pages, CLAIM_MEMMAP);
}

uint64_t audit_section_frames(const struct audit_pass *pass, uint64_t section)
{
	const struct inspect_source *source = inspect_source_of(pass->inspector);
	uint64_t pages = pass->map.section_pages, first = section * pages, end = first;

	for (uint32_t i = 0; i < source->nr_ram; i++) {
		uint64_t last = source->ram[i].end / INSPECT_PAGE_BYTES;

		if (source->ram[i].start / INSPECT_PAGE_BYTES < first + pages && last > end)
			end = last < first + pages ? last : first + pages;
	}
	return end - first;
}

static struct frame *make_section(struct audit_pass *pass, uint64_t section)
{
	const struct inspect_source *source = inspect_source_of(pass->inspector);
	struct frame_map *map = &pass->map;
	uint64_t first = section * map->section_pages;
	struct frame *frame = calloc(map->section_pages, sizeof(*frame));

	if (!frame)
		return NULL;
	for (size_t i = audit_first_span_above(map, first);
	     i < map->nr_spans && map->span[i].start < first + map->section_pages; i++)
		fill(map, frame, first, map->span[i].start, map->span[i].end, CLAIM_FRESH);
	fill_memmap(pass, section, frame);
	for (uint32_t i = 0; i < source->nr_reserved; i++)
		fill(map, frame, first, source->reserved[i].start / INSPECT_PAGE_BYTES,
		     source->reserved[i].end / INSPECT_PAGE_BYTES, CLAIM_RESERVED);
	map->section[section] = frame;
	return frame;
}

struct frame *audit_frame(struct audit_pass *pass, uint64_t pfn, int *err_out)
{
	struct frame_map *map = &pass->map;
	uint64_t section = pfn / map->section_pages;
	struct frame *frame;

	*err_out = 0;
	if (!inspect_ram_range(pass->inspector, pfn) || section >= map->nr_sections)
		return NULL;
	frame = map->section[section];
	if (!frame)
		frame = make_section(pass, section);
	if (!frame) {
		*err_out = -ENOMEM;
		return NULL;
	}
	return frame + pfn % map->section_pages;
}

/* Sections with RAM that the guest says it uses. */
static int make_online(struct audit_pass *pass)
{
	const struct inspect_source *source = inspect_source_of(pass->inspector);
	struct frame_map *map = &pass->map;

	for (uint32_t i = 0; i < source->nr_ram; i++) {
		uint64_t section_bytes = map->section_pages * INSPECT_PAGE_BYTES;
		uint64_t section = source->ram[i].start / section_bytes;

		for (; section * section_bytes < source->ram[i].end; section++) {
			if (!inspect_section_online(pass->inspector, section * map->section_pages))
				continue;
			map->online[section] = true;
			if (!map->section[section] && !make_section(pass, section))
				return -ENOMEM;
		}
	}
	return 0;
}

int audit_map_create(struct audit_pass *pass)
{
	struct frame_map *map = &pass->map;
	int err;

	map->section_pages = (1ull << pass->l->section_shift) / INSPECT_PAGE_BYTES;
	map->nr_sections =
		(inspect_end_pfn(pass->inspector) + map->section_pages - 1) / map->section_pages;
	map->section = calloc(map->nr_sections, sizeof(*map->section));
	map->online = calloc(map->nr_sections, sizeof(*map->online));
	if (!map->section || !map->online)
		return -ENOMEM;
	err = take_all_spans(pass);
	return err ? err : make_online(pass);
}

void audit_map_destroy(struct audit_pass *pass)
{
	struct frame_map *map = &pass->map;

	for (uint64_t i = 0; map->section && i < map->nr_sections; i++)
		free(map->section[i]);
	free(map->section);
	free(map->online);
	free(map->span);
	free(pass->table);
	free(pass->user);
}
