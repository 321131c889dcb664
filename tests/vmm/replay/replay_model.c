/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The naive allocator of replay_model.h. */
#include "tests/vmm/replay/replay_model.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES UINT64_C(4096)

static uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

/* Whether the hole [start, end) takes the request; if so, where. */
static bool fits(uint64_t start, uint64_t end, uint64_t bytes, uint64_t align, uint64_t vstart,
		 uint64_t *place_out)
{
	uint64_t need = align > PAGE_BYTES ? bytes + align - 1 : bytes;

	if (end <= vstart)
		return false;
	if (start < vstart) {
		*place_out = align_up(vstart, align);
		return *place_out >= vstart && *place_out < end && end - *place_out >= bytes;
	}
	*place_out = align_up(start, align);
	return need >= bytes && end - start >= need && end - *place_out >= bytes;
}

static void insert(struct model *model, size_t index, const struct model_area *area)
{
	if (model->count == model->room) {
		model->room = model->room ? 2 * model->room : 64;
		model->areas = realloc(model->areas, model->room * sizeof(*model->areas));
		if (!model->areas)
			abort();
	}
	memmove(&model->areas[index + 1], &model->areas[index],
		(model->count - index) * sizeof(*model->areas));
	model->areas[index] = *area;
	model->count++;
}

uint64_t model_alloc(struct model *model, uint64_t bytes, uint64_t align, uint64_t vstart,
		     uint64_t vend, bool mapped)
{
	struct model_area area = {.mapped = mapped};
	uint64_t hole = 1, hole_end;
	size_t i;

	for (i = 0; i <= model->count; i++) {
		hole_end = i < model->count ? model->areas[i].start : UINT64_MAX;
		if (fits(hole, hole_end, bytes, align, vstart, &area.start))
			break;
		if (i < model->count)
			hole = model->areas[i].end;
	}
	area.end = area.start + bytes;
	if (i > model->count || area.end > vend || area.end < area.start)
		return 0;
	insert(model, i, &area);
	return area.start;
}

bool model_free(struct model *model, uint64_t address)
{
	size_t i;

	for (i = 0; i < model->count; i++) {
		if (model->areas[i].start == address && !model->areas[i].lazy) {
			model->areas[i].lazy = true;
			return true;
		}
	}
	return false;
}

void model_purge(struct model *model)
{
	size_t kept = 0, i;

	for (i = 0; i < model->count; i++) {
		if (!model->areas[i].lazy)
			model->areas[kept++] = model->areas[i];
	}
	model->count = kept;
}

void model_deinit(struct model *model)
{
	free(model->areas);
	memset(model, 0, sizeof(*model));
}
