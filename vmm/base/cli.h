/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all commands have in common on their command line: options from a table, sizes, --help,
 * --version, errors, exit statuses, progress.
 */
#ifndef VMM_BASE_CLI_H
#define VMM_BASE_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/error.h"

/* The exit statuses of every command. */
enum cli_status {
	CLI_DONE = 0,      /* done and right */
	CLI_WRONG = 1,     /* done, and something is wrong: a violation, a mismatch, a failure */
	CLI_BAD_INPUT = 2, /* bad usage, or bad input: said with its file and line */
	CLI_HOST = 3,      /* this host cannot do it: said with what to do about it */
};

enum cli_kind {
	CLI_FLAG,   /* bool: no argument */
	CLI_NUMBER, /* uint64_t: a decimal number from min to max */
	CLI_SIZE,   /* uint64_t: bytes, with K, M, G or T behind them, from min to max */
	CLI_TEXT,   /* const char *: as it is; points into argv */
	CLI_CUSTOM, /* whatever parse() makes of it */
};

struct cli_option {
	const char *name; /* without the dashes; NULL ends a table */
	char letter;      /* for -x; 0 for none */
	enum cli_kind kind;
	const char *argument; /* what --help calls it: "SIZE"; NULL for a flag */
	const char *help;     /* one line or more, separated by \n */
	void *value;
	uint64_t min; /* NUMBER, SIZE: what makes sense; a max of 0 is no bound */
	uint64_t max;

	/* CUSTOM: returns 0, or -EINVAL and @value is as it was. @expects says what would do. */
	int (*parse)(const char *text, void *value);
	const char *expects;
};

/* One in a line or two, with whatever else it has. */
#define CLI_OPTION(its_name, its_kind, its_argument, its_help, its_value, ...)      \
	{                                                                           \
		.name = (its_name), .kind = (its_kind), .argument = (its_argument), \
		.help = (its_help), .value = (its_value), __VA_ARGS__               \
	}

/* The option every command has besides --help and --version. */
#define CLI_OPTION_JSON(variable)                                                              \
	{                                                                                      \
		.name = "json", .kind = CLI_FLAG, .help = "report as JSON on standard output", \
		.value = (variable)                                                            \
	}

struct cli_command {
	const char *name;     /* "nestbox replay" */
	const char *operands; /* "DIR..."; "" for none */
	const char *summary;  /* what it does: a paragraph, lines separated by \n */
	const struct cli_option *options;
	const char *notes; /* behind the options in --help; NULL for none */
	int min_operands;
	int max_operands;     /* -1 for any number */
	const char *statuses; /* the exit statuses in --help; NULL: those of enum cli_status */
	struct error *said;   /* what cli_error() said last is kept here too; NULL: nowhere */
};

/*
 * Reads options and checks operands; argv[0] is the command itself. Options may stand behind
 * operands; "--" ends them. Returns true with the first operand's index in *@operand_out (argv is
 * permuted). Returns false when the command is over: after --help and --version with CLI_DONE in
 * *@status_out, after an error, which it has printed, with CLI_BAD_INPUT.
 */
bool cli_parse(const struct cli_command *command, int argc, char **argv, int *operand_out,
	       enum cli_status *status_out);

/* Writes the text of --help. */
void cli_print_help(const struct cli_command *command, FILE *out);

/*
 * Prints "nestbox replay: " and the message to standard error, on a line of its own. Control
 * characters in it become '?'.
 */
void cli_error(const struct cli_command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * How many letters to change, put in, take out, or swap with the next, until @a is @b (Damerau).
 * Of names longer than 48 bytes: 48.
 */
unsigned int cli_distance(const char *a, const char *b);

/*
 * Reads a size: a decimal number, then nothing or one of K, M, G, T (powers of 1024, either
 * case), then nothing or "iB" or "B". Returns 0; -EINVAL for what is no size and -ERANGE for one
 * beyond 2^64 - 1, with nothing changed.
 */
int cli_size_parse(const char *text, uint64_t *bytes_out);

/*
 * Reads names with commas between them, of those that @name gives for 0 to @count - 1 (at most 32),
 * into bits of those numbers; "all" is all of them. Returns 0; -EINVAL, nothing being changed, with
 * *@wrong_out (may be NULL) at the first that is none of them.
 */
int cli_names_parse(const char *text, const char *(*name)(unsigned int number), unsigned int count,
		    uint32_t *bits_out, const char **wrong_out);

/* Writes a size the way a person would, exactly: "512 MiB", "20 KiB", "8489 B". */
void cli_size_format(uint64_t bytes, char *text, size_t size);

/* A line that shows how far long work is, on a terminal only: in a pipe it is not there at all. */
struct cli_progress {
	FILE *out;        /* NULL when there is no terminal */
	const char *what; /* "fork-1cpu" */
	double last_seconds;
	bool shown;
};

/* Starts a progress line on standard error if that is a terminal. */
void cli_progress_start(struct cli_progress *progress, const char *what);

/* Shows @done of @total, at most ten times a second. */
void cli_progress_update(struct cli_progress *progress, uint64_t done, uint64_t total);

/* Takes the line away. */
void cli_progress_end(struct cli_progress *progress);

#endif
