/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A lane: a thread that does one job after the other, in the order in which they were put. */
#ifndef VMM_SERVICE_LANES_H
#define VMM_SERVICE_LANES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/thread.h"
#include "vmm/wire/protocol.h"

/* The request stays the lane's, which frees it; NULL with a job that is nobody's request. */
typedef void (*lane_fn)(void *context, uint64_t client, struct qmp_request *request);

struct lane_job {
	lane_fn run;
	void *context;
	uint64_t client;
	struct qmp_request *request;
	struct lane_job *next; /* the lane's, both */
	double since;          /* clock_seconds() when it was put */
};

struct lane {
	pthread_t thread;
	enum thread_kind kind;
	bool started;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct lane_job *jobs, **last_job; /* mutex, all up to here and below */
	bool ending;
	const char *doing;
	double since;
	uint64_t progress; /* the user's: what it told last of the job */
};

void lane_init(struct lane *lane);
void lane_deinit(struct lane *lane);

/* Starts the thread, which is one of @kind. Errors: pthread_create(3)'s. */
int lane_start(struct lane *lane, enum thread_kind kind);

/* Waits for the job under way and drops the others. Started or not, once. */
void lane_end(struct lane *lane);

/* Puts a copy of @job at the end; takes its request in any case. Any thread. Errors: -ENOMEM. */
int lane_put(struct lane *lane, const struct lane_job *job);

/*
 * Takes out the requests that were put before @before (clock_seconds()) and are not begun: a list,
 * in their order, the caller's to answer and free with their requests. NULL: none. Any thread.
 */
struct lane_job *lane_take_waiting(struct lane *lane, double before);

/* The same of the requests of @client, whenever they were put. */
struct lane_job *lane_take_client(struct lane *lane, uint64_t client);

/* The name of the command under way, or NULL, and since when (clock_seconds()). Any thread. */
const char *lane_doing(struct lane *lane, double *since_out);

#endif
