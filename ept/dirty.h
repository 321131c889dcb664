/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages were written, by the guest or by the VMM, and since when.
 *
 * Time is cut into epochs. Every page of a tracked region carries the number of the last epoch in
 * which it was written (4 bytes a page, sparse). Readers ask for "written since epoch e"; reading
 * takes nothing away, so any number of readers may come, and one that dies loses nothing. What
 * KVM knows is merged into the stamps before KVM is told to forget it.
 *
 * Two sources, chosen when the tracker is made: KVM's bitmap with manual protection, or its dirty
 * ring. With the ring, a vCPU that exits with KVM_EXIT_DIRTY_RING_FULL goes on after a collect.
 *
 * Grain: 4 KiB. Logging makes KVM use 4 KiB leaves in the region while it lasts.
 *
 * Not locked: the caller serialises; but VMM writes (gpa_space_write) may happen in other threads
 * at any time.
 */
#ifndef EPT_DIRTY_H
#define EPT_DIRTY_H

#include "lib/error.h"
#include "ept/gpa_space.h"
#include "ept/kvm_slots.h"

enum dirty_method { DIRTY_BITMAP, DIRTY_RING };

struct dirty_tracker;

/*
 * A tracker for the VM behind @vm_fd. The ring must be chosen before the first vCPU is created,
 * and has @ring_entries places (a power of two; 0: as many as KVM allows) for each vCPU. The
 * first epoch is 1. Errors: -EOPNOTSUPP (KVM cannot), -EINVAL, -ENOMEM, KVM's own.
 */
int dirty_create(int vm_fd, struct gpa_space *space, struct kvm_slots *slots,
		 enum dirty_method method, uint32_t ring_entries,
		 struct dirty_tracker **tracker_out, struct error *error);

/* Stops everything. NULL is allowed. Before the slots and the space are destroyed. */
void dirty_destroy(struct dirty_tracker *tracker);

/* Ring only: makes the ring of a vCPU known. Needed before it runs with tracking on. */
int dirty_add_vcpu(struct dirty_tracker *tracker, int vcpu_fd, struct error *error);

/*
 * Starts and stops tracking a RAM region while the guest runs. A start forgets what an earlier one
 * saw; a stop collects first and keeps the stamps readable until the next start.
 */
int dirty_start(struct dirty_tracker *tracker, const struct gpa_region *region,
		struct error *error);
int dirty_stop(struct dirty_tracker *tracker, const struct gpa_region *region, struct error *error);

/*
 * Takes over what KVM knows: those pages were written in the current epoch. Running vCPUs may
 * write meanwhile; that is seen by the next collect.
 */
int dirty_collect(struct dirty_tracker *tracker, struct error *error);

/* The epoch that writes count to now. */
uint32_t dirty_epoch(const struct dirty_tracker *tracker);

/*
 * Collects, closes the epoch and opens the next. @seconds is how long it lasted, for the rate;
 * 0 leaves the rate alone.
 */
int dirty_advance(struct dirty_tracker *tracker, double seconds, struct error *error);

/* A run of pages written in or after the epoch asked for. Other than 0 ends the visit. */
typedef int (*dirty_range_fn)(void *context, gpa_t start, gpa_t end);

/*
 * Visits the pages of @region written in epoch @since or later, neighbours joined, in order.
 * Does not collect. Errors: -ENOENT (not tracked), the callback's.
 */
int dirty_for_each(const struct dirty_tracker *tracker, const struct gpa_region *region,
		   uint32_t since, dirty_range_fn range, void *context);

/*
 * How many pages of @region were written in epoch @since or later: with since = epoch - n, the
 * pages written in the last n + 1 epochs, the working set as far as writes show it. 0 when the
 * region is not tracked.
 */
uint64_t dirty_count(const struct dirty_tracker *tracker, const struct gpa_region *region,
		     uint32_t since);

/* Pages written for the first time in an epoch, per second; over the epochs that had a length. */
struct dirty_rate {
	uint64_t epochs;
	double mean_pages;      /* a second */
	double deviation_pages; /* sample standard deviation; 0 for fewer than two epochs */
	double last_pages;
};

void dirty_rate(const struct dirty_tracker *tracker, struct dirty_rate *rate_out);

#endif
