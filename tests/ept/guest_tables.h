/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A little physical memory with page tables in it, for the tests of the walkers. Pages are handed
 * out from 0; entries are put where the test says, by numbers, so that the tests do not build on
 * the code they test.
 */
#ifndef TESTS_EPT_GUEST_TABLES_H
#define TESTS_EPT_GUEST_TABLES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ept/types.h"

#define TABLES_PAGES 2048u

struct guest_tables {
	uint64_t (*pages)[512];
	unsigned int used;
	unsigned int levels;
	uint64_t root;
	uint64_t reads; /* tables asked for */
};

static inline uint64_t tables_new_page(struct guest_tables *tables)
{
	if (tables->used == TABLES_PAGES)
		abort();
	return 4096ULL * tables->used++;
}

static inline void tables_init(struct guest_tables *tables, unsigned int levels)
{
	tables->pages = calloc(TABLES_PAGES, 4096);
	tables->used = 0;
	tables->levels = levels;
	tables->reads = 0;
	tables->root = tables_new_page(tables);
}

static inline void tables_free(struct guest_tables *tables)
{
	free(tables->pages);
}

/* The reader of a walk: nothing outside the memory. */
static inline const uint64_t *tables_at(struct guest_tables *tables, uint64_t address)
{
	tables->reads++;
	return address / 4096 < TABLES_PAGES && address % 4096 == 0 ? tables->pages[address / 4096]
								    : NULL;
}

/*
 * The entry of @input at @level. Tables on the way that are missing are made, referred to by
 * entries with the bits @table_bits.
 */
static inline uint64_t *tables_entry(struct guest_tables *tables, uint64_t input,
				     unsigned int level, uint64_t table_bits)
{
	uint64_t table = tables->root, *entry;
	unsigned int at;

	for (at = tables->levels;; at--) {
		entry = &tables->pages[table / 4096][(input >> (12 + 9 * (at - 1))) % 512];
		if (at == level)
			return entry;
		if (*entry == 0)
			*entry = tables_new_page(tables) | table_bits;
		/* Entries may have been broken since: stay in the memory. */
		table = *entry & (TABLES_PAGES * 4096ULL - 4096);
	}
}

/* Where that entry is. */
static inline uint64_t tables_address(const struct guest_tables *tables, const uint64_t *entry)
{
	return (uint64_t)((const char *)entry - (const char *)tables->pages);
}

#endif
