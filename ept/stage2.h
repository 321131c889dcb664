/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Second-stage tables, Intel's EPT or AMD's nested paging, read through one interface: a walk of
 * one guest-physical address and an iteration over the leaves of a range; and built and edited
 * in memory of the caller's.
 *
 * EPT: Intel SDM vol. 3C, section 29.3. Nested paging: AMD APM vol. 2, section 15.25: the tables
 * of long mode, walked as user accesses, so that an entry without U/S grants nothing.
 *
 * Readers load each entry once and believe nothing, as ept/paging.h does. Editing assumes that
 * nobody else writes the tables.
 */
#ifndef EPT_STAGE2_H
#define EPT_STAGE2_H

#include "ept/ept_format.h"
#include "lib/error.h"
#include "ept/types.h"

#define STAGE2_LEVELS_MAX 5

enum stage2_kind { STAGE2_EPT, STAGE2_NPT };

struct stage2_mode {
	enum stage2_kind kind;
	hpa_t root;
	unsigned int levels;                  /* 4 or 5 */
	struct ept_capabilities capabilities; /* NPT: leaf_1g and physical_bits count */
	bool mode_based;                      /* EPT: mode-based execution control */
	bool no_nxe;                          /* NPT: the host runs without EFER.NXE */
};

/* A mode of the usual kind: all leaf sizes, 4 levels, execute-only, A/D. */
struct stage2_mode stage2_mode_make(enum stage2_kind kind, hpa_t root, unsigned int physical_bits);

/* Effective rights. Without mode-based execution X and XU are the same. */
#define STAGE2_R  0x1u
#define STAGE2_W  0x2u
#define STAGE2_X  0x4u /* supervisor fetches */
#define STAGE2_XU 0x8u /* user fetches */

struct stage2_reader {
	/* The 512 entries of the table at @table, or NULL where the host has no memory. */
	const uint64_t *(*table)(void *context, hpa_t table);
	void *context;
};

enum stage2_status {
	STAGE2_MAPPED,
	STAGE2_NOT_PRESENT,
	STAGE2_MISCONFIGURED, /* EPT: a misconfiguration; NPT: a reserved bit */
	STAGE2_NO_TABLE,
	STAGE2_TOO_WIDE, /* the address has bits the walk cannot reach: nothing was read */
};

struct stage2_entry {
	hpa_t address;
	uint64_t value;
};

/* As struct paging_walk. */
struct stage2_walk {
	enum stage2_status status;
	unsigned int level;
	unsigned int entry_count;
	struct stage2_entry entries[STAGE2_LEVELS_MAX];
	hpa_t hpa;
	uint64_t page_bytes;
	unsigned int rights;
};

void stage2_walk(const struct stage2_mode *mode, const struct stage2_reader *reader, gpa_t gpa,
		 struct stage2_walk *walk_out);

struct stage2_leaf {
	gpa_t gpa;
	hpa_t hpa;
	uint64_t page_bytes;
	unsigned int level;
	unsigned int rights;
	struct stage2_entry entry;
};

struct stage2_bad_entry {
	gpa_t gpa;
	enum stage2_status status; /* MISCONFIGURED or NO_TABLE */
	unsigned int level;
	struct stage2_entry entry;
};

/* As struct paging_visitor. */
struct stage2_visitor {
	int (*leaf)(void *context, const struct stage2_leaf *leaf);
	int (*bad)(void *context, const struct stage2_bad_entry *bad);
	int (*table)(void *context, hpa_t table, unsigned int level, gpa_t gpa);
	void *context;
};

/*
 * Visits the present leaves that map some byte of [start, end), which may reach past what the
 * tables can map. @table_limit as for paging_for_each(). Errors: -EINVAL, -ELOOP, a callback's.
 */
int stage2_for_each(const struct stage2_mode *mode, const struct stage2_reader *reader, gpa_t start,
		    gpa_t end, uint64_t table_limit, const struct stage2_visitor *visitor);

/* ---- editing ---- */

/* Where tables live. Pages are the caller's; a new one is zeroed. */
struct stage2_pages {
	int (*alloc)(void *context, hpa_t *table_out); /* 0 or -ENOMEM */
	void (*free)(void *context, hpa_t table);
	uint64_t *(*table)(void *context, hpa_t table);
	void *context;
};

/* Tables being edited. The root page must be there, zeroed, before the first use. */
struct stage2_tables {
	struct stage2_mode mode;
	struct stage2_pages pages;
};

/* What a leaf is to be. Memory type and ignore_pat count for EPT only. */
struct stage2_attributes {
	unsigned int rights; /* STAGE2_R.. */
	enum ept_memory_type memory_type;
	bool ignore_pat;
	bool suppress_ve;
};

/*
 * Ranges are page-aligned and within the tables' reach. Every function is whole or nothing: on
 * failure the translation and rights of every address are as before (leaves may have been split).
 * Errors: -EINVAL (alignment, reach, rights this format or processor cannot express, a malformed
 * large leaf that would have to be split), -ENOMEM. Entries that are malformed, or that refer to a
 * table that is not there, map nothing: only unmapping the whole of one changes it.
 */

/*
 * Maps [start, start + size_bytes) to @hpa with the largest leaves alignment and @leaf_bytes_max
 * (4 KiB, 2 MiB or 1 GiB) allow. -EEXIST if any of it is mapped, or is below an entry that cannot
 * be followed.
 */
int stage2_map(struct stage2_tables *tables, gpa_t start, hpa_t hpa, uint64_t size_bytes,
	       uint64_t leaf_bytes_max, const struct stage2_attributes *attributes);

/* Unmaps; holes are allowed. Tables that become empty are freed. */
int stage2_unmap(struct stage2_tables *tables, gpa_t start, uint64_t size_bytes);

/* Changes the rights of what is mapped; holes stay holes. Rights of 0 are refused: unmap. */
int stage2_protect(struct stage2_tables *tables, gpa_t start, uint64_t size_bytes,
		   unsigned int rights);

/* Replaces a larger leaf that maps @gpa by 512 leaves, until it is @leaf_bytes. -ENOENT. */
int stage2_split(struct stage2_tables *tables, gpa_t gpa, uint64_t leaf_bytes);

/*
 * Replaces the 512 leaves below the entry of size @leaf_bytes (2 MiB or 1 GiB) that governs @gpa
 * by one, if they are present, contiguous, aligned and of the same attributes (accessed and dirty
 * flags are joined). -EAGAIN if they are not.
 */
int stage2_merge(struct stage2_tables *tables, gpa_t gpa, uint64_t leaf_bytes);

/* Frees every table but the root, which is left empty. */
void stage2_clear(struct stage2_tables *tables);

#endif
