/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One line of ftrace text: its columns, and the fields of the events we know. The line's layout is
 * that of Documentation/trace/ftrace.rst; the fields are described in tables.
 */
#include "vmm/replay/ftrace_line.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* The kernel prints the task's name with %16s. */
#define TASK_COLUMNS 16

/* An ERR_PTR: one of the last 4095 values. */
#define IS_ERROR_VALUE(value) ((value) >= (uint64_t)-4095)

static char *skip_spaces(char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

static size_t digits(const char *at)
{
	return strspn(at, "0123456789");
}

/* "(1234)" or "(-----)" or "(   1234)": the column of record-tgid. */
static char *skip_tgid(char *at)
{
	char *end;

	if (*at != '(')
		return at;
	end = strchr(at, ')');
	if (!end || strspn(at + 1, " -0123456789") != (size_t)(end - at - 1))
		return at;
	return skip_spaces(end + 1);
}

/* "[003]". Returns what follows, or NULL. */
static char *parse_cpu(char *at, unsigned int *cpu_out)
{
	uint64_t cpu;
	size_t length;

	if (*at != '[')
		return NULL;
	length = digits(++at);
	if (at[length] != ']' || number_parse(at, length, &cpu) || cpu > UINT16_MAX)
		return NULL;
	*cpu_out = (unsigned int)cpu;
	return skip_spaces(at + length + 1);
}

/*
 * "8.066654:" or, with a clock that counts something else, "123456:". Returns what follows the
 * colon, or NULL.
 */
static char *parse_time(char *at, uint64_t *time_ns_out)
{
	uint64_t seconds, fraction = 0, ns = 0;
	size_t length = digits(at), places;

	if (!length || number_parse(at, length, &seconds))
		return NULL;
	at += length;
	if (*at == '.') {
		places = digits(++at);
		if (!places || places > 9 || number_parse(at, places, &fraction))
			return NULL;
		at += places;
		for (; places < 9; places++)
			fraction *= 10;
		if (__builtin_mul_overflow(seconds, UINT64_C(1000000000), &ns) ||
		    __builtin_add_overflow(ns, fraction, &ns))
			return NULL;
	}
	if (at[0] != ':' || at[1] != ' ')
		return NULL;
	*time_ns_out = ns;
	return skip_spaces(at + 1);
}

/* Everything from the pid on; @at is behind the dash. Returns where the event begins, or NULL. */
static char *parse_after_dash(char *at, struct ftrace_event *event)
{
	size_t length = digits(at), flags;
	uint64_t pid;
	char *time;

	if (!length || at[length] != ' ' || number_parse(at, length, &pid) || pid > INT32_MAX)
		return NULL;
	event->pid = (int64_t)pid;
	at = parse_cpu(skip_tgid(skip_spaces(at + length)), &event->cpu);
	if (!at)
		return NULL;
	time = parse_time(at, &event->time_ns);
	if (time)
		return time;
	flags = strcspn(at, " :");
	if (flags < 1 || flags > 8 || at[flags] != ' ')
		return NULL;
	return parse_time(skip_spaces(at + flags), &event->time_ns);
}

static void copy_task(struct ftrace_event *event, char *from, const char *dash)
{
	size_t length;

	from = skip_spaces(from);
	length = from < dash ? (size_t)(dash - from) : 0;
	if (length >= sizeof(event->task))
		length = sizeof(event->task) - 1;
	memcpy(event->task, from, length);
	event->task[length] = '\0';
}

char *ftrace_parse_prefix(char *line, struct ftrace_event *event)
{
	char *dash, *rest;

	if (strnlen(line, TASK_COLUMNS + 1) > TASK_COLUMNS && line[TASK_COLUMNS] == '-') {
		dash = line + TASK_COLUMNS;
		rest = parse_after_dash(dash + 1, event);
		if (rest) {
			copy_task(event, line, dash);
			return rest;
		}
	}
	for (dash = strchr(line, '-'); dash; dash = strchr(dash + 1, '-')) {
		rest = parse_after_dash(dash + 1, event);
		if (rest) {
			copy_task(event, line, dash);
			return rest;
		}
	}
	return NULL;
}

enum field_kind { FIELD_U64, FIELD_SIGNED };

/* One `key=value`; a tracepoint's "va_start: 123" is the key "va_start:". */
struct field {
	const char *key;
	size_t offset; /* of the uint64_t or int64_t in struct ftrace_event */
	enum field_kind kind;
	bool required;
};

#define REQUIRED(key, member)                                               \
	{                                                                   \
		key, offsetof(struct ftrace_event, member), FIELD_U64, true \
	}
#define OPTIONAL(key, member)                                                \
	{                                                                    \
		key, offsetof(struct ftrace_event, member), FIELD_U64, false \
	}
#define SIGNED(key, member)                                                     \
	{                                                                       \
		key, offsetof(struct ftrace_event, member), FIELD_SIGNED, false \
	}
#define END_OF_FIELDS                     \
	{                                 \
		NULL, 0, FIELD_U64, false \
	}
#define MAX_FIELDS 8

static const struct field no_fields[] = {END_OF_FIELDS};
static const struct field vmalloc_enter_fields[] = {
	REQUIRED("size", size),   REQUIRED("align", align),
	REQUIRED("start", start), REQUIRED("end", end),
	OPTIONAL("gfp", gfp),     OPTIONAL("prot", prot),
	SIGNED("node", node),     END_OF_FIELDS};
static const struct field address_fields[] = {REQUIRED("addr", address), END_OF_FIELDS};
static const struct field alloc_enter_fields[] = {
	REQUIRED("size", size), REQUIRED("align", align), REQUIRED("vstart", start),
	REQUIRED("vend", end),  SIGNED("node", node),     END_OF_FIELDS};
static const struct field alloc_exit_fields[] = {REQUIRED("va", detail),
						 REQUIRED("va_start", address),
						 OPTIONAL("flags", flags), END_OF_FIELDS};
static const struct field alloc_fields[] = {REQUIRED("va_start:", address),
					    REQUIRED("size", size),
					    REQUIRED("align", align),
					    REQUIRED("vstart", start),
					    REQUIRED("vend", end),
					    REQUIRED("failed", detail),
					    END_OF_FIELDS};
/* nr_lazy is all that tells the tracepoint from the probe. */
static const struct field free_fields[] = {REQUIRED("va_start", address), OPTIONAL("va_end", end),
					   OPTIONAL("nr_lazy", detail), OPTIONAL("flags", flags),
					   END_OF_FIELDS};
static const struct field purge_enter_fields[] = {OPTIONAL("start", address), OPTIONAL("end", end),
						  OPTIONAL("full", detail), END_OF_FIELDS};
static const struct field decay_fields[] = {OPTIONAL("full", detail), END_OF_FIELDS};
static const struct field purge_exit_fields[] = {OPTIONAL("purged", purged), END_OF_FIELDS};
static const struct field purge_fields[] = {REQUIRED("start", address), REQUIRED("end", end),
					    REQUIRED("num_purged", purged), END_OF_FIELDS};

static const struct known_event {
	const char *name;
	enum ftrace_event_type type;
	const struct field *fields;
} known_events[] = {
	{"vmalloc_enter", FTRACE_VMALLOC_ENTER, vmalloc_enter_fields},
	{"vmalloc_exit", FTRACE_VMALLOC_EXIT, address_fields},
	{"alloc_vmap_area_enter", FTRACE_ALLOC_ENTER, alloc_enter_fields},
	{"alloc_vmap_area_exit", FTRACE_ALLOC_EXIT, alloc_exit_fields},
	{"alloc_vmap_area", FTRACE_ALLOC, alloc_fields},
	{"free_vmap_area_noflush", FTRACE_FREE, free_fields},
	{"purge_enter", FTRACE_PURGE_ENTER, purge_enter_fields},
	{"purge_exit", FTRACE_PURGE_EXIT, purge_exit_fields},
	{"purge_vmap_area_lazy", FTRACE_PURGE, purge_fields},
	{"decay", FTRACE_DECAY, decay_fields},
	{"vfree", FTRACE_VFREE, address_fields},
	{"tracing_mark_write", FTRACE_MARKER, no_fields},
	{"print", FTRACE_MARKER, no_fields}, /* trace-cmd's name for it */
};

/* What the fields of one event were found to be. */
struct parse {
	const struct field *fields;
	const char *name;
	const char *path;
	struct ftrace_event *event;
	struct input_error *error;
	bool seen[MAX_FIELDS];
	bool faulted; /* a probe printed "(fault)": it could not read the memory */
};

static int parse_value(struct parse *parse, size_t index, const char *value, size_t length)
{
	const struct field *field = &parse->fields[index];
	void *member = (char *)parse->event + field->offset;
	enum number_error number;

	parse->seen[index] = true;
	if (length == 7 && !memcmp(value, "(fault)", 7)) {
		parse->faulted = true;
		return 0;
	}
	if (field->kind == FIELD_SIGNED)
		number = number_parse_signed(value, length, member);
	else
		number = number_parse(value, length, member);
	if (number)
		return input_fail(
			parse->error, parse->path, parse->event->line, "%s: %s%s%.*s is %s",
			parse->name, field->key, strchr(field->key, ':') ? " " : "=",
			(int)(length < 60 ? length : 60), value, number_error_text(number));
	return 0;
}

/* The field that the token [@token, @token + @length) is the key of, or -1. */
static int find_field(const struct parse *parse, const char *token, size_t length)
{
	int i;

	for (i = 0; parse->fields[i].key; i++) {
		if (strlen(parse->fields[i].key) == length &&
		    !memcmp(parse->fields[i].key, token, length))
			return i;
	}
	return -1;
}

static int parse_fields(struct parse *parse, char *args)
{
	char *token, *value;
	size_t length;
	int index, err;

	for (token = skip_spaces(args); *token; token = skip_spaces(token + length)) {
		length = strcspn(token, " \t");
		value = memchr(token, '=', length);
		if (value) {
			index = find_field(parse, token, (size_t)(value - token));
			value++;
		} else {
			index = find_field(parse, token, length);
			if (index >= 0) {
				token = skip_spaces(token + length);
				length = strcspn(token, " \t");
			}
			value = token;
		}
		if (index < 0)
			continue;
		err = parse_value(parse, (size_t)index, value, length - (size_t)(value - token));
		if (err)
			return err;
	}
	return 0;
}

static int check_required(const struct parse *parse)
{
	const struct field *field;
	size_t i;

	for (i = 0; parse->fields[i].key; i++) {
		field = &parse->fields[i];
		if (field->required && !parse->seen[i])
			return input_fail(parse->error, parse->path, parse->event->line,
					  "%s has no %s: the line is cut short or from a probe "
					  "with other fields",
					  parse->name, field->key);
	}
	return 0;
}

/* The one place where "(fault)" is right: va_start of an area that there is none of. */
static int finish_alloc_exit(const struct parse *parse)
{
	uint64_t va = parse->event->detail;

	parse->event->failed = !va || IS_ERROR_VALUE(va);
	parse->event->has_flags = parse->seen[2];
	if (parse->event->failed)
		parse->event->address = 0;
	else if (parse->faulted)
		return input_fail(parse->error, parse->path, parse->event->line,
				  "%s: va_start=(fault) of an area that is there", parse->name);
	return 0;
}

static int finish_event(const struct parse *parse)
{
	struct ftrace_event *event = parse->event;

	switch (event->type) {
	case FTRACE_ALLOC_EXIT:
		return finish_alloc_exit(parse);
	case FTRACE_ALLOC:
		event->failed = event->detail != 0;
		if (event->failed)
			event->address = 0;
		break;
	case FTRACE_FREE:
		event->native = !parse->seen[1] && parse->seen[2];
		event->has_flags = parse->seen[3];
		break;
	case FTRACE_PURGE_ENTER:
	case FTRACE_DECAY:
		event->full = event->detail != 0;
		break;
	case FTRACE_PURGE_EXIT:
		event->has_purged = parse->seen[0];
		break;
	case FTRACE_PURGE:
		event->has_purged = true;
		break;
	case FTRACE_VMALLOC_EXIT:
		event->failed = !event->address || IS_ERROR_VALUE(event->address);
		break;
	default:
		break;
	}
	if (parse->faulted)
		return input_fail(parse->error, parse->path, event->line,
				  "%s: a field is (fault): the probe could not read it",
				  parse->name);
	return 0;
}

static void parse_marker(const char *name, char *args, struct ftrace_event *event)
{
	static const char prefix[] = "tracing_mark_write:";

	args = skip_spaces(args);
	if (!strcmp(name, "print") && !strncmp(args, prefix, sizeof(prefix) - 1))
		args = skip_spaces(args + sizeof(prefix) - 1);
	event->text = args;
}

int ftrace_parse_event(const char *name, char *args, const char *path, struct ftrace_event *event,
		       struct input_error *error)
{
	struct parse parse = {.name = name, .path = path, .event = event, .error = error};
	size_t i;
	int err;

	for (i = 0; i < sizeof(known_events) / sizeof(known_events[0]); i++) {
		if (!strcmp(known_events[i].name, name))
			break;
	}
	if (i == sizeof(known_events) / sizeof(known_events[0]))
		return 0;
	event->type = known_events[i].type;
	event->node = -1;
	if (event->type == FTRACE_MARKER) {
		parse_marker(name, args, event);
		return 1;
	}
	parse.fields = known_events[i].fields;
	err = parse_fields(&parse, args);
	if (!err)
		err = check_required(&parse);
	if (!err)
		err = finish_event(&parse);
	return err ? err : 1;
}
