/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fields of an event say. The events are those of scripts/capture and of Linux's
 * include/trace/events/vmalloc.h; tables name their fields.
 */
#include "vmm/replay/ftrace_line.h"

#include <errno.h>
#include <string.h>

/* An ERR_PTR: one of the last 4095 values. */
#define IS_ERROR_VALUE(value) ((value) >= (uint64_t)-4095)

enum field_kind {
	FIELD_REQUIRED,
	FIELD_ALIAS, /* another name of the field above: either will do */
	FIELD_OPTIONAL,
	FIELD_SIGNED, /* optional, and may be negative */
};

/* One `key=value`; a tracepoint's "va_start: 123" is the key "va_start:". */
struct field {
	const char *key;
	size_t length; /* of the key */
	size_t offset; /* of the uint64_t or int64_t in struct ftrace_event */
	enum field_kind kind;
};

#define FIELD(key, member, kind)                                                          \
	{                                                                                 \
		key, sizeof(key) - 1, offsetof(struct ftrace_event, member), FIELD_##kind \
	}
#define END_OF_FIELDS                      \
	{                                  \
		NULL, 0, 0, FIELD_OPTIONAL \
	}
#define MAX_FIELDS 8

/* Where finish_event() looks for what was seen. */
enum {
	FREE_VA_END = 1,
	FREE_NR_LAZY = 2,
	FREE_FLAGS = 3,
	ALLOC_EXIT_FLAGS = 2,
	PURGE_EXIT_PURGED = 0,
	PURGE_ENTER_FULL = 2,
	DECAY_FULL = 1,
};

static const struct field no_fields[] = {END_OF_FIELDS};
static const struct field vmalloc_enter_fields[] = {
	FIELD("size", size, REQUIRED),   FIELD("align", align, REQUIRED),
	FIELD("start", start, REQUIRED), FIELD("end", end, REQUIRED),
	FIELD("gfp", gfp, OPTIONAL),     FIELD("prot", prot, OPTIONAL),
	FIELD("node", node, SIGNED),     END_OF_FIELDS,
};
static const struct field address_fields[] = {FIELD("addr", address, REQUIRED), END_OF_FIELDS};
static const struct field alloc_enter_fields[] = {
	FIELD("size", size, REQUIRED),    FIELD("align", align, REQUIRED),
	FIELD("vstart", start, REQUIRED), FIELD("vend", end, REQUIRED),
	FIELD("node", node, SIGNED),      END_OF_FIELDS,
};
static const struct field alloc_exit_fields[] = {
	FIELD("va", detail, REQUIRED),
	FIELD("va_start", address, REQUIRED),
	FIELD("flags", flags, OPTIONAL),
	END_OF_FIELDS,
};
/* The tracepoint's text says va_start and num_purged; its fields are called addr and npurged. */
static const struct field alloc_fields[] = {
	FIELD("va_start:", address, REQUIRED), FIELD("addr", address, ALIAS),
	FIELD("size", size, REQUIRED),         FIELD("align", align, REQUIRED),
	FIELD("vstart", start, REQUIRED),      FIELD("vend", end, REQUIRED),
	FIELD("failed", detail, REQUIRED),     END_OF_FIELDS,
};
/* nr_lazy is all that tells the tracepoint from the probe. */
static const struct field free_fields[] = {
	FIELD("va_start", address, REQUIRED),
	FIELD("va_end", end, OPTIONAL),
	FIELD("nr_lazy", detail, OPTIONAL),
	FIELD("flags", flags, OPTIONAL),
	END_OF_FIELDS,
};
/* `full` is read into size, where these events have nothing. */
static const struct field purge_enter_fields[] = {
	FIELD("start", address, OPTIONAL),
	FIELD("end", end, OPTIONAL),
	FIELD("full", size, OPTIONAL),
	END_OF_FIELDS,
};
static const struct field decay_fields[] = {
	FIELD("vn", detail, OPTIONAL),
	FIELD("full", size, REQUIRED),
	END_OF_FIELDS,
};
static const struct field give_enter_fields[] = {FIELD("work", detail, REQUIRED), END_OF_FIELDS};
static const struct field purge_exit_fields[] = {FIELD("purged", purged, OPTIONAL), END_OF_FIELDS};
static const struct field purge_fields[] = {
	FIELD("start", address, REQUIRED),
	FIELD("end", end, REQUIRED),
	FIELD("num_purged", purged, REQUIRED),
	FIELD("npurged", purged, ALIAS),
	END_OF_FIELDS,
};

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
	{"purge_node_enter", FTRACE_GIVE_ENTER, give_enter_fields},
	{"purge_node_exit", FTRACE_GIVE_EXIT, no_fields},
	{"vfree", FTRACE_VFREE, address_fields},
	{"tracing_mark_write", FTRACE_MARKER, no_fields},
	{"print", FTRACE_MARKER, no_fields}, /* trace-cmd's and perf's name for it */
};

static char *skip_spaces(char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/* ---- names ---- */

/* The length of @name without what a compiler adds to a function's name behind a dot. */
static size_t plain_length(const char *name)
{
	return strcspn(name, ".");
}

static const struct known_event *find_event(const char *name)
{
	size_t length = plain_length(name), i;

	for (i = 0; i < sizeof(known_events) / sizeof(known_events[0]); i++) {
		if (known_events[i].name[0] == name[0] &&
		    !strncmp(known_events[i].name, name, length) && !known_events[i].name[length])
			return &known_events[i];
	}
	return NULL;
}

/* What the kernel calls a function it has no symbol of: "0xffffffff811b348d". */
static bool is_address(const char *name, size_t length)
{
	uint64_t address;

	return length > 8 && !number_parse_hex(name, length, &address);
}

bool ftrace_knows_event(const char *name)
{
	return find_event(name) != NULL;
}

/* ---- markers ---- */

/*
 * The text is behind the name of the function that took it: in the place of the event's name in
 * tracefs, and once more behind `print:` in trace-cmd's and perf's text. With the option raw they
 * write `ip=FUNCTION buf=TEXT`.
 */
static int parse_marker(const char *name, char *args, struct ftrace_event *event)
{
	size_t length;

	args = skip_spaces(args);
	if (!strcmp(name, "print") && !strncmp(args, "ip=", 3)) {
		args = strstr(args, " buf=");
		event->text = args ? args + 5 : "";
		return 1;
	}
	if (!strcmp(name, "print")) {
		length = strcspn(args, ": ");
		if (args[length] == ':' &&
		    (!strncmp(args, "tracing_mark_write", 18) || is_address(args, length)))
			args = skip_spaces(args + length + 1);
	}
	event->text = args;
	return 1;
}

/* ---- fields ---- */

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
		if (parse->fields[i].length == length &&
		    !memcmp(parse->fields[i].key, token, length))
			return i;
	}
	return -1;
}

static size_t token_length(const char *at, size_t *equals_out)
{
	size_t length = 0;

	*equals_out = 0;
	for (; at[length] && at[length] != ' ' && at[length] != '\t'; length++) {
		if (at[length] == '=' && !*equals_out)
			*equals_out = length;
	}
	return length;
}

static int parse_fields(struct parse *parse, char *args)
{
	size_t length, equals;
	char *token, *value;
	int index, err;

	for (token = skip_spaces(args); *token; token = skip_spaces(token + length)) {
		length = token_length(token, &equals);
		index = find_field(parse, token, equals ? equals : length);
		if (index < 0)
			continue;
		value = token + equals + 1;
		if (!equals) {
			token = value = skip_spaces(token + length);
			length = token_length(token, &equals);
		}
		err = parse_value(parse, (size_t)index, value, length - (size_t)(value - token));
		if (err)
			return err;
	}
	return 0;
}

/* The key of a field that has to be there and is not, or NULL. */
static const char *find_lacking(const struct parse *parse)
{
	const struct field *field = parse->fields;
	size_t i;

	for (i = 0; field[i].key; i++) {
		if (field[i].kind == FIELD_REQUIRED && !parse->seen[i] &&
		    !(field[i + 1].kind == FIELD_ALIAS && parse->seen[i + 1]))
			return field[i].key;
	}
	return NULL;
}

/* The one place where "(fault)" is right: va_start of an area that there is none of. */
static int finish_alloc_exit(const struct parse *parse)
{
	uint64_t va = parse->event->detail;

	parse->event->failed = !va || IS_ERROR_VALUE(va);
	if (parse->event->failed) {
		parse->event->address = parse->event->flags = 0;
	} else if (parse->faulted) {
		return input_fail(parse->error, parse->path, parse->event->line,
				  "%s: va_start=(fault) of an area that is there", parse->name);
	} else {
		parse->event->has_flags = parse->seen[ALLOC_EXIT_FLAGS];
	}
	return 0;
}

static void take_full(struct ftrace_event *event, bool seen)
{
	event->has_full = seen;
	event->full = event->size != 0;
	event->size = 0;
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
		event->native = !parse->seen[FREE_VA_END] && parse->seen[FREE_NR_LAZY];
		event->has_flags = parse->seen[FREE_FLAGS];
		break;
	case FTRACE_PURGE_ENTER:
		take_full(event, parse->seen[PURGE_ENTER_FULL]);
		break;
	case FTRACE_DECAY:
		take_full(event, parse->seen[DECAY_FULL]);
		break;
	case FTRACE_PURGE_EXIT:
		event->has_purged = parse->seen[PURGE_EXIT_PURGED];
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

int ftrace_parse_event(const char *name, char *args, const char *path, struct ftrace_event *event,
		       const char **lacking_out, struct input_error *error)
{
	struct parse parse = {.name = name, .path = path, .event = event, .error = error};
	const struct known_event *known = find_event(name);
	int err;

	event->node = -1;
	if (!known && is_address(name, strlen(name)))
		known = find_event("tracing_mark_write");
	if (!known)
		return 0;
	event->type = known->type;
	if (event->type == FTRACE_MARKER)
		return parse_marker(name, args, event);
	parse.fields = known->fields;
	err = parse_fields(&parse, args);
	if (err)
		return err;
	*lacking_out = find_lacking(&parse);
	if (*lacking_out)
		return 0;
	err = finish_event(&parse);
	return err ? err : 1;
}
