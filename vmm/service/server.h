/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: clients come and go, their requests are handed on, answers and events go
 * back. One thread runs the loop (server_run()); answers and events may be given by any thread.
 *
 * Clients are strangers to each other. One that floods, stalls, closes half its socket or vanishes
 * hurts nobody else: of each, one request is carried out at a time, in the order sent; nothing more
 * is read from it while one is under way or it does not take its answers; what it has not taken is
 * bounded by one answer and SERVER_EVENT_BACKLOG of events, of which those beyond are counted and
 * dropped (EVENTS_LOST). A client that has closed its sending half still gets its answers. One that
 * is gone loses them; what it asked for is begun within a second or so or not at all, and what can
 * end early does (the configuration's gone()).
 *
 * Only processes of the same user, or root's, are listened to (SO_PEERCRED), but for the socket of
 * those who only look, whose file says who they are.
 */
#ifndef VMM_SERVICE_SERVER_H
#define VMM_SERVICE_SERVER_H

#include "lib/error.h"
#include "vmm/wire/qmp.h"

#define SERVER_CLIENTS_MAX   256u
#define SERVER_EVENT_BACKLOG (1u << 20)
/* How long clients may take for what is still theirs when the server ends. */
#define SERVER_LINGER_SECONDS 2.0

struct server;

struct server_config {
	int listen_fd; /* a listening UNIX stream socket; the server's from then on */
	/* The same for clients that only look, whoever can connect to it; -1: none. */
	int look_fd;
	bool unsafe;   /* clients of the first may give commands that harm the guest (QMP_UNSAFE) */
	int signal_fd; /* read when it can be; stays the caller's; -1: none */
	const struct qmp_table *table;
	qmp_symbol_fn symbol; /* called on the loop's thread */
	void *context;        /* of all callbacks */
	/*
	 * On the loop's thread, must not wait. Takes @request, and must sooner or later answer
	 * @client once (server_answer()).
	 */
	void (*request)(void *context, uint64_t client, struct qmp_request *request);
	/* On the loop's thread: signal_fd can be read. May be NULL without signal_fd. */
	void (*signal)(void *context);
	/*
	 * On the loop's thread, about once a second while it holds: @client has gone, and what it
	 * asked for is not answered. May be NULL.
	 */
	void (*gone)(void *context, uint64_t client);
	/* On the loop's thread, about once a second. May be NULL. */
	void (*tick)(void *context);
};

/* Errors: -ENOMEM, and eventfd(2)'s; listen_fd is then the caller's still. */
int server_create(const struct server_config *config, struct server **server_out,
		  struct error *error);

/* Closes everything. No thread may be using the server. NULL is allowed. */
void server_destroy(struct server *server);

/*
 * Serves until server_stop(), then takes no more requests, and returns when clients have taken what
 * is theirs, or SERVER_LINGER_SECONDS are over. Returns 0, or poll(2)'s -errno.
 */
int server_run(struct server *server);

/* Any thread. */
void server_stop(struct server *server);

/*
 * Sends @answer, whose reference it takes, to @client, if it is still there, and takes its next
 * request. NULL (no memory) ends the client. Any thread.
 */
void server_answer(struct server *server, uint64_t client, json_t *answer);

/* Sends @event (qmp_event()) to every client that has negotiated. Any thread. */
void server_event(struct server *server, const json_t *event);

/*
 * On the loop's thread: of @client, the first descriptor that came last gets @name, which what had
 * it loses; and the one of that name is the caller's, or -ENOENT. Errors of the first: -ENOENT
 * (none came), -EMFILE (too many have names), -ENOMEM.
 */
int server_name_fd(struct server *server, uint64_t client, const char *name);
int server_take_fd(struct server *server, uint64_t client, const char *name);

/* How many clients there are. Any thread. */
unsigned int server_clients(const struct server *server);

#endif
