/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A case of nestbox bench on several vCPUs at once. */
#ifndef VMM_NESTBOX_BENCH_THREADS_H
#define VMM_NESTBOX_BENCH_THREADS_H

#include <jansson.h>

#include "vmm/machine/guest.h"

/* What one more loop costs when all of them loop. */
struct bench_threads {
	unsigned int count;
	double ticks[NB_MAX_VCPUS]; /* of vCPU 0, 1, ... for one more of its own loops */
};

/*
 * As nestbox bench measures one vCPU: each of the first @threads vCPUs runs @call (NB_OP_BENCH) of
 * @few loops and then of @few + @loops, all at the same time, @repeat times; the fewest ticks
 * count. Seeds are the vCPUs' own. Errors: those of guest_call() and of the operation, -EINTR
 * (cancelled), pthread_create(3)'s.
 */
int bench_threads_run(struct guest *guest, const struct nb_submission *call, unsigned int threads,
		      uint64_t few, uint64_t loops, uint64_t repeat,
		      struct bench_threads *threads_out);

/* Of all vCPUs. */
double bench_threads_mean(const struct bench_threads *threads);
double bench_threads_least(const struct bench_threads *threads);
double bench_threads_most(const struct bench_threads *threads);

/* [{"vcpu", "ticks_per_loop"}]: a new reference. */
json_t *bench_threads_json(const struct bench_threads *threads);

#endif
