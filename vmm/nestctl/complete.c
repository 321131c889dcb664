/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a word may become: choices, flags, symbols of the guest's image. */
#include <stdlib.h>
#include <string.h>

#include "vmm/nestctl/nestctl.h"

#define SYMBOLS_MAX 200

/* The argument that "--gfp", or an operand's number from 1 on, stands for; NULL: none. */
static const struct qmp_arg *find_arg(const struct qmp_command *command, const char *place)
{
	bool option = strncmp(place, "--", 2) == 0;
	int left = option ? 0 : atoi(place);
	const struct qmp_arg *arg;

	for (arg = command ? command->args : NULL; arg && arg->name; arg++) {
		if (option && arg->optional && strcmp(arg->name, place + 2) == 0)
			return arg;
		/* A list has no end. */
		if (!option && !arg->optional && (--left == 0 || arg->type == QMP_FRAMES))
			return arg;
	}
	return NULL;
}

/* "GFP_KERNEL|__GFP_Z": what is before the last | stays. */
static void visit_flags(const char *argument, const char *begun, ctl_word_fn visit, void *context)
{
	char names[CTL_FLAGS_BYTES], word[CTL_FLAGS_BYTES], *name, *rest = names;
	const char *last = strrchr(begun, '|');
	int before = last ? (int)(last + 1 - begun) : 0;

	ctl_flags_names(argument, names);
	while ((name = strsep(&rest, ", ")))
		if (*name && snprintf(word, sizeof(word), "%.*s%s", before, begun, name) > 0)
			visit(context, word);
}

static void visit_symbols(struct ctl_wire *wire, const char *begun, ctl_word_fn visit,
			  void *context)
{
	json_t *value = NULL, *symbols;
	struct error error;

	if (!wire || !*begun || strncmp(begun, "0x", 2) == 0 ||
	    ctl_ask(wire, "query-symbols",
		    json_pack("{s:s, s:i}", "prefix", begun, "limit", SYMBOLS_MAX), &value,
		    &error) != 0)
		return;
	symbols = json_object_get(value, "symbols");
	for (size_t i = 0; i < json_array_size(symbols); i++)
		visit(context, ctl_text(json_array_get(symbols, i), "name"));
	json_decref(value);
}

void ctl_complete(const struct ctl_verb *verb, const char *place, const char *begun,
		  struct ctl_wire *wire, ctl_word_fn visit, void *context)
{
	/* load takes what bench does. */
	const char *command = verb->flags & CTL_LOAD ? "bench" : verb->command;
	const struct qmp_arg *arg =
		command ? find_arg(qmp_command_find(&protocol_table, command), place)
		: verb->flags & CTL_FORMAT
			? find_arg(qmp_command_find(&protocol_table, "read-memory"), place)
			: NULL;

	if (!arg)
		return;
	for (size_t i = 0; arg->choices && arg->choices[i]; i++)
		visit(context, arg->choices[i]);
	if (arg->type == QMP_ADDRESS)
		visit_symbols(wire, begun, visit, context);
	else if (arg->type == QMP_U64 && ctl_flags_known(arg->name))
		visit_flags(arg->name, begun, visit, context);
	else if (arg->type == QMP_BOOL && !arg->optional)
		visit(context, "true"), visit(context, "false");
}

static void print_word(void *context, const char *word)
{
	fprintf(context, "%s\n", word);
}

enum cli_status ctl_run_complete(const struct ctl_verb *verb, const char *place, const char *begun)
{
	char path[RUNTIME_PATH_BYTES];
	struct ctl_wire *wire = NULL;
	struct error error;

	/* Without a guest there are no symbols, and nobody is told so in the middle of a line. */
	if (ctl_find_socket(NULL, NULL, path, &error) != 0 || ctl_connect(path, &wire, &error) != 0)
		wire = NULL;
	ctl_complete(verb, place, begun, wire, print_word, stdout);
	if (wire)
		ctl_disconnect(wire);
	return CLI_DONE;
}
