/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session of the control protocol: finds the messages in the bytes, holds them against the
 * table, and makes requests or errors of them.
 */
#include "vmm/wire/qmp.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/wire/qmp_private.h"

/* The room a session starts with; most messages fit. */
#define FIRST_ROOM 512u

struct qmp_session {
	const struct qmp_table *table;
	qmp_symbol_fn symbol;
	void *symbol_context;
	bool ready;           /* negotiated */
	bool changes, unsafe; /* allowed */

	/* The message being gathered: `length` bytes, no newline in a string of it. */
	char *bytes;
	size_t length, room;
	unsigned int depth;        /* brackets open */
	unsigned int brackets;     /* opened so far */
	unsigned int members;      /* commas and colons so far, outside of strings */
	bool bracketed;            /* it began with a bracket, so it ends with one */
	bool in_string, in_escape; /* where the next byte stands */
	bool skipping;             /* a message was too long: up to the next newline */
	bool stray;                /* the last byte was a control byte, and was answered */
};

struct qmp_session *qmp_session_create(const struct qmp_table *table, qmp_symbol_fn symbol,
				       void *context)
{
	struct qmp_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->table = table;
	session->symbol = symbol;
	session->symbol_context = context;
	qmp_session_allow(session, true, true);
	return session;
}

void qmp_session_allow(struct qmp_session *session, bool changes, bool unsafe)
{
	session->changes = changes;
	session->unsafe = unsafe;
}

void qmp_session_destroy(struct qmp_session *session)
{
	if (session)
		free(session->bytes);
	free(session);
}

bool qmp_session_ready(const struct qmp_session *session)
{
	return session->ready;
}

/* ---- messages among bytes ---- */

static void forget(struct qmp_session *session)
{
	session->length = 0;
	session->depth = session->brackets = session->members = 0;
	session->bracketed = session->in_string = session->in_escape = false;
	if (session->room > 16 * FIRST_ROOM) {
		free(session->bytes);
		session->bytes = NULL;
		session->room = 0;
	}
}

/* Returns false for want of memory. */
static bool gather(struct qmp_session *session, char byte)
{
	if (session->length == session->room) {
		size_t room = session->room ? 2 * session->room : FIRST_ROOM;
		char *bytes = realloc(session->bytes, room);

		if (!bytes)
			return false;
		session->bytes = bytes;
		session->room = room;
	}
	session->bytes[session->length++] = byte;
	return true;
}

static void open_bracket(struct qmp_session *session)
{
	session->depth++;
	session->brackets++;
}

/* Follows the brackets. Returns whether @byte, the last one gathered, ends the message. */
static bool ends_message(struct qmp_session *session, char byte)
{
	bool was_escape = session->in_escape;

	if (session->length == 1)
		session->bracketed = byte == '{' || byte == '[';
	session->in_escape = false;
	if (session->in_string) {
		session->in_escape = byte == '\\' && !was_escape;
		if (byte == '"' && !was_escape)
			session->in_string = false;
		return false;
	}
	if (byte == '"')
		session->in_string = true;
	else if (byte == '{' || byte == '[')
		open_bracket(session);
	else if (byte == ',' || byte == ':')
		session->members++;
	else if ((byte == '}' || byte == ']') && session->depth > 0)
		session->depth--;
	else
		return false;
	return session->bracketed && session->depth == 0 && !session->in_string;
}

static bool has_too_much(const struct qmp_session *session)
{
	return session->depth > QMP_DEPTH_MAX || session->brackets > QMP_BRACKETS_MAX ||
	       session->members > QMP_MEMBERS_MAX;
}

static bool is_stray(char byte)
{
	unsigned char c = (unsigned char)byte;

	return c == 0xff || c == 0x7f || (c < ' ' && c != '\t' && c != '\r' && c != '\n');
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

/* What one more byte means. */
enum step { STEP_ON, STEP_MESSAGE, STEP_STRAY, STEP_TOO_LONG, STEP_TOO_MUCH, STEP_NO_MEMORY };

static enum step take_byte(struct qmp_session *session, char byte)
{
	bool was_stray = session->stray, ends;

	session->stray = false;
	if (session->skipping) {
		session->skipping = byte != '\n';
		return STEP_ON;
	}
	if (is_stray(byte)) {
		forget(session);
		session->stray = true;
		return was_stray ? STEP_ON : STEP_STRAY;
	}
	/* Inside brackets it is white space; in a string, or of no object, it ends what cannot be.
	 */
	if (byte == '\n' && (!session->bracketed || session->in_string))
		return session->length ? STEP_MESSAGE : STEP_ON;
	if (session->length == 0 && is_blank(byte))
		return STEP_ON;
	if (session->length == QMP_MESSAGE_BYTES) {
		forget(session);
		session->skipping = true;
		return STEP_TOO_LONG;
	}
	if (!gather(session, byte))
		return STEP_NO_MEMORY;
	ends = ends_message(session, byte);
	if (has_too_much(session)) {
		forget(session);
		session->skipping = true;
		return STEP_TOO_MUCH;
	}
	return ends ? STEP_MESSAGE : STEP_ON;
}

/* ---- a message against the table ---- */

static json_t *check_keys(const json_t *message)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)message, key, value) {
		if (strcmp(key, "execute") != 0 && strcmp(key, "arguments") != 0 &&
		    strcmp(key, "id") != 0)
			return qmp_error_class(
				"GenericError", json_object_get(message, "id"),
				"a command has no member '%.64s': there are execute, arguments, id",
				key);
	}
	return NULL;
}

/* The command that is asked for, or NULL with an error. */
static const struct qmp_command *choose(const struct qmp_session *session, const json_t *message,
					json_t **error_out)
{
	const json_t *execute = json_object_get(message, "execute");
	json_t *id = json_object_get(message, "id");
	const struct qmp_command *command;
	bool negotiates;

	if (!json_is_string(execute)) {
		*error_out = qmp_error_class("GenericError", id, "%s",
					     execute ? "'execute' is to be a string"
						     : "a command needs a member 'execute'");
		return NULL;
	}
	command = qmp_command_find(session->table, json_string_value(execute));
	negotiates = command && strcmp(command->name, "qmp_capabilities") == 0;
	if (!session->ready && !negotiates)
		*error_out =
			qmp_error_class("CommandNotFound", id,
					"qmp_capabilities is to come before any other command");
	else if (session->ready && negotiates)
		*error_out = qmp_error_class("CommandNotFound", id,
					     "qmp_capabilities was done: it comes once");
	else if (!command)
		*error_out =
			qmp_error_class("CommandNotFound", id,
					"there is no command '%.64s'; query-commands lists them",
					json_string_value(execute));
	else
		return command;
	return NULL;
}

static json_t *wire_schema(const struct qmp_session *session, const struct qmp_request *request)
{
	const char *name = qmp_get(request, "command")->text;
	const struct qmp_command *command = qmp_command_find(session->table, name);

	if (!command)
		return qmp_error(request, "there is no command '%.64s'; query-commands lists them",
				 name);
	return qmp_return(request, qmp_command_schema(command));
}

static json_t *wire_commands(const struct qmp_session *session, const struct qmp_request *request)
{
	json_t *list = json_array();
	const struct qmp_command *command;
	size_t i;

	for (i = 0; i < session->table->nr_groups; i++) {
		for (command = session->table->groups[i].commands; command->name; command++)
			json_array_append_new(list, json_pack("{s:s}", "name", command->name));
	}
	return qmp_return(request, list);
}

/* Carries out what belongs to the wire itself. */
static json_t *wire_command(struct qmp_session *session, const struct qmp_request *request)
{
	const char *name = request->command->name;

	if (strcmp(name, "qmp_capabilities") == 0) {
		if (qmp_get(request, "enable")->count > 0)
			return qmp_error(request, "there are no capabilities to enable");
		session->ready = true;
		return qmp_return(request, json_object());
	}
	if (strcmp(name, "query-commands") == 0)
		return wire_commands(session, request);
	return wire_schema(session, request);
}

/* The error that @command of @message is answered with; NULL: it may be given. */
static json_t *forbid(const struct qmp_session *session, const json_t *message,
		      const struct qmp_command *command)
{
	json_t *id = json_object_get(message, "id");

	if (command->lane == QMP_LANE_WIRE || command->access == QMP_LOOKS)
		return NULL;
	if (!session->changes)
		return qmp_error_class("GenericError", id,
				       "%s: this socket is for looking: the guest's other socket "
				       "takes commands that change it",
				       command->name);
	if (command->access == QMP_UNSAFE && !session->unsafe)
		return qmp_error_class("GenericError", id,
				       "%s: this guest is not to be harmed: nestbox run --unsafe "
				       "starts one that may be",
				       command->name);
	return NULL;
}

/* Takes @message's reference. */
static enum qmp_outcome judge(struct qmp_session *session, json_t *message,
			      struct qmp_request **request_out, json_t **answer_out)
{
	struct qmp_request *request;
	const struct qmp_command *command = NULL;

	*answer_out = check_keys(message);
	if (!*answer_out)
		command = choose(session, message, answer_out);
	if (command)
		*answer_out = forbid(session, message, command);
	if (!command || *answer_out) {
		json_decref(message);
		return *answer_out ? QMP_ANSWER : QMP_NO_MEMORY;
	}
	request = qmp_request_create(command, message, session->symbol, session->symbol_context,
				     answer_out);
	if (!request)
		return *answer_out ? QMP_ANSWER : QMP_NO_MEMORY;
	if (command->lane == QMP_LANE_WIRE) {
		*answer_out = wire_command(session, request);
		qmp_request_free(request);
		return *answer_out ? QMP_ANSWER : QMP_NO_MEMORY;
	}
	*request_out = request;
	return QMP_REQUEST;
}

static enum qmp_outcome read_message(struct qmp_session *session, struct qmp_request **request_out,
				     json_t **answer_out)
{
	json_error_t error;
	json_t *message;

	message = json_loadb(session->bytes, session->length, JSON_REJECT_DUPLICATES, &error);
	forget(session);
	if (json_is_object(message))
		return judge(session, message, request_out, answer_out);
	if (message)
		*answer_out = qmp_error_class("GenericError", NULL,
					      "a command is a JSON object: {\"execute\": ...}");
	else
		*answer_out =
			qmp_error_class("GenericError", NULL, "JSON parse error at byte %d: %s",
					error.position, error.text);
	json_decref(message);
	return *answer_out ? QMP_ANSWER : QMP_NO_MEMORY;
}

enum qmp_outcome qmp_session_feed(struct qmp_session *session, const char *bytes, size_t size_bytes,
				  size_t *taken_out, struct qmp_request **request_out,
				  json_t **answer_out)
{
	enum step step = STEP_ON;
	size_t i;

	for (i = 0; i < size_bytes && step == STEP_ON; i++)
		step = take_byte(session, bytes[i]);
	*taken_out = i;
	switch (step) {
	case STEP_ON:
		return QMP_MORE;
	case STEP_MESSAGE:
		return read_message(session, request_out, answer_out);
	case STEP_STRAY:
		*answer_out =
			qmp_error_class("GenericError", NULL,
					"control byte 0x%02x: what was sent before it is dropped",
					(unsigned int)(unsigned char)bytes[i - 1]);
		break;
	case STEP_TOO_LONG:
		*answer_out = qmp_error_class("GenericError", NULL,
					      "a command of more than %u bytes is skipped to the "
					      "end of its line",
					      QMP_MESSAGE_BYTES);
		break;
	case STEP_TOO_MUCH:
		*answer_out = qmp_error_class(
			"GenericError", NULL,
			"a command of more than %u brackets, %u of them in each other, or %u "
			"commas and colons is skipped to the end of its line",
			QMP_BRACKETS_MAX, QMP_DEPTH_MAX, QMP_MEMBERS_MAX);
		break;
	default:
		return QMP_NO_MEMORY;
	}
	return *answer_out ? QMP_ANSWER : QMP_NO_MEMORY;
}

json_t *qmp_session_end(struct qmp_session *session)
{
	bool cut = session->length > 0 || session->skipping;

	forget(session);
	session->skipping = false;
	return cut ? qmp_error_class("GenericError", NULL, "the last command was cut off") : NULL;
}
