/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest under a control socket, and clients, for tests. */
#include "tests/machine/service_client.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/engine.h"

#define ARGS_MAX 32

const char *served_directory(void)
{
	static char directory[96];

	if (!directory[0]) {
		snprintf(directory, sizeof(directory), "%s/nestbox-test-XXXXXX", P_tmpdir);
		if (!mkdtemp(directory)) {
			perror(directory);
			exit(EXIT_FAILURE);
		}
	}
	return directory;
}

void served_remove_directory(void)
{
	const char *path = served_directory();
	struct dirent *entry;
	DIR *directory = opendir(path);

	while (directory && (entry = readdir(directory)))
		unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	rmdir(path);
}

/* ---- programs ---- */

/* Its output and errors go to @out. */
static pid_t start_program(const char *const *argv, int out)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, 1);
	dup2(out, 2);
	execv(argv[0], (char *const *)argv);
	perror(argv[0]);
	_exit(127);
}

static int status_of(int wait_status)
{
	return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

int run_program(const char *const *argv, char *text, size_t size)
{
	int fds[2], status;
	size_t used = 0;
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = start_program(argv, fds[1]);
	close(fds[1]);
	while ((got = read(fds[0], text + used, size - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = '\0';
	close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status_of(status);
}

void served_start(struct served *served, const char *name, const char *const *more)
{
	const char *argv[ARGS_MAX] = {
		"./nestbox", "run",      "--json",     "--unsafe", "--dump-dir",
		"/",         "--socket", served->path, "--kvm",    harness_engine_name()};
	char line[256] = "";
	struct pollfd poll_fd;
	size_t count = 10;
	int fds[2];

	snprintf(served->path, sizeof(served->path), "%s/%s.sock", served_directory(), name);
	for (; *more; more++)
		argv[count++] = *more;
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	served->pid = start_program(argv, fds[1]);
	close(fds[1]);
	poll_fd = (struct pollfd){.fd = fds[0], .events = POLLIN};
	ck_assert_int_eq(poll(&poll_fd, 1, WAIT_SECONDS * 1000), 1);
	ck_assert_int_gt(read(fds[0], line, sizeof(line) - 1), 0);
	ck_assert_msg(strstr(line, "\"socket\""), "nestbox run: %s", line);
	/* What it says goes nowhere from now on. */
	close(fds[0]);
}

int served_wait(struct served *served)
{
	int status, i;

	for (i = 0; i < WAIT_SECONDS * 100; i++) {
		if (waitpid(served->pid, &status, WNOHANG) == served->pid)
			return status_of(status);
		usleep(10000);
	}
	kill(served->pid, SIGKILL);
	waitpid(served->pid, &status, 0);
	ck_abort_msg("nestbox run does not end");
	return -1;
}

/* ---- clients ---- */

int client_open(const struct served *served, bool raw)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	json_t *greeting;

	ck_assert_int_ge(fd, 0);
	strcpy(address.sun_path, served->path);
	ck_assert_msg(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "%s: %s",
		      served->path, strerror(errno));
	greeting = client_hear(fd);
	ck_assert_ptr_nonnull(json_object_get(greeting, "QMP"));
	json_decref(greeting);
	if (!raw)
		json_decref(client_return(fd, "{\"execute\": \"qmp_capabilities\"}"));
	return fd;
}

bool client_say(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size > 0) {
		ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return false;
		at += sent;
		size -= (size_t)sent;
	}
	return true;
}

bool client_say_text(int fd, const char *text)
{
	return client_say(fd, text, strlen(text));
}

/* One byte at a time: nothing of the next message is taken. */
json_t *client_hear(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	size_t room = 4096, used = 0;
	char *line = malloc(room);
	json_t *message = NULL;
	ssize_t got;

	for (;;) {
		ck_assert_msg(poll(&poll_fd, 1, WAIT_SECONDS * 1000) == 1, "nothing is heard");
		got = recv(fd, line + used, 1, 0);
		if (got <= 0)
			break;
		if (line[used++] == '\n')
			break;
		if (used == room)
			line = realloc(line, room *= 2);
	}
	if (got > 0) {
		ck_assert_uint_ge(used, 2);
		ck_assert_msg(line[used - 2] == '\r', "a line without CRLF");
		message = json_loadb(line, used, 0, NULL);
		ck_assert_ptr_nonnull(message);
	}
	free(line);
	return message;
}

json_t *client_hear_event(int fd, const char *name)
{
	json_t *message;

	while ((message = client_hear(fd))) {
		const char *event = json_string_value(json_object_get(message, "event"));

		if (event && strcmp(event, name) == 0)
			return message;
		json_decref(message);
	}
	ck_abort_msg("no event %s came before the end", name);
	return NULL;
}

json_t *client_ask(int fd, const char *text)
{
	json_t *message;

	ck_assert(client_say_text(fd, text));
	while ((message = client_hear(fd)) && json_object_get(message, "event"))
		json_decref(message);
	return message;
}

json_t *client_return(int fd, const char *text)
{
	json_t *message = client_ask(fd, text), *value = json_object_get(message, "return");
	char *shown = json_dumps(message, JSON_ENCODE_ANY);

	ck_assert_msg(value != NULL, "%s: %s", text, shown ? shown : "no answer");
	free(shown);
	json_incref(value);
	json_decref(message);
	return value;
}

void client_refused(int fd, const char *text, const char *part)
{
	json_t *message = client_ask(fd, text);
	const char *desc =
		json_string_value(json_object_get(json_object_get(message, "error"), "desc"));

	ck_assert_msg(desc != NULL, "%.200s: not refused", text);
	ck_assert_msg(strstr(desc, part) != NULL, "%.200s: refused with '%s'", text, desc);
	json_decref(message);
}

json_t *client_do(int fd, const char *command, const char *format, ...)
{
	char arguments[512], text[640], *at;
	va_list args;

	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	for (at = arguments; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	snprintf(text, sizeof(text), "{\"execute\": \"%s\", \"arguments\": {%s}}", command,
		 arguments);
	return client_return(fd, text);
}

uint64_t member_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	ck_assert_msg(json_is_string(value) || json_is_integer(value), "%s", key);
	return json_is_string(value) ? strtoull(json_string_value(value), NULL, 16)
				     : (uint64_t)json_integer_value(value);
}

const char *member_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	ck_assert_msg(text != NULL, "%s", key);
	return text;
}
