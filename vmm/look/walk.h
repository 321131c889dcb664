/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One address walked through both stages, each entry with its address, its value and what its bits
 * say.
 *
 * The second stage is what the caller knows of it. Where its real tables can be read, every one of
 * their entries is shown (ept/walk2d.h). Otherwise there is only a leaf for each guest-physical
 * address: what the host maps there, or is predicted to (ept/predict.h).
 */
#ifndef VMM_LOOK_WALK_H
#define VMM_LOOK_WALK_H

#include "ept/walk2d.h"
#include "vmm/look/look.h"

/* What is known of the second stage: at most one of the two; none: stage 1 alone. */
struct look_second {
	const struct walk2d_source *leaves; /* e.g. walk2d_source_space() */
	const struct stage2_mode *mode;     /* real tables, */
	const struct stage2_reader *reader; /* and how to read them: both or none */
};

#define LOOK_FLAGS_MAX 24

/*
 * The names of the bits that are set in a guest's entry of @level (5..1) that is a leaf or is
 * none: "P", "RW", "US", "PWT", "PCD", "A", "D", "PS", "PAT", "G", "SOFT", "PK", "NX", and
 * "RESERVED" where @reserved has a bit of it. Returns how many; static strings.
 */
size_t look_entry_flags(uint64_t value, unsigned int level, bool leaf, uint64_t reserved,
			const char *names_out[LOOK_FLAGS_MAX]);

/* The second stage at a guest-physical address, as a leaf. */
struct look_leaf {
	bool known;          /* somebody was asked */
	bool mapped;         /* and has memory there */
	uint64_t gpa, bytes; /* the leaf */
	unsigned int rights; /* STAGE2_R.. */
	uint64_t hpa;        /* of the leaf's first byte; 0 where unknown */
	const void *host;    /* where this process has the leaf's first byte; NULL: unknown */
};

struct look_entry {
	unsigned int level;      /* 5..1 */
	uint64_t gpa;            /* of the entry itself */
	uint64_t value;          /* as loaded, once */
	bool leaf;               /* it maps a page (and is present) */
	uint64_t reserved;       /* the bits of value that must be clear and are not */
	unsigned int rights;     /* PAGING_R..: what the entries down to here allow together */
	struct look_leaf second; /* where the entry's table is in the second stage */
};

struct look_walk {
	uint64_t gva;
	struct look_place place;
	enum paging_status status; /* of stage 1 */
	unsigned int level;        /* where it ended */
	unsigned int entry_count;
	struct look_entry entry[PAGING_LEVELS_MAX];
	/* Where status is PAGING_MAPPED: */
	uint64_t gpa;
	uint64_t page_bytes;
	unsigned int rights;     /* of stage 1 */
	struct look_leaf second; /* of gpa */
	uint64_t tlb_bytes;      /* what a TLB entry can cover: the smaller page; 0: not mapped */
	unsigned int both;       /* rights by both stages; stage 1's where the second is unknown */
	/* Where real tables were given: all entries in the order they are read. */
	bool have_tables;
	struct walk2d tables;
};

/* Walks @gva in the tables of @paging (NULL: the kernel's). @second may be NULL. Always fills. */
void look_walk(struct inspector *inspector, const struct paging_mode *paging, uint64_t gva,
	       const struct look_second *second, struct look_walk *walk_out);

#endif
