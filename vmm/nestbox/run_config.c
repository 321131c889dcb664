/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options from a file: each is given to cli_parse() as if it had been on a command line. */
#include "vmm/nestbox/run_config.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "lib/input.h"

/* Where an option came from: "FILE:LINE", as the name of a command whose error it is. */
#define PLACE_BYTES 512

/* Keeps @word. Returns it, or NULL for want of memory. */
static char *keep(struct run_config *config, char *word)
{
	if (!word || GROW(config->words, config->count)) {
		free(word);
		return NULL;
	}
	config->words[config->count++] = word;
	return word;
}

void run_config_free(struct run_config *config)
{
	while (config->count > 0)
		free(config->words[--config->count]);
	free(config->words);
	config->words = NULL;
}

static const struct cli_option *find_option(const struct cli_command *command, const char *key)
{
	const struct cli_option *option;

	for (option = command->options; option->name; option++) {
		if (strcmp(option->name, key) == 0 && strcmp(key, "config") != 0)
			return option;
	}
	return NULL;
}

/* -1: neither. */
static int yes_or_no(const char *value)
{
	if (!strcmp(value, "yes") || !strcmp(value, "true") || !strcmp(value, "on"))
		return 1;
	if (!strcmp(value, "no") || !strcmp(value, "false") || !strcmp(value, "off"))
		return 0;
	return -1;
}

/* Sets one option; @place is for messages. */
static bool set(struct run_config *config, const struct cli_command *command, const char *place,
		const char *key, const char *value)
{
	const struct cli_option *option = find_option(command, key);
	struct cli_command here = *command;
	enum cli_status status;
	char *argv[3] = {NULL};
	int operand, on;

	here.name = place;
	if (!option) {
		cli_error(&here, "there is no option '%.64s'; nestbox run --help lists them", key);
		return false;
	}
	on = yes_or_no(value);
	if (option->kind == CLI_FLAG && on < 0)
		cli_error(&here, "%s=%.64s: expected yes or no", key, value);
	if (option->kind == CLI_FLAG && on <= 0)
		return on == 0;
	argv[0] = keep(config, strdup("run"));
	if (option->kind == CLI_FLAG) {
		argv[1] = malloc(strlen(key) + 3);
		if (argv[1])
			sprintf(argv[1], "--%s", key);
	} else if (asprintf(&argv[1], "--%s=%s", key, value) < 0) {
		argv[1] = NULL;
	}
	argv[1] = keep(config, argv[1]);
	if (!argv[0] || !argv[1]) {
		cli_error(&here, "out of memory");
		return false;
	}
	return cli_parse(&here, 2, argv, &operand, &status);
}

/* ---- key=value ---- */

static char *trim(char *text)
{
	size_t length;

	text += strspn(text, " \t");
	length = strlen(text);
	while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
		text[--length] = '\0';
	return text;
}

static bool set_line(struct run_config *config, const struct cli_command *command,
		     const char *place, char *line)
{
	struct cli_command here = *command;
	char *equals;

	line = trim(line);
	if (!*line || *line == '#')
		return true;
	equals = strchr(line, '=');
	if (!equals) {
		here.name = place;
		cli_error(&here, "'%.64s' is not key=value", line);
		return false;
	}
	*equals = '\0';
	return set(config, command, place, trim(line), trim(equals + 1));
}

static bool apply_lines(struct run_config *config, const struct cli_command *command,
			struct line_reader *reader)
{
	struct input_error error;
	char place[PLACE_BYTES];
	char *line;
	int more;

	while ((more = line_reader_next(reader, &line, &error)) > 0) {
		snprintf(place, sizeof(place), "%s:%lu", reader->path, reader->line);
		if (!set_line(config, command, place, line))
			return false;
	}
	if (more < 0)
		cli_error(command, "%s", error.text);
	return more == 0;
}

/* ---- JSON ---- */

static bool set_json(struct run_config *config, const struct cli_command *command, const char *path,
		     const char *key, const json_t *value)
{
	struct cli_command here = *command;
	char number[32];

	if (json_is_string(value))
		return set(config, command, path, key, json_string_value(value));
	if (json_is_boolean(value))
		return set(config, command, path, key, json_is_true(value) ? "yes" : "no");
	if (json_is_integer(value)) {
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(value));
		return set(config, command, path, key, number);
	}
	here.name = path;
	cli_error(&here, "'%.64s' is to be a string, an integer or a boolean", key);
	return false;
}

static bool apply_json(struct run_config *config, const struct cli_command *command,
		       const char *path)
{
	json_error_t error;
	json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &error), *value;
	const char *key;
	bool good = true;

	if (!json_is_object(json)) {
		cli_error(command, "%s:%d: %s", path, json ? 1 : error.line,
			  json ? "not a JSON object" : error.text);
		json_decref(json);
		return false;
	}
	json_object_foreach (json, key, value)
		good = good && set_json(config, command, path, key, value);
	json_decref(json);
	return good;
}

bool run_config_apply(struct run_config *config, const struct cli_command *command,
		      const char *path)
{
	struct line_reader reader;
	struct input_error error;
	char first = '\0';
	bool good;

	if (line_reader_open(&reader, path, &error) != 0) {
		cli_error(command, "%s", error.text);
		return false;
	}
	line_reader_peek(&reader, &first, 1);
	good = first == '{' ? apply_json(config, command, path)
			    : apply_lines(config, command, &reader);
	line_reader_close(&reader);
	return good;
}

/* ---- backing ---- */

static bool is_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && strncmp(text, word, length) == 0;
}

static int parse_backing_word(const char *text, size_t length, struct gpa_backing *backing)
{
	if (is_word(text, length, "memfd"))
		backing->kind = GPA_BACKING_MEMFD;
	else if (is_word(text, length, "anon"))
		backing->kind = GPA_BACKING_ANON;
	else if (is_word(text, length, "huge=2M"))
		backing->hugetlb_bytes = EPT_PAGE_2M_BYTES;
	else if (is_word(text, length, "huge=1G"))
		backing->hugetlb_bytes = EPT_PAGE_1G_BYTES;
	else if (is_word(text, length, "thp"))
		backing->thp = true;
	else if (is_word(text, length, "reserve"))
		backing->reserve = true;
	else if (is_word(text, length, "prealloc"))
		backing->prealloc = true;
	else if (is_word(text, length, "lock"))
		backing->lock = true;
	else
		return -EINVAL;
	return 0;
}

int run_parse_backing(const char *text, void *value)
{
	struct gpa_backing backing = {.kind = GPA_BACKING_MEMFD};
	size_t length;

	for (;; text += length + 1) {
		length = strcspn(text, ",");
		if (parse_backing_word(text, length, &backing) != 0)
			return -EINVAL;
		if (!text[length])
			break;
	}
	*(struct gpa_backing *)value = backing;
	return 0;
}
