/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words of nestctl's command line as arguments of a command. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/input.h"
#include "vmm/nestctl/nestctl.h"

/* A file's bytes that are to be written are no more. */
#define FILE_BYTES_MAX PROTOCOL_MEMORY_BYTES

static json_t *fail(char why[QMP_WHY_BYTES], const char *text)
{
	snprintf(why, QMP_WHY_BYTES, "%s", text);
	return NULL;
}

/* Flags have names; what is none of them may still be a number. */
static json_t *flags_word(const struct qmp_arg *arg, const char *word, char why[QMP_WHY_BYTES])
{
	char names[CTL_FLAGS_BYTES];
	uint64_t value;

	if (ctl_flags_parse(arg->name, word, &value))
		return value <= INT64_MAX ? json_integer((json_int_t)value) : qmp_hex(value);
	ctl_flags_names(arg->name, names);
	snprintf(why, QMP_WHY_BYTES, "is to be a number, or with | between them: %.180s", names);
	return NULL;
}

static json_t *number_word(const char *word, bool size, char why[QMP_WHY_BYTES])
{
	uint64_t value;

	if (size && strncmp(word, "0x", 2) != 0 ? cli_size_parse(word, &value) != 0
						: number_parse(word, strlen(word), &value) != 0)
		return fail(why, size ? "is to be a size: a number, then K, M, G or T, or \"0x...\""
				      : "is to be a number of at most 64 bits");
	return value <= INT64_MAX ? json_integer((json_int_t)value) : qmp_hex(value);
}

static json_t *bool_word(const char *word, char why[QMP_WHY_BYTES])
{
	if (strcmp(word, "true") == 0)
		return json_true();
	return strcmp(word, "false") == 0 ? json_false() : fail(why, "is to be true or false");
}

/* QEMU's addresses are signed on the wire; nobody writes them so. */
static json_t *int_word(const struct qmp_arg *arg, const char *word, char why[QMP_WHY_BYTES])
{
	uint64_t address;
	int64_t value;

	if (arg->min == INT64_MIN && number_parse(word, strlen(word), &address) == NUMBER_OK)
		return json_integer((json_int_t)address);
	if (number_parse_signed(word, strlen(word), &value) != NUMBER_OK)
		return fail(why, "is to be an integer");
	return json_integer(value);
}

/* A regular file alone: nothing else has an end that must come. What is in a pipe is given by -. */
static FILE *open_bytes(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	FILE *file = NULL;

	if (fd >= 0 && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode))
		errno = S_ISDIR(status.st_mode) ? EISDIR : ESPIPE;
	else if (fd >= 0)
		file = fdopen(fd, "rb");
	if (fd >= 0 && !file)
		close(fd);
	return file;
}

/* Hexadecimal digits, or @FILE, or - for standard input: the bytes there. */
static json_t *bytes_word(const char *word, char why[QMP_WHY_BYTES])
{
	FILE *file = strcmp(word, "-") == 0 ? stdin : *word == '@' ? open_bytes(word + 1) : NULL;
	json_t *json = NULL;
	char *bytes;
	size_t size;

	if (strcmp(word, "-") != 0 && *word != '@')
		return json_string(word);
	if (!file) {
		snprintf(why, QMP_WHY_BYTES, "is %.100s: %s", word, strerror(errno));
		return NULL;
	}
	bytes = malloc(FILE_BYTES_MAX + 1);
	size = bytes ? fread(bytes, 1, FILE_BYTES_MAX + 1, file) : 0;
	if (size == 0 || size > FILE_BYTES_MAX)
		fail(why, size ? "is a file of more bytes than are written at once"
			       : "is a file without bytes");
	else
		json = qmp_bytes(bytes, size);
	free(bytes);
	if (file != stdin)
		fclose(file);
	return json;
}

static json_t *make(const struct qmp_arg *arg, const char *word, char why[QMP_WHY_BYTES])
{
	switch (arg->type) {
	case QMP_INT:
		return int_word(arg, word, why);
	case QMP_U64:
		if (ctl_flags_known(arg->name))
			return flags_word(arg, word, why);
		return number_word(word, false, why);
	case QMP_FRAMES:
		return number_word(word, false, why);
	case QMP_SIZE:
		return number_word(word, true, why);
	case QMP_BYTES:
		return bytes_word(word, why);
	case QMP_BOOL:
		return bool_word(word, why);
	default:
		return json_string(word) ?: fail(why, "is no UTF-8");
	}
}

json_t *ctl_word_json(const struct qmp_arg *arg, const char *word, char why[QMP_WHY_BYTES])
{
	struct qmp_value value = {0};
	json_t *json;

	why[0] = '\0';
	json = make(arg, word, why);
	/* Symbols only the guest's service knows; lists are checked when they are whole. */
	if (!json || arg->type == QMP_ADDRESS || arg->type == QMP_FRAMES)
		return json;
	if (qmp_value_read(arg, json, NULL, NULL, &value, why) == 0) {
		qmp_value_deinit(&value);
		return json;
	}
	json_decref(json);
	return NULL;
}
