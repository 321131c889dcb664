/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of the control protocol: that it is in order, that everything in it is carried out,
 * that docs/protocol.md says what query-command-schema says, and that nestctl has a verb for all.
 *
 * With --markdown it prints the part of docs/protocol.md that is made of the table.
 */
#include <ctype.h>
#include <string.h>

#include "guest/abi.h"
#include "tests/harness.h"
#include "tests/top.h"
#include "vmm/nestctl/nestctl.h"
#include "vmm/service/service.h"

#define DOC_MARKER "<!-- made by tests/vmm/wire/test_protocol --markdown -->\n"

/* ---- the page ---- */

static void print_value(FILE *out, const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY);

	fputs(text, out);
	free(text);
}

static void print_members(FILE *out, const char *title, const json_t *members)
{
	size_t i, c;

	if (json_array_size(members) == 0)
		return;
	fprintf(out, "| %s | type | | |\n|---|---|---|---|\n", title);
	for (i = 0; i < json_array_size(members); i++) {
		const json_t *member = json_array_get(members, i);
		const json_t *choices = json_object_get(member, "choices");

		fprintf(out, "| `%s` | %s |", json_string_value(json_object_get(member, "name")),
			json_string_value(json_object_get(member, "type")));
		if (json_object_get(member, "default")) {
			fputs(" default ", out);
			print_value(out, json_object_get(member, "default"));
		} else if (json_object_get(member, "optional")) {
			fputs(" optional", out);
		}
		if (json_object_get(member, "min")) {
			fputs(" from ", out);
			print_value(out, json_object_get(member, "min"));
		}
		if (json_object_get(member, "max")) {
			fputs(" up to ", out);
			print_value(out, json_object_get(member, "max"));
		}
		fprintf(out, " | %s", json_string_value(json_object_get(member, "help")));
		for (c = 0; c < json_array_size(choices); c++)
			fprintf(out, "%s`%s`", c ? ", " : ": ",
				json_string_value(json_array_get(choices, c)));
		fputs(" |\n", out);
	}
	fputc('\n', out);
}

static void print_command(FILE *out, const struct qmp_command *command)
{
	json_t *schema = qmp_command_schema(command);

	fprintf(out, "### `%s`\n\n%s\n\n", command->name, command->help);
	print_members(out, "argument", json_object_get(schema, "arguments"));
	print_members(out, "returns", json_object_get(schema, "returns"));
	json_decref(schema);
}

static void print_page(FILE *out)
{
	const struct qmp_command *command;
	const struct qmp_arg *member;
	size_t i;

	fputs(DOC_MARKER, out);
	for (i = 0; i < protocol_table.nr_groups; i++) {
		fprintf(out, "%s## %s\n\n", i ? "" : "\n", protocol_table.groups[i].title);
		for (command = protocol_table.groups[i].commands; command->name; command++)
			print_command(out, command);
	}
	fputs("## Events\n\n| event | when | data |\n|---|---|---|\n", out);
	for (i = 0; i < protocol_table.nr_events; i++) {
		const struct qmp_event_info *event = &protocol_table.events[i];

		fprintf(out, "| `%s` | %s |", event->name, event->help);
		for (member = event->members; member && member->name; member++)
			fprintf(out, "%s `%s` %s", member == event->members ? "" : ",",
				member->name, member->help);
		fputs(" |\n", out);
	}
}

/* ---- the table ---- */

static void for_each_command(void (*visit)(const struct qmp_command *command))
{
	const struct qmp_command *command;
	size_t i;

	for (i = 0; i < protocol_table.nr_groups; i++) {
		for (command = protocol_table.groups[i].commands; command->name; command++)
			visit(command);
	}
}

/* Its columns are named, and a row names no others. */
static void check_list(const struct qmp_command *command, const struct qmp_list *list)
{
	const struct qmp_column *column;
	const char *at;

	for (column = list->columns; column && column->name; column++)
		ck_assert_msg(*column->name && (!column->help || *column->help), "%s: a column",
			      command->name);
	for (at = list->row; list->columns && at && (at = strchr(at, '{')); at++) {
		size_t length = strcspn(at + 1, ":}");

		for (column = list->columns; column->name; column++)
			if (strlen(column->name) == length &&
			    memcmp(column->name, at + 1, length) == 0)
				break;
		ck_assert_msg(column->name != NULL, "%s: the row's '%s'", command->name, at);
		ck_assert_ptr_nonnull(strchr(at, '}'));
	}
}

static void check_member(const struct qmp_command *command, const struct qmp_arg *member,
			 bool argument)
{
	ck_assert_msg((member->help && *member->help) || (member->of && member->of->columns),
		      "%s: %s has no help", command->name, member->name);
	if (member->of)
		check_list(command, member->of);
	ck_assert_msg(strspn(member->name, "abcdefghijklmnopqrstuvwxyz0123456789-") ==
			      strlen(member->name),
		      "%s: %s", command->name, member->name);
	ck_assert_msg(!argument || member->type < QMP_REAL, "%s: %s is of no type of an argument",
		      command->name, member->name);
	ck_assert_msg((member->type == QMP_ENUM) == (member->choices != NULL), "%s: %s choices",
		      command->name, member->name);
	/* Between its bounds, or clients would have to give it. */
	if (argument && member->optional && member->type == QMP_INT)
		ck_assert_msg((int64_t)member->otherwise >= member->min || !member->otherwise,
			      "%s: %s default", command->name, member->name);
}

static void check_command(const struct qmp_command *command)
{
	const struct qmp_arg *member;
	uint32_t places = 0;

	ck_assert_ptr_eq(qmp_command_find(&protocol_table, command->name), command);
	ck_assert_ptr_nonnull(command->help);
	for (member = command->args; member && member->name; member++) {
		ck_assert_msg(member - command->args < QMP_ARGS_MAX, "%s has too many arguments",
			      command->name);
		check_member(command, member, true);
		if (!member->place)
			continue;
		ck_assert_uint_le(member->place, 12);
		ck_assert_msg(!(places & 1u << member->place), "%s: %s is where another is",
			      command->name, member->name);
		places |= 1u << member->place;
	}
	places = 0;
	for (member = command->returns; member && member->name; member++) {
		check_member(command, member, false);
		ck_assert_uint_le(member->place, 4);
		ck_assert(!member->place || !(places & 1u << member->place));
		places |= 1u << member->place;
	}
	ck_assert_msg(command->lane != PROTOCOL_CALL || command->opcode ||
			      strcmp(command->name, "nop") == 0,
		      "%s has no opcode", command->name);
}

START_TEST(the_table_is_in_order)
{
	for_each_command(check_command);
}
END_TEST

START_TEST(everything_in_the_table_is_carried_out)
{
	ck_assert_pstr_eq(service_check(), NULL);
}
END_TEST

/* The names of enum nb_opcode, as guest/abi.h has them. */
static FILE *open_source(const char *name)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", test_top(), name);
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s", path);
	return file;
}

static unsigned int sought;
static bool found;

static void seek_opcode(const struct qmp_command *command)
{
	found = found || (command->lane == PROTOCOL_CALL && (command->opcode & 0xffff) == sought);
}

START_TEST(every_opcode_of_the_contract_has_a_command)
{
	FILE *file = open_source("guest/abi.h");
	unsigned int opcodes = 0;
	char line[256], name[64];

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " NB_OP_%63[A-Z0-9_] = %i", name, (int *)&sought) != 2)
			continue;
		/* The shape of a whole tree comes with a replay alone, a program with a load. */
		found = !strcmp(name, "SET_SHAPE") || !strcmp(name, "LOAD");
		for_each_command(seek_opcode);
		ck_assert_msg(found, "NB_OP_%s", name);
		opcodes++;
	}
	fclose(file);
	ck_assert_uint_gt(opcodes, 40);
}
END_TEST

static void check_verb(const struct qmp_command *command)
{
	const struct ctl_verb *row, *verb = NULL;
	struct ctl_verb made;

	if (command->lane == PROTOCOL_WIRE)
		return;
	for (row = nestctl_verbs; row->name && !verb; row++) {
		if (row->command && strcmp(row->command, command->name) == 0)
			verb = row;
	}
	if (!verb)
		verb = ctl_verb_find(command->name, &made);
	ck_assert_msg(verb && verb->command && strcmp(verb->command, command->name) == 0, "%s",
		      command->name);
}

START_TEST(nestctl_has_a_verb_for_every_command)
{
	const struct ctl_verb *row;

	for_each_command(check_verb);
	for (row = nestctl_verbs; row->name; row++)
		ck_assert_msg(!row->command || qmp_command_find(&protocol_table, row->command),
			      "%s", row->name);
}
END_TEST

/* ---- pages ---- */

START_TEST(the_page_says_what_the_schema_says)
{
	FILE *file = open_source("docs/protocol.md");
	char *made = NULL, line[4096];
	const char *at;
	size_t size, number = 0;
	bool begun = false;
	FILE *out = open_memstream(&made, &size);

	print_page(out);
	fclose(out);
	at = made;
	while (fgets(line, sizeof(line), file)) {
		number++;
		begun = begun || strcmp(line, DOC_MARKER) == 0;
		if (!begun)
			continue;
		ck_assert_msg(strncmp(at, line, strlen(line)) == 0,
			      "docs/protocol.md:%zu: '%s' is to be '%.*s'", number, line,
			      (int)strcspn(at, "\n"), at);
		at += strlen(line);
	}
	ck_assert_msg(begun && !*at, "docs/protocol.md lacks '%.80s'", at);
	free(made);
	fclose(file);
}
END_TEST

static char manual[65536];

static void seek_in_manual(void *context, const struct ctl_verb *verb)
{
	char entry[80];

	(void)context;
	/* The man page has one name of each. */
	if (verb->flags & CTL_ALIAS)
		return;
	snprintf(entry, sizeof(entry), strcmp(verb->name, "x") ? ".B %s\n" : ".BI %s/ ",
		 verb->name);
	ck_assert_msg(strstr(manual, entry) != NULL, "nestctl.1 lacks '%s'", verb->name);
}

START_TEST(the_manual_has_every_verb)
{
	FILE *file = open_source("man/nestctl.1");
	size_t size = fread(manual, 1, sizeof(manual) - 1, file);

	fclose(file);
	ck_assert_uint_lt(size, sizeof(manual) - 1);
	ctl_verb_for_each(seek_in_manual, NULL);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("protocol");
	TCase *table = tcase_create("table");

	if (argc > 1 && strcmp(argv[1], "--markdown") == 0) {
		print_page(stdout);
		return EXIT_SUCCESS;
	}
	tcase_add_test(table, the_table_is_in_order);
	tcase_add_test(table, everything_in_the_table_is_carried_out);
	tcase_add_test(table, every_opcode_of_the_contract_has_a_command);
	tcase_add_test(table, nestctl_has_a_verb_for_every_command);
	tcase_add_test(table, the_page_says_what_the_schema_says);
	tcase_add_test(table, the_manual_has_every_verb);
	suite_add_tcase(suite, table);
	return harness_run(suite);
}
