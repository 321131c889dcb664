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
	return qmp_return(request, json_pack("{s:s, s:I}", "name", name, "operation",
					     (json_int_t)moment->operation));
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
	return qmp_return(request, json_pack("{s:o}", "moments", list));
}

/* ---- what changed ---- */

static void put_before_after(const struct look_change *change, json_t *json)
{
	char before[LOOK_RIGHTS_BYTES], after[LOOK_RIGHTS_BYTES];

	switch (change->kind) {
	case LOOK_MAP_CAME:
	case LOOK_MAP_WENT:
	case LOOK_MAP_CHANGED:
		if (change->kind != LOOK_MAP_CAME)
			json_object_set_new(
				json, "before",
				json_string(look_rights(change->rights_before, before)));
		if (change->kind != LOOK_MAP_WENT)
			json_object_set_new(json, "after",
					    json_string(look_rights(change->rights_after, after)));
		break;
	case LOOK_COUNT:
		json_object_set_new(json, "name", json_string(change->name));
		json_object_set_new(json, "before",
				    json_integer((json_int_t)(change->before & INT64_MAX)));
		json_object_set_new(json, "after",
				    json_integer((json_int_t)(change->after & INT64_MAX)));
		break;
	default:
		if (change->kind == LOOK_TILE_CHANGED || change->kind == LOOK_TILE_WENT)
			json_object_set_new(
				json, "before",
				json_string(look_tile_state_name(change->state_before)));
		if (change->kind == LOOK_TILE_CHANGED || change->kind == LOOK_TILE_CAME)
			json_object_set_new(json, "after",
					    json_string(look_tile_state_name(change->state_after)));
		json_object_set_new(json, "pages-before",
				    json_integer((json_int_t)(change->pages_before & INT64_MAX)));
		json_object_set_new(json, "pages-after",
				    json_integer((json_int_t)(change->pages_after & INT64_MAX)));
		break;
	}
}

struct changes {
	json_t *list;
	uint64_t limit, count;
};

static int add_change(void *context, const struct look_change *change)
{
	struct changes *changes = context;
	json_t *json;

	if (changes->count++ >= changes->limit)
		return 0;
	json = json_pack("{s:s}", "change", look_change_name(change->kind));
	if (change->kind != LOOK_COUNT) {
		json_object_set_new(json, "start", qmp_hex(change->start));
		json_object_set_new(json, "end", qmp_hex(change->end));
	}
	put_before_after(change, json);
	json_array_append_new(changes->list, json);
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
	return qmp_return(request, json_pack("{s:o, s:I}", "changes", changes.list, "count",
					     (json_int_t)changes.count));
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
