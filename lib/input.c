/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading lines and numbers from files nobody vouches for; the rules are in input.h. */
#include "lib/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (8 * INPUT_LINE_MAX)

static void make_printable(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			*text = '?';
	}
}

int input_fail(struct input_error *error, const char *path, unsigned long line, const char *format,
	       ...)
{
	size_t used;
	va_list args;

	if (!error)
		return -EINVAL;
	error->text[0] = '\0';
	if (path && line)
		snprintf(error->text, sizeof(error->text), "%.400s:%lu: ", path, line);
	else if (path)
		snprintf(error->text, sizeof(error->text), "%.400s: ", path);
	used = strlen(error->text);
	va_start(args, format);
	vsnprintf(error->text + used, sizeof(error->text) - used, format, args);
	va_end(args);
	make_printable(error->text + used);
	return -EINVAL;
}

static int refuse_other_kinds(int fd, const char *path, struct input_error *error)
{
	struct stat status;

	if (fstat(fd, &status) || S_ISREG(status.st_mode))
		return 0;
	if (S_ISDIR(status.st_mode))
		return input_fail(error, path, 0, "this is a directory, not a file");
	return input_fail(error, path, 0,
			  "this is a %s, not a file: write what comes out of it to a file first",
			  S_ISFIFO(status.st_mode)   ? "FIFO"
			  : S_ISSOCK(status.st_mode) ? "socket"
						     : "device");
}

int line_reader_open_fd(struct line_reader *reader, int fd, const char *path,
			struct input_error *error)
{
	memset(reader, 0, sizeof(*reader));
	reader->fd = fd;
	reader->path = strdup(path);
	reader->buffer = malloc(BUFFER_BYTES);
	if (reader->path && reader->buffer)
		return 0;
	line_reader_close(reader);
	input_fail(error, path, 0, "no memory to read it");
	return -ENOMEM;
}

int line_reader_open(struct line_reader *reader, const char *path, struct input_error *error)
{
	/* Without O_NONBLOCK a FIFO nobody writes to would not even open. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err;

	memset(reader, 0, sizeof(*reader));
	if (fd < 0) {
		err = -errno;
		input_fail(error, path, 0, "cannot be opened: %s", strerror(-err));
		return err;
	}
	err = refuse_other_kinds(fd, path, error);
	if (err) {
		close(fd);
		return err;
	}
	return line_reader_open_fd(reader, fd, path, error);
}

void line_reader_close(struct line_reader *reader)
{
	close(reader->fd);
	free(reader->path);
	free(reader->buffer);
	memset(reader, 0, sizeof(*reader));
	reader->fd = -1;
}

/* Moves what is left to the front of the buffer and fills the rest. Returns 0 or -errno. */
static int refill(struct line_reader *reader)
{
	size_t kept = reader->end - reader->start;
	ssize_t got;

	memmove(reader->buffer, reader->buffer + reader->start, kept);
	reader->start = 0;
	reader->end = kept;
	while (reader->end < BUFFER_BYTES && !reader->at_end) {
		got = read(reader->fd, reader->buffer + reader->end, BUFFER_BYTES - reader->end);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		reader->at_end = got == 0;
		reader->end += (size_t)got;
	}
	return 0;
}

static int check_line(const struct line_reader *reader, const char *line, size_t length,
		      struct input_error *error)
{
	if (memchr(line, '\0', length))
		return input_fail(error, reader->path, reader->line,
				  "a NUL byte: this is not a text file");
	if (length && line[length - 1] == '\r')
		return input_fail(error, reader->path, reader->line,
				  "the line ends in CR LF; convert the file to LF line ends");
	return 0;
}

/*
 * Makes sure a whole line is in the buffer. Returns 1 with its length in *@length_out, 0 at the
 * end of the file, or a negative errno.
 */
static int find_line(struct line_reader *reader, size_t *length_out, struct input_error *error)
{
	char *newline;
	size_t left;
	int err;

	for (;;) {
		left = reader->end - reader->start;
		newline = memchr(reader->buffer + reader->start, '\n', left);
		if (newline) {
			*length_out = (size_t)(newline - (reader->buffer + reader->start));
			break;
		}
		if (left >= INPUT_LINE_MAX)
			break;
		if (reader->at_end) {
			if (!left)
				return 0;
			return input_fail(error, reader->path, reader->line + 1,
					  "the file is cut short: its last line has no end");
		}
		err = refill(reader);
		if (err) {
			input_fail(error, reader->path, reader->line + 1, "cannot be read: %s",
				   strerror(-err));
			return err;
		}
	}
	if (!newline || *length_out >= INPUT_LINE_MAX)
		return input_fail(error, reader->path, reader->line + 1,
				  "the line is longer than %d bytes", INPUT_LINE_MAX);
	return 1;
}

int line_reader_next(struct line_reader *reader, char **line_out, struct input_error *error)
{
	size_t length = 0;
	char *line;
	int ret = find_line(reader, &length, error);

	if (ret <= 0)
		return ret;
	line = reader->buffer + reader->start;
	reader->start += length + 1;
	reader->line++;
	ret = check_line(reader, line, length, error);
	if (ret)
		return ret;
	line[length] = '\0';
	*line_out = line;
	return 1;
}

size_t line_reader_peek(struct line_reader *reader, void *bytes, size_t size)
{
	size_t left = reader->end - reader->start;

	if (left < size && !reader->at_end && !refill(reader))
		left = reader->end - reader->start;
	if (size > left)
		size = left;
	memcpy(bytes, reader->buffer + reader->start, size);
	return size;
}

static enum number_error parse_digits(const char *text, size_t length, unsigned int base,
				      uint64_t *value_out)
{
	bool overflow = false;
	uint64_t value = 0;

	if (length == 0)
		return NUMBER_MALFORMED;
	for (; length; text++, length--) {
		unsigned int digit = number_digit(*text);

		if (digit >= base)
			return NUMBER_MALFORMED;
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			overflow = true;
	}
	if (overflow)
		return NUMBER_OUT_OF_RANGE;
	*value_out = value;
	return NUMBER_OK;
}

static bool has_hex_prefix(const char *text, size_t length)
{
	return length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

enum number_error number_parse(const char *text, size_t length, uint64_t *value_out)
{
	if (has_hex_prefix(text, length))
		return parse_digits(text + 2, length - 2, 16, value_out);
	return parse_digits(text, length, 10, value_out);
}

enum number_error number_parse_hex(const char *text, size_t length, uint64_t *value_out)
{
	size_t prefix = has_hex_prefix(text, length) ? 2 : 0;

	return parse_digits(text + prefix, length - prefix, 16, value_out);
}

enum number_error number_parse_signed(const char *text, size_t length, int64_t *value_out)
{
	bool negative = length > 1 && text[0] == '-' && text[1] >= '0' && text[1] <= '9';
	enum number_error error;
	uint64_t magnitude;

	if (negative && length > 2 && (text[2] == 'x' || text[2] == 'X'))
		return NUMBER_MALFORMED;
	error = number_parse(text + negative, length - negative, &magnitude);
	if (error)
		return error;
	if (magnitude > INT64_MAX)
		return NUMBER_OUT_OF_RANGE;
	*value_out = negative ? -(int64_t)magnitude : (int64_t)magnitude;
	return NUMBER_OK;
}

const char *number_error_text(enum number_error error)
{
	return error == NUMBER_OUT_OF_RANGE ? "out of range" : "no number";
}
