/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs of nestctl. */
#include <string.h>

#include "vmm/nestctl/nestctl.h"

const struct ctl_verb nestctl_verbs[] = {
	{.name = "list",
	 .section = "Guests",
	 .help = "Lists running guests, and removes sockets nobody serves any more.",
	 .run = ctl_run_list,
	 .flags = CTL_NO_GUEST},
	{.name = "status", .command = "query-status", .print = ctl_print_status},
	{.name = "log",
	 .help = "What the guest said, and with --follow what it says: events as they come.",
	 .run = ctl_run_log,
	 .flags = CTL_FOLLOW},
	{.name = "stop", .command = "stop"},
	{.name = "cont", .command = "cont"},
	{.name = "quit", .command = "quit"},
	{.name = "cancel", .command = "cancel"},
	{.name = "pause", .command = "stop", .flags = CTL_ALIAS},
	{.name = "resume", .command = "cont", .flags = CTL_ALIAS},
	{.name = "destroy", .command = "quit", .flags = CTL_ALIAS},
	{.name = "version", .command = "query-version"},
	{.name = "host", .command = "query-kvm"},
	{.name = "layout", .command = "query-memory-layout"},
	{.name = "events", .command = "query-events"},
	{.name = "query-name", .command = "query-name", .flags = CTL_ALIAS},
	{.name = "query-target", .command = "query-target", .flags = CTL_ALIAS},
	{.name = "query-memory-size-summary",
	 .command = "query-memory-size-summary",
	 .flags = CTL_ALIAS},
	{.name = "shell",
	 .help = "Verbs from a prompt, with history and completion.",
	 .run = ctl_run_shell},
	{.name = "execute",
	 .help = "Sends one command as it is, JSON, and prints the answer.",
	 .run = ctl_run_execute,
	 .operands = "JSON"},
	{.name = "help", .help = "Lists the verbs.", .run = ctl_run_help, .flags = CTL_NO_GUEST},
	{.name = "areas",
	 .section = "What the guest has",
	 .command = "query-areas",
	 .help = "The areas as /proc/vmallocinfo prints them.",
	 .print = ctl_print_lists,
	 .flags = CTL_LIST | CTL_BY_STATE,
	 .list = "areas"},
	{.name = "tree",
	 .command = "query-tree",
	 .print = ctl_print_tree,
	 .flags = CTL_LIST,
	 .list = "tiles"},
	{.name = "maps",
	 .command = "query-maps",
	 .print = ctl_print_maps,
	 .flags = CTL_LIST | CTL_BY_RIGHTS,
	 .list = "maps"},
	{.name = "walk", .command = "query-walk", .print = ctl_print_walk},
	{.name = "mappings", .command = "query-mappings", .print = ctl_print_lists},
	{.name = "symbol", .command = "query-symbol", .print = ctl_print_symbol},
	{.name = "symbols", .command = "query-symbols", .print = ctl_print_lists},
	{.name = "frame", .command = "query-frame"},
	{.name = "frames", .command = "query-frames", .print = ctl_print_frames},
	{.name = "frame-map",
	 .command = "query-frame-map",
	 .print = ctl_print_lists,
	 .flags = CTL_LIST,
	 .list = "runs"},
	{.name = "zones", .command = "query-zones", .print = ctl_print_zones},
	{.name = "slabs", .command = "query-slabs", .print = ctl_print_lists},
	{.name = "stats", .command = "query-stats"},
	{.name = "registers", .command = "query-registers"},
	{.name = "domain-xml", .command = "query-domain-xml", .flags = CTL_LIBVIRT},
	{.name = "dommemstat",
	 .command = "query-memory-stats",
	 .print = ctl_print_lists,
	 .flags = CTL_LIBVIRT},
	{.name = "domstats",
	 .command = "query-domain-stats",
	 .print = ctl_print_lists,
	 .flags = CTL_LIBVIRT},
	{.name = "bt", .command = "query-backtrace", .print = ctl_print_backtrace},
	{.name = "html",
	 .section = "Pictures",
	 .help = "A page of the whole: the address space, page tables, frames, one walk, the "
		 "audit.",
	 .run = ctl_run_picture,
	 .flags = CTL_WALK,
	 .operands = "FILE"},
	{.name = "svg",
	 .help = "The address space as one figure.",
	 .run = ctl_run_picture,
	 .operands = "FILE"},
	{.name = "map",
	 .command = "query-areas",
	 .help = "The address space in letters, as wide as the terminal.",
	 .print = ctl_print_map,
	 .flags = CTL_LIST,
	 .list = "areas"},
	{.name = "top",
	 .help = "A line a second: calls, areas, lazy pages, frames.",
	 .run = ctl_run_top,
	 .flags = CTL_TOP},
	{.name = "dat",
	 .help = "Areas and frames as columns for gnuplot.",
	 .run = ctl_run_picture,
	 .operands = "FILE"},
	{.name = "load",
	 .section = "Work",
	 .help = "Runs cases of test_vmalloc (names with commas, or all) on several vCPUs at once, "
		 "in slices.",
	 .run = ctl_run_load,
	 .flags = CTL_LOAD,
	 .operands = "CASES"},
	{.name = "audit",
	 .section = "Checking and comparing",
	 .command = "audit",
	 .print = ctl_print_audit},
	{.name = "moment", .command = "keep-moment"},
	{.name = "moments", .command = "query-moments", .print = ctl_print_lists},
	{.name = "forget", .command = "forget-moment"},
	{.name = "diff", .command = "query-diff", .print = ctl_print_diff},
	{.name = "dump", .command = "dump-guest-core", .run = ctl_run_dump},
	{.name = "read",
	 .section = "Memory",
	 .command = "read-memory",
	 .run = ctl_run_read,
	 .flags = CTL_RAW | CTL_PIECES},
	{.name = "write", .command = "write-memory"},
	{.name = "search", .command = "search-memory", .print = ctl_print_hits},
	{.name = "x",
	 .help = "Memory in gdb's formats: x/8gx ADDRESS, x/s, x/4i (instructions).",
	 .run = ctl_run_examine,
	 .flags = CTL_FORMAT,
	 .operands = "ADDRESS"},
	{.name = "disassemble", .command = "disassemble", .print = ctl_print_insns},
	{.name = "translate", .command = "translate"},
	{.name = "vread", .command = "vread", .print = ctl_print_bytes, .flags = CTL_RAW},
	{.name = "remap", .command = "remap-vmalloc-range"},
	{.name = "ept-map",
	 .section = "The second stage",
	 .command = "query-regions",
	 .print = ctl_print_lists},
	{.name = "ept-dump",
	 .command = "query-second-stage",
	 .print = ctl_print_leaves,
	 .flags = CTL_LIST,
	 .list = "leaves"},
	{.name = "ept-walk",
	 .command = "query-walk",
	 .help = "What walk shows, and where the host has it: every entry of the second stage that "
		 "is read on the way, where its tables can be read; else its leaves.",
	 .print = ctl_print_ept_walk},
	{.name = "ept-trap", .command = "trap-set"},
	{.name = "ept-traps", .command = "query-traps", .print = ctl_print_lists},
	{.name = "ept-untrap", .command = "trap-clear"},
	{.name = "ept-release", .command = "trap-release"},
	{.name = "ept-dirty", .command = "dirty-collect", .print = ctl_print_dirty},
	{.name = "ept-dirty-start", .command = "dirty-start"},
	{.name = "ept-dirty-stop", .command = "dirty-stop"},
	{.name = "ept-dirty-map",
	 .command = "query-dirty",
	 .print = ctl_print_lists,
	 .flags = CTL_LIST,
	 .list = "ranges"},
	{.name = "ept-stats", .command = "query-kvm-stats", .print = ctl_print_lists},
	{.name = NULL},
};

const char *ctl_verb_help(const struct ctl_verb *verb)
{
	const struct qmp_command *command =
		verb->command ? qmp_command_find(&protocol_table, verb->command) : NULL;

	if (verb->help)
		return verb->help;
	return command ? command->help : "";
}

static bool same_name(const char *name, const char *given)
{
	while (*name && (*name == *given || (*name == '-' && *given == '_'))) {
		name++;
		given++;
	}
	return *name == *given;
}

/* Makes the verb of a command; false where it is none of its own. */
static bool make_verb(const struct qmp_group *group, const struct qmp_command *command,
		      struct ctl_verb *made)
{
	const struct ctl_verb *verb;

	*made = (struct ctl_verb){
		.name = command->name, .command = command->name, .section = group->title};
	if (command->lane == PROTOCOL_WIRE)
		return false;
	for (verb = nestctl_verbs; verb->name; verb++) {
		if (strcmp(verb->name, command->name) == 0)
			return false;
		if (verb->command && strcmp(verb->command, command->name) == 0)
			made->flags |= CTL_ALIAS;
	}
	return true;
}

const struct ctl_verb *ctl_verb_find(const char *name, struct ctl_verb *made)
{
	const struct qmp_command *command;
	const struct ctl_verb *verb;
	size_t i;

	for (verb = nestctl_verbs; verb->name; verb++) {
		if (same_name(verb->name, name))
			return verb;
	}
	for (i = 0; i < protocol_table.nr_groups; i++) {
		for (command = protocol_table.groups[i].commands; command->name; command++) {
			if (same_name(command->name, name) &&
			    make_verb(&protocol_table.groups[i], command, made))
				return made;
		}
	}
	return NULL;
}

void ctl_verb_for_each(void (*visit)(void *context, const struct ctl_verb *verb), void *context)
{
	const struct qmp_command *command;
	const struct ctl_verb *verb;
	struct ctl_verb made;
	size_t i;

	for (verb = nestctl_verbs; verb->name; verb++)
		visit(context, verb);
	for (i = 0; i < protocol_table.nr_groups; i++) {
		for (command = protocol_table.groups[i].commands; command->name; command++) {
			if (make_verb(&protocol_table.groups[i], command, &made))
				visit(context, &made);
		}
	}
}

const char *ctl_verb_of(const char *command, size_t length)
{
	for (const struct ctl_verb *verb = nestctl_verbs; verb->name; verb++)
		if (verb->command && !(verb->flags & CTL_ALIAS) &&
		    strlen(verb->command) == length && strncmp(verb->command, command, length) == 0)
			return verb->name;
	return NULL;
}

bool ctl_verb_begins(const char *begun)
{
	for (const struct ctl_verb *verb = nestctl_verbs; verb->name; verb++)
		if (strncmp(verb->name, begun, strlen(begun)) == 0)
			return true;
	return false;
}

/* ---- did you mean ---- */

struct meant {
	const char *given, *name;
	unsigned int distance;
};

static void consider(void *context, const struct ctl_verb *verb)
{
	struct meant *meant = context;
	unsigned int far = cli_distance(meant->given, verb->name);

	if (far < meant->distance) {
		meant->name = verb->name;
		meant->distance = far;
	}
}

const char *ctl_verb_meant(const char *name)
{
	/* A third of it may be wrong. */
	struct meant meant = {name, NULL, (unsigned int)strlen(name) / 3 + 2};

	ctl_verb_for_each(consider, &meant);
	return strlen(name) > 1 ? meant.name : NULL;
}
