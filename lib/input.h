/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text files from outside: a streaming reader of lines, strict numbers, and errors that name the
 * file and the line.
 *
 * Everything read here is hostile. A line is at most INPUT_LINE_MAX bytes, ends with a newline (a
 * last line without one has been cut short, and a number in it may be the half of a number), and
 * holds no NUL byte and no carriage return. Memory use is the one buffer, whatever the file.
 */
#ifndef LIB_INPUT_H
#define LIB_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest line taken, in bytes, its newline included. ftrace's own limit is a page or two. */
#define INPUT_LINE_MAX 32768

/* What was wrong with an input: one line of text without a newline, ready to print. */
struct input_error {
	char text[640];
};

struct line_reader {
	int fd;
	char *path;
	unsigned long line; /* number of the line last returned, the first being 1 */
	char *buffer;       /* 8 * INPUT_LINE_MAX bytes; [start, end) is not yet returned */
	size_t start;
	size_t end;
	bool at_end; /* the file has no more bytes than the buffer holds */
};

/*
 * Writes "path:line: message" to @error ("path: message" when @line is 0, "message" without @path).
 * Bytes of the message that are not printable ASCII become '?', because it may quote the input.
 * Returns -EINVAL, so that a reader can return it. A NULL @error is allowed.
 */
int input_fail(struct input_error *error, const char *path, unsigned long line, const char *format,
	       ...) __attribute__((format(printf, 4, 5)));

/*
 * Opens @path. Returns 0, -EINVAL (a directory, or a FIFO, device or socket, which could keep us
 * waiting for ever), -ENOMEM, or the errno of open(2), negated, with @error filled in; on error
 * nothing is left to close. Pair with line_reader_close().
 */
int line_reader_open(struct line_reader *reader, const char *path, struct input_error *error);

/*
 * The same for the descriptor @fd of any kind, which the reader closes, on error too; @path is
 * what errors call it.
 */
int line_reader_open_fd(struct line_reader *reader, int fd, const char *path,
			struct input_error *error);

/* Frees what line_reader_open() took. */
void line_reader_close(struct line_reader *reader);

/*
 * The next line, without its newline, in *@line_out: NUL-terminated, writable, and the reader's
 * until the next call. Returns 1, 0 at the end of the file, or a negative errno with @error filled
 * in (-EINVAL for a line that breaks the rules above).
 */
int line_reader_next(struct line_reader *reader, char **line_out, struct input_error *error);

/*
 * Copies up to @size of the next bytes to @bytes without taking them. Returns how many; fewer than
 * @size only where the file ends or cannot be read.
 */
size_t line_reader_peek(struct line_reader *reader, void *bytes, size_t size);

/* The value of the hexadecimal digit @c, of either case; 16 for what is none. */
static inline unsigned int number_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned int)(c - 'A') + 10;
	return 16;
}

enum number_error { NUMBER_OK, NUMBER_MALFORMED, NUMBER_OUT_OF_RANGE };

/*
 * Reads all of the string [@text, @text + @length) as an unsigned number: decimal, or hexadecimal
 * after "0x". No sign, no space. *@value_out is set only on NUMBER_OK.
 */
enum number_error number_parse(const char *text, size_t length, uint64_t *value_out);

/* The same for a number that is hexadecimal with or without its "0x". */
enum number_error number_parse_hex(const char *text, size_t length, uint64_t *value_out);

/* The same for a signed number; a hexadecimal one is not negative. */
enum number_error number_parse_signed(const char *text, size_t length, int64_t *value_out);

/* "no number" or "out of range", for messages. */
const char *number_error_text(enum number_error error);

#endif
