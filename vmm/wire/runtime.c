/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sockets of running guests, in the file system. */
#include "vmm/wire/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX     ".sock"
#define LOCK_BYTES (RUNTIME_PATH_BYTES + sizeof(RUNTIME_LOCK_SUFFIX))
/* How often a lock file may be taken away under our hands before we give up. */
#define LOCK_TRIES 100

bool runtime_name_ok(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "._-";
	size_t length = strlen(name);

	return length > 0 && length < RUNTIME_NAME_BYTES && strspn(name, good) == length &&
	       name[0] != '.' && name[0] != '_' && name[0] != '-';
}

/* ---- the directory ---- */

static int directory(char path[RUNTIME_PATH_BYTES], struct error *error)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	int length;

	if (base && *base == '/')
		length = snprintf(path, RUNTIME_PATH_BYTES, "%s/nestbox", base);
	else if (geteuid() == 0)
		length = snprintf(path, RUNTIME_PATH_BYTES, "/run/nestbox");
	else
		return error_set(error, -ENOENT,
				 "XDG_RUNTIME_DIR is not set: set it to a directory of yours, "
				 "or use --socket PATH");
	if ((size_t)length >= RUNTIME_PATH_BYTES)
		return error_set(error, -ENAMETOOLONG,
				 "XDG_RUNTIME_DIR is too long for the path of a socket");
	return 0;
}

/* It is ours, and nobody else's to write in. */
static int check_directory(const char *path, struct error *error)
{
	struct stat status;

	if (stat(path, &status) != 0) {
		int err = -errno;

		return error_set(error, err, "%s: %s", path, strerror(-err));
	}
	if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || status.st_mode & 022)
		return error_set(error, -EPERM,
				 "%s is to be a directory of your own that others cannot write "
				 "to (chmod 700)",
				 path);
	return 0;
}

static int make_directory(const char *path, struct error *error)
{
	int err;

	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return check_directory(path, error);
	err = -errno;
	return error_set(error, err, "cannot make the directory %s: %s", path, strerror(-err));
}

int runtime_path(const char *name, bool create, char path_out[RUNTIME_PATH_BYTES],
		 struct error *error)
{
	char path[RUNTIME_PATH_BYTES];
	size_t length;
	int err;

	if (!runtime_name_ok(name))
		return error_set(error, -EINVAL,
				 "'%.64s' cannot name a guest: letters, digits, '.', '_' and "
				 "'-', at most %u, the first a letter or digit",
				 name, RUNTIME_NAME_BYTES - 1);
	err = directory(path, error);
	if (!err && create)
		err = make_directory(path, error);
	if (err)
		return err;
	length = strlen(path);
	if (length + 1 + strlen(name) + sizeof(SUFFIX) > RUNTIME_PATH_BYTES)
		return error_set(error, -ENAMETOOLONG,
				 "%s/%s" SUFFIX " is too long for a socket: at most %zu bytes",
				 path, name, RUNTIME_PATH_BYTES - 1);
	memcpy(path_out, path, length);
	snprintf(path_out + length, RUNTIME_PATH_BYTES - length, "/%s" SUFFIX, name);
	return 0;
}

/* ---- locks ---- */

/*
 * Locks the lock file of @path, which it makes. Returns the descriptor, or -EWOULDBLOCK where
 * somebody has it, or open(2)'s -errno.
 */
static int lock(const char *path)
{
	char name[LOCK_BYTES];
	struct stat ours, there;
	int fd, tries;

	snprintf(name, sizeof(name), "%s" RUNTIME_LOCK_SUFFIX, path);
	for (tries = 0; tries < LOCK_TRIES; tries++) {
		fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			int err = -errno;

			close(fd);
			/* Where nobody can lock, nobody has. */
			if (err != -EWOULDBLOCK)
				unlink(name);
			return err;
		}
		/* Whoever had it before may have taken the file away. */
		if (fstat(fd, &ours) == 0 && stat(name, &there) == 0 &&
		    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
			return fd;
		close(fd);
	}
	return -EWOULDBLOCK;
}

/* With the lock held. */
static void unlink_lock(const char *path)
{
	char name[LOCK_BYTES];

	snprintf(name, sizeof(name), "%s" RUNTIME_LOCK_SUFFIX, path);
	unlink(name);
}

static void unlink_both(const char *path)
{
	unlink(path);
	unlink_lock(path);
}

bool runtime_remove_dead(const char *path)
{
	int fd = lock(path);

	if (fd < 0)
		return false;
	unlink_both(path);
	close(fd);
	return true;
}

/* ---- sockets ---- */

static int make_address(const char *path, struct sockaddr_un *address, struct error *error)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (!*path || strlen(path) >= sizeof(address->sun_path))
		return error_set(error, -ENAMETOOLONG,
				 "'%.128s': the path of a socket has 1 to %zu bytes", path,
				 sizeof(address->sun_path) - 1);
	strcpy(address->sun_path, path);
	return 0;
}

/* A socket at @path, which must be no other kind of file. With the lock held. */
static int bind_at(const char *path, int *fd_out)
{
	struct sockaddr_un address;
	struct stat status;
	mode_t mask;
	int fd, err;

	if (lstat(path, &status) == 0) {
		if (!S_ISSOCK(status.st_mode))
			return -EEXIST;
		unlink(path);
	}
	make_address(path, &address, NULL);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	mask = umask(0177);
	err = bind(fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
	umask(mask);
	if (!err && listen(fd, SOMAXCONN) != 0) {
		err = -errno;
		unlink(path);
	}
	if (err)
		close(fd);
	else
		*fd_out = fd;
	return err;
}

int runtime_listen(const char *path, struct runtime_socket *socket_out, struct error *error)
{
	struct runtime_socket made = {.listen_fd = -1};
	struct sockaddr_un address;
	int err = make_address(path, &address, error);

	if (err)
		return err;
	made.lock_fd = lock(path);
	if (made.lock_fd == -EWOULDBLOCK)
		return error_set(error, -EADDRINUSE,
				 "a guest is served at %s already: choose another --name", path);
	if (made.lock_fd < 0)
		return error_set(error, made.lock_fd, "%s" RUNTIME_LOCK_SUFFIX ": %s", path,
				 strerror(-made.lock_fd));
	err = bind_at(path, &made.listen_fd);
	if (err) {
		error_set(error, err, "cannot listen at %s: %s", path, strerror(-err));
		goto err_unlock;
	}
	strcpy(made.path, path);
	*socket_out = made;
	return 0;

err_unlock:
	unlink_lock(path);
	close(made.lock_fd);
	return err;
}

void runtime_close(struct runtime_socket *socket)
{
	unlink_both(socket->path);
	if (socket->listen_fd >= 0)
		close(socket->listen_fd);
	close(socket->lock_fd);
}

int runtime_connect(const char *path, int *fd_out, struct error *error)
{
	struct sockaddr_un address;
	int fd, err = make_address(path, &address, error);

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(error, -errno, "socket: %m");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		err = -errno;
		close(fd);
		return error_set(error, err, "%s: %s", path, strerror(-err));
	}
	*fd_out = fd;
	return 0;
}

/* ---- all of them ---- */

static int is_socket_name(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length > strlen(SUFFIX) && length < RUNTIME_NAME_BYTES + strlen(SUFFIX) &&
	       strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX) == 0;
}

int runtime_for_each(runtime_fn visit, void *context, struct error *error)
{
	char base[RUNTIME_PATH_BYTES], path[RUNTIME_PATH_BYTES], name[RUNTIME_NAME_BYTES];
	struct dirent **entries;
	int i, count, err = directory(base, error);

	if (err)
		return err;
	count = scandir(base, &entries, is_socket_name, alphasort);
	if (count < 0 && errno == ENOENT)
		return 0;
	if (count < 0)
		return error_set(error, -errno, "%s: %m", base);
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%.*s",
			 (int)(strlen(entries[i]->d_name) - strlen(SUFFIX)), entries[i]->d_name);
		if (!err && runtime_path(name, false, path, NULL) == 0)
			err = visit(context, name, path);
		free(entries[i]);
	}
	free(entries);
	return err;
}
