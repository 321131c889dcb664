/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inspector's view of the virtual address space: a snapshot of the tiles, and an area's page
 * array in each of its four places.
 *
 * The list of tiles cannot lead us in circles: a tile is taken only if its prev link is the tile
 * we came from, and no tile has two. A guest that writes while we read could still, so the count
 * is bounded by the RAM the tiles would need as well.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "lib/search.h"
#include "vmm/inspect/private.h"

static enum inspect_tile_state tile_state(const struct layout *l, uint32_t state)
{
	if (state == l->vmap_area_free)
		return INSPECT_FREE;
	if (state == l->vmap_area_busy)
		return INSPECT_BUSY;
	if (state == l->vmap_area_lazy)
		return INSPECT_LAZY;
	return INSPECT_UNKNOWN;
}

void inspect_read_vm(struct inspector *inspector, struct inspect_area *area)
{
	const struct layout *l = &inspector->layout;
	uint8_t bytes[LAYOUT_COPIED_BYTES_MAX];
	uint64_t vm = area->link;

	area->has_vm =
		vm != 0 && vm % 8 == 0 && inspect_read(inspector, vm, bytes, l->vm_struct.bytes);
	if (!area->has_vm)
		return;
	area->vm_addr = inspect_field_u64(bytes, l->vm_struct.addr);
	area->vm_size = inspect_field_u64(bytes, l->vm_struct.size);
	area->flags = inspect_field_u64(bytes, l->vm_struct.flags);
	area->pages = inspect_field_u64(bytes, l->vm_struct.pages);
	area->nr_pages = inspect_field_u64(bytes, l->vm_struct.nr_pages);
	area->phys_addr = inspect_field_u64(bytes, l->vm_struct.phys_addr);
	area->caller = inspect_field_u64(bytes, l->vm_struct.caller);
	area->prot = inspect_field_u64(bytes, l->vm_struct.prot);
	area->vm_area = inspect_field_u64(bytes, l->vm_struct.area);
	area->gfp = inspect_field_u32(bytes, l->vm_struct.gfp);
	area->array = inspect_field_u32(bytes, l->vm_struct.array);
}

/* Reads the tile at @tile, and its links. Returns NULL or what is wrong. */
static const char *read_tile(struct inspector *inspector, uint64_t tile, struct inspect_area *area,
			     uint64_t *next_out, uint64_t *prev_out)
{
	const struct layout *l = &inspector->layout;
	uint8_t bytes[LAYOUT_COPIED_BYTES_MAX];

	if (tile % 8 != 0 || !inspect_read(inspector, tile, bytes, l->vmap_area.bytes))
		return "a link in the list of tiles leads to no memory";
	*area = (struct inspect_area){
		.tile = tile,
		.start = inspect_field_u64(bytes, l->vmap_area.va_start),
		.end = inspect_field_u64(bytes, l->vmap_area.va_end),
		.link = inspect_field_u64(bytes, l->vmap_area.vm),
		.raw_state = inspect_field_u32(bytes, l->vmap_area.state),
		.kind = inspect_field_u32(bytes, l->vmap_area.kind),
	};
	*next_out = inspect_field_u64(bytes, l->vmap_area.tile + l->list_head.next);
	*prev_out = inspect_field_u64(bytes, l->vmap_area.tile + l->list_head.prev);
	area->state = tile_state(l, area->raw_state);
	if (area->state == INSPECT_BUSY)
		inspect_read_vm(inspector, area);
	return NULL;
}

static int append(struct inspect_areas *areas, const struct inspect_area *area)
{
	if (GROW(areas->area, areas->count))
		return -ENOMEM;
	areas->area[areas->count] = *area;
	areas->area[areas->count].position = (uint32_t)areas->count;
	areas->count++;
	return 0;
}

static void set_broken(struct inspect_areas *areas, const char *what, uint64_t where)
{
	areas->broken = what;
	areas->broken_at = where;
}

static int by_start(const void *left, const void *right)
{
	const struct inspect_area *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->position < b->position ? -1 : 1;
}

/* Follows the list from @head on. */
static int follow(struct inspector *inspector, uint64_t head, struct inspect_areas *areas)
{
	const struct layout *l = &inspector->layout;
	uint64_t most = inspector->ram_pages * INSPECT_PAGE_BYTES / l->vmap_area.bytes;
	uint64_t link, next, from = head, prev;
	struct inspect_area area;

	if (most > UINT32_MAX)
		most = UINT32_MAX;
	if (!inspect_u64(inspector, head + l->list_head.next, &link)) {
		set_broken(areas, "the head of the list of tiles cannot be read", head);
		return 0;
	}
	for (; link != head; from = link, link = next) {
		const char *wrong = areas->count == most ? "the list of tiles does not end" : NULL;

		if (!wrong)
			wrong = read_tile(inspector, link - l->vmap_area.tile, &area, &next, &prev);
		if (!wrong && prev != from)
			wrong = "a tile's prev link is not where the list came from";
		if (wrong) {
			set_broken(areas, wrong, link - l->vmap_area.tile);
			return 0;
		}
		if (append(areas, &area))
			return -ENOMEM;
	}
	if (!inspect_u64(inspector, head + l->list_head.prev, &prev) || prev != from)
		set_broken(areas, "the list's head does not know the last tile", head);
	return 0;
}

static bool is_sorted(const struct inspect_areas *areas)
{
	for (size_t i = 1; i < areas->count; i++) {
		if (areas->area[i].start < areas->area[i - 1].start)
			return false;
	}
	return true;
}

int inspect_areas(struct inspector *inspector, struct inspect_areas *areas_out)
{
	const struct layout *l = &inspector->layout;
	struct inspect_areas areas = {.area = NULL};
	int err;

	err = follow(inspector, inspector->mm + l->mm.vmap + l->vmap_space.tiles, &areas);
	if (err) {
		free(areas.area);
		return err;
	}
	if (!is_sorted(&areas))
		qsort(areas.area, areas.count, sizeof(*areas.area), by_start);
	*areas_out = areas;
	return 0;
}

void inspect_areas_free(struct inspect_areas *areas)
{
	free(areas->area);
	*areas = (struct inspect_areas){.area = NULL};
}

const struct inspect_area *inspect_area_find(const struct inspect_areas *areas, uint64_t address)
{
	size_t low = FIRST_WHERE(i, areas->count, areas->area[i].start > address);

	if (low == 0 || address >= areas->area[low - 1].end)
		return NULL;
	return &areas->area[low - 1];
}

uint64_t inspect_area_payload_bytes(const struct inspector *inspector,
				    const struct inspect_area *area)
{
	uint64_t bytes = area->end > area->start ? area->end - area->start : 0;

	if (area->has_vm && area->flags & inspector->layout.vm_no_guard)
		return bytes;
	return bytes > INSPECT_PAGE_BYTES ? bytes - INSPECT_PAGE_BYTES : 0;
}

/* Entries in one frame of a directory. */
#define CHUNK_ENTRIES (INSPECT_PAGE_BYTES / sizeof(uint64_t))

bool inspect_area_page(struct inspector *inspector, const struct inspect_area *area, uint64_t index,
		       uint64_t *page_address_out)
{
	const struct layout *l = &inspector->layout;
	uint64_t array = area->pages, chunk;

	if (!area->has_vm || index >= area->nr_pages || index > UINT32_MAX)
		return false;
	if (area->array == l->vm_array_inline)
		array = area->link + l->vm_struct.inline_pages;
	if (area->array != l->vm_array_directory)
		return inspect_u64(inspector, array + index * sizeof(uint64_t), page_address_out);
	return inspect_u64(inspector, array + index / CHUNK_ENTRIES * sizeof(uint64_t), &chunk) &&
	       inspect_u64(inspector, chunk + index % CHUNK_ENTRIES * sizeof(uint64_t),
			   page_address_out);
}
