/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moments: the state of the guest's memory management kept under a name, and what changed since. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/look/diff.h"
#include "vmm/look/tree.h"
#include "vmm/service/private.h"

/* ---- moments, with the look mutex held ---- */

static struct moment *find_moment(struct service *service, const char *name)
{
	unsigned int i;

	for (i = 0; i < MOMENTS_MAX; i++) {
		if (strcmp(service->moments[i].name, name) == 0)
			return &service->moments[i];
	}
	return NULL;
}

static void forget(struct moment *moment)
{
	look_snapshot_free(moment->snapshot);
	memset(moment, 0, sizeof(*moment));
}

void service_forget_moments(struct service *service)
{
	unsigned int i;

	for (i = 0; i < MOMENTS_MAX; i++)
		forget(&service->moments[i]);
}

/* ---- commands ---- */

static json_t *keep(struct service *service, const struct qmp_request *request, const char *name)
{
	struct moment *moment = find_moment(service, name);
	struct look_snapshot *snapshot;
	int err;

	if (!moment)
		moment = find_moment(service, "");
	if (!moment)
		return qmp_error(request, "%u moments are kept: forget-moment makes room",
				 MOMENTS_MAX);
	err = look_snapshot(service->inspector, &snapshot);
	if (err)
		return service_failed(request, err);
	forget(moment);
	snprintf(moment->name, sizeof(moment->name), "%s", name);
	moment->snapshot = snapshot;
	moment->operation = __atomic_load_n(&service->calls, __ATOMIC_RELAXED);
	return QMP_REPLY(request, QMP_STRING(name), QMP_NUMBER(moment->operation));
}

static json_t *keep_moment(struct service *service, const struct qmp_request *request)
{
	json_t *answer;

	pthread_mutex_lock(&service->look_mutex);
	answer = keep(service, request, qmp_get(request, "name")->text);
	pthread_mutex_unlock(&service->look_mutex);
	return answer;
}

static json_t *forget_moment(struct service *service, const struct qmp_request *request)
{
	const char *name = qmp_get(request, "name")->text;
	struct moment *moment;

	pthread_mutex_lock(&service->look_mutex);
	moment = find_moment(service, name);
	if (moment)
		forget(moment);
	pthread_mutex_unlock(&service->look_mutex);
	if (!moment)
		return qmp_error(request, "no moment '%s' is kept; query-moments lists them", name);
	return qmp_return(request, json_object());
}

static json_t *query_moments(struct service *service, const struct qmp_request *request)
{
	json_t *list = json_array();
	unsigned int i;

	pthread_mutex_lock(&service->look_mutex);
	for (i = 0; i < MOMENTS_MAX; i++) {
		if (service->moments[i].name[0])
			json_array_append_new(list,
					      QMP_ROW(protocol_moments,
						      QMP_STRING(service->moments[i].name),
						      QMP_NUMBER(service->moments[i].operation)));
	}
	pthread_mutex_unlock(&service->look_mutex);
	return QMP_REPLY(request, QMP_JSON(list));
}

/* ---- what changed ---- */

static bool is_tile(enum look_change_kind kind)
{
	return kind == LOOK_TILE_CAME || kind == LOOK_TILE_WENT || kind == LOOK_TILE_CHANGED;
}

/* What was there before the change, or is there after it; NULL: nothing. */
static json_t *side_json(const struct look_change *change, bool after)
{
	char rights[LOOK_RIGHTS_BYTES];

	if (change->kind == LOOK_COUNT)
		return json_integer(
			(json_int_t)((after ? change->after : change->before) & INT64_MAX));
	if (change->kind == LOOK_FRAMES_MOVED ||
	    change->kind == (after ? LOOK_MAP_WENT : LOOK_MAP_CAME) ||
	    change->kind == (after ? LOOK_TILE_WENT : LOOK_TILE_CAME))
		return NULL;
	if (is_tile(change->kind))
		return json_string(
			look_tile_state_name(after ? change->state_after : change->state_before));
	return json_string(
		look_rights(after ? change->rights_after : change->rights_before, rights));
}

struct changes {
	json_t *list;
	uint64_t limit, count;
};

static int add_change(void *context, const struct look_change *change)
{
	bool range = change->kind != LOOK_COUNT, tile = is_tile(change->kind);
	struct changes *changes = context;

	if (changes->count++ >= changes->limit)
		return 0;
	json_array_append_new(
		changes->list,
		QMP_ROW(protocol_changes, QMP_STRING(look_change_name(change->kind)),
			QMP_MAYBE(range, change->start), QMP_MAYBE(range, change->end),
			QMP_JSON(side_json(change, false)), QMP_JSON(side_json(change, true)),
			QMP_STRING(range ? NULL : change->name),
			QMP_MAYBE(tile, change->pages_before),
			QMP_MAYBE(tile, change->pages_after)));
	return 0;
}

/* With the look mutex held. */
static json_t *diff(struct service *service, const struct qmp_request *request)
{
	const char *from = qmp_get(request, "from")->text, *to = qmp_get(request, "to")->text;
	const struct moment *before = find_moment(service, from), *after = NULL;
	struct changes changes = {json_array(), qmp_get(request, "limit")->word, 0};
	struct look_snapshot *now = NULL;
	int err = 0;

	if (to)
		after = find_moment(service, to);
	if (!before || (to && !after)) {
		json_decref(changes.list);
		return qmp_error(request, "no moment '%s' is kept: keep-moment keeps one",
				 before ? to : from);
	}
	if (!to)
		err = look_snapshot(service->inspector, &now);
	if (!err)
		err = look_diff(before->snapshot, to ? after->snapshot : now, add_change, &changes);
	look_snapshot_free(now);
	if (err) {
		json_decref(changes.list);
		return service_failed(request, err);
	}
	return QMP_REPLY(request, QMP_JSON(changes.list), QMP_NUMBER(changes.count));
}

static json_t *query_diff(struct service *service, const struct qmp_request *request)
{
	json_t *answer;

	pthread_mutex_lock(&service->look_mutex);
	answer = diff(service, request);
	pthread_mutex_unlock(&service->look_mutex);
	return answer;
}

const struct service_handler service_diff_handlers[] = {
	{"keep-moment", keep_moment},
	{"forget-moment", forget_moment},
	{"query-moments", query_moments},
	{"query-diff", query_diff},
	{NULL, NULL},
};
