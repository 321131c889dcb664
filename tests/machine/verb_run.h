/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of nestctl run in this process, and every verb there is: for test_verb_table.c. */
#ifndef TESTS_MACHINE_VERB_RUN_H
#define TESTS_MACHINE_VERB_RUN_H

#include "tests/machine/service_fixture.h"
#include "vmm/nestctl/nestctl.h"

#define WORDS_MAX 32

/* What a line came to. */
static struct {
	char *out, *err;
	size_t out_size, err_size;
	int status;
} said;

static void forget(void)
{
	free(said.out);
	free(said.err);
	said.out = said.err = NULL;
}

/* ---- running a line ---- */

/* Runs the words, of the guest under test. */
static int run(int argc, char **argv)
{
	static char option[] = "--socket";
	FILE *out = stdout, *err = stderr;
	char *words[WORDS_MAX + 3];

	forget();
	ck_assert_int_lt(argc, WORDS_MAX);
	memcpy(words, argv, (size_t)argc * sizeof(*argv));
	words[argc++] = option;
	words[argc++] = guest.path;
	words[argc] = NULL;
	/* glibc's are variables to set. */
	stdout = open_memstream(&said.out, &said.out_size);
	stderr = open_memstream(&said.err, &said.err_size);
	said.status = (int)ctl_main(argc, words, NULL);
	fclose(stdout);
	fclose(stderr);
	stdout = out;
	stderr = err;
	return said.status;
}

/* The words between blanks, which are written over; ~ in one stands for a blank. */
static int split(char *line, char **argv)
{
	char *word, *rest = line;
	int argc = 0;

	while ((word = strsep(&rest, " "))) {
		if (!*word)
			continue;
		ck_assert_int_lt(argc, WORDS_MAX);
		argv[argc++] = word;
		while ((word = strchr(word, '~')))
			*word = ' ';
	}
	return argc;
}

static int run_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run_text(const char *format, ...)
{
	char line[1024], *argv[WORDS_MAX + 1];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	return run(split(line, argv), argv);
}

/* One JSON document on standard output, or, as for events, one a line. */
static bool is_json(const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

	json_decref(json);
	return json != NULL;
}

/* ---- every verb ---- */

static void for_each(void (*visit)(const struct ctl_verb *verb, const struct qmp_command *command));

static void *visiting;

static void visit_one(void *context, const struct ctl_verb *verb)
{
	void (*visit)(const struct ctl_verb *, const struct qmp_command *) = visiting;

	(void)context;
	visit(verb, verb->command ? qmp_command_find(&protocol_table, verb->command) : NULL);
}

static void for_each(void (*visit)(const struct ctl_verb *verb, const struct qmp_command *command))
{
	visiting = visit;
	ctl_verb_for_each(visit_one, NULL);
}

/* A word that any argument of its type takes, as far as can be said without the guest. */
static const char *plain_word(const struct qmp_arg *arg)
{
	switch (arg->type) {
	case QMP_ENUM:
		return arg->choices[0];
	case QMP_BYTES:
		return "00";
	case QMP_BOOL:
		return "true";
	case QMP_ADDRESS:
		return "0x1000";
	default:
		return "1";
	}
}

/* The verb and its operands, all of them right but for the one at @wrong, which is @word. */
static void write_line(char line[512], const struct ctl_verb *verb,
		       const struct qmp_command *command, const char *wrong, const char *word)
{
	size_t used = (size_t)snprintf(line, 512, "%s", verb->name);
	const struct qmp_arg *arg;

	if (verb->operands)
		used += (size_t)snprintf(line + used, 512 - used, " x");
	for (arg = command ? command->args : NULL; arg && arg->name; arg++)
		if (!arg->optional)
			used += (size_t)snprintf(
				line + used, 512 - used, " %s",
				wrong && strcmp(arg->name, wrong) == 0 ? word : plain_word(arg));
}

#endif
