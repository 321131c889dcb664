/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Serving: a thread reads faults, brings the batch each lies in, and wakes who waits. A bit for
 * each batch says whether it was brought; `lock` makes the thread and demand_fill() take turns.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ept/demand_private.h"
#include "ept/uffd.h"

struct demand {
	struct demand_memory memory;
	int uffd;
	bool local;
	uint64_t batch_bytes;
	struct demand_source source;
	char *buffer; /* a batch; lock */
	int stop;
	pthread_t thread;
	pthread_mutex_t lock;
	uint8_t *brought; /* lock: a byte for each batch */
	uint64_t next;    /* lock: where demand_fill() goes on */
	struct demand_counts counts;
};

/* ---- bringing ---- */

static void *mapped_at(const struct demand *demand, unsigned int mapping, uint64_t offset)
{
	return (void *)(uintptr_t)(demand->memory.at[mapping] + offset);
}

/* Puts what is missing of the batch there; pages that exist are passed over. */
static int put(const struct demand *demand, uint64_t offset, const char *from, uint64_t bytes)
{
	uint64_t at = 0;

	while (at < bytes) {
		int64_t done = uffd_copy(demand->uffd, mapped_at(demand, 0, offset + at), from + at,
					 bytes - at, false);

		if (done < 0 && done != -EEXIST && done != -EAGAIN)
			return (int)done;
		if (done != -EAGAIN)
			at += done > 0 ? (uint64_t)done : EPT_PAGE_BYTES;
	}
	return 0;
}

static void wake(const struct demand *demand, uint64_t offset, uint64_t bytes)
{
	for (unsigned int i = 0; i < demand->memory.nr_mappings; i++)
		(void)uffd_wake(demand->uffd, mapped_at(demand, i, offset), bytes);
}

/* Puts what the source has of a batch there, without a copy where it can. */
static int take(struct demand *demand, uint64_t start, uint64_t bytes)
{
	const struct demand_source *source = &demand->source;
	const void *there = source->peek ? source->peek(source->context, start, bytes) : NULL;
	int err;

	/* Should the file have become shorter meanwhile, that is found here, by the kernel. */
	if (there && put(demand, start, there, bytes) == 0)
		return 0;
	err = source->read(source->context, start, demand->buffer, bytes);
	return err ? err : put(demand, start, demand->buffer, bytes);
}

/* Brings the batch that holds @offset, unless it is there, and wakes who waits. With lock held. */
static int bring(struct demand *demand, uint64_t offset)
{
	uint64_t index = offset / demand->batch_bytes, start = index * demand->batch_bytes;
	uint64_t left = demand->memory.bytes - start;
	uint64_t bytes = left < demand->batch_bytes ? left : demand->batch_bytes;
	int err = 0;

	if (!demand->brought[index]) {
		err = take(demand, start, bytes);
		if (err) {
			if (!demand->counts.error)
				demand->counts.error = err;
			return err;
		}
		demand->brought[index] = 1;
		demand->counts.batches++;
		demand->counts.bytes += bytes;
		demand->counts.left -= bytes;
	}
	wake(demand, start, bytes);
	return 0;
}

int demand_fill(struct demand *demand, uint64_t max_bytes, uint64_t *left_out)
{
	uint64_t done = 0;
	int err = 0;

	while (done < max_bytes && !err) {
		pthread_mutex_lock(&demand->lock);
		while (demand->next < demand->memory.bytes &&
		       demand->brought[demand->next / demand->batch_bytes])
			demand->next += demand->batch_bytes;
		if (demand->next >= demand->memory.bytes) {
			pthread_mutex_unlock(&demand->lock);
			break;
		}
		err = bring(demand, demand->next);
		done += demand->batch_bytes;
		pthread_mutex_unlock(&demand->lock);
	}
	pthread_mutex_lock(&demand->lock);
	*left_out = demand->counts.left;
	pthread_mutex_unlock(&demand->lock);
	return err;
}

/* ---- the thread ---- */

static void on_fault(void *context, const struct uffd_fault *fault)
{
	struct demand *demand = context;
	uint64_t address = fault->address;
	int err = 0;

	for (unsigned int i = 0; i < demand->memory.nr_mappings; i++) {
		uint64_t offset = address - demand->memory.at[i];

		if (address < demand->memory.at[i] || offset >= demand->memory.bytes)
			continue;
		pthread_mutex_lock(&demand->lock);
		demand->counts.faults++;
		err = bring(demand, offset);
		pthread_mutex_unlock(&demand->lock);
		if (err && demand->source.failed)
			demand->source.failed(demand->source.context, offset, err);
		return;
	}
}

static void *demand_thread(void *context)
{
	struct demand *demand = context;

	uffd_serve(demand->uffd, demand->stop, on_fault, demand);
	return NULL;
}

/* ---- life ---- */

static void destroy(struct demand *demand)
{
	if (demand->stop >= 0)
		close(demand->stop);
	pthread_mutex_destroy(&demand->lock);
	free(demand->brought);
	free(demand->buffer);
	free(demand);
}

int demand_serve(const struct demand_memory *memory, int uffd, bool local, uint32_t batch_bytes,
		 const struct demand_source *source, struct demand **demand_out,
		 struct error *error)
{
	uint64_t batch = batch_bytes ? batch_bytes : DEMAND_BATCH_BYTES_DEFAULT;
	struct demand *demand;
	int err;

	if (batch % EPT_PAGE_BYTES || (batch & (batch - 1)))
		return error_set(error, -EINVAL,
				 "batches of %llu bytes: a power of two from "
				 "4096 on",
				 (unsigned long long)batch);
	demand = calloc(1, sizeof(*demand));
	if (!demand)
		return error_set(error, -ENOMEM, "no memory for demand paging");
	demand->memory = *memory;
	demand->uffd = uffd;
	demand->local = local;
	demand->batch_bytes = batch;
	demand->source = *source;
	demand->counts.left = memory->bytes;
	demand->buffer = malloc(batch);
	demand->brought = calloc(memory->bytes / batch + 1, 1);
	demand->stop = eventfd(0, EFD_CLOEXEC);
	pthread_mutex_init(&demand->lock, NULL);
	err = !demand->buffer || !demand->brought ? ENOMEM : demand->stop < 0 ? errno : 0;
	if (!err)
		err = pthread_create(&demand->thread, NULL, demand_thread, demand);
	if (err) {
		destroy(demand);
		return error_set(error, -err, "demand paging cannot start: %s", strerror(err));
	}
	*demand_out = demand;
	return 0;
}

int demand_start(const struct gpa_region *region, uint32_t batch_bytes,
		 const struct demand_source *source, struct demand **demand_out,
		 struct error *error)
{
	struct demand_memory memory;
	int uffd, err = demand_register(region, &memory, &uffd, error);

	if (err)
		return err;
	err = demand_serve(&memory, uffd, true, batch_bytes, source, demand_out, error);
	if (err)
		demand_unregister(&memory, uffd);
	return err;
}

void demand_stop(struct demand *demand)
{
	uint64_t one = 1;

	if (!demand)
		return;
	if (write(demand->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(demand->thread, NULL);
	if (demand->local)
		demand_unregister(&demand->memory, demand->uffd);
	else
		close(demand->uffd);
	destroy(demand);
}

void demand_counts(struct demand *demand, struct demand_counts *counts_out)
{
	pthread_mutex_lock(&demand->lock);
	*counts_out = demand->counts;
	pthread_mutex_unlock(&demand->lock);
}

/* ---- a file as the source ---- */

static int read_file(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	const struct demand_file *file = context;
	size_t done = 0;

	while (done < bytes) {
		ssize_t got = pread(file->fd, (char *)buffer + done, bytes - done,
				    (off_t)(file->offset + offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	memset((char *)buffer + done, 0, bytes - done);
	return 0;
}

static const void *peek_file(void *context, uint64_t offset, size_t bytes)
{
	const struct demand_file *file = context;

	return offset + bytes <= file->map_bytes ? file->map + offset : NULL;
}

void demand_file_open(struct demand_file *file, int fd, uint64_t offset)
{
	struct stat status;
	void *map;

	*file = (struct demand_file){.fd = fd, .offset = offset};
	if (fstat(fd, &status) != 0 || (uint64_t)status.st_size <= offset)
		return;
	file->map_bytes = (uint64_t)status.st_size - offset;
	map = mmap(NULL, file->map_bytes, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	if (map == MAP_FAILED)
		file->map_bytes = 0;
	else
		file->map = map;
}

void demand_file_close(struct demand_file *file)
{
	if (file->map)
		munmap((void *)(uintptr_t)file->map, file->map_bytes);
	file->map = NULL;
	file->map_bytes = 0;
}

struct demand_source demand_source_file(struct demand_file *file)
{
	return (struct demand_source){.read = read_file, .peek = peek_file, .context = file};
}
