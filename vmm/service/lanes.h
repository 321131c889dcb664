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

/* How far a job is, and whether anybody wants the rest. All atomic: the lane's thread and others.
 */
struct lane_progress {
	uint64_t done, total; /* of the job's own steps; a total of 0 is not known */
	uint64_t base;  /* with counts: of the vCPU's counter (guest_progress()) when it began */
	bool counts;    /* done is what the vCPU counts */
	bool cancelled; /* what can end early does, with what it has done */
};

struct lane_job {
	lane_fn run;
	void *context;
	uint64_t client;
	struct qmp_request *request;
	struct lane_job *next; /* the lane's, both */
	double since;          /* clock_seconds() when it was put */
	struct lane_progress progress;
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
	struct lane_job *current; /* under way; NULL: none */
	uint64_t told;            /* the user's: the progress it told of last */
};

/* No longer ids are told apart. */
#define LANE_ID_BYTES 128

/* What is under way. */
struct lane_state {
	const char *doing;      /* the command's name */
	double since;           /* clock_seconds() */
	char id[LANE_ID_BYTES]; /* the client's, where that is a string; else empty */
	struct lane_progress progress;
};

/* Which requests are meant: all that is not 0 or NULL has to fit. */
struct lane_match {
	uint64_t client;
	const char *id; /* a string, as the client gave it */
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
 * Takes out the requests that were put before @before (clock_seconds()), are not begun and fit
 * @match (NULL: any): a list, in their order, the caller's to answer and free with their requests.
 * NULL: none. Any thread.
 */
struct lane_job *lane_take_waiting(struct lane *lane, double before,
				   const struct lane_match *match);

/*
 * Tells the request under way, if it fits, that nobody wants the rest: by its progress, and by
 * @tell, which is called before the lane can begin another, and may not wait (NULL: by that alone).
 * Returns whether there was one that was not told before. Any thread.
 */
bool lane_cancel(struct lane *lane, const struct lane_match *match, void (*tell)(void *context),
		 void *context);

/* What is under way. Returns whether anything is. Any thread. */
bool lane_look(struct lane *lane, struct lane_state *state_out);

/* The name of the command under way, or NULL, and since when (clock_seconds()). Any thread. */
const char *lane_doing(struct lane *lane, double *since_out);

#endif
