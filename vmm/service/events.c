/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The last events, kept for those who come later. */
#include <string.h>

#include "vmm/service/private.h"

void service_tell(struct service *service, const char *name, json_t *data)
{
	struct server *server = __atomic_load_n(&service->server, __ATOMIC_ACQUIRE);
	json_t *event = qmp_event(name, data), *old;
	unsigned int at;

	/*
	 * Kept before it is sent: whoever hears it finds it. A copy, so that no two threads share.
	 * How far things are is over when it is said, and would push out what is not.
	 */
	if (strcmp(name, "PROGRESS") != 0 && strcmp(name, "DUMP_PROGRESS") != 0) {
		pthread_mutex_lock(&service->events.mutex);
		at = service->events.count++ % EVENTS_KEPT;
		old = service->events.kept[at];
		service->events.kept[at] = json_deep_copy(event);
		pthread_mutex_unlock(&service->events.mutex);
		json_decref(old);
	}
	if (server && event)
		server_event(server, event);
	json_decref(event);
}

void service_take_said(struct service *service, unsigned int vcpu, char text[256])
{
	pthread_mutex_lock(&service->events.mutex);
	memcpy(text, service->events.said[vcpu], 256);
	service->events.said[vcpu][0] = '\0';
	pthread_mutex_unlock(&service->events.mutex);
}

void service_keep_said(struct service *service, unsigned int vcpu, const char *text)
{
	pthread_mutex_lock(&service->events.mutex);
	snprintf(service->events.said[vcpu], 256, "%s", text);
	pthread_mutex_unlock(&service->events.mutex);
}

static json_t *query_events(struct service *service, const struct qmp_request *request)
{
	json_t *list = json_array();
	uint64_t dropped, i;

	pthread_mutex_lock(&service->events.mutex);
	i = service->events.count > EVENTS_KEPT ? service->events.count - EVENTS_KEPT : 0;
	dropped = i;
	for (; i < service->events.count; i++)
		json_array_append_new(list, json_deep_copy(service->events.kept[i % EVENTS_KEPT]));
	pthread_mutex_unlock(&service->events.mutex);
	return QMP_REPLY(request, QMP_JSON(list), QMP_NUMBER(dropped));
}

void service_forget_events(struct service *service)
{
	unsigned int i;

	for (i = 0; i < EVENTS_KEPT; i++)
		json_decref(service->events.kept[i]);
}

const struct service_handler service_event_handlers[] = {
	{"query-events", query_events},
	{NULL, NULL},
};
