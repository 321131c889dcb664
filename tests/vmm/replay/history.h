/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Made-up histories of a kernel on several CPUs, printed as ftrace would. Their true order is
 * known, because it was chosen before the events were printed around it, and the addresses come
 * from the linear model.
 */
#ifndef TESTS_HISTORY_H
#define TESTS_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

struct history_options {
	unsigned int tasks;
	unsigned int events;  /* about how many */
	unsigned int overlap; /* percent: how often another task runs in the middle of a call */
	bool quiet_purges;    /* nothing overlaps a purge, or a free */
	bool tracepoints;     /* Linux's own, else the probes */
};

/* The text of a trace, to be freed. @state is of the random numbers; the same gives the same. */
char *history_make(const struct history_options *options, uint64_t *state);

#endif
