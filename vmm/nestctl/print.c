/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What commands return, for people. All of it is text from elsewhere: control bytes are not shown.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/input.h"
#include "lib/printable.h"
#include "vmm/nestctl/nestctl.h"

#define HEXDUMP_BYTES 16

uint64_t ctl_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);
	uint64_t number = 0;

	if (json_is_integer(value))
		return (uint64_t)json_integer_value(value);
	if (text && number_parse(text, strlen(text), &number) == NUMBER_OK)
		return number;
	return 0;
}

const char *ctl_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

enum cli_status ctl_print_json(struct ctl *ctl, const json_t *value)
{
	json_dumpf(value, ctl->out, JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
	fputc('\n', ctl->out);
	ctl->printed = true;
	return CLI_DONE;
}

bool ctl_wants_json(int argc, char **argv)
{
	for (int i = 0; i < argc && argv[i]; i++)
		if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "-j") == 0)
			return true;
	return false;
}

void ctl_print_error(const char *text)
{
	struct ctl ctl = {.out = stdout};
	json_t *json = json_pack("{s:{s:s}}", "error", "desc", text);

	ctl_print_json(&ctl, json);
	json_decref(json);
}

enum cli_status ctl_print_interrupted(const struct ctl *ctl, const json_t *value)
{
	if (!json_is_true(json_object_get(value, PROTOCOL_INTERRUPTED)))
		return CLI_DONE;
	fflush(ctl->out);
	cli_error(ctl->cli, "interrupted: this is what was done so far");
	return CLI_WRONG;
}

/* ---- plainly ---- */

static void print_value(FILE *out, const json_t *value)
{
	if (json_is_string(value))
		fputs(json_string_value(value), out);
	else
		json_dumpf(value, out,
			   JSON_ENSURE_ASCII | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
}

/* Members that go with any answer: for programs, or said otherwise. */
static bool beside(const char *key)
{
	return strcmp(key, PROTOCOL_TICKS) == 0 || strcmp(key, PROTOCOL_INTERRUPTED) == 0;
}

/* An object inside another: a line each, indented. */
static void print_members(FILE *out, const json_t *object, int indent)
{
	char names[CTL_FLAGS_BYTES];
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)object, key, value) {
		if (beside(key))
			continue;
		fprintf(out, "%*s%-14s ", indent, "", key);
		if (json_is_object(value)) {
			fputc('\n', out);
			print_members(out, value, indent + 2);
			continue;
		}
		print_value(out, value);
		if (strcmp(key, "flags") == 0 && json_is_integer(value))
			fprintf(out, " (%s)",
				ctl_flags_text(key, (uint64_t)json_integer_value(value), names));
		fputc('\n', out);
	}
}

/*
 * One member alone is printed without its name, so that a script can take it; how long a hypercall
 * took is in the JSON alone.
 */
enum cli_status ctl_print_plain(struct ctl *ctl, const json_t *value)
{
	size_t count = json_object_size(value);
	const char *key;
	json_t *member;

	if (json_is_string(value)) {
		fputs(json_string_value(value), ctl->out);
		return CLI_DONE;
	}
	if (!json_is_object(value))
		return ctl_print_json(ctl, value);
	count -= json_object_get(value, PROTOCOL_TICKS) ? 1 : 0;
	count -= json_object_get(value, PROTOCOL_INTERRUPTED) ? 1 : 0;
	if (count != 1) {
		print_members(ctl->out, value, 0);
		return CLI_DONE;
	}
	json_object_foreach ((json_t *)value, key, member) {
		if (beside(key))
			continue;
		if (json_is_object(member)) {
			print_members(ctl->out, value, 0);
		} else {
			print_value(ctl->out, member);
			fputc('\n', ctl->out);
		}
	}
	return CLI_DONE;
}

/* ---- bytes ---- */

static void hexdump(FILE *out, uint64_t address, const uint8_t *bytes, size_t count)
{
	size_t i;

	fprintf(out, "%016" PRIx64 " ", address);
	for (i = 0; i < HEXDUMP_BYTES; i++) {
		if (i < count)
			fprintf(out, "%s%02x", i == 8 ? "  " : " ", bytes[i]);
		else
			fprintf(out, "%s  ", i == 8 ? "  " : " ");
	}
	fputs("  |", out);
	for (i = 0; i < count; i++)
		fputc(is_printable((char)bytes[i]) ? bytes[i] : '.', out);
	fputs("|\n", out);
}

/* "bytes" from "address" on, in hexadecimal, or as they are with --raw. */
enum cli_status ctl_print_bytes(struct ctl *ctl, const json_t *value)
{
	const char *text = ctl_text(value, "bytes");
	uint64_t address =
		ctl_number(json_object_get(value, "address") ? value : ctl->arguments, "address");
	size_t count = strlen(text) / 2, done, i;
	uint8_t line[HEXDUMP_BYTES];

	for (done = 0; done < count; done += i) {
		for (i = 0; i < HEXDUMP_BYTES && done + i < count; i++)
			line[i] = (uint8_t)(number_digit(text[2 * (done + i)]) << 4 |
					    number_digit(text[2 * (done + i) + 1]));
		if (ctl->raw)
			fwrite(line, 1, i, ctl->out);
		else
			hexdump(ctl->out, address + done, line, i);
	}
	if (count == 0)
		cli_error(ctl->cli, "there is nothing to read at 0x%" PRIx64, address);
	return count ? CLI_DONE : CLI_WRONG;
}

/* ---- audit and status ---- */

enum cli_status ctl_print_audit(struct ctl *ctl, const json_t *value)
{
	const json_t *checks = json_object_get(value, "checks");
	const json_t *found = json_object_get(value, "found");
	size_t i;

	for (i = 0; i < json_array_size(checks); i++) {
		const json_t *check = json_array_get(checks, i);
		uint64_t violations = ctl_number(check, "violations");

		fprintf(ctl->out, "%-10s %10" PRIu64 " looked at  ", ctl_text(check, "name"),
			ctl_number(check, "items"));
		if (violations)
			fprintf(ctl->out, "%" PRIu64 " VIOLATION%s\n", violations,
				violations == 1 ? "" : "S");
		else
			fprintf(ctl->out, "right\n");
	}
	for (i = 0; i < json_array_size(found); i++)
		fprintf(ctl->out, "%s\n", ctl_text(json_array_get(found, i), "line"));
	fprintf(ctl->out, "%s in %.1f ms\n",
		ctl_number(value, "violations") ? "WRONG" : "all right",
		json_number_value(json_object_get(value, "seconds")) * 1000);
	return ctl_number(value, "violations") ? CLI_WRONG : CLI_DONE;
}

/* What is under way, by whom, how far. */
static void print_doing(struct ctl *ctl, const json_t *list)
{
	FILE *out = ctl->out;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		uint64_t vcpu = ctl_number(one, "vcpu");

		if (json_object_get(one, "vcpu"))
			fprintf(out, "vCPU %" PRIu64 ": ", vcpu);
		fprintf(out, "%s for %.1f s", ctl_text(one, "command"),
			json_number_value(json_object_get(one, "seconds")));
		if (json_object_get(one, "total"))
			fprintf(out, ", %" PRIu64 " of %" PRIu64, ctl_number(one, "done"),
				ctl_number(one, "total"));
		else if (json_object_get(one, "done"))
			fprintf(out, ", %" PRIu64 " step%s", ctl_number(one, "done"),
				ctl_plural(ctl_number(one, "done")));
		if (json_object_get(one, "trap"))
			fprintf(out,
				", held by trap %" PRIu64 ": nestctl ept release %" PRIu64 " go",
				ctl_number(one, "trap"), vcpu);
		else if (json_is_true(json_object_get(one, "cancelled")))
			fputs(", cancelled", out);
		else if (*ctl_text(one, "job"))
			fprintf(out, " (nestctl cancel --job %s)", ctl_text(one, "job"));
		fputc('\n', out);
	}
}

enum cli_status ctl_print_status(struct ctl *ctl, const json_t *value)
{
	static const struct {
		const char *key, *what;
	} counts[] = {{"calls", "hypercall"},      {"logs", "log line"},  {"warnings", "warning"},
		      {"violations", "violation"}, {"clients", "client"}, {NULL, NULL}};
	const json_t *failure = json_object_get(value, "failure");
	const char *status = ctl_text(value, "status");
	char memory[32];

	cli_size_format(ctl_number(value, "memory"), memory, sizeof(memory));
	fprintf(ctl->out, "%s: %s, pid %" PRIu64 ", %" PRIu64 " vCPU%s, %s, image %s\n",
		ctl_text(value, "name"), strcmp(status, "debug") == 0 ? "held by gdb" : status,
		ctl_number(value, "pid"), ctl_number(value, "cpus"),
		ctl_plural(ctl_number(value, "cpus")), memory, ctl_text(value, "image"));
	fprintf(ctl->out, "up %.0f s, ", json_number_value(json_object_get(value, "seconds")));
	for (size_t i = 0; counts[i].key; i++)
		fprintf(ctl->out, "%" PRIu64 " %s%s%s", ctl_number(value, counts[i].key),
			counts[i].what, ctl_plural(ctl_number(value, counts[i].key)),
			counts[i + 1].key ? ", " : "\n");
	if (json_object_get(value, "sandbox"))
		fprintf(ctl->out, "sandbox %s\n", ctl_text(value, "sandbox"));
	print_doing(ctl, json_object_get(value, "doing"));
	if (!failure)
		return CLI_DONE;
	fprintf(ctl->out, "died (%s) on vCPU %" PRIu64 ": %s\n", ctl_text(failure, "kind"),
		ctl_number(failure, "vcpu"), ctl_text(failure, "text"));
	if (*ctl_text(failure, "where"))
		fprintf(ctl->out, "  at %s\n", ctl_text(failure, "where"));
	if (json_object_get(failure, "hypercall"))
		fprintf(ctl->out, "  in hypercall %s\n",
			ctl_text(json_object_get(failure, "hypercall"), "name"));
	fprintf(ctl->out, "nestctl bt says how it came there, registers and dump what it left; "
			  "quit ends it\n");
	return CLI_WRONG;
}

/* ---- events ---- */

static const char *time_text(time_t seconds, char text[32])
{
	struct tm local;

	localtime_r(&seconds, &local);
	if (strftime(text, 32, "%Y-%m-%d %H:%M:%S", &local) == 0)
		text[0] = '\0';
	return text;
}

enum cli_status ctl_print_event(struct ctl *ctl, const json_t *event)
{
	const json_t *data = json_object_get(event, "data");
	const json_t *at = json_object_get(event, "timestamp");
	const char *name = ctl_text(event, "event");
	char when[32];

	if (ctl->json) {
		ctl_print_json(ctl, event);
		fflush(ctl->out);
		return CLI_DONE;
	}
	fprintf(ctl->out, "%s.%06" PRIu64 " %s", time_text((time_t)ctl_number(at, "seconds"), when),
		ctl_number(at, "microseconds"), name);
	if (json_object_get(data, "vcpu"))
		fprintf(ctl->out, " vCPU %" PRIu64, ctl_number(data, "vcpu"));
	if (json_object_get(data, "report"))
		data = json_object_get(data, "report");
	if (*ctl_text(data, "text"))
		fprintf(ctl->out, ": %s", ctl_text(data, "text"));
	else if (data)
		json_dumpf(data, ctl->out, JSON_ENSURE_ASCII | JSON_COMPACT);
	fputc('\n', ctl->out);
	fflush(ctl->out);
	return CLI_DONE;
}
