/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The columns of one line of a trace. The layouts are those of Documentation/trace/ftrace.rst and
 * of perf-script(1). No byte is looked at more than a few times, whatever the line.
 */
#include "vmm/replay/ftrace_line.h"

#include <string.h>

/* The kernel and perf print the task's name with %16s. */
#define TASK_COLUMNS 16

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char *skip_spaces(char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

static char *skip_digits(char *at)
{
	while (is_digit(*at))
		at++;
	return at;
}

/* A number of at most @limit at *@at, which is moved behind it. */
static bool take_number(char **at, uint64_t limit, uint64_t *value_out)
{
	char *end = skip_digits(*at);

	if (number_parse(*at, (size_t)(end - *at), value_out) || *value_out > limit)
		return false;
	*at = end;
	return true;
}

/* "(1234)" or "(-----)" or "(   1234)": the column of record-tgid. */
static char *skip_tgid(char *at)
{
	size_t length;

	if (*at != '(')
		return at;
	length = strspn(at + 1, " -0123456789");
	return at[length + 1] == ')' ? skip_spaces(at + length + 2) : at;
}

/* "[003]". Returns what follows, or NULL. */
static char *parse_cpu(char *at, unsigned int *cpu_out)
{
	uint64_t cpu;

	if (*at++ != '[' || !take_number(&at, UINT16_MAX, &cpu) || *at != ']')
		return NULL;
	*cpu_out = (unsigned int)cpu;
	return skip_spaces(at + 1);
}

/* "(+4163)": what trace-cmd report --ts-diff puts behind the time. */
static char *skip_difference(char *at)
{
	char *end;

	if (at[0] != '(' || at[1] != '+')
		return at;
	end = skip_digits(at + 2);
	return *end == ')' ? skip_spaces(end + 1) : at;
}

/*
 * "8.066654:" or, with a clock that counts something else, "123456:". Returns what follows the
 * colon, or NULL.
 */
static char *parse_time(char *at, uint64_t *time_ns_out)
{
	uint64_t seconds, fraction, ns = 0;
	ptrdiff_t missing;
	char *point;

	if (!take_number(&at, UINT64_MAX, &seconds))
		return NULL;
	if (*at == '.') {
		point = at++;
		if (!take_number(&at, UINT64_MAX, &fraction) || at > point + 10)
			return NULL;
		for (missing = point + 10 - at; missing > 0; missing--)
			fraction *= 10;
		if (__builtin_mul_overflow(seconds, UINT64_C(1000000000), &ns) ||
		    __builtin_add_overflow(ns, fraction, &ns))
			return NULL;
	}
	if (at[0] != ':' || at[1] != ' ')
		return NULL;
	*time_ns_out = ns;
	return skip_difference(skip_spaces(at + 1));
}

/* From the pid on, as the kernel has it; @at is behind the dash. Returns the event, or NULL. */
static char *parse_kernel(char *at, struct ftrace_event *event)
{
	uint64_t pid;
	char *time;
	size_t flags;

	if (!take_number(&at, INT32_MAX, &pid) || *at != ' ')
		return NULL;
	at = parse_cpu(skip_tgid(skip_spaces(at)), &event->cpu);
	if (!at)
		return NULL;
	event->pid = (int64_t)pid;
	time = parse_time(at, &event->time_ns);
	if (time)
		return time;
	for (flags = 0; flags <= 8 && at[flags] && at[flags] != ' ' && at[flags] != ':';)
		flags++;
	if (flags < 1 || flags > 8 || at[flags] != ' ')
		return NULL;
	return parse_time(skip_spaces(at + flags), &event->time_ns);
}

/* The same as perf has it; -1 is its pid of a task that it has no name of. */
static char *parse_perf(char *at, struct ftrace_event *event)
{
	bool unknown = at[0] == '-' && at[1] == '1';
	uint64_t pid = 0;

	at += unknown ? 2 : 0;
	if (!unknown && !take_number(&at, INT32_MAX, &pid))
		return NULL;
	if (*at == '/') {
		at++;
		if (!take_number(&at, INT32_MAX, &pid))
			return NULL;
	}
	if (*at != ' ')
		return NULL;
	event->pid = unknown ? -1 : (int64_t)pid;
	at = skip_spaces(at);
	if (*at == '[')
		at = parse_cpu(at, &event->cpu);
	return at ? parse_time(at, &event->time_ns) : NULL;
}

static void copy_task(struct ftrace_event *event, char *from, const char *end)
{
	size_t length;

	from = skip_spaces(from);
	while (end > from && end[-1] == ' ')
		end--;
	length = from < end ? (size_t)(end - from) : 0;
	if (length >= sizeof(event->task))
		length = sizeof(event->task) - 1;
	memcpy(event->task, from, length);
	event->task[length] = '\0';
}

/* Where a name of any length ends is where what follows it makes sense. */
static enum ftrace_format search_prefix(char *line, struct ftrace_event *event, char **rest_out,
					char **end_out)
{
	char *at;

	for (at = strchr(line, '-'); at; at = strchr(at + 1, '-')) {
		*rest_out = parse_kernel(at + 1, event);
		*end_out = at;
		if (*rest_out)
			return FTRACE_FORMAT_KERNEL;
	}
	for (at = strchr(line, ' '); at; at = strchr(at + 1, ' ')) {
		if (!is_digit(at[1]) && at[1] != '-')
			continue;
		*rest_out = parse_perf(at + 1, event);
		*end_out = at;
		if (*rest_out)
			return FTRACE_FORMAT_PERF;
	}
	return FTRACE_FORMAT_NONE;
}

enum ftrace_format ftrace_parse_prefix(char *line, struct ftrace_event *event, char **rest_out)
{
	enum ftrace_format format = FTRACE_FORMAT_NONE;
	bool long_enough = strnlen(line, TASK_COLUMNS + 1) > TASK_COLUMNS;
	char *end = line + TASK_COLUMNS;

	if (long_enough && *end == '-') {
		*rest_out = parse_kernel(end + 1, event);
		format = *rest_out ? FTRACE_FORMAT_KERNEL : format;
	} else if (long_enough && *end == ' ') {
		*rest_out = parse_perf(skip_spaces(end), event);
		format = *rest_out ? FTRACE_FORMAT_PERF : format;
	}
	if (!format)
		format = search_prefix(line, event, rest_out, &end);
	if (format)
		copy_task(event, line, end);
	return format;
}
