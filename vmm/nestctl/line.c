/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A line of words as a verb: reads its options and operands, connects, asks and prints. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/nestctl/nestctl.h"

#define OPTIONS_MAX    24
#define SUMMARY_BYTES  512
#define OPERANDS_BYTES 256
#define HELP_COLUMNS   79
#define NOTES_BYTES    4096

/* What a verb's command line is read with: a row for each option, and where its word comes. */
struct line {
	const struct ctl_verb *verb;
	const struct qmp_command *command; /* NULL: none */
	struct cli_command cli;
	struct cli_option options[OPTIONS_MAX + 1];
	size_t nr_options;
	const struct qmp_arg *arg[OPTIONS_MAX]; /* of each option; NULL: nestctl's own */
	const char *word[OPTIONS_MAX];
	bool flag[OPTIONS_MAX];
	char help[OPTIONS_MAX][160];
	char name[64], operands[OPERANDS_BYTES], summary[SUMMARY_BYTES], notes[NOTES_BYTES];
	struct error said;
	/* nestctl's own */
	bool json, raw, follow, printed;
	const char *guest_name, *socket, *format;
	struct ctl_filter filter;
	struct ctl_load load;
	const char *walk;
	struct ctl_top top;
};

/* ---- the options of a verb ---- */

static void add_option(struct line *line, struct cli_option option)
{
	if (line->nr_options < OPTIONS_MAX)
		line->options[line->nr_options++] = option;
}

static const char *type_argument(const struct qmp_arg *arg)
{
	switch (arg->type) {
	case QMP_SIZE:
		return "SIZE";
	case QMP_ADDRESS:
		return "ADDRESS";
	case QMP_ENUM:
		return "WORD";
	case QMP_TEXT:
		return "TEXT";
	default:
		return "N";
	}
}

static void add_argument_option(struct line *line, const struct qmp_arg *arg)
{
	size_t i = line->nr_options;
	int used;

	used = snprintf(line->help[i], sizeof(line->help[i]), "%s", arg->help);
	if (arg->type == QMP_U64 && ctl_flags_known(arg->name))
		used += snprintf(line->help[i] + used, sizeof(line->help[i]) - (size_t)used,
				 ";\nnumbers or names with | between them");
	for (size_t c = 0; arg->choices && arg->choices[c]; c++)
		used += snprintf(line->help[i] + used, sizeof(line->help[i]) - (size_t)used, "%s%s",
				 c ? ", " : ":\n", arg->choices[c]);
	line->arg[i] = arg;
	add_option(line, (struct cli_option){
				 .name = arg->name,
				 .kind = arg->type == QMP_BOOL ? CLI_FLAG : CLI_TEXT,
				 .argument = arg->type == QMP_BOOL ? NULL : type_argument(arg),
				 .help = line->help[i],
				 .value = arg->type == QMP_BOOL ? (void *)&line->flag[i]
								: (void *)&line->word[i],
			 });
}

static void add_plain(void *context, struct cli_option option)
{
	add_option(context, option);
}

static void add_filters(struct line *line)
{
	struct ctl_filter *filter = &line->filter;

	if (line->verb->flags & CTL_BY_RIGHTS) {
		add_option(line, (struct cli_option)CLI_OPTION(
					 "rights", CLI_TEXT, "RIGHTS",
					 "ranges that allow all of these: rwxu", &filter->rights));
		add_option(line, (struct cli_option)CLI_OPTION("size", CLI_SIZE, "SIZE",
							       "of this page size: 4K, 2M, 1G",
							       &filter->page_bytes));
		add_option(line,
			   (struct cli_option)CLI_OPTION("user", CLI_FLAG, NULL,
							 "that users may touch", &filter->user));
	}
	if (line->verb->flags & CTL_BY_STATE)
		add_option(line, (struct cli_option)CLI_OPTION("state", CLI_TEXT, "STATE",
							       "of this state: busy, lazy, free",
							       &filter->state));
}

static void add_own_options(struct line *line)
{
	add_option(line, (struct cli_option){.name = "name",
					     .letter = 'n',
					     .kind = CLI_TEXT,
					     .argument = "NAME",
					     .help = "the guest (the only one that runs, or what\n"
						     "NESTBOX_NAME says)",
					     .value = &line->guest_name});
	add_option(line, (struct cli_option){.name = "socket",
					     .letter = 's',
					     .kind = CLI_TEXT,
					     .argument = "PATH",
					     .help = "the guest by its socket",
					     .value = &line->socket});
	add_option(line, (struct cli_option){.name = "json",
					     .letter = 'j',
					     .kind = CLI_FLAG,
					     .help = "JSON on standard output",
					     .value = &line->json});
	if (line->verb->flags & CTL_FORMAT)
		add_option(line,
			   (struct cli_option){.name = "format",
					       .kind = CLI_TEXT,
					       .argument = "FORMAT",
					       .help = "as in x/8gx: how many, x d u o t c s i,\n"
						       "of which size: b h w g",
					       .value = &line->format});
	add_filters(line);
	if (line->verb->flags & CTL_LOAD)
		ctl_load_options(&line->load, add_plain, line);
	if (line->verb->flags & CTL_TOP) {
		add_option(line, (struct cli_option)CLI_OPTION(
					 "every", CLI_NUMBER, "MS",
					 "milliseconds between two lines (1000)",
					 &line->top.every_ms, .min = 10, .max = 3600000));
		add_option(line, (struct cli_option)CLI_OPTION(
					 "count", CLI_NUMBER, "N",
					 "so many lines, then end (on a terminal, none;\nelse 1)",
					 &line->top.count, .min = 1, .max = UINT32_MAX));
	}
	if (line->verb->flags & CTL_WALK)
		add_option(line,
			   (struct cli_option)CLI_OPTION(
				   "walk", CLI_TEXT, "ADDRESS",
				   "the walk that is drawn (of the first area)", &line->walk));
	if (line->verb->flags & CTL_RAW)
		add_option(line, (struct cli_option){.name = "raw",
						     .kind = CLI_FLAG,
						     .help = "the bytes themselves, no hexdump",
						     .value = &line->raw});
	if (line->verb->flags & CTL_FOLLOW)
		add_option(line, (struct cli_option){.name = "follow",
						     .letter = 'f',
						     .kind = CLI_FLAG,
						     .help = "go on with what comes",
						     .value = &line->follow});
}

/* "ADDRESS SIZE", "FRAMES..." */
static void name_operands(struct line *line)
{
	const struct qmp_arg *arg;
	size_t used = 0;
	char *at;

	snprintf(line->operands, sizeof(line->operands), "%s",
		 line->verb->operands ? line->verb->operands : "");
	line->cli.min_operands = line->cli.max_operands = line->verb->operands ? 1 : 0;
	for (arg = line->command ? line->command->args : NULL; arg && arg->name; arg++) {
		if (arg->optional)
			continue;
		used += (size_t)snprintf(line->operands + used, sizeof(line->operands) - used,
					 "%s%s%s", used ? " " : "", arg->name,
					 arg->type == QMP_FRAMES ? "..." : "");
		line->cli.min_operands++;
		line->cli.max_operands = arg->type == QMP_FRAMES ? -1 : line->cli.max_operands + 1;
	}
	for (at = line->operands; *at; at++) {
		if (*at >= 'a' && *at <= 'z')
			*at = (char)(*at - 'a' + 'A');
	}
}

/* Lines of up to HELP_COLUMNS. */
static void wrap(const char *text, char *wrapped, size_t size)
{
	size_t begun = 0, i;

	snprintf(wrapped, size, "%s", text);
	for (i = 0; wrapped[i]; i++) {
		if (i - begun < HELP_COLUMNS)
			continue;
		while (i > begun && wrapped[i] != ' ')
			i--;
		if (i == begun)
			break;
		wrapped[i] = '\n';
		begun = i + 1;
	}
}

static void prepare(struct line *line, const struct ctl_verb *verb)
{
	const struct qmp_arg *arg;

	memset(line, 0, sizeof(*line));
	line->verb = verb;
	line->command = verb->command ? qmp_command_find(&protocol_table, verb->command) : NULL;
	for (arg = line->command ? line->command->args : NULL; arg && arg->name; arg++) {
		if (arg->optional)
			add_argument_option(line, arg);
	}
	add_own_options(line);
	name_operands(line);
	snprintf(line->name, sizeof(line->name), "nestctl %s", verb->name);
	wrap(ctl_verb_help(verb), line->summary, sizeof(line->summary));
	line->cli.name = line->name;
	line->cli.operands = line->operands;
	line->cli.summary = line->summary;
	line->cli.options = line->options;
	line->cli.said = &line->said;
	line->cli.statuses = CTL_STATUSES;
	line->cli.notes = ctl_verb_notes(verb, line->command, line->notes, sizeof(line->notes));
}

/* ---- arguments of the command ---- */

static bool set_argument(struct line *line, json_t *arguments, const struct qmp_arg *arg,
			 const char *word)
{
	char why[QMP_WHY_BYTES];
	struct qmp_arg any = *arg;
	json_t *json;

	if (arg->type == QMP_SIZE && line->verb->flags & CTL_PIECES)
		any.max = 0;
	json = ctl_word_json(&any, word, why);
	if (!json) {
		cli_error(&line->cli, "%s%s: '%.64s' %s", arg->optional ? "--" : "", arg->name,
			  word, why);
		return false;
	}
	if (arg->type != QMP_FRAMES) {
		json_object_set_new(arguments, arg->name, json);
		return true;
	}
	if (!json_object_get(arguments, arg->name))
		json_object_set_new(arguments, arg->name, json_array());
	json_array_append_new(json_object_get(arguments, arg->name), json);
	return true;
}

/* NULL with the error printed. */
static json_t *read_arguments(struct line *line, char **operands)
{
	json_t *arguments = json_object();
	const struct qmp_arg *arg;
	size_t i;

	for (i = 0; i < line->nr_options; i++) {
		const char *word = line->flag[i] ? "true" : line->word[i];

		if (line->arg[i] && word && !set_argument(line, arguments, line->arg[i], word))
			goto err_free;
	}
	for (arg = line->command ? line->command->args : NULL; arg && arg->name; arg++) {
		if (arg->optional)
			continue;
		do {
			if (!set_argument(line, arguments, arg, *operands++))
				goto err_free;
		} while (arg->type == QMP_FRAMES && *operands);
	}
	if (!line->command && line->verb->operands)
		json_object_set_new(arguments, "operand", json_string(*operands));
	return arguments;

err_free:
	json_decref(arguments);
	return NULL;
}

/* ---- the connection ---- */

static enum cli_status connect_to(const struct line *line, struct ctl_wire **wire_out)
{
	char path[RUNTIME_PATH_BYTES];
	struct error error;
	int err = ctl_find_socket(line->guest_name, line->socket, path, &error);

	if (err) {
		ctl_add_libvirt(line->verb, err, &error);
		cli_error(&line->cli, "%s", error.text);
		return err == -EINVAL || err == -ENAMETOOLONG ? CLI_BAD_INPUT : CLI_HOST;
	}
	err = ctl_connect(path, wire_out, &error);
	if (!err)
		return CLI_DONE;
	ctl_add_libvirt(line->verb, err, &error);
	cli_error(&line->cli, "%s%s", error.text,
		  err == -ENOENT || err == -ECONNREFUSED
			  ? ": no guest there; nestctl list says which run"
			  : "");
	return CLI_HOST;
}

/* ---- one verb ---- */

static enum cli_status print(struct ctl *ctl, const json_t *value)
{
	return ctl->verb->print ? ctl->verb->print(ctl, value) : ctl_print_plain(ctl, value);
}

/* The status is that of the lines for people, which go nowhere. */
static enum cli_status print_json(struct ctl *ctl, const json_t *value)
{
	FILE *out = ctl->out, *nowhere = fopen("/dev/null", "we");
	enum cli_status status = CLI_DONE;

	ctl_print_json(ctl, value);
	if (nowhere) {
		ctl->out = nowhere;
		status = print(ctl, value);
		ctl->out = out;
		fclose(nowhere);
	}
	return status;
}

static enum cli_status ask_and_print(struct ctl *ctl)
{
	enum cli_status status;
	json_t *value = NULL;
	int err;

	if (ctl->verb->run)
		return ctl->verb->run(ctl);
	if (ctl->verb->flags & CTL_LIST)
		err = ctl_ask_list(ctl, ctl->verb, ctl->arguments, &value);
	else
		err = ctl_ask(ctl->wire, ctl->verb->command, json_incref(ctl->arguments), &value,
			      &ctl->error);
	if (err)
		return ctl_failed(ctl, err);
	if (ctl->verb->flags & (CTL_BY_RIGHTS | CTL_BY_STATE))
		ctl_filter_list(ctl->filter, json_object_get(value, ctl->verb->list));
	status = ctl->json ? print_json(ctl, value) : print(ctl, value);
	if (ctl_print_interrupted(ctl, value) != CLI_DONE)
		status = CLI_WRONG;
	json_decref(value);
	return status;
}

static enum cli_status carry_out(struct line *line, char **operands, struct ctl_wire *wire)
{
	struct ctl ctl = {.verb = line->verb,
			  .cli = &line->cli,
			  .wire = wire,
			  .out = stdout,
			  .json = line->json,
			  .raw = line->raw,
			  .follow = line->follow,
			  .format = line->format,
			  .filter = &line->filter,
			  .load = &line->load,
			  .walk = line->walk,
			  .top = &line->top,
			  .run_line = ctl_main};
	enum cli_status status = CLI_DONE;

	if (!ctl_filter_check(&line->filter, &line->cli))
		return CLI_BAD_INPUT;
	ctl.arguments = read_arguments(line, operands);
	if (!ctl.arguments)
		return CLI_BAD_INPUT;
	if (!wire && !(line->verb->flags & CTL_NO_GUEST))
		status = connect_to(line, &ctl.wire);
	if (status == CLI_DONE)
		status = ask_and_print(&ctl);
	if (!wire)
		ctl_disconnect(ctl.wire);
	json_decref(ctl.arguments);
	line->printed = ctl.printed;
	return status;
}

/* "ept" alone: what may follow it, as one types it. */
static void show_longer(void *context, const struct ctl_verb *verb)
{
	const char *begun = context;
	size_t length = strlen(begun);

	if (strncmp(verb->name, begun, length) == 0)
		fprintf(stderr, "  nestctl %.*s %-12s %.*s\n", (int)length - 1, begun,
			verb->name + length, (int)strcspn(ctl_verb_help(verb), ".:;("),
			ctl_verb_help(verb));
}

static enum cli_status no_verb(const char *name, bool json)
{
	struct error said = {""};
	const struct cli_command nestctl = {.name = "nestctl", .said = &said};
	const char *meant = ctl_verb_meant(name);
	char more[CTL_JOINED_BYTES + 2];

	snprintf(more, sizeof(more), "%.62s-", name);
	if (ctl_verb_begins(more)) {
		cli_error(&nestctl, "'%.62s' wants a second word:", name);
		ctl_verb_for_each(show_longer, more);
	} else {
		cli_error(&nestctl, "there is no verb '%.64s'; %s%s%s", name,
			  meant ? "did you mean '" : "nestctl help lists them", meant ?: "",
			  meant ? "'?" : "");
	}
	if (json)
		ctl_print_error(said.text);
	return CLI_BAD_INPUT;
}

static enum cli_status run_line(const struct ctl_verb *verb, int argc, char **argv,
				struct ctl_wire *wire)
{
	struct line *line = malloc(sizeof(*line));
	bool json = ctl_wants_json(argc, argv);
	enum cli_status status;
	int operand;

	if (!line)
		return CLI_HOST;
	prepare(line, verb);
	if (cli_parse(&line->cli, argc, argv, &operand, &status))
		status = carry_out(line, argv + operand, wire);
	if (json && status != CLI_DONE && !line->printed && *line->said.text)
		ctl_print_error(line->said.text);
	free(line);
	return status;
}

enum cli_status ctl_main(int argc, char **argv, struct ctl_wire *wire)
{
	char **words = calloc((size_t)argc + 2, sizeof(*words)), joined[CTL_JOINED_BYTES];
	const struct ctl_verb *verb;
	struct ctl_verb made;
	enum cli_status status;

	if (!words)
		return CLI_HOST;
	memcpy(words, argv, (size_t)argc * sizeof(*words));
	argc = ctl_words_join(argc, words, joined);
	if (argc > 1 && strcmp(words[0], "help") == 0 && words[1][0] != '-') {
		/* "help ept map" is "ept map --help". */
		memmove(words, words + 1, (size_t)argc * sizeof(*words));
		argc = ctl_words_join(argc - 1, words, joined);
		words[1] = (char *)(uintptr_t) "--help";
		argc = 2;
	}
	verb = ctl_verb_find(words[0], &made);
	if (verb && argc > 2 && strcmp(words[1], "--complete") == 0) {
		status = ctl_run_complete(verb, words[2], argc > 3 ? words[3] : "");
		free(words);
		return status;
	}
	status = verb ? run_line(verb, argc, words, wire)
		      : no_verb(words[0], ctl_wants_json(argc, words));
	free(words);
	return status;
}
