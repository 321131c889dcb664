/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of traps share: trap.c keeps what is watched, trap_region.c in which memory,
 * trap_fault.c answers faults.
 *
 * userfaultfd knows a registered range as a piece of a mapping of its own, and a process may have
 * 65,530 of those. So memory is registered in chunks, at most TRAP_CHUNKS_MAX a region when it is
 * made; faults of pages in a chunk that nobody watches are resolved by the thread at once.
 */
#ifndef EPT_TRAP_PRIVATE_H
#define EPT_TRAP_PRIVATE_H

#include <pthread.h>

#include "ept/trap.h"
#include "ept/uffd.h"

#define TRAP_CHUNKS_MAX 4096

/* The state of a page: what it is watched for, and: */
#define PAGE_WATCH  0x03u /* enum trap_access */
#define PAGE_OPEN   0x04u /* let through until trap_arm() */
#define PAGE_FAILED 0x08u /* inaccessible until trap_release() */
#define PAGE_HELD   0x10u /* somebody waits until trap_release() */

struct trap_region {
	uint32_t id; /* gpa_region.id */
	bool trappable;
	gpa_t start;
	uint64_t nr_pages;
	char *host, *slot_host;
	uint8_t *pages;       /* a state each; sparse */
	uint64_t chunk_pages; /* a power of two */
	uint64_t nr_chunks;
	uint32_t *watched; /* pages watched in each chunk: registered when not 0 */
};

struct trap_set {
	struct gpa_space *space;
	trap_fn fn;
	void *context;
	int vm_fd; /* whose leaves are changed; -1: userfaultfd does it */
	int uffd;
	int stop; /* an eventfd: the thread is to end */
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below; no callback is called with it */
	struct trap_region *regions;
	size_t nr_regions;
	struct trap_counts counts;
};

/* The page at @gpa: its region, or NULL, and its index there. With lock held. */
struct trap_region *trap_find(const struct trap_set *set, uint64_t gpa, uint64_t *page_out);

static inline char *trap_slot_page(const struct trap_region *region, uint64_t page)
{
	return region->slot_host + page * EPT_PAGE_BYTES;
}

/* Whether an access to a page in this state would be told. */
static inline bool trap_closed(uint8_t state)
{
	return (state & PAGE_WATCH) && !(state & PAGE_OPEN);
}

/* ept/trap.c: ends every watch in @region, and opens its pages. With lock held. */
void trap_forget(struct trap_set *set, struct trap_region *region);

/* ept/trap_region.c: keeps a set's regions those of its space; the context is the set. */
extern const struct gpa_listener_ops trap_listener_ops;

/* ept/trap_fault.c: the thread. */
void *trap_thread(void *set);

#endif
