/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The trace file as a whole: its header, its notes about lost events, and the count of what was
 * skipped. One line is in memory at a time.
 */
#include "vmm/replay/ftrace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/replay/ftrace_line.h"

/* Names counted one by one; what comes after is counted together under OTHER_NAMES. */
#define MAX_SKIPPED_NAMES 256
#define OTHER_NAMES       "(other names)"

/* How many names a hash finds at once. */
#define NAME_SLOTS 256

struct ftrace {
	struct line_reader reader;
	pid_t process; /* that decodes a trace.dat; 0 when there is none */
	struct ftrace_info info;
	uint64_t last_time_ns;
	bool may_continue;          /* the last event's text may have more lines */
	uint16_t slots[NAME_SLOTS]; /* hash of a name -> its index in skipped_names */
};

/* Puts the process that decodes the file in the place of the file. */
static int decode(struct ftrace *trace, struct input_error *error)
{
	int fd = trace->reader.fd, pipe_fd, err;
	char *path = trace->reader.path;

	trace->reader.fd = -1;
	trace->reader.path = NULL;
	line_reader_close(&trace->reader);
	err = ftrace_dat_start(fd, path, &trace->process, &pipe_fd, error);
	if (!err)
		err = line_reader_open_fd(&trace->reader, pipe_fd, path, error);
	if (!err)
		strcpy(trace->info.source, "trace.dat");
	free(path);
	return err;
}

static int look_at_first_bytes(struct ftrace *trace, struct input_error *error)
{
	char bytes[16];
	size_t size = line_reader_peek(&trace->reader, bytes, sizeof(bytes));

	if (ftrace_is_dat(bytes, size))
		return decode(trace, error);
	return ftrace_refuse_binary(&trace->reader, error);
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
	if (!err)
		err = look_at_first_bytes(trace, error);
	if (err)
		ftrace_close(trace);
	else
		*trace_out = trace;
	return err;
}

void ftrace_close(struct ftrace *trace)
{
	if (!trace)
		return;
	line_reader_close(&trace->reader);
	if (trace->process)
		ftrace_dat_finish(trace->process, true, "", NULL);
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

/* "# os release : 6.1.0-57-cloud-amd64" and the like of perf script --header. */
static void parse_perf_header(struct ftrace_info *info, const char *line)
{
	const char *value = strstr(line, " : ");
	uint64_t number = 0;

	if (!value)
		return;
	value += 3;
	if (!strncmp(line, "# os release", 12))
		snprintf(info->kernel, sizeof(info->kernel), "%s", value);
	else if (!strncmp(line, "# arch", 6))
		snprintf(info->machine, sizeof(info->machine), "%s", value);
	else if (!strncmp(line, "# nrcpus online", 15) && take_number(&value, &number))
		info->cpus = number;
}

static int parse_header(struct ftrace *trace, const char *line, struct input_error *error)
{
	static const char entries[] = "# entries-in-buffer/entries-written:";
	const char *useless = ftrace_useless_header(line);

	if (useless)
		return fail(trace, error, useless);
	trace->info.has_header = true;
	if (strstr(line, "buffer started ####"))
		trace->info.late_buffers++;
	if (!strncmp(line, entries, sizeof(entries) - 1))
		return parse_entries(trace, line + sizeof(entries) - 1, error);
	parse_perf_header(&trace->info, line);
	return 0;
}

static void add_lost(struct ftrace_info *info, uint64_t count)
{
	if (__builtin_add_overflow(info->lost_dropped, count, &info->lost_dropped))
		info->lost_dropped = UINT64_MAX / 2;
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
		add_lost(&trace->info, count);
	} else {
		trace->info.lost_unknown++;
	}
	return !strcmp(line, dropped ? "EVENTS DROPPED]" : "EVENTS]");
}

/*
 * Lines that say nothing about events: trace-cmd's preamble, the lines of a stack trace, perf's
 * of a call chain ("\tffffffff81092bbb copy_process+0x63b ([kernel.kallsyms])").
 */
static bool is_idle_line(struct ftrace *trace, const char *line)
{
	const char *at = line;
	uint64_t number;

	if (!line[strspn(line, " \t")])
		return true;
	if ((!strncmp(line, " => ", 4) || line[0] == '\t') && trace->info.events)
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

static unsigned int name_slot(const char *name)
{
	unsigned int hash = 0, i;

	for (i = 0; i < sizeof(((struct ftrace_skipped *)NULL)->name) - 1 && name[i]; i++)
		hash = hash * 31 + (unsigned char)name[i];
	return (hash ^ hash >> 8) % NAME_SLOTS;
}

static int count_skipped(struct ftrace *trace, const char *name, struct input_error *error)
{
	struct ftrace_info *info = &trace->info;
	unsigned int slot = name_slot(name);
	size_t i = trace->slots[slot];

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
	trace->slots[slot] = (uint16_t)i;
	return 0;
}

/* Somebody's event of a name we know, without the fields we need. */
static int count_other_fields(struct ftrace *trace, const char *name, const char *lacking,
			      struct input_error *error)
{
	struct ftrace_info *info = &trace->info;
	char text[64];

	if (!info->other_fields++)
		snprintf(info->lacking, sizeof(info->lacking), "%s has no %s", name, lacking);
	snprintf(text, sizeof(text), "%.40s, other fields", name);
	return count_skipped(trace, text, error);
}

/* "PERF_RECORD_LOST lost 12", and records that are no events: who mapped what, and the like. */
static int count_perf_record(struct ftrace *trace, const char *at, struct input_error *error)
{
	static const char lost[] = "PERF_RECORD_LOST lost ";
	const char *number = at + sizeof(lost) - 1;
	uint64_t count;

	if (!strncmp(at, lost, sizeof(lost) - 1)) {
		if (!take_number(&number, &count))
			return fail(trace, error, "the number of lost events is no number");
		add_lost(&trace->info, count);
	}
	return count_skipped(trace, "(perf's records)", error);
}

/*
 * What has no name that ends in a colon: the function tracer's "callee <-caller", stack traces,
 * perf's records of other things.
 */
static int parse_nameless(struct ftrace *trace, char *at, struct input_error *error)
{
	if (!strncmp(at, "PERF_RECORD_", 12))
		return count_perf_record(trace, at, error);
	if (strstr(at, " <-"))
		return count_skipped(trace, "(function tracer)", error);
	if (!strncmp(at, "<stack trace>", 13) || !strncmp(at, "<user stack trace>", 18))
		return count_skipped(trace, "(stack trace)", error);
	return fail(trace, error, "no event after the time: the line is cut short");
}

/* The event's name ends at a colon, and its group, if it is told, at one before that. */
static int parse_event(struct ftrace *trace, char *at, struct ftrace_event *event,
		       struct input_error *error)
{
	const char *lacking = NULL;
	char *end, *name = at;
	int ret;

	for (end = at; *end && *end != ' '; end++) {
		if (*end == ':' && end[1] && end[1] != ' ')
			name = end + 1;
	}
	if (end == name || end[-1] != ':' || end - 1 == name || !strncmp(at, "PERF_RECORD_", 12))
		return parse_nameless(trace, at, error);
	end[-1] = '\0';
	ret = ftrace_parse_event(name, *end ? end + 1 : end, trace->reader.path, event, &lacking,
				 error);
	trace->may_continue = ret == 0 || event->type == FTRACE_MARKER;
	if (ret == 0 && lacking)
		return count_other_fields(trace, name, lacking, error);
	return ret == 0 ? count_skipped(trace, name, error) : ret;
}

static void count_event(struct ftrace *trace, const struct ftrace_event *event,
			enum ftrace_format format)
{
	struct ftrace_info *info = &trace->info;

	info->events++;
	if (event->time_ns < trace->last_time_ns)
		info->out_of_order++;
	trace->last_time_ns = event->time_ns;
	if (!info->source[0])
		strcpy(info->source, format == FTRACE_FORMAT_PERF ? "perf script" : "ftrace text");
}

/* A line that is no event: one that is of no interest, or what is wrong with it. */
static int parse_other(struct ftrace *trace, const char *line, struct input_error *error)
{
	const char *useless;

	if (is_idle_line(trace, line) || parse_lost(trace, line))
		return 0;
	useless = ftrace_useless_line(line);
	if (!useless && trace->may_continue) {
		trace->info.continuations++;
		return 0;
	}
	if (useless)
		return fail(trace, error, useless);
	if (!trace->info.has_header && !trace->info.events)
		return fail(trace, error,
			    "this is no trace: neither ftrace's header (# tracer: ...) nor an "
			    "event (TASK-PID [CPU] TIMESTAMP: event: ...)");
	return fail(trace, error,
		    "this is no trace line (TASK-PID [CPU] TIMESTAMP: event: ...), or it is cut "
		    "short");
}

/* Returns 1 for an event we know, 0 for a line that is none, -EINVAL or -ENOMEM. */
static int parse_line(struct ftrace *trace, char *line, struct ftrace_event *event,
		      struct input_error *error)
{
	enum ftrace_format format;
	char *rest;

	if (line[0] == '#')
		return parse_header(trace, line, error);
	memset(event, 0, sizeof(*event));
	event->line = trace->reader.line;
	format = ftrace_parse_prefix(line, event, &rest);
	if (!format)
		return parse_other(trace, line, error);
	count_event(trace, event, format);
	trace->may_continue = false;
	return parse_event(trace, rest, event, error);
}

static int finish_file(struct ftrace *trace, struct input_error *error)
{
	struct ftrace_info *info = &trace->info;
	pid_t process = trace->process;
	int err;

	if (process) {
		trace->process = 0;
		err = ftrace_dat_finish(process, false, trace->reader.path, error);
		if (err)
			return err;
	}
	if (!info->has_header && !info->events)
		return input_fail(error, trace->reader.path, 0, "no event in it: no trace");
	if (info->has_entries && info->events < info->entries_kept)
		info->lost_from_file = info->entries_kept - info->events;
	return 0;
}

int ftrace_next(struct ftrace *trace, struct ftrace_event *event_out, struct input_error *error)
{
	struct ftrace_event event;
	char *line;
	int ret;

	for (;;) {
		ret = line_reader_next(&trace->reader, &line, error);
		if (ret < 0)
			return ret;
		if (ret == 0)
			return finish_file(trace, error);
		ret = parse_line(trace, line, &event, error);
		if (ret < 0)
			return ret;
		if (ret > 0) {
			*event_out = event;
			return 1;
		}
	}
}
