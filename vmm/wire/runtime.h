/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where running guests are found: their sockets, NAME.sock in one directory of the user's
 * ($XDG_RUNTIME_DIR/nestbox, for root without it /run/nestbox), or anywhere by their path.
 *
 * Whoever serves a socket holds a lock on the file SOCKET.lock as long as it lives; so a socket
 * that nobody serves any more can be told from one that is not served yet, and is taken away by
 * whoever comes by.
 */
#ifndef VMM_WIRE_RUNTIME_H
#define VMM_WIRE_RUNTIME_H

#include <stdbool.h>
#include <sys/un.h>

#include "lib/error.h"

/* A path a UNIX socket may have. */
/* Behind a socket's path: the lock of who serves it. */
#define RUNTIME_LOCK_SUFFIX ".lock"
#define RUNTIME_PATH_BYTES  sizeof(((struct sockaddr_un *)0)->sun_path)
#define RUNTIME_NAME_BYTES  64u

/* 1 to RUNTIME_NAME_BYTES - 1 letters, digits, '.', '_' and '-', the first a letter or digit. */
bool runtime_name_ok(const char *name);

/*
 * The path of the guest of that name. With @create the directory is made, mode 0700. Errors:
 * -EINVAL (the name), -ENAMETOOLONG, -ENOENT (XDG_RUNTIME_DIR is not set, and not root),
 * mkdir(2)'s, -EPERM (the directory is another user's, or others may write to it).
 */
int runtime_path(const char *name, bool create, char path_out[RUNTIME_PATH_BYTES],
		 struct error *error);

/* A socket that is served. */
struct runtime_socket {
	char path[RUNTIME_PATH_BYTES];
	int listen_fd; /* -1: given away */
	int lock_fd;
};

/*
 * Listens at @path, mode 0600, where nobody else does. Errors: -EADDRINUSE (somebody does),
 * -ENAMETOOLONG, the system's. Pair with runtime_close().
 */
int runtime_listen(const char *path, struct runtime_socket *socket_out, struct error *error);

/* Takes the socket away and closes what is open. */
void runtime_close(struct runtime_socket *socket);

/* Connects. Errors: -ENAMETOOLONG, connect(2)'s. */
int runtime_connect(const char *path, int *fd_out, struct error *error);

/* Takes a socket away that nobody serves. Returns whether it did. */
bool runtime_remove_dead(const char *path);

/* Called with each socket's name and path; ends with other than 0, which is returned. */
typedef int (*runtime_fn)(void *context, const char *name, const char *path);

/* Visits the sockets of the directory by name. Errors: as runtime_path(), opendir(3)'s. */
int runtime_for_each(runtime_fn visit, void *context, struct error *error);

#endif
