/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The messages of the control protocol: requests as they are checked, and what the server sends. */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/printable.h"
#include "vmm/wire/qmp_private.h"

#define TEXT_BYTES 1024

/* ---- requests ---- */

void qmp_request_free(struct qmp_request *request)
{
	size_t i;

	if (!request)
		return;
	for (i = 0; i < QMP_ARGS_MAX; i++)
		qmp_value_deinit(&request->values[i]);
	json_decref(request->message);
	if (request->passed_fd >= 0)
		close(request->passed_fd);
	free(request);
}

const struct qmp_value *qmp_get(const struct qmp_request *request, const char *name)
{
	static const struct qmp_value nothing;
	const struct qmp_arg *arg;

	for (arg = request->command->args; arg && arg->name; arg++) {
		if (strcmp(arg->name, name) == 0)
			return &request->values[arg - request->command->args];
	}
	return &nothing;
}

static const struct qmp_arg *find_arg(const struct qmp_command *command, const char *name)
{
	const struct qmp_arg *arg;

	for (arg = command->args; arg && arg->name; arg++) {
		if (strcmp(arg->name, name) == 0)
			return arg;
	}
	return NULL;
}

static json_t *argument_error(const char *argument, json_t *error)
{
	if (error)
		json_object_set_new(json_object_get(error, "error"), "argument",
				    json_string(argument));
	return error;
}

/* An error for a member of "arguments" that the command does not have; NULL where there is none. */
static json_t *check_known(const struct qmp_request *request, json_t *arguments)
{
	char names[TEXT_BYTES] = "";
	const struct qmp_arg *arg;
	const char *key;
	json_t *value;
	size_t used = 0;

	json_object_foreach (arguments, key, value) {
		if (find_arg(request->command, key))
			continue;
		for (arg = request->command->args; arg && arg->name; arg++)
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
						 used ? ", " : "", arg->name);
		return argument_error(
			key, qmp_error(request, "%s has no argument '%.64s': it takes %s",
				       request->command->name, key, used ? names : "none"));
	}
	return NULL;
}

/* Reads one argument. *@error_out is set for an error to send. Returns false where there is one. */
static bool read_arg(struct qmp_request *request, const struct qmp_arg *arg, const json_t *json,
		     qmp_symbol_fn symbol, void *context, json_t **error_out)
{
	struct qmp_value *value = &request->values[arg - request->command->args];
	char why[QMP_WHY_BYTES];
	int err;

	if (!json) {
		if (!arg->optional) {
			*error_out = argument_error(
				arg->name, qmp_error(request, "%s needs argument '%s' (%s)",
						     request->command->name, arg->name,
						     qmp_type_name(arg->type)));
			return false;
		}
		value->word = arg->otherwise;
		value->number = (int64_t)arg->otherwise;
		if (arg->type == QMP_ENUM && arg->choices)
			value->text = arg->choices[arg->otherwise];
		return true;
	}
	err = qmp_value_read(arg, json, symbol, context, value, why);
	if (err == -EINVAL)
		*error_out = qmp_error_argument(request, arg->name, "%s", why);
	return !err;
}

struct qmp_request *qmp_request_create(const struct qmp_command *command, json_t *message,
				       qmp_symbol_fn symbol, void *context, json_t **error_out)
{
	struct qmp_request *request = calloc(1, sizeof(*request));
	json_t *arguments = json_object_get(message, "arguments");
	const struct qmp_arg *arg;

	*error_out = NULL;
	if (!request) {
		json_decref(message);
		return NULL;
	}
	request->command = command;
	request->passed_fd = -1;
	request->message = message;
	request->id = json_object_get(message, "id");
	if (arguments && !json_is_object(arguments)) {
		*error_out = qmp_error(request, "'arguments' is to be an object");
		goto err_free;
	}
	*error_out = check_known(request, arguments);
	if (*error_out)
		goto err_free;
	for (arg = command->args; arg && arg->name; arg++) {
		if (!read_arg(request, arg, json_object_get(arguments, arg->name), symbol, context,
			      error_out))
			goto err_free;
	}
	return request;

err_free:
	qmp_request_free(request);
	return NULL;
}

/* ---- what the server sends ---- */

static json_t *with_id(json_t *message, json_t *id)
{
	if (message && id && json_object_set(message, "id", id) != 0) {
		json_decref(message);
		return NULL;
	}
	return message;
}

static json_t *error_text(const char *class, json_t *id, const char *format, va_list args)
{
	char text[TEXT_BYTES];

	vsnprintf(text, sizeof(text), format, args);
	printable(text);
	return with_id(json_pack("{s:{s:s, s:s}}", "error", "class", class, "desc", text), id);
}

json_t *qmp_error_class(const char *class, json_t *id, const char *format, ...)
{
	va_list args;
	json_t *error;

	va_start(args, format);
	error = error_text(class, id, format, args);
	va_end(args);
	return error;
}

json_t *qmp_error(const struct qmp_request *request, const char *format, ...)
{
	va_list args;
	json_t *error;

	va_start(args, format);
	error = error_text("GenericError", request->id, format, args);
	va_end(args);
	return error;
}

json_t *qmp_error_argument(const struct qmp_request *request, const char *argument,
			   const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return argument_error(argument, qmp_error(request, "%s: '%s' %s", request->command->name,
						  argument, text));
}

json_t *qmp_return(const struct qmp_request *request, json_t *value)
{
	if (!value)
		return qmp_error(request, "out of memory");
	return with_id(json_pack("{s:o}", "return", value), request->id);
}

json_t *qmp_event(const char *name, json_t *data)
{
	struct timeval now;
	json_t *event;

	gettimeofday(&now, NULL);
	event = json_pack("{s:s, s:{s:I, s:I}}", "event", name, "timestamp", "seconds",
			  (json_int_t)now.tv_sec, "microseconds", (json_int_t)now.tv_usec);
	if (data && json_object_set_new(event, "data", data) != 0) {
		json_decref(event);
		return NULL;
	}
	return event;
}

json_t *qmp_greeting(void)
{
	int major = 0, minor = 0, micro = 0;

	/* PACKAGE_VERSION is ours: "0.1.0". */
	sscanf(PACKAGE_VERSION, "%d.%d.%d", &major, &minor, &micro);
	return json_pack("{s:{s:{s:{s:i, s:i, s:i}, s:s}, s:[]}}", "QMP", "version", "qemu",
			 "major", major, "minor", minor, "micro", micro, "package", PACKAGE_STRING,
			 "capabilities");
}

char *qmp_text(const json_t *message)
{
	char *text = json_dumps(message, JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
	size_t length = text ? strlen(text) : 0;
	char *line = text ? realloc(text, length + 3) : NULL;

	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + length, "\r\n", 3);
	return line;
}
