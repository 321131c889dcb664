/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux's placement of address ranges, as simply as it can be said: one sorted array, searched
 * from its beginning. It is what plans and guests are compared with, so it shares no code with
 * either.
 *
 * The rule (mm/vmalloc.c of Linux 5.2 to 6.8): all of [1, 2^64 - 1) is one space. Taken is the
 * lowest hole that is long enough, where "long enough" means size + align - 1 when align is above
 * the page size; the hole that vstart lies in the middle of is tried for an exact fit. What does
 * not end by vend then is a failure, even if a later hole would do.
 */
#ifndef TESTS_REPLAY_MODEL_H
#define TESTS_REPLAY_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model_area {
	uint64_t start; /* [start, end) */
	uint64_t end;
	bool lazy; /* freed, not purged */
	bool mapped;
};

struct model {
	struct model_area *areas; /* sorted, disjoint */
	size_t count;
	size_t room;
};

/* Finds a place and takes it. Returns the address, or 0 when there is no room. */
uint64_t model_alloc(struct model *model, uint64_t bytes, uint64_t align, uint64_t vstart,
		     uint64_t vend, bool mapped);

/* Makes the area that starts at @address lazy. Returns whether there was one in use. */
bool model_free(struct model *model, uint64_t address);

/* Removes every lazy area. */
void model_purge(struct model *model);

/* Frees the memory; a zeroed model is an empty one. */
void model_deinit(struct model *model);

#endif
