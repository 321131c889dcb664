/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hash table of u64_map.h: linear probing after multiplication by an odd number nobody knows
 * beforehand, of which the highest bits count. So keys cannot be chosen to meet in one place.
 */
#include "lib/u64_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FIRST_CAPACITY 64

struct u64_map_slot {
	uint64_t key;
	uint32_t value; /* U64_MAP_NONE: the slot is free */
};

/* The slot that holds @key, or the free one where it belongs. */
static struct u64_map_slot *find(const struct u64_map *map, uint64_t key)
{
	size_t i = (size_t)(key * map->multiplier >> map->shift);

	while (map->slots[i].value != U64_MAP_NONE && map->slots[i].key != key)
		i = (i + 1) & (map->capacity - 1);
	return &map->slots[i];
}

uint32_t u64_map_get(const struct u64_map *map, uint64_t key)
{
	if (!map->capacity)
		return U64_MAP_NONE;
	return find(map, key)->value;
}

static uint64_t odd_number(void)
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
		number = UINT64_C(0x9e3779b97f4a7c15);
	return number | 1;
}

static int grow(struct u64_map *map, size_t capacity)
{
	struct u64_map more = {
		.capacity = capacity,
		.count = map->count,
		.shift = 64 - (unsigned int)__builtin_ctzll(capacity),
		.multiplier = map->capacity ? map->multiplier : odd_number(),
	};
	size_t i;

	more.slots = calloc(capacity, sizeof(*more.slots));
	if (!more.slots)
		return -ENOMEM;
	for (i = 0; i < capacity; i++)
		more.slots[i].value = U64_MAP_NONE;
	for (i = 0; i < map->capacity; i++) {
		if (map->slots[i].value != U64_MAP_NONE)
			*find(&more, map->slots[i].key) = map->slots[i];
	}
	free(map->slots);
	*map = more;
	return 0;
}

int u64_map_reserve(struct u64_map *map, size_t count)
{
	size_t capacity = map->capacity ? map->capacity : FIRST_CAPACITY;

	while (capacity < 2 * count)
		capacity *= 2;
	return capacity > map->capacity ? grow(map, capacity) : 0;
}

int u64_map_set(struct u64_map *map, uint64_t key, uint32_t value)
{
	struct u64_map_slot *slot;

	if (2 * (map->count + 1) > map->capacity && u64_map_reserve(map, map->count + 1))
		return -ENOMEM;
	slot = find(map, key);
	if (slot->value == U64_MAP_NONE)
		map->count++;
	slot->key = key;
	slot->value = value;
	return 0;
}

void u64_map_clear(struct u64_map *map)
{
	free(map->slots);
	memset(map, 0, sizeof(*map));
}
