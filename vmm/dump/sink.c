/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a core goes. A plain file gets holes by writing past them; everything else gets zeroes.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "vmm/dump/private.h"

#define BUFFER_BYTES (256u << 10)

struct core_sink {
	int fd;
	bool waits;     /* a pipe or another that may be full */
	bool holes;     /* fd can have them, and nothing is compressed */
	off_t base;     /* holes: where the first byte goes */
	uint64_t at;    /* bytes taken */
	uint64_t given; /* bytes written to fd without holes */
	ZSTD_CCtx *zstd;
	uint8_t *buffer; /* zstd: what it gives */
};

int core_sink_create(int fd, bool zstd, int level, struct core_sink **sink_out, struct error *error)
{
	struct core_sink *sink;
	struct stat status;

	/* zstd itself would take the nearest it has. */
	if (zstd && (level < ZSTD_minCLevel() || level > ZSTD_maxCLevel()))
		return error_set(error, -EINVAL, "zstd has levels %d to %d, not %d",
				 ZSTD_minCLevel(), ZSTD_maxCLevel(), level);
	sink = calloc(1, sizeof(*sink));
	if (!sink)
		return error_set(error, -ENOMEM, "no memory for a core");
	sink->fd = fd;
	sink->base = lseek(fd, 0, SEEK_CUR);
	sink->waits = fstat(fd, &status) != 0 || !S_ISREG(status.st_mode);
	sink->holes = !zstd && sink->base >= 0 && !sink->waits;
	if (zstd) {
		sink->zstd = ZSTD_createCCtx();
		sink->buffer = malloc(BUFFER_BYTES);
	}
	if (zstd && (!sink->zstd || !sink->buffer)) {
		core_sink_destroy(sink);
		return error_set(error, -ENOMEM, "no memory for compression");
	}
	if (zstd) {
		ZSTD_CCtx_setParameter(sink->zstd, ZSTD_c_compressionLevel, level);
		ZSTD_CCtx_setParameter(sink->zstd, ZSTD_c_checksumFlag, 1);
	}
	*sink_out = sink;
	return 0;
}

void core_sink_destroy(struct core_sink *sink)
{
	if (!sink)
		return;
	ZSTD_freeCCtx(sink->zstd);
	free(sink->buffer);
	free(sink);
}

/* Waits until what is no regular file takes a piece without letting us wait. */
static int wait_room(const struct core_sink *sink)
{
	struct pollfd fd = {.fd = sink->fd, .events = POLLOUT};
	int ready;

	do {
		ready = poll(&fd, 1, CORE_WAIT_SECONDS * 1000);
	} while (ready < 0 && errno == EINTR);
	return ready < 0 ? -errno : ready == 0 ? -ETIMEDOUT : 0;
}

/* All of @bytes, at @offset of the file where @fd has holes. */
static int put(struct core_sink *sink, const uint8_t *bytes, size_t size, uint64_t offset)
{
	while (size > 0) {
		/* A pipe that can be written to takes so much at once (pipe(7)). */
		size_t piece = sink->waits && size > PIPE_BUF ? PIPE_BUF : size;
		int err = sink->waits ? wait_room(sink) : 0;
		ssize_t done;

		if (err)
			return err;
		done = sink->holes ? pwrite(sink->fd, bytes, piece, sink->base + (off_t)offset)
				   : write(sink->fd, bytes, piece);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		bytes += done;
		offset += (uint64_t)done;
		size -= (size_t)done;
		sink->given += (uint64_t)done;
	}
	return 0;
}

static int compress(struct core_sink *sink, const void *bytes, size_t size, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = {bytes, size, 0};
	size_t left;

	do {
		ZSTD_outBuffer out = {sink->buffer, BUFFER_BYTES, 0};
		int err;

		left = ZSTD_compressStream2(sink->zstd, &out, &in, end);
		if (ZSTD_isError(left))
			return -ENOMEM; /* its only reason, once it has its parameters */
		err = put(sink, sink->buffer, out.pos, 0);
		if (err)
			return err;
	} while (in.pos < in.size || (end == ZSTD_e_end && left != 0));
	return 0;
}

int core_sink_write(struct core_sink *sink, const void *bytes, size_t size)
{
	int err = sink->zstd ? compress(sink, bytes, size, ZSTD_e_continue)
			     : put(sink, bytes, size, sink->at);

	sink->at += size;
	return err;
}

int core_sink_zeroes(struct core_sink *sink, uint64_t size)
{
	static const uint8_t zeroes[64 << 10];
	int err = 0;

	if (sink->holes) {
		sink->at += size;
		return 0;
	}
	while (size > 0 && !err) {
		size_t part = size < sizeof(zeroes) ? (size_t)size : sizeof(zeroes);

		err = core_sink_write(sink, zeroes, part);
		size -= part;
	}
	return err;
}

int core_sink_finish(struct core_sink *sink)
{
	if (sink->zstd)
		return compress(sink, NULL, 0, ZSTD_e_end);
	if (sink->holes && ftruncate(sink->fd, sink->base + (off_t)sink->at) != 0)
		return -errno;
	return 0;
}

uint64_t core_sink_length(const struct core_sink *sink)
{
	return sink->holes ? sink->at : sink->given;
}
