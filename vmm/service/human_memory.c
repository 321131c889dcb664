/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The human monitor's lines on memory: x, xp, gpa2hva, gva2gpa. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/machine/insn.h"
#include "vmm/service/human.h"

void human_gpa2hva(struct human *human, const char *rest)
{
	const struct gpa_space *space = guest_space(human->service->guest);
	const struct gpa_region *region;
	uint64_t address;
	void *host;

	if (!human_address(human, rest, &address))
		return;
	region = gpa_space_find(space, gpa_make(address));
	if (!region || region->kind == GPA_HOLE)
		fprintf(human->out, "No memory is mapped at address 0x%" PRIx64 "\n", address);
	else if (gpa_space_translate(space, gpa_make(address), 1, &host))
		fprintf(human->out, "Memory at address 0x%" PRIx64 " is not RAM\n", address);
	else
		fprintf(human->out, "Host virtual address for 0x%" PRIx64 " (%s) is %p\n", address,
			region->name, host);
}

void human_gva2gpa(struct human *human, const char *rest)
{
	struct paging_reader reader = guest_paging_reader(human->service->guest);
	struct paging_mode mode;
	struct paging_walk walk;
	uint64_t address;

	if (!human_address(human, rest, &address))
		return;
	if (service_cpu_tables(human->service, human->cpu, &mode)) {
		fputs("No cpu\n", human->out);
		return;
	}
	paging_walk(&mode, &reader, gva_make(address), &walk);
	if (walk.status == PAGING_MAPPED)
		fprintf(human->out, "gpa: %#" PRIx64 "\n", walk.gpa.value);
	else
		fputs("Unmapped\n", human->out);
}

/* ---- x, xp ---- */

struct format {
	uint64_t count;
	char letter;
	unsigned int bytes; /* of each */
};

/* "/3gx", or nothing. Returns what stands behind it, or NULL after saying what is wrong. */
static const char *read_format(struct human *human, const char *text, struct format *format)
{
	static const char sizes[] = "b h w   g";
	const char *at = text, *size;
	char *end;

	*format = (struct format){1, 'x', 4};
	if (*at != '/')
		return text;
	at++;
	if (isdigit((unsigned char)*at)) {
		format->count = strtoull(at, &end, 10);
		at = end;
	}
	for (; *at && *at != ' '; at++) {
		size = strchr(sizes, *at);
		if (size) {
			format->bytes = (unsigned int)(size - sizes);
			format->bytes = format->bytes ? format->bytes : 1;
		} else if (strchr("oduxic", *at)) {
			format->letter = *at;
		} else {
			human_wrong(human, "invalid char in format: '%c'", *at);
			return NULL;
		}
	}
	if (format->letter == 'c')
		format->bytes = 1;
	if (format->count > PROTOCOL_MEMORY_BYTES / format->bytes) {
		fprintf(human->out, "no more than %u bytes at once\n", PROTOCOL_MEMORY_BYTES);
		return NULL;
	}
	return at;
}

static size_t read_some(struct human *human, const struct paging_mode *mode, uint64_t address,
			uint8_t *bytes, size_t size)
{
	const struct gpa_space *space = guest_space(human->service->guest);

	if (mode)
		return gpa_space_read_virtual(space, mode, gva_make(address), bytes, size);
	return gpa_space_read(space, gpa_make(address), bytes, size) ? 0 : size;
}

static void print_char(FILE *out, uint8_t c)
{
	static const char named[] = "\n\r\t", letters[] = "nrt";
	const char *at = c ? strchr(named, c) : NULL;

	if (at)
		fprintf(out, " '\\%c'", letters[at - named]);
	else if (c == '\'' || c == '\\')
		fprintf(out, " '\\%c'", c);
	else if (c >= ' ' && c < 0x7f)
		fprintf(out, " '%c'", c);
	else
		fprintf(out, " '\\x%02x'", c);
}

/* Columns as wide as the largest value. */
static void print_value(FILE *out, const struct format *format, uint64_t value)
{
	int bits = (int)format->bytes * 8;

	switch (format->letter) {
	case 'o':
		fprintf(out, " %#*" PRIo64, (bits + 2) / 3, value);
		break;
	case 'u':
		fprintf(out, " %*" PRIu64, (bits * 10 + 32) / 33, value);
		break;
	case 'd':
		fprintf(out, " %*" PRId64, (bits * 10 + 32) / 33, (int64_t)value);
		break;
	case 'c':
		print_char(out, (uint8_t)value);
		break;
	default:
		fprintf(out, " 0x%0*" PRIx64, bits / 4, value);
		break;
	}
}

static void dump_words(struct human *human, const struct paging_mode *mode,
		       const struct format *format, uint64_t address)
{
	uint64_t left = format->count * format->bytes, value;
	size_t line = format->bytes == 1 ? 8 : 16;
	uint8_t bytes[16];

	while (left > 0) {
		size_t size = left < line ? (size_t)left : line;

		fprintf(human->out, "%016" PRIx64 ":", address);
		if (read_some(human, mode, address, bytes, size) != size) {
			fputs(" Cannot access memory\n", human->out);
			return;
		}
		for (size_t i = 0; i < size; i += format->bytes) {
			value = 0;
			memcpy(&value, bytes + i, format->bytes);
			print_value(human->out, format, value);
		}
		fputc('\n', human->out);
		address += size;
		left -= size;
	}
}

static void dump_insns(struct human *human, const struct paging_mode *mode, uint64_t count,
		       uint64_t address)
{
	uint8_t code[INSN_BYTES_MAX];
	char text[INSN_TEXT_BYTES];
	size_t got, length;

	for (; count > 0; count--, address += length) {
		for (got = 0; got < sizeof(code) &&
			      read_some(human, mode, address + got, code + got, 1) == 1;
		     got++)
			;
		if (got == 0) {
			fprintf(human->out, "0x%08" PRIx64 ": unable to read memory\n", address);
			return;
		}
		length = insn_text(code, got, address, text);
		if (length == 0) {
			length = 1;
			strcpy(text, "(bad)");
		}
		fprintf(human->out, "0x%08" PRIx64 ": ", address);
		for (size_t i = 0; i < length; i++)
			fprintf(human->out, " %02x", code[i]);
		fprintf(human->out, "%*s%s\n", length < 8 ? (int)(26 - 3 * length) : 2, "", text);
	}
}

static void examine(struct human *human, const char *rest, bool physical)
{
	struct paging_mode mode;
	struct format format;
	uint64_t address;

	rest = read_format(human, rest, &format);
	if (!rest || !human_address(human, rest, &address))
		return;
	if (!physical && service_cpu_tables(human->service, human->cpu, &mode)) {
		fputs("No cpu\n", human->out);
		return;
	}
	if (format.letter == 'i')
		dump_insns(human, physical ? NULL : &mode, format.count, address);
	else
		dump_words(human, physical ? NULL : &mode, &format, address);
}

void human_x(struct human *human, const char *rest)
{
	examine(human, rest, false);
}

void human_xp(struct human *human, const char *rest)
{
	examine(human, rest, true);
}
