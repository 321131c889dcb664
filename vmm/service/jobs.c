/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is under way: how far it is, as the event PROGRESS and in query-status, and how it is ended
 * early: by the command cancel, and when the client that asked for it has gone.
 *
 * A job that can end early asks service_go_on() now and then; one in the guest is told by
 * guest_cancel(). One that is not begun is answered for it.
 */
#include <stdlib.h>

#include "lib/clock.h"
#include "vmm/service/private.h"

/* What has taken so long is told about. */
#define LONG_SECONDS 1.0

bool service_go_on(struct service *service, const struct qmp_request *request, uint64_t done,
		   uint64_t total)
{
	struct lane_progress *progress = request->progress;

	if (!progress)
		return !__atomic_load_n(&service->shutting_down, __ATOMIC_ACQUIRE);
	__atomic_store_n(&progress->done, done, __ATOMIC_RELAXED);
	__atomic_store_n(&progress->total, total, __ATOMIC_RELAXED);
	return !service_cancelled(request) &&
	       !__atomic_load_n(&service->shutting_down, __ATOMIC_ACQUIRE);
}

bool service_cancelled(const struct qmp_request *request)
{
	return request->progress &&
	       __atomic_load_n(&request->progress->cancelled, __ATOMIC_SEQ_CST);
}

/* ---- ending early ---- */

/* Answers for requests that are not begun and fit. Returns how many. */
static unsigned int drop_waiting(struct service *service, struct lane *lane,
				 const struct lane_match *match)
{
	struct lane_job *job = lane_take_waiting(lane, clock_seconds(), match), *next;
	unsigned int count = 0;

	for (; job; job = next, count++) {
		next = job->next;
		server_answer(service->server, job->client,
			      qmp_error(job->request, "%s: cancelled before it was begun",
					job->request->command->name));
		qmp_request_free(job->request);
		free(job);
	}
	return count;
}

/* The vCPU that a lane works on. */
struct in_guest {
	struct guest *guest;
	unsigned int vcpu;
};

static void tell_guest(void *context)
{
	const struct in_guest *told = context;

	guest_cancel(told->guest, told->vcpu, true);
}

/* On lanes [first, end). Returns how many requests were told. */
static unsigned int cancel(struct service *service, unsigned int first, unsigned int end,
			   const struct lane_match *match)
{
	unsigned int count = 0;

	for (unsigned int i = first; i < end; i++) {
		struct in_guest told = {service->guest, i};

		count += drop_waiting(service, &service->lanes[i], match);
		count += lane_cancel(&service->lanes[i], match,
				     i < NB_MAX_VCPUS ? tell_guest : NULL, &told);
	}
	return count;
}

void service_client_gone(struct service *service, uint64_t client)
{
	const struct lane_match match = {.client = client};

	cancel(service, 0, NR_LANES, &match);
}

static json_t *cancel_command(struct service *service, const struct qmp_request *request)
{
	const struct qmp_value *vcpu = qmp_get(request, "vcpu");
	const struct lane_match match = {.id = qmp_get(request, "job")->text};
	unsigned int first = 0, end = NR_LANES, count;

	if (vcpu->given && vcpu->word >= guest_nr_vcpus(service->guest))
		return service_bad_vcpu(service, request, (unsigned int)vcpu->word);
	if (vcpu->given) {
		first = (unsigned int)vcpu->word;
		end = first + 1;
	}
	count = cancel(service, first, end, &match);
	if (count == 0)
		return qmp_error(
			request,
			"cancel: no such command is under way; query-status says which are");
	return QMP_REPLY(request, QMP_NUMBER(count));
}

/* ---- how far ---- */

/* Of lane @at, where one is under way: as query-status shows it. NULL: none, or no memory. */
static json_t *job_json(struct service *service, unsigned int at)
{
	struct lane_state state;
	uint32_t trap = 0;
	bool vcpu = at < NB_MAX_VCPUS;

	if (!lane_look(&service->lanes[at], &state))
		return NULL;
	if (vcpu)
		trap = service_held_by(service, at);
	if (state.progress.counts)
		state.progress.done = guest_progress(service->guest, at) - state.progress.base;
	return QMP_ROW(protocol_doing, QMP_MAYBE(vcpu, at), QMP_STRING(state.doing),
		       QMP_FLOAT(clock_seconds() - state.since), QMP_MAYBE(trap, trap),
		       QMP_STRING(*state.id ? state.id : NULL),
		       QMP_MAYBE(state.progress.done, state.progress.done),
		       QMP_MAYBE(state.progress.total, state.progress.total),
		       QMP_MAYBE(state.progress.cancelled, true));
}

json_t *service_doing_json(struct service *service)
{
	json_t *list = json_array(), *one;

	for (unsigned int i = 0; i < NR_LANES; i++) {
		one = job_json(service, i);
		if (one)
			json_array_append_new(list, one);
	}
	return list;
}

void service_tell_progress(struct service *service)
{
	for (unsigned int i = 0; i < NR_LANES; i++) {
		struct lane *lane = &service->lanes[i];
		json_t *one = job_json(service, i);
		uint64_t done = (uint64_t)json_integer_value(json_object_get(one, "done"));

		if (done && done != lane->told &&
		    json_real_value(json_object_get(one, "seconds")) >= LONG_SECONDS)
			service_tell(service, "PROGRESS", json_incref(one));
		lane->told = done;
		json_decref(one);
	}
}

const struct service_handler service_job_handlers[] = {
	{"cancel", cancel_command},
	{NULL, NULL},
};
