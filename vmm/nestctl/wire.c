/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nestctl's end of the control socket. What comes is taken as a guest's word, bounded and checked.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/printable.h"
#include "vmm/nestctl/nestctl.h"
#include "vmm/wire/runtime.h"

/* So long one waits without a word. */
#define SILENCE_MILLISECONDS 3000

/* So often one looks whether Ctrl-C was typed meanwhile. */
#define LOOK_MILLISECONDS 200

/* So long a service may take to begin: it listens before its guest has started. */
#define GREETING_SECONDS 60

/* No service sends a longer line. */
#define LINE_BYTES_MAX (64u << 20)

struct ctl_wire {
	int fd;
	char path[RUNTIME_PATH_BYTES];
	const char *asking; /* the command that an answer is awaited of; NULL: none */
	char job[48];       /* the id it is sent with: one at a time is */
	bool told;          /* that one waits */
	bool own_signals;   /* whoever asks sees to Ctrl-C */
	bool cancelled;     /* the command was, because of Ctrl-C */
	char *bytes;        /* [start, end) is not yet read */
	size_t start, end, room;
};

/* ---- lines ---- */

/* Ctrl-C while an answer is awaited: the first cancels what was asked for, the next ends this. */
static volatile sig_atomic_t interrupts;

static void on_interrupt(int number)
{
	if (interrupts++ == 0)
		return;
	signal(number, SIG_DFL);
	raise(number);
}

int ctl_cancel(const struct ctl_wire *wire)
{
	struct ctl_wire *other;
	json_t *value = NULL;
	struct error error;
	int err = ctl_connect(wire->path, &other, &error);

	if (err)
		return err;
	other->own_signals = true;
	err = ctl_ask(other, "cancel", json_pack("{s:s}", "job", wire->job), &value, &error);
	json_decref(value);
	ctl_disconnect(other);
	return err;
}

/* Nobody waits in silence, or without a way to end it. Returns when something is there to read. */
static void await(struct ctl_wire *wire)
{
	struct pollfd ready = {.fd = wire->fd, .events = POLLIN};
	int waited = 0;

	while (wire->asking && poll(&ready, 1, LOOK_MILLISECONDS) <= 0) {
		if (interrupts && !wire->own_signals && !wire->cancelled) {
			wire->cancelled = true;
			(void)ctl_cancel(wire);
		}
		waited += LOOK_MILLISECONDS;
		if (wire->told || waited < SILENCE_MILLISECONDS)
			continue;
		wire->told = true;
		fprintf(stderr,
			"nestctl: still waiting for %s; Ctrl-C ends it, nestctl status says what "
			"the guest does\n",
			wire->asking);
	}
}

static int receive(struct ctl_wire *wire)
{
	ssize_t got;

	if (wire->start > 0) {
		memmove(wire->bytes, wire->bytes + wire->start, wire->end - wire->start);
		wire->end -= wire->start;
		wire->start = 0;
	}
	if (wire->end == wire->room) {
		size_t room = wire->room ? 2 * wire->room : 65536;
		char *bytes = room <= LINE_BYTES_MAX ? realloc(wire->bytes, room) : NULL;

		if (!bytes)
			return -ENOMEM;
		wire->bytes = bytes;
		wire->room = room;
	}
	await(wire);
	do
		got = recv(wire->fd, wire->bytes + wire->end, wire->room - wire->end, 0);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got < 0 ? -errno : -EPIPE;
	wire->end += (size_t)got;
	return 0;
}

/* QEMU's monitor ends its lines with both. */
static void drop_returns(char *text)
{
	char *to = text;

	for (; *text; text++)
		if (text[0] != '\r' || text[1] != '\n')
			*to++ = *text;
	*to = '\0';
}

/* Makes all texts of @json fit for a terminal. False: it has a key that is not, as no guest's has.
 */
static bool clean(json_t *json)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_string(json)) {
		char *text = strdup(json_string_value(json));
		bool set;

		if (text) {
			drop_returns(text);
			printable_utf8(text, "\n\t");
		}
		set = text && json_string_set(json, text) == 0;
		free(text);
		return set;
	}
	json_array_foreach (json, i, value) {
		if (!clean(value))
			return false;
	}
	json_object_foreach (json, key, value) {
		for (i = 0; key[i]; i++) {
			if (!is_printable(key[i]))
				return false;
		}
		if (!clean(value))
			return false;
	}
	return true;
}

/* The next message. Errors: -EPIPE, -EPROTO. */
static int next_message(struct ctl_wire *wire, json_t **message_out, struct error *error)
{
	json_t *message;
	size_t seen = 0;
	char *newline;
	int err;

	for (;;) {
		size_t length = wire->end - wire->start;

		newline = length > seen
				  ? memchr(wire->bytes + wire->start + seen, '\n', length - seen)
				  : NULL;
		if (newline)
			break;
		seen = length;
		err = receive(wire);
		if (err)
			return error_set(
				error, err == -EPIPE ? -EPIPE : -EPROTO,
				err == -EPIPE ? "the guest has gone"
				: err == -EAGAIN
					? "whoever is there does not say that it is a guest"
					: "the guest's socket: %s",
				strerror(-err));
	}
	message = json_loadb(wire->bytes + wire->start,
			     (size_t)(newline - (wire->bytes + wire->start)), 0, NULL);
	wire->start = (size_t)(newline + 1 - wire->bytes);
	if (!json_is_object(message) || !clean(message)) {
		json_decref(message);
		return error_set(error, -EPROTO, "what answers is no guest");
	}
	*message_out = message;
	return 0;
}

static int send_all(struct ctl_wire *wire, const char *text, size_t bytes, struct error *error)
{
	while (bytes > 0) {
		ssize_t sent = send(wire->fd, text, bytes, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return error_set(error, -EPIPE, "the guest has gone");
		text += sent;
		bytes -= (size_t)sent;
	}
	return 0;
}

/* ---- asking ---- */

/* How far what was asked for is, on a terminal. */
static void show_progress(struct ctl_wire *wire, const json_t *data)
{
	uint64_t done = ctl_number(data, "done"), total = ctl_number(data, "total");

	if (!isatty(STDERR_FILENO) || strcmp(ctl_text(data, "job"), wire->job) != 0)
		return;
	/* It is seen that one waits. */
	wire->told = true;
	fprintf(stderr, "\r\033[K%s: %" PRIu64, ctl_text(data, "command"), done);
	if (total)
		fprintf(stderr, " of %" PRIu64 " (%.0f%%)", total,
			100.0 * (double)done / (double)total);
	fflush(stderr);
}

/* What an event says of the wait for an answer: how far things are, who is held. */
static void show_event(struct ctl_wire *wire, const json_t *event)
{
	const char *name = ctl_text(event, "event");
	const json_t *data = json_object_get(event, "data");
	uint64_t vcpu = ctl_number(data, "vcpu");

	if (strcmp(name, "PROGRESS") == 0)
		show_progress(wire, data);
	if (strcmp(name, "TRAP") == 0 && strcmp(ctl_text(data, "policy"), "hold") == 0)
		fprintf(stderr,
			"nestctl: vCPU %" PRIu64 " is held by trap %" PRIu64
			": nestctl ept release %" PRIu64 " go\n",
			vcpu, ctl_number(data, "trap"), vcpu);
}

/* What is no event. */
static int next_answer(struct ctl_wire *wire, json_t **answer_out, struct error *error)
{
	json_t *message;
	int err;

	while (!(err = next_message(wire, &message, error)) && json_object_get(message, "event")) {
		show_event(wire, message);
		json_decref(message);
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	if (!err)
		*answer_out = message;
	return err;
}

int ctl_ask_raw(struct ctl_wire *wire, const char *text, json_t **answer_out, struct error *error)
{
	char *line;
	int err;

	/* In one piece: a guest that is told to end has gone before a second one comes. */
	if (asprintf(&line, "%s\n", text) < 0)
		return error_set(error, -ENOMEM, "out of memory");
	err = send_all(wire, line, strlen(line), error);
	free(line);
	return err ? err : next_answer(wire, answer_out, error);
}

bool ctl_asked_wrongly(const json_t *error)
{
	const char *class = json_string_value(json_object_get(error, "class"));

	return json_object_get(error, "argument") || (class && !strcmp(class, "CommandNotFound"));
}

int ctl_ask(struct ctl_wire *wire, const char *command, json_t *arguments, json_t **return_out,
	    struct error *error)
{
	struct sigaction interrupt = {.sa_handler = on_interrupt}, before;
	json_t *answer = NULL, *value, *message;
	char *text;
	int err;

	message = json_pack("{s:s, s:s}", "execute", command, "id", wire->job);
	if (arguments)
		json_object_set_new(message, "arguments", arguments);
	text = json_dumps(message, JSON_COMPACT);
	json_decref(message);
	if (!text)
		return error_set(error, -ENOMEM, "out of memory");
	wire->asking = command;
	wire->told = wire->cancelled = false;
	if (!wire->own_signals) {
		interrupts = 0;
		sigaction(SIGINT, &interrupt, &before);
	}
	err = ctl_ask_raw(wire, text, &answer, error);
	if (!wire->own_signals)
		sigaction(SIGINT, &before, NULL);
	wire->asking = NULL;
	free(text);
	if (err)
		return err;
	value = json_object_get(answer, "return");
	if (json_is_object(value) || json_is_array(value) || json_is_string(value))
		*return_out = json_incref(value);
	else if (json_is_object(json_object_get(answer, "error")))
		err = error_set(
			error,
			ctl_asked_wrongly(json_object_get(answer, "error")) ? -EINVAL : -EREMOTEIO,
			"%s",
			json_string_value(json_object_get(json_object_get(answer, "error"), "desc"))
				?: "an error without a word");
	else
		err = error_set(error, -EPROTO, "what answers is no guest");
	json_decref(answer);
	return err;
}

int ctl_watch(struct ctl_wire *wire, ctl_event_fn event, void *context, struct error *error)
{
	json_t *message;
	int err, over = 0;

	while (!over) {
		err = next_message(wire, &message, error);
		if (err)
			return err == -EPIPE ? 0 : err;
		if (json_object_get(message, "event"))
			over = event(context, message);
		json_decref(message);
	}
	return 0;
}

/* ---- life ---- */

int ctl_connect(const char *path, struct ctl_wire **wire_out, struct error *error)
{
	static unsigned int connections; /* so that no two have one id */
	struct ctl_wire *wire = calloc(1, sizeof(*wire));
	json_t *greeting = NULL, *value = NULL;
	const struct timeval patience = {.tv_sec = GREETING_SECONDS}, for_ever = {0};
	int err;

	if (!wire)
		return error_set(error, -ENOMEM, "out of memory");
	snprintf(wire->path, sizeof(wire->path), "%s", path);
	snprintf(wire->job, sizeof(wire->job), "nestctl-%d-%u", (int)getpid(),
		 __atomic_add_fetch(&connections, 1, __ATOMIC_RELAXED));
	err = runtime_connect(path, &wire->fd, error);
	if (err) {
		free(wire);
		return err;
	}
	setsockopt(wire->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	wire->asking = "its greeting";
	err = next_message(wire, &greeting, error);
	wire->asking = NULL;
	setsockopt(wire->fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof(for_ever));
	if (!err && !json_object_get(greeting, "QMP"))
		err = error_set(error, -EPROTO, "%s: %s", path,
				json_string_value(
					json_object_get(json_object_get(greeting, "error"), "desc"))
					?: "what answers is no guest");
	if (!err)
		err = ctl_ask(wire, "qmp_capabilities", NULL, &value, error);
	json_decref(greeting);
	json_decref(value);
	if (err)
		ctl_disconnect(wire);
	else
		*wire_out = wire;
	return err;
}

void ctl_own_signals(struct ctl_wire *wire, bool own)
{
	wire->own_signals = own;
}

bool ctl_was_cancelled(const struct ctl_wire *wire)
{
	return wire->cancelled;
}

const char *ctl_wire_path(const struct ctl_wire *wire)
{
	return wire->path;
}

void ctl_disconnect(struct ctl_wire *wire)
{
	if (!wire)
		return;
	close(wire->fd);
	free(wire->bytes);
	free(wire);
}

/* ---- lists in pieces ---- */

/* So much is asked for at most, however a service goes on: entries, and pieces without any. */
#define ENTRIES_MAX 16000000u
#define EMPTY_MAX   1000u

/* Whether a service that says @next goes on like one that ends. Counts what it gave. */
static bool ends_some_day(struct ctl *ctl, const json_t *piece, const char *list,
			  uint64_t counts[2])
{
	size_t entries = json_array_size(json_object_get(piece, list));

	counts[0] += entries;
	counts[1] += !entries;
	if (counts[0] <= ENTRIES_MAX && counts[1] <= EMPTY_MAX)
		return true;
	error_set(&ctl->error, -EPROTO, "the service says for ever that there is more");
	return false;
}

int ctl_ask_list(struct ctl *ctl, const struct ctl_verb *verb, json_t *arguments,
		 json_t **value_out)
{
	json_t *whole = NULL, *piece = NULL, *next;
	const char *list = verb->list;
	uint64_t counts[2] = {0, 0};
	bool limited = json_object_get(arguments, "limit") != NULL;
	int err;

	do {
		err = ctl_ask(ctl->wire, verb->command, json_incref(arguments), &piece,
			      &ctl->error);
		if (err)
			break;
		if (!ends_some_day(ctl, piece, list, counts)) {
			json_decref(piece);
			err = -EPROTO;
			break;
		}
		next = json_incref(json_object_get(piece, "next"));
		if (whole) {
			json_array_extend(json_object_get(whole, list),
					  json_object_get(piece, list));
			/* What only the last piece knows. */
			json_object_update_missing(whole, piece);
			json_object_del(whole, "next");
			json_decref(piece);
		} else {
			whole = piece;
			json_object_del(whole, "next");
		}
		if (next && limited)
			json_object_set(whole, "next", next);
		if (next)
			json_object_set_new(arguments, "start", next);
		if (next && ctl_was_cancelled(ctl->wire)) {
			json_object_set(whole, "next", next);
			json_object_set_new(whole, PROTOCOL_INTERRUPTED, json_true());
			break;
		}
	} while (next && !limited);
	if (err) {
		json_decref(whole);
		return err;
	}
	*value_out = whole;
	return 0;
}
