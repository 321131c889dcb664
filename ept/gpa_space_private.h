/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the address space share: an array of regions sorted by address, searched by
 * halving. gpa_space.c changes it, gpa_look.c looks.
 */
#ifndef EPT_GPA_SPACE_PRIVATE_H
#define EPT_GPA_SPACE_PRIVATE_H

#include "ept/backing.h"
#include "ept/gpa_space.h"

struct region {
	struct gpa_region public; /* first: what callers hold points here */
	struct backing backing;   /* when it has memory */
};

struct listener {
	const struct gpa_listener_ops *ops;
	void *context;
};

struct gpa_space {
	unsigned int physical_bits;
	uint32_t next_id;
	struct region **regions; /* sorted by start, disjoint */
	size_t count;
	struct listener *listeners;
	size_t listener_count;
};

static inline bool gpa_kind_has_memory(enum gpa_kind kind)
{
	return kind == GPA_RAM || kind == GPA_ROM;
}

/* The index of the first region that ends after @gpa; the count if none does. */
size_t gpa_space_first_after(const struct gpa_space *space, uint64_t gpa);

#endif
