/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that nestbox writes. A path a user gives names nothing, or a regular file: whatever else
 * stands there (a device, a FIFO, a socket, a symbolic link, a directory) is refused and left as
 * it is, and nothing here waits for somebody to read.
 *
 * A file written whole appears under its name only when it is complete and on the disk. Until then
 * it has no name at all (O_TMPFILE), or, where the file system cannot do that, a random one that
 * nobody else made (O_EXCL). Its mode is 0600 and its owner this process, whatever stood there.
 */
#ifndef LIB_OUT_FILE_H
#define LIB_OUT_FILE_H

#include "lib/error.h"

struct out_file {
	int fd;             /* to write to; the caller neither closes nor keeps it */
	int folder_fd;      /* where it will be */
	char *path;         /* as the user wrote it, for messages */
	char *name;         /* in that folder; points into a copy of the path */
	char temporary[32]; /* its name there until it is committed; "": it has none */
};

/*
 * Begins the file @path. Returns 0 with @file to be ended by out_file_commit() or
 * out_file_discard(), or the reason, in @error's words too, nothing left behind: -EINVAL (@path
 * has no file name), -EISDIR, -ENXIO (what stands there is no regular file), -ENOMEM, open(2)'s.
 */
int out_file_begin(struct out_file *file, const char *path, struct error *error);

/*
 * Puts what was written on the disk and gives it its name, replacing a regular file of that name.
 * @file is ended either way; on an error (fsync(2)'s, linkat(2)'s, renameat(2)'s, -ENXIO if
 * something else came to stand there meanwhile) nothing of it is left, and what stood there stays.
 */
int out_file_commit(struct out_file *file, struct error *error);

/* Ends @file without a trace. */
void out_file_discard(struct out_file *file);

/*
 * Opens @path to append to, mode 0600 if it is new. Returns a descriptor that is the caller's, or
 * the reason as above.
 */
int out_file_append(const char *path, struct error *error);

#endif
