/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers by distribution: sizes, lifetimes, nodes. All of them come from one generator
 * (xoshiro256**, Blackman and Vigna 2018) that is seeded once, so a seed says everything.
 */
#ifndef VMM_LOAD_DRAW_H
#define VMM_LOAD_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct draw_random {
	uint64_t state[4];
};

void draw_seed(struct draw_random *random, uint64_t seed);
uint64_t draw_bits(struct draw_random *random);

/* From 0 to @below - 1, which is not 0; every number as likely as every other. */
uint64_t draw_below(struct draw_random *random, uint64_t below);

enum draw_kind {
	DRAW_FIXED,
	DRAW_UNIFORM,     /* from low to high, both */
	DRAW_EXPONENTIAL, /* of that mean, not above high */
	DRAW_PARETO,      /* P(X > x) = (low / x)^shape, not above high */
	DRAW_TABLE,       /* an entry by its weight, then uniform in it */
	DRAW_DECK,        /* the same without putting back: exact once all weights are dealt */
	DRAW_SEQUENCE,    /* the entries in order, each as often as its weight, again and again */
};

/* Lifetimes that are no numbers. */
#define DRAW_FOREVER UINT64_MAX
#define DRAW_PHASE   (UINT64_MAX - 1) /* until the phase ends */

struct draw_entry {
	uint64_t low, high; /* equal: DRAW_FOREVER and DRAW_PHASE too */
	uint32_t weight;    /* not 0 */
};

/* The most a deck's weights may add up to. */
#define DRAW_DECK_MAX (1u << 22)

struct draw {
	enum draw_kind kind;
	uint64_t low, high; /* low <= high; FIXED: low */
	double mean;        /* EXPONENTIAL; PARETO: shape */
	struct draw_entry *entries;
	size_t nr_entries;
	uint64_t weight; /* of all entries */

	uint32_t *deck; /* entries as they will be dealt */
	uint64_t dealt;
};

/*
 * The next number. Returns 0, or -ENOMEM (a deck's first) with nothing changed.
 */
int draw_next(struct draw *draw, struct draw_random *random, uint64_t *value_out);

/* A deck is as at the start again. */
void draw_restart(struct draw *draw);

void draw_free(struct draw *draw);

#endif
