/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What help says: the list of verbs, and of each its operands' values and an example. */
#include <string.h>

#include "vmm/nestctl/nestctl.h"

#define HELP_COLUMN  22
#define HELP_COLUMNS 80

/* ---- one verb ---- */

static const struct {
	const char *verb, *line;
} examples[] = {
	{"vmalloc", "nestctl vmalloc 64K --align 2M --gfp 'GFP_KERNEL|__GFP_ZERO'"},
	{"vfree", "nestctl vfree 0xffffc90000000000"},
	{"walk", "nestctl walk machine+0x40"},
	{"translate", "nestctl translate 0xffffc90000000000 --json"},
	{"maps", "nestctl maps --rights wx"},
	{"areas", "nestctl areas --state lazy"},
	{"read", "nestctl read machine 64"},
	{"write", "nestctl write 0xffffc90000000000 68656c6c6f"},
	{"search", "nestctl search 68656c6c6f --space physical"},
	{"audit", "nestctl audit --checks areas,tables"},
	{"moment", "nestctl moment before; nestctl vmalloc 1M; nestctl diff before"},
	{"diff", "nestctl diff before"},
	{"dump", "nestctl dump guest.core --compress"},
	{"x", "nestctl x/8gx machine; nestctl x/4i vfree"},
	{"disassemble", "nestctl disassemble vfree --count 8"},
	{"bt", "nestctl bt --vcpu 1"},
	{"load", "nestctl load random_size --vcpus all --audit every=100ms --seconds 5"},
	{"bench", "nestctl bench fix_size 1000 --pages 4"},
	{"set-fault", "nestctl set-fault frame 1"},
	{"ept-trap", "nestctl ept trap machine --size 4K --access write --policy hold"},
	{"ept-release", "nestctl ept release 0 go"},
	{"user-run", "nestctl user-run 1 read --address 0x400000 --words 4"},
	{"execute", "nestctl execute '{\"execute\": \"query-status\"}'"},
	{"log", "nestctl log --follow"},
	{"shell", "printf 'a = vmalloc 64K\\nwalk $a\\nvfree $a\\n' | nestctl shell"},
	{"cancel", "nestctl cancel --vcpu 0"},
	{"tree", "nestctl tree --start 0xffffc90000000000 --limit 10"},
	{"mappings", "nestctl mappings 0x100002000"},
	{"symbol", "nestctl symbol vfree+0x10"},
	{"symbols", "nestctl symbols --prefix vmalloc"},
	{"frame", "nestctl frame $(nestctl vmalloc-to-page 0xffffc90000000000)"},
	{"registers", "nestctl registers --vcpu 1"},
	{"vread", "nestctl vread 0xffffc90000000000 64 --raw | xxd"},
	{"vmap", "nestctl vmap $(nestctl alloc-pages) $(nestctl alloc-pages)"},
	{"html", "nestctl html guest.html --walk machine"},
	{"top", "nestctl top --every 500"},
	{"ept-walk", "nestctl ept walk 0xffffc90000000000"},
	{"ept-dump", "nestctl ept dump --live"},
	{"ept-dirty", "nestctl ept dirty-start; nestctl ept dirty"},
	{"vma-create", "nestctl vma-create 1 0x400000 0x402000 --rights 'VM_READ|VM_WRITE'"},
};

static void add(char *text, size_t size, const char *more)
{
	size_t used = strlen(text);

	snprintf(text + used, size - used, "%s", more);
}

static void add_operand(char *text, size_t size, const struct qmp_arg *arg)
{
	char line[512], name[64];
	size_t i, used;

	for (i = 0; arg->name[i] && i < sizeof(name) - 1; i++)
		name[i] =
			(char)(arg->name[i] >= 'a' && arg->name[i] <= 'z' ? arg->name[i] - 'a' + 'A'
									  : arg->name[i]);
	name[i] = '\0';
	used = (size_t)snprintf(line, sizeof(line), "%s  %-22s  %s", *text ? "\n" : "Operands:\n",
				name, arg->help);
	for (i = 0; arg->choices && arg->choices[i] && used < sizeof(line); i++)
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s",
					 i ? ", " : ":\n                          ",
					 arg->choices[i]);
	add(text, size, line);
}

/* "Names for --gfp:", in lines. */
static void add_names(char *text, size_t size, const struct qmp_arg *arg)
{
	char names[CTL_FLAGS_BYTES], line[128], *name, *rest = names;
	size_t column = HELP_COLUMNS;

	snprintf(line, sizeof(line), "%sNames for --%s:", *text ? "\n" : "", arg->name);
	add(text, size, line);
	ctl_flags_names(arg->name, names);
	while ((name = strsep(&rest, ", "))) {
		if (!*name)
			continue;
		if (column + 1 + strlen(name) >= HELP_COLUMNS) {
			add(text, size, "\n ");
			column = 1;
		}
		add(text, size, " ");
		add(text, size, name);
		column += 1 + strlen(name);
	}
}

const char *ctl_verb_notes(const struct ctl_verb *verb, const struct qmp_command *command,
			   char *text, size_t size)
{
	const struct qmp_arg *arg;

	text[0] = '\0';
	for (arg = command ? command->args : NULL; arg && arg->name; arg++)
		if (!arg->optional)
			add_operand(text, size, arg);
	for (arg = command ? command->args : NULL; arg && arg->name; arg++)
		if (arg->optional && arg->type == QMP_U64 && ctl_flags_known(arg->name))
			add_names(text, size, arg);
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		if (strcmp(examples[i].verb, verb->name) != 0)
			continue;
		add(text, size, *text ? "\n\nExample:\n  " : "Example:\n  ");
		add(text, size, examples[i].line);
	}
	return *text ? text : NULL;
}

/* ---- all verbs ---- */

/* The first sentence. */
static int summary_length(const char *help)
{
	const char *end = strstr(help, ". ");

	return end ? (int)(end - help) : (int)strcspn(help, ".");
}

/* Prints the @length bytes of @text in lines of HELP_COLUMNS, those behind the first indented. */
static void print_wrapped(FILE *out, const char *text, int length)
{
	const int room = HELP_COLUMNS - HELP_COLUMN;
	int line;

	for (; length > room; text += line + 1, length -= line + 1) {
		for (line = room; line > 0 && text[line] != ' '; line--)
			;
		if (line == 0)
			break;
		fprintf(out, "%.*s\n%*s", line, text, HELP_COLUMN, "");
	}
	fprintf(out, "%.*s\n", length, text);
}

struct help_page {
	FILE *out;
	const char *section; /* the last heading */
};

static void print_verb(void *context, const struct ctl_verb *verb)
{
	const char *help = ctl_verb_help(verb);
	struct help_page *page = context;

	if (verb->flags & CTL_ALIAS)
		return;
	if (verb->section && verb->section != page->section)
		fprintf(page->out, "\n%s:\n", verb->section);
	if (verb->section)
		page->section = verb->section;
	if (strlen(verb->name) < HELP_COLUMN - 2)
		fprintf(page->out, "  %-*s", HELP_COLUMN - 2, verb->name);
	else
		fprintf(page->out, "  %s\n%*s", verb->name, HELP_COLUMN, "");
	print_wrapped(page->out, help, summary_length(help));
}

static void list_verb(void *context, const struct ctl_verb *verb)
{
	json_array_append_new(
		context, json_pack("{s:s, s:s}", "name", verb->name, "help", ctl_verb_help(verb)));
}

enum cli_status ctl_run_help(struct ctl *ctl)
{
	struct help_page page = {.out = ctl->out};
	json_t *verbs = json_array();

	if (ctl->json) {
		ctl_verb_for_each(list_verb, verbs);
		ctl_print_json(ctl, verbs);
		json_decref(verbs);
		return CLI_DONE;
	}
	json_decref(verbs);
	fprintf(ctl->out,
		"Usage: nestctl [--name NAME | --socket PATH] [--json] VERB ...\n\n"
		"Talks to a running guest, which nestbox run starts. Addresses are 0x...,\n"
		"or symbols of the guest's image: mm_init, machine+0x40. \"ept map\" is "
		"ept-map.\n\n"
		"Verbs (nestctl VERB --help says more); the commands of the protocol that have\n"
		"a shorter name here (query-areas: areas) are verbs too:\n");
	ctl_verb_for_each(print_verb, &page);
	fprintf(ctl->out, "\nExit status: %s.\n", CTL_STATUSES);
	return CLI_DONE;
}
