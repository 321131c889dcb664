/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines, on top of getopt_long. */
#include <config.h>

#include "vmm/base/cli.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/input.h"
#include "lib/printable.h"

/* An option's value in getopt_long: its place in the table, above every letter. */
#define FIRST_VALUE   0x100
#define MAX_OPTIONS   32
#define VALUE_HELP    (FIRST_VALUE + MAX_OPTIONS)
#define VALUE_VERSION (VALUE_HELP + 1)

/* Where the help of an option begins. */
#define HELP_COLUMN 26

#define PROGRESS_SECONDS 0.1

void cli_error(const struct cli_command *command, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	/* It may quote a file, a guest or a service. */
	if (text)
		printable_utf8(text, "");
	fprintf(stderr, "%s: %s\n", command->name, text ? text : "out of memory");
	if (command->said)
		error_set(command->said, 0, "%s", text ? text : "out of memory");
	free(text);
}

/* ---- did you mean ---- */

#define NAME_MAX_BYTES 48

unsigned int cli_distance(const char *a, const char *b)
{
	unsigned int row[3][NAME_MAX_BYTES + 1], least;
	size_t na = strlen(a), nb = strlen(b), i, j;

	if (na > NAME_MAX_BYTES || nb > NAME_MAX_BYTES)
		return NAME_MAX_BYTES;
	for (j = 0; j <= nb; j++)
		row[0][j] = (unsigned int)j;
	for (i = 1; i <= na; i++) {
		unsigned int *now = row[i % 3], *last = row[(i + 2) % 3],
			     *before = row[(i + 1) % 3];

		now[0] = (unsigned int)i;
		for (j = 1; j <= nb; j++) {
			least = last[j - 1] + (a[i - 1] != b[j - 1]);
			least = last[j] + 1 < least ? last[j] + 1 : least;
			least = now[j - 1] + 1 < least ? now[j - 1] + 1 : least;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < least)
				least = before[j - 2] + 1;
			now[j] = least;
		}
	}
	return row[na % 3][nb];
}

/* The option that @word may be meant as, or NULL. A third of it may be wrong. */
static const char *option_meant(const struct cli_command *command, const char *word)
{
	const struct cli_option *option;
	unsigned int least, far;
	const char *meant = NULL;
	char name[NAME_MAX_BYTES];

	if (strncmp(word, "--", 2) != 0)
		return NULL;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	least = (unsigned int)strlen(name) / 3 + 1;
	for (option = command->options; option->name; option++) {
		far = cli_distance(name, option->name);
		if (far <= least) {
			meant = option->name;
			least = far;
		}
	}
	return meant;
}

/* ---- sizes ---- */

static bool is_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && strncmp(text, word, length) == 0;
}

int cli_names_parse(const char *text, const char *(*name)(unsigned int number), unsigned int count,
		    uint32_t *bits_out, const char **wrong_out)
{
	uint32_t bits = 0, all = UINT32_MAX >> (32 - count), found;

	for (;; text++) {
		size_t length = strcspn(text, ",");

		found = is_word(text, length, "all") ? all : 0;
		for (unsigned int i = 0; i < count; i++)
			found |= is_word(text, length, name(i)) ? 1u << i : 0;
		if (!found && wrong_out)
			*wrong_out = text;
		if (!found)
			return -EINVAL;
		bits |= found;
		text += length;
		if (!*text)
			break;
	}
	*bits_out = bits;
	return 0;
}

int cli_size_parse(const char *text, uint64_t *bytes_out)
{
	static const char suffixes[] = "KMGT";
	size_t digits = strspn(text, "0123456789");
	const char *suffix = text + digits, *at;
	enum number_error error;
	uint64_t value, unit = 1;

	error = number_parse(text, digits, &value);
	if (error)
		return error == NUMBER_OUT_OF_RANGE ? -ERANGE : -EINVAL;
	at = *suffix ? strchr(suffixes, toupper((unsigned char)*suffix)) : NULL;
	if (at) {
		unit = UINT64_C(1) << (10 * (at - suffixes + 1));
		suffix++;
		if (!strcmp(suffix, "iB"))
			suffix += 2;
	}
	if (!strcmp(suffix, "B"))
		suffix++;
	if (*suffix)
		return -EINVAL;
	if (__builtin_mul_overflow(value, unit, &value))
		return -ERANGE;
	*bytes_out = value;
	return 0;
}

void cli_size_format(uint64_t bytes, char *text, size_t size)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	while (unit < 4 && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, size, "%" PRIu64 " %s", bytes, units[unit]);
}

/* ---- help ---- */

/* Prints @text, its lines behind the first indented to @column. */
static void print_indented(FILE *out, const char *text, int column)
{
	const char *newline;

	while ((newline = strchr(text, '\n'))) {
		fprintf(out, "%.*s\n%*s", (int)(newline - text), text, column, "");
		text = newline + 1;
	}
	fprintf(out, "%s\n", text);
}

static void print_option(FILE *out, char letter, const char *name, const char *argument,
			 const char *help)
{
	char left[80];
	int used;

	used = letter ? snprintf(left, sizeof(left), "  -%c, --%s", letter, name)
		      : snprintf(left, sizeof(left), "      --%s", name);
	if (argument)
		snprintf(left + used, sizeof(left) - (size_t)used, " %s", argument);
	if (strlen(left) < HELP_COLUMN)
		fprintf(out, "%-*s", HELP_COLUMN, left);
	else
		fprintf(out, "%s\n%*s", left, HELP_COLUMN, "");
	print_indented(out, help, HELP_COLUMN);
}

void cli_print_help(const struct cli_command *command, FILE *out)
{
	const struct cli_option *option;

	fprintf(out, "Usage: %s [OPTION...]%s%s\n\n%s\n\nOptions:\n", command->name,
		*command->operands ? " " : "", command->operands, command->summary);
	for (option = command->options; option->name; option++)
		print_option(out, option->letter, option->name, option->argument, option->help);
	print_option(out, 'h', "help", NULL, "this text");
	print_option(out, 0, "version", NULL, "the version");
	if (command->notes)
		fprintf(out, "\n%s\n", command->notes);
	fprintf(out, "\nExit status: %s.\n",
		command->statuses
			?: "0 done and right; 1 done and something is wrong; 2 bad usage or bad\n"
			   "input; 3 this host cannot do it");
}

/* ---- options ---- */

static void format_bound(const struct cli_option *option, uint64_t value, char *text, size_t size)
{
	if (option->kind == CLI_SIZE)
		cli_size_format(value, text, size);
	else
		snprintf(text, size, "%" PRIu64, value);
}

static int check_bounds(const struct cli_command *command, const struct cli_option *option,
			const char *text, uint64_t value)
{
	char bound[32];

	if (value < option->min) {
		format_bound(option, option->min, bound, sizeof(bound));
		cli_error(command, "--%s %s: less than the smallest that makes sense, %s",
			  option->name, text, bound);
		return -ERANGE;
	}
	if (option->max && value > option->max) {
		format_bound(option, option->max, bound, sizeof(bound));
		cli_error(command, "--%s %s: more than the largest that makes sense, %s",
			  option->name, text, bound);
		return -ERANGE;
	}
	return 0;
}

static int set_number(const struct cli_command *command, const struct cli_option *option,
		      const char *text)
{
	uint64_t value;
	int err;

	if (option->kind == CLI_SIZE) {
		err = cli_size_parse(text, &value);
	} else {
		err = strspn(text, "0123456789") == strlen(text) ? 0 : -EINVAL;
		if (!err && number_parse(text, strlen(text), &value))
			err = *text ? -ERANGE : -EINVAL;
	}
	if (err == -ERANGE) {
		cli_error(command, "--%s %s: out of range", option->name, text);
		return err;
	}
	if (err) {
		cli_error(command, "--%s %s: not a %s", option->name, text,
			  option->kind == CLI_SIZE ? "size (a number, then K, M, G or T)"
						   : "number");
		return err;
	}
	err = check_bounds(command, option, text, value);
	if (!err)
		*(uint64_t *)option->value = value;
	return err;
}

static int set_value(const struct cli_command *command, const struct cli_option *option,
		     const char *text)
{
	switch (option->kind) {
	case CLI_FLAG:
		*(bool *)option->value = true;
		return 0;
	case CLI_TEXT:
		*(const char **)option->value = text;
		return 0;
	case CLI_CUSTOM:
		if (!option->parse(text, option->value))
			return 0;
		cli_error(command, "--%s %s: expected %s", option->name, text, option->expects);
		return -EINVAL;
	default:
		return set_number(command, option, text);
	}
}

/* Fills what getopt_long wants from the table. */
static void make_getopt(const struct cli_command *command, struct option *longs, char *shorts)
{
	const struct cli_option *option;
	size_t i = 0;

	*shorts++ = ':';
	for (option = command->options; option->name && i < MAX_OPTIONS; option++, i++) {
		longs[i] = (struct option){
			option->name, option->kind == CLI_FLAG ? no_argument : required_argument,
			NULL, FIRST_VALUE + (int)i};
		if (option->letter) {
			*shorts++ = option->letter;
			if (option->kind != CLI_FLAG)
				*shorts++ = ':';
		}
	}
	longs[i++] = (struct option){"help", no_argument, NULL, VALUE_HELP};
	longs[i++] = (struct option){"version", no_argument, NULL, VALUE_VERSION};
	longs[i] = (struct option){0};
	*shorts++ = 'h';
	*shorts = '\0';
}

static const struct cli_option *find_option(const struct cli_command *command, int value)
{
	const struct cli_option *option;

	if (value >= FIRST_VALUE)
		return &command->options[value - FIRST_VALUE];
	for (option = command->options; option->name; option++) {
		if (option->letter == value)
			break;
	}
	return option;
}

/* The option that getopt_long stopped at, for a message. */
static void complain(const struct cli_command *command, int value, char **argv)
{
	char letter[3] = {'-', (char)optopt, '\0'};
	const char *culprit = optopt > 0 && optopt < FIRST_VALUE ? letter : argv[optind - 1];

	if (value == ':')
		cli_error(command, "option '%s' needs an argument", culprit);
	else if (optopt >= FIRST_VALUE)
		cli_error(command, "option '%s' takes no argument", culprit);
	else if (option_meant(command, culprit))
		cli_error(command, "unknown option '%s'; did you mean '--%s'?", culprit,
			  option_meant(command, culprit));
	else
		cli_error(command, "unknown option '%s'", culprit);
	fprintf(stderr, "Try '%s --help'.\n", command->name);
}

static bool check_operands(const struct cli_command *command, int count, char **operands)
{
	if (count >= command->min_operands &&
	    (command->max_operands < 0 || count <= command->max_operands))
		return true;
	if (count < command->min_operands)
		cli_error(command, "missing operand: %s", command->operands);
	else
		cli_error(command, "too many operands: '%.64s' is one more than %s",
			  operands[command->max_operands],
			  *command->operands ? command->operands : "none");
	fprintf(stderr, "Try '%s --help'.\n", command->name);
	return false;
}

bool cli_parse(const struct cli_command *command, int argc, char **argv, int *operand_out,
	       enum cli_status *status_out)
{
	struct option longs[MAX_OPTIONS + 3];
	char shorts[2 * MAX_OPTIONS + 3];
	int value;

	make_getopt(command, longs, shorts);
	*status_out = CLI_BAD_INPUT;
	optind = 0; /* glibc: start anew, also after an earlier command line */
	opterr = 0;
	while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (value == VALUE_HELP || value == 'h') {
			cli_print_help(command, stdout);
			*status_out = CLI_DONE;
			return false;
		}
		if (value == VALUE_VERSION) {
			printf("%s\n", PACKAGE_STRING);
			*status_out = CLI_DONE;
			return false;
		}
		if (value == '?' || value == ':') {
			complain(command, value, argv);
			return false;
		}
		if (set_value(command, find_option(command, value), optarg))
			return false;
	}
	if (!check_operands(command, argc - optind, argv + optind))
		return false;
	*operand_out = optind;
	*status_out = CLI_DONE;
	return true;
}

/* ---- progress ---- */

void cli_progress_start(struct cli_progress *progress, const char *what)
{
	memset(progress, 0, sizeof(*progress));
	progress->what = what;
	if (isatty(STDERR_FILENO))
		progress->out = stderr;
}

void cli_progress_update(struct cli_progress *progress, uint64_t done, uint64_t total)
{
	double now = clock_seconds();

	if (!progress->out || (progress->shown && now - progress->last_seconds < PROGRESS_SECONDS))
		return;
	progress->shown = true;
	progress->last_seconds = now;
	fprintf(progress->out, "\r\033[K%s: %" PRIu64 " of %" PRIu64 " (%" PRIu64 " %%)",
		progress->what, done, total,
		total ? (uint64_t)(100.0 * (double)done / (double)total) : 100);
	fflush(progress->out);
}

void cli_progress_end(struct cli_progress *progress)
{
	if (progress->shown) {
		fprintf(progress->out, "\r\033[K");
		fflush(progress->out);
	}
	progress->shown = false;
}
