/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The check "frames" is in frames.c, claims.c, objects.c and slabs.c; this is what they share. */
#ifndef VMM_AUDIT_FRAMES_H
#define VMM_AUDIT_FRAMES_H

#include "vmm/audit/private.h"

/* What a zone has, counted. In frames. */
struct zone_sum {
	uint64_t address;
	uint32_t node, zone;
	uint64_t managed; /* RAM less boot memory */
	uint64_t fresh;   /* in spans */
	uint64_t memmap;  /* of those, what holds struct pages */
	uint64_t free;    /* on free lists */
};

/* What a cache has on one node, counted. */
struct slab_sum {
	uint64_t slabs, partial;
};

#define CACHES_MAX 65 /* kmalloc's and the one of tiles */

struct cache_sum {
	uint64_t address;
	uint32_t object_bytes, objects;
	struct slab_sum node[16]; /* no layout has more */
};

/* A structure of the address space, or of a process, by its address. */
enum object_kind { OBJECT_TILE, OBJECT_VM, OBJECT_ARRAY, OBJECT_PROCESS, OBJECT_RANGE };

struct object {
	uint64_t address;
	uint64_t area; /* where the tile it belongs to starts, or the range; a process's: itself */
	enum object_kind kind;
	bool seen; /* the memory it lies in was found allocated, or was reported */
};

struct audit_frames {
	struct audit_pass *pass;
	int err;
	struct object *object; /* ascending by address */
	size_t nr_objects;
	size_t nr_caches;
	struct cache_sum cache[CACHES_MAX];
};

/* ---- vmm/audit/claims.c ---- */

/* Signs for 2^@order frames from @pfn on; false where one has an owner, or is no RAM. */
bool audit_claim_block(struct audit_frames *frames, uint64_t pfn, unsigned int order,
		       enum claim kind);

/* Zone and node in the struct page of @pfn are the frame's own. */
void audit_check_identity(struct audit_pass *pass, uint64_t pfn, const struct inspect_page *page);

void audit_claim_zone(struct audit_frames *frames, struct zone_sum *zone);
void audit_claim_areas(struct audit_frames *frames);
void audit_check_buddy(struct audit_pass *pass, uint64_t pfn, const struct frame *frame);

/* ---- vmm/audit/objects.c ---- */

/* -ENOMEM; the array is frames->object, the caller's to free. */
int audit_take_objects(struct audit_frames *frames);

/* Those in the slab at direct-map address @slab, whose free objects have a bit in @free. */
void audit_objects_in_slab(struct audit_frames *frames, uint64_t slab,
			   const struct cache_sum *cache, const uint8_t *free);

/* Those in the kmalloc block at direct-map address @block. */
void audit_objects_in_block(struct audit_frames *frames, uint64_t block, unsigned int order);

/* Reports those that lie in neither. */
void audit_check_objects(struct audit_frames *frames);

/* ---- vmm/audit/slabs.c ---- */

void audit_read_caches(struct audit_frames *frames);

/* One frame marked as a slab. */
void audit_check_slab(struct audit_frames *frames, uint64_t pfn, const struct inspect_page *page);

/* When all slabs are counted. */
void audit_check_caches(struct audit_frames *frames);

#endif
