/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists as their rows say (struct qmp_list): what most verbs that look at a guest print. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/nestctl/nestctl.h"

#define CELL_BYTES 512

const char *ctl_size_text(uint64_t bytes, char text[32])
{
	cli_size_format(bytes, text, 32);
	return text;
}

const char *ctl_size_word(uint64_t bytes, char text[32])
{
	char *unit;

	cli_size_format(bytes, text, 32);
	unit = strchr(text, ' ');
	if (unit) {
		unit[0] = unit[1] == 'B' ? '\0' : unit[1];
		unit[1] = '\0';
	}
	return text;
}

/* The member @name of @object in the format's @kind, not yet padded. */
static const char *cell_text(const json_t *object, const char *name, char kind, bool zeroes,
			     int width, char text[CELL_BYTES])
{
	const json_t *value = json_object_get(object, name);

	if (kind == 'z')
		return ctl_size_word(ctl_number(object, name), text);
	if (kind == 'x')
		snprintf(text, CELL_BYTES, "%0*" PRIx64, zeroes ? width : 1,
			 ctl_number(object, name));
	else if (json_is_boolean(value))
		snprintf(text, CELL_BYTES, "%c", json_is_true(value) ? *name : '-');
	else if (json_is_integer(value))
		snprintf(text, CELL_BYTES, "%" PRIu64, ctl_number(object, name));
	else
		return ctl_text(object, name);
	return text;
}

/* Prints what stands between braces in a row: "name" or "name:format". */
static void print_cell(FILE *out, const json_t *object, const char *field, size_t length)
{
	char name[64], text[CELL_BYTES], *format, kind;
	int width;

	snprintf(name, sizeof(name), "%.*s", (int)length, field);
	format = strchr(name, ':');
	if (format)
		*format++ = '\0';
	else
		format = name + strlen(name);
	width = atoi(format);
	kind = *format ? format[strlen(format) - 1] : '\0';
	fprintf(out, "%*s", width, cell_text(object, name, kind, *format == '0', abs(width), text));
}

/* Whether @object has what the row cannot do without. */
static bool has_row(const char *row, const json_t *object)
{
	const char *must = strchr(row, '!'), *name = must;
	char text[64];

	if (!must)
		return true;
	while (*name != '{')
		name--;
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(name + 1, ":"), name + 1);
	return json_object_get(object, text) != NULL;
}

static void print_row(FILE *out, const char *row, const json_t *object)
{
	while (*row) {
		size_t length = strcspn(row, "{");

		fwrite(row, 1, length, out);
		row += length;
		if (!*row)
			break;
		length = strcspn(row, "}");
		print_cell(out, object, row + 1, length - 1);
		row += length + 1;
	}
	fputc('\n', out);
}

enum cli_status ctl_print_end(struct ctl *ctl, const json_t *value)
{
	if (json_object_get(value, "next"))
		fprintf(ctl->out, "... more from %s on\n", ctl_text(value, "next"));
	if (!json_object_get(value, "broken"))
		return CLI_DONE;
	cli_error(ctl->cli, "the guest's list of areas is broken: %s", ctl_text(value, "broken"));
	return CLI_WRONG;
}

enum cli_status ctl_print_lists(struct ctl *ctl, const json_t *value)
{
	const struct qmp_command *command = qmp_command_find(&protocol_table, ctl->verb->command);
	size_t rows = 0;

	for (const struct qmp_arg *member = command->returns; member && member->name; member++) {
		const json_t *list = json_object_get(value, member->name);

		if (!member->of || !member->of->row)
			continue;
		if (member->of->head && json_array_size(list))
			fprintf(ctl->out, "%s\n", member->of->head);
		rows += json_array_size(list);
		for (size_t i = 0; i < json_array_size(list); i++)
			if (has_row(member->of->row, json_array_get(list, i)))
				print_row(ctl->out, member->of->row, json_array_get(list, i));
	}
	/* An answer too, and beside the output: nothing is to be cut there. */
	if (!rows && !ctl->json)
		cli_error(ctl->cli, "there is none");
	return ctl_print_end(ctl, value);
}
