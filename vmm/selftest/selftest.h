/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The self-test: for each function of the seed (docs/seed-map.md) some hypercalls to a running
 * guest, what must come of them, and an audit after each call. What a call did is looked up from
 * outside: areas and their frames through the inspector, leaves and contents through the page
 * tables.
 *
 * A row takes and gives back what it uses, so that any row runs alone and in any order.
 */
#ifndef VMM_SELFTEST_SELFTEST_H
#define VMM_SELFTEST_SELFTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "vmm/machine/guest.h"

#define SELFTEST_WHY_BYTES 240

struct selftest_result {
	const char *name;    /* of the seed's function; static */
	uint64_t calls;      /* hypercalls made for it */
	uint64_t audits;     /* one after each */
	uint64_t violations; /* that no row before had */
	bool ok;
	char why[SELFTEST_WHY_BYTES]; /* what was wrong first; empty when ok; printable ASCII */
};

/* The warnings of a guest: what its guest_message_fn keeps for the self-test. */
struct selftest_log {
	uint64_t warnings;
	char text[513];         /* of the last */
	struct backtrace trace; /* of the last */
};

/* A guest_message_fn; its context is a struct selftest_log. */
void selftest_hear(void *context, const struct guest_message *message);

struct selftest;

/*
 * @guest, whose messages go to @log, and @log must outlive it. Nobody else calls the guest
 * meanwhile. Errors: the layout note's, -ENOMEM.
 */
int selftest_create(struct guest *guest, const struct selftest_log *log, struct selftest **test_out,
		    struct error *error);
void selftest_destroy(struct selftest *test);

/* How many rows there are, and the name of one. */
size_t selftest_count(void);
const char *selftest_name(size_t row);

/*
 * Runs row @row (below selftest_count()). *@result_out is wholly written. A guest that dies makes
 * this row and all after it fail.
 */
void selftest_run(struct selftest *test, size_t row, struct selftest_result *result_out);

#endif
