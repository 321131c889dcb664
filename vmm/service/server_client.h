/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One client of the control socket: its descriptor, its session, what it sent and is not yet read,
 * what it is to be sent. For vmm/service/server.c; on its thread alone.
 */
#ifndef VMM_SERVICE_SERVER_CLIENT_H
#define VMM_SERVICE_SERVER_CLIENT_H

#include <sys/types.h>

#include "vmm/wire/qmp.h"

#define CLIENT_INPUT_BYTES 16384u

/* Descriptors of a client's: those that came last and nobody took, and those with a name. */
#define CLIENT_FDS_RECEIVED 4u
#define CLIENT_FDS_NAMED    8u

struct client_fds {
	unsigned int received;
	int fd[CLIENT_FDS_RECEIVED];
	struct client_fd {
		char *name; /* NULL: free */
		int fd;
	} named[CLIENT_FDS_NAMED];
};

/* recv(2) without waiting; what came with the bytes replaces what was not taken. server_fds.c */
ssize_t client_fds_receive(struct client_fds *fds, int socket, void *bytes, size_t size);
/* As server_name_fd() and server_take_fd(). */
int client_fds_name(struct client_fds *fds, const char *name);
int client_fds_take(struct client_fds *fds, const char *name);
/* Closes all. */
void client_fds_close(struct client_fds *fds);

struct client {
	uint64_t id; /* never 0, never used twice */
	int fd;
	struct qmp_session *session;
	char input[CLIENT_INPUT_BYTES]; /* [input_start, input_end) is to be fed */
	size_t input_start, input_end;
	char *output; /* [output_start, output_end) is to be sent */
	size_t output_start, output_end, output_room;
	uint64_t events_lost;
	struct client_fds fds;
	bool busy;     /* a request of its is under way */
	bool no_more;  /* it will send nothing more */
	bool end_told; /* and a cut-off command was answered */
	bool hung_up;  /* it is gone, both ways */
	bool gone;     /* it was already when the server's last tick came */
	bool broken;   /* to be dropped, when no request of its is under way */
};

/* Takes @fd; NULL for want of memory, @fd is then the caller's still. */
struct client *client_create(int fd, uint64_t id, const struct qmp_table *table,
			     qmp_symbol_fn symbol, void *context);
void client_destroy(struct client *client);

/* What it has not taken yet. */
size_t client_backlog(const struct client *client);

/* Puts text behind what is to be sent; breaks the client for want of memory. */
void client_put(struct client *client, const char *text);
void client_put_json(struct client *client, json_t *message); /* takes the reference */

/* Puts an event, unless the backlog is full: then it is counted. */
void client_put_event(struct client *client, const char *text);

/* Reads and writes as much as goes without waiting. */
void client_receive(struct client *client);
void client_send(struct client *client);

/*
 * The next request of the input, if there is one and the client may ask: NULL otherwise. Answers
 * what is in no order by itself. The caller answers the request and clears busy.
 */
struct qmp_request *client_next(struct client *client);

/* Nothing is left to do for it. */
bool client_done(const struct client *client);

#endif
