/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that are taken for a trace and are none, or are one of a format that leaves out what a
 * replay needs. Each is called by its name, with what to do.
 */
#include "vmm/replay/ftrace_line.h"

#include <string.h>

#define DAT_MAGIC "\x17\x08\x44tracing"

#define FUNCTION_GRAPH                                                                       \
	"this is the function_graph tracer's format, which has events without their tasks; " \
	"record again with `echo nop > current_tracer`"
#define LATENCY                                                                               \
	"this is ftrace's latency format, which has no times of use; `echo nolatency-format " \
	"> trace_options` (trace-cmd report: leave -l out) and read the trace again"
#define NO_CONTEXT                                                                           \
	"this line has no task, CPU and time; `echo context-info > trace_options` and read " \
	"the trace again"
#define RAW                                                                              \
	"this is ftrace's raw or hex format; `echo noraw > trace_options; echo nohex > " \
	"trace_options` and read the trace again"

static const struct {
	const char *magic;
	size_t length;
	const char *what;
} binary_files[] = {
	{"PERFILE2", 8,
	 "this is a perf.data file, not text; make text of it with: perf script -i perf.data > "
	 "trace"},
	{"\x1f\x8b", 2, "this is compressed by gzip; decompress it first"},
	{"\x28\xb5\x2f\xfd", 4, "this is compressed by zstd; decompress it first"},
	{"\xfd"
	 "7zXZ",
	 5, "this is compressed by xz; decompress it first"},
	{"\x7f"
	 "ELF",
	 4, "this is an ELF file, not a trace"},
	{"\xef\xbb\xbf", 3, "the file begins with a byte order mark; take it away"},
	{"\xff\xfe", 2, "this is UTF-16 text; convert it to ASCII"},
};

bool ftrace_is_dat(const void *bytes, size_t size)
{
	return size >= sizeof(DAT_MAGIC) - 1 && !memcmp(bytes, DAT_MAGIC, sizeof(DAT_MAGIC) - 1);
}

int ftrace_refuse_binary(struct line_reader *reader, struct input_error *error)
{
	char bytes[16];
	size_t size = line_reader_peek(reader, bytes, sizeof(bytes)), i;

	for (i = 0; i < sizeof(binary_files) / sizeof(binary_files[0]); i++) {
		if (size >= binary_files[i].length &&
		    !memcmp(bytes, binary_files[i].magic, binary_files[i].length))
			return input_fail(error, reader->path, 0, "%s", binary_files[i].what);
	}
	if (!size && reader->at_end)
		return input_fail(error, reader->path, 0, "the file is empty");
	return 0;
}

const char *ftrace_useless_header(const char *line)
{
	if (!strncmp(line, "# tracer: function_graph", 24))
		return FUNCTION_GRAPH;
	if (strstr(line, " latency trace v"))
		return LATENCY;
	return NULL;
}

static const char *skip(const char *at, const char *characters)
{
	return at + strspn(at, characters);
}

/* " 0)   6.452 us    |    insert_vmap_area();", with a time and a task before the bar or not. */
static bool is_function_graph(const char *line)
{
	const char *at = skip(skip(skip(line, " 0123456789."), "|"), " 0123456789");

	return at > line && *at == ')' && strchr(at, '|') != NULL;
}

/* "bash-111       0..... 62888us+: event: ..."; trace-cmd has seconds there; or the verbose one. */
static bool is_latency(const char *line)
{
	const char *dash = strchr(line, '-'), *at, *time;

	if (strstr(line, "ms (+"))
		return true;
	if (!dash || dash[1] < '0' || dash[1] > '9')
		return false;
	at = skip(skip(dash + 1, "0123456789"), " ");
	time = skip(at, "0123456789");
	if (time == at || !strchr(".dDX", *time))
		return false;
	time = at + strcspn(at, " ");
	at = skip(skip(time, " "), "0123456789.");
	return at > time && (!strncmp(at, "us", 2) || *at == ':');
}

/* "111 1 18352103994 type: 1506", "111 1 18337608111 # ffffffff811b348d ..." */
static bool is_raw(const char *line)
{
	const char *at = line, *end;
	int i;

	for (i = 0; i < 3; i++) {
		end = skip(at, "0123456789abcdef");
		if (end == at || *end != ' ')
			return false;
		at = end + 1;
	}
	return *at == '#' || !strncmp(at, "type: ", 6);
}

const char *ftrace_useless_line(const char *line)
{
	char name[64];
	size_t length = strcspn(line, ":");

	if (is_function_graph(line))
		return FUNCTION_GRAPH;
	if (is_raw(line))
		return RAW;
	if (is_latency(line))
		return LATENCY;
	if (line[length] != ':' || length >= sizeof(name))
		return NULL;
	memcpy(name, line, length);
	name[length] = '\0';
	return ftrace_knows_event(name) ? NO_CONTEXT : NULL;
}
