/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Predicts the second stage's leaves, 2 MiB at a time: the host's entries for the block are read
 * in one go, then told as one large leaf or as those small ones that are there. Holes of a memfd
 * are skipped by asking the file, so that a sparse terabyte costs nothing.
 *
 * Formats: Linux Documentation/admin-guide/mm/pagemap.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "ept/predict.h"

#define PAGEMAP_PRESENT  (1ULL << 63)
#define PAGEMAP_PFN_MASK ((1ULL << 55) - 1)
#define KPF_THP          (1ULL << 22)
#define BLOCK_PAGES      512u

struct predict_host {
	int pagemap;
	int kpageflags; /* -1 without */
	uint64_t entries[BLOCK_PAGES];
};

int predict_open(struct predict_host **host_out, struct error *error)
{
	struct predict_host *host = calloc(1, sizeof(*host));

	if (!host)
		return error_set(error, -ENOMEM, "no memory for a prediction");
	host->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (host->pagemap < 0) {
		error_set(error, -errno, "/proc/self/pagemap: %s: is /proc mounted?",
			  strerror(errno));
		free(host);
		return -errno;
	}
	host->kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	*host_out = host;
	return 0;
}

void predict_close(struct predict_host *host)
{
	if (!host)
		return;
	close(host->pagemap);
	if (host->kpageflags >= 0)
		close(host->kpageflags);
	free(host);
}

bool predict_sees_thp(const struct predict_host *host)
{
	return host->kpageflags >= 0;
}

/* Reads the entries of @pages pages from @address on. */
static int read_block(struct predict_host *host, const void *address, size_t pages)
{
	off_t offset = (off_t)((uintptr_t)address / EPT_PAGE_BYTES * sizeof(uint64_t));
	size_t bytes = pages * sizeof(uint64_t);
	ssize_t got = pread(host->pagemap, host->entries, bytes, offset);

	if (got < 0)
		return -errno;
	return (size_t)got == bytes ? 0 : -EIO;
}

/* Whether the page of an entry is part of a transparent huge page; root only. */
static bool is_thp(const struct predict_host *host, uint64_t entry)
{
	uint64_t pfn = entry & PAGEMAP_PFN_MASK, flags = 0;

	if (host->kpageflags < 0 || pfn == 0)
		return false;
	return pread(host->kpageflags, &flags, sizeof(flags), (off_t)(pfn * sizeof(flags))) ==
		       sizeof(flags) &&
	       (flags & KPF_THP);
}

/* ---- one slot ---- */

struct visit {
	struct predict_host *host;
	const struct kvm_slot *slot;
	const struct gpa_region *region;
	uint64_t huge_bytes;      /* of the region's hugetlb pages, or 0 */
	uint64_t first, last_end; /* [start, end) of the slot that is asked for */
	uint64_t leaf_bytes_max;
	predict_leaf_fn leaf;
	void *context;
	int file_err; /* of reading the host's tables */
};

/* Whether KVM's rules for the slot allow a leaf of @bytes at @gpa. */
static bool slot_allows(const struct visit *visit, uint64_t gpa, uint64_t bytes)
{
	const struct kvm_slot *slot = visit->slot;
	uint64_t apart = (uint64_t)(uintptr_t)slot->host ^ slot->start.value;

	return bytes <= visit->leaf_bytes_max && !slot->dirty_log && apart % bytes == 0 &&
	       gpa % bytes == 0 && gpa >= slot->start.value && gpa + bytes <= slot->end.value;
}

static const void *host_of(const struct visit *visit, uint64_t gpa)
{
	return (const char *)visit->slot->host + (gpa - visit->slot->start.value);
}

/* The first address from @gpa on that can have memory: a memfd knows its holes. */
static uint64_t skip_hole(const struct visit *visit, uint64_t gpa)
{
	const struct gpa_region *region = visit->region;
	uint64_t offset = region->fd_offset + (gpa - region->start.value);
	off_t data;

	if (region->fd < 0 || region->backing.file_private)
		return gpa;
	data = lseek(region->fd, (off_t)offset, SEEK_DATA);
	if (data < 0)
		return errno == ENXIO ? visit->last_end : gpa;
	return gpa + ((uint64_t)data - offset) / EPT_PAGE_BYTES * EPT_PAGE_BYTES;
}

/* The region's hugetlb pages: a file of the caller's may be on hugetlbfs. */
static uint64_t huge_bytes_of(const struct gpa_region *region)
{
	struct statfs status;

	if (region->backing.hugetlb_bytes || region->backing.kind != GPA_BACKING_FILE)
		return region->backing.hugetlb_bytes;
	return fstatfs(region->fd, &status) == 0 && status.f_type == HUGETLBFS_MAGIC
		       ? (uint64_t)status.f_bsize
		       : 0;
}

/* hugetlb: the host maps whole pages or nothing. */
static int visit_hugetlb(struct visit *visit)
{
	uint64_t page = visit->huge_bytes, gpa, small, bytes;
	int err = 0;

	for (gpa = visit->first; gpa < visit->last_end && !err; gpa += page) {
		visit->file_err = read_block(visit->host, host_of(visit, gpa), 1);
		if (visit->file_err)
			return visit->file_err;
		if (!(visit->host->entries[0] & PAGEMAP_PRESENT))
			continue;
		for (bytes = page; bytes > EPT_PAGE_BYTES; bytes >>= 9)
			if (slot_allows(visit, gpa, bytes))
				break;
		for (small = gpa; small < gpa + page && !err; small += bytes)
			err = visit->leaf(visit->context, gpa_make(small), bytes, visit->slot);
	}
	return err;
}

/* The entries of the block are read: one large leaf, or the small ones. */
static int visit_block(struct visit *visit, uint64_t gpa, size_t pages)
{
	const uint64_t *entries = visit->host->entries;
	size_t i, present = 0;
	int err = 0;

	for (i = 0; i < pages; i++)
		present += (entries[i] & PAGEMAP_PRESENT) != 0;
	if (present == BLOCK_PAGES && slot_allows(visit, gpa, EPT_PAGE_2M_BYTES) &&
	    is_thp(visit->host, entries[0]))
		return visit->leaf(visit->context, gpa_make(gpa), EPT_PAGE_2M_BYTES, visit->slot);
	for (i = 0; i < pages && !err; i++)
		if (entries[i] & PAGEMAP_PRESENT)
			err = visit->leaf(visit->context, gpa_make(gpa + i * EPT_PAGE_BYTES),
					  EPT_PAGE_BYTES, visit->slot);
	return err;
}

static int visit_small(struct visit *visit)
{
	uint64_t gpa = visit->first, next;
	int err = 0;

	while (gpa < visit->last_end && !err) {
		gpa = skip_hole(visit, gpa);
		if (gpa >= visit->last_end)
			break;
		next = (gpa | (EPT_PAGE_2M_BYTES - 1)) + 1;
		if (next > visit->last_end)
			next = visit->last_end;
		visit->file_err = read_block(visit->host, host_of(visit, gpa),
					     (size_t)((next - gpa) / EPT_PAGE_BYTES));
		if (visit->file_err)
			return visit->file_err;
		err = visit_block(visit, gpa, (size_t)((next - gpa) / EPT_PAGE_BYTES));
		gpa = next;
	}
	return err;
}

/*
 * The range is rounded outward, so that no leaf is cut: to aligned blocks, or to the host's huge
 * pages, which begin where the slot does.
 */
static int visit_slot(struct visit *visit, gpa_t start, gpa_t end)
{
	uint64_t page = visit->huge_bytes ? visit->huge_bytes : EPT_PAGE_2M_BYTES;
	uint64_t base = visit->huge_bytes ? visit->slot->start.value % page : 0, from, to;

	visit->first = visit->slot->start.value;
	visit->last_end = visit->slot->end.value;
	from = start.value - (start.value - base) % page;
	to = end.value + (page - (end.value - base) % page) % page;
	if (start.value > visit->first && from > visit->first)
		visit->first = from;
	if (end.value < visit->last_end && to < visit->last_end)
		visit->last_end = to;
	return visit->huge_bytes ? visit_hugetlb(visit) : visit_small(visit);
}

/* ---- outside ---- */

int predict_for_each(struct predict_host *host, const struct gpa_space *space,
		     const struct kvm_slots *slots, gpa_t start, gpa_t end, uint64_t leaf_bytes_max,
		     predict_leaf_fn leaf, void *context, struct error *error)
{
	struct visit visit = {
		.host = host, .leaf_bytes_max = leaf_bytes_max, .leaf = leaf, .context = context};
	int err = 0;
	size_t i;

	for (i = 0; i < kvm_slots_count(slots) && !err; i++) {
		visit.slot = kvm_slots_at(slots, i);
		visit.region = gpa_space_find(space, visit.slot->start);
		if (!visit.region || visit.slot->start.value >= end.value ||
		    visit.slot->end.value <= start.value)
			continue;
		visit.huge_bytes = huge_bytes_of(visit.region);
		err = visit_slot(&visit, start, end);
	}
	return visit.file_err ? error_set(error, visit.file_err, "/proc/self/pagemap: %s",
					  strerror(-visit.file_err))
			      : err;
}

static int count_leaf(void *context, gpa_t gpa, uint64_t bytes, const struct kvm_slot *slot)
{
	struct predict_count *count = context;

	if (bytes == EPT_PAGE_1G_BYTES)
		count->pages_1g++;
	else if (bytes == EPT_PAGE_2M_BYTES)
		count->pages_2m++;
	else
		count->pages_4k++;
	return 0;
}

int predict_count(struct predict_host *host, const struct gpa_space *space,
		  const struct kvm_slots *slots, gpa_t start, gpa_t end, uint64_t leaf_bytes_max,
		  struct predict_count *count_out, struct error *error)
{
	struct predict_count count = {0, 0, 0};
	int err = predict_for_each(host, space, slots, start, end, leaf_bytes_max, count_leaf,
				   &count, error);

	if (!err)
		*count_out = count;
	return err;
}
