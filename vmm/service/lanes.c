/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The threads of the service, and what waits for them. */
#include "vmm/service/lanes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"

static struct lane_job *take_job(struct lane *lane)
{
	struct lane_job *job;

	pthread_mutex_lock(&lane->mutex);
	while (!lane->jobs && !lane->ending)
		pthread_cond_wait(&lane->changed, &lane->mutex);
	job = lane->ending ? NULL : lane->jobs;
	if (job) {
		lane->jobs = job->next;
		if (!lane->jobs)
			lane->last_job = &lane->jobs;
		lane->doing = job->request ? job->request->command->name : "a chore";
		lane->current = job;
		lane->since = clock_seconds();
	}
	pthread_mutex_unlock(&lane->mutex);
	return job;
}

static void *run_lane(void *context)
{
	struct lane *lane = context;
	struct lane_job *job;

	thread_begin(lane->kind);
	while ((job = take_job(lane))) {
		job->run(job->context, job->client, job->request);
		pthread_mutex_lock(&lane->mutex);
		lane->doing = NULL;
		lane->current = NULL;
		pthread_mutex_unlock(&lane->mutex);
		qmp_request_free(job->request);
		free(job);
	}
	return NULL;
}

void lane_init(struct lane *lane)
{
	lane->last_job = &lane->jobs;
	pthread_mutex_init(&lane->mutex, NULL);
	pthread_cond_init(&lane->changed, NULL);
}

void lane_deinit(struct lane *lane)
{
	pthread_cond_destroy(&lane->changed);
	pthread_mutex_destroy(&lane->mutex);
}

int lane_start(struct lane *lane, enum thread_kind kind)
{
	int err;

	lane->kind = kind;
	err = pthread_create(&lane->thread, NULL, run_lane, lane);

	lane->started = !err;
	return -err;
}

void lane_end(struct lane *lane)
{
	struct lane_job *job;

	pthread_mutex_lock(&lane->mutex);
	lane->ending = true;
	pthread_cond_signal(&lane->changed);
	pthread_mutex_unlock(&lane->mutex);
	if (lane->started)
		pthread_join(lane->thread, NULL);
	while ((job = lane->jobs)) {
		lane->jobs = job->next;
		qmp_request_free(job->request);
		free(job);
	}
}

int lane_put(struct lane *lane, const struct lane_job *job)
{
	struct lane_job *put = malloc(sizeof(*put));

	if (!put) {
		qmp_request_free(job->request);
		return -ENOMEM;
	}
	*put = *job;
	put->next = NULL;
	put->since = clock_seconds();
	put->progress = (struct lane_progress){0};
	if (put->request)
		put->request->progress = &put->progress;
	pthread_mutex_lock(&lane->mutex);
	*lane->last_job = put;
	lane->last_job = &put->next;
	pthread_cond_signal(&lane->changed);
	pthread_mutex_unlock(&lane->mutex);
	return 0;
}

/* The id of @job's client's making, "" where there is no string. */
static const char *id_of(const struct lane_job *job)
{
	return job->request ? json_string_value(job->request->id) ?: "" : "";
}

/* Chores are nobody's. */
static bool fits(const struct lane_job *job, const struct lane_match *match)
{
	if (!job->request)
		return false;
	return !match || ((!match->client || match->client == job->client) &&
			  (!match->id || strcmp(match->id, id_of(job)) == 0));
}

struct lane_job *lane_take_waiting(struct lane *lane, double before, const struct lane_match *match)
{
	struct lane_job *taken = NULL, **last_taken = &taken, **at = &lane->jobs, *job;

	pthread_mutex_lock(&lane->mutex);
	while (!lane->ending && (job = *at)) {
		if (job->since > before || !fits(job, match)) {
			at = &job->next;
			continue;
		}
		*at = job->next;
		job->next = NULL;
		*last_taken = job;
		last_taken = &job->next;
	}
	if (!lane->ending)
		lane->last_job = at;
	pthread_mutex_unlock(&lane->mutex);
	return taken;
}

bool lane_cancel(struct lane *lane, const struct lane_match *match, void (*tell)(void *context),
		 void *context)
{
	bool told = false;

	pthread_mutex_lock(&lane->mutex);
	if (lane->current && fits(lane->current, match))
		told = !__atomic_exchange_n(&lane->current->progress.cancelled, true,
					    __ATOMIC_SEQ_CST);
	if (told && tell)
		tell(context);
	pthread_mutex_unlock(&lane->mutex);
	return told;
}

bool lane_look(struct lane *lane, struct lane_state *state_out)
{
	struct lane_progress *progress;

	pthread_mutex_lock(&lane->mutex);
	*state_out = (struct lane_state){.doing = lane->doing, .since = lane->since};
	if (lane->current) {
		progress = &lane->current->progress;
		snprintf(state_out->id, sizeof(state_out->id), "%s", id_of(lane->current));
		state_out->progress = (struct lane_progress){
			.done = __atomic_load_n(&progress->done, __ATOMIC_RELAXED),
			.total = __atomic_load_n(&progress->total, __ATOMIC_RELAXED),
			.base = __atomic_load_n(&progress->base, __ATOMIC_RELAXED),
			.counts = __atomic_load_n(&progress->counts, __ATOMIC_ACQUIRE),
			.cancelled = __atomic_load_n(&progress->cancelled, __ATOMIC_RELAXED),
		};
	}
	pthread_mutex_unlock(&lane->mutex);
	return state_out->doing != NULL;
}

const char *lane_doing(struct lane *lane, double *since_out)
{
	const char *doing;

	pthread_mutex_lock(&lane->mutex);
	doing = lane->doing;
	*since_out = lane->since;
	pthread_mutex_unlock(&lane->mutex);
	return doing;
}
