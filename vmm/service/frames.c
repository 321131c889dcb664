/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames, zones and slabs from outside. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "vmm/look/frames.h"
#include "vmm/look/zones.h"
#include "vmm/service/private.h"

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)(value & INT64_MAX));
}

/* ---- one frame ---- */

static json_t *query_frame(struct service *service, const struct qmp_request *request)
{
	uint64_t pfn = qmp_get(request, "frame")->word;
	char place[IMAGE_PLACE_BYTES] = "";
	bool slab, index;
	struct look_frame frame;
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = look_frame(service->inspector, pfn, &frame);
	pthread_mutex_unlock(&service->look_mutex);
	if (err == -ENOENT)
		return qmp_error(request,
				 "frame 0x%llx is no RAM; query-memory-layout says where "
				 "RAM is",
				 (unsigned long long)pfn);
	if (err)
		return service_failed(request, err);
	if (frame.have_area)
		service_place(service, frame.area_caller, place);
	slab = frame.state == LOOK_FRAME_SLAB;
	index = frame.have_area && frame.have_index;
	return QMP_REPLY(
		request, QMP_NUMBER(frame.pfn), QMP_NUMBER(frame.gpa), QMP_NUMBER(frame.node),
		QMP_STRING(frame.zone_name), QMP_STRING(look_frame_state_name(frame.state)),
		QMP_NUMBER(frame.online), QMP_NUMBER(frame.head_pfn), QMP_NUMBER(frame.order),
		QMP_NUMBER(frame.references), QMP_NUMBER(frame.owner),
		QMP_NUMBER(frame.page_address),
		QMP_MAYBE(frame.state == LOOK_FRAME_TABLE, frame.table_level),
		QMP_STRING(slab ? frame.cache : NULL), QMP_MAYBE(slab, frame.slab_objects),
		QMP_MAYBE(slab, frame.slab_in_use), QMP_MAYBE(frame.have_area, frame.area_start),
		QMP_MAYBE(frame.have_area, frame.area_size), QMP_STRING(*place ? place : NULL),
		QMP_MAYBE(index, frame.area_index));
}

/* ---- all of them ---- */

static json_t *counts_json(const uint64_t counts[LOOK_FRAME_STATES])
{
	json_t *json = json_object();
	unsigned int i;

	for (i = 0; i < LOOK_FRAME_STATES; i++)
		json_object_set_new(json, look_frame_state_name((enum look_frame_state)i),
				    number(counts[i]));
	return json;
}

static json_t *query_frames(struct service *service, const struct qmp_request *request)
{
	json_t *zones = json_array(), *answer;
	struct look_frames frames;
	size_t i;
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = look_frames(service->inspector, &frames);
	pthread_mutex_unlock(&service->look_mutex);
	if (err) {
		json_decref(zones);
		return service_failed(request, err);
	}
	for (i = 0; i < frames.nr_zones; i++)
		json_array_append_new(zones,
				      QMP_ROW(protocol_zone_frames, QMP_NUMBER(frames.zone[i].node),
					      QMP_STRING(frames.zone[i].zone_name),
					      QMP_JSON(counts_json(frames.zone[i].frames)),
					      QMP_NUMBER(frames.zone[i].total)));
	answer = QMP_REPLY(request, QMP_JSON(zones), QMP_JSON(counts_json(frames.frames)),
			   QMP_NUMBER(frames.total), QMP_NUMBER(frames.sections),
			   QMP_NUMBER(frames.online));
	look_frames_free(&frames);
	return answer;
}

/* ---- where they are ---- */

struct runs {
	struct look_frame_run *run;
	size_t count;
};

static int keep_run(void *context, const struct look_frame_run *run)
{
	struct runs *runs = context;

	if (GROW(runs->run, runs->count))
		return -ENOMEM;
	runs->run[runs->count++] = *run;
	return 0;
}

/* Nodes may lie in any order, the list is by address. */
static int by_frame(const void *a, const void *b)
{
	const struct look_frame_run *one = a, *other = b;

	return one->pfn < other->pfn ? -1 : one->pfn > other->pfn;
}

static json_t *runs_json(const struct runs *runs, const struct qmp_request *request)
{
	uint64_t start = qmp_get(request, "start")->word, end = qmp_get(request, "end")->word - 1;
	json_t *list = json_array(), *json = json_pack("{s:o}", "runs", list);

	for (size_t i = 0; i < runs->count; i++) {
		const struct look_frame_run *run = &runs->run[i];
		uint64_t first = run->pfn * INSPECT_PAGE_BYTES;
		uint64_t last = first + run->frames * INSPECT_PAGE_BYTES;

		if (last <= start || first > end)
			continue;
		if (json_array_size(list) == qmp_get(request, "limit")->word) {
			json_object_set_new(json, "next", qmp_hex(first));
			break;
		}
		json_array_append_new(list,
				      QMP_ROW(protocol_frame_runs, QMP_NUMBER(first),
					      QMP_NUMBER(last), QMP_NUMBER(run->frames),
					      QMP_NUMBER(run->node), QMP_STRING(run->zone_name),
					      QMP_STRING(look_frame_state_name(run->state))));
	}
	return json;
}

static json_t *query_frame_map(struct service *service, const struct qmp_request *request)
{
	struct runs runs = {NULL, 0};
	json_t *json = NULL;
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = look_frame_runs(service->inspector, keep_run, &runs);
	pthread_mutex_unlock(&service->look_mutex);
	if (!err) {
		qsort(runs.run, runs.count, sizeof(*runs.run), by_frame);
		json = runs_json(&runs, request);
	}
	free(runs.run);
	return err ? service_failed(request, err) : qmp_return(request, json);
}

/* ---- zones ---- */

static json_t *zone_json(const struct look_zone *zone, unsigned int nr_orders)
{
	json_t *blocks = json_array(), *fresh = json_array(), *pcp = json_array();
	unsigned int i;

	for (i = 0; i < nr_orders; i++) {
		json_array_append_new(blocks, number(zone->nr_free[i]));
		json_array_append_new(fresh, number(zone->nr_fresh[i]));
	}
	for (i = 0; i < zone->nr_cpus; i++)
		json_array_append_new(pcp, number(zone->pcp_count[i]));
	return QMP_ROW(protocol_zones, QMP_NUMBER(zone->node), QMP_STRING(zone->name),
		       QMP_NUMBER(zone->start_pfn), QMP_NUMBER(zone->spanned),
		       QMP_NUMBER(zone->present), QMP_NUMBER(zone->managed), QMP_NUMBER(zone->free),
		       QMP_NUMBER(zone->fresh), QMP_NUMBER(zone->watermark_min),
		       QMP_NUMBER(zone->pcp_high), QMP_NUMBER(zone->pcp_batch), QMP_JSON(blocks),
		       QMP_JSON(fresh), QMP_JSON(pcp));
}

static json_t *query_zones(struct service *service, const struct qmp_request *request)
{
	json_t *list = json_array();
	struct look_zones zones;
	size_t i;
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = look_zones(service->inspector, &zones);
	pthread_mutex_unlock(&service->look_mutex);
	if (err) {
		json_decref(list);
		return service_failed(request, err);
	}
	for (i = 0; i < zones.nr_zones; i++)
		json_array_append_new(list, zone_json(&zones.zone[i], zones.nr_orders));
	look_zones_free(&zones);
	return QMP_REPLY(request, QMP_JSON(list));
}

/* ---- slabs ---- */

static json_t *query_slabs(struct service *service, const struct qmp_request *request)
{
	json_t *list = json_array();
	struct look_slabs slabs;
	size_t i;
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = look_slabs(service->inspector, &slabs);
	pthread_mutex_unlock(&service->look_mutex);
	if (err) {
		json_decref(list);
		return service_failed(request, err);
	}
	for (i = 0; i < slabs.nr_slabs; i++) {
		const struct look_slab *slab = &slabs.slab[i];

		json_array_append_new(list,
				      QMP_ROW(protocol_slabs, QMP_STRING(slab->name),
					      QMP_NUMBER(slab->object_bytes),
					      QMP_NUMBER(slab->objects), QMP_NUMBER(slab->slabs),
					      QMP_NUMBER(slab->partial), QMP_NUMBER(slab->found),
					      QMP_NUMBER(slab->in_use), QMP_NUMBER(slab->total)));
	}
	look_slabs_free(&slabs);
	return QMP_REPLY(request, QMP_JSON(list));
}

const struct service_handler service_frame_handlers[] = {
	{"query-frame", query_frame},         {"query-frames", query_frames},
	{"query-frame-map", query_frame_map}, {"query-zones", query_zones},
	{"query-slabs", query_slabs},         {NULL, NULL},
};
