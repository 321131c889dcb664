/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/mm/vmap_model.h"

#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 wide;

void model_init(struct vmap_model *model)
{
	*model = (struct vmap_model){0, 0, NULL};
}

void model_deinit(struct vmap_model *model)
{
	free(model->range);
	model_init(model);
}

static wide align_up(wide value, wide align)
{
	return (value + align - 1) / align * align;
}

static bool inside(const struct vmap_request *request, wide addr)
{
	return addr + request->size <= request->end;
}

/* First fit: go up from the start, jump over what is in the way. */
static bool place_small(const struct vmap_model *model, const struct vmap_request *request,
			u64 *addr_out)
{
	wide addr = align_up(request->start > VMAP_FIRST ? request->start : VMAP_FIRST, PAGE_SIZE);

	for (u32 i = 0; i < model->nr; i++) {
		if (model->range[i].end <= addr)
			continue;
		if (addr + request->size <= model->range[i].start)
			break;
		addr = model->range[i].end;
	}
	*addr_out = (u64)addr;
	return inside(request, addr);
}

/* The @i-th hole: between range i - 1 and range i. */
static struct model_range hole_at(const struct vmap_model *model, u32 i)
{
	struct model_range hole;

	hole.start = i == 0 ? VMAP_FIRST : model->range[i - 1].end;
	hole.end = i == model->nr ? VMAP_END : model->range[i].start;
	hole.lazy = false;
	return hole;
}

static bool place_large(const struct vmap_model *model, const struct vmap_request *request,
			u64 *addr_out)
{
	wide length = (wide)request->size + request->align - 1, addr;

	for (u32 i = 0; i <= model->nr; i++) {
		struct model_range hole = hole_at(model, i);

		if (hole.end <= hole.start || hole.end <= request->start)
			continue;
		if (hole.start <= request->start) {
			addr = align_up(request->start, request->align);
			if (addr + request->size > hole.end)
				continue;
		} else {
			if ((wide)hole.end - hole.start < length)
				continue;
			addr = align_up(hole.start, request->align);
		}
		*addr_out = (u64)addr;
		return inside(request, addr);
	}
	return false;
}

bool model_place(const struct vmap_model *model, const struct vmap_request *request, u64 *addr_out)
{
	if (request->align <= PAGE_SIZE)
		return place_small(model, request, addr_out);
	return place_large(model, request, addr_out);
}

bool model_place_exact(const struct vmap_model *model, const struct vmap_request *request,
		       u64 *addr_out)
{
	wide align = request->align > PAGE_SIZE ? request->align : PAGE_SIZE, addr;

	for (u32 i = 0; i <= model->nr; i++) {
		struct model_range hole = hole_at(model, i);

		addr = align_up(hole.start > request->start ? hole.start : request->start, align);
		if (addr + request->size > hole.end || !inside(request, addr))
			continue;
		*addr_out = (u64)addr;
		return true;
	}
	return false;
}

void model_take(struct vmap_model *model, u64 start, u64 size)
{
	u32 i = 0;

	if (model->nr == model->capacity) {
		model->capacity = model->capacity * 2 + 16;
		model->range = realloc(model->range, model->capacity * sizeof(*model->range));
		if (!model->range)
			abort();
	}
	while (i < model->nr && model->range[i].start < start)
		i++;
	memmove(&model->range[i + 1], &model->range[i], (model->nr - i) * sizeof(*model->range));
	model->range[i] = (struct model_range){start, start + size, false};
	model->nr++;
}

static u32 index_of(const struct vmap_model *model, u64 start)
{
	u32 i = 0;

	while (i < model->nr && model->range[i].start != start)
		i++;
	if (i == model->nr)
		abort();
	return i;
}

void model_make_lazy(struct vmap_model *model, u64 start)
{
	model->range[index_of(model, start)].lazy = true;
}

void model_remove(struct vmap_model *model, u64 start)
{
	u32 i = index_of(model, start);

	model->nr--;
	memmove(&model->range[i], &model->range[i + 1], (model->nr - i) * sizeof(*model->range));
}

void model_purge(struct vmap_model *model)
{
	u32 kept = 0;

	for (u32 i = 0; i < model->nr; i++) {
		if (!model->range[i].lazy)
			model->range[kept++] = model->range[i];
	}
	model->nr = kept;
}

u64 model_lazy_pages(const struct vmap_model *model)
{
	u64 pages = 0;

	for (u32 i = 0; i < model->nr; i++) {
		if (model->range[i].lazy)
			pages += (model->range[i].end - model->range[i].start) >> PAGE_SHIFT;
	}
	return pages;
}

bool model_same(const struct vmap_model *model, const struct vmap_space *space)
{
	const struct vmap_area *area;
	u32 i = 0;

	list_for_each_entry (area, &space->tiles, tile) {
		if (area->state == VMAP_AREA_FREE)
			continue;
		if (i == model->nr || model->range[i].start != area->va_start ||
		    model->range[i].end != area->va_end ||
		    model->range[i].lazy != (area->state == VMAP_AREA_LAZY))
			return false;
		i++;
	}
	return i == model->nr;
}
