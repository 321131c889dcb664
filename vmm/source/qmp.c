/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's monitor by its QMP socket: one JSON object a line (its qmp-spec). */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vmm/source/monitor.h"

/* An answer takes no longer; pmemsave of a large guest is the longest. */
#define ANSWER_SECONDS 60
#define LINE_BYTES_MAX (16u << 20)

struct qmp_monitor {
	struct monitor monitor;
	int fd;
	char *line;
	size_t used, room;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static int wait_for(struct qmp_monitor *qmp, short events, int64_t until_ms, struct error *error)
{
	struct pollfd poll_fd = {.fd = qmp->fd, .events = events};

	for (;;) {
		int64_t left = until_ms - now_ms();
		int ready = poll(&poll_fd, 1, left > 0 ? (int)left : 0);

		if (ready > 0)
			return 0;
		if (ready == 0)
			return error_set(error, -ETIMEDOUT,
					 "QMP: no answer within %d s (a QMP socket serves one "
					 "client at a time: is somebody else on it?)",
					 ANSWER_SECONDS);
		if (errno != EINTR)
			return error_set(error, -errno, "QMP: %s", strerror(errno));
	}
}

/* Takes the first line out of what has come. */
static json_t *take_line(struct qmp_monitor *qmp)
{
	char *newline = qmp->used ? memchr(qmp->line, '\n', qmp->used) : NULL;
	size_t length;
	json_t *object;

	if (!newline)
		return NULL;
	length = (size_t)(newline - qmp->line) + 1;
	object = json_loadb(qmp->line, length, JSON_DISABLE_EOF_CHECK, NULL);
	memmove(qmp->line, qmp->line + length, qmp->used - length);
	qmp->used -= length;
	return object ? object : json_null();
}

static int read_more(struct qmp_monitor *qmp, int64_t until_ms, struct error *error)
{
	ssize_t got;
	int err;

	if (qmp->used == qmp->room) {
		size_t room = qmp->room ? 2 * qmp->room : 65536;
		char *grown = room > LINE_BYTES_MAX ? NULL : realloc(qmp->line, room);

		if (!grown)
			return error_set(error, -EPROTO, "QMP: a line without an end");
		qmp->line = grown;
		qmp->room = room;
	}
	err = wait_for(qmp, POLLIN, until_ms, error);
	if (err)
		return err;
	got = recv(qmp->fd, qmp->line + qmp->used, qmp->room - qmp->used, 0);
	if (got == 0)
		return error_set(error, -EPIPE, "QMP: QEMU has closed the connection");
	if (got < 0)
		return error_set(error, -errno, "QMP: %s", strerror(errno));
	qmp->used += (size_t)got;
	return 0;
}

/* The next object that has @key or "error". Events are passed over. */
static int wait_object(struct qmp_monitor *qmp, const char *key, json_t **object_out,
		       struct error *error)
{
	int64_t until_ms = now_ms() + 1000ll * ANSWER_SECONDS;

	for (;;) {
		json_t *object = take_line(qmp);
		int err;

		if (!object) {
			err = read_more(qmp, until_ms, error);
			if (err)
				return err;
			continue;
		}
		if (!json_is_object(object)) {
			json_decref(object);
			return error_set(error, -EPROTO, "QMP: what answers speaks no QMP");
		}
		if (json_object_get(object, key) || json_object_get(object, "error")) {
			*object_out = object;
			return 0;
		}
		json_decref(object);
	}
}

static int send_all(struct qmp_monitor *qmp, const char *text, size_t bytes, struct error *error)
{
	int64_t until_ms = now_ms() + 1000ll * ANSWER_SECONDS;

	while (bytes > 0) {
		int err = wait_for(qmp, POLLOUT, until_ms, error);
		ssize_t sent;

		if (err)
			return err;
		sent = send(qmp->fd, text, bytes, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			return error_set(error, -errno, "QMP: %s", strerror(errno));
		if (sent > 0) {
			text += sent;
			bytes -= (size_t)sent;
		}
	}
	return 0;
}

static int ask(struct monitor *monitor, json_t *command, json_t **return_out, struct error *error)
{
	struct qmp_monitor *qmp = (struct qmp_monitor *)monitor;
	char *text = json_dumps(command, JSON_COMPACT);
	json_t *answer = NULL;
	const char *why = "";
	int err;

	if (!text)
		return error_set(error, -ENOMEM, "no memory for a command");
	err = send_all(qmp, text, strlen(text), error);
	if (!err)
		err = send_all(qmp, "\n", 1, error);
	free(text);
	if (!err)
		err = wait_object(qmp, "return", &answer, error);
	if (err)
		return err;
	if (json_object_get(answer, "error")) {
		json_unpack(answer, "{s:{s:s}}", "error", "desc", &why);
		err = error_set(error, -EREMOTEIO, "QEMU: %s", why);
	} else {
		*return_out = json_incref(json_object_get(answer, "return"));
	}
	json_decref(answer);
	return err;
}

static void close_qmp(struct monitor *monitor)
{
	struct qmp_monitor *qmp = (struct qmp_monitor *)monitor;

	if (qmp->fd >= 0)
		close(qmp->fd);
	free(qmp->line);
	free(qmp);
}

static int connect_to(struct qmp_monitor *qmp, const char *path, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred peer = {0};
	socklen_t length = sizeof(peer);

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(error, -ENAMETOOLONG, "%s is too long for a socket's name", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	qmp->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (qmp->fd < 0 || connect(qmp->fd, (const struct sockaddr *)&address, sizeof(address)))
		return error_set(error, -errno, "cannot connect to %s: %s", path, strerror(errno));
	if (!getsockopt(qmp->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length))
		qmp->monitor.pid = peer.pid;
	return 0;
}

int source_open_qmp(const char *socket_path, struct source **source_out, struct error *error)
{
	struct qmp_monitor *qmp = calloc(1, sizeof(*qmp));
	json_t *object = NULL;
	int err;

	if (!qmp)
		return error_set(error, -ENOMEM, "no memory for a connection");
	qmp->monitor = (struct monitor){.ask = ask, .close = close_qmp, .name = "QEMU"};
	qmp->fd = -1;
	err = connect_to(qmp, socket_path, error);
	if (!err)
		err = wait_object(qmp, "QMP", &object, error);
	if (!err && !json_object_get(object, "QMP"))
		err = error_set(error, -EPROTO, "QMP: what answers does not greet as QEMU does");
	json_decref(object);
	object = NULL;
	if (!err)
		err = monitor_ask(&qmp->monitor, "qmp_capabilities", NULL, &object, error);
	json_decref(object);
	if (err) {
		close_qmp(&qmp->monitor);
		return err;
	}
	return monitor_source(&qmp->monitor, source_out, error);
}
