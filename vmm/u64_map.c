/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hash table of u64_map.h: linear probing after Fibonacci hashing. */
#include "vmm/u64_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64

struct u64_map_slot {
	uint64_t key;
	uint32_t value; /* U64_MAP_NONE: the slot is free */
};

/* The slot that holds @key, or the free one where it belongs. */
static struct u64_map_slot *find(struct u64_map_slot *slots, size_t capacity, uint64_t key)
{
	uint64_t hash = (key ^ key >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(hash >> 20) & (capacity - 1);

	while (slots[i].value != U64_MAP_NONE && slots[i].key != key)
		i = (i + 1) & (capacity - 1);
	return &slots[i];
}

uint32_t u64_map_get(const struct u64_map *map, uint64_t key)
{
	if (!map->capacity)
		return U64_MAP_NONE;
	return find(map->slots, map->capacity, key)->value;
}

static int grow(struct u64_map *map)
{
	size_t capacity = map->capacity ? 2 * map->capacity : FIRST_CAPACITY;
	struct u64_map_slot *slots = calloc(capacity, sizeof(*slots));
	size_t i;

	if (!slots)
		return -ENOMEM;
	for (i = 0; i < capacity; i++)
		slots[i].value = U64_MAP_NONE;
	for (i = 0; i < map->capacity; i++) {
		if (map->slots[i].value != U64_MAP_NONE)
			*find(slots, capacity, map->slots[i].key) = map->slots[i];
	}
	free(map->slots);
	map->slots = slots;
	map->capacity = capacity;
	return 0;
}

int u64_map_set(struct u64_map *map, uint64_t key, uint32_t value)
{
	struct u64_map_slot *slot;

	if (2 * (map->count + 1) > map->capacity && grow(map))
		return -ENOMEM;
	slot = find(map->slots, map->capacity, key);
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
