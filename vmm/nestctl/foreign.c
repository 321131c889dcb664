/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs on other people's guests: options, opening the source, finding what runs in it. */
#include "vmm/nestctl/foreign.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/input.h"
#include "guest/abi.h"
#include "vmm/inspect/layout.h"

#define CR4_LA57    (1ull << 12)
#define CR3_MASK    0x000ffffffffff000ull
#define OPTIONS_MAX 32

static const char *const sources[] = {"--core", "--qmp", "--connect", "--domain"};

static bool names_source(const char *word)
{
	if (!strcmp(word, "--kcore"))
		return true;
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		size_t length = strlen(sources[i]);

		if (!strncmp(word, sources[i], length) && (!word[length] || word[length] == '='))
			return true;
	}
	return false;
}

bool foreign_wanted(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (names_source(argv[i]))
			return true;
	}
	return false;
}

/* ---- what is said ---- */

enum cli_status foreign_failed(struct foreign *foreign, int err, const struct error *error)
{
	cli_error(&foreign->cli, "%s", error && error->text[0] ? error->text : strerror(-err));
	return err == -EINVAL || err == -ENOEXEC || err == -ENAMETOOLONG ? CLI_BAD_INPUT : CLI_HOST;
}

enum cli_status foreign_print(struct foreign *foreign, json_t *value, ctl_print_fn print)
{
	enum cli_status status;

	if (foreign->answer_out) {
		*foreign->answer_out = value;
		return CLI_DONE;
	}
	status = foreign->options.json ? ctl_print_json(&foreign->ctl, value)
				       : print(&foreign->ctl, value);
	json_decref(value);
	return status;
}

/* ---- addresses ---- */

bool foreign_address(struct foreign *foreign, const char *word, uint64_t *address_out)
{
	const char *plus = strchr(word, '+');
	size_t length = plus ? (size_t)(plus - word) : strlen(word);
	uint64_t offset = 0;
	char name[256];

	if (number_parse(word, strlen(word), address_out) == NUMBER_OK)
		return true;
	if (length < sizeof(name) && foreign->linux_guest &&
	    (!plus || number_parse(plus + 1, strlen(plus + 1), &offset) == NUMBER_OK)) {
		memcpy(name, word, length);
		name[length] = '\0';
		if (linux_symbol(foreign->linux_guest, name, address_out)) {
			*address_out += offset;
			return true;
		}
	}
	cli_error(&foreign->cli, "'%.64s' is no address and no symbol of this guest's kernel",
		  word);
	return false;
}

/* ---- opening ---- */

static int open_source(struct foreign *foreign, struct error *error)
{
	const struct foreign_options *options = &foreign->options;
	int count = (options->core != NULL) + (options->qmp != NULL) + options->kcore +
		    (options->domain != NULL);

	if (count != 1)
		return error_set(error, -EINVAL,
				 "say one source: --core FILE, --kcore, --qmp SOCKET, "
				 "or --domain NAME with or without --connect URI");
	if (options->core)
		return source_open_core(options->core, &foreign->source, error);
	if (options->kcore)
		return source_open_kcore(&foreign->source, error);
	if (options->qmp)
		return source_open_qmp(options->qmp, &foreign->source, error);
	return source_open_libvirt(options->uri, options->domain, &foreign->source, error);
}

/* The number behind "KEY=" at a line's start of our own note. */
static bool note_number(const char *text, size_t bytes, const char *key, uint64_t *value_out)
{
	size_t length = strlen(key);
	const char *line = text, *end = text + bytes;

	while (line && line < end) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t left = (size_t)((newline ? newline : end) - line);

		if (left > length && !memcmp(line, key, length))
			return number_parse(line + length, left - length, value_out) == NUMBER_OK;
		line = newline ? newline + 1 : NULL;
	}
	return false;
}

/* RAM and what of it is reserved, as the guest was told: the core's pieces are finer. */
static void read_ranges(const struct inspector *inspector, uint32_t count_at, uint32_t array_at,
			struct nb_range *range, uint32_t *nr_out)
{
	struct inspector *reader = (struct inspector *)(uintptr_t)inspector;
	const struct layout *l = inspect_layout(inspector);
	uint64_t mm = inspect_mm(inspector);
	struct nb_range read[NB_MAX_RANGES];
	uint32_t count;

	if (!inspect_u32(reader, mm + count_at, &count) || count == 0 || count > NB_MAX_RANGES ||
	    l->mem_range.bytes != sizeof(read[0]) ||
	    !inspect_read(reader, mm + array_at, read, count * sizeof(read[0])))
		return;
	memcpy(range, read, count * sizeof(read[0]));
	*nr_out = count;
}

/* A core of a guest of ours: its VMCOREINFO note holds the layout note. */
static bool find_own(struct foreign *foreign)
{
	struct inspect_source source = foreign->inspect;
	struct inspector *first;
	struct layout *layout;
	uint64_t root, five = 0;
	size_t bytes;
	const char *text = source_vmcoreinfo(foreign->source, &bytes);

	layout = text ? calloc(1, sizeof(*layout)) : NULL;
	if (!layout || layout_parse(text, bytes, layout, NULL) ||
	    !note_number(text, bytes, "NUMBER(phys_base)=", &root)) {
		free(layout);
		return false;
	}
	note_number(text, bytes, "NUMBER(pgtable_l5_enabled)=", &five);
	source.paging = (struct paging_mode){.root = gpa_make(root & CR3_MASK),
					     .levels = five ? 5 : 4,
					     .physical_bits = 52,
					     .nxe = true};
	if (!inspector_create(&source, layout, &first, NULL)) {
		read_ranges(first, layout->mm.nr_ram, layout->mm.ram, source.ram, &source.nr_ram);
		read_ranges(first, layout->mm.nr_reserved, layout->mm.reserved, source.reserved,
			    &source.nr_reserved);
		inspector_destroy(first);
		if (!inspector_create(&source, layout, &foreign->own, NULL))
			foreign->inspect = source;
	}
	free(layout);
	return foreign->own != NULL;
}

/* What --cr3 names: the tables, and the levels they have. */
static int choose_root(struct foreign *foreign, struct error *error)
{
	const char *word = foreign->options.root;
	struct inspect_registers registers;
	uint64_t root, cpu;
	int err;

	if (!word || !strcmp(word, "kernel"))
		return 0;
	foreign->paging = foreign->inspect.paging;
	foreign->paging.physical_bits = 52;
	foreign->paging.nxe = true;
	if (!foreign->paging.levels)
		foreign->paging.levels = 4;
	if (foreign->inspect.registers(foreign->inspect.context, 0, &registers) == 0)
		foreign->paging.levels = registers.cr4 & CR4_LA57 ? 5 : 4;
	if (!strncmp(word, "cpu", 3) &&
	    number_parse(word + 3, strlen(word + 3), &cpu) == NUMBER_OK && cpu <= UINT32_MAX) {
		err = foreign->inspect.registers(foreign->inspect.context, (unsigned int)cpu,
						 &registers);
		if (err)
			return error_set(error, -EINVAL,
					 "--cr3 %.32s: no registers of that CPU: %s", word,
					 strerror(-err));
		if (!registers.cr3)
			return error_set(error, -EINVAL,
					 "--cr3 %.32s: this core has no control registers", word);
		root = registers.cr3;
	} else if (number_parse(word, strlen(word), &root) != NUMBER_OK) {
		return error_set(error, -EINVAL,
				 "--cr3 %.32s: it is to be kernel, cpuN or a physical address",
				 word);
	}
	foreign->paging.root = gpa_make(root & CR3_MASK);
	return 0;
}

/* An inspector for a guest nobody knows, by the tables that --cr3 names. */
static int make_bare(struct foreign *foreign, struct error *error)
{
	struct layout *layout = calloc(1, sizeof(*layout));
	int err;

	if (!layout)
		return error_set(error, -ENOMEM, "no memory for an inspector");
	layout->page.bytes = 64;
	foreign->inspect.paging = foreign->paging;
	err = inspector_create(&foreign->inspect, layout, &foreign->bare, error);
	free(layout);
	return err;
}

static int open_guest(struct foreign *foreign, bool untyped, struct error *error)
{
	const char *text;
	size_t bytes;
	int err = open_source(foreign, error);

	if (!err)
		err = source_inspect(foreign->source, &foreign->inspect, error);
	if (err)
		return err;
	if (foreign->options.scan || !find_own(foreign)) {
		text = source_vmcoreinfo(foreign->source, &bytes);
		err = (untyped ? linux_open_untyped
			       : linux_open)(&foreign->inspect, foreign->options.scan ? NULL : text,
					     bytes, &foreign->linux_guest, &foreign->linux_error);
		if (err == -ENOMEM)
			return error_set(error, err, "%s", foreign->linux_error.text);
	}
	if (foreign->linux_guest)
		foreign->inspect.paging =
			inspect_source_of(linux_inspector(foreign->linux_guest))->paging;
	err = choose_root(foreign, error);
	if (!err && !foreign->linux_guest && !foreign->own && foreign->options.root)
		err = make_bare(foreign, error);
	return err;
}

bool foreign_inspector(struct foreign *foreign, struct inspector **inspector_out,
		       const struct paging_mode **paging_out)
{
	struct inspector *inspector = foreign->own           ? foreign->own
				      : foreign->bare        ? foreign->bare
				      : foreign->linux_guest ? linux_inspector(foreign->linux_guest)
							     : NULL;

	if (!inspector) {
		cli_error(&foreign->cli, "%s; --cr3 cpu0 looks at what CPU 0's tables map",
			  foreign->linux_error.text);
		return false;
	}
	*inspector_out = inspector;
	*paging_out = foreign->paging.root.value ? &foreign->paging : NULL;
	return true;
}

struct linux_guest *foreign_linux(struct foreign *foreign)
{
	if (!foreign->linux_guest)
		cli_error(&foreign->cli, "%s",
			  foreign->own ? "this is a nestbox guest, no Linux"
				       : foreign->linux_error.text);
	return foreign->linux_guest;
}

/* ---- one line of words ---- */

const struct foreign_verb *foreign_verb_find(const char *name)
{
	const struct foreign_verb *const tables[] = {foreign_look_verbs, foreign_linux_verbs};

	for (size_t i = 0; i < 2; i++) {
		for (const struct foreign_verb *verb = tables[i]; verb->name; verb++) {
			if (!strcmp(verb->name, name))
				return verb;
		}
	}
	return NULL;
}

static void list_verbs(char *text, size_t bytes)
{
	const struct foreign_verb *const tables[] = {foreign_linux_verbs, foreign_look_verbs};
	size_t used = 0;

	for (size_t i = 0; i < 2; i++) {
		for (const struct foreign_verb *verb = tables[i]; verb->name && used < bytes;
		     verb++)
			used += (size_t)snprintf(text + used, bytes - used, "  %-10s %-20s %s\n",
						 verb->name, verb->operands, verb->help);
	}
}

#define TEXT(word, variable, what, text)                                                          \
	{                                                                                         \
		.name = word, .kind = CLI_TEXT, .argument = what, .help = text, .value = variable \
	}
#define FLAG(word, variable, text)                                              \
	{                                                                       \
		.name = word, .kind = CLI_FLAG, .help = text, .value = variable \
	}
#define NUMBER(word, kind_of, variable, what, text)                                              \
	{                                                                                        \
		.name = word, .kind = kind_of, .argument = what, .help = text, .value = variable \
	}

static size_t make_options(struct foreign_options *o, struct cli_option options[OPTIONS_MAX])
{
	const struct cli_option all[] = {
		TEXT("core", &o->core, "FILE", "an ELF core, plain or zstd"),
		FLAG("kcore", &o->kcore, "the host's own kernel, live, as root"),
		TEXT("qmp", &o->qmp, "SOCKET", "a QEMU by its QMP socket; nothing is changed"),
		TEXT("connect", &o->uri, "URI", "libvirt's connection (its default)"),
		TEXT("domain", &o->domain, "NAME", "a libvirt domain by name or UUID"),
		TEXT("cr3", &o->root, "WORD",
		     "whose page tables: kernel, cpuN, or a physical address\n(kernel)"),
		FLAG("scan", &o->scan, "search memory for the kernel, whatever the note says"),
		CLI_OPTION_JSON(&o->json),
		FLAG("raw", &o->raw, "read: the bytes themselves"),
		FLAG("physical", &o->physical, "read, search: guest-physical addresses"),
		FLAG("direct-map", &o->direct_map, "search: the direct map too"),
		FLAG("writable", &o->writable, "maps: ranges that can be written"),
		FLAG("executable", &o->executable, "maps: ranges that can be executed"),
		FLAG("user", &o->user, "maps: ranges that user mode may use"),
		NUMBER("least", CLI_SIZE, &o->least_bytes, "SIZE",
		       "maps: ranges of that size at least"),
		TEXT("start", &o->start_text, "ADDRESS", "maps, search: from here on"),
		TEXT("end", &o->end_text, "ADDRESS", "maps, search: up to here"),
		NUMBER("limit", CLI_NUMBER, &o->limit, "N", "search: no more hits"),
		TEXT("checks", &o->checks, "NAMES", "audit: these, with commas between"),
		TEXT("every", &o->every, "TIME", "audit: again and again: 1s, 200ms"),
		NUMBER("count", CLI_NUMBER, &o->count, "N", "audit --every: so often"),
		NUMBER("looks", CLI_NUMBER, &o->looks, "N",
		       "audit: what may be in transit is an alarm if so many\nlooks in a row "
		       "see it\n(live 6, paused 4)"),
		FLAG("pause", &o->pause, "audit, state: stop the guest for each look"),
		TEXT("output", &o->output, "FILE", "state: write it there"),
		FLAG("asked", &o->asked,
		     "state: each line of standard input names a file; write it\nthere, and answer "
		     "with ok or why not"),
		{.name = NULL},
	};

	_Static_assert(sizeof(all) / sizeof(all[0]) <= OPTIONS_MAX, "room for all");
	memcpy(options, all, sizeof(all));
	return sizeof(all) / sizeof(all[0]);
}

static bool read_bound(struct foreign *foreign, const char *text, uint64_t *value_out)
{
	return !text || foreign_address(foreign, text, value_out);
}

static enum cli_status run_verb(struct foreign *foreign, const struct foreign_verb *verb)
{
	struct error error = {""};
	enum cli_status status;
	int err;

	if (foreign->nr_operands < verb->least || foreign->nr_operands > verb->most) {
		cli_error(&foreign->cli, "%s takes: %s %s", verb->name, verb->name, verb->operands);
		return CLI_BAD_INPUT;
	}
	err = open_guest(foreign, foreign_untyped(verb), &error);
	if (err)
		return foreign_failed(foreign, err, &error);
	if (!read_bound(foreign, foreign->options.start_text, &foreign->options.start) ||
	    !read_bound(foreign, foreign->options.end_text, &foreign->options.end))
		return CLI_BAD_INPUT;
	status = verb->run(foreign);
	return status;
}

static enum cli_status run_words(struct foreign *foreign, int argc, char **argv)
{
	struct cli_option options[OPTIONS_MAX];
	const struct foreign_verb *verb;
	struct ctl_verb made;
	char notes[2048] = "Verbs:\n";
	enum cli_status status;
	int operand;

	make_options(&foreign->options, options);
	list_verbs(notes + strlen(notes), sizeof(notes) - strlen(notes));
	foreign->cli = (struct cli_command){
		.name = "nestctl",
		.operands = "VERB [OPERAND...]",
		.summary = "Looks at a guest that is not a nestbox's: a core, QEMU, a libvirt "
			   "domain,\n"
			   "the live kernel. docs/linux.md and docs/inspecting.md say more.",
		.options = options,
		.notes = notes,
		.min_operands = 1,
		.max_operands = -1,
		.said = &foreign->said,
	};
	if (!cli_parse(&foreign->cli, argc, argv, &operand, &status))
		return status;
	verb = foreign_verb_find(argv[operand]);
	if (!verb) {
		cli_error(&foreign->cli, "'%.64s' is no verb for such a source; --help lists them",
			  argv[operand]);
		return CLI_BAD_INPUT;
	}
	/* The verb of that name of our own guests says how lists are printed. */
	foreign->ctl = (struct ctl){.verb = ctl_verb_find(verb->name, &made),
				    .cli = &foreign->cli,
				    .out = stdout,
				    .json = foreign->options.json,
				    .raw = foreign->options.raw};
	foreign->operands = argv + operand + 1;
	foreign->nr_operands = argc - operand - 1;
	status = run_verb(foreign, verb);
	inspector_destroy(foreign->own);
	inspector_destroy(foreign->bare);
	linux_close(foreign->linux_guest);
	source_close(foreign->source);
	return status;
}

enum cli_status foreign_main(int argc, char **argv)
{
	struct foreign foreign = {.source = NULL};
	bool json = ctl_wants_json(argc, argv);
	enum cli_status status = run_words(&foreign, argc, argv);

	if (json && status != CLI_DONE && !foreign.ctl.printed && *foreign.said.text)
		ctl_print_error(foreign.said.text);
	return status;
}
