/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A recording's `meta` file: what the recorded machine was, one KEY=VALUE a line. */
#include "vmm/replay/ftrace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct key {
	const char *name;
	size_t offset; /* of a uint64_t, or of text, in struct ftrace_info */
	size_t room;   /* for text, its NUL included; 0 for a number */
	uint64_t min, max;
};

#define TEXT(name)                                                       \
	{                                                                \
#name, offsetof(struct ftrace_info, name),               \
			sizeof(((struct ftrace_info *)NULL)->name), 0, 0 \
	}
#define NUMBER(name, min, max)                                         \
	{                                                              \
#name, offsetof(struct ftrace_info, name), 0, min, max \
	}

static const struct key keys[] = {
	TEXT(kernel),
	TEXT(machine),
	NUMBER(cpus, 1, UINT16_MAX),
	NUMBER(possible_cpus, 1, UINT16_MAX),
	NUMBER(nodes, 1, UINT16_MAX),
	NUMBER(levels, 2, 5),
	NUMBER(page_bytes, 4096, 65536),
	NUMBER(kaslr_offset, 0, UINT64_MAX),
};

static int set_text(const struct key *key, const char *value, struct ftrace_info *info)
{
	if (strlen(value) >= key->room)
		return -EINVAL;
	memcpy((char *)info + key->offset, value, strlen(value) + 1);
	return 0;
}

static int set_number(const struct key *key, const char *value, struct ftrace_info *info)
{
	uint64_t number;

	if (number_parse(value, strlen(value), &number) || number < key->min || number > key->max)
		return -EINVAL;
	memcpy((char *)info + key->offset, &number, sizeof(number));
	if (!strcmp(key->name, "kaslr_offset"))
		info->has_kaslr_offset = true;
	return 0;
}

static int parse_line(const struct line_reader *reader, char *line, struct ftrace_info *info,
		      struct input_error *error)
{
	char *value = strchr(line, '=');
	const struct key *key = NULL;
	size_t i;

	if (!line[0] || line[0] == '#')
		return 0;
	if (!value || value == line)
		return input_fail(error, reader->path, reader->line, "this is no KEY=VALUE");
	*value++ = '\0';
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]) && !key; i++)
		key = strcmp(keys[i].name, line) ? NULL : &keys[i];
	if (!key || !strcmp(value, "unknown"))
		return 0;
	if (key->room ? set_text(key, value, info) : set_number(key, value, info))
		return input_fail(error, reader->path, reader->line, "%s=%.60s cannot be", line,
				  value);
	return 0;
}

int ftrace_read_meta(const char *path, struct ftrace_info *info, struct input_error *error)
{
	struct ftrace_info found = *info;
	struct line_reader reader;
	char *line;
	int ret;

	ret = line_reader_open(&reader, path, error);
	if (ret)
		return ret;
	while ((ret = line_reader_next(&reader, &line, error)) > 0) {
		ret = parse_line(&reader, line, &found, error);
		if (ret)
			break;
	}
	line_reader_close(&reader);
	if (!ret)
		*info = found;
	return ret;
}
