/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inspector's ground: bytes at guest-virtual addresses and the frames of RAM. Translations of
 * whole pages are remembered in a small table, direct-mapped by page number, because structures
 * lie close together and the page array is read from front to back.
 */
#include "vmm/inspect/inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/x86.h"
#include "vmm/inspect/private.h"

static const void *space_physical(void *context, uint64_t gpa, uint64_t bytes)
{
	void *host;

	if (gpa_space_translate(context, gpa_make(gpa), bytes, &host))
		return NULL;
	return host;
}

void inspect_source_from_space(const struct gpa_space *space, const struct paging_mode *paging,
			       const struct nb_boot_info *info, struct inspect_source *source_out)
{
	*source_out = (struct inspect_source){
		/* space_physical() only reads it */
		.context = (void *)(uintptr_t)space,
		.physical = space_physical,
		.paging = *paging,
		.nr_cpus = info->nr_vcpus,
		.nr_ram = info->nr_ram,
		.nr_reserved = info->nr_reserved,
	};
	memcpy(source_out->ram, info->ram, sizeof(info->ram));
	memcpy(source_out->reserved, info->reserved, sizeof(info->reserved));
}

static bool ranges_good(const struct nb_range *range, uint32_t count)
{
	if (count > NB_MAX_RANGES)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (range[i].start >= range[i].end || range[i].end > NB_RAM_LIMIT ||
		    (range[i].start | range[i].end) % INSPECT_PAGE_BYTES != 0)
			return false;
		if (i > 0 && range[i].start < range[i - 1].end)
			return false;
	}
	return true;
}

int inspector_create(const struct inspect_source *source, const struct layout *layout,
		     struct inspector **inspector_out, struct error *error)
{
	struct inspector *inspector;

	if (!ranges_good(source->ram, source->nr_ram) || source->nr_ram == 0 ||
	    !ranges_good(source->reserved, source->nr_reserved) || source->nr_cpus == 0)
		return error_set(error, -EINVAL, "the memory to inspect makes no sense");
	inspector = calloc(1, sizeof(*inspector));
	if (!inspector)
		return error_set(error, -ENOMEM, "no memory for an inspector");
	inspector->source = *source;
	inspector->layout = *layout;
	inspector->mm = source->mm ? source->mm : layout->machine + layout->machine_mm;
	if (!source->direct_base)
		inspector->source.direct_base = layout->direct_base;
	if (!source->memmap_base)
		inspector->source.memmap_base = layout->memmap_base;
	for (uint32_t i = 0; i < source->nr_ram; i++)
		inspector->ram_pages +=
			(source->ram[i].end - source->ram[i].start) / INSPECT_PAGE_BYTES;
	inspect_refresh(inspector);
	*inspector_out = inspector;
	return 0;
}

void inspector_destroy(struct inspector *inspector)
{
	free(inspector);
}

void inspect_refresh(struct inspector *inspector)
{
	for (size_t i = 0; i < INSPECT_CACHE_SLOTS; i++)
		inspector->cache[i].page = INSPECT_NO_PAGE;
}

const struct layout *inspect_layout(const struct inspector *inspector)
{
	return &inspector->layout;
}

const struct inspect_source *inspect_source_of(const struct inspector *inspector)
{
	return &inspector->source;
}

uint64_t inspect_mm(const struct inspector *inspector)
{
	return inspector->mm;
}

static const uint64_t *read_table(void *context, gpa_t table)
{
	const struct inspector *inspector = context;

	if (!inspect_ram_range(inspector, table.value / INSPECT_PAGE_BYTES))
		return NULL;
	return inspector->source.physical(inspector->source.context, table.value,
					  INSPECT_PAGE_BYTES);
}

struct paging_reader inspect_paging_reader(struct inspector *inspector)
{
	return (struct paging_reader){.table = read_table, .context = inspector};
}

/* ---- bytes ---- */

/* The host's pointer to the page that holds @gva, or NULL. */
static const uint8_t *translate_page(struct inspector *inspector, uint64_t gva)
{
	struct paging_reader reader = inspect_paging_reader(inspector);
	struct inspect_translation *slot;
	struct paging_walk walk;
	uint64_t page = gva / INSPECT_PAGE_BYTES;

	slot = &inspector->cache[page % INSPECT_CACHE_SLOTS];
	if (slot->page == page)
		return slot->host;
	paging_walk(&inspector->source.paging, &reader, gva_make(page * INSPECT_PAGE_BYTES), &walk);
	if (walk.status != PAGING_MAPPED)
		return NULL;
	slot->host = inspector->source.physical(inspector->source.context, walk.gpa.value,
						INSPECT_PAGE_BYTES);
	slot->page = slot->host ? page : INSPECT_NO_PAGE;
	return slot->host;
}

/* The host's pointer to [gva, gva + bytes), which lies inside one page, or NULL. */
static const void *at(struct inspector *inspector, uint64_t gva, uint64_t bytes)
{
	const uint8_t *page;

	if (inspector->source.virtual) {
		const void *host = inspector->source.virtual(inspector->source.context, gva, bytes);

		if (host)
			return host;
	}
	page = translate_page(inspector, gva);
	return page ? page + gva % INSPECT_PAGE_BYTES : NULL;
}

bool inspect_read(struct inspector *inspector, uint64_t gva, void *buffer, size_t bytes)
{
	uint8_t *to = buffer;

	if (gva + bytes < gva)
		return false;
	/* Structures seldom cross a page. */
	if (gva % INSPECT_PAGE_BYTES + bytes <= INSPECT_PAGE_BYTES) {
		const void *from = bytes ? at(inspector, gva, bytes) : to;

		if (from)
			memcpy(to, from, bytes);
		return from != NULL;
	}
	while (bytes > 0) {
		uint64_t part = INSPECT_PAGE_BYTES - gva % INSPECT_PAGE_BYTES;
		const void *from;

		if (part > bytes)
			part = bytes;
		from = at(inspector, gva, part);
		if (!from)
			return false;
		memcpy(to, from, part);
		to += part;
		gva += part;
		bytes -= part;
	}
	return true;
}

/* An aligned number never crosses a page, and one load reads it whole. */
#define DEFINE_READ(name, type)                                                     \
	bool name(struct inspector *inspector, uint64_t gva, type *value_out)       \
	{                                                                           \
		const void *from;                                                   \
                                                                                    \
		if (gva % sizeof(type) != 0)                                        \
			return false;                                               \
		from = at(inspector, gva, sizeof(type));                            \
		if (!from)                                                          \
			return false;                                               \
		*value_out = __atomic_load_n((const type *)from, __ATOMIC_RELAXED); \
		return true;                                                        \
	}

DEFINE_READ(inspect_u64, uint64_t)
DEFINE_READ(inspect_u32, uint32_t)
DEFINE_READ(inspect_u16, uint16_t)
DEFINE_READ(inspect_u8, uint8_t)

bool inspect_node(struct inspector *inspector, uint64_t node, struct inspect_node *node_out)
{
	const struct layout *l = &inspector->layout;
	uint8_t bytes[LAYOUT_COPIED_BYTES_MAX];
	uint64_t parent_color;

	if (node % 8 != 0 || !inspect_read(inspector, node, bytes, l->rb_node.bytes))
		return false;
	parent_color = inspect_field_u64(bytes, l->rb_node.parent_color);
	*node_out = (struct inspect_node){
		.parent = parent_color & ~1ull,
		.left = inspect_field_u64(bytes, l->rb_node.left),
		.right = inspect_field_u64(bytes, l->rb_node.right),
		.red = parent_color & 1,
	};
	return true;
}

/* ---- frames ---- */

uint64_t inspect_ram_pages(const struct inspector *inspector)
{
	return inspector->ram_pages;
}

uint64_t inspect_end_pfn(const struct inspector *inspector)
{
	return inspector->source.ram[inspector->source.nr_ram - 1].end / INSPECT_PAGE_BYTES;
}

static const struct nb_range *find_range(const struct nb_range *range, uint32_t count, uint64_t pfn)
{
	if (pfn >= NB_RAM_LIMIT / INSPECT_PAGE_BYTES)
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		if (pfn * INSPECT_PAGE_BYTES < range[i].end)
			return pfn * INSPECT_PAGE_BYTES >= range[i].start ? &range[i] : NULL;
	}
	return NULL;
}

const struct nb_range *inspect_ram_range(const struct inspector *inspector, uint64_t pfn)
{
	return find_range(inspector->source.ram, inspector->source.nr_ram, pfn);
}

const struct nb_range *inspect_reserved_range(const struct inspector *inspector, uint64_t pfn)
{
	return find_range(inspector->source.reserved, inspector->source.nr_reserved, pfn);
}

uint32_t inspect_zone_of(const struct inspector *inspector, uint64_t pfn)
{
	const struct layout *l = &inspector->layout;

	if (pfn < l->zone_dma_end_pfn)
		return (uint32_t)l->zone_dma;
	if (pfn < l->zone_dma32_end_pfn)
		return (uint32_t)l->zone_dma32;
	return (uint32_t)l->zone_normal;
}

bool inspect_touched(const struct inspector *inspector, uint64_t gpa, uint64_t *start_out,
		     uint64_t *end_out)
{
	const struct inspect_source *source = &inspector->source;
	uint64_t start = gpa, end = NB_RAM_LIMIT;

	for (uint32_t i = 0; i < source->nr_ram; i++) {
		const struct nb_range *ram = &source->ram[i];

		if (ram->end <= start)
			continue;
		/* A piece may begin in one range and go on in the next. */
		if (source->touched &&
		    !source->touched(source->context, start > ram->start ? start : ram->start,
				     &start, &end))
			return false;
		if (start < ram->start)
			start = ram->start;
		if (start >= ram->end || start >= end)
			continue;
		*start_out = start;
		*end_out = end < ram->end ? end : ram->end;
		return true;
	}
	return false;
}

int inspect_registers(const struct inspector *inspector, unsigned int cpu,
		      struct inspect_registers *registers_out)
{
	const struct inspect_source *source = &inspector->source;

	if (!source->registers || cpu >= source->nr_cpus)
		return -ENOENT;
	return source->registers(source->context, cpu, registers_out);
}

bool inspect_page_pfn(const struct inspector *inspector, uint64_t address, uint64_t *pfn_out)
{
	uint64_t offset = address - inspector->source.memmap_base;
	uint64_t pfn = offset / inspector->layout.page.bytes;

	if (address < inspector->source.memmap_base || offset % inspector->layout.page.bytes != 0 ||
	    !inspect_ram_range(inspector, pfn))
		return false;
	*pfn_out = pfn;
	return true;
}

uint64_t inspect_page_address(const struct inspector *inspector, uint64_t pfn)
{
	return inspector->source.memmap_base + pfn * inspector->layout.page.bytes;
}

uint64_t inspect_frame_address(const struct inspector *inspector, uint64_t pfn)
{
	return inspector->source.direct_base + pfn * INSPECT_PAGE_BYTES;
}

bool inspect_page(struct inspector *inspector, uint64_t pfn, struct inspect_page *page_out)
{
	const struct layout *l = &inspector->layout;
	uint8_t bytes[LAYOUT_COPIED_BYTES_MAX];

	if (!inspect_ram_range(inspector, pfn) ||
	    !inspect_read(inspector, inspect_page_address(inspector, pfn), bytes, l->page.bytes))
		return false;
	*page_out = (struct inspect_page){
		.state = bytes[l->page.state],
		.order = bytes[l->page.order],
		.zone = bytes[l->page.zone],
		.node = bytes[l->page.node],
		.refcount = inspect_field_u32(bytes, l->page.refcount),
		.owner = inspect_field_u64(bytes, l->page.owner),
		.next = inspect_field_u64(bytes, l->page.next),
		.list_next = inspect_field_u64(bytes, l->page.list + l->list_head.next),
		.list_prev = inspect_field_u64(bytes, l->page.list + l->list_head.prev),
		.index = inspect_field_u64(bytes, l->page.index),
		.freelist = inspect_field_u64(bytes, l->page.freelist),
		.in_use = inspect_field_u32(bytes, l->page.in_use),
		.objects = inspect_field_u16(bytes, l->page.objects),
		.active = inspect_field_u16(bytes, l->page.active),
	};
	return true;
}

bool inspect_section_online(struct inspector *inspector, uint64_t pfn)
{
	const struct layout *l = &inspector->layout;
	uint64_t section = pfn * INSPECT_PAGE_BYTES >> l->section_shift;
	uint8_t online;

	return section < l->max_sections &&
	       inspect_u8(inspector, inspector->mm + l->mm.section_online + section, &online) &&
	       online != 0;
}

uint64_t inspect_kmalloc_address(const struct inspector *inspector, uint32_t index)
{
	const struct layout *l = &inspector->layout;

	return inspector->mm + l->mm.kmalloc + (uint64_t)index * l->kmem_cache.bytes;
}

uint64_t inspect_vmap_cache_address(const struct inspector *inspector)
{
	const struct layout *l = &inspector->layout;

	return inspector->mm + l->mm.vmap + l->vmap_space.cache;
}
