/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Formatting of text. A conversion is parsed whole before anything is written, so that one that
 * is not known can be written as it stands.
 */
#include "guest/printf.h"

struct output {
	char *buffer;
	u32 size, used;
};

struct conversion {
	u32 width;
	bool zeroes;
	bool wide; /* l or ll: 64 bits */
	char kind; /* the conversion's letter, 0 at the end of the format */
};

/* Enough for 64 bits in any base used. */
#define DIGITS_MAX 20

static void put(struct output *out, char c)
{
	if (out->used < out->size)
		out->buffer[out->used++] = c;
}

static void put_padding(struct output *out, const struct conversion *conversion, u32 length)
{
	for (; length < conversion->width; length++)
		put(out, conversion->zeroes ? '0' : ' ');
}

static void put_text(struct output *out, const struct conversion *conversion, const char *text)
{
	u32 length = 0;

	if (!text)
		text = "(null)";
	if (conversion->width) {
		while (text[length])
			length++;
		put_padding(out, conversion, length);
	}
	while (*text)
		put(out, *text++);
}

static void put_number(struct output *out, const struct conversion *conversion, u64 value,
		       bool negative, u32 base)
{
	const char *digits = conversion->kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[DIGITS_MAX];
	u32 length = 0, i;

	do {
		text[length++] = digits[value % base];
		value /= base;
	} while (value);
	if (negative && conversion->zeroes)
		put(out, '-');
	put_padding(out, conversion, length + negative);
	if (negative && !conversion->zeroes)
		put(out, '-');
	for (i = length; i > 0; i--)
		put(out, text[i - 1]);
}

/* Parses what follows a %, and returns the first character after it. */
static const char *parse(const char *format, struct conversion *conversion)
{
	u32 longs = 0;

	*conversion = (struct conversion){.zeroes = *format == '0'};
	while (*format >= '0' && *format <= '9')
		conversion->width = conversion->width * 10 + (u32)(*format++ - '0');
	while (*format == 'l' && longs < 2) {
		longs++;
		format++;
	}
	conversion->wide = longs != 0;
	conversion->kind = *format;
	return *format ? format + 1 : format;
}

u32 format_text(char *buffer, u32 size, const char *format, va_list args)
{
	struct output out = {buffer, size, 0};
	struct conversion conversion;
	const char *start;
	s64 number;

	while (*format) {
		start = format++;
		if (*start != '%') {
			put(&out, *start);
			continue;
		}
		format = parse(format, &conversion);
		switch (conversion.kind) {
		case 's':
			put_text(&out, &conversion, va_arg(args, const char *));
			break;
		case 'c':
			put_padding(&out, &conversion, 1);
			put(&out, (char)va_arg(args, int));
			break;
		case 'p':
			put(&out, '0');
			put(&out, 'x');
			put_number(&out, &conversion, va_arg(args, u64), false, 16);
			break;
		case 'd':
		case 'i':
			number = conversion.wide ? va_arg(args, s64) : va_arg(args, s32);
			put_number(&out, &conversion, number < 0 ? 0 - (u64)number : (u64)number,
				   number < 0, 10);
			break;
		case 'u':
		case 'x':
		case 'X':
			put_number(&out, &conversion,
				   conversion.wide ? va_arg(args, u64) : va_arg(args, u32), false,
				   conversion.kind == 'u' ? 10 : 16);
			break;
		case '%':
			put(&out, '%');
			break;
		default:
			while (start != format)
				put(&out, *start++);
		}
	}
	return out.used;
}
