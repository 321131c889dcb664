/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets of gdb's remote protocol (gdb's manual, appendix "Remote Serial Protocol"): $bytes#sum,
 * '}' escapes, '+' and '-' acknowledge, a lone 0x03 is Ctrl-C.
 *
 * The reader takes what a socket gives, piece by piece, into a buffer of its own; nothing is
 * allocated, and whatever is sent is taken. The client is hostile.
 */
#ifndef VMM_GDB_PACKET_H
#define VMM_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a packet holds at most, in either direction, before escapes. */
#define GDB_PACKET_MAX 16384u

enum gdb_event {
	GDB_MORE,      /* all was taken, and no packet is whole */
	GDB_PACKET,    /* reader->bytes has one of reader->size bytes, and a 0 behind */
	GDB_INTERRUPT, /* Ctrl-C */
	GDB_NACK,      /* the last answer did not arrive: send it again */
	GDB_BAD,       /* a packet with a wrong checksum, or longer than any may be */
};

struct gdb_reader {
	enum { GDB_IDLE, GDB_BODY, GDB_ESCAPED, GDB_SUM_HIGH, GDB_SUM_LOW } state;
	bool bad; /* too long, or an escape at its end */
	uint8_t sum, told;
	size_t size;
	char bytes[GDB_PACKET_MAX + 1];
};

/* All zero is a new one. */

/*
 * Takes @bytes up to the next event; returns how many, at least one where @size is not 0. The
 * packet is good until the next call.
 */
size_t gdb_reader_feed(struct gdb_reader *reader, const char *bytes, size_t size,
		       enum gdb_event *event_out);

/* An answer that grows; what does not fit makes it @full, and nothing more is added. */
struct gdb_answer {
	bool full;
	size_t size;
	char bytes[GDB_PACKET_MAX];
};

void gdb_answer_text(struct gdb_answer *answer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* As they are: any bytes. */
void gdb_answer_bytes(struct gdb_answer *answer, const void *bytes, size_t size);
/* Two digits each. */
void gdb_answer_hex(struct gdb_answer *answer, const void *bytes, size_t size);

/* What a frame takes at most. */
#define GDB_FRAME_MAX (2 * GDB_PACKET_MAX + 4)

/* Writes the packet with its escapes and sum; returns its length. */
size_t gdb_frame(const struct gdb_answer *answer, char frame[GDB_FRAME_MAX]);

/* What is left of a packet to be read. */
struct gdb_text {
	const char *at, *end;
};

/* A number of hexadecimal digits, one at least, 16 at most. */
bool gdb_take_number(struct gdb_text *text, uint64_t *number_out);
/* @size bytes of two digits each. */
bool gdb_take_hex(struct gdb_text *text, void *bytes, size_t size);
/* Exactly this, which is then behind. */
bool gdb_take(struct gdb_text *text, const char *expected);

#endif
