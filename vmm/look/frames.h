/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames: what the guest's page array says of one, whose it is, and how many there are of each
 * kind. The page array is the guest's word; whether it is right is the auditor's business.
 */
#ifndef VMM_LOOK_FRAMES_H
#define VMM_LOOK_FRAMES_H

#include "vmm/look/look.h"

enum look_frame_state {
	LOOK_FRAME_FRESH,   /* never handed out */
	LOOK_FRAME_FREE,    /* in a free block */
	LOOK_FRAME_PCP,     /* on a per-CPU list */
	LOOK_FRAME_MEMMAP,  /* holds struct pages */
	LOOK_FRAME_TABLE,   /* a page table */
	LOOK_FRAME_SLAB,    /* a slab */
	LOOK_FRAME_KMALLOC, /* a large kmalloc */
	LOOK_FRAME_VMALLOC, /* a frame of an area */
	LOOK_FRAME_OTHER,   /* the machine's own */
	LOOK_FRAME_IMAGE,   /* boot memory, which the core never owned: the image, */
	LOOK_FRAME_TABLES,  /* boot page tables, */
	LOOK_FRAME_BOOT,    /* boot information, hypercall areas, frame 0 */
	LOOK_FRAME_UNKNOWN, /* a state there is not, or a struct page that cannot be read */
	LOOK_FRAME_STATES
};

/* "fresh", "free", "per-cpu", "page array", "table", "slab", "kmalloc", "vmalloc", ... */
const char *look_frame_state_name(enum look_frame_state state);

#define LOOK_NAME_BYTES 32

struct look_frame {
	uint64_t pfn, gpa;
	uint32_t node, zone;   /* by its address: enum zone_id as the layout numbers it */
	const char *zone_name; /* "DMA", "DMA32", "Normal" */
	enum look_frame_state state;
	bool online; /* the section has struct pages; the rest of this line: as read */
	struct inspect_page page;
	uint64_t page_address; /* of its struct page */
	uint64_t head_pfn;     /* of the block it is in; pfn itself otherwise */
	unsigned int order;    /* of that block */
	uint64_t owner;        /* as the head's struct page has it: 0 for none */
	uint32_t references;   /* the head's */
	/* By state, where it could be found out: */
	unsigned int table_level;           /* TABLE: 1..5 */
	char cache[LOOK_NAME_BYTES];        /* SLAB: the cache's name */
	uint32_t slab_objects, slab_in_use; /* SLAB */
	bool have_area;                     /* VMALLOC: owner is an area's bookkeeping */
	uint64_t area_start, area_size;     /* the area, as that says, without guard */
	uint64_t area_caller;
	bool have_index;     /* and lists this frame: */
	uint64_t area_index; /* as its page number so much */
};

/* Errors: -ENOENT: @pfn is no RAM. */
int look_frame(struct inspector *inspector, uint64_t pfn, struct look_frame *frame_out);

/* How many frames. The counts of a node's zone; over all states they are its RAM. */
struct look_frames_zone {
	uint32_t node, zone;
	const char *zone_name;
	uint64_t frames[LOOK_FRAME_STATES];
	uint64_t total;
};

struct look_frames {
	struct look_frames_zone *zone; /* those with RAM, by node, then zone */
	size_t nr_zones;
	uint64_t frames[LOOK_FRAME_STATES]; /* sums */
	uint64_t total;
	uint64_t sections, online; /* sections with RAM; those in use */
};

/* Frames of one zone that follow each other and are of one state. */
struct look_frame_run {
	uint64_t pfn, frames;
	uint32_t node;
	const char *zone_name;
	enum look_frame_state state;
};

typedef int (*look_frame_run_fn)(void *context, const struct look_frame_run *run);

/*
 * Visits all of RAM as such runs, by node, then zone, then address, until @visit returns other than
 * 0, which is returned. Errors: -ENOMEM.
 */
int look_frame_runs(struct inspector *inspector, look_frame_run_fn visit, void *context);

/* Reads the struct page of every frame of sections in use. -ENOMEM. look_frames_free(). */
int look_frames(struct inspector *inspector, struct look_frames *frames_out);
void look_frames_free(struct look_frames *frames);

#endif
