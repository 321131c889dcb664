/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sources that are files: a core, mapped; the host's own kernel, read page by page. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "vmm/source/private.h"

#define KCORE "/proc/kcore"

/* ---- unpacking ---- */

/* A nameless file on a disk: memory would have to hold all of the guest's at once. */
static int nameless_file(struct error *error)
{
	const char *const folders[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};
	int err = ENOENT;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		int fd;

		if (!folders[i] || !*folders[i])
			continue;
		fd = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (fd >= 0)
			return fd;
		err = errno;
	}
	return error_set(error, -err, "no place to unpack a core to: %s; TMPDIR names one",
			 strerror(err));
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
	return size == 0 || (bytes[0] == 0 && !memcmp(bytes, bytes + 1, size - 1));
}

/* Writes [bytes, bytes + size) at @offset but for pages of zeroes, which stay holes. */
static int write_sparse(int fd, const uint8_t *bytes, size_t size, uint64_t offset)
{
	while (size > 0) {
		size_t part = SOURCE_PAGE - offset % SOURCE_PAGE;

		if (part > size)
			part = size;
		if (!all_zero(bytes, part) &&
		    pwrite(fd, bytes, part, (off_t)offset) != (ssize_t)part)
			return errno ? -errno : -EIO;
		bytes += part;
		offset += part;
		size -= part;
	}
	return 0;
}

struct unpack {
	ZSTD_DStream *stream;
	uint8_t *in, *out;
	size_t in_bytes, out_bytes;
	uint64_t done;
	size_t wanted; /* what the decoder still wants: 0 at a frame's end */
};

static int unpack_piece(struct unpack *unpack, size_t got, int to, const char *what,
			struct error *error)
{
	ZSTD_inBuffer in = {unpack->in, got, 0};

	while (in.pos < in.size) {
		ZSTD_outBuffer out = {unpack->out, unpack->out_bytes, 0};
		int err;

		unpack->wanted = ZSTD_decompressStream(unpack->stream, &out, &in);
		if (ZSTD_isError(unpack->wanted))
			return error_set(error, -EINVAL, "%s: zstd says: %s", what,
					 ZSTD_getErrorName(unpack->wanted));
		err = write_sparse(to, unpack->out, out.pos, unpack->done);
		if (err)
			return error_set(error, err,
					 "cannot unpack %s: %s; TMPDIR names another place", what,
					 strerror(-err));
		unpack->done += out.pos;
	}
	return 0;
}

static int unpack_all(struct unpack *unpack, int fd, int to, const char *what, struct error *error)
{
	uint64_t at = 0;
	ssize_t got;
	int err;

	while ((got = pread(fd, unpack->in, unpack->in_bytes, (off_t)at)) > 0) {
		err = unpack_piece(unpack, (size_t)got, to, what, error);
		if (err)
			return err;
		at += (uint64_t)got;
	}
	if (got < 0)
		return error_set(error, -errno, "cannot read %s: %s", what, strerror(errno));
	if (unpack->wanted != 0)
		return error_set(error, -EINVAL, "%s is cut short: its zstd frame has no end",
				 what);
	if (ftruncate(to, (off_t)unpack->done))
		return error_set(error, -errno, "cannot unpack %s: %s", what, strerror(errno));
	return 0;
}

int source_unpack(int fd, const char *what, int *unpacked_out, struct error *error)
{
	struct unpack unpack = {.stream = ZSTD_createDStream(),
				.in_bytes = ZSTD_DStreamInSize(),
				.out_bytes = 1u << 20};
	int err = -ENOMEM, to = nameless_file(error);

	if (to < 0)
		goto err_free;
	unpack.in = malloc(unpack.in_bytes);
	unpack.out = malloc(unpack.out_bytes);
	if (unpack.stream && unpack.in && unpack.out)
		err = unpack_all(&unpack, fd, to, what, error);
	else
		error_set(error, err, "no memory to unpack %s", what);
	if (err)
		close(to);
	else
		*unpacked_out = to;
err_free:
	free(unpack.in);
	free(unpack.out);
	ZSTD_freeDStream(unpack.stream);
	return to < 0 ? to : err;
}

/* ---- a core ---- */

/* Maps all of @fd, which must stay as long as it is. */
static int map_file(struct source *source, int fd, uint64_t bytes, const char *what,
		    struct source_bytes *file_out, struct error *error)
{
	void *host = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	int err;

	if (host == MAP_FAILED)
		return error_set(error, -errno, "cannot map %s: %s", what, strerror(errno));
	err = source_add_mapping(source, host, bytes);
	if (err) {
		munmap(host, bytes);
		return error_set(error, err, "no memory for %s", what);
	}
	*file_out = (struct source_bytes){.fd = fd, .bytes = bytes, .host = host};
	return 0;
}

static int open_file(const char *path, int *fd_out, uint64_t *bytes_out, struct error *error)
{
	static const uint8_t zstd[4] = {0x28, 0xb5, 0x2f, 0xfd};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err = 0, unpacked;
	uint8_t head[4];
	struct stat stat;

	if (fd < 0)
		return error_set(error, -errno, "cannot open %s: %s", path, strerror(errno));
	if (fstat(fd, &stat) || !S_ISREG(stat.st_mode)) {
		err = error_set(error, -EINVAL, "%s is no regular file", path);
		goto err_close;
	}
	if (pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	    !memcmp(head, zstd, sizeof(zstd))) {
		err = source_unpack(fd, path, &unpacked, error);
		if (err)
			goto err_close;
		close(fd);
		fd = unpacked;
		if (fstat(fd, &stat)) {
			err = error_set(error, -errno, "%s: %s", path, strerror(errno));
			goto err_close;
		}
	}
	if (stat.st_size == 0) {
		err = error_set(error, -EINVAL, "%s is empty", path);
		goto err_close;
	}
	*fd_out = fd;
	*bytes_out = (uint64_t)stat.st_size;
	return 0;

err_close:
	close(fd);
	return err;
}

int source_open_core(const char *path, struct source **source_out, struct error *error)
{
	struct source *source = source_new();
	struct source_bytes file;
	uint64_t bytes = 0;
	int err;

	if (!source)
		return error_set(error, -ENOMEM, "no memory for a source");
	err = open_file(path, &source->fd, &bytes, error);
	if (!err)
		err = map_file(source, source->fd, bytes, path, &file, error);
	if (!err)
		err = source_elf(source, &file, path, error);
	if (err) {
		source_close(source);
		return err;
	}
	snprintf(source->about, sizeof(source->about), "ELF core, registers of %u CPUs",
		 source->nr_cpus);
	*source_out = source;
	return 0;
}

/* ---- the host's own kernel ---- */

static bool read_file(struct source *source, uint64_t offset, void *buffer, size_t bytes)
{
	while (bytes > 0) {
		ssize_t got = pread(source->fd, buffer, bytes, (off_t)offset);

		if (got <= 0)
			return false;
		buffer = (uint8_t *)buffer + got;
		offset += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return true;
}

int source_open_kcore(struct source **source_out, struct error *error)
{
	struct source_bytes file = {.fd = -1, .bytes = INT64_MAX};
	struct source *source = source_new();
	int err;

	if (!source)
		return error_set(error, -ENOMEM, "no memory for a source");
	source->fd = open(KCORE, O_RDONLY | O_CLOEXEC);
	if (source->fd < 0) {
		err = error_set(error, -errno, "cannot open " KCORE ": %s%s", strerror(errno),
				errno == ENOENT
					? "; a kernel with CONFIG_PROC_KCORE has it"
					: "; root may, where the kernel is not locked down");
		goto err_close;
	}
	file.fd = source->fd;
	source->read = read_file;
	source->live = true;
	err = source_elf(source, &file, KCORE, error);
	if (err)
		goto err_close;
	/* What NT_PRSTATUS says there is of the reader itself. */
	source->nr_cpus = 0;
	snprintf(source->about, sizeof(source->about), KCORE ", live");
	*source_out = source;
	return 0;

err_close:
	source_close(source);
	return err;
}
