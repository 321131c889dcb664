/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is watched, and how pages are closed and opened. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ept/kvm.h"
#include "ept/trap_private.h"

#define ALL_MODES (UFFD_MISSING | UFFD_PROTECT | UFFD_MINOR)

/* Linux 5.14; older libc headers do not have it. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

struct trap_region *trap_find(const struct trap_set *set, uint64_t gpa, uint64_t *page_out)
{
	for (size_t i = 0; i < set->nr_regions; i++) {
		struct trap_region *region = &set->regions[i];
		uint64_t page = (gpa - region->start.value) / EPT_PAGE_BYTES;

		if (gpa < region->start.value || page >= region->nr_pages)
			continue;
		*page_out = page;
		return region;
	}
	return NULL;
}

/* ---- pages ---- */

/* Takes the entries of pages [from, to) away, so that the next access faults. */
static int close_any(const struct trap_region *region, uint64_t from, uint64_t to)
{
	return madvise(trap_slot_page(region, from), (to - from) * EPT_PAGE_BYTES, MADV_DONTNEED)
		       ? -errno
		       : 0;
}

/*
 * Protects pages [from, to) from writes. Each gets its page and its entry first: where there is
 * none, KVM's threads would fault for writing although the guest reads.
 */
static int close_write(const struct trap_set *set, const struct trap_region *region, uint64_t from,
		       uint64_t to)
{
	uint64_t bytes = (to - from) * EPT_PAGE_BYTES, at = 0;

	if (madvise(region->host + from * EPT_PAGE_BYTES, bytes, MADV_POPULATE_READ) != 0)
		return -errno;
	while (at < bytes) {
		int64_t done = uffd_continue(set->uffd, trap_slot_page(region, from) + at,
					     bytes - at, false);

		if (done < 0 && done != -EEXIST)
			return (int)done;
		at += done > 0 ? (uint64_t)done : EPT_PAGE_BYTES;
	}
	return uffd_protect(set->uffd, trap_slot_page(region, from), bytes, true, false);
}

static bool changes_leaves(const struct trap_set *set)
{
	return set->vm_fd >= 0;
}

static int take_rights(const struct trap_set *set, const struct trap_region *region, uint64_t from,
		       uint64_t to, unsigned int taken)
{
	return ept_kvm_take_rights(set->vm_fd, gpa_add(region->start, from * EPT_PAGE_BYTES),
				   (to - from) * EPT_PAGE_BYTES, taken);
}

static int close_pages(const struct trap_set *set, const struct trap_region *region, uint64_t from,
		       uint64_t to, enum trap_access access)
{
	if (changes_leaves(set))
		return take_rights(set, region, from, to,
				   access == TRAP_ANY ? EPT_KVM_NO_ACCESS : EPT_KVM_NO_WRITE);
	return access == TRAP_ANY ? close_any(region, from, to)
				  : close_write(set, region, from, to);
}

/*
 * Opens pages [from, to), of one access, that are in a registered chunk, and wakes who waits. What
 * is not in the file yet is left to the thread.
 */
static int open_pages(const struct trap_set *set, const struct trap_region *region, uint64_t from,
		      uint64_t to, enum trap_access access)
{
	char *start = trap_slot_page(region, from);
	uint64_t bytes = (to - from) * EPT_PAGE_BYTES;

	if (changes_leaves(set))
		return take_rights(set, region, from, to, 0);
	if (access == TRAP_WRITE)
		return uffd_protect(set->uffd, start, bytes, false, true);
	(void)uffd_continue(set->uffd, start, bytes, false);
	return uffd_wake(set->uffd, start, bytes);
}

static int make_accessible(const struct trap_region *region, uint64_t page)
{
	return mprotect(trap_slot_page(region, page), EPT_PAGE_BYTES, PROT_READ | PROT_WRITE)
		       ? -errno
		       : 0;
}

/* ---- chunks ---- */

static uint64_t chunk_end(const struct trap_region *region, uint64_t page)
{
	uint64_t end = (page | (region->chunk_pages - 1)) + 1;

	return end < region->nr_pages ? end : region->nr_pages;
}

static uint64_t chunk_of(const struct trap_region *region, uint64_t page, void **at_out,
			 uint64_t *bytes_out)
{
	uint64_t first = page & ~(region->chunk_pages - 1);

	*at_out = trap_slot_page(region, first);
	*bytes_out = (chunk_end(region, page) - first) * EPT_PAGE_BYTES;
	return page / region->chunk_pages;
}

static int chunk_register(const struct trap_set *set, const struct trap_region *region,
			  uint64_t page, struct error *error)
{
	uint64_t bytes;
	void *at;
	int err = 0;

	if (!changes_leaves(set) && region->watched[chunk_of(region, page, &at, &bytes)] == 0)
		err = uffd_register(set->uffd, at, bytes, ALL_MODES);
	if (err)
		return error_set(error, err, "userfaultfd cannot watch this memory: %s%s",
				 strerror(-err),
				 err == -EINVAL   ? ": it must be a memfd or another shared memory"
				 : err == -EBUSY  ? ": it has a handler already (demand paging?)"
				 : err == -ENOMEM ? ": see vm.max_map_count"
						  : "");
	return 0;
}

static void chunk_unregister(const struct trap_set *set, const struct trap_region *region,
			     uint64_t page)
{
	uint64_t bytes;
	void *at;

	if (!changes_leaves(set) && region->watched[chunk_of(region, page, &at, &bytes)] == 0)
		(void)uffd_unregister(set->uffd, at, bytes);
}

/* ---- runs of pages in one chunk, with lock held ---- */

/* Forgets the watch of pages [from, to) of one chunk and opens them. */
static void forget_run(struct trap_set *set, struct trap_region *region, uint64_t from, uint64_t to)
{
	uint64_t page, run;
	uint32_t *watched = &region->watched[from / region->chunk_pages];

	if (*watched == 0)
		return;
	for (page = from; page < to; page = run) {
		enum trap_access access = region->pages[page] & PAGE_WATCH;

		for (run = page; run < to && (region->pages[run] & PAGE_WATCH) == access; run++) {
			if (region->pages[run] & PAGE_FAILED)
				(void)make_accessible(region, run);
			if (access)
				region->pages[run] = 0;
		}
		if (!access)
			continue;
		(void)open_pages(set, region, page, run, access);
		*watched -= (uint32_t)(run - page);
		set->counts.watched_pages -= run - page;
	}
	chunk_unregister(set, region, from);
}

void trap_forget(struct trap_set *set, struct trap_region *region)
{
	for (uint64_t page = 0; page < region->nr_pages; page = chunk_end(region, page))
		forget_run(set, region, page, chunk_end(region, page));
}

static int watch_run(struct trap_set *set, struct trap_region *region, uint64_t from, uint64_t to,
		     enum trap_access access, struct error *error)
{
	int err = chunk_register(set, region, from, error);

	if (err)
		return err;
	/* Counted before the old watch goes, so that the chunk stays registered. */
	region->watched[from / region->chunk_pages] += (uint32_t)(to - from);
	set->counts.watched_pages += to - from;
	forget_run(set, region, from, to);
	memset(region->pages + from, (int)access, to - from);
	err = close_pages(set, region, from, to, access);
	if (err)
		return error_set(error, err, "cannot close %llu pages: %s",
				 (unsigned long long)(to - from), strerror(-err));
	return 0;
}

typedef int (*run_fn)(struct trap_set *set, struct trap_region *region, uint64_t from, uint64_t to,
		      enum trap_access access, struct error *error);

static int unwatch_run(struct trap_set *set, struct trap_region *region, uint64_t from, uint64_t to,
		       enum trap_access access, struct error *error)
{
	(void)access;
	(void)error;
	forget_run(set, region, from, to);
	return 0;
}

/* Cuts [start, end) into pieces of one chunk each; all of it is checked before anything is done. */
static int for_runs(struct trap_set *set, gpa_t start, gpa_t end, bool trappable, run_fn run,
		    enum trap_access access, struct error *error)
{
	struct trap_region *region;
	uint64_t at, page, to;
	int err = 0;

	if ((start.value | end.value) % EPT_PAGE_BYTES || start.value >= end.value)
		return error_set(error, -EINVAL, "[%#llx, %#llx) are no whole pages",
				 (unsigned long long)start.value, (unsigned long long)end.value);
	for (at = start.value; at < end.value; at = region->start.value + to * EPT_PAGE_BYTES) {
		region = trap_find(set, at, &page);
		if (!region)
			return error_set(error, -EFAULT, "there is no memory at %#llx",
					 (unsigned long long)at);
		if (trappable && !region->trappable && !changes_leaves(set))
			return error_set(error, -EOPNOTSUPP,
					 "the memory at %#llx is not trappable: it must be "
					 "made so",
					 (unsigned long long)at);
		to = region->nr_pages;
	}
	for (at = start.value; at < end.value && !err;
	     at = region->start.value + to * EPT_PAGE_BYTES) {
		region = trap_find(set, at, &page);
		to = chunk_end(region, page);
		if (to - page > (end.value - at) / EPT_PAGE_BYTES)
			to = page + (end.value - at) / EPT_PAGE_BYTES;
		err = run(set, region, page, to, access, error);
	}
	return err;
}

int trap_watch(struct trap_set *set, gpa_t start, gpa_t end, enum trap_access access,
	       struct error *error)
{
	int err;

	if (access != TRAP_ANY && access != TRAP_WRITE)
		return error_set(error, -EINVAL, "a watch is for writes or for any access");
	pthread_mutex_lock(&set->lock);
	err = for_runs(set, start, end, true, watch_run, access, error);
	pthread_mutex_unlock(&set->lock);
	return err;
}

int trap_unwatch(struct trap_set *set, gpa_t start, gpa_t end, struct error *error)
{
	int err;

	pthread_mutex_lock(&set->lock);
	err = for_runs(set, start, end, false, unwatch_run, TRAP_NONE, error);
	pthread_mutex_unlock(&set->lock);
	return err;
}

/* The region of a page that is watched, or NULL. With lock held. */
static struct trap_region *find_watched(const struct trap_set *set, gpa_t gpa, uint64_t *page_out)
{
	struct trap_region *region = trap_find(set, gpa.value, page_out);

	return region && region->pages[*page_out] & PAGE_WATCH ? region : NULL;
}

enum trap_access trap_watched(struct trap_set *set, gpa_t gpa)
{
	enum trap_access access = TRAP_NONE;
	struct trap_region *region;
	uint64_t page;

	pthread_mutex_lock(&set->lock);
	region = find_watched(set, gpa, &page);
	if (region)
		access = region->pages[page] & PAGE_WATCH;
	pthread_mutex_unlock(&set->lock);
	return access;
}

int trap_release(struct trap_set *set, gpa_t gpa)
{
	struct trap_region *region;
	uint64_t page;
	int err = -ENOENT;

	pthread_mutex_lock(&set->lock);
	region = find_watched(set, gpa, &page);
	if (region) {
		uint8_t state = region->pages[page];

		err = state & PAGE_FAILED ? make_accessible(region, page) : 0;
		region->pages[page] = (state & PAGE_WATCH) | PAGE_OPEN;
		if (!err)
			err = open_pages(set, region, page, page + 1, state & PAGE_WATCH);
	}
	pthread_mutex_unlock(&set->lock);
	return err;
}

int trap_arm(struct trap_set *set, gpa_t gpa)
{
	struct trap_region *region;
	uint64_t page;
	int err = -ENOENT;

	pthread_mutex_lock(&set->lock);
	region = find_watched(set, gpa, &page);
	if (region) {
		enum trap_access access = region->pages[page] & PAGE_WATCH;

		region->pages[page] &= (uint8_t)~PAGE_OPEN;
		err = close_pages(set, region, page, page + 1, access);
	}
	pthread_mutex_unlock(&set->lock);
	return err;
}

void trap_counts(struct trap_set *set, struct trap_counts *counts_out)
{
	pthread_mutex_lock(&set->lock);
	*counts_out = set->counts;
	pthread_mutex_unlock(&set->lock);
}

/* ---- the set ---- */

static int start_thread(struct trap_set *set, struct error *error)
{
	sigset_t all, before;
	int err;

	/* Signals are the program's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&set->thread, NULL, trap_thread, set);
	pthread_sigmask(SIG_SETMASK, &before, NULL);

	return err ? error_set(error, -err, "the traps' thread: %s", strerror(err)) : 0;
}

/* userfaultfd's: its descriptor, and the thread that reads it. */
static int open_uffd(struct trap_set *set, struct error *error)
{
	int err = uffd_open(true, &set->uffd, error);

	if (err)
		return err;
	set->stop = eventfd(0, EFD_CLOEXEC);
	if (set->stop >= 0)
		return 0;
	err = error_set(error, -errno, "no eventfd: %s", strerror(errno));
	close(set->uffd);
	return err;
}

static void close_uffd(struct trap_set *set)
{
	if (changes_leaves(set))
		return;
	close(set->stop);
	close(set->uffd);
}

int trap_set_create(struct gpa_space *space, int vm_fd, trap_fn fn, void *context,
		    struct trap_set **set_out, struct error *error)
{
	struct trap_set *set = calloc(1, sizeof(*set));
	int err;

	if (!set)
		return error_set(error, -ENOMEM, "no memory for traps");
	*set = (struct trap_set){.space = space, .fn = fn, .context = context};
	set->vm_fd = vm_fd >= 0 && ept_kvm_has_rights(vm_fd) ? vm_fd : -1;
	pthread_mutex_init(&set->lock, NULL);
	err = changes_leaves(set) ? 0 : open_uffd(set, error);
	if (err)
		goto err_free;
	err = gpa_space_listen(space, &trap_listener_ops, set, error);
	if (err)
		goto err_close;
	err = changes_leaves(set) ? 0 : start_thread(set, error);
	if (err)
		goto err_unlisten;
	*set_out = set;
	return 0;

err_unlisten:
	(void)gpa_space_unlisten(space, set, NULL);
err_close:
	close_uffd(set);
err_free:
	pthread_mutex_destroy(&set->lock);
	free(set->regions);
	free(set);
	return err;
}

void trap_set_destroy(struct trap_set *set)
{
	uint64_t one = 1;

	if (!set)
		return;
	/* Told the removal of each region, the set opens its pages. */
	(void)gpa_space_unlisten(set->space, set, NULL);
	if (!changes_leaves(set) && write(set->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(set->thread, NULL);
	close_uffd(set);
	pthread_mutex_destroy(&set->lock);
	free(set->regions);
	free(set);
}
