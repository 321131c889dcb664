/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model of Linux's vmap space as an executor: what is in use, around the space. */
#include "vmm/replay/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/grow.h"
#include "lib/u64_map.h"

#define MODEL_BATCH 1024

/* What is in use, or was: a range that was freed stays here with no length. */
struct model_area {
	uint64_t start, end;
	bool mapped;
};

struct replay_model {
	struct space space;
	struct model_area *areas;
	size_t count;
	struct u64_map at; /* start -> the place in areas of what began there last */
};

struct replay_model *replay_model_create(void)
{
	struct replay_model *model = calloc(1, sizeof(*model));
	const struct space_rules rules = {0};

	if (model && space_init(&model->space, &rules)) {
		replay_model_destroy(model);
		return NULL;
	}
	return model;
}

void replay_model_destroy(struct replay_model *model)
{
	if (!model)
		return;
	space_deinit(&model->space);
	u64_map_clear(&model->at);
	free(model->areas);
	free(model);
}

/* ---- operations ---- */

static int note_area(struct replay_model *model, uint64_t start, uint64_t end, bool mapped)
{
	if (GROW(model->areas, model->count))
		return -ENOMEM;
	model->areas[model->count] = (struct model_area){start, end, mapped};
	return u64_map_set(&model->at, start, (uint32_t)model->count++);
}

static int allocate(struct replay_model *model, const struct replay_request *request,
		    uint64_t *address_out)
{
	const struct tree_request wanted = {
		.size = request->va_bytes,
		.align = request->align,
		.start = request->vstart,
		.end = request->vend,
		.rule = model->space.rules.search,
	};
	struct space_choice choice = space_choose(&model->space, &wanted, request->va_node);
	uint64_t end = choice.address + request->va_bytes;
	int err;

	space_pass(&model->space, &wanted, request->va_node, &choice);
	if (choice.source == SPACE_NOWHERE)
		return -ENOMEM;
	if (choice.source == SPACE_POOL)
		err = space_take_first(&model->space, &wanted, request->va_node);
	else
		err = tree_take(&model->space.tree, choice.hole, choice.address, end);
	if (!err)
		err = note_area(model, choice.address, end, request->type == REPLAY_MAP);
	if (!err)
		*address_out = choice.address;
	return err;
}

static int release(struct replay_model *model, const struct replay_request *request)
{
	struct space_range range;
	enum space_source source =
		space_find(&model->space, request->address, request->address + 1, &range);

	return source == SPACE_NOWHERE ? -ENOENT : space_release(&model->space, source, &range);
}

static int release_or_free(struct replay_model *model, const struct replay_request *request)
{
	uint32_t at = u64_map_get(&model->at, request->address);
	struct model_area *area = at == U64_MAP_NONE ? NULL : &model->areas[at];
	uint64_t end;

	if (request->type == REPLAY_RELEASE)
		return release(model, request);
	if (!area || area->end == area->start)
		return -ENOENT;
	end = area->end;
	area->end = area->start;
	return space_free(&model->space, area->start, end, request->va_node);
}

static int carry_out(struct replay_model *model, const struct replay_request *request,
		     uint64_t *address_out)
{
	int err = 0;

	switch (request->type) {
	case REPLAY_MAP:
	case REPLAY_RESERVE:
		return allocate(model, request, address_out);
	case REPLAY_FREE:
	case REPLAY_RELEASE:
		return release_or_free(model, request);
	case REPLAY_PURGE:
		if (request->through)
			return space_give_through(&model->space, request->through);
		if (!request->decayed)
			err = space_decay(&model->space, request->full, 0);
		return err ? err : space_give_lazy(&model->space, request->full, request->part);
	case REPLAY_DECAY:
		return space_decay(&model->space, request->full, request->part);
	}
	return -EINVAL;
}

/* ---- the interface ---- */

static int submit(void *context, const struct replay_request *requests, size_t count,
		  struct replay_result *results, struct input_error *error)
{
	size_t i;

	for (i = 0; i < count; i++)
		results[i].status = carry_out(context, &requests[i], &results[i].address);
	return 0;
}

static int set_rules(void *context, const struct space_rules *rules, struct input_error *error)
{
	struct replay_model *model = context;

	space_deinit(&model->space);
	if (space_init(&model->space, rules))
		return input_fail(error, NULL, 0, "out of memory"), -ENOMEM;
	return 0;
}

static int set_shape(void *context, const struct tree_shape *shape, size_t count,
		     struct input_error *error)
{
	struct replay_model *model = context;

	if (tree_set_shape(&model->space.tree, shape, count))
		return input_fail(error, NULL, 0, "the model did not take the free tree's shape");
	return 0;
}

static int final_areas(void *context, struct replay_final_area **areas_out, size_t *count_out,
		       struct input_error *error)
{
	const struct replay_model *model = context;
	const struct space_list *lazy = &model->space.lazy;
	struct replay_final_area *areas = calloc(model->count + lazy->count + 1, sizeof(*areas));
	size_t i, count = 0;

	if (!areas)
		return input_fail(error, NULL, 0, "out of memory"), -ENOMEM;
	for (i = 0; i < model->count; i++) {
		const struct model_area *area = &model->areas[i];

		if (area->end > area->start)
			areas[count++] = (struct replay_final_area){
				area->start, area->end - area->start,
				area->mapped ? REPLAY_AREA_MAPPED : REPLAY_AREA_RESERVED};
	}
	for (i = 0; i < lazy->count; i++)
		areas[count++] = (struct replay_final_area){
			lazy->ranges[i].start, lazy->ranges[i].end - lazy->ranges[i].start,
			REPLAY_AREA_LAZY};
	*areas_out = areas;
	*count_out = count;
	return 0;
}

/* Of what is in use, lazy, pooled and free together. */
static uint64_t total_bytes(const struct replay_model *model)
{
	const struct space *space = &model->space;
	uint64_t bytes = 0;
	uint32_t hole;
	size_t i;

	for (i = 0; i < model->count; i++)
		bytes += model->areas[i].end - model->areas[i].start;
	for (i = 0; i < space->lazy.count; i++)
		bytes += space->lazy.ranges[i].end - space->lazy.ranges[i].start;
	bytes += space_pooled_bytes(space);
	for (hole = tree_from(&space->tree, TREE_FIRST); hole; hole = tree_next(&space->tree, hole))
		bytes += space->tree.holes[hole].end - space->tree.holes[hole].start;
	return bytes;
}

static int audit(void *context, struct replay_audit *audit_out, struct input_error *error)
{
	const struct replay_model *model = context;
	const char *wrong = tree_check(&model->space.tree);
	uint64_t bytes = total_bytes(model);

	*audit_out = (struct replay_audit){.checks = model->space.tree.count + 1};
	if (!wrong && bytes != TREE_END - TREE_FIRST)
		wrong = "what is in use, lazy, pooled and free is not all of the space";
	if (wrong) {
		audit_out->violations = 1;
		snprintf(audit_out->first, sizeof(audit_out->first), "the model: %s", wrong);
	}
	return 0;
}

struct replay_executor replay_model_interface(struct replay_model *model)
{
	return (struct replay_executor){
		.context = model,
		.max_batch = MODEL_BATCH,
		.submit = submit,
		.set_rules = set_rules,
		.set_shape = set_shape,
		.final_areas = final_areas,
		.audit = audit,
	};
}
