/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of the control socket. Other threads leave what is to be sent in a list (post_mutex) and
 * wake the loop by an eventfd; all else is the loop's own.
 */
#include "vmm/service/server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "vmm/service/server_client.h"

/* Events that wait for the loop; more are dropped and counted. */
#define POSTED_EVENTS_MAX 4096u
#define TICK_MS           1000
/* While no descriptor is free for one more client. */
#define BACK_OFF_MS 100

/* Something another thread leaves for the loop. */
struct post {
	struct post *next;
	uint64_t client; /* 0: an event, for all */
	char *text;      /* NULL: no memory, the client ends */
};

struct server {
	struct server_config config;
	int wake_fd;
	struct client *clients[SERVER_CLIENTS_MAX];
	unsigned int nr_clients; /* written by the loop, atomically */
	uint64_t next_id;
	bool no_descriptors; /* accept(2) found none free */
	double last_tick;

	pthread_mutex_t post_mutex;
	struct post *posts, **last_post; /* post_mutex, all up to here and below */
	unsigned int posted_events;
	uint64_t events_dropped;
	bool stopping; /* atomic */
};

/* ---- life ---- */

int server_create(const struct server_config *config, struct server **server_out,
		  struct error *error)
{
	struct server *server = calloc(1, sizeof(*server));

	if (!server)
		return error_set(error, -ENOMEM, "no memory for the control socket");
	server->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (server->wake_fd < 0) {
		int err = -errno;

		free(server);
		return error_set(error, err, "eventfd: %s", strerror(-err));
	}
	server->config = *config;
	server->next_id = 1;
	server->last_post = &server->posts;
	pthread_mutex_init(&server->post_mutex, NULL);
	*server_out = server;
	return 0;
}

void server_destroy(struct server *server)
{
	struct post *post;

	if (!server)
		return;
	while (server->nr_clients > 0)
		client_destroy(server->clients[--server->nr_clients]);
	while ((post = server->posts)) {
		server->posts = post->next;
		free(post->text);
		free(post);
	}
	close(server->config.listen_fd);
	if (server->config.look_fd >= 0)
		close(server->config.look_fd);
	close(server->wake_fd);
	pthread_mutex_destroy(&server->post_mutex);
	free(server);
}

unsigned int server_clients(const struct server *server)
{
	return __atomic_load_n(&server->nr_clients, __ATOMIC_RELAXED);
}

/* ---- what other threads leave ---- */

static void wake(struct server *server)
{
	uint64_t one = 1;
	/* It fails only where the loop is awake by 2^64 - 2 other calls. */
	ssize_t written = write(server->wake_fd, &one, sizeof(one));

	(void)written;
}

void server_stop(struct server *server)
{
	__atomic_store_n(&server->stopping, true, __ATOMIC_RELEASE);
	wake(server);
}

/* Takes @text. */
static void leave(struct server *server, uint64_t client, char *text)
{
	struct post *post = calloc(1, sizeof(*post));

	pthread_mutex_lock(&server->post_mutex);
	if (!post || (!client && server->posted_events == POSTED_EVENTS_MAX)) {
		server->events_dropped += !client;
		pthread_mutex_unlock(&server->post_mutex);
		free(text);
		free(post);
		return;
	}
	post->client = client;
	post->text = text;
	*server->last_post = post;
	server->last_post = &post->next;
	server->posted_events += !client;
	pthread_mutex_unlock(&server->post_mutex);
	wake(server);
}

void server_answer(struct server *server, uint64_t client, json_t *answer)
{
	char *text = answer ? qmp_text(answer) : NULL;

	json_decref(answer);
	leave(server, client, text);
}

void server_event(struct server *server, const json_t *event)
{
	char *text = qmp_text(event);

	if (text)
		leave(server, 0, text);
}

static void deliver_answer(struct server *server, const struct post *post)
{
	unsigned int i;

	for (i = 0; i < server->nr_clients; i++) {
		struct client *client = server->clients[i];

		if (client->id != post->client)
			continue;
		client->busy = false;
		if (post->text)
			client_put(client, post->text);
		else
			client->broken = true;
	}
}

static void deliver(struct server *server)
{
	struct post *post, *next;
	uint64_t dropped;
	unsigned int i;

	pthread_mutex_lock(&server->post_mutex);
	post = server->posts;
	dropped = server->events_dropped;
	server->posts = NULL;
	server->last_post = &server->posts;
	server->posted_events = 0;
	server->events_dropped = 0;
	pthread_mutex_unlock(&server->post_mutex);
	for (; post; post = next) {
		next = post->next;
		if (post->client)
			deliver_answer(server, post);
		for (i = 0; !post->client && i < server->nr_clients; i++)
			client_put_event(server->clients[i], post->text);
		free(post->text);
		free(post);
	}
	for (i = 0; i < server->nr_clients; i++)
		server->clients[i]->events_lost += dropped;
}

/* ---- clients come and go ---- */

/* Says why to somebody who is not let in, as far as that goes without waiting. */
static void turn_away(int fd, const char *why)
{
	char text[256];
	int length =
		snprintf(text, sizeof(text),
			 "{\"error\": {\"class\": \"GenericError\", \"desc\": \"%s\"}}\r\n", why);
	ssize_t sent = send(fd, text, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)sent;
	close(fd);
}

static bool may_enter(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static void let_in(struct server *server, int fd, bool looks)
{
	struct client *client;

	if (!looks && !may_enter(fd)) {
		turn_away(fd, "this guest is another user's");
		return;
	}
	if (server->nr_clients == SERVER_CLIENTS_MAX) {
		turn_away(fd, "too many clients: come back when one has left");
		return;
	}
	client = client_create(fd, server->next_id++, server->config.table, server->config.symbol,
			       server->config.context);
	if (!client) {
		turn_away(fd, "out of memory");
		return;
	}
	qmp_session_allow(client->session, !looks, server->config.unsafe);
	client_put_json(client, qmp_greeting());
	server->clients[server->nr_clients] = client;
	__atomic_store_n(&server->nr_clients, server->nr_clients + 1, __ATOMIC_RELAXED);
}

static void accept_all(struct server *server, int listen_fd, bool looks)
{
	for (;;) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			let_in(server, fd, looks);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		server->no_descriptors = errno == EMFILE || errno == ENFILE;
		return;
	}
}

static void drop_done(struct server *server)
{
	unsigned int i = 0;

	while (i < server->nr_clients) {
		if (!client_done(server->clients[i])) {
			i++;
			continue;
		}
		client_destroy(server->clients[i]);
		server->clients[i] = server->clients[server->nr_clients - 1];
		__atomic_store_n(&server->nr_clients, server->nr_clients - 1, __ATOMIC_RELAXED);
		server->no_descriptors = false;
	}
}

/* ---- their descriptors ---- */

static struct client_fds *fds_of(struct server *server, uint64_t client)
{
	for (unsigned int i = 0; i < server->nr_clients; i++)
		if (server->clients[i]->id == client)
			return &server->clients[i]->fds;
	return NULL;
}

int server_name_fd(struct server *server, uint64_t client, const char *name)
{
	struct client_fds *fds = fds_of(server, client);

	return fds ? client_fds_name(fds, name) : -ENOENT;
}

int server_take_fd(struct server *server, uint64_t client, const char *name)
{
	struct client_fds *fds = fds_of(server, client);

	return fds ? client_fds_take(fds, name) : -ENOENT;
}

/* ---- the loop ---- */

static void serve_client(struct server *server, struct client *client)
{
	struct qmp_request *request;

	client_send(client);
	if (!__atomic_load_n(&server->stopping, __ATOMIC_ACQUIRE)) {
		request = client_next(client);
		if (request)
			server->config.request(server->config.context, client->id, request);
	}
	client_send(client);
}

static short wanted(const struct client *client)
{
	short events = 0;

	if (client->broken)
		return 0;
	if (!client->busy && !client->no_more && client->input_start == client->input_end &&
	    client_backlog(client) < SERVER_EVENT_BACKLOG)
		events |= POLLIN;
	if (client_backlog(client) > 0)
		events |= POLLOUT;
	return events;
}

#define FIXED_FDS 4

static nfds_t fill(const struct server *server, struct pollfd *fds)
{
	unsigned int i;

	fds[0] = (struct pollfd){.fd = server->wake_fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = server->config.signal_fd, .events = POLLIN};
	fds[2] = (struct pollfd){.fd = server->no_descriptors ? -1 : server->config.listen_fd,
				 .events = POLLIN};
	fds[3] = (struct pollfd){.fd = server->no_descriptors ? -1 : server->config.look_fd,
				 .events = POLLIN};
	for (i = 0; i < server->nr_clients; i++) {
		const struct client *client = server->clients[i];
		short events = wanted(client);

		/* A hang-up is reported whatever is asked: once is enough. */
		fds[FIXED_FDS + i] = (struct pollfd){
			.fd = (client->hung_up || client->broken) && !events ? -1 : client->fd,
			.events = events};
	}
	return FIXED_FDS + server->nr_clients;
}

static void take_events(struct server *server, const struct pollfd *fds)
{
	unsigned int i, count = server->nr_clients;
	uint64_t woken;

	if (fds[0].revents && read(server->wake_fd, &woken, sizeof(woken)) < 0 && errno != EAGAIN)
		perror("nestbox: eventfd"); /* cannot happen; the loop looks anyway */
	if (fds[1].revents)
		server->config.signal(server->config.context);
	for (i = 0; i < count; i++) {
		struct client *client = server->clients[i];
		short events = fds[FIXED_FDS + i].revents;

		client->hung_up = client->hung_up || events & (POLLHUP | POLLERR);
		if (events & (POLLIN | POLLHUP | POLLERR) && !client->busy)
			client_receive(client);
	}
	if (fds[2].revents)
		accept_all(server, server->config.listen_fd, false);
	if (fds[3].revents)
		accept_all(server, server->config.look_fd, true);
}

static void tick(struct server *server)
{
	double at = clock_seconds();

	if (at - server->last_tick < TICK_MS / 1000.0)
		return;
	server->last_tick = at;
	for (unsigned int i = 0; server->config.gone && i < server->nr_clients; i++) {
		struct client *client = server->clients[i];

		if (client->gone && client->busy)
			server->config.gone(server->config.context, client->id);
		client->gone = client->hung_up || client->broken;
	}
	if (server->config.tick)
		server->config.tick(server->config.context);
}

static bool all_taken(const struct server *server)
{
	unsigned int i;

	for (i = 0; i < server->nr_clients; i++) {
		const struct client *client = server->clients[i];

		if (client->busy || (!client->broken && client_backlog(client) > 0))
			return false;
	}
	return true;
}

int server_run(struct server *server)
{
	struct pollfd fds[FIXED_FDS + SERVER_CLIENTS_MAX];
	double deadline = 0;
	unsigned int i;

	for (;;) {
		bool stopping = __atomic_load_n(&server->stopping, __ATOMIC_ACQUIRE);
		nfds_t count;

		deliver(server);
		for (i = 0; i < server->nr_clients; i++)
			serve_client(server, server->clients[i]);
		drop_done(server);
		if (stopping && deadline == 0)
			deadline = clock_seconds() + SERVER_LINGER_SECONDS;
		if (stopping && (all_taken(server) || clock_seconds() >= deadline))
			return 0;
		count = fill(server, fds);
		if (poll(fds, count, stopping || server->no_descriptors ? BACK_OFF_MS : TICK_MS) <
			    0 &&
		    errno != EINTR)
			return -errno;
		server->no_descriptors = false;
		take_events(server, fds);
		tick(server);
	}
}
