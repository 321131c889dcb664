/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty tracking: a stamp for every page of a tracked region, fed by KVM's bitmap or rings and by
 * the VMM's own writes.
 *
 * A stamp is exchanged, not tested and set, so that of two writers of one page in one epoch one
 * counts it; the stamp's old value tells which.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/kvm.h>

#include "lib/grow.h"
#include "ept/dirty_private.h"
#include "ept/kvm.h"

/* ---- stamps ---- */

/* Stamps are zero until touched, and cost memory only then. NULL on failure. */
static uint32_t *stamps_map(uint64_t pages)
{
	void *map = mmap(NULL, pages * sizeof(uint32_t), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

static void stamps_unmap(struct tracked *tracked)
{
	munmap(tracked->stamps, dirty_pages_of(tracked->start, tracked->end) * sizeof(uint32_t));
}

void dirty_mark(struct dirty_tracker *tracker, struct tracked *tracked, uint64_t page)
{
	uint32_t epoch = __atomic_load_n(&tracker->epoch, __ATOMIC_RELAXED);

	if (__atomic_exchange_n(&tracked->stamps[page], epoch, __ATOMIC_RELAXED) != epoch)
		__atomic_fetch_add(&tracker->epoch_pages, 1, __ATOMIC_RELAXED);
}

void dirty_mark_range(struct dirty_tracker *tracker, struct tracked *tracked, gpa_t start,
		      uint64_t size_bytes)
{
	uint64_t page = (start.value - tracked->start.value) / EPT_PAGE_BYTES;
	uint64_t last = (start.value + size_bytes - 1 - tracked->start.value) / EPT_PAGE_BYTES;

	for (; page <= last; page++)
		dirty_mark(tracker, tracked, page);
}

struct tracked *dirty_find(const struct dirty_tracker *tracker, uint32_t region)
{
	size_t i;

	for (i = 0; i < tracker->tracked_count; i++)
		if (tracker->tracked[i].region == region)
			return &tracker->tracked[i];
	return NULL;
}

/* ---- what the space tells ---- */

static void wrote(void *context, gpa_t gpa, uint64_t size_bytes)
{
	struct dirty_tracker *tracker = context;
	struct tracked *tracked;
	size_t i;

	for (i = 0; i < tracker->tracked_count; i++) {
		tracked = &tracker->tracked[i];
		if (tracked->on && size_bytes > 0 && gpa.value >= tracked->start.value &&
		    gpa.value < tracked->end.value)
			dirty_mark_range(tracker, tracked, gpa, size_bytes);
	}
}

static void forget(struct dirty_tracker *tracker, struct tracked *tracked)
{
	stamps_unmap(tracked);
	*tracked = tracker->tracked[--tracker->tracked_count];
}

static int add_nothing(void *context, const struct gpa_region *region, struct error *error)
{
	(void)context;
	(void)region;
	(void)error;
	return 0;
}

static int remove_tracked(void *context, const struct gpa_region *region, struct error *error)
{
	struct dirty_tracker *tracker = context;
	struct tracked *tracked = dirty_find(tracker, region->id);

	(void)error;
	if (tracked)
		forget(tracker, tracked);
	return 0;
}

static const struct gpa_listener_ops listener = {add_nothing, remove_tracked, wrote};

/* ---- making and ending ---- */

static int choose_ring(struct dirty_tracker *tracker, uint32_t entries, struct error *error)
{
	uint32_t most = ept_kvm_dirty_ring_bytes_max(tracker->vm_fd) / sizeof(struct kvm_dirty_gfn);
	int err;

	if (most == 0)
		return error_set(error, -EOPNOTSUPP,
				 "this KVM has no dirty ring that works: use the bitmap");
	if (entries == 0)
		entries = most;
	if (entries > most || (entries & (entries - 1)) != 0)
		return error_set(error, -EINVAL,
				 "a dirty ring of %u entries: a power of two up to %u is needed",
				 entries, most);
	tracker->ring_entries = entries;
	err = ept_kvm_enable_dirty_ring(tracker->vm_fd,
					entries * (uint32_t)sizeof(struct kvm_dirty_gfn));
	if (err == -EINVAL || err == -EEXIST)
		return error_set(error, err,
				 "KVM refuses a dirty ring of %u entries: it must be chosen "
				 "before the first vCPU, and have at least 256",
				 entries);
	return err ? error_set(error, err, "KVM refuses a dirty ring: %s", strerror(-err)) : 0;
}

static int choose_method(struct dirty_tracker *tracker, uint32_t entries, struct error *error)
{
	int err;

	if (tracker->method == DIRTY_RING)
		return choose_ring(tracker, entries, error);
	err = ept_kvm_manual_dirty_protect(tracker->vm_fd);
	tracker->manual = err == 0;
	if (err && err != -EOPNOTSUPP)
		return error_set(error, err, "KVM refuses manual dirty protection: %s",
				 strerror(-err));
	return 0;
}

int dirty_create(int vm_fd, struct gpa_space *space, struct kvm_slots *slots,
		 enum dirty_method method, uint32_t ring_entries,
		 struct dirty_tracker **tracker_out, struct error *error)
{
	struct dirty_tracker *tracker = calloc(1, sizeof(*tracker));
	int err;

	if (!tracker)
		return error_set(error, -ENOMEM, "no memory for dirty tracking");
	tracker->vm_fd = vm_fd;
	tracker->space = space;
	tracker->slots = slots;
	tracker->method = method;
	tracker->epoch = 1;
	err = choose_method(tracker, ring_entries, error);
	if (!err)
		err = gpa_space_listen(space, &listener, tracker, error);
	if (err) {
		free(tracker);
		return err;
	}
	*tracker_out = tracker;
	return 0;
}

void dirty_destroy(struct dirty_tracker *tracker)
{
	const struct gpa_region *region;
	struct tracked *tracked;
	size_t i;

	if (!tracker)
		return;
	for (i = 0; i < gpa_space_count(tracker->space); i++) {
		region = gpa_space_at(tracker->space, i);
		tracked = dirty_find(tracker, region->id);
		if (tracked && tracked->on)
			(void)kvm_slots_set_dirty_log(tracker->slots, region, false, NULL);
	}
	/* Told that every region goes, the tracker forgets each. */
	(void)gpa_space_unlisten(tracker->space, tracker, NULL);
	for (i = 0; i < tracker->ring_count; i++)
		munmap(tracker->rings[i].entries,
		       tracker->ring_entries * sizeof(struct kvm_dirty_gfn));
	free(tracker->rings);
	free(tracker->tracked);
	free(tracker->bitmap);
	free(tracker);
}

int dirty_add_vcpu(struct dirty_tracker *tracker, int vcpu_fd, struct error *error)
{
	size_t bytes = tracker->ring_entries * sizeof(struct kvm_dirty_gfn);
	void *map;

	if (tracker->method != DIRTY_RING)
		return error_set(error, -EINVAL, "the bitmap needs no vCPUs");
	if (GROW(tracker->rings, tracker->ring_count))
		return error_set(error, -ENOMEM, "no memory for a dirty ring");
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd,
		   (off_t)(KVM_DIRTY_LOG_PAGE_OFFSET * EPT_PAGE_BYTES));
	if (map == MAP_FAILED)
		return error_set(error, -errno, "cannot map the vCPU's dirty ring: %s",
				 strerror(errno));
	tracker->rings[tracker->ring_count++] = (struct ring){.entries = map};
	return 0;
}

/* ---- on and off ---- */

/* Makes the region tracked, with clean stamps. */
static int add_tracked(struct dirty_tracker *tracker, const struct gpa_region *region,
		       struct tracked **tracked_out)
{
	struct tracked *tracked = dirty_find(tracker, region->id);
	uint32_t *stamps = stamps_map(dirty_pages_of(region->start, region->end));

	if (!stamps)
		return -ENOMEM;
	if (tracked) {
		stamps_unmap(tracked);
		tracked->stamps = stamps;
		*tracked_out = tracked;
		return 0;
	}
	if (GROW(tracker->tracked, tracker->tracked_count)) {
		munmap(stamps, dirty_pages_of(region->start, region->end) * sizeof(uint32_t));
		return -ENOMEM;
	}
	tracked = &tracker->tracked[tracker->tracked_count++];
	*tracked = (struct tracked){region->id, region->start, region->end, false, stamps};
	*tracked_out = tracked;
	return 0;
}

int dirty_start(struct dirty_tracker *tracker, const struct gpa_region *region, struct error *error)
{
	struct tracked *tracked = dirty_find(tracker, region->id);
	int err;

	if (tracked && tracked->on)
		return error_set(error, -EALREADY, "region %s is tracked already", region->name);
	if (region->kind != GPA_RAM)
		return error_set(error, -EINVAL, "region %s is %s: only RAM gets dirty",
				 region->name, gpa_kind_name(region->kind));
	err = add_tracked(tracker, region, &tracked);
	if (err)
		return error_set(error, err, "region %s: no memory for dirty stamps", region->name);
	err = kvm_slots_set_dirty_log(tracker->slots, region, true, error);
	if (err) {
		forget(tracker, tracked);
		return err;
	}
	tracked->on = true;
	return 0;
}

int dirty_stop(struct dirty_tracker *tracker, const struct gpa_region *region, struct error *error)
{
	struct tracked *tracked = dirty_find(tracker, region->id);
	int err;

	if (!tracked || !tracked->on)
		return error_set(error, -ENOENT, "region %s is not tracked", region->name);
	err = dirty_collect(tracker, error);
	if (!err)
		err = kvm_slots_set_dirty_log(tracker->slots, region, false, error);
	if (!err)
		tracked->on = false;
	return err;
}

/* ---- epochs ---- */

uint32_t dirty_epoch(const struct dirty_tracker *tracker)
{
	return tracker->epoch;
}

static void count_rate(struct dirty_tracker *tracker, double pages_a_second)
{
	struct dirty_rate *rate = &tracker->rate;
	double before = pages_a_second - rate->mean_pages;

	rate->last_pages = pages_a_second;
	rate->epochs++;
	rate->mean_pages += before / (double)rate->epochs;
	tracker->squares += before * (pages_a_second - rate->mean_pages);
}

int dirty_advance(struct dirty_tracker *tracker, double seconds, struct error *error)
{
	uint64_t pages;
	int err;

	if (tracker->epoch == UINT32_MAX)
		return error_set(error, -EOVERFLOW, "2^32 epochs: make a new tracker");
	err = dirty_collect(tracker, error);
	if (err)
		return err;
	__atomic_store_n(&tracker->epoch, tracker->epoch + 1, __ATOMIC_RELAXED);
	pages = __atomic_exchange_n(&tracker->epoch_pages, 0, __ATOMIC_RELAXED);
	if (seconds > 0)
		count_rate(tracker, (double)pages / seconds);
	return 0;
}

void dirty_rate(const struct dirty_tracker *tracker, struct dirty_rate *rate_out)
{
	*rate_out = tracker->rate;
	if (tracker->rate.epochs > 1)
		rate_out->deviation_pages =
			sqrt(tracker->squares / (double)(tracker->rate.epochs - 1));
}

/* ---- reading ---- */

int dirty_for_each(const struct dirty_tracker *tracker, const struct gpa_region *region,
		   uint32_t since, dirty_range_fn range, void *context)
{
	const struct tracked *tracked = dirty_find(tracker, region->id);
	uint64_t page, first, pages;
	int err = 0;

	if (!tracked)
		return -ENOENT;
	pages = dirty_pages_of(tracked->start, tracked->end);
	since = since ? since : 1;
	for (page = 0; page < pages && !err; page++) {
		if (__atomic_load_n(&tracked->stamps[page], __ATOMIC_RELAXED) < since)
			continue;
		first = page;
		while (page + 1 < pages &&
		       __atomic_load_n(&tracked->stamps[page + 1], __ATOMIC_RELAXED) >= since)
			page++;
		err = range(context, gpa_add(tracked->start, first * EPT_PAGE_BYTES),
			    gpa_add(tracked->start, (page + 1) * EPT_PAGE_BYTES));
	}
	return err;
}

static int add_pages(void *context, gpa_t start, gpa_t end)
{
	*(uint64_t *)context += dirty_pages_of(start, end);
	return 0;
}

uint64_t dirty_count(const struct dirty_tracker *tracker, const struct gpa_region *region,
		     uint32_t since)
{
	uint64_t pages = 0;

	(void)dirty_for_each(tracker, region, since, add_pages, &pages);
	return pages;
}
