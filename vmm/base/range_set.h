/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disjoint ranges of an address space, sorted, and the search for a hole among them that Linux's
 * vmap allocator makes.
 *
 * Ranges stand in blocks of up to 128; each block knows its longest hole, so that a search looks
 * into few of them. That is enough for the tens of thousands of areas a kernel has. Not for
 * concurrent use.
 */
#ifndef VMM_BASE_RANGE_SET_H
#define VMM_BASE_RANGE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed set is an empty one. */
struct range_set {
	struct range_block **blocks;
	size_t count;
};

/*
 * Adds [@start, @end) with a value of the caller's. Returns 0; -EEXIST if it overlaps a range of
 * the set, -EINVAL if it is empty, or -ENOMEM: then nothing has changed.
 */
int range_set_add(struct range_set *set, uint64_t start, uint64_t end, uint32_t value);

/* Removes the range that starts at @start. Returns whether there was one. */
bool range_set_remove(struct range_set *set, uint64_t start);

/*
 * Whether a range of the set overlaps [@start, @end). If so, the lowest one's value and end are
 * in *@value_out and *@end_out.
 */
bool range_set_find(const struct range_set *set, uint64_t start, uint64_t end, uint32_t *value_out,
		    uint64_t *end_out);

/* Whether the range that starts at @start is there, with @value. */
bool range_set_holds(const struct range_set *set, uint64_t start, uint32_t value);

/*
 * The address that Linux 5.2 to 6.8 would choose: of the holes in [1, 2^64 - 1), the lowest one
 * that is long enough, at size + align - 1 if @align is above the page size; the hole that
 * @vstart lies inside is tried for an exact fit. Returns 0 if there is none, or if what was
 * chosen does not end by @vend. @align is a power of two; nothing is added.
 */
uint64_t range_set_fit(const struct range_set *set, uint64_t bytes, uint64_t align, uint64_t vstart,
		       uint64_t vend);

/* Checks order, disjointness and each block's longest hole. Returns NULL or what is wrong. */
const char *range_set_check(const struct range_set *set);

/* Frees the memory; the set is empty then. */
void range_set_clear(struct range_set *set);

#endif
