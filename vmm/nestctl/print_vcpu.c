/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a vCPU is at, instructions, and memory in gdb's formats (x/8gx). */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/input.h"
#include "lib/printable.h"
#include "vmm/nestctl/nestctl.h"

/* ---- backtraces ---- */

/* "#1 0xffffffff80001234 op_panic+0x1c at guest/selfharm.c:16"; what was inlined has no address. */
static void print_frame(FILE *out, size_t number, const json_t *frame)
{
	const char *function = ctl_text(frame, "function");

	fprintf(out, "#%-2zu ", number);
	if (json_is_true(json_object_get(frame, "inlined")))
		fprintf(out, "%-18s %s", "(inlined)", function);
	else
		fprintf(out, "0x%016" PRIx64 " %s+%#" PRIx64, ctl_number(frame, "address"),
			*function ? function : "?", ctl_number(frame, "offset"));
	if (*ctl_text(frame, "file"))
		fprintf(out, " at %s:%" PRIu64, ctl_text(frame, "file"), ctl_number(frame, "line"));
	fputc('\n', out);
}

static void print_call(FILE *out, const json_t *call)
{
	const json_t *args = json_object_get(call, "args");
	size_t count = json_array_size(args);
	const char *arg;

	for (; count > 0; count--) {
		arg = json_string_value(json_array_get(args, count - 1));
		if (arg && strcmp(arg, "0") != 0 && strcmp(arg, "0x0") != 0)
			break;
	}
	fprintf(out, "in hypercall %s(", ctl_text(call, "name"));
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s%s", i ? ", " : "",
			json_string_value(json_array_get(args, i)) ?: "?");
	fputs(")\n", out);
}

enum cli_status ctl_print_backtrace(struct ctl *ctl, const json_t *value)
{
	const json_t *trace = json_object_get(value, "backtrace");
	const json_t *frames = json_object_get(trace, "frames");
	const json_t *call = json_object_get(value, "hypercall");

	fprintf(ctl->out, "vCPU %" PRIu64 ", %s%s%s\n", ctl_number(value, "vcpu"),
		ctl_text(value, "state"), *ctl_text(value, "text") ? ": " : "",
		ctl_text(value, "text"));
	if (call)
		print_call(ctl->out, call);
	for (size_t i = 0; i < json_array_size(frames); i++)
		print_frame(ctl->out, i, json_array_get(frames, i));
	if (strcmp(ctl_text(trace, "end"), "whole") != 0)
		fprintf(ctl->out, "... ends here: %s\n", ctl_text(trace, "end"));
	return CLI_DONE;
}

/* ---- instructions ---- */

#define INSN_COLUMN 48

enum cli_status ctl_print_insns(struct ctl *ctl, const json_t *value)
{
	const json_t *list = json_object_get(value, "instructions");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *insn = json_array_get(list, i);
		const char *place = ctl_text(insn, "place");

		fprintf(ctl->out, "0x%016" PRIx64 " %-32s", ctl_number(insn, "address"),
			ctl_text(insn, "bytes"));
		if (*place)
			fprintf(ctl->out, "%-*s ; %.*s\n", INSN_COLUMN, ctl_text(insn, "text"),
				(int)strcspn(place, "/"), place);
		else
			fprintf(ctl->out, "%s\n", ctl_text(insn, "text"));
	}
	return CLI_DONE;
}

/* ---- x/FMT ---- */

#define EXAMINE_MAX 4096

/* A format as gdb's: count, letter, size; those left out are 1, x and g. */
struct format {
	uint64_t count;
	char letter;
	unsigned int bytes;
};

static bool read_format(const char *text, struct format *format_out)
{
	static const char sizes[] = "bhwg";
	struct format format = {1, 'x', 8};
	size_t digits = strspn(text, "0123456789");
	bool sized = false;
	const char *size;

	if (digits && (number_parse(text, digits, &format.count) != NUMBER_OK ||
		       format.count == 0 || format.count > EXAMINE_MAX))
		return false;
	for (text += digits; *text; text++) {
		size = strchr(sizes, *text);
		if (size) {
			format.bytes = 1u << (size - sizes);
			sized = true;
		} else if (strchr("xduoctais", *text)) {
			format.letter = *text;
		} else {
			return false;
		}
	}
	if (!sized && (format.letter == 'c' || format.letter == 's'))
		format.bytes = 1;
	if (format.letter == 's' && !digits)
		format.count = 256;
	*format_out = format;
	return true;
}

/* Little-endian, as the guest has it. */
static uint64_t unit_at(const uint8_t *bytes, unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int i = size; i > 0; i--)
		value = value << 8 | bytes[i - 1];
	return value;
}

static void print_binary(FILE *out, uint64_t value, unsigned int bits)
{
	while (bits-- > 0)
		fputc(value >> bits & 1 ? '1' : '0', out);
}

static void print_unit(FILE *out, const struct format *format, uint64_t value)
{
	unsigned int bits = 8 * format->bytes;

	switch (format->letter) {
	case 'd':
		fprintf(out, "%20" PRId64, (int64_t)(value << (64 - bits)) >> (64 - bits));
		break;
	case 'u':
		fprintf(out, "%20" PRIu64, value);
		break;
	case 'o':
		fprintf(out, "0%0*" PRIo64, (int)(bits + 2) / 3, value);
		break;
	case 't':
		print_binary(out, value, bits);
		break;
	case 'c':
		fprintf(out, "%4" PRIu64 " '%c'", value,
			is_printable((char)value) ? (int)value : '.');
		break;
	default:
		fprintf(out, "0x%0*" PRIx64, (int)format->bytes * 2, value);
		break;
	}
}

/* Up to the first NUL, or all there is. */
static void print_string(FILE *out, uint64_t address, const uint8_t *bytes, size_t count)
{
	size_t i;

	fprintf(out, "0x%016" PRIx64 ": \"", address);
	for (i = 0; i < count && bytes[i]; i++) {
		if (is_printable((char)bytes[i]) && bytes[i] != '"' && bytes[i] != '\\')
			fputc(bytes[i], out);
		else
			fprintf(out, "\\x%02x", bytes[i]);
	}
	fprintf(out, "\"%s\n", i == count ? "..." : "");
}

/* As many in a line as make sixteen bytes; eight single ones. */
static void print_units(FILE *out, const struct format *format, uint64_t address,
			const uint8_t *bytes)
{
	size_t row = format->bytes == 1 ? 8 : 16 / format->bytes, i;

	for (i = 0; i < format->count; i++) {
		if (i % row == 0)
			fprintf(out, "%s0x%016" PRIx64 ":", i ? "\n" : "",
				address + i * format->bytes);
		fputc(' ', out);
		print_unit(out, format, unit_at(bytes + i * format->bytes, format->bytes));
	}
	fputc('\n', out);
}

static enum cli_status examine(struct ctl *ctl, const struct format *format, const json_t *value)
{
	const char *text = ctl_text(value, "bytes");
	uint64_t address = ctl_number(value, "address");
	size_t size = format->count * format->bytes, i;
	uint8_t *bytes = calloc(1, size);

	if (!bytes || strlen(text) != 2 * size) {
		free(bytes);
		return CLI_HOST;
	}
	for (i = 0; i < size; i++)
		bytes[i] =
			(uint8_t)(number_digit(text[2 * i]) << 4 | number_digit(text[2 * i + 1]));
	if (format->letter == 's')
		print_string(ctl->out, address, bytes, size);
	else
		print_units(ctl->out, format, address, bytes);
	free(bytes);
	return CLI_DONE;
}

enum cli_status ctl_run_examine(struct ctl *ctl)
{
	const char *operand = ctl_text(ctl->arguments, "operand");
	struct format format = {8, 'x', 8};
	enum cli_status status;
	json_t *value = NULL;
	bool insns;
	int err;

	if (ctl->format && !read_format(ctl->format, &format)) {
		cli_error(
			ctl->cli,
			"format '%.32s': a count up to %u, one of x d u o t c s i, and a size b h "
			"w g, as in x/8gx",
			ctl->format, EXAMINE_MAX);
		return CLI_BAD_INPUT;
	}
	insns = format.letter == 'i';
	err = ctl_ask(ctl->wire, insns ? "disassemble" : "read-memory",
		      json_pack("{s:s, s:I}", "address", operand, insns ? "count" : "size",
				(json_int_t)(format.count * (insns ? 1 : format.bytes))),
		      &value, &ctl->error);
	if (err)
		return ctl_failed(ctl, err);
	if (ctl->json)
		status = ctl_print_json(ctl, value);
	else
		status = insns ? ctl_print_insns(ctl, value) : examine(ctl, &format, value);
	json_decref(value);
	return status;
}
