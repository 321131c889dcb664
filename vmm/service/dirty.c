/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty tracking for clients: one tracker, made when it is first asked for, by KVM's bitmap.
 *
 * It is made and switched with every call and the look mutex locked, so that nobody who writes
 * guest memory for the guest looks at it meanwhile; it is read with the look mutex, while the guest
 * runs.
 */
#include <errno.h>
#include <string.h>

#include "lib/clock.h"
#include "vmm/service/private.h"

#define PAGE INSPECT_PAGE_BYTES

void service_end_dirty(struct service *service)
{
	/* A vCPU that still writes would be told of to nobody. */
	if (service->dirty.tracker && guest_freeze(service->guest) == 0)
		dirty_destroy(service->dirty.tracker);
	service->dirty.tracker = NULL;
}

/* The region at @index, if it is RAM and the one a request names, or it names none. */
static const struct gpa_region *wanted(const struct service *service,
				       const struct qmp_request *request, size_t index)
{
	const struct gpa_region *region = gpa_space_at(guest_space(service->guest), index);
	const char *name = qmp_get(request, "region")->text;

	if (name ? strcmp(region->name, name) != 0 : region->kind != GPA_RAM)
		return NULL;
	return region;
}

/* ---- start and stop ---- */

typedef int (*switch_fn)(struct dirty_tracker *tracker, const struct gpa_region *region,
			 struct error *error);

/*
 * Switches what the request names. Where a region refuses, @undo (NULL: nothing) takes back those
 * before. Errors: -ENOENT (no such region), the switch's.
 */
static int switch_regions(struct service *service, const struct qmp_request *request,
			  switch_fn does, switch_fn undo, struct error *error)
{
	const struct gpa_space *space = guest_space(service->guest);
	const struct gpa_region *region;
	struct error ignored;
	bool found = false;
	int err = 0;
	size_t i;

	for (i = 0; i < gpa_space_count(space) && !err; i++) {
		region = wanted(service, request, i);
		found = found || region;
		if (region)
			err = does(service->dirty.tracker, region, error);
	}
	if (!found)
		return error_set(error, -ENOENT,
				 "there is no region '%s': query-regions lists "
				 "them",
				 qmp_get(request, "region")->text);
	for (i = err && undo ? i - 1 : 0; i > 0; i--) {
		region = wanted(service, request, i - 1);
		if (region)
			(void)undo(service->dirty.tracker, region, &ignored);
	}
	return err;
}

/* With everything locked. */
static int begin(struct service *service, const struct qmp_request *request, struct error *error)
{
	int err = 0;

	if (!service->dirty.tracker)
		err = dirty_create(guest_kvm_fd(service->guest, -1), guest_space(service->guest),
				   guest_slots(service->guest), DIRTY_BITMAP, 0,
				   &service->dirty.tracker, error);
	if (!err)
		err = switch_regions(service, request, dirty_start, dirty_stop, error);
	if (!err)
		service->dirty.epoch_since = clock_seconds();
	return err;
}

static json_t *start_dirty(struct service *service, const struct qmp_request *request)
{
	struct error error;
	uint32_t epoch = 0;
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = begin(service, request, &error);
	if (!err)
		epoch = dirty_epoch(service->dirty.tracker);
	pthread_mutex_unlock(&service->look_mutex);
	if (err)
		return qmp_error(request, "dirty-start: %s", error.text);
	return QMP_REPLY(request, QMP_NUMBER(epoch));
}

static json_t *not_started(const struct qmp_request *request)
{
	return qmp_error(request, "%s: nothing is tracked: dirty-start begins it",
			 request->command->name);
}

static json_t *stop_dirty(struct service *service, const struct qmp_request *request)
{
	struct error error;
	bool started;
	int err = 0;

	pthread_mutex_lock(&service->look_mutex);
	started = service->dirty.tracker != NULL;
	if (started)
		err = switch_regions(service, request, dirty_stop, NULL, &error);
	pthread_mutex_unlock(&service->look_mutex);
	if (!started)
		return not_started(request);
	if (err)
		return qmp_error(request, "dirty-stop: %s", error.text);
	return qmp_return(request, json_object());
}

/* ---- collect ---- */

static json_t *rate_json(const struct dirty_tracker *tracker)
{
	struct dirty_rate rate;

	dirty_rate(tracker, &rate);
	return QMP_ROW(protocol_dirty_rate, QMP_FLOAT(rate.last_pages), QMP_FLOAT(rate.mean_pages),
		       QMP_FLOAT(rate.deviation_pages), QMP_NUMBER(rate.epochs));
}

/* Answers what was written in @epoch, which lasted @seconds, and since @oldest. */
static json_t *reply_sums(struct service *service, const struct qmp_request *request,
			  uint32_t epoch, uint32_t oldest, double seconds)
{
	const struct gpa_space *space = guest_space(service->guest);
	uint64_t pages = 0, working_set = 0;
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < gpa_space_count(space); i++) {
		const struct gpa_region *region = gpa_space_at(space, i);
		uint64_t here = dirty_count(service->dirty.tracker, region, epoch);
		uint64_t set = dirty_count(service->dirty.tracker, region, oldest);

		if (region->kind != GPA_RAM)
			continue;
		pages += here;
		working_set += set;
		json_array_append_new(list,
				      QMP_ROW(protocol_dirty_regions, QMP_STRING(region->name),
					      QMP_NUMBER(here), QMP_NUMBER(set)));
	}
	return QMP_REPLY(request, QMP_NUMBER(epoch), QMP_FLOAT(seconds), QMP_NUMBER(pages),
			 QMP_NUMBER(working_set), QMP_JSON(list),
			 QMP_JSON(rate_json(service->dirty.tracker)));
}

static json_t *collect_dirty(struct service *service, const struct qmp_request *request)
{
	uint64_t epochs = qmp_get(request, "epochs")->word;
	double now = clock_seconds(), seconds = 0;
	struct error error;
	json_t *answer = NULL;
	uint32_t epoch = 0;
	int err = 0;

	pthread_mutex_lock(&service->look_mutex);
	if (service->dirty.tracker) {
		epoch = dirty_epoch(service->dirty.tracker);
		seconds = now - service->dirty.epoch_since;
		err = dirty_advance(service->dirty.tracker, seconds, &error);
	}
	if (epoch && !err) {
		service->dirty.epoch_since = now;
		answer = reply_sums(service, request, epoch,
				    epochs < epoch ? epoch - (uint32_t)epochs + 1 : 1, seconds);
	}
	pthread_mutex_unlock(&service->look_mutex);
	if (!epoch)
		return not_started(request);
	if (err)
		return qmp_error(request, "dirty-collect: %s", error.text);
	return answer;
}

/* ---- which pages ---- */

struct ranges {
	json_t *list;
	uint64_t limit, start, end;
	uint64_t next; /* where the list was full; 0: it was not */
};

static int add_range(void *context, gpa_t start, gpa_t end)
{
	struct ranges *ranges = context;
	uint64_t from = start.value > ranges->start ? start.value : ranges->start;
	uint64_t to = end.value < ranges->end ? end.value : ranges->end;

	if (from >= to)
		return 0;
	if (json_array_size(ranges->list) == ranges->limit) {
		ranges->next = from;
		return 1;
	}
	json_array_append_new(ranges->list,
			      QMP_ROW(protocol_dirty_ranges, QMP_NUMBER(from), QMP_NUMBER(to),
				      QMP_NUMBER((to - from) / PAGE)));
	return 0;
}

/* With the look mutex held. Errors: dirty_collect()'s. */
static int add_ranges(struct service *service, uint32_t since, struct ranges *ranges,
		      struct error *error)
{
	const struct gpa_space *space = guest_space(service->guest);
	int err = dirty_collect(service->dirty.tracker, error), full = 0;
	size_t i;

	for (i = 0; i < gpa_space_count(space) && !err && full != 1; i++)
		full = dirty_for_each(service->dirty.tracker, gpa_space_at(space, i), since,
				      add_range, ranges);
	return err;
}

static json_t *query_dirty(struct service *service, const struct qmp_request *request)
{
	struct ranges ranges = {
		.list = json_array(),
		.limit = qmp_get(request, "limit")->word,
		.start = qmp_get(request, "start")->word & ~(PAGE - 1),
		.end = (qmp_get(request, "end")->word + PAGE - 1) & ~(PAGE - 1),
	};
	struct error error;
	uint32_t epoch = 0;
	bool started;
	int err = 0;

	ranges.end = ranges.end ? ranges.end : UINT64_MAX;
	pthread_mutex_lock(&service->look_mutex);
	started = service->dirty.tracker != NULL;
	if (started)
		err = add_ranges(service, (uint32_t)qmp_get(request, "since")->word, &ranges,
				 &error);
	if (started && !err)
		epoch = dirty_epoch(service->dirty.tracker);
	pthread_mutex_unlock(&service->look_mutex);
	if (started && !err)
		return QMP_REPLY(request, QMP_JSON(ranges.list), QMP_NUMBER(epoch),
				 QMP_MAYBE(ranges.next, ranges.next));
	json_decref(ranges.list);
	return started ? qmp_error(request, "query-dirty: %s", error.text) : not_started(request);
}

const struct service_handler service_dirty_handlers[] = {
	{"dirty-start", start_dirty},
	{"dirty-stop", stop_dirty},
	{"dirty-collect", collect_dirty},
	{"query-dirty", query_dirty},
	{NULL, NULL},
};
