/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket's server without a guest: slow readers, floods, too many clients, strangers,
 * its end. And the sockets themselves (vmm/wire/runtime.h).
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/harness.h"
#include "vmm/wire/protocol.h"
#include "vmm/wire/runtime.h"
#include "vmm/service/server.h"

#define WAIT_MS 30000

static struct runtime_socket socket_file;
static struct server *server;
static pthread_t loop;
static char directory[80];
static unsigned int requests; /* taken so far */

/* ---- a server whose every command is answered at once, with its id ---- */

static void on_request(void *context, uint64_t client, struct qmp_request *request)
{
	json_t *padding = json_object();

	__atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED);
	/* "value" says how long the answer is to be. */
	if (strcmp(request->command->name, "nop") == 0) {
		size_t size = qmp_get(request, "value")->word;
		char *text = calloc(1, size + 1);

		memset(text, 'x', size);
		json_object_set_new(padding, "padding", json_string(text));
		free(text);
	}
	server_answer(server, client, qmp_return(request, padding));
	qmp_request_free(request);
}

static void *run(void *context)
{
	ck_assert_int_eq(server_run(server), 0);
	return NULL;
}

static void set_up(void)
{
	struct server_config config = {
		.look_fd = -1, .signal_fd = -1, .table = &protocol_table, .request = on_request};
	char path[RUNTIME_PATH_BYTES];
	struct error error;

	snprintf(directory, sizeof(directory), "%s/nestbox-server-XXXXXX", P_tmpdir);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/a.sock", directory);
	ck_assert_int_eq(runtime_listen(path, &socket_file, &error), 0);
	config.listen_fd = socket_file.listen_fd;
	socket_file.listen_fd = -1;
	ck_assert_int_eq(server_create(&config, &server, &error), 0);
	ck_assert_int_eq(pthread_create(&loop, NULL, run, NULL), 0);
}

static void tear_down(void)
{
	server_stop(server);
	pthread_join(loop, NULL);
	server_destroy(server);
	runtime_close(&socket_file);
	ck_assert_int_eq(rmdir(directory), 0);
}

/* ---- clients ---- */

struct hearer {
	int fd;
	size_t start, end;
	char bytes[1 << 16];
};

static json_t *hear(struct hearer *hearer)
{
	struct pollfd ready = {.fd = hearer->fd, .events = POLLIN};
	char *line = NULL, *newline;
	size_t length = 0;
	json_t *json;
	ssize_t got;

	for (;;) {
		size_t here = hearer->end - hearer->start;

		newline = memchr(hearer->bytes + hearer->start, '\n', here);
		if (newline)
			here = (size_t)(newline + 1 - (hearer->bytes + hearer->start));
		line = realloc(line, length + here + 1);
		memcpy(line + length, hearer->bytes + hearer->start, here);
		length += here;
		hearer->start += here;
		if (newline)
			break;
		ck_assert_msg(poll(&ready, 1, WAIT_MS) == 1, "nothing is heard");
		got = recv(hearer->fd, hearer->bytes, sizeof(hearer->bytes), 0);
		if (got <= 0) {
			free(line);
			return NULL;
		}
		hearer->start = 0;
		hearer->end = (size_t)got;
	}
	json = json_loadb(line, length, 0, NULL);
	ck_assert_ptr_nonnull(json);
	free(line);
	return json;
}

static void say(const struct hearer *hearer, const char *text)
{
	ck_assert_int_eq(send(hearer->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static struct hearer *connect_one(void)
{
	struct hearer *hearer = calloc(1, sizeof(*hearer));
	struct error error;

	ck_assert_int_eq(runtime_connect(socket_file.path, &hearer->fd, &error), 0);
	json_decref(hear(hearer));
	say(hearer, "{\"execute\": \"qmp_capabilities\"}");
	json_decref(hear(hearer));
	return hearer;
}

static void leave(struct hearer *hearer)
{
	close(hearer->fd);
	free(hearer);
}

static void send_event(int number)
{
	json_t *event = qmp_event("LOG", json_pack("{s:i, s:s}", "vcpu", number, "text",
						   "so that an event has some length, as the "
						   "guest's lines have, and some more"));

	server_event(server, event);
	json_decref(event);
}

#define EVENTS 20000

START_TEST(a_slow_reader_is_told_how_many_events_it_missed)
{
	struct hearer *slow = connect_one(), *quick = connect_one();
	json_int_t got = 0, lost = 0;
	json_t *event;
	int i, heard = 0;

	for (i = 0; i < EVENTS; i++) {
		send_event(i);
		if (i % 500 != 499)
			continue;
		/* The quick one keeps up, and misses nothing. */
		for (; heard <= i; heard++) {
			event = hear(quick);
			ck_assert_int_eq(json_integer_value(json_object_get(
						 json_object_get(event, "data"), "vcpu")),
					 heard);
			json_decref(event);
		}
	}
	while (got + lost < EVENTS) {
		event = hear(slow);
		if (strcmp(json_string_value(json_object_get(event, "event")), "LOG") == 0)
			got++;
		else
			lost += json_integer_value(
				json_object_get(json_object_get(event, "data"), "count"));
		json_decref(event);
	}
	ck_assert_int_eq(got + lost, EVENTS);
	ck_assert_int_gt(lost, 0);
	ck_assert_int_gt(got, 1000);
	leave(slow);
	leave(quick);
}
END_TEST

#define FLOOD 3000

/* In a process of its own, because it is to be held back. */
static pid_t flood(const struct hearer *hearer)
{
	pid_t pid = fork();
	char text[128];
	int i;

	if (pid)
		return pid;
	for (i = 0; i < FLOOD; i++) {
		snprintf(text, sizeof(text),
			 "{\"execute\": \"nop\", \"arguments\": {\"value\": 4000}, \"id\": %d}\n",
			 i);
		if (send(hearer->fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
			_exit(1);
	}
	_exit(0);
}

START_TEST(who_asks_without_listening_is_held_back_and_loses_nothing)
{
	struct hearer *hearer = connect_one(), *other = connect_one();
	pid_t pid = flood(hearer);
	json_t *answer;
	int i, status;

	usleep(500000);
	say(other, "{\"execute\": \"nop\"}");
	json_decref(hear(other));
	/* Of 12 MB of answers a quarter at most is made for somebody who does not listen. */
	ck_assert_uint_lt(__atomic_load_n(&requests, __ATOMIC_RELAXED), FLOOD / 4);
	for (i = 0; i < FLOOD; i++) {
		answer = hear(hearer);
		ck_assert_int_eq(json_integer_value(json_object_get(answer, "id")), i);
		json_decref(answer);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	leave(hearer);
	leave(other);
}
END_TEST

START_TEST(a_flood_of_errors_is_held_back_too)
{
	struct hearer *hearer = connect_one();
	char *junk = malloc(1 << 20);
	size_t sent = 0, i;
	ssize_t now;

	/* Each second byte is an error. */
	for (i = 0; i < 1 << 20; i++)
		junk[i] = i % 2 ? '\x01' : 'x';
	for (i = 0; i < 200; i++) {
		now = send(hearer->fd, junk, 1 << 20, MSG_NOSIGNAL | MSG_DONTWAIT);
		sent += now > 0 ? (size_t)now : 0;
		usleep(1000);
	}
	ck_assert_uint_lt(sent, 4 << 20);
	free(junk);
	leave(hearer);
}
END_TEST

START_TEST(too_many_clients_are_turned_away_until_one_leaves)
{
	struct hearer *hearers[SERVER_CLIENTS_MAX], last = {0};
	struct error error;
	json_t *answer;
	unsigned int i;

	for (i = 0; i < SERVER_CLIENTS_MAX; i++)
		hearers[i] = connect_one();
	ck_assert_uint_eq(server_clients(server), SERVER_CLIENTS_MAX);
	ck_assert_int_eq(runtime_connect(socket_file.path, &last.fd, &error), 0);
	answer = hear(&last);
	ck_assert_ptr_nonnull(json_object_get(answer, "error"));
	json_decref(answer);
	ck_assert_ptr_null(hear(&last));
	close(last.fd);
	leave(hearers[7]);
	for (i = 0; i < 1000 && server_clients(server) == SERVER_CLIENTS_MAX; i++)
		usleep(1000);
	hearers[7] = connect_one();
	for (i = 0; i < SERVER_CLIENTS_MAX; i++)
		leave(hearers[i]);
}
END_TEST

/* Connects as another user; returns what is heard first. */
static int stranger(void)
{
	struct hearer hearer = {0};
	struct error error;
	json_t *answer;

	if (setuid(65534) != 0 || runtime_connect(socket_file.path, &hearer.fd, &error) != 0)
		return 2;
	answer = hear(&hearer);
	return json_object_get(answer, "error") && !hear(&hearer) ? 0 : 1;
}

START_TEST(strangers_are_not_let_in)
{
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		fprintf(stderr, "strangers_are_not_let_in: only root can be somebody else\n");
		return;
	}
	/* The mode alone would keep them out: that it was changed must not let them in. */
	ck_assert_int_eq(chmod(directory, 0755), 0);
	ck_assert_int_eq(chmod(socket_file.path, 0666), 0);
	pid = fork();
	if (pid == 0)
		_exit(stranger());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(the_end_gives_everybody_what_is_theirs)
{
	struct hearer *hearer = connect_one();
	json_t *answer;

	say(hearer, "{\"execute\": \"nop\", \"arguments\": {\"value\": 100000}, \"id\": 1}");
	send_event(1);
	usleep(50000);
	server_stop(server);
	answer = hear(hearer);
	while (json_object_get(answer, "event")) {
		json_decref(answer);
		answer = hear(hearer);
	}
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "id")), 1);
	json_decref(answer);
	leave(hearer);
}
END_TEST

/* ---- sockets ---- */

START_TEST(a_socket_is_served_once)
{
	struct runtime_socket second;
	struct error error;

	ck_assert_int_eq(runtime_listen(socket_file.path, &second, &error), -EADDRINUSE);
	ck_assert(!runtime_remove_dead(socket_file.path));
	ck_assert_int_eq(access(socket_file.path, F_OK), 0);
}
END_TEST

/* What a service that was killed leaves behind. */
static void leave_dead(const char *path)
{
	struct runtime_socket dead;
	struct error error;
	pid_t pid = fork();

	if (pid == 0)
		_exit(runtime_listen(path, &dead, &error) ? 1 : 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(access(path, F_OK), 0);
}

START_TEST(a_dead_socket_is_taken_away_or_taken_over)
{
	struct runtime_socket again;
	struct error error;
	char path[RUNTIME_PATH_BYTES];
	int fd;

	snprintf(path, sizeof(path), "%s/dead.sock", directory);
	leave_dead(path);
	ck_assert_int_eq(runtime_connect(path, &fd, &error), -ECONNREFUSED);
	ck_assert(runtime_remove_dead(path));
	ck_assert_int_ne(access(path, F_OK), 0);
	leave_dead(path);
	ck_assert_int_eq(runtime_listen(path, &again, &error), 0);
	ck_assert_int_eq(runtime_connect(path, &fd, &error), 0);
	close(fd);
	runtime_close(&again);
}
END_TEST

START_TEST(what_is_no_socket_is_left_alone)
{
	struct runtime_socket made;
	struct error error;
	char path[RUNTIME_PATH_BYTES];
	FILE *file;

	snprintf(path, sizeof(path), "%s/file.sock", directory);
	file = fopen(path, "w");
	fclose(file);
	ck_assert_int_eq(runtime_listen(path, &made, &error), -EEXIST);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(names_are_plain)
{
	static const char *const bad[] = {
		"",
		".",
		"..",
		".a",
		"-a",
		"_a",
		"a/b",
		"a b",
		"a\nb",
		"\xc3\xa4",
		"0123456789012345678901234567890123456789012345678901234567890123"};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!runtime_name_ok(bad[i]), "'%s'", bad[i]);
	ck_assert(runtime_name_ok("a"));
	ck_assert(runtime_name_ok("Guest-7_x.y"));
}
END_TEST

START_TEST(the_directory_must_be_ones_own)
{
	char path[RUNTIME_PATH_BYTES], own[160];
	struct error error;

	ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
	snprintf(own, sizeof(own), "%s/nestbox", directory);
	ck_assert_int_eq(runtime_path("a", true, path, &error), 0);
	ck_assert_ptr_nonnull(strstr(path, "/nestbox/a.sock"));
	ck_assert_int_eq(chmod(own, 0777), 0);
	ck_assert_int_eq(runtime_path("a", true, path, &error), -EPERM);
	ck_assert_int_eq(runtime_path("../a", true, path, &error), -EINVAL);
	ck_assert_int_eq(rmdir(own), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("server");
	TCase *clients = tcase_create("clients");

	tcase_set_timeout(clients, 2 * WAIT_MS / 1000);
	tcase_add_checked_fixture(clients, set_up, tear_down);
	tcase_add_test(clients, a_slow_reader_is_told_how_many_events_it_missed);
	tcase_add_test(clients, who_asks_without_listening_is_held_back_and_loses_nothing);
	tcase_add_test(clients, a_flood_of_errors_is_held_back_too);
	tcase_add_test(clients, too_many_clients_are_turned_away_until_one_leaves);
	tcase_add_test(clients, strangers_are_not_let_in);
	tcase_add_test(clients, the_end_gives_everybody_what_is_theirs);
	tcase_add_test(clients, a_socket_is_served_once);
	tcase_add_test(clients, a_dead_socket_is_taken_away_or_taken_over);
	tcase_add_test(clients, what_is_no_socket_is_left_alone);
	tcase_add_test(clients, names_are_plain);
	tcase_add_test(clients, the_directory_must_be_ones_own);
	suite_add_tcase(suite, clients);
	return harness_run(suite);
}
