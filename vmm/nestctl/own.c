/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs that have a way of their own: list, log, read, execute. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/domain/stats.h"
#include "vmm/nestctl/nestctl.h"
#include "vmm/wire/runtime.h"

void ctl_add_libvirt(const struct ctl_verb *verb, int err, struct error *error)
{
	size_t length = strlen(error->text);

	if (verb->flags & CTL_LIBVIRT)
		snprintf(error->text + length, sizeof(error->text) - length, " (%s, %d)",
			 domain_error_name(domain_error_of(err)), (int)domain_error_of(err));
}

/* Commands that have a shorter name here, by that: "keep-moment keeps one" is not to be typed. */
static void say_verbs(const char *text, char *said, size_t size)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t length, used = 0;

	said[0] = '\0';
	for (; *text && used < size; text += length) {
		const char *name = NULL;

		length = strspn(text, letters);
		if (length)
			name = ctl_verb_of(text, length);
		else
			length = 1;
		if (name && strncmp(name, "ept-", 4) == 0)
			used += (size_t)snprintf(said + used, size - used, "ept %s", name + 4);
		else if (name)
			used += (size_t)snprintf(said + used, size - used, "%s", name);
		else
			used += (size_t)snprintf(said + used, size - used, "%.*s", (int)length,
						 text);
	}
}

enum cli_status ctl_failed(struct ctl *ctl, int err)
{
	const char *command = ctl->verb->command ?: "", *text = ctl->error.text;
	char said[2 * sizeof(ctl->error.text)];
	size_t length = strlen(command);

	ctl_add_libvirt(ctl->verb, err, &ctl->error);
	/* The verb is said already. */
	if (length && strncmp(text, command, length) == 0 && strncmp(text + length, ": ", 2) == 0)
		text += length + 2;
	say_verbs(text, said, sizeof(said));
	cli_error(ctl->cli, "%s", said);
	if (err == -EINVAL)
		return CLI_BAD_INPUT;
	return err == -EREMOTEIO ? CLI_WRONG : CLI_HOST;
}

/* ---- list ---- */

struct listing {
	struct ctl *ctl;
	json_t *guests;
};

static int list_one(void *context, const char *name, const char *path)
{
	struct listing *listing = context;
	struct ctl_wire *wire;
	struct error error;
	json_t *status = NULL;
	int err = ctl_connect(path, &wire, &error);

	if (err == -ECONNREFUSED && runtime_remove_dead(path)) {
		fprintf(stderr, "nestctl list: removed %s: nobody serves it any more\n", path);
		return 0;
	}
	if (!err) {
		err = ctl_ask(wire, "query-status", NULL, &status, &error);
		ctl_disconnect(wire);
	}
	if (err)
		status = json_pack("{s:s, s:s, s:s}", "name", name, "status", "unreachable",
				   "error", error.text);
	json_object_set_new(status, "socket", json_string(path));
	json_array_append_new(listing->guests, status);
	return 0;
}

enum cli_status ctl_run_list(struct ctl *ctl)
{
	struct listing listing = {ctl, json_array()};
	struct error error;
	char memory[32];
	size_t i;

	if (runtime_for_each(list_one, &listing, &error) != 0) {
		cli_error(ctl->cli, "%s", error.text);
		json_decref(listing.guests);
		return CLI_HOST;
	}
	if (ctl->json)
		ctl_print_json(ctl, listing.guests);
	else if (json_array_size(listing.guests))
		fprintf(ctl->out, "%-20s %-12s %8s %5s %10s  %s\n", "NAME", "STATUS", "PID", "CPUS",
			"MEMORY", "SOCKET");
	for (i = 0; !ctl->json && i < json_array_size(listing.guests); i++) {
		const json_t *guest = json_array_get(listing.guests, i);

		cli_size_format(ctl_number(guest, "memory"), memory, sizeof(memory));
		fprintf(ctl->out, "%-20s %-12s %8" PRIu64 " %5" PRIu64 " %10s  %s\n",
			ctl_text(guest, "name"), ctl_text(guest, "status"),
			ctl_number(guest, "pid"), ctl_number(guest, "cpus"), memory,
			ctl_text(guest, "socket"));
	}
	json_decref(listing.guests);
	return CLI_DONE;
}

/* ---- log ---- */

static int show_event(void *context, const json_t *event)
{
	ctl_print_event(context, event);
	/* Whoever reads the events has gone. */
	return ferror(((struct ctl *)context)->out);
}

enum cli_status ctl_run_log(struct ctl *ctl)
{
	json_t *value = NULL, *events;
	int err = ctl_ask(ctl->wire, "query-events", NULL, &value, &ctl->error);
	size_t i;

	if (err)
		return ctl_failed(ctl, err);
	events = json_object_get(value, "events");
	if (ctl_number(value, "dropped") && !ctl->json)
		fprintf(ctl->out, "... %" PRIu64 " earlier %s not kept\n",
			ctl_number(value, "dropped"),
			ctl_number(value, "dropped") == 1 ? "event is" : "events are");
	for (i = 0; i < json_array_size(events); i++)
		ctl_print_event(ctl, json_array_get(events, i));
	json_decref(value);
	if (ctl->follow)
		err = ctl_watch(ctl->wire, show_event, ctl, &ctl->error);
	return err ? ctl_failed(ctl, err) : CLI_DONE;
}

/* ---- read: as many pieces as it takes ---- */

/* The next piece, of at most @left bytes: printed, or with --json put behind what is in *@whole. */
static int read_piece(struct ctl *ctl, uint64_t left, json_t **whole, uint64_t *piece_out)
{
	uint64_t piece = left < PROTOCOL_MEMORY_BYTES ? left : PROTOCOL_MEMORY_BYTES;
	json_t *value = NULL, *bytes;
	int err;

	json_object_set_new(ctl->arguments, "size", json_integer((json_int_t)piece));
	err = ctl_ask(ctl->wire, "read-memory", json_incref(ctl->arguments), &value, &ctl->error);
	if (err)
		return err;
	json_object_set_new(ctl->arguments, "address",
			    qmp_hex(ctl_number(value, "address") + piece));
	*piece_out = piece;
	if (!ctl->json) {
		ctl_print_bytes(ctl, value);
	} else if (!*whole) {
		*whole = json_incref(value);
	} else {
		bytes = json_sprintf("%s%s", ctl_text(*whole, "bytes"), ctl_text(value, "bytes"));
		json_object_set_new(*whole, "bytes", bytes);
	}
	json_decref(value);
	return 0;
}

enum cli_status ctl_run_read(struct ctl *ctl)
{
	uint64_t left = ctl_number(ctl->arguments, "size"), piece = 0;
	bool cancelled = false;
	json_t *whole = NULL;
	int err = 0;

	for (; left > 0 && !err && !cancelled; left -= piece) {
		err = read_piece(ctl, left, &whole, &piece);
		cancelled = ctl_was_cancelled(ctl->wire);
	}
	if (!err && whole)
		ctl_print_json(ctl, whole);
	json_decref(whole);
	if (err)
		return ctl_failed(ctl, err);
	if (cancelled)
		cli_error(ctl->cli, "interrupted: this is what was read so far");
	return cancelled ? CLI_WRONG : CLI_DONE;
}

/* ---- dump: the path is ours, the service has another directory ---- */

enum cli_status ctl_run_dump(struct ctl *ctl)
{
	const char *file = ctl_text(ctl->arguments, "file");
	char *here = *file == '/' ? strdup("") : getcwd(NULL, 0), *path = NULL;
	enum cli_status status;
	json_t *value = NULL;
	int err = -ENOMEM;

	error_set(&ctl->error, err, "out of memory");
	if (here && asprintf(&path, "%s%s%s", here, *here ? "/" : "", file) >= 0) {
		json_object_set_new(ctl->arguments, "file", json_string(path));
		err = ctl_ask(ctl->wire, "dump-guest-core", json_incref(ctl->arguments), &value,
			      &ctl->error);
		free(path);
	}
	free(here);
	if (err)
		return ctl_failed(ctl, err);
	status = ctl->json ? ctl_print_json(ctl, value) : ctl_print_plain(ctl, value);
	json_decref(value);
	return status;
}

/* ---- execute ---- */

enum cli_status ctl_run_execute(struct ctl *ctl)
{
	json_t *answer = NULL;
	const char *text = ctl_text(ctl->arguments, "operand");
	enum cli_status status = CLI_DONE;
	json_error_t where;
	json_t *command = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	int err;

	if (!json_is_object(command)) {
		json_decref(command);
		cli_error(ctl->cli, "%s",
			  command ? "a command is a JSON object: {\"execute\": ...}" : where.text);
		return CLI_BAD_INPUT;
	}
	/* A newline would end it on the wire. */
	text = json_dumps(command, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(command);
	err = text ? ctl_ask_raw(ctl->wire, text, &answer, &ctl->error) : -ENOMEM;
	free((char *)text);
	if (err)
		return ctl_failed(ctl, err);
	ctl_print_json(ctl, answer);
	if (!json_object_get(answer, "return"))
		status = ctl_asked_wrongly(json_object_get(answer, "error")) ? CLI_BAD_INPUT
									     : CLI_WRONG;
	json_decref(answer);
	return status;
}
