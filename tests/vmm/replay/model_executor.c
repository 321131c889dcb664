/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The linear model as an executor of replays. */
#include "tests/vmm/replay/model_executor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int model_do_alloc(struct model_executor *model, const struct replay_request *request,
			  struct replay_result *result)
{
	bool mapped = request->type == REPLAY_MAP;
	uint64_t pages = (request->bytes + 4095) / 4096, vstart = request->vstart;

	if (mapped && pages > model->pages_left)
		return -ENOMEM;
	if (++model->allocs == model->shift_alloc)
		vstart += 16 << 20;
	result->address = model_alloc(&model->model, request->va_bytes, request->align, vstart,
				      request->vend, mapped);
	if (!result->address)
		return -ENOSPC;
	if (mapped)
		model->pages_left -= pages;
	return 0;
}

static int model_submit(void *context, const struct replay_request *requests, size_t count,
			struct replay_result *results, struct input_error *error)
{
	struct model_executor *model = context;
	size_t i;

	if (++model->batches == model->fail_submit) {
		strcpy(error->text, "the guest has stopped");
		return -EIO;
	}
	if (count > model->largest_batch)
		model->largest_batch = count;
	for (i = 0; i < count; i++) {
		results[i].ticks = ++model->operations;
		switch (requests[i].type) {
		case REPLAY_MAP:
		case REPLAY_RESERVE:
			results[i].status = model_do_alloc(model, &requests[i], &results[i]);
			break;
		case REPLAY_FREE:
			if (!model_free(&model->model, requests[i].address))
				results[i].status = -ENOENT;
			break;
		case REPLAY_PURGE:
			if (!model->ignore_purges)
				model_purge(&model->model);
			break;
		case REPLAY_DECAY:
		case REPLAY_RELEASE:
			break; /* of settled plans alone */
		}
	}
	return 0;
}

static int model_final_areas(void *context, struct replay_final_area **areas_out, size_t *count_out,
			     struct input_error *error)
{
	struct model_executor *model = context;
	size_t count = model->model.count, i;
	struct replay_final_area *areas = calloc(count + 1, sizeof(*areas));
	const struct model_area *from;

	if (!areas)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		/* In no order: the last one first. */
		from = &model->model.areas[count - 1 - i];
		areas[i].address = from->start;
		areas[i].va_bytes = from->end - from->start;
		areas[i].kind = from->lazy     ? REPLAY_AREA_LAZY
				: from->mapped ? REPLAY_AREA_MAPPED
					       : REPLAY_AREA_RESERVED;
	}
	*areas_out = areas;
	*count_out = count - model->forget_area;
	return 0;
}

static int model_audit(void *context, struct replay_audit *audit_out, struct input_error *error)
{
	struct model_executor *model = context;

	audit_out->checks = 11;
	if (++model->audits == model->violate_audit) {
		audit_out->violations = 2;
		strcpy(audit_out->first, "areas: planted");
	}
	return 0;
}

void model_executor_init(struct model_executor *model, size_t max_batch)
{
	memset(model, 0, sizeof(*model));
	model->pages_left = UINT64_MAX;
	model->executor.context = model;
	model->executor.max_batch = max_batch;
	model->executor.submit = model_submit;
	model->executor.final_areas = model_final_areas;
	model->executor.audit = model_audit;
}

void model_executor_deinit(struct model_executor *model)
{
	model_deinit(&model->model);
}
