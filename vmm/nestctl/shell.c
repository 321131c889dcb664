/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestctl shell: verbs from a prompt, on one connection. On a terminal libedit gives history and
 * completion; in a pipe, lines are read as they are.
 */
#include <errno.h>
#include <histedit.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/input.h"
#include "vmm/nestctl/nestctl.h"

#define HISTORY_LINES   1000
#define VARIABLES_MAX   64
#define NAME_MAX_LENGTH 31

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

static const struct cli_command of_shell = {.name = "nestctl shell"};

struct variable {
	char name[NAME_MAX_LENGTH + 1], *value;
};

struct shell {
	struct ctl *ctl;
	enum cli_status worst;
	unsigned int line; /* of those read so far */
	struct variable variables[VARIABLES_MAX];
	size_t nr_variables;
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
	char common[512 + 2]; /* what all that match have in common */
	char list[4096];
};

static void consider(struct candidates *candidates, const char *word)
{
	size_t used = strlen(candidates->list), i = 0;

	if (strncmp(word, candidates->begun, candidates->length) != 0)
		return;
	if (candidates->count++ == 0)
		snprintf(candidates->common, sizeof(candidates->common) - 2, "%s", word);
	while (candidates->common[i] && candidates->common[i] == word[i])
		i++;
	candidates->common[i] = '\0';
	snprintf(candidates->list + used, sizeof(candidates->list) - used, "%s  ", word);
}

static void consider_verb(void *context, const struct ctl_verb *verb)
{
	consider(context, verb->name);
}

static void consider_word(void *context, const char *word)
{
	consider(context, word);
}

static void consider_options(struct candidates *candidates, const struct ctl_verb *verb)
{
	const struct qmp_command *command =
		verb->command ? qmp_command_find(&protocol_table, verb->command) : NULL;
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

/* What is completed is in no line of its own: the editor's is full of the prompt. */
static struct shell *completing;

/* The word behind @argc whole ones. */
static void consider_arguments(struct candidates *candidates, int argc, char **argv)
{
	char joined[CTL_JOINED_BYTES], place[16];
	int whole = ctl_words_join(argc, argv, joined);
	const struct ctl_verb *verb;
	struct ctl_verb made;

	verb = ctl_verb_find(argv[0], &made);
	if (!verb)
		return;
	if (candidates->begun[0] == '-') {
		consider_options(candidates, verb);
		return;
	}
	snprintf(place, sizeof(place), "%d", whole);
	ctl_complete(verb, strncmp(argv[whole - 1], "--", 2) == 0 ? argv[whole - 1] : place,
		     candidates->begun, completing->ctl->wire, consider_word, candidates);
}

/* The second word of "ept map" is not behind a verb yet. */
static void consider_seconds(struct candidates *candidates, const char *first)
{
	size_t length = strlen(first);

	for (const struct ctl_verb *verb = nestctl_verbs; verb->name; verb++)
		if (strncmp(verb->name, first, length) == 0 && verb->name[length] == '-')
			consider(candidates, verb->name + length + 1);
}

#define COMPLETED_BYTES 512
#define COMPLETED_WORDS 32

/* Completes the word before the cursor: the verb, an option of it, a value of that. */
static unsigned char complete(EditLine *edit, int key)
{
	const LineInfo *line = el_line(edit);
	struct candidates candidates = {0};
	char text[COMPLETED_BYTES], *argv[COMPLETED_WORDS + 2], *word, *rest = text;
	size_t length = (size_t)(line->cursor - line->buffer);
	int argc = 0;

	(void)key;
	if (length >= sizeof(text))
		return CC_ERROR;
	memcpy(text, line->buffer, length);
	text[length] = '\0';
	while ((word = strsep(&rest, " ")) && argc < COMPLETED_WORDS)
		if (*word || !rest)
			argv[argc++] = word;
	argv[argc] = NULL;
	candidates.begun = argv[--argc];
	candidates.length = strlen(candidates.begun);
	argv[argc] = NULL;
	if (argc > 2 && strcmp(argv[1], "=") == 0)
		argc -= 2, memmove(argv, argv + 2, ((size_t)argc + 1) * sizeof(*argv));
	if (argc == 0 || strcmp(argv[0], "help") == 0)
		ctl_verb_for_each(consider_verb, &candidates);
	else
		consider_arguments(&candidates, argc, argv);
	if (argc == 1)
		consider_seconds(&candidates, argv[0]);
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

static struct variable *find_variable(struct shell *shell, const char *name)
{
	for (size_t i = 0; i < shell->nr_variables; i++)
		if (strcmp(shell->variables[i].name, name) == 0)
			return &shell->variables[i];
	return NULL;
}

/* Takes @value. */
static void set_variable(struct shell *shell, const char *name, char *value)
{
	struct variable *variable = find_variable(shell, name);

	if (!variable && shell->nr_variables < VARIABLES_MAX) {
		variable = &shell->variables[shell->nr_variables++];
		snprintf(variable->name, sizeof(variable->name), "%s", name);
	}
	if (!variable) {
		free(value);
		return;
	}
	free(variable->value);
	variable->value = value;
}

/* "$a" is a's value, "$a+0x10" with that behind it. A new string; NULL: there is none such. */
static char *expand(struct shell *shell, const char *word)
{
	size_t length = strspn(word + 1, LETTERS);
	struct variable *variable;
	char name[NAME_MAX_LENGTH + 1], *text;
	uint64_t base, offset;

	if (word[0] != '$')
		return strdup(word);
	snprintf(name, sizeof(name), "%.*s", (int)length, word + 1);
	variable = length <= NAME_MAX_LENGTH ? find_variable(shell, name) : NULL;
	if (!variable) {
		cli_error(&of_shell, "there is no variable '%s': a = vmalloc 64K makes one", word);
		return NULL;
	}
	word += 1 + length;
	/* "0x1000+0x10" is no address to the guest. */
	if (*word == '+' &&
	    number_parse(variable->value, strlen(variable->value), &base) == NUMBER_OK &&
	    number_parse(word + 1, strlen(word + 1), &offset) == NUMBER_OK)
		return asprintf(&text, "0x%" PRIx64, base + offset) < 0 ? NULL : text;
	return asprintf(&text, "%s%s", variable->value, word) < 0 ? NULL : text;
}

/* Runs the words and keeps the first line of what they print as @name's value. */
static enum cli_status assign(struct shell *shell, const char *name, int argc, char **argv)
{
	enum cli_status status;
	FILE *out = stdout;
	char *text = NULL;
	size_t size;

	if (strlen(name) > NAME_MAX_LENGTH || name[strspn(name, LETTERS)] || argc == 0) {
		fprintf(stderr,
			"nestctl shell: a name of letters, '=', and a verb: a = vmalloc 64K\n");
		return CLI_BAD_INPUT;
	}
	/* glibc's stdout is a variable to set. */
	stdout = open_memstream(&text, &size);
	if (!stdout) {
		stdout = out;
		return CLI_HOST;
	}
	status = shell->ctl->run_line(argc, argv, shell->ctl->wire);
	fclose(stdout);
	stdout = out;
	if (status == CLI_DONE) {
		text[strcspn(text, "\n")] = '\0';
		printf("%s = %s\n", name, text);
		set_variable(shell, name, text);
	} else {
		fputs(text, stdout);
		free(text);
	}
	return status;
}

static enum cli_status run_words(struct shell *shell, int argc, char **argv, bool *last_out)
{
	if (argc == 0)
		return CLI_DONE;
	*last_out = strcmp(argv[0], "exit") == 0;
	if (*last_out)
		return CLI_DONE;
	/* In other shells it leaves: here it would end the guest. */
	if (strcmp(argv[0], "quit") == 0) {
		fprintf(stderr, "nestctl shell: exit leaves; destroy ends the guest\n");
		return CLI_BAD_INPUT;
	}
	if (strcmp(argv[0], "shell") == 0) {
		fprintf(stderr, "nestctl shell: this is one\n");
		return CLI_BAD_INPUT;
	}
	if (argc > 1 && strcmp(argv[1], "=") == 0)
		return assign(shell, argv[0], argc - 2, argv + 2);
	return shell->ctl->run_line(argc, argv, shell->ctl->wire);
}

/* The words of a line up to a comment, variables replaced. Returns how many; -1: one is not known.
 */
static int copy_words(struct shell *shell, int count, const char **words, char **argv)
{
	int i;

	for (i = 0; i < count && words[i][0] != '#'; i++) {
		argv[i] = expand(shell, words[i]);
		if (!argv[i])
			return -1;
	}
	return i;
}

/* Carries out one line. Returns whether it was the last. */
static bool carry_out(struct shell *shell, const char *text)
{
	Tokenizer *tokenizer = tok_init(NULL);
	enum cli_status status = CLI_BAD_INPUT;
	const char **words;
	char **argv = NULL;
	int count = 0, argc;
	bool last = false;

	shell->line++;
	if (!tokenizer || tok_str(tokenizer, text, &count, &words) != 0)
		fprintf(stderr, "nestctl shell: a quotation mark is not closed\n");
	else
		argv = calloc((size_t)count + 1, sizeof(*argv));
	argc = argv ? copy_words(shell, count, words, argv) : -1;
	if (argc >= 0)
		status = run_words(shell, argc, argv, &last);
	fflush(stdout);
	if (status != CLI_DONE && !shell->edit)
		cli_error(&of_shell, "line %u: status %d: %.*s", shell->line, (int)status,
			  (int)strcspn(text, "\n"), text);
	for (int i = 0; argv && i < count; i++)
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

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* The next line, or NULL at the end. Ctrl-C drops what was typed. */
static const char *next_line(struct shell *shell, int *count_out)
{
	const char *text;

	for (;;) {
		interrupted = 0;
		text = el_gets(shell->edit, count_out);
		if (text && *count_out > 0)
			return text;
		if (!interrupted)
			return NULL;
		fputs("^C\n", stdout);
		el_reset(shell->edit);
	}
}

static void edit_lines(struct shell *shell)
{
	/* Without SA_RESTART: what waits for a key returns. */
	struct sigaction interrupt = {.sa_handler = on_interrupt};
	HistEvent event;
	const char *text;
	int count;

	sigaction(SIGINT, &interrupt, NULL);
	while ((text = next_line(shell, &count))) {
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

	completing = &shell;
	start_editing(&shell);
	if (shell.edit && shell.history)
		edit_lines(&shell);
	else
		read_lines(&shell);
	if (shell.edit)
		el_end(shell.edit);
	if (shell.history)
		history_end(shell.history);
	for (size_t i = 0; i < shell.nr_variables; i++)
		free(shell.variables[i].value);
	return shell.worst;
}
