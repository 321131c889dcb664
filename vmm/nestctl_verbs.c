/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs of nestctl. */
#include <string.h>

#include "vmm/nestctl.h"

const struct ctl_verb nestctl_verbs[] = {
	{.name = "list",
	 .help = "Lists running guests, and removes sockets nobody serves any more.",
	 .run = ctl_run_list,
	 .flags = CTL_NO_GUEST},
	{.name = "status", .command = "query-status", .print = ctl_print_status},
	{.name = "stats", .command = "query-stats"},
	{.name = "areas",
	 .command = "query-areas",
	 .help = "The areas as /proc/vmallocinfo prints them.",
	 .print = ctl_print_areas,
	 .flags = CTL_LIST,
	 .list = "areas"},
	{.name = "tree",
	 .command = "query-tree",
	 .print = ctl_print_tree,
	 .flags = CTL_LIST,
	 .list = "tiles"},
	{.name = "maps",
	 .command = "query-maps",
	 .print = ctl_print_maps,
	 .flags = CTL_LIST,
	 .list = "maps"},
	{.name = "walk", .command = "query-walk", .print = ctl_print_walk},
	{.name = "mappings", .command = "query-mappings", .print = ctl_print_mappings},
	{.name = "search", .command = "search-memory", .print = ctl_print_hits},
	{.name = "frame", .command = "query-frame"},
	{.name = "frames", .command = "query-frames", .print = ctl_print_frames},
	{.name = "zones", .command = "query-zones", .print = ctl_print_zones},
	{.name = "slabs", .command = "query-slabs", .print = ctl_print_slabs},
	{.name = "moment", .command = "keep-moment"},
	{.name = "moments", .command = "query-moments", .print = ctl_print_moments},
	{.name = "diff", .command = "query-diff", .print = ctl_print_diff},
	{.name = "dump", .command = "dump-guest-core", .run = ctl_run_dump},
	{.name = "ept-map", .command = "query-regions", .print = ctl_print_regions},
	{.name = "ept-dump",
	 .command = "query-second-stage",
	 .print = ctl_print_leaves,
	 .flags = CTL_LIST,
	 .list = "leaves"},
	{.name = "ept-walk", .command = "query-walk", .print = ctl_print_walk},
	{.name = "ept-stats", .command = "query-kvm-stats", .print = ctl_print_kvm_stats},
	{.name = "read", .command = "read-memory", .run = ctl_run_read, .flags = CTL_RAW},
	{.name = "write", .command = "write-memory"},
	{.name = "vread", .command = "vread", .print = ctl_print_bytes, .flags = CTL_RAW},
	{.name = "symbol", .command = "query-symbol"},
	{.name = "registers", .command = "query-registers"},
	{.name = "remap", .command = "remap-vmalloc-range"},
	{.name = "audit", .command = "audit", .print = ctl_print_audit},
	{.name = "pause", .command = "stop"},
	{.name = "resume", .command = "cont"},
	{.name = "stop", .command = "quit"},
	{.name = "log",
	 .help = "What the guest said, and with --follow what it says: events as they come.",
	 .run = ctl_run_log,
	 .flags = CTL_FOLLOW},
	{.name = "execute",
	 .help = "Sends one command as it is, JSON, and prints the answer.",
	 .run = ctl_run_execute,
	 .operands = "JSON"},
	{.name = "shell",
	 .help = "Verbs from a prompt, with history and completion.",
	 .run = ctl_run_shell},
	{.name = "help", .help = "Lists the verbs.", .run = ctl_run_help, .flags = CTL_NO_GUEST},
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

static bool is_verb(const struct qmp_command *command)
{
	const struct ctl_verb *verb;

	if (command->lane == PROTOCOL_WIRE)
		return false;
	for (verb = nestctl_verbs; verb->name; verb++) {
		if (strcmp(verb->name, command->name) == 0)
			return false;
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
			if (!is_verb(command) || !same_name(command->name, name))
				continue;
			*made = (struct ctl_verb){.name = command->name, .command = command->name};
			return made;
		}
	}
	return NULL;
}

void ctl_verb_for_each(void (*visit)(void *context, const struct ctl_verb *verb), void *context)
{
	const struct qmp_command *command;
	const struct ctl_verb *verb;
	size_t i;

	for (verb = nestctl_verbs; verb->name; verb++)
		visit(context, verb);
	for (i = 0; i < protocol_table.nr_groups; i++) {
		for (command = protocol_table.groups[i].commands; command->name; command++) {
			const struct ctl_verb made = {.name = command->name,
						      .command = command->name};

			if (is_verb(command))
				visit(context, &made);
		}
	}
}
