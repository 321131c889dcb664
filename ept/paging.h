/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's own paging (the first stage) as the host reads it: 4-level and 5-level paging of
 * Intel SDM vol. 3A, section 4.5. A walk of one address, and an iteration over every leaf of a
 * range.
 *
 * Everything read is the guest's and may change or lie at any moment. Each entry is loaded once
 * and judged by that value; tables are reached only through the caller's reader, which decides
 * what is memory; the depth is bounded by the format and the number of tables by a limit. The
 * result describes what was read: with the guest running it may be a mixture of two moments.
 *
 * Nothing is written: accessed and dirty bits stay.
 */
#ifndef EPT_PAGING_H
#define EPT_PAGING_H

#include "ept/types.h"

#define PAGING_LEVELS_MAX 5

/*
 * How the walker reaches a table: a pointer to the 512 entries at @table (page-aligned), or NULL
 * where there is no memory. The pointer must stay good during the walk.
 */
struct paging_reader {
	const uint64_t *(*table)(void *context, gpa_t table);
	void *context;
};

/* What the guest's registers and CPUID say about its paging. */
struct paging_mode {
	gpa_t root;                 /* CR3 bits 51:12 */
	unsigned int levels;        /* 4, or 5 with CR4.LA57 */
	unsigned int physical_bits; /* MAXPHYADDR: address bits above are reserved */
	bool nxe;                   /* EFER.NXE; without it bit 63 is reserved */
	bool no_1g_pages;           /* CPUID has no 1 GiB pages: PS in a PDPTE is reserved */
};

/*
 * Builds the mode from register values. Errors: -EOPNOTSUPP when they are not those of 64-bit
 * paging (CR0.PG, CR4.PAE, EFER.LMA), -EINVAL for physical bits outside 32..52.
 */
int paging_mode_from_registers(uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer,
			       unsigned int physical_bits, struct paging_mode *mode_out);

/* Effective rights: allowed by every entry on the way (SDM vol. 3A, section 4.6). */
#define PAGING_R 0x1u /* reads: always, when mapped */
#define PAGING_W 0x2u /* writes; a supervisor with CR0.WP clear may write in any case */
#define PAGING_X 0x4u /* instruction fetches */
#define PAGING_U 0x8u /* user mode */

enum paging_status {
	PAGING_MAPPED,
	PAGING_NOT_PRESENT,   /* bit 0 of the entry is clear */
	PAGING_RESERVED,      /* the entry has a reserved bit set */
	PAGING_NO_TABLE,      /* the table is not in memory; the entry above points there */
	PAGING_NON_CANONICAL, /* not an address of this mode: nothing was read */
};

struct paging_entry {
	gpa_t address;  /* of the entry itself */
	uint64_t value; /* as loaded */
};

/* One address, walked. */
struct paging_walk {
	enum paging_status status;
	/* The level where it ended: of the leaf, of the entry at fault, or of the table that is
	 * not in memory. 5 PML5 .. 1 PT; 0 for a non-canonical address. */
	unsigned int level;
	unsigned int entry_count; /* entries read, from the root down */
	struct paging_entry entries[PAGING_LEVELS_MAX];
	/* Valid when mapped: */
	gpa_t gpa;           /* what the address translates to */
	uint64_t page_bytes; /* 4 KiB, 2 MiB or 1 GiB */
	unsigned int rights; /* PAGING_R.. */
};

/* Walks @gva. Always fills @walk_out. */
void paging_walk(const struct paging_mode *mode, const struct paging_reader *reader, gva_t gva,
		 struct paging_walk *walk_out);

/* One present leaf. */
struct paging_leaf {
	gva_t gva; /* first address it maps, even when the range starts inside */
	gpa_t gpa; /* first address mapped to */
	uint64_t page_bytes;
	unsigned int level;  /* 1, 2 or 3 */
	unsigned int rights; /* PAGING_R.., of the whole way */
	struct paging_entry entry;
};

/* An entry that is present and cannot be followed. */
struct paging_bad_entry {
	gva_t gva;                 /* first address the entry governs */
	enum paging_status status; /* PAGING_RESERVED or PAGING_NO_TABLE */
	unsigned int level;        /* of the entry */
	struct paging_entry entry;
};

/*
 * What an iteration calls, in address order. A callback ends the iteration by returning other
 * than 0, which becomes the result. Each may be NULL.
 */
struct paging_visitor {
	int (*leaf)(void *context, const struct paging_leaf *leaf);
	int (*bad)(void *context, const struct paging_bad_entry *bad);
	/* A table is entered: its address, its level (5..1), the first address it governs. The
	 * root comes first. A table that is referenced twice comes twice. */
	int (*table)(void *context, gpa_t table, unsigned int level, gva_t gva);
	void *context;
};

/*
 * Visits every present leaf that maps some byte of [start, end); an end of 0 means 2^64. The
 * non-canonical middle is skipped. Unreadable roots are reported as a bad entry of level
 * levels + 1 with address and value of the root.
 *
 * @table_limit bounds the tables read, so that tables that refer to themselves end: 0 means
 * 2^20. A guest that shares no tables has at most one per page of its memory.
 * Errors: -EINVAL (end before start, levels), -ELOOP (the limit), or a callback's.
 */
int paging_for_each(const struct paging_mode *mode, const struct paging_reader *reader, gva_t start,
		    gva_t end, uint64_t table_limit, const struct paging_visitor *visitor);

/* Whether @value, a present entry of @level (5..1), maps a page. */
bool paging_entry_is_leaf(const struct paging_mode *mode, unsigned int level, uint64_t value);

/* The bits that must be clear in a present entry of @level that is a leaf, or is none. */
uint64_t paging_entry_reserved(const struct paging_mode *mode, unsigned int level, bool leaf);

/* Words for people: "mapped", "not present", ... */
const char *paging_status_name(enum paging_status status);

#endif
