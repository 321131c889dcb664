/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same case on several vCPUs, a host thread each. They start together and each does its loops;
 * one that is faster ends while the others loop on, so the cost of a loop is that of the most
 * company at first and of less at the end.
 */
#include "vmm/nestbox/bench_threads.h"

#include <errno.h>
#include <pthread.h>

/* Where runners wait until all are there. */
struct gate {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool open, given_up; /* mutex */
};

struct runner {
	struct guest *guest;
	unsigned int vcpu;
	struct nb_submission call;
	pthread_t thread;
	struct gate *gate;
	uint64_t ticks;
	int err;
};

/* Returns whether there is something to do. */
static bool pass(struct gate *gate)
{
	bool go;

	pthread_mutex_lock(&gate->mutex);
	while (!gate->open && !gate->given_up)
		pthread_cond_wait(&gate->changed, &gate->mutex);
	go = !gate->given_up;
	pthread_mutex_unlock(&gate->mutex);
	return go;
}

static void *run(void *context)
{
	struct runner *runner = context;
	struct nb_completion completion = {0};

	if (!pass(runner->gate))
		return NULL;
	runner->err = guest_call(runner->guest, runner->vcpu, &runner->call, &completion);
	if (!runner->err)
		runner->err = (int)completion.status;
	if (!runner->err && completion.result[1] < runner->call.arg[1])
		runner->err = -EINTR;
	runner->ticks = completion.result[0];
	return NULL;
}

/* Each runner's @loops, at once. Returns the first error. */
static int run_together(struct runner *runners, unsigned int threads, uint64_t loops)
{
	struct gate gate = {.mutex = PTHREAD_MUTEX_INITIALIZER,
			    .changed = PTHREAD_COND_INITIALIZER};
	unsigned int begun;
	int err = 0;

	for (begun = 0; begun < threads; begun++) {
		runners[begun].gate = &gate;
		runners[begun].call.arg[1] = loops;
		err = -pthread_create(&runners[begun].thread, NULL, run, &runners[begun]);
		if (err)
			break;
	}
	pthread_mutex_lock(&gate.mutex);
	gate.open = !err;
	gate.given_up = err != 0;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.mutex);
	for (unsigned int i = 0; i < begun; i++) {
		pthread_join(runners[i].thread, NULL);
		err = err ? err : runners[i].err;
	}
	return err;
}

/* The fewest ticks of @repeat runs, of each. */
static int best_of(struct runner *runners, unsigned int threads, uint64_t loops, uint64_t repeat,
		   uint64_t *ticks_out)
{
	int err = 0;

	for (uint64_t n = 0; n < repeat && !err; n++) {
		err = run_together(runners, threads, loops);
		for (unsigned int i = 0; i < threads && !err; i++)
			if (n == 0 || runners[i].ticks < ticks_out[i])
				ticks_out[i] = runners[i].ticks;
	}
	return err;
}

int bench_threads_run(struct guest *guest, const struct nb_submission *call, unsigned int threads,
		      uint64_t few, uint64_t loops, uint64_t repeat,
		      struct bench_threads *threads_out)
{
	struct runner runners[NB_MAX_VCPUS];
	uint64_t less[NB_MAX_VCPUS] = {0}, more[NB_MAX_VCPUS] = {0};
	int err;

	for (unsigned int i = 0; i < threads; i++) {
		runners[i] = (struct runner){.guest = guest, .vcpu = i, .call = *call};
		runners[i].call.arg[3] += i;
	}
	err = best_of(runners, threads, few, repeat, less);
	if (!err)
		err = best_of(runners, threads, few + loops, repeat, more);
	if (err)
		return err;
	threads_out->count = threads;
	for (unsigned int i = 0; i < threads; i++)
		threads_out->ticks[i] = ((double)more[i] - (double)less[i]) / (double)loops;
	return 0;
}

/* ---- sums ---- */

double bench_threads_mean(const struct bench_threads *threads)
{
	double sum = 0;

	for (unsigned int i = 0; i < threads->count; i++)
		sum += threads->ticks[i];
	return threads->count ? sum / threads->count : 0;
}

double bench_threads_least(const struct bench_threads *threads)
{
	double least = threads->ticks[0];

	for (unsigned int i = 1; i < threads->count; i++)
		least = threads->ticks[i] < least ? threads->ticks[i] : least;
	return least;
}

double bench_threads_most(const struct bench_threads *threads)
{
	double most = threads->ticks[0];

	for (unsigned int i = 1; i < threads->count; i++)
		most = threads->ticks[i] > most ? threads->ticks[i] : most;
	return most;
}

json_t *bench_threads_json(const struct bench_threads *threads)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < threads->count; i++)
		json_array_append_new(list, json_pack("{s:i, s:f}", "vcpu", (int)i,
						      "ticks_per_loop", threads->ticks[i]));
	return list;
}
