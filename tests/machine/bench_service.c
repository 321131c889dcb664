/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long the control socket takes: round trips of one client, and calls a second of many at
 * once. Not a test.
 *
 *     bench_service SOCKET [CLIENTS [CALLS]]     of a guest that nestbox run started
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 256

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "bench_service: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* Reads up to the end of a line; how many bytes. */
static size_t hear(int fd)
{
	static char bytes[1 << 20];
	size_t size = 0;
	ssize_t got;

	do {
		got = recv(fd, bytes, sizeof(bytes), 0);
		if (got <= 0)
			die("recv");
		size += (size_t)got;
	} while (bytes[got - 1] != '\n');
	return size;
}

static void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		die("send");
}

static int open_client(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		die(path);
	hear(fd);
	say(fd, "{\"execute\": \"qmp_capabilities\"}");
	hear(fd);
	return fd;
}

static int by_time(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void round_trips(const char *path, const char *name, const char *command, unsigned int calls)
{
	double *seconds = calloc(calls, sizeof(*seconds)), start;
	int fd = open_client(path);
	size_t bytes = 0;
	unsigned int i;

	for (i = 0; i < calls; i++) {
		start = now();
		say(fd, command);
		bytes = hear(fd);
		seconds[i] = now() - start;
	}
	qsort(seconds, calls, sizeof(*seconds), by_time);
	printf("%-14s p50 %8.1f us   p99 %8.1f us   max %8.1f us   %zu bytes\n", name,
	       seconds[calls / 2] * 1e6, seconds[calls * 99 / 100] * 1e6, seconds[calls - 1] * 1e6,
	       bytes);
	free(seconds);
	close(fd);
}

/* Every client has one command under way all the time. */
static void many(const char *path, unsigned int clients, unsigned int calls)
{
	static const char text[] = "{\"execute\": \"query-walk\", \"arguments\": {\"address\": "
				   "\"0xffffffff80200000\"}}\n";
	struct pollfd fds[CLIENTS_MAX];
	unsigned int left[CLIENTS_MAX], open = clients, i;
	double start;

	for (i = 0; i < clients; i++) {
		fds[i] = (struct pollfd){.fd = open_client(path), .events = POLLIN};
		left[i] = calls;
	}
	start = now();
	for (i = 0; i < clients; i++)
		say(fds[i].fd, text);
	while (open > 0 && poll(fds, clients, -1) > 0) {
		for (i = 0; i < clients; i++) {
			if (!fds[i].revents)
				continue;
			hear(fds[i].fd);
			if (--left[i] > 0) {
				say(fds[i].fd, text);
				continue;
			}
			close(fds[i].fd);
			fds[i].fd = -1;
			open--;
		}
	}
	printf("%u clients at once: %.0f walks a second\n", clients,
	       clients * calls / (now() - start));
}

int main(int argc, char **argv)
{
	unsigned int clients = argc > 2 ? (unsigned int)atoi(argv[2]) : 64;
	unsigned int calls = argc > 3 ? (unsigned int)atoi(argv[3]) : 1000;

	if (argc < 2 || clients < 1 || clients > CLIENTS_MAX || calls < 1) {
		fprintf(stderr, "usage: bench_service SOCKET [CLIENTS [CALLS]]\n");
		return 2;
	}
	round_trips(argv[1], "query-status", "{\"execute\": \"query-status\"}\n", calls);
	round_trips(argv[1], "query-walk",
		    "{\"execute\": \"query-walk\", \"arguments\": {\"address\": "
		    "\"0xffffffff80200000\"}}\n",
		    calls);
	round_trips(argv[1], "nop", "{\"execute\": \"nop\"}\n", calls);
	many(argv[1], clients, calls / 10 + 1);
	return 0;
}
