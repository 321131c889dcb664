/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes to packets and back. */
#include "vmm/gdb/packet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define INTERRUPT '\003'
#define ESCAPE    '}'
#define ESCAPED   0x20

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* ---- reading ---- */

static void begin(struct gdb_reader *reader)
{
	reader->state = GDB_BODY;
	reader->bad = false;
	reader->sum = 0;
	reader->size = 0;
}

static void keep(struct gdb_reader *reader, char c)
{
	if (reader->size < GDB_PACKET_MAX)
		reader->bytes[reader->size++] = c;
	else
		reader->bad = true;
}

static enum gdb_event idle(struct gdb_reader *reader, char c)
{
	if (c == '$')
		begin(reader);
	if (c == INTERRUPT)
		return GDB_INTERRUPT;
	return c == '-' ? GDB_NACK : GDB_MORE;
}

static void body(struct gdb_reader *reader, char c)
{
	if (c == '$') { /* the one before was never ended */
		begin(reader);
		return;
	}
	if (c == '#') {
		reader->bad |= reader->state == GDB_ESCAPED;
		reader->state = GDB_SUM_HIGH;
		return;
	}
	reader->sum += (uint8_t)c;
	if (reader->state == GDB_ESCAPED) {
		keep(reader, (char)(c ^ ESCAPED));
		reader->state = GDB_BODY;
	} else if (c == ESCAPE) {
		reader->state = GDB_ESCAPED;
	} else {
		keep(reader, c);
	}
}

static enum gdb_event sum(struct gdb_reader *reader, char c)
{
	int digit = digit_of(c);
	bool high = reader->state == GDB_SUM_HIGH;

	if (digit < 0) {
		reader->state = GDB_IDLE;
		return GDB_BAD;
	}
	if (high) {
		reader->told = (uint8_t)(digit << 4);
		reader->state = GDB_SUM_LOW;
		return GDB_MORE;
	}
	reader->state = GDB_IDLE;
	if (reader->bad || (reader->told | digit) != reader->sum)
		return GDB_BAD;
	reader->bytes[reader->size] = '\0';
	return GDB_PACKET;
}

static enum gdb_event take(struct gdb_reader *reader, char c)
{
	switch (reader->state) {
	case GDB_IDLE:
		return idle(reader, c);
	case GDB_BODY:
	case GDB_ESCAPED:
		body(reader, c);
		return GDB_MORE;
	default:
		return sum(reader, c);
	}
}

size_t gdb_reader_feed(struct gdb_reader *reader, const char *bytes, size_t size,
		       enum gdb_event *event_out)
{
	size_t taken = 0;

	*event_out = GDB_MORE;
	while (taken < size && *event_out == GDB_MORE)
		*event_out = take(reader, bytes[taken++]);
	return taken;
}

bool gdb_take_number(struct gdb_text *text, uint64_t *number_out)
{
	uint64_t number = 0;
	int digits = 0, digit;

	for (; text->at < text->end && (digit = digit_of(*text->at)) >= 0; text->at++) {
		if (digits++ == 16)
			return false;
		number = number << 4 | (unsigned int)digit;
	}
	*number_out = number;
	return digits > 0;
}

bool gdb_take_hex(struct gdb_text *text, void *bytes, size_t size)
{
	uint8_t *to = bytes;

	if ((size_t)(text->end - text->at) / 2 < size)
		return false;
	for (size_t i = 0; i < size; i++, text->at += 2) {
		int high = digit_of(text->at[0]), low = digit_of(text->at[1]);

		if (high < 0 || low < 0)
			return false;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool gdb_take(struct gdb_text *text, const char *expected)
{
	size_t size = strlen(expected);

	if ((size_t)(text->end - text->at) < size || memcmp(text->at, expected, size) != 0)
		return false;
	text->at += size;
	return true;
}

/* ---- writing ---- */

void gdb_answer_bytes(struct gdb_answer *answer, const void *bytes, size_t size)
{
	if (answer->full || size > sizeof(answer->bytes) - answer->size) {
		answer->full = true;
		return;
	}
	memcpy(answer->bytes + answer->size, bytes, size);
	answer->size += size;
}

void gdb_answer_text(struct gdb_answer *answer, const char *format, ...)
{
	char text[256];
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (size < 0 || (size_t)size >= sizeof(text))
		answer->full = true;
	else
		gdb_answer_bytes(answer, text, (size_t)size);
}

void gdb_answer_hex(struct gdb_answer *answer, const void *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *from = bytes;

	for (size_t i = 0; i < size; i++) {
		const char two[2] = {digits[from[i] >> 4], digits[from[i] & 15]};

		gdb_answer_bytes(answer, two, sizeof(two));
	}
}

size_t gdb_frame(const struct gdb_answer *answer, char frame[GDB_FRAME_MAX])
{
	uint8_t sum = 0;
	size_t size = 0;

	frame[size++] = '$';
	for (size_t i = 0; i < answer->size; i++) {
		char c = answer->bytes[i];

		if (c == '$' || c == '#' || c == ESCAPE || c == '*') {
			frame[size++] = ESCAPE;
			sum += ESCAPE;
			c = (char)(c ^ ESCAPED);
		}
		frame[size++] = c;
		sum += (uint8_t)c;
	}
	frame[size++] = '#';
	frame[size++] = "0123456789abcdef"[sum >> 4];
	frame[size++] = "0123456789abcdef"[sum & 15];
	return size;
}
