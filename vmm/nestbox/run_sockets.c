/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets that are made, sockets that are given, and what is left of them. */
#include "vmm/nestbox/run_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* SD_LISTEN_FDS_START. */
#define GIVEN_FIRST 3
#define GIVEN_MAX   16

/* ---- given ones ---- */

static int number_in(const char *variable)
{
	const char *text = getenv(variable);
	char *end;
	long number = text ? strtol(text, &end, 10) : -1;

	return text && *text && !*end && number >= 0 && number <= INT32_MAX ? (int)number : -1;
}

bool run_sockets_given(void)
{
	return number_in("LISTEN_PID") == (int)getpid() && number_in("LISTEN_FDS") > 0;
}

/* A listening UNIX stream socket of somebody's: prepared, and where it is. */
static int take(int fd, struct runtime_socket *socket_out, struct error *error)
{
	struct runtime_socket given = {.listen_fd = fd, .lock_fd = -1};
	struct sockaddr_un address = {0};
	socklen_t length = sizeof(address), size = sizeof(int);
	int type = 0, listens = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens ||
	    getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
	    address.sun_family != AF_UNIX)
		return error_set(error, -EINVAL,
				 "descriptor %d, given by LISTEN_FDS, is no listening UNIX stream "
				 "socket (ListenStream=/PATH)",
				 fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	snprintf(given.path, sizeof(given.path), "%s", address.sun_path);
	*socket_out = given;
	return 0;
}

/* Whether the name of the given socket number @index, from 0, is RUN_SOCKETS_LOOK. */
static bool is_for_looking(int index)
{
	const char *name = getenv("LISTEN_FDNAMES");
	size_t length;

	for (; name && index > 0; index--) {
		name = strchr(name, ':');
		name = name ? name + 1 : NULL;
	}
	length = name ? strcspn(name, ":") : 0;
	return length == strlen(RUN_SOCKETS_LOOK) && strncmp(name, RUN_SOCKETS_LOOK, length) == 0;
}

static int take_given(struct run_sockets *sockets, struct error *error)
{
	int count = number_in("LISTEN_FDS"), err = 0;

	for (int i = 0; i < count && i < GIVEN_MAX && !err; i++) {
		struct runtime_socket *into =
			is_for_looking(i) ? &sockets->look : &sockets->control;

		if (into->listen_fd < 0)
			err = take(GIVEN_FIRST + i, into, error);
	}
	if (!err && sockets->control.listen_fd < 0)
		err = error_set(error, -EINVAL,
				"LISTEN_FDS gives no socket but for looking: the control socket is "
				"missing");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return err;
}

/* ---- who wants to know ---- */

/* Connected now: later nothing may be. */
static int open_notify(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = path ? strlen(path) : 0;
	int fd;

	if (length < 2 || length >= sizeof(address.sun_path) || (*path != '/' && *path != '@'))
		return -1;
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) != 0) {
		close(fd);
		fd = -1;
	}
	unsetenv("NOTIFY_SOCKET");
	return fd;
}

void run_sockets_notify(const struct run_sockets *sockets, const char *state)
{
	ssize_t sent = sockets->notify_fd < 0 ? 0
					      : send(sockets->notify_fd, state, strlen(state),
						     MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)sent; /* whoever does not listen does not wait */
}

/* ---- all ---- */

static int listen_to(const char *path, const char *look_path, struct run_sockets *sockets,
		     struct error *error)
{
	int err = runtime_listen(path, &sockets->control, error);

	if (err || !look_path)
		return err;
	err = runtime_listen(look_path, &sockets->look, error);
	if (!err && chmod(look_path, 0660) != 0)
		err = error_set(error, -errno, "%s: %s", look_path, strerror(errno));
	return err;
}

int run_sockets_open(const char *path, const char *look_path, struct run_sockets *sockets_out,
		     struct error *error)
{
	const struct runtime_socket none = {.listen_fd = -1, .lock_fd = -1};
	struct run_sockets made = {.control = none, .look = none, .notify_fd = -1};
	int err;

	if (!run_sockets_given())
		err = listen_to(path, look_path, &made, error);
	else if (look_path)
		err = error_set(error, -EINVAL,
				"--socket-ro does not go with given sockets: one named look is it");
	else
		err = take_given(&made, error);
	if (err) {
		run_sockets_close(&made);
		return err;
	}
	made.notify_fd = open_notify();
	*sockets_out = made;
	return 0;
}

static void close_one(struct runtime_socket *socket)
{
	if (socket->lock_fd >= 0)
		runtime_close(socket);
	else if (socket->listen_fd >= 0)
		close(socket->listen_fd);
}

void run_sockets_close(struct run_sockets *sockets)
{
	close_one(&sockets->look);
	close_one(&sockets->control);
	if (sockets->notify_fd >= 0)
		close(sockets->notify_fd);
}

/* ---- signals while the guest starts ---- */

/* What is taken away then. Made before the signals may come. */
static char early_paths[4][RUNTIME_PATH_BYTES + sizeof(RUNTIME_LOCK_SUFFIX)];

/* Ends the program as the signal does any other, and leaves no socket that nobody serves. */
static void on_early_signal(int number)
{
	for (size_t i = 0; i < sizeof(early_paths) / sizeof(early_paths[0]); i++)
		if (*early_paths[i])
			unlink(early_paths[i]);
	signal(number, SIG_DFL);
	raise(number);
}

static void take_away(const struct runtime_socket *socket, size_t at)
{
	if (socket->lock_fd < 0)
		return;
	snprintf(early_paths[at], sizeof(early_paths[at]), "%s", socket->path);
	snprintf(early_paths[at + 1], sizeof(early_paths[at + 1]), "%s" RUNTIME_LOCK_SUFFIX,
		 socket->path);
}

void run_sockets_expect_signals(const struct run_sockets *sockets)
{
	struct sigaction action = {.sa_handler = on_early_signal};

	take_away(&sockets->control, 0);
	take_away(&sockets->look, 2);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}
