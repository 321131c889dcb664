/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Maps with open addressing, one for each size of page and each level of table.
 *
 *      epoch of the place != the map's     empty: a search ends here
 *      life == 0, or not the TLB's and
 *      not global                          dead: a search goes on
 *
 * So a flush of everything is a step of the epochs, and a load of CR3 a step of the life.
 */
#include "vmm/soft/tlb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/x86.h"

#define CAPACITY_MIN 64u

static unsigned int level_shift(unsigned int level)
{
	return X86_LEVEL_SHIFT(level);
}

void soft_tlb_init(struct soft_tlb *tlb, uint64_t limit, uint64_t seed)
{
	*tlb = (struct soft_tlb){
		.life = 1,
		.limit = limit ? limit : SOFT_TLB_LIMIT_DEFAULT,
		.random = seed * 0x9e3779b97f4a7c15ull + 0x6a09e667f3bcc909ull,
	};
	for (unsigned int level = 1; level <= 4; level++) {
		struct soft_tlb_map map = {.shift = level_shift(level), .epoch = 1};

		if (level <= 3)
			tlb->pages[level] = map;
		tlb->tables[level] = map;
	}
}

void soft_tlb_fini(struct soft_tlb *tlb)
{
	for (unsigned int level = 1; level <= 4; level++) {
		if (level <= 3)
			free(tlb->pages[level].places);
		free(tlb->tables[level].places);
	}
}

static int copy_map(struct soft_tlb_map *to, const struct soft_tlb_map *from, uint64_t *bytes)
{
	size_t size = from->capacity * sizeof(*from->places);

	*to = *from;
	to->places = size ? malloc(size) : NULL;
	if (size && !to->places)
		return -ENOMEM;
	if (size)
		memcpy(to->places, from->places, size);
	*bytes += size;
	return 0;
}

int soft_tlb_copy(struct soft_tlb *to, const struct soft_tlb *from, uint64_t *bytes)
{
	struct soft_tlb copy = *from;
	int err = 0;

	for (unsigned int i = 0; i < 4; i++)
		copy.pages[i].places = NULL;
	for (unsigned int i = 0; i < 5; i++)
		copy.tables[i].places = NULL;
	*to = copy;
	for (unsigned int i = 0; i < 4 && !err; i++)
		err = copy_map(&to->pages[i], &from->pages[i], bytes);
	for (unsigned int i = 0; i < 5 && !err; i++)
		err = copy_map(&to->tables[i], &from->tables[i], bytes);
	return err;
}

static bool is_live(const struct soft_tlb *tlb, const struct soft_tlb_entry *entry)
{
	return entry->life && (entry->life == tlb->life || (entry->flags & X86_PTE_G));
}

static size_t hash(const struct soft_tlb_map *map, uint64_t page)
{
	return (size_t)((page * 0x9e3779b97f4a7c15ull) >> 32) & (map->capacity - 1);
}

static struct soft_tlb_entry *find(const struct soft_tlb *tlb, struct soft_tlb_map *map,
				   uint64_t gva)
{
	uint64_t page = gva >> map->shift;

	if (!map->used)
		return NULL;
	for (size_t at = hash(map, page);; at = (at + 1) & (map->capacity - 1)) {
		struct soft_tlb_entry *entry = &map->places[at];

		if (entry->epoch != map->epoch)
			return NULL;
		if (entry->page == page && is_live(tlb, entry))
			return entry;
	}
}

struct soft_tlb_entry *soft_tlb_find(struct soft_tlb *tlb, uint64_t gva, unsigned int *shift_out)
{
	for (unsigned int level = 1; level <= 3; level++) {
		struct soft_tlb_entry *entry = find(tlb, &tlb->pages[level], gva);

		if (entry) {
			*shift_out = tlb->pages[level].shift;
			return entry;
		}
	}
	return NULL;
}

const struct soft_tlb_entry *soft_tlb_find_table(struct soft_tlb *tlb, uint64_t gva,
						 unsigned int level)
{
	return find(tlb, &tlb->tables[level], gva);
}

/* ---- insertion ---- */

/* Puts an entry into a map that has room. */
static void place(const struct soft_tlb *tlb, struct soft_tlb_map *map,
		  const struct soft_tlb_entry *new)
{
	size_t at = hash(map, new->page);

	while (map->places[at].epoch == map->epoch && is_live(tlb, &map->places[at]))
		at = (at + 1) & (map->capacity - 1);
	if (map->places[at].epoch != map->epoch)
		map->used++;
	map->places[at] = *new;
	map->places[at].epoch = map->epoch;
}

/* A map of another size, or the same without its dead. False: no memory. */
static bool rebuild(const struct soft_tlb *tlb, struct soft_tlb_map *map)
{
	struct soft_tlb_map new = {.shift = map->shift, .epoch = 1, .capacity = CAPACITY_MIN};
	size_t live = 0;

	for (size_t i = 0; i < map->capacity; i++)
		live += map->places[i].epoch == map->epoch && is_live(tlb, &map->places[i]);
	while (new.capacity < 4 * live)
		new.capacity *= 2;
	new.places = calloc(new.capacity, sizeof(*new.places));
	if (!new.places)
		return false;
	for (size_t i = 0; i < map->capacity; i++)
		if (map->places[i].epoch == map->epoch && is_live(tlb, &map->places[i]))
			place(tlb, &new, &map->places[i]);
	new.live = live;
	free(map->places);
	*map = new;
	return true;
}

/* Forgets one entry, drawn. */
static void evict(struct soft_tlb *tlb, struct soft_tlb_map *map)
{
	size_t at;

	tlb->random ^= tlb->random << 13;
	tlb->random ^= tlb->random >> 7;
	tlb->random ^= tlb->random << 17;
	at = (size_t)tlb->random & (map->capacity - 1);
	for (size_t i = 0; i < map->capacity; i++, at = (at + 1) & (map->capacity - 1)) {
		if (map->places[at].epoch != map->epoch || !is_live(tlb, &map->places[at]))
			continue;
		map->places[at].life = 0;
		break;
	}
	map->live--;
}

static void insert(struct soft_tlb *tlb, struct soft_tlb_map *map, uint64_t gva, uint64_t gpa,
		   uint64_t flags)
{
	struct soft_tlb_entry new = {gva >> map->shift, gpa, flags, map->epoch, tlb->life};
	struct soft_tlb_entry *old = find(tlb, map, gva);

	if (old) {
		*old = new;
		return;
	}
	if ((map->live >= tlb->limit && map->stale) || 2 * (map->used + 1) > map->capacity)
		if (!rebuild(tlb, map))
			return;
	if (map->live >= tlb->limit)
		evict(tlb, map);
	place(tlb, map, &new);
	map->live++;
}

void soft_tlb_insert(struct soft_tlb *tlb, uint64_t gva, unsigned int level, uint64_t gpa,
		     uint64_t flags)
{
	insert(tlb, &tlb->pages[level], gva, gpa, flags);
}

void soft_tlb_insert_table(struct soft_tlb *tlb, uint64_t gva, unsigned int level, uint64_t gpa,
			   uint64_t flags)
{
	insert(tlb, &tlb->tables[level], gva, gpa, flags & ~X86_PTE_G);
}

/* ---- flushes ---- */

/* An epoch that comes round again would raise the dead. */
static void empty(struct soft_tlb_map *map)
{
	if (!map->used)
		return;
	map->used = map->live = 0;
	if (++map->epoch != 0)
		return;
	for (size_t i = 0; i < map->capacity; i++)
		map->places[i].epoch = 0;
	map->epoch = 1;
}

static void empty_tables(struct soft_tlb *tlb)
{
	for (unsigned int level = 2; level <= 4; level++)
		empty(&tlb->tables[level]);
}

static void kill(struct soft_tlb *tlb, struct soft_tlb_map *map, uint64_t gva)
{
	struct soft_tlb_entry *entry = find(tlb, map, gva);

	if (!entry)
		return;
	entry->life = 0;
	map->live--;
}

void soft_tlb_suspect(struct soft_tlb *tlb, uint64_t gva, unsigned int level)
{
	struct soft_tlb_entry *entry = find(tlb, &tlb->pages[level], gva);

	if (entry)
		entry->flags |= SOFT_TLB_SUSPECT;
}

void soft_tlb_forget(struct soft_tlb *tlb, uint64_t gva)
{
	for (unsigned int level = 1; level <= 3; level++)
		kill(tlb, &tlb->pages[level], gva);
	for (unsigned int level = 2; level <= 4; level++)
		kill(tlb, &tlb->tables[level], gva);
}

void soft_tlb_flush_page(struct soft_tlb *tlb, uint64_t gva)
{
	tlb->page_flushes++;
	for (unsigned int level = 1; level <= 3; level++)
		kill(tlb, &tlb->pages[level], gva);
	empty_tables(tlb);
}

void soft_tlb_flush_local(struct soft_tlb *tlb)
{
	tlb->flushes++;
	empty_tables(tlb);
	for (unsigned int level = 1; level <= 3; level++)
		tlb->pages[level].stale = true;
	if (++tlb->life != 0)
		return;
	/* 2^32 loads of CR3 later: what is global goes as well, as it may. */
	tlb->life = 1;
	for (unsigned int level = 1; level <= 3; level++)
		empty(&tlb->pages[level]);
}

void soft_tlb_flush_all(struct soft_tlb *tlb)
{
	tlb->flushes++;
	empty_tables(tlb);
	for (unsigned int level = 1; level <= 3; level++)
		empty(&tlb->pages[level]);
}
