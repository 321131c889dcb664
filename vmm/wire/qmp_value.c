/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Arguments by their types, and the table as query-command-schema shows it. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/input.h"
#include "lib/printable.h"
#include "vmm/wire/qmp_private.h"

#define SYMBOL_BYTES 128

static const char *const type_names[QMP_NR_TYPES] = {
	[QMP_BOOL] = "bool",       [QMP_INT] = "int",         [QMP_U64] = "u64",
	[QMP_SIZE] = "size",       [QMP_ADDRESS] = "address", [QMP_TEXT] = "text",
	[QMP_ENUM] = "enum",       [QMP_BYTES] = "bytes",     [QMP_FRAMES] = "frames",
	[QMP_TEXTS] = "texts",     [QMP_REAL] = "number",     [QMP_OBJECT] = "object",
	[QMP_OBJECTS] = "objects", [QMP_ANY] = "any",
};

const char *qmp_type_name(enum qmp_type type)
{
	return type_names[type];
}

const struct qmp_command *qmp_command_find(const struct qmp_table *table, const char *name)
{
	const struct qmp_command *command;
	size_t i;

	for (i = 0; i < table->nr_groups; i++) {
		for (command = table->groups[i].commands; command->name; command++) {
			if (strcmp(command->name, name) == 0)
				return command;
		}
	}
	return NULL;
}

/* ---- one value ---- */

json_t *qmp_hex(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return json_string(text);
}

json_t *qmp_bytes(const void *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *from = bytes;
	char *text = malloc(2 * count + 1);
	json_t *json = NULL;
	size_t i;

	if (!text)
		return NULL;
	for (i = 0; i < count; i++) {
		text[2 * i] = digits[from[i] >> 4];
		text[2 * i + 1] = digits[from[i] & 15];
	}
	json = json_stringn_nocheck(text, 2 * count);
	free(text);
	return json;
}

void qmp_value_deinit(struct qmp_value *value)
{
	free(value->bytes);
	free(value->frames);
	value->bytes = NULL;
	value->frames = NULL;
}

static int refuse(char why[QMP_WHY_BYTES], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int refuse(char why[QMP_WHY_BYTES], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, QMP_WHY_BYTES, format, args);
	va_end(args);
	printable(why);
	return -EINVAL;
}

static int read_int(const struct qmp_arg *arg, const json_t *json, struct qmp_value *value,
		    char why[QMP_WHY_BYTES])
{
	int64_t max = arg->max ? (int64_t)arg->max : INT64_MAX;

	if (!json_is_integer(json))
		return refuse(why, "is to be an integer");
	value->number = json_integer_value(json);
	if (value->number < arg->min || value->number > max)
		return refuse(why, "is %" PRId64 ": it may be %" PRId64 " to %" PRId64,
			      value->number, arg->min, max);
	value->word = (uint64_t)value->number;
	return 0;
}

static int read_u64(const struct qmp_arg *arg, const json_t *json, struct qmp_value *value,
		    char why[QMP_WHY_BYTES])
{
	const char *text = json_string_value(json);
	uint64_t max = arg->max ? arg->max : UINT64_MAX;

	if (json_is_integer(json) && json_integer_value(json) >= 0)
		value->word = (uint64_t)json_integer_value(json);
	else if (!text || strncmp(text, "0x", 2) != 0 ||
		 number_parse(text, strlen(text), &value->word) != NUMBER_OK)
		return refuse(why, "is to be an integer of 0 or more, or a string \"0x...\" of at "
				   "most 64 bits");
	if (value->word < (uint64_t)arg->min || value->word > max)
		return refuse(why, "is %#" PRIx64 ": it may be %#" PRIx64 " to %#" PRIx64,
			      value->word, (uint64_t)arg->min, max);
	value->number = (int64_t)value->word;
	return 0;
}

/* "0x...", decimal digits, "symbol", "symbol+offset". */
static int read_address(const json_t *json, qmp_symbol_fn symbol, void *context,
			struct qmp_value *value, char why[QMP_WHY_BYTES])
{
	const char *text = json_string_value(json), *plus;
	uint64_t base = 0, offset = 0;
	char name[SYMBOL_BYTES];
	size_t length;

	if (!text)
		return refuse(why, "is to be a string: an address \"0x...\" or a symbol");
	value->text = text;
	if (text[0] >= '0' && text[0] <= '9') {
		enum number_error error = number_parse(text, strlen(text), &value->word);

		return error ? refuse(why,
				      "is '%.40s', which is %s: an address is \"0x...\" of at "
				      "most 64 bits",
				      text, number_error_text(error))
			     : 0;
	}
	plus = strchr(text, '+');
	length = plus ? (size_t)(plus - text) : strlen(text);
	if (plus && number_parse(plus + 1, strlen(plus + 1), &offset) != NUMBER_OK)
		return refuse(why, "is '%.60s': behind the + comes a number", text);
	if (length == 0 || length >= sizeof(name))
		return refuse(why, "is neither an address \"0x...\" nor a symbol");
	memcpy(name, text, length);
	name[length] = '\0';
	if (!symbol || symbol(context, name, &base) != 0)
		return refuse(why,
			      "is '%.60s', which is no symbol of the image; an address is "
			      "\"0x...\"",
			      name);
	if (__builtin_add_overflow(base, offset, &value->word))
		return refuse(why, "is '%.60s', which is beyond 64 bits", text);
	return 0;
}

static int read_text(const struct qmp_arg *arg, const json_t *json, struct qmp_value *value,
		     char why[QMP_WHY_BYTES])
{
	const char *text = json_string_value(json), *at;
	uint64_t max = arg->max ? arg->max : 4095;

	if (!text)
		return refuse(why, "is to be a string");
	if (!*text || strlen(text) > max)
		return refuse(why, "is to have 1 to %" PRIu64 " bytes", max);
	for (at = text; *at; at++) {
		if (is_control(*at))
			return refuse(why, "holds a control character");
	}
	value->text = text;
	return 0;
}

static int read_enum(const struct qmp_arg *arg, const json_t *json, struct qmp_value *value,
		     char why[QMP_WHY_BYTES])
{
	const char *text = json_string_value(json);
	char list[QMP_WHY_BYTES - 80] = "";
	size_t used = 0, i;

	for (i = 0; arg->choices[i]; i++) {
		if (text && strcmp(text, arg->choices[i]) == 0) {
			value->text = arg->choices[i];
			value->word = i;
			value->number = (int64_t)i;
			return 0;
		}
		if (used < sizeof(list))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
						 i ? ", " : "", arg->choices[i]);
	}
	return refuse(why, "is to be one of: %s", list);
}

static int read_bytes(const struct qmp_arg *arg, const json_t *json, struct qmp_value *value,
		      char why[QMP_WHY_BYTES])
{
	const char *text = json_string_value(json);
	size_t length = json_string_length(json), i;

	if (!text || length == 0 || length % 2)
		return refuse(why, "is to be a string of hexadecimal digits, two a byte");
	if (arg->max && length / 2 > arg->max)
		return refuse(why, "has %zu bytes: it may have 1 to %" PRIu64, length / 2,
			      arg->max);
	value->bytes = malloc(length / 2);
	if (!value->bytes)
		return -ENOMEM;
	for (i = 0; i < length; i += 2) {
		if (number_digit(text[i]) > 15 || number_digit(text[i + 1]) > 15)
			return refuse(why, "holds something else than hexadecimal digits");
		value->bytes[i / 2] =
			(uint8_t)(number_digit(text[i]) << 4 | number_digit(text[i + 1]));
	}
	value->count = length / 2;
	return 0;
}

static int read_frames(const struct qmp_arg *arg, const json_t *json, struct qmp_value *value,
		       char why[QMP_WHY_BYTES])
{
	size_t count = json_array_size(json), i;

	if (!json_is_array(json) || count == 0 || count > arg->max)
		return refuse(why, "is to be a list of 1 to %" PRIu64 " frame numbers", arg->max);
	value->frames = malloc(count * sizeof(*value->frames));
	if (!value->frames)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		const struct qmp_arg each = {.type = QMP_U64};
		struct qmp_value number = {0};
		char each_why[QMP_WHY_BYTES];

		if (read_u64(&each, json_array_get(json, i), &number, each_why) != 0)
			return refuse(why, "has an element %zu that is no frame number", i);
		value->frames[i] = number.word;
	}
	value->count = count;
	return 0;
}

static int read_texts(const struct qmp_arg *arg, const json_t *json, struct qmp_value *value,
		      char why[QMP_WHY_BYTES])
{
	size_t i;

	if (!json_is_array(json) || (arg->max && json_array_size(json) > arg->max))
		return refuse(why, "is to be a list of strings, at most %" PRIu64, arg->max);
	for (i = 0; i < json_array_size(json); i++) {
		if (!json_is_string(json_array_get(json, i)))
			return refuse(why, "has an element %zu that is no string", i);
	}
	value->list = json;
	value->count = json_array_size(json);
	return 0;
}

static int read_any(const struct qmp_arg *arg, const json_t *json, qmp_symbol_fn symbol,
		    void *context, struct qmp_value *value, char why[QMP_WHY_BYTES])
{
	switch (arg->type) {
	case QMP_BOOL:
		value->flag = json_is_true(json);
		return json_is_boolean(json) ? 0 : refuse(why, "is to be true or false");
	case QMP_INT:
		return read_int(arg, json, value, why);
	case QMP_U64:
	case QMP_SIZE:
		return read_u64(arg, json, value, why);
	case QMP_ADDRESS:
		return read_address(json, symbol, context, value, why);
	case QMP_TEXT:
		return read_text(arg, json, value, why);
	case QMP_ENUM:
		return read_enum(arg, json, value, why);
	case QMP_BYTES:
		return read_bytes(arg, json, value, why);
	case QMP_FRAMES:
		return read_frames(arg, json, value, why);
	case QMP_TEXTS:
		return read_texts(arg, json, value, why);
	default:
		return refuse(why, "is no argument");
	}
}

int qmp_value_read(const struct qmp_arg *arg, const json_t *json, qmp_symbol_fn symbol,
		   void *context, struct qmp_value *value_out, char why[QMP_WHY_BYTES])
{
	struct qmp_value value = {.given = true};
	int err = read_any(arg, json, symbol, context, &value, why);

	if (err)
		qmp_value_deinit(&value);
	else
		*value_out = value;
	return err;
}

/* ---- objects ---- */

static json_t *cell_json(enum qmp_type type, const struct qmp_cell *cell)
{
	switch (type) {
	case QMP_ADDRESS:
	case QMP_U64:
		return qmp_hex(cell->number);
	case QMP_INT:
	case QMP_SIZE:
		return json_integer((json_int_t)(cell->number & INT64_MAX));
	case QMP_BOOL:
		return json_boolean(cell->number);
	case QMP_REAL:
		return json_real(cell->real);
	case QMP_TEXT:
	case QMP_ENUM:
		return cell->text ? json_string(cell->text) : NULL;
	default:
		return cell->json;
	}
}

static void put_cell(json_t *json, const char *name, enum qmp_type type,
		     const struct qmp_cell *cell)
{
	json_t *value = cell->absent ? NULL : cell_json(type, cell);

	if (value)
		json_object_set_new(json, name, value);
}

json_t *qmp_row(const struct qmp_list *list, const struct qmp_cell *cells, size_t count)
{
	const struct qmp_column *column = list->columns;
	json_t *json = json_object();

	for (size_t i = 0; i < count && column[i].name; i++)
		put_cell(json, column[i].name, column[i].type, &cells[i]);
	return json;
}

json_t *qmp_reply(const struct qmp_request *request, const struct qmp_cell *cells, size_t count)
{
	const struct qmp_arg *member = request->command->returns;
	json_t *json = json_object();

	for (size_t i = 0; i < count && member[i].name; i++)
		put_cell(json, member[i].name, member[i].type, &cells[i]);
	return qmp_return(request, json);
}

/* ---- the schema ---- */

/* "help: name, name (help), ..." */
static json_t *arg_help(const struct qmp_arg *arg)
{
	const struct qmp_column *first = arg->of ? arg->of->columns : NULL, *column;
	char text[1024];
	size_t at;

	if (!first)
		return json_string(arg->help);
	at = (size_t)snprintf(text, sizeof(text), "%s%s", arg->help ?: "", arg->help ? ": " : "");
	for (column = first; column->name && at < sizeof(text); column++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s%s%s%s",
				       column == first ? "" : ", ", column->name,
				       column->help ? " (" : "", column->help ?: "",
				       column->help ? ")" : "");
	return json_string(text);
}

static json_t *columns_schema(const struct qmp_list *list)
{
	json_t *json = json_array();

	for (const struct qmp_column *column = list->columns; column->name; column++)
		json_array_append_new(json, json_pack("{s:s, s:s}", "name", column->name, "type",
						      qmp_type_name(column->type)));
	return json;
}

static bool is_number(enum qmp_type type)
{
	return type == QMP_INT || type == QMP_U64 || type == QMP_SIZE;
}

/* A number as its type is on the wire. */
static json_t *number_json(enum qmp_type type, uint64_t word)
{
	if (type == QMP_INT || word <= INT64_MAX)
		return json_integer((json_int_t)word);
	return qmp_hex(word);
}

static json_t *arg_schema(const struct qmp_arg *arg, bool is_argument)
{
	json_t *json = json_pack("{s:s, s:s}", "name", arg->name, "type", qmp_type_name(arg->type));
	size_t i;

	if (arg->optional)
		json_object_set_new(json, "optional", json_true());
	if (is_argument && is_number(arg->type) && arg->min)
		json_object_set_new(json, "min", json_integer(arg->min));
	if (is_argument && arg->max)
		json_object_set_new(json, "max", number_json(arg->type, arg->max));
	if (arg->optional && is_argument && !arg->no_default) {
		if (is_number(arg->type))
			json_object_set_new(json, "default",
					    number_json(arg->type, arg->otherwise));
		else if (arg->type == QMP_ADDRESS)
			json_object_set_new(json, "default", qmp_hex(arg->otherwise));
		else if (arg->type == QMP_ENUM)
			json_object_set_new(json, "default",
					    json_string(arg->choices[arg->otherwise]));
	}
	if (arg->choices) {
		json_t *list = json_array();

		for (i = 0; arg->choices[i]; i++)
			json_array_append_new(list, json_string(arg->choices[i]));
		json_object_set_new(json, "choices", list);
	}
	if (arg->of && arg->of->columns)
		json_object_set_new(json, "columns", columns_schema(arg->of));
	json_object_set_new(json, "help", arg_help(arg));
	return json;
}

static json_t *args_schema(const struct qmp_arg *args, bool are_arguments)
{
	json_t *list = json_array();

	for (; args && args->name; args++)
		json_array_append_new(list, arg_schema(args, are_arguments));
	return list;
}

json_t *qmp_command_schema(const struct qmp_command *command)
{
	return json_pack("{s:s, s:s, s:o, s:o}", "name", command->name, "help", command->help,
			 "arguments", args_schema(command->args, true), "returns",
			 args_schema(command->returns, false));
}
