/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run of the auditor, and what its checks share. Private to this room.
 *
 * Shared is only what was read, never a judgement: the tiles, the tables reached from the root,
 * the spans of fresh frames, and the map of RAM in which each frame's owners sign.
 */
#ifndef VMM_AUDIT_PRIVATE_H
#define VMM_AUDIT_PRIVATE_H

#include "vmm/audit/audit.h"

/* Who signed for a frame. */
enum claim {
	CLAIM_NONE,
	CLAIM_RESERVED, /* boot memory: image, boot information, frame 0 */
	CLAIM_FRESH,    /* in a span never handed out */
	CLAIM_MEMMAP,   /* holds struct pages */
	CLAIM_FREE,     /* in a block on a free list */
	CLAIM_PCP,      /* on a per-CPU list */
	CLAIM_TABLE,    /* a page table, reached from the kernel's root or a process's */
	CLAIM_AREA,     /* in an area's page array */
	CLAIM_SLAB,
	CLAIM_KMALLOC,
	CLAIM_OTHER,
	CLAIM_BOOT_TABLE, /* a table in reserved memory, reached from the root */
	NR_CLAIMS
};

const char *claim_name(enum claim claim);

struct frame {
	uint32_t users; /* leaves in lower halves of processes that map it */
	uint8_t claim;  /* enum claim */
	uint8_t order;  /* first frame of a free block: 1 + order */
	uint8_t level;  /* reached as a page table of this level; else 0 */
};

/* RAM of a zone never handed out, in frames. */
struct span {
	uint64_t start, end;
	uint32_t node, zone;
};

/*
 * Frames by section, a section's part made when somebody signs in it or it is online, so that
 * memory nobody used costs nothing. Frames of reserved ranges, spans and struct pages are signed
 * for from the start.
 */
struct frame_map {
	uint64_t nr_sections, section_pages;
	struct frame **section; /* nr_sections; NULL: not made */
	bool *online;
	struct span *span; /* ascending by start */
	size_t nr_spans;
	bool spans_overlap;
};

/* A page table reached from a root. */
struct table {
	uint64_t gpa, gva; /* where it is, and the first address it governs */
	uint32_t level;
	uint32_t walked; /* whose: as audit_pass.walked */
};

/* What the first walk over the lower half of a process found: what bounds later ones. */
struct user_tables {
	size_t nr_tables, nr_bad_entries;
	bool cut; /* as audit_pass.tables_cut */
};

struct audit_pass {
	struct audit *audit;
	struct inspector *inspector;
	const struct layout *l;
	enum audit_check check; /* the one that runs */
	uint64_t operation;
	struct audit_result result;
	/* Page-array entries the check that runs may still read; all arrays have at most RAM's. */
	uint64_t entries_left;
	struct inspect_areas areas;
	struct inspect_processes processes;
	struct frame_map map;
	struct table *table;
	size_t nr_tables;
	/* Of those the kernel's; and its entries that lead nowhere. */
	size_t nr_kernel_tables, nr_bad_entries;
	/* A walk over tables ended early, at a table referenced for the second time: the first
	 * such. */
	bool tables_cut;
	struct table cut_at;
	struct user_tables *user; /* of each process */
	uint32_t walked;          /* in callbacks: 0 the kernel's tables, else 1 + the process */
};

/* ---- vmm/audit/pass.c ---- */

/* Reports a violation of the check that runs. */
void audit_found(struct audit_pass *pass, uint64_t address, uint64_t found, uint64_t expected,
		 const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Counts items looked at. */
void audit_looked(struct audit_pass *pass, uint64_t items);

/* The spinlock word at @address, of @name, is free: the guest is between two operations. */
void audit_check_lock(struct audit_pass *pass, uint64_t address, const char *name);

/* No frame's number. */
#define AUDIT_NO_FRAME UINT64_MAX

/*
 * Frame @index, below nr_pages, of @area: AUDIT_NO_FRAME where the entry is no struct page of RAM,
 * which is reported. False where the array cannot be read, or all arrays are longer than RAM:
 * reported too, and nothing of this area can be.
 */
bool audit_area_frame(struct audit_pass *pass, const struct inspect_area *area, uint64_t index,
		      uint64_t *pfn_out);

/* Whether the frames @area lists are its own, not those of whoever had them mapped. */
bool audit_owns_frames(const struct audit_pass *pass, const struct inspect_area *area);

/* ---- vmm/audit/expect.c ---- */

const struct audit_expectation *audit_expected(const struct audit *audit, uint64_t address);
size_t audit_expectation_slots(const struct audit *audit);
/* The expectation in slot @slot, or NULL where it is empty. */
const struct audit_expectation *audit_expectation_at(const struct audit *audit, size_t slot);

/* ---- vmm/audit/map.c: the map of frames, made before all checks ---- */

int audit_map_create(struct audit_pass *pass);
void audit_map_destroy(struct audit_pass *pass);

/* The frame's entry, made if need be; NULL where @pfn is no RAM (or, *@err_out set, no memory). */
struct frame *audit_frame(struct audit_pass *pass, uint64_t pfn, int *err_out);

/* The index of the first span that ends above @pfn, where spans do not overlap. */
size_t audit_first_span_above(const struct frame_map *map, uint64_t pfn);

/* How many frames from the section's first on reach to the end of the RAM that lies in it. */
uint64_t audit_section_frames(const struct audit_pass *pass, uint64_t section);

/* ---- vmm/audit/walk.c ---- */

/*
 * paging_for_each() over [start, end) of the kernel's tables, with the number of tables there
 * really are as its limit. Returns 0, or what a callback returned; a walk cut short is no error
 * here: "tables" reports it.
 */
int audit_walk(struct audit_pass *pass, uint64_t start, uint64_t end,
	       const struct paging_visitor *visitor);

/* A visitor's table(), of a struct audit_pass: signs for the table, keeps it. */
int audit_enter_table(void *context, gpa_t gpa, unsigned int level, gva_t gva);

/* ---- vmm/audit/processes.c ---- */

/* Walks every table from the kernel's root, then the lower half of each process, signing. */
int audit_tables_walk(struct audit_pass *pass);

/* As audit_walk(), over the lower half of every process; pass->walked says which. */
int audit_walk_users(struct audit_pass *pass, const struct paging_visitor *visitor);

/* The process pass->walked is. */
const struct inspect_process *audit_walked_process(const struct audit_pass *pass);

/* What the check "tables" says of processes, when it has looked at every table. */
void audit_process_tables(struct audit_pass *pass);

/* ---- vmm/audit/probe.c: a part of "tlb"; 0 or -ENOMEM ---- */

int audit_probe_areas(struct audit_pass *pass);

/* ---- the checks: 0 or -ENOMEM ---- */

int audit_areas(struct audit_pass *pass);
int audit_free_tree(struct audit_pass *pass);
int audit_mapping(struct audit_pass *pass);
int audit_stray(struct audit_pass *pass);
int audit_frames(struct audit_pass *pass);
int audit_tables(struct audit_pass *pass);
int audit_zones(struct audit_pass *pass);
int audit_stage2(struct audit_pass *pass);
int audit_wx(struct audit_pass *pass);
int audit_tlb(struct audit_pass *pass);
int audit_users(struct audit_pass *pass);

#endif
