/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestctl shell: verbs from a prompt, on one connection. On a terminal libedit gives history and
 * completion; in a pipe, lines are read as they are.
 */
#include <errno.h>
#include <histedit.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/nestctl/nestctl.h"

#define HISTORY_LINES 1000

struct shell {
	struct ctl *ctl;
	enum cli_status worst;
	EditLine *edit; /* NULL: no terminal */
	History *history;
};

static char *prompt(EditLine *edit)
{
	static char text[] = "nestctl> ";

	(void)edit;
	return text;
}

/* ---- completion ---- */

struct candidates {
	const char *begun; /* what is typed of the word, `length` bytes */
	size_t length, count;
	char common[64]; /* what all that match have in common */
	char list[4096];
};

static void consider(struct candidates *candidates, const char *word)
{
	size_t used = strlen(candidates->list), i = 0;

	if (strncmp(word, candidates->begun, candidates->length) != 0)
		return;
	if (candidates->count++ == 0)
		snprintf(candidates->common, sizeof(candidates->common), "%s", word);
	while (candidates->common[i] && candidates->common[i] == word[i])
		i++;
	candidates->common[i] = '\0';
	snprintf(candidates->list + used, sizeof(candidates->list) - used, "%s  ", word);
}

static void consider_verb(void *context, const struct ctl_verb *verb)
{
	consider(context, verb->name);
}

static void consider_options(struct candidates *candidates, const char *verb_name)
{
	struct ctl_verb made;
	const struct ctl_verb *verb = ctl_verb_find(verb_name, &made);
	const struct qmp_command *command =
		verb && verb->command ? qmp_command_find(&protocol_table, verb->command) : NULL;
	const struct qmp_arg *arg;
	char option[64];

	consider(candidates, "--help");
	consider(candidates, "--json");
	for (arg = command ? command->args : NULL; arg && arg->name; arg++) {
		snprintf(option, sizeof(option), "--%s", arg->name);
		if (arg->optional)
			consider(candidates, option);
	}
}

/* Completes the word before the cursor: the verb, or an option of it. */
static unsigned char complete(EditLine *edit, int key)
{
	const LineInfo *line = el_line(edit);
	struct candidates candidates = {0};
	char verb[64];
	size_t length;

	(void)key;
	candidates.begun = line->cursor;
	while (candidates.begun > line->buffer && candidates.begun[-1] != ' ')
		candidates.begun--;
	candidates.length = (size_t)(line->cursor - candidates.begun);
	if (candidates.begun == line->buffer) {
		ctl_verb_for_each(consider_verb, &candidates);
	} else {
		length = strcspn(line->buffer, " ");
		snprintf(verb, sizeof(verb), "%.*s", (int)(length < 63 ? length : 63),
			 line->buffer);
		consider_options(&candidates, verb);
	}
	if (candidates.count == 0)
		return CC_ERROR;
	if (candidates.count > 1 && strlen(candidates.common) == candidates.length) {
		printf("\n%s\n", candidates.list);
		fflush(stdout);
		return CC_REDISPLAY;
	}
	if (candidates.count == 1)
		strcat(candidates.common, " ");
	el_insertstr(edit, candidates.common + candidates.length);
	return CC_REFRESH;
}

/* ---- lines ---- */

/* Carries out one line. Returns whether it was the last. */
static bool carry_out(struct shell *shell, const char *text)
{
	Tokenizer *tokenizer = tok_init(NULL);
	enum cli_status status = CLI_DONE;
	const char **words;
	char **argv;
	int argc, i, err;
	bool last = false;

	err = tokenizer ? tok_str(tokenizer, text, &argc, &words) : -1;
	argv = err ? NULL : calloc((size_t)argc + 1, sizeof(*argv));
	for (i = 0; argv && i < argc; i++)
		argv[i] = strdup(words[i]);
	if (err) {
		fprintf(stderr, "nestctl shell: a quotation mark is not closed\n");
		status = CLI_BAD_INPUT;
	} else if (argv && argc > 0) {
		last = !strcmp(argv[0], "exit") || !strcmp(argv[0], "quit");
		if (!last && strcmp(argv[0], "shell") != 0)
			status = shell->ctl->run_line(argc, argv, shell->ctl->wire);
		fflush(stdout);
	}
	for (i = 0; argv && i < argc; i++)
		free(argv[i]);
	free(argv);
	if (tokenizer)
		tok_end(tokenizer);
	if (status > shell->worst)
		shell->worst = status;
	return last;
}

static void start_editing(struct shell *shell)
{
	HistEvent event;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return;
	shell->edit = el_init("nestctl", stdin, stdout, stderr);
	shell->history = history_init();
	if (!shell->edit || !shell->history)
		return;
	history(shell->history, &event, H_SETSIZE, HISTORY_LINES);
	history(shell->history, &event, H_SETUNIQUE, 1);
	el_set(shell->edit, EL_PROMPT, prompt);
	el_set(shell->edit, EL_EDITOR, "emacs");
	el_set(shell->edit, EL_HIST, history, shell->history);
	el_set(shell->edit, EL_ADDFN, "complete", "complete a word", complete);
	el_set(shell->edit, EL_BIND, "^I", "complete", NULL);
	el_source(shell->edit, NULL);
}

static void edit_lines(struct shell *shell)
{
	HistEvent event;
	const char *text;
	int count;

	while ((text = el_gets(shell->edit, &count)) && count > 0) {
		if (strspn(text, " \t\n") < (size_t)count)
			history(shell->history, &event, H_ENTER, text);
		if (carry_out(shell, text))
			break;
	}
}

static void read_lines(struct shell *shell)
{
	char *text = NULL;
	size_t size = 0;

	while (getline(&text, &size, stdin) > 0) {
		if (carry_out(shell, text))
			break;
	}
	free(text);
}

enum cli_status ctl_run_shell(struct ctl *ctl)
{
	struct shell shell = {.ctl = ctl};

	start_editing(&shell);
	if (shell.edit && shell.history)
		edit_lines(&shell);
	else
		read_lines(&shell);
	if (shell.edit)
		el_end(shell.edit);
	if (shell.history)
		history_end(shell.history);
	return shell.worst;
}
