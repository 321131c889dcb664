/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the race check keeps, shared by check_order.c and check_race.c.
 *
 * Each vCPU has a vector clock: how much of every vCPU's past is ordered before what it does now.
 * Its own part counts its releases. A word that orders has a clock too: of who released it last.
 * Of each 8 bytes the last accesses are kept, up to four, each with its vCPU's own count at that
 * time: one is ordered before what a vCPU does now if that vCPU's clock has come to that count
 * (Lamport 1978; FastTrack, Flanagan and Freund 2009).
 */
#ifndef VMM_SOFT_RACE_PRIVATE_H
#define VMM_SOFT_RACE_PRIVATE_H

#include "vmm/soft/check_private.h"

struct soft_race_clock {
	uint32_t at[SOFT_VCPUS_MAX];
};

/* An access to some of 8 bytes. */
struct soft_race_access {
	uint32_t count; /* its vCPU's own */
	uint32_t rip;   /* lower half */
	uint32_t when;  /* the VM's instructions, lower half */
	uint8_t vcpu;
	uint8_t bytes; /* a bit each; 0: no access */
	bool write, marked;
};

#define SOFT_RACE_KEPT 4

struct soft_race_page {
	uint64_t words[8]; /* those that order: they have a struct soft_race_word */
	struct soft_race_access of[EPT_PAGE_BYTES / 8][SOFT_RACE_KEPT];
};

/* Frames of which accesses are kept at a time; of the oldest they are forgotten. 32 KiB each. */
#define SOFT_RACE_PAGES 1024

/* A word that orders: somebody locked it, or released by it. */
struct soft_race_word {
	uint64_t key;     /* guest-physical address / 8, + 1; 0: an empty place */
	uint8_t released; /* which of its bytes the last release wrote */
	bool locked;      /* a locked instruction touched it: all accesses to it order */
	uint32_t clock;   /* where in clocks[] */
};

/* How many words at most. What those that must go had released is ordered before everything. */
#define SOFT_RACE_WORDS 65536

struct soft_race {
	struct soft_check_page *kept[SOFT_RACE_PAGES]; /* that have accesses, a ring */
	size_t next_kept, nr_kept;
	struct soft_race_clock vcpus[SOFT_VCPUS_MAX], incoming[SOFT_VCPUS_MAX];
	struct soft_race_clock host, forgotten;
	struct soft_race_word *words; /* open addressing, twice SOFT_RACE_WORDS places */
	uint32_t *clocks;             /* nr_vcpus of each word */
	unsigned int nr_words, nr_vcpus;
};

/* The word's, which there is; made now; which of a page's words there are. */
struct soft_race_word *soft_race_word(struct soft_race *race, uint64_t gpa);
struct soft_race_word *soft_race_make_word(struct soft_race *race, uint64_t gpa);
void soft_race_find_words(const struct soft_race *race, uint64_t gpa, struct soft_race_page *page);

/* What @vcpu does from now on is ordered after what was released by @word; NULL: by one forgotten.
 */
void soft_race_acquire(struct soft_vcpu *vcpu, const struct soft_race_word *word, uint64_t gpa);
/* What it did so far is ordered before who acquires; @joins: as is what was released before. */
void soft_race_release(struct soft_vcpu *vcpu, struct soft_race_word *word, uint64_t gpa,
		       uint8_t bytes, bool joins);

#endif
