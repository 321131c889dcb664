/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walking a page-table tree whose format is described by masks: what the guest's paging, EPT and
 * AMD's nested paging have in common. Addresses are bare numbers here; the typed faces are
 * ept/paging.h and ept/stage2.h. Private to ept/.
 *
 * All of them are trees of tables of 512 eight-byte entries, level 1 the last; an entry is
 * present or not; a present entry of level 1, or of a higher level with the large bit, is a leaf.
 * Entries are loaded once each. Nothing here trusts them.
 */
#ifndef EPT_RADIX_H
#define EPT_RADIX_H

#include <stdbool.h>
#include <stdint.h>

#define RADIX_LEVELS_MAX  5
#define RADIX_ENTRIES     512u
#define RADIX_TABLE_LIMIT (1ULL << 20)

/* How many bits of the input lie below the index of @level. */
static inline unsigned int radix_shift(unsigned int level)
{
	return 12 + 9 * (level - 1);
}

/* Arrays are indexed by level; place 0 is unused. */
struct radix_format {
	unsigned int levels;
	uint64_t present_mask; /* present when any of these bits is set */
	uint64_t address_mask; /* of a table or a 4 KiB leaf; larger leaves drop low bits */
	uint64_t large_mask[RADIX_LEVELS_MAX + 1];     /* makes a leaf; 0: no leaves here */
	uint64_t reserved_table[RADIX_LEVELS_MAX + 1]; /* must be clear in a reference */
	uint64_t reserved_leaf[RADIX_LEVELS_MAX + 1];  /* must be clear in a leaf */
	/* Rights are bits that every entry on the way must grant: (entry ^ invert) & mask. */
	uint64_t rights_mask;
	uint64_t rights_invert;
	/* Rules no mask can say; NULL if there are none. True: the entry is malformed. */
	bool (*malformed)(const struct radix_format *format, uint64_t entry, bool leaf);
};

/* The 512 entries of the table at @table, or NULL. */
struct radix_reader {
	const uint64_t *(*table)(void *context, uint64_t table);
	void *context;
};

enum radix_status {
	RADIX_MAPPED,
	RADIX_NOT_PRESENT,
	RADIX_RESERVED,
	RADIX_NO_TABLE,
};

struct radix_entry {
	uint64_t address;
	uint64_t value;
};

struct radix_walk {
	enum radix_status status;
	unsigned int level; /* of the last entry read, or of the table that is not there */
	unsigned int entry_count;
	struct radix_entry entries[RADIX_LEVELS_MAX];
	uint64_t output;
	uint64_t page_bytes;
	uint64_t rights; /* accumulated; (mask of the format) */
};

/* Walks @input, whose bits above the format's reach are ignored. Always fills @walk_out. */
void radix_walk(const struct radix_format *format, const struct radix_reader *reader, uint64_t root,
		uint64_t input, struct radix_walk *walk_out);

/* A present entry met by an iteration: a leaf, or one that cannot be followed. */
struct radix_hit {
	enum radix_status status; /* MAPPED, RESERVED or NO_TABLE */
	unsigned int level;
	uint64_t input;  /* first address governed */
	uint64_t output; /* MAPPED: first address mapped to */
	uint64_t rights; /* MAPPED */
	struct radix_entry entry;
};

struct radix_visitor {
	/* Each may be NULL. */
	int (*leaf)(void *context, const struct radix_hit *hit);
	int (*bad)(void *context, const struct radix_hit *hit);
	int (*table)(void *context, uint64_t table, unsigned int level, uint64_t input);
	void *context;
};

/*
 * Visits the leaves that map some byte of [first, last], both inclusive and within the format's
 * reach, in order. @table_limit 0 means RADIX_TABLE_LIMIT.
 * Errors: -ELOOP at the limit, or what a callback returned.
 */
int radix_for_each(const struct radix_format *format, const struct radix_reader *reader,
		   uint64_t root, uint64_t first, uint64_t last, uint64_t table_limit,
		   const struct radix_visitor *visitor);

#endif
