/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trace file as a whole: its header, its notes about lost events, and the count of what was
 * skipped. One line is in memory at a time.
 */
#include "vmm/replay/ftrace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/replay/ftrace_line.h"

/* Names counted one by one; what comes after is counted together under OTHER_NAMES. */
#define MAX_SKIPPED_NAMES 256
#define OTHER_NAMES       "(other names)"

struct ftrace {
	struct line_reader reader;
	struct ftrace_info info;
	uint64_t last_time_ns;
	size_t last_skipped; /* index of the name found last: traces repeat themselves */
};

static const struct {
	const char *magic;
	size_t length;
	const char *what;
} binary_files[] = {
	{"\x17\x08\x44tracing", 10,
	 "this is trace-cmd's binary file (trace.dat), not text; make text of it with: "
	 "trace-cmd report -i trace.dat > trace"},
	{"PERFILE2", 8, "this is a perf.data file, not ftrace text; perf script shows it"},
	{"\x1f\x8b", 2, "this is compressed by gzip; decompress it first"},
	{"\x28\xb5\x2f\xfd", 4, "this is compressed by zstd; decompress it first"},
	{"\xfd"
	 "7zXZ",
	 5, "this is compressed by xz; decompress it first"},
	{"\x7f"
	 "ELF",
	 4, "this is an ELF file, not a trace"},
};

static int refuse_binary(struct ftrace *trace, struct input_error *error)
{
	char bytes[16];
	size_t size = line_reader_peek(&trace->reader, bytes, sizeof(bytes));
	size_t i;

	for (i = 0; i < sizeof(binary_files) / sizeof(binary_files[0]); i++) {
		if (size >= binary_files[i].length &&
		    !memcmp(bytes, binary_files[i].magic, binary_files[i].length))
			return input_fail(error, trace->reader.path, 0, "%s", binary_files[i].what);
	}
	if (!size && trace->reader.at_end)
		return input_fail(error, trace->reader.path, 0, "the file is empty");
	return 0;
}

int ftrace_open(const char *path, struct ftrace **trace_out, struct input_error *error)
{
	struct ftrace *trace = calloc(1, sizeof(*trace));
	int err;

	if (!trace) {
		input_fail(error, path, 0, "no memory to read it");
		return -ENOMEM;
	}
	err = line_reader_open(&trace->reader, path, error);
	if (err)
		goto err_free;
	err = refuse_binary(trace, error);
	if (err)
		goto err_close;
	*trace_out = trace;
	return 0;

err_close:
	line_reader_close(&trace->reader);
err_free:
	free(trace);
	return err;
}

void ftrace_close(struct ftrace *trace)
{
	if (!trace)
		return;
	line_reader_close(&trace->reader);
	free(trace->info.skipped_names);
	free(trace);
}

const struct ftrace_info *ftrace_info(const struct ftrace *trace)
{
	return &trace->info;
}

uint64_t ftrace_lost(const struct ftrace_info *info)
{
	return info->lost_overwritten + info->lost_dropped + info->lost_unknown +
	       info->lost_from_file;
}

static int fail(struct ftrace *trace, struct input_error *error, const char *what)
{
	return input_fail(error, trace->reader.path, trace->reader.line, "%s", what);
}

/* Reads the digits at *@at and moves *@at behind them. */
static bool take_number(const char **at, uint64_t *value_out)
{
	size_t length = strspn(*at, "0123456789");

	if (number_parse(*at, length, value_out))
		return false;
	*at += length;
	return true;
}

/* "entries-in-buffer/entries-written: 10961/10961   #P:1" */
static int parse_entries(struct ftrace *trace, const char *at, struct input_error *error)
{
	struct ftrace_info *info = &trace->info;
	uint64_t kept, written, cpus = 0;

	at += strspn(at, " ");
	if (!take_number(&at, &kept) || *at++ != '/' || !take_number(&at, &written))
		return fail(trace, error, "the header's numbers of entries are no numbers");
	if (kept > written)
		return fail(trace, error, "the header has more entries kept than written");
	at = strstr(at, "#P:");
	if (at) {
		at += 3;
		if (!take_number(&at, &cpus))
			return fail(trace, error, "the header's number of CPUs is no number");
	}
	if (info->has_entries)
		return fail(trace, error, "a second header: two traces in one file");
	info->has_entries = true;
	info->entries_kept = kept;
	info->entries_written = written;
	info->cpus = cpus;
	info->lost_overwritten = written - kept;
	return 0;
}

static int parse_header(struct ftrace *trace, const char *line, struct input_error *error)
{
	static const char entries[] = "# entries-in-buffer/entries-written:";

	trace->info.has_header = true;
	if (strstr(line, "buffer started ####"))
		trace->info.late_buffers++;
	if (!strncmp(line, entries, sizeof(entries) - 1))
		return parse_entries(trace, line + sizeof(entries) - 1, error);
	return 0;
}

/*
 * "CPU:1 [LOST 123 EVENTS]" of the kernel, "CPU:1 [123 EVENTS DROPPED]" of trace-cmd; either may
 * lack its number. Returns whether it was such a line.
 */
static bool parse_lost(struct ftrace *trace, const char *line)
{
	uint64_t cpu, count;
	bool dropped;

	if (strncmp(line, "CPU:", 4))
		return false;
	line += 4;
	if (!take_number(&line, &cpu) || strncmp(line, " [", 2))
		return false;
	line += 2;
	dropped = strncmp(line, "LOST ", 5) != 0;
	if (!dropped)
		line += 5;
	if (take_number(&line, &count)) {
		if (*line++ != ' ')
			return false;
		if (__builtin_add_overflow(trace->info.lost_dropped, count,
					   &trace->info.lost_dropped))
			trace->info.lost_dropped = UINT64_MAX / 2;
	} else {
		trace->info.lost_unknown++;
	}
	return !strcmp(line, dropped ? "EVENTS DROPPED]" : "EVENTS]");
}

/* Lines that say nothing about events: trace-cmd's preamble, and the lines of a stack trace. */
static bool is_idle_line(struct ftrace *trace, const char *line)
{
	const char *at = line;
	uint64_t number;

	if (!line[strspn(line, " \t")])
		return true;
	if (!strncmp(line, " => ", 4) && trace->info.events)
		return true;
	if (trace->info.events)
		return false;
	if (!strncmp(line, "cpus=", 5)) {
		at = line + 5;
		if (!take_number(&at, &number) || *at)
			return false;
		trace->info.cpus = number;
		trace->info.has_header = true;
		return true;
	}
	if (!strncmp(line, "version = ", 10)) {
		at = line + 10;
		return take_number(&at, &number) && !*at;
	}
	if (!strncmp(line, "CPU ", 4)) {
		at = line + 4;
		return take_number(&at, &number) && !strcmp(at, " is empty");
	}
	return false;
}

static int add_name(struct ftrace *trace, const char *name)
{
	struct ftrace_info *info = &trace->info;
	size_t count = info->skipped_name_count;
	struct ftrace_skipped *names;

	if ((count & (count - 1)) == 0) {
		names = realloc(info->skipped_names, (count ? 2 * count : 1) * sizeof(*names));
		if (!names)
			return -ENOMEM;
		info->skipped_names = names;
	}
	memset(&info->skipped_names[count], 0, sizeof(*names));
	strncpy(info->skipped_names[count].name, name, sizeof(names->name) - 1);
	info->skipped_name_count++;
	return 0;
}

static bool is_name(const struct ftrace_skipped *skipped, const char *name)
{
	return !strncmp(skipped->name, name, sizeof(skipped->name) - 1);
}

static int count_skipped(struct ftrace *trace, const char *name, struct input_error *error)
{
	struct ftrace_info *info = &trace->info;
	size_t i = trace->last_skipped;

	info->skipped++;
	if (i >= info->skipped_name_count || !is_name(&info->skipped_names[i], name)) {
		for (i = 0; i < info->skipped_name_count; i++) {
			if (is_name(&info->skipped_names[i], name))
				break;
		}
	}
	if (i == info->skipped_name_count && i >= MAX_SKIPPED_NAMES - 1) {
		if (i == MAX_SKIPPED_NAMES)
			i = MAX_SKIPPED_NAMES - 1;
		name = OTHER_NAMES;
	}
	if (i == info->skipped_name_count && add_name(trace, name)) {
		fail(trace, error, "no memory for the names of skipped events");
		return -ENOMEM;
	}
	info->skipped_names[i].count++;
	trace->last_skipped = i;
	return 0;
}

/* The event's name ends at a colon; the function tracer has "callee <-caller" instead. */
static int parse_event(struct ftrace *trace, char *at, struct ftrace_event *event,
		       struct input_error *error)
{
	char *colon = at + strcspn(at, ": ");
	int ret;

	if (*colon != ':' || colon == at) {
		if (strstr(at, " <-"))
			return count_skipped(trace, "(function tracer)", error);
		if (!strncmp(at, "<stack trace>", 13) || !strncmp(at, "<user stack trace>", 18))
			return count_skipped(trace, "(stack trace)", error);
		return fail(trace, error, "no event after the time: the line is cut short");
	}
	*colon = '\0';
	ret = ftrace_parse_event(at, colon + 1, trace->reader.path, event, error);
	if (ret == 0)
		return count_skipped(trace, at, error);
	return ret;
}

static void count_event(struct ftrace *trace, const struct ftrace_event *event)
{
	trace->info.events++;
	if (event->time_ns < trace->last_time_ns)
		trace->info.out_of_order++;
	trace->last_time_ns = event->time_ns;
}

/* Returns 1 for an event we know, 0 for a line that is none, -EINVAL or -ENOMEM. */
static int parse_line(struct ftrace *trace, char *line, struct ftrace_event *event,
		      struct input_error *error)
{
	char *rest;

	if (line[0] == '#')
		return parse_header(trace, line, error);
	if (is_idle_line(trace, line) || parse_lost(trace, line))
		return 0;
	memset(event, 0, sizeof(*event));
	event->line = trace->reader.line;
	rest = ftrace_parse_prefix(line, event);
	if (!rest && !trace->info.has_header && !trace->info.events)
		return fail(trace, error,
			    "this is no ftrace text: neither its header (# tracer: ...) nor an "
			    "event (TASK-PID [CPU] TIMESTAMP: event: ...)");
	if (!rest)
		return fail(trace, error,
			    "this is no trace line (TASK-PID [CPU] TIMESTAMP: event: ...), or it "
			    "is cut short");
	count_event(trace, event);
	return parse_event(trace, rest, event, error);
}

int ftrace_next(struct ftrace *trace, struct ftrace_event *event_out, struct input_error *error)
{
	struct ftrace_info *info = &trace->info;
	struct ftrace_event event;
	char *line;
	int ret;

	for (;;) {
		ret = line_reader_next(&trace->reader, &line, error);
		if (ret < 0)
			return ret;
		if (ret == 0)
			break;
		ret = parse_line(trace, line, &event, error);
		if (ret < 0)
			return ret;
		if (ret > 0) {
			*event_out = event;
			return 1;
		}
	}
	if (!info->has_header && !info->events)
		return input_fail(error, trace->reader.path, 0, "no event in it: no trace");
	if (info->has_entries && info->events < info->entries_kept)
		info->lost_from_file = info->entries_kept - info->events;
	return 0;
}
