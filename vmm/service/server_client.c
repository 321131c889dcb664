/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One client: bytes in, bytes out. */
#include "vmm/service/server_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/service/server.h"

/* A client that has so much to take is asked nothing more. */
#define BACKLOG_FULL SERVER_EVENT_BACKLOG

struct client *client_create(int fd, uint64_t id, const struct qmp_table *table,
			     qmp_symbol_fn symbol, void *context)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->session = qmp_session_create(table, symbol, context);
	if (!client->session) {
		free(client);
		return NULL;
	}
	client->fd = fd;
	client->id = id;
	return client;
}

void client_destroy(struct client *client)
{
	if (!client)
		return;
	close(client->fd);
	client_fds_close(&client->fds);
	qmp_session_destroy(client->session);
	free(client->output);
	free(client);
}

/* ---- output ---- */

size_t client_backlog(const struct client *client)
{
	return client->output_end - client->output_start;
}

/* Makes room for @bytes behind what is there. */
static bool make_room(struct client *client, size_t bytes)
{
	size_t backlog = client_backlog(client), room = client->output_room;
	char *output;

	if (client->output_end + bytes <= room)
		return true;
	if (client->output_start > 0)
		memmove(client->output, client->output + client->output_start, backlog);
	client->output_start = 0;
	client->output_end = backlog;
	if (backlog + bytes <= room)
		return true;
	if (!room)
		room = 4096;
	while (room < backlog + bytes)
		room *= 2;
	output = realloc(client->output, room);
	if (!output)
		return false;
	client->output = output;
	client->output_room = room;
	return true;
}

void client_put(struct client *client, const char *text)
{
	size_t bytes = strlen(text);

	if (client->broken || !make_room(client, bytes)) {
		client->broken = true;
		return;
	}
	memcpy(client->output + client->output_end, text, bytes);
	client->output_end += bytes;
}

void client_put_json(struct client *client, json_t *message)
{
	char *text = message ? qmp_text(message) : NULL;

	if (text)
		client_put(client, text);
	else
		client->broken = true;
	free(text);
	json_decref(message);
}

void client_put_event(struct client *client, const char *text)
{
	if (!qmp_session_ready(client->session))
		return;
	if (client_backlog(client) >= SERVER_EVENT_BACKLOG)
		client->events_lost++;
	else
		client_put(client, text);
}

/* All was taken: says how many events it missed, and gives a large buffer back. */
static void caught_up(struct client *client)
{
	client->output_start = client->output_end = 0;
	if (client->output_room > 65536) {
		free(client->output);
		client->output = NULL;
		client->output_room = 0;
	}
	if (client->events_lost) {
		client_put_json(client, qmp_event("EVENTS_LOST",
						  json_pack("{s:I}", "count",
							    (json_int_t)client->events_lost)));
		client->events_lost = 0;
	}
}

void client_send(struct client *client)
{
	while (client_backlog(client) > 0 && !client->broken) {
		ssize_t sent = send(client->fd, client->output + client->output_start,
				    client_backlog(client), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (sent < 0 && errno != EINTR)
			client->broken = true;
		if (sent > 0)
			client->output_start += (size_t)sent;
		if (client_backlog(client) == 0)
			caught_up(client);
	}
}

/* ---- input ---- */

void client_receive(struct client *client)
{
	ssize_t got;

	if (client->no_more || client->input_start < client->input_end)
		return;
	got = client_fds_receive(&client->fds, client->fd, client->input, sizeof(client->input));
	if (got > 0) {
		client->input_start = 0;
		client->input_end = (size_t)got;
	} else if (got == 0) {
		client->no_more = true;
	} else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		client->broken = true;
	}
}

/* Feeds the session until something comes of it. */
static enum qmp_outcome feed(struct client *client, struct qmp_request **request_out,
			     json_t **answer_out)
{
	size_t taken;
	enum qmp_outcome outcome;

	outcome = qmp_session_feed(client->session, client->input + client->input_start,
				   client->input_end - client->input_start, &taken, request_out,
				   answer_out);
	client->input_start += taken;
	return outcome;
}

struct qmp_request *client_next(struct client *client)
{
	struct qmp_request *request = NULL;
	json_t *answer = NULL;

	while (!client->busy && !client->broken && client_backlog(client) < BACKLOG_FULL &&
	       client->input_start < client->input_end) {
		switch (feed(client, &request, &answer)) {
		case QMP_REQUEST:
			client->busy = true;
			return request;
		case QMP_ANSWER:
			client_put_json(client, answer);
			break;
		case QMP_NO_MEMORY:
			client->broken = true;
			break;
		case QMP_MORE:
			break;
		}
	}
	if (client->no_more && !client->busy && !client->end_told &&
	    client->input_start == client->input_end) {
		client->end_told = true;
		answer = qmp_session_end(client->session);
		if (answer)
			client_put_json(client, answer);
	}
	return NULL;
}

bool client_done(const struct client *client)
{
	/* What it asked for is cancelled first: it stays until that is over. */
	return !client->busy &&
	       (client->broken || (client->end_told && client_backlog(client) == 0));
}
