/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hash table from 64-bit keys to 32-bit values, for what a trace or a guest names by
 * number: addresses and tasks. Whoever chooses the keys cannot make it slow. Open addressing, at
 * most half full; entries are added and overwritten, never removed. Not for concurrent use.
 */
#ifndef LIB_U64_MAP_H
#define LIB_U64_MAP_H

#include <stddef.h>
#include <stdint.h>

/* No value: what u64_map_get() says of a key that is not there. */
#define U64_MAP_NONE UINT32_MAX

struct u64_map {
	struct u64_map_slot *slots; /* capacity entries; NULL while empty */
	size_t capacity;            /* a power of two, or 0 */
	size_t count;
	unsigned int shift;  /* the map's own */
	uint64_t multiplier; /* likewise */
};

/* The value of @key, or U64_MAP_NONE. A zeroed map is an empty one. */
uint32_t u64_map_get(const struct u64_map *map, uint64_t key);

/* Sets the value of @key (not U64_MAP_NONE). Returns 0, or -ENOMEM and nothing changed. */
int u64_map_set(struct u64_map *map, uint64_t key, uint32_t value);

/* Makes room for @count keys in all, so that no more memory is needed for them. -ENOMEM. */
int u64_map_reserve(struct u64_map *map, size_t count);

/* Forgets every key and frees the memory; the map can be used again. */
void u64_map_clear(struct u64_map *map);

#endif
