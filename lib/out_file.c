/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that nestbox writes: no name before they are whole, and no guest's bytes anywhere else. */
#include "lib/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Random names tried before giving up: a clash of 64 random bits is somebody's doing. */
#define NAME_TRIES 16

static const char *what_it_is(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

static int refuse(mode_t mode, const char *path, struct error *error)
{
	return error_set(error, S_ISDIR(mode) ? -EISDIR : -ENXIO,
			 "%.160s is %s: only a regular file is written to", path, what_it_is(mode));
}

/* Whether @file's name is free, or a regular file's. */
static int check_place(const struct out_file *file, struct error *error)
{
	struct stat there;

	if (fstatat(file->folder_fd, file->name, &there, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0
				       : error_set(error, -errno, "%.160s: %s", file->path,
						   strerror(errno));
	return S_ISREG(there.st_mode) ? 0 : refuse(there.st_mode, file->path, error);
}

static int random_name(char *name, size_t size)
{
	uint64_t bits;

	if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits))
		return -EIO;
	snprintf(name, size, ".nestbox-%016llx", (unsigned long long)bits);
	return 0;
}

/* A file with a name of its own, for file systems without O_TMPFILE. */
static int open_named(struct out_file *file)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		if (random_name(file->temporary, sizeof(file->temporary)))
			break;
		file->fd = openat(file->folder_fd, file->temporary,
				  O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (file->fd >= 0 || errno != EEXIST)
			return file->fd >= 0 ? 0 : -errno;
	}
	return -EEXIST;
}

static int open_unseen(struct out_file *file)
{
	int err;

	file->temporary[0] = '\0';
	file->fd = openat(file->folder_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (file->fd >= 0)
		return 0;
	/* What kernels and file systems say that have no O_TMPFILE. */
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)
		return -errno;
	err = open_named(file);
	if (err)
		file->temporary[0] = '\0';
	return err;
}

/* Opens the folder of @path, and finds the name in it. */
static int open_folder(struct out_file *file, const char *path, struct error *error)
{
	char *slash;
	int err = 0;

	file->path = strdup(path);
	if (!file->path)
		return error_set(error, -ENOMEM, "no memory for a file name");
	slash = strrchr(file->path, '/');
	file->name = slash ? slash + 1 : file->path;
	if (!*file->name || !strcmp(file->name, ".") || !strcmp(file->name, ".."))
		err = error_set(error, *file->path ? -EISDIR : -EINVAL,
				"'%.160s' does not name a file", path);
	if (!err) {
		char before = slash ? *(slash + 1) : '\0';

		/* "/name" lies in "/", "folder/name" in "folder/". */
		if (slash)
			slash[1] = '\0';
		file->folder_fd =
			open(slash ? file->path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = file->folder_fd < 0 ? -errno : 0;
		if (slash)
			slash[1] = before;
		if (err)
			error_set(error, err, "%.160s: its folder: %s", path, strerror(-err));
	}
	if (err)
		free(file->path);
	return err;
}

int out_file_begin(struct out_file *file, const char *path, struct error *error)
{
	struct out_file mine = {.fd = -1};
	int err = open_folder(&mine, path, error);

	if (err)
		return err;
	err = check_place(&mine, error);
	if (!err) {
		err = open_unseen(&mine);
		if (err)
			error_set(error, err, "%.160s: %s", path, strerror(-err));
	}
	if (err) {
		close(mine.folder_fd);
		free(mine.path);
		return err;
	}
	*file = mine;
	return 0;
}

void out_file_discard(struct out_file *file)
{
	if (file->temporary[0])
		unlinkat(file->folder_fd, file->temporary, 0);
	close(file->fd);
	close(file->folder_fd);
	free(file->path);
	*file = (struct out_file){.fd = -1, .folder_fd = -1};
}

/* Gives a file without a name the name @name, which nobody may have. */
static int link_as(const struct out_file *file, const char *name)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);
	return linkat(AT_FDCWD, self, file->folder_fd, name, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

static int give_name(struct out_file *file)
{
	int err = -EEXIST;

	if (!file->temporary[0]) {
		err = link_as(file, file->name);
		if (err != -EEXIST)
			return err;
		/* Only a rename replaces, and it needs a name to begin with. */
		for (int i = 0; i < NAME_TRIES && err == -EEXIST; i++) {
			err = random_name(file->temporary, sizeof(file->temporary));
			if (!err)
				err = link_as(file, file->temporary);
		}
		if (err) {
			file->temporary[0] = '\0';
			return err;
		}
	}
	if (renameat(file->folder_fd, file->temporary, file->folder_fd, file->name) != 0)
		return -errno;
	file->temporary[0] = '\0';
	return 0;
}

int out_file_commit(struct out_file *file, struct error *error)
{
	int err = fsync(file->fd) ? -errno : 0;

	if (err)
		error_set(error, err, "%.160s: %s", file->path, strerror(-err));
	if (!err)
		err = check_place(file, error);
	if (!err) {
		err = give_name(file);
		if (!err && fsync(file->folder_fd) && errno != EINVAL)
			err = -errno;
		if (err)
			error_set(error, err, "%.160s: %s", file->path, strerror(-err));
	}
	out_file_discard(file);
	return err;
}

int out_file_append(const char *path, struct error *error)
{
	/* O_NONBLOCK, or a FIFO would wait for its reader before it can be refused. */
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		      0600);
	struct stat there;
	int err;

	if (fd < 0) {
		err = -errno;
		if (lstat(path, &there) == 0 && !S_ISREG(there.st_mode))
			return refuse(there.st_mode, path, error);
		return error_set(error, err, "%.160s: %s", path, strerror(-err));
	}
	err = fstat(fd, &there) ? -errno : 0;
	if (err)
		error_set(error, err, "%.160s: %s", path, strerror(-err));
	else if (!S_ISREG(there.st_mode))
		err = refuse(there.st_mode, path, error);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}
