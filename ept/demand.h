/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Demand paging of a region: its memory starts out missing, and whoever touches a page first, the
 * guest or the VMM, waits until it has been brought from a source: a file, another process. Pages
 * come in batches, and those nobody has touched yet can be brought in the background, so that a
 * guest may start before its memory is there (post-copy).
 *
 * The faults are served by a thread of this process (demand_start()), or by another process, which
 * gets the userfaultfd over a UNIX socket (demand_hand_over() here, demand_receive() there).
 *
 * Pages that are there already stay as they are, huge ones as a whole. Only regions of memfd and
 * anonymous memory; not one in which traps are set (ept/trap.h).
 *
 * Where the source fails, who waits goes on waiting: there is nothing true to give them. The owner
 * is told, and ends the guest.
 *
 * Locking: any thread. Source: Linux Documentation/admin-guide/mm/userfaultfd.rst.
 */
#ifndef EPT_DEMAND_H
#define EPT_DEMAND_H

#include <stddef.h>

#include "lib/error.h"
#include "ept/gpa_space.h"

#define DEMAND_BATCH_BYTES_DEFAULT (256u << 10)

struct demand_source {
	/* Fills @buffer with the @bytes of the region from @offset on. 0 or -errno. One at a time.
	 */
	int (*read)(void *context, uint64_t offset, void *buffer, size_t bytes);
	/* May be NULL. The same bytes where they are, good until the next call, or NULL: read them.
	 */
	const void *(*peek)(void *context, uint64_t offset, size_t bytes);
	/* May be NULL. The source failed, at @offset: who waits there waits for ever. */
	void (*failed)(void *context, uint64_t offset, int code);
	void *context;
};

/* A file that holds the region from @offset on; what is beyond its end is zero. */
struct demand_file {
	int fd; /* the caller's */
	uint64_t offset;
	const char *map; /* NULL where it cannot be mapped: it is read then */
	uint64_t map_bytes;
};

/* @offset is a multiple of 4096. Pair with demand_file_close(). */
void demand_file_open(struct demand_file *file, int fd, uint64_t offset);
void demand_file_close(struct demand_file *file);

/* The source that @file is, which must outlive it. */
struct demand_source demand_source_file(struct demand_file *file);

struct demand;

/*
 * Makes what is missing of @region wait for @source from now on. @batch_bytes: a power of two from
 * 4096 on; 0: the default. Errors: -EPERM (userfaultfd: the text says what to do), -EINVAL (no
 * memory, or a kind that cannot), -EBUSY (has a handler), -ENOMEM, the system's.
 */
int demand_start(const struct gpa_region *region, uint32_t batch_bytes,
		 const struct demand_source *source, struct demand **demand_out,
		 struct error *error);

/*
 * Brings up to @max_bytes of what is still missing, in order. *@left_out: bytes still missing
 * afterwards. Errors: the source's.
 */
int demand_fill(struct demand *demand, uint64_t max_bytes, uint64_t *left_out);

struct demand_counts {
	uint64_t faults;  /* waits that were served */
	uint64_t batches; /* reads of the source */
	uint64_t bytes;   /* brought */
	uint64_t left;    /* bytes missing */
	int error;        /* the source's first, or 0 */
};

void demand_counts(struct demand *demand, struct demand_counts *counts_out);

/*
 * Ends it: what is missing reads as zero from now on, and who waits goes on. In the process that
 * started it, before the region goes. NULL is allowed.
 */
void demand_stop(struct demand *demand);

/* ---- served by another process ---- */

struct demand_lease;

/*
 * As demand_start(), but the faults go to whoever reads @socket, a connected UNIX socket. This
 * process must live as long as it is served, and ends the lease with demand_end_lease().
 */
int demand_hand_over(const struct gpa_region *region, int socket, struct demand_lease **lease_out,
		     struct error *error);

/* As demand_stop(). Should the other process die, this lets the guest go on, with zeroes. */
void demand_end_lease(struct demand_lease *lease);

/*
 * In the other process: takes what demand_hand_over() sent, and serves it as demand_start() would.
 * demand_stop() stops serving and leaves the memory as it is: who waits waits for the lease's end.
 * Errors: -EPROTO (something else was sent), -ENOMEM, the system's.
 */
int demand_receive(int socket, uint32_t batch_bytes, const struct demand_source *source,
		   struct demand **demand_out, struct error *error);

#endif
