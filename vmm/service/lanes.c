/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The threads of the service, and what waits for them. */
#include "vmm/service/lanes.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/clock.h"

static struct lane_job *take_job(struct lane *lane)
{
	struct lane_job *job;

	pthread_mutex_lock(&lane->mutex);
	lane->doing = NULL;
	while (!lane->jobs && !lane->ending)
		pthread_cond_wait(&lane->changed, &lane->mutex);
	job = lane->ending ? NULL : lane->jobs;
	if (job) {
		lane->jobs = job->next;
		if (!lane->jobs)
			lane->last_job = &lane->jobs;
		lane->doing = job->request ? job->request->command->name : "a chore";
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
	pthread_mutex_lock(&lane->mutex);
	*lane->last_job = put;
	lane->last_job = &put->next;
	pthread_cond_signal(&lane->changed);
	pthread_mutex_unlock(&lane->mutex);
	return 0;
}

/* Those put before @before, or with @client not 0 those of that client. */
static struct lane_job *take_waiting(struct lane *lane, double before, uint64_t client)
{
	struct lane_job *taken = NULL, **last_taken = &taken, **at = &lane->jobs, *job;

	pthread_mutex_lock(&lane->mutex);
	while (!lane->ending && (job = *at)) {
		if (!job->request || (client ? job->client != client : job->since > before)) {
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

struct lane_job *lane_take_waiting(struct lane *lane, double before)
{
	return take_waiting(lane, before, 0);
}

struct lane_job *lane_take_client(struct lane *lane, uint64_t client)
{
	return take_waiting(lane, 0, client);
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
