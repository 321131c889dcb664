/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control protocol's wire, without sockets: bytes come in, requests that are in order and
 * answers to those that are not come out. It is QEMU's QMP (docs/protocol.md): a greeting, the
 * negotiation, {"execute", "arguments", "id"}, {"return"}, {"error"}, {"event"}.
 *
 * What commands there are, with which arguments, says one table (struct qmp_table), which
 * query-command-schema shows. A request comes out of here only with every argument known, of its
 * type and in its range; whoever carries it out needs not look again.
 *
 * Every client is hostile. A message ends where its brackets close, so none needs a newline, and
 * one may be of several lines; a line that is no object, or ends in a string, is an error. At most
 * QMP_MESSAGE_BYTES of a message are kept; a longer one, or one of more parts than QMP_DEPTH_MAX
 * and the like say, is answered with one error and skipped up to the next newline, where the
 * conversation goes on. A control byte other than tab, CR and LF, or
 * 0xff, drops what came before it, with an error, and the conversation goes on behind it.
 *
 * Nothing here is locked: a session belongs to one thread, a request to whoever holds it.
 */
#ifndef VMM_WIRE_QMP_H
#define VMM_WIRE_QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QMP_MESSAGE_BYTES (1u << 20)
/*
 * Of one message: brackets in each other, brackets in all, and commas and colons. What has more is
 * skipped as one that is too long, before any of it is parsed: parsed, a megabyte of empty objects
 * is forty. The longest list that a command takes, with room to spare.
 */
#define QMP_DEPTH_MAX    32u
#define QMP_BRACKETS_MAX 256u
#define QMP_MEMBERS_MAX  16384u
#define QMP_ARGS_MAX     12

/* ---- the table ---- */

enum qmp_type {
	QMP_BOOL,
	QMP_INT,     /* a JSON integer from min to max */
	QMP_U64,     /* a JSON integer from 0, or a string "0x..." of up to 64 bits */
	QMP_SIZE,    /* bytes; the same on the wire */
	QMP_ADDRESS, /* a string: "0x...", a symbol of the guest's image, or "symbol+0x..." */
	QMP_TEXT,    /* a string of 1 to max bytes, no control characters */
	QMP_ENUM,    /* one of the choices */
	QMP_BYTES,  /* a string of hexadecimal digits, two a byte, at least one byte, at most max */
	QMP_FRAMES, /* a list of frame numbers, at least one, at most max */
	QMP_TEXTS,  /* a list of strings, at most max */
	QMP_REAL,   /* in returns: a number */
	QMP_OBJECT, /* in returns: an object the help describes */
	QMP_OBJECTS, /* in returns: a list of such */
	QMP_ANY,     /* in returns: anything */
	QMP_NR_TYPES
};

/* What each object of a list has. */
struct qmp_column {
	const char *name; /* NULL ends a list */
	enum qmp_type type;
	const char *help; /* or NULL: the name says it */
};

/*
 * A list that is returned, or one object inside what is: the one place that says what its objects
 * are, which makes the JSON (qmp_row()), the schema, the page of docs/protocol.md and the lines for
 * people.
 *
 * In a row, {name} stands for the column's value, {name:FORMAT} for it formatted: [-][0][width],
 * then nothing (text as it is, a number in decimal, true as the name's first letter and false as
 * '-'), x (a number in hexadecimal, without 0x), z (a size as options take it: 2M) or ! (a number;
 * an object that has none makes no line).
 */
struct qmp_list {
	const struct qmp_column *columns; /* NULL: the help says what its objects are */
	const char *head;                 /* above the rows, or NULL */
	const char *row;                  /* NULL: for people by another way */
};

/* An argument, or one member of what is returned. */
struct qmp_arg {
	const char *name; /* NULL ends a list */
	enum qmp_type type;
	bool optional;
	bool no_default; /* left out, it stands for no other value */
	const char *help;
	int64_t min;  /* INT, U64 and SIZE */
	uint64_t max; /* 0: as far as the type goes */
	/* An optional U64, SIZE, ADDRESS, INT or ENUM (its place in choices) that is not there. */
	uint64_t otherwise;
	const char *const *choices; /* ENUM, ended by NULL */
	const struct qmp_list *of;  /* OBJECT, OBJECTS: said behind help; or NULL */
	/* Where a hypercall has it: arg[] or result[], plus 1; 0: nowhere. The table's owner's. */
	unsigned int place;
};

/* What a command does, and so who may give it. */
enum qmp_access {
	QMP_CHANGES, /* the guest, or something of the service's: what says nothing else */
	QMP_LOOKS,   /* it changes nothing */
	QMP_UNSAFE,  /* it harms the guest, past its core: for who asked for that */
};

struct qmp_command {
	const char *name;              /* "query-status"; NULL ends a list */
	const char *help;              /* one sentence or more */
	const struct qmp_arg *args;    /* NULL for none */
	const struct qmp_arg *returns; /* NULL for an empty object */
	unsigned int lane;             /* the table's owner's: who carries it out */
	unsigned int opcode;           /* the table's owner's */
	enum qmp_access access;
};

/* An event the server sends. */
struct qmp_event_info {
	const char *name;
	const char *help;
	const struct qmp_arg *members;
};

struct qmp_group {
	const char *title;                  /* of its section in docs/protocol.md */
	const struct qmp_command *commands; /* ended by one without a name */
};

struct qmp_table {
	const struct qmp_group *groups;
	size_t nr_groups;
	const struct qmp_event_info *events;
	size_t nr_events;
};

/* The lane of what is answered here: qmp_capabilities, query-commands, query-command-schema. */
#define QMP_LANE_WIRE 0u

/* The command of that name, or NULL. */
const struct qmp_command *qmp_command_find(const struct qmp_table *table, const char *name);

/* "int", "size", ...: as query-command-schema says. */
const char *qmp_type_name(enum qmp_type type);

/* What query-command-schema returns for @command: a new reference, NULL for want of memory. */
json_t *qmp_command_schema(const struct qmp_command *command);

/* ---- values ---- */

/* The address of a symbol of the guest's image. Errors: -ENOENT. */
typedef int (*qmp_symbol_fn)(void *context, const char *symbol, uint64_t *address_out);

/* An argument as its type makes it. Owns frames and bytes; text is the request's. */
struct qmp_value {
	bool given; /* false: it has what qmp_arg.otherwise says, or 0 */
	bool flag;
	int64_t number;     /* INT; the choice's place */
	uint64_t word;      /* U64, SIZE, ADDRESS; INT and the choice's place too */
	const char *text;   /* TEXT, ENUM, and what ADDRESS was given as; NULL where not given */
	uint8_t *bytes;     /* BYTES: count of them */
	uint64_t *frames;   /* FRAMES: count of them */
	const json_t *list; /* TEXTS: the request's */
	size_t count;
};

#define QMP_WHY_BYTES 256

/*
 * Reads @json as @arg wants it into *@value_out. Returns 0; -EINVAL with what is wrong and what
 * would be right in @why, not naming the argument; -ENOMEM.
 */
int qmp_value_read(const struct qmp_arg *arg, const json_t *json, qmp_symbol_fn symbol,
		   void *context, struct qmp_value *value_out, char why[QMP_WHY_BYTES]);
void qmp_value_deinit(struct qmp_value *value);

/* ---- requests and answers ---- */

struct lane_progress;

struct qmp_request {
	const struct qmp_command *command;
	struct qmp_value values[QMP_ARGS_MAX]; /* in the order of command->args */
	json_t *message;                       /* keeps texts alive */
	json_t *id;                            /* borrowed from message; NULL for none */
	struct lane_progress *progress;        /* the carrier's own; NULL: none */
	int passed_fd; /* a descriptor of the client's that goes with it, the request's; -1: none */
};

void qmp_request_free(struct qmp_request *request);

/* The value of argument @name, which the command has. */
const struct qmp_value *qmp_get(const struct qmp_request *request, const char *name);

/*
 * Answers, with the id of @request where there is one. qmp_return() takes @value's reference; a
 * NULL @value stands for no memory and gives an error. Both return NULL for want of memory only.
 */
json_t *qmp_return(const struct qmp_request *request, json_t *value);
json_t *qmp_error(const struct qmp_request *request, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * The same where the client gave a wrong argument: "COMMAND: 'ARGUMENT' " and the text, and the
 * error has a member "argument" that names it.
 */
json_t *qmp_error_argument(const struct qmp_request *request, const char *argument,
			   const char *format, ...) __attribute__((format(printf, 3, 4)));

/* An event, stamped with the time; takes @data's reference (NULL: none). */
json_t *qmp_event(const char *name, json_t *data);

/* A number as the protocol shows 64 bits: the string "0x1f". */
json_t *qmp_hex(uint64_t value);

/* @bytes as hexadecimal digits; NULL for want of memory. */
json_t *qmp_bytes(const void *bytes, size_t count);

/* What a member of an object holds: what its type takes. */
struct qmp_cell {
	uint64_t number;  /* ADDRESS, U64, INT, SIZE, BOOL */
	double real;      /* REAL */
	const char *text; /* TEXT, ENUM; NULL: the object has none */
	json_t *json;     /* any other: taken; NULL: the object has none */
	bool absent;      /* the object has none */
};

#define QMP_NUMBER(value) ((struct qmp_cell){.number = (value)})
#define QMP_FLOAT(value)  ((struct qmp_cell){.real = (value)})
#define QMP_STRING(value) ((struct qmp_cell){.text = (value)})
#define QMP_JSON(value)   ((struct qmp_cell){.json = (value)})
#define QMP_MAYBE(condition, value) \
	((struct qmp_cell){.number = (condition) ? (value) : 0, .absent = !(condition)})

/*
 * An object of @list: its columns from the first on, a cell each; those beyond the @count cells it
 * has none of. Numbers of 64 bits (ADDRESS, U64) are strings "0x...". NULL for want of memory.
 */
json_t *qmp_row(const struct qmp_list *list, const struct qmp_cell *cells, size_t count);
#define QMP_CELLS(...)                          \
	(const struct qmp_cell[]){__VA_ARGS__}, \
		sizeof((const struct qmp_cell[]){__VA_ARGS__}) / sizeof(struct qmp_cell)
#define QMP_ROW(list, ...) qmp_row(&(list), QMP_CELLS(__VA_ARGS__))

/* Answers with what the request's command returns, the same way: a cell a member. */
json_t *qmp_reply(const struct qmp_request *request, const struct qmp_cell *cells, size_t count);
#define QMP_REPLY(request, ...) qmp_reply(request, QMP_CELLS(__VA_ARGS__))

/*
 * @message as it goes over the wire: one line of ASCII, with CRLF. Free with free(3); NULL for
 * want of memory.
 */
char *qmp_text(const json_t *message);

/* ---- a session ---- */

struct qmp_session;

enum qmp_outcome {
	QMP_MORE,    /* all bytes were taken, nothing is whole yet */
	QMP_REQUEST, /* *@request_out is to be carried out; the caller frees it */
	QMP_ANSWER,  /* *@answer_out is to be sent; a new reference */
	QMP_NO_MEMORY,
};

/* A session as it begins. NULL for want of memory. @symbol may be NULL: there are none. */
struct qmp_session *qmp_session_create(const struct qmp_table *table, qmp_symbol_fn symbol,
				       void *context);
/*
 * Which commands the session takes besides those of the wire itself and those that look: as it
 * begins all. Others are answered with an error that says so.
 */
void qmp_session_allow(struct qmp_session *session, bool changes, bool unsafe);

void qmp_session_destroy(struct qmp_session *session);

/* The greeting, which the server sends first. */
json_t *qmp_greeting(void);

/*
 * Takes bytes up to the end of the first message in [bytes, bytes + size_bytes), *@taken_out of
 * them, at least one unless @size_bytes is 0. To be called again with the rest.
 */
enum qmp_outcome qmp_session_feed(struct qmp_session *session, const char *bytes, size_t size_bytes,
				  size_t *taken_out, struct qmp_request **request_out,
				  json_t **answer_out);

/*
 * The client will send no more. Returns an error to answer where a message was cut off, else
 * NULL.
 */
json_t *qmp_session_end(struct qmp_session *session);

/* Whether the client has negotiated: only then it gets events. */
bool qmp_session_ready(const struct qmp_session *session);

#endif
