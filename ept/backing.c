/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Host memory for regions: its addresses, mapping, huge pages, preallocation. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/memfd.h>

#include "ept/backing.h"

/* Debian 12's libc headers know these; older ones may not. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* How much is preallocated between two calls of the progress function. */
#define PREALLOC_STEP_BYTES (64ULL << 20)

/* Anonymous memory can be mapped twice only if it is shared. */
static bool backing_has_memfd(const struct gpa_backing *want)
{
	return want->kind == GPA_BACKING_MEMFD ||
	       (want->kind == GPA_BACKING_ANON && want->trappable);
}

/* The shift of a huge page size, where mmap() and memfd_create() want it. */
#define HUGE_SHIFT_2M 21u
#define HUGE_SHIFT_1G 30u

static unsigned int huge_shift(const struct gpa_backing *want)
{
	return want->hugetlb_bytes == EPT_PAGE_1G_BYTES ? HUGE_SHIFT_1G : HUGE_SHIFT_2M;
}

static uint64_t page_bytes(const struct gpa_backing *want)
{
	return want->hugetlb_bytes ? want->hugetlb_bytes : EPT_PAGE_BYTES;
}

static int check_kind(const struct gpa_request *request, struct error *error)
{
	const struct gpa_backing *want = &request->backing;

	switch (want->kind) {
	case GPA_BACKING_MEMFD:
	case GPA_BACKING_ANON:
		if (want->file_private)
			return error_set(error, -EINVAL,
					 "region %s: only a file can be mapped copy-on-write",
					 request->name);
		return 0;
	case GPA_BACKING_FILE:
		if (want->hugetlb_bytes)
			return error_set(error, -EINVAL,
					 "region %s: huge pages of a file are the file system's "
					 "choice: open it on hugetlbfs",
					 request->name);
		if (want->fd < 0 || want->fd_offset % EPT_PAGE_BYTES != 0)
			return error_set(error, -EINVAL,
					 "region %s: file %d at offset %#llx: needs an open "
					 "file and a page-aligned offset",
					 request->name, want->fd,
					 (unsigned long long)want->fd_offset);
		return 0;
	}
	return error_set(error, -EINVAL, "region %s: no backing has the number %d", request->name,
			 (int)want->kind);
}

int backing_check_request(const struct gpa_request *request, struct error *error)
{
	const struct gpa_backing *want = &request->backing;
	uint64_t page = page_bytes(want);
	int err;

	if (page != EPT_PAGE_BYTES && page != EPT_PAGE_2M_BYTES && page != EPT_PAGE_1G_BYTES)
		return error_set(error, -EINVAL,
				 "region %s: huge pages of %llu bytes: x86 has 2 MiB and 1 GiB",
				 request->name, (unsigned long long)page);
	err = check_kind(request, error);
	if (err)
		return err;
	if ((request->start.value | request->size_bytes) % page != 0)
		return error_set(error, -EINVAL,
				 "region %s: start %#llx and size %#llx must be multiples of "
				 "its huge pages, %#llx",
				 request->name, (unsigned long long)request->start.value,
				 (unsigned long long)request->size_bytes, (unsigned long long)page);
	if (want->trappable && (want->hugetlb_bytes || want->file_private))
		return error_set(error, -EINVAL,
				 "region %s: traps have a grain of 4 KiB and need shared "
				 "memory: leave out hugetlb pages and copy-on-write",
				 request->name);
	if (want->reserve && want->kind == GPA_BACKING_MEMFD && !want->hugetlb_bytes)
		return error_set(error, -EINVAL,
				 "region %s: Linux cannot reserve a memfd's small pages: use "
				 "prealloc, or anonymous memory",
				 request->name);
	if (want->thp && want->hugetlb_bytes)
		return error_set(error, -EINVAL,
				 "region %s: hugetlb pages and transparent ones exclude each "
				 "other",
				 request->name);
	return 0;
}

/* Says how many huge pages are there and how to get more. */
static int huge_page_error(const struct backing *backing, uint64_t bytes, int code,
			   struct error *error)
{
	uint64_t page = backing->want.hugetlb_bytes;
	unsigned long long kib = page >> 10, wanted = bytes / page, have = 0;
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages",
		 kib);
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%llu", &have) != 1)
			have = 0;
		fclose(file);
	}
	return error_set(error, code,
			 "%llu huge pages of %llu KiB are wanted, %llu are free: echo N > "
			 "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
			 wanted, kib, have, kib);
}

static int map_error(const struct backing *backing, uint64_t bytes, int code, struct error *error)
{
	if (backing->want.hugetlb_bytes && (code == -ENOMEM || code == -ENOENT || code == -ENODEV))
		return huge_page_error(backing, bytes, -ENOMEM, error);
	return error_set(error, code, "cannot map %llu bytes of guest memory: %s",
			 (unsigned long long)bytes, strerror(-code));
}

/*
 * Reserves addresses for @bytes, congruent to @start modulo 1 GiB: takes 1 GiB more and gives the
 * ends back.
 */
static int reserve_addresses(gpa_t start, uint64_t bytes, void **host_out, struct error *error)
{
	uint64_t align = EPT_PAGE_1G_BYTES, whole = bytes + align, head;
	char *base;

	base = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return error_set(error, -errno, "no %llu bytes of address space: %s",
				 (unsigned long long)whole, strerror(errno));
	head = (start.value - (uint64_t)(uintptr_t)base) & (align - 1);
	if (head)
		munmap(base, head);
	if (align - head)
		munmap(base + head + bytes, align - head);
	*host_out = base + head;
	return 0;
}

static int prealloc(const struct backing *backing, struct error *error)
{
	const struct gpa_backing *want = &backing->want;
	uint64_t step = want->hugetlb_bytes > PREALLOC_STEP_BYTES ? want->hugetlb_bytes
								  : PREALLOC_STEP_BYTES;
	uint64_t at, bytes, all = backing->size_bytes;

	for (at = 0; at < all; at += bytes) {
		bytes = all - at < step ? all - at : step;
		if (madvise((char *)backing->host + at, bytes, MADV_POPULATE_WRITE) != 0)
			return error_set(error, -errno,
					 "preallocated %llu of %llu bytes, then: %s. Free host "
					 "memory, or leave the region sparse",
					 (unsigned long long)at, (unsigned long long)all,
					 strerror(errno));
		if (want->progress)
			want->progress(want->progress_context, at + bytes, all);
	}
	return 0;
}

static int advise(const struct backing *backing, struct error *error)
{
	if (madvise(backing->host, backing->size_bytes, MADV_DONTDUMP) != 0)
		return error_set(error, -errno, "cannot keep guest memory out of core dumps: %s",
				 strerror(errno));
	if (backing->want.thp && madvise(backing->host, backing->size_bytes, MADV_HUGEPAGE) != 0)
		return error_set(error, -errno,
				 "no transparent huge pages here (%s): see "
				 "/sys/kernel/mm/transparent_hugepage, or leave thp out",
				 strerror(errno));
	return 0;
}

/* Maps it where KVM is to find it. The pages are those of the first mapping. */
static int map_for_slot(struct backing *backing, struct error *error)
{
	uint64_t bytes = backing->size_bytes;
	void *at = backing->slot_host;

	if (at == backing->host)
		return 0;
	if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED | MAP_NORESERVE,
		 backing->fd, (off_t)backing->fd_offset) == MAP_FAILED)
		return map_error(backing, bytes, -errno, error);
	if (madvise(at, bytes, MADV_DONTDUMP) != 0 ||
	    (backing->want.thp && madvise(at, bytes, MADV_HUGEPAGE) != 0))
		return error_set(error, -errno, "cannot prepare the second mapping: %s",
				 strerror(errno));
	return 0;
}

/* Maps the backing over its reserved addresses and prepares it as asked. */
static int map_memory(struct backing *backing, struct error *error)
{
	const struct gpa_backing *want = &backing->want;
	uint64_t bytes = backing->size_bytes;
	bool shared = backing->fd >= 0 && !want->file_private;
	int flags = MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE);
	int err;

	if (backing->fd < 0)
		flags |= MAP_ANONYMOUS;
	if (backing->fd < 0 && want->hugetlb_bytes)
		flags |= MAP_HUGETLB | (int)(huge_shift(want) << MAP_HUGE_SHIFT);
	if (!want->reserve && !want->hugetlb_bytes)
		flags |= MAP_NORESERVE;
	if (mmap(backing->host, bytes, PROT_READ | PROT_WRITE, flags, backing->fd,
		 backing->fd < 0 ? 0 : (off_t)backing->fd_offset) == MAP_FAILED)
		return map_error(backing, bytes, -errno, error);
	err = advise(backing, error);
	if (!err && want->numa_bind)
		err = backing_bind_node(backing, error);
	if (!err && want->prealloc)
		err = prealloc(backing, error);
	if (!err && want->lock && mlock(backing->host, bytes) != 0)
		err = error_set(
			error, -errno,
			"cannot lock %llu bytes in memory: %s. Raise RLIMIT_MEMLOCK (ulimit "
			"-l), or leave them unlocked",
			(unsigned long long)bytes, strerror(errno));
	return err ? err : map_for_slot(backing, error);
}

static int open_memfd(const struct gpa_request *request, struct backing *backing,
		      struct error *error)
{
	const struct gpa_backing *want = &request->backing;
	unsigned int flags = MFD_CLOEXEC;
	char name[GPA_NAME_BYTES + 16];

	if (want->hugetlb_bytes)
		flags |= MFD_HUGETLB | (huge_shift(want) << MFD_HUGE_SHIFT);
	snprintf(name, sizeof(name), "guest-%s", request->name);
	backing->fd = memfd_create(name, flags);
	if (backing->fd < 0)
		return map_error(backing, request->size_bytes, -errno, error);
	/* Shared memory uses a huge page where file offset and address are congruent. */
	backing->fd_offset = request->start.value & (EPT_PAGE_2M_BYTES - 1);
	return 0;
}

static int open_file(const struct gpa_request *request, struct backing *backing,
		     struct error *error)
{
	backing->fd = fcntl(request->backing.fd, F_DUPFD_CLOEXEC, 0);
	if (backing->fd < 0)
		return error_set(error, -errno, "region %s: file %d: %s", request->name,
				 request->backing.fd, strerror(errno));
	backing->fd_offset = request->backing.fd_offset;
	return 0;
}

/* Makes the file long enough (a memfd), or checks that it is. */
static int extend_file(const struct backing *backing, uint64_t size_bytes, struct error *error)
{
	uint64_t end;
	struct stat status;

	if (backing->fd < 0)
		return 0;
	if (__builtin_add_overflow(backing->fd_offset, size_bytes, &end) || end > INT64_MAX)
		return error_set(error, -EINVAL, "offset %#llx and size %#llx pass 2^63",
				 (unsigned long long)backing->fd_offset,
				 (unsigned long long)size_bytes);
	if (fstat(backing->fd, &status) != 0)
		return error_set(error, -errno, "cannot look at the backing file: %s",
				 strerror(errno));
	if ((uint64_t)status.st_size >= end)
		return 0;
	if (backing->want.kind == GPA_BACKING_FILE)
		return error_set(error, -EINVAL, "the backing file has %lld bytes, %llu are needed",
				 (long long)status.st_size, (unsigned long long)end);
	if (ftruncate(backing->fd, (off_t)end) != 0)
		return error_set(error, -errno, "cannot make the memfd %llu bytes long: %s",
				 (unsigned long long)end, strerror(errno));
	return 0;
}

static int open_backing(const struct gpa_request *request, struct backing *backing,
			struct error *error)
{
	int err = 0;

	if (backing_has_memfd(&request->backing))
		err = open_memfd(request, backing, error);
	else if (request->backing.kind == GPA_BACKING_FILE)
		err = open_file(request, backing, error);
	if (err)
		return err;
	err = extend_file(backing, request->size_bytes, error);
	if (err && backing->fd >= 0)
		close(backing->fd);
	return err;
}

int backing_map(const struct gpa_request *request, struct backing *backing_out, struct error *error)
{
	struct backing backing = {
		.size_bytes = request->size_bytes, .fd = -1, .want = request->backing};
	int err = open_backing(request, &backing, error);

	if (err)
		return err;
	err = reserve_addresses(request->start, backing.size_bytes, &backing.host, error);
	if (err)
		goto err_close;
	backing.slot_host = backing.host;
	if (backing.want.trappable)
		err = reserve_addresses(request->start, backing.size_bytes, &backing.slot_host,
					error);
	if (err)
		goto err_release;
	err = map_memory(&backing, error);
	if (err)
		goto err_release_slot;
	*backing_out = backing;
	return 0;

err_release_slot:
	if (backing.slot_host != backing.host)
		munmap(backing.slot_host, backing.size_bytes);
err_release:
	munmap(backing.host, backing.size_bytes);
err_close:
	if (backing.fd >= 0)
		close(backing.fd);
	return err;
}

void backing_unmap(struct backing *backing)
{
	munmap(backing->host, backing->size_bytes);
	if (backing->slot_host != backing->host)
		munmap(backing->slot_host, backing->size_bytes);
	if (backing->fd >= 0)
		close(backing->fd);
}
