/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestctl, the program that talks to running guests: what its files share.
 *
 * A verb is a command of vmm/wire/protocol.h: its needed arguments are operands, the others
 * options, and what it returns is printed. The verbs with a name, a table or a way of their own are
 * rows of nestctl_verbs; every other command is a verb by its own name. Help, completion and the
 * man page's test come from the same rows.
 */
#ifndef VMM_NESTCTL_NESTCTL_H
#define VMM_NESTCTL_NESTCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "lib/error.h"
#include "vmm/base/cli.h"
#include "vmm/wire/protocol.h"
#include "vmm/wire/runtime.h"

/* ---- the connection ---- */

struct ctl_wire; /* a negotiated connection */

/* Called with each event that comes while one waits; ends the waiting with other than 0. */
typedef int (*ctl_event_fn)(void *context, const json_t *event);

/* Errors, with the reason in @error: connect(2)'s; -EPROTO, what answers is no guest. */
int ctl_connect(const char *path, struct ctl_wire **wire_out, struct error *error);
void ctl_disconnect(struct ctl_wire *wire);

/* The socket it is connected to; good until it is closed. */
const char *ctl_wire_path(const struct ctl_wire *wire);

/*
 * Asks and waits. Ctrl-C meanwhile cancels what was asked for, whose answer then says what was done
 * so far; a second one ends the program. Takes @arguments' reference (NULL: none). Returns 0 with
 * the returned value in
 * *@return_out, a new reference; with the guest's error in @error -EINVAL where what was asked is
 * wrong (an argument, a command there is not), else -EREMOTEIO; -EPROTO, -EPIPE (the guest has
 * gone).
 */
int ctl_ask(struct ctl_wire *wire, const char *command, json_t *arguments, json_t **return_out,
	    struct error *error);

/*
 * Tells the guest that nobody wants the rest of what was asked for over @wire, over a connection of
 * its own: any thread. Errors: as ctl_ask().
 */
int ctl_cancel(const struct ctl_wire *wire);

/* From now on Ctrl-C is the caller's, who may then call ctl_cancel(); or (false) no longer. */
void ctl_own_signals(struct ctl_wire *wire, bool own);

/* Whether Ctrl-C cancelled what was asked for last. */
bool ctl_was_cancelled(const struct ctl_wire *wire);

/* Whether an answer's "error" says that what was asked is wrong. */
bool ctl_asked_wrongly(const json_t *error);

struct ctl;
struct ctl_verb;

/*
 * Asks @verb's command (CTL_LIST) again and again until there is no next, or once if @arguments
 * have a limit, and puts the pieces together. @arguments stays the caller's; its start changes.
 */
int ctl_ask_list(struct ctl *ctl, const struct ctl_verb *verb, json_t *arguments,
		 json_t **value_out);

/* Sends @text as it is, and a newline, and waits for what is no event: @answer_out. */
int ctl_ask_raw(struct ctl_wire *wire, const char *text, json_t **answer_out, struct error *error);

/* Waits for events until @event ends it, or the guest has gone: 0. Errors: -EPROTO. */
int ctl_watch(struct ctl_wire *wire, ctl_event_fn event, void *context, struct error *error);

/* ---- one use of a verb ---- */

/* What of a list is wanted: vmm/nestctl/filter.c. All zero: all of it. */
struct ctl_filter {
	const char *rights; /* letters */
	bool user;
	uint64_t page_bytes;
	const char *state;
};

/* Says what is wrong in @filter. Returns whether nothing is. */
bool ctl_filter_check(const struct ctl_filter *filter, const struct cli_command *cli);

/* Takes the objects that are not wanted out of @list, which may be NULL. */
void ctl_filter_list(const struct ctl_filter *filter, json_t *list);

/* The options of load: vmm/nestctl/load.c. */
struct ctl_load {
	const char *vcpus, *audit;
	uint64_t loops, pages, seed, seconds, slice;
};

void ctl_load_options(struct ctl_load *load, void (*add)(void *context, struct cli_option option),
		      void *context);

/* The options of top. */
struct ctl_top {
	uint64_t every_ms, count; /* 0: a second; for ever */
};

struct ctl {
	const struct ctl_verb *verb;
	const struct cli_command *cli; /* for cli_error() */
	struct ctl_wire *wire;
	FILE *out;
	bool json, printed; /* printed: a document, with --json */
	bool raw, follow;   /* --raw, --follow */
	const char *format; /* --format, or NULL */
	const struct ctl_filter *filter;
	const struct ctl_load *load;
	const char *walk; /* --walk, or NULL */
	const struct ctl_top *top;
	json_t *arguments; /* of the command, as read from the command line */
	struct error error;
	/* ctl_main(), for a verb that reads lines: who runs lines is above who runs verbs. */
	enum cli_status (*run_line)(int argc, char **argv, struct ctl_wire *wire);
};

/* What a verb's own way ends with: the program's exit status. */
typedef enum cli_status (*ctl_run_fn)(struct ctl *ctl);

/* Prints what the command returned, for people. */
typedef enum cli_status (*ctl_print_fn)(struct ctl *ctl, const json_t *value);

#define CTL_NO_GUEST  0x1u    /* it needs no connection */
#define CTL_RAW       0x2u    /* it has --raw */
#define CTL_FOLLOW    0x4u    /* it has --follow */
#define CTL_ALIAS     0x10u   /* a command by its own name that a row has by another */
#define CTL_FORMAT    0x20u   /* it has --format */
#define CTL_BY_RIGHTS 0x40u   /* --rights, --size, --user choose from its list */
#define CTL_BY_STATE  0x80u   /* --state does */
#define CTL_LOAD      0x100u  /* the options of load */
#define CTL_WALK      0x200u  /* it has --walk */
#define CTL_TOP       0x400u  /* the options of top */
#define CTL_PIECES    0x800u  /* sizes may be more than the command takes at once */
#define CTL_LIBVIRT   0x1000u /* what goes wrong has libvirt's number as well */
#define CTL_LIST      0x8u    /* the command returns a list in pieces: `list` is its name */

struct ctl_verb {
	const char *name;
	const char *command; /* NULL: none, run() does it */
	const char *help;    /* NULL: the command's */
	ctl_run_fn run;      /* NULL: ask, then print */
	ctl_print_fn print;  /* NULL: ctl_print_plain() */
	unsigned int flags;
	const char *list;     /* CTL_LIST: the member that is the list */
	const char *operands; /* without a command: what --help says */
	const char *section;  /* the heading in help; NULL: that of the row before */
};

/* The rows, ended by one without a name. */
extern const struct ctl_verb nestctl_verbs[];

/*
 * The verb of that name, '_' being as good as '-': a row, or one made for a command in @made, which
 * stays the caller's. NULL where there is none.
 */
const struct ctl_verb *ctl_verb_find(const char *name, struct ctl_verb *made);

/* The name of a verb that @name may be meant as, or NULL. */
const char *ctl_verb_meant(const char *name);

/* The first row that has the command of @length letters, by its name; NULL: none has. */
const char *ctl_verb_of(const char *command, size_t length);

/* Whether a row's name begins like that. */
bool ctl_verb_begins(const char *begun);

/* Calls @visit with every verb, rows first, then commands. */
void ctl_verb_for_each(void (*visit)(void *context, const struct ctl_verb *verb), void *context);

/* The verb's help: its own or its command's. */
const char *ctl_verb_help(const struct ctl_verb *verb);

#define CTL_JOINED_BYTES 64

/*
 * Makes one word of a verb of several ("ept map" is ept-map), and an option of the format in x/8gx.
 * @argv has room for one word more than the NULL behind it. Returns how many there are now; @joined
 * holds what was made and must live as long as @argv.
 */
int ctl_words_join(int argc, char **argv, char joined[CTL_JOINED_BYTES]);

/*
 * Carries out a line of words, argv[0] being the verb or the first word of it. @wire may be NULL:
 * then the options say whom to connect to.
 */
enum cli_status ctl_main(int argc, char **argv, struct ctl_wire *wire);

/*
 * What --help says of a verb besides its options: values of operands, an example. Into @text, which
 * is returned; NULL: nothing.
 */
const char *ctl_verb_notes(const struct ctl_verb *verb, const struct qmp_command *command,
			   char *text, size_t size);

/*
 * The socket of the guest that --name or --socket (NULL: not given), the environment, or being the
 * only one names. Errors, with the reason: -EINVAL (several run), -ENOENT (none), runtime_path()'s.
 */
int ctl_find_socket(const char *name, const char *socket, char path[RUNTIME_PATH_BYTES],
		    struct error *error);

/* ---- completion ---- */

typedef void (*ctl_word_fn)(void *context, const char *word);

/*
 * Calls @visit with what the word that begins like @begun may be, at @place of @verb: "--gfp", or
 * an operand's number from 1 on. Some may not begin so. @wire (NULL: none) is asked for symbols.
 */
void ctl_complete(const struct ctl_verb *verb, const char *place, const char *begun,
		  struct ctl_wire *wire, ctl_word_fn visit, void *context);

/* The same on standard output, for the shell's completion: "VERB --complete PLACE BEGUN". */
enum cli_status ctl_run_complete(const struct ctl_verb *verb, const char *place, const char *begun);

/* ---- arguments ---- */

/*
 * Flags as Linux names them (vmm/nestctl/symbols.c), of the arguments gfp, prot, flags, rights:
 * "GFP_KERNEL|__GFP_ZERO". Parsing returns false for what is none of their names nor a number.
 */
#define CTL_FLAGS_BYTES 512
bool ctl_flags_known(const char *argument);
bool ctl_flags_parse(const char *argument, const char *word, uint64_t *value_out);
void ctl_flags_names(const char *argument, char text[CTL_FLAGS_BYTES]);
const char *ctl_flags_text(const char *argument, uint64_t value, char text[CTL_FLAGS_BYTES]);

/* A word of the command line as @arg wants it. Returns a new reference, or NULL with @why. */
json_t *ctl_word_json(const struct qmp_arg *arg, const char *word, char why[QMP_WHY_BYTES]);

/* ---- failing ---- */

/* What the exit statuses mean here. */
#define CTL_STATUSES                                                                   \
	"0 done and right; 1 the guest refused, or an audit found something\n"         \
	"wrong, or what was looked for is not there; 2 bad usage or bad input; 3 no\n" \
	"guest there, or it has gone"

/* Says ctl->error. Returns the exit status that goes with @err, one of ctl_ask()'s. */
enum cli_status ctl_failed(struct ctl *ctl, int err);

/* Of a verb with CTL_LIBVIRT: puts libvirt's number for -errno @err behind the words. */
void ctl_add_libvirt(const struct ctl_verb *verb, int err, struct error *error);

/*
 * Whoever wants JSON gets one document whatever happens, also of words that cannot be read: whether
 * @argv asks for it, and the document of an error, to standard output.
 */
bool ctl_wants_json(int argc, char **argv);
void ctl_print_error(const char *text);

/* ---- printing ---- */

enum cli_status ctl_print_plain(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_json(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_bytes(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_audit(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_status(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_backtrace(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_insns(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_event(struct ctl *ctl, const json_t *event);

/* The tables of what looks at a guest: vmm/nestctl/print_look.c. */
enum cli_status ctl_print_map(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_tree(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_maps(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_walk(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_ept_walk(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_symbol(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_hits(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_frames(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_zones(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_diff(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_leaves(struct ctl *ctl, const json_t *value);
enum cli_status ctl_print_dirty(struct ctl *ctl, const json_t *value);

/*
 * Every list of the verb's command that has a row (struct qmp_list), and how the list ends:
 * vmm/nestctl/print_list.c.
 */
enum cli_status ctl_print_lists(struct ctl *ctl, const json_t *value);

/* Says that @value is what was done before Ctrl-C, if it is, on standard error: CLI_WRONG then. */
enum cli_status ctl_print_interrupted(const struct ctl *ctl, const json_t *value);

/* Says that there is more, or that a list was broken, which is CLI_WRONG. */
enum cli_status ctl_print_end(struct ctl *ctl, const json_t *value);

/* "2 MiB" in a sentence, "2M" in a column, as options take it. Both return @text. */
const char *ctl_size_text(uint64_t bytes, char text[32]);
const char *ctl_size_word(uint64_t bytes, char text[32]);

/* What makes the word before it right: "1 page", "2 pages". */
static inline const char *ctl_plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* Members of an object: its number, also of "0x..."; its text, "" where there is none. */
uint64_t ctl_number(const json_t *object, const char *key);
const char *ctl_text(const json_t *object, const char *key);

/* ---- verbs that have a way of their own ---- */

enum cli_status ctl_run_list(struct ctl *ctl);
enum cli_status ctl_run_log(struct ctl *ctl);
enum cli_status ctl_run_shell(struct ctl *ctl);
enum cli_status ctl_run_read(struct ctl *ctl);
enum cli_status ctl_run_dump(struct ctl *ctl);
enum cli_status ctl_run_help(struct ctl *ctl);
enum cli_status ctl_run_execute(struct ctl *ctl);
enum cli_status ctl_run_examine(struct ctl *ctl);
enum cli_status ctl_run_load(struct ctl *ctl);
enum cli_status ctl_run_picture(struct ctl *ctl);
enum cli_status ctl_run_top(struct ctl *ctl);

#endif
