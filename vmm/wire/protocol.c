/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of the control protocol: its groups, its events, and what concerns the guest itself. */
#include "vmm/wire/protocol_private.h"

const struct qmp_command protocol_wire_commands[] = {
	{WIRE("qmp_capabilities", "Ends the negotiation; it comes first, and once."),
	 .args = ARGS(ARG("enable", QMP_TEXTS, "capabilities to enable; there are none",
			  .optional = true, .max = 16))},
	{WIRE("query-commands", "The commands there are; the return is the list itself."),
	 .returns = ARGS(IS("name", QMP_TEXT, "of a command, one object each"))},
	{WIRE("query-command-schema", "What a command takes and returns: this page, for programs."),
	 .args = ARGS(IS("command", QMP_TEXT, "its name")),
	 .returns = ARGS(IS("name", QMP_TEXT, "the command"), IS("help", QMP_TEXT, "what it does"),
			 IS("arguments", QMP_OBJECTS,
			    "each with name, type, help, and where they apply optional, default, "
			    "min, max, choices; of lists columns, their objects' members"),
			 IS("returns", QMP_OBJECTS, "the same of the returned object's members"))},
	{.name = NULL},
};

static const char *const states[] = {"running", "paused", "debug", "dead", NULL};

const struct qmp_command protocol_guest_commands[] = {
	{QUICK("query-status", "What this guest is and how it is."),
	 .returns =
		 ARGS(IS("name", QMP_TEXT, "of the guest"),
		      ARG("status", QMP_ENUM, "whether it takes hypercalls; debug: gdb holds it",
			  .choices = states),
		      IS("running", QMP_BOOL, "whether it does, as QEMU says it"),
		      IS("pid", QMP_INT, "of the service"), IS("cpus", QMP_INT, "its vCPUs"),
		      IS("memory", QMP_SIZE, "its RAM"),
		      IS("image", QMP_TEXT, "the guest image's file, or built-in"),
		      IS("build-id", QMP_TEXT, "of the image"),
		      IS("seconds", QMP_REAL, "since it was started"),
		      IS("clients", QMP_INT, "connected now"),
		      IS("calls", QMP_INT, "hypercalls asked for so far"),
		      IS("logs", QMP_INT, "log lines so far"),
		      IS("warnings", QMP_INT, "warnings so far"),
		      IS("violations", QMP_INT, "that audits found"), LIST("doing", protocol_doing),
		      MAY_BE("failure", QMP_OBJECT,
			     "of a dead guest: what happened, where, with "
			     "registers and the hypercall it was in"))},
	{QUICK("query-name", "The guest's name."),
	 .returns = ARGS(IS("name", QMP_TEXT, "as nestbox run was told"))},
	{QUICK("query-version", "The version of nestbox, in QEMU's form."),
	 .returns = ARGS(IS("qemu", QMP_OBJECT, "major, minor and micro"),
			 IS("package", QMP_TEXT, "name and version"))},
	{QUICK("query-kvm", "What the host's KVM is."),
	 .returns = ARGS(IS("enabled", QMP_BOOL, "true"), IS("present", QMP_BOOL, "true"),
			 IS("module", QMP_TEXT, "kvm_intel, kvm_amd, kvm_pvm, other, or soft"),
			 IS("second-stage", QMP_TEXT, "ept, npt or shadow"))},
	{QUICK("query-target", "The guest's architecture."),
	 .returns = ARGS(IS("arch", QMP_TEXT, "x86_64"))},
	{QUICK("query-memory-size-summary", "How much RAM the guest has."),
	 .returns = ARGS(IS("base-memory", QMP_SIZE, "bytes"))},
	{QUICK("query-memory-layout",
	       "Where the guest's RAM is, and what of it is not the core's to hand out."),
	 .returns = ARGS(LIST("ram", protocol_ram), LIST("reserved", protocol_reserved),
			 IS("root", QMP_ADDRESS, "guest-physical, of the kernel's page tables"))},
	{.name = "query-stats",
	 .lane = PROTOCOL_CALL,
	 .opcode = NB_OP_STATS,
	 .help = "The core's own counters.",
	 .args = ARGS(CALL_ARGS),
	 GIVES(AT(0, "free-frames", QMP_U64, "frames nobody has"),
	       AT(1, "busy-areas", QMP_U64, "areas there are"),
	       AT(2, "lazy-pages", QMP_U64, "freed and not yet flushed"),
	       AT(3, "table-frames", QMP_U64, "frames that are page tables"))},
	{.name = "stop",
	 .lane = PROTOCOL_ALONE,
	 .help = "Pauses the guest between two hypercalls: no more are taken. Event STOP."},
	{.name = "cont",
	 .lane = PROTOCOL_ALONE,
	 .help = "Lets a paused guest go on. Event RESUME."},
	{QUICK("quit", "Ends the guest and the service. Event SHUTDOWN.")},
	{.name = NULL},
};

/* ---- events ---- */

#define VCPU IS("vcpu", QMP_INT, "which vCPU")

static const struct qmp_event_info events[] = {
	{"LOG", "The guest says something.",
	 ARGS(VCPU, IS("level", QMP_INT, "as in Linux, 0 to 7"), IS("text", QMP_TEXT, "one line"))},
	{"WARN", "Something is wrong in the guest, and it goes on.",
	 ARGS(VCPU, IS("text", QMP_TEXT, "with file and line"))},
	{"OOPS", "An exception nobody expected; GUEST_PANIC follows.",
	 ARGS(IS("report", QMP_OBJECT, "as query-status shows it as failure"))},
	{"GUEST_PANIC", "The guest is dead; the service stays, so that one can look at it.",
	 ARGS(IS("report", QMP_OBJECT, "as query-status shows it as failure"))},
	{"PROGRESS", "A long hypercall gets on; once a second while it does.",
	 ARGS(VCPU, IS("command", QMP_TEXT, "what it does"), IS("done", QMP_INT, "steps so far"))},
	{"STOP", "The guest was paused.", NULL},
	{"RESUME", "The guest goes on.", NULL},
	{"AUDIT_VIOLATION", "An audit found something it had not found before.",
	 ARGS(IS("check", QMP_TEXT, "which check"), IS("address", QMP_ADDRESS, "where"),
	      IS("text", QMP_TEXT, "what"), IS("found", QMP_U64, "what stands there"),
	      IS("expected", QMP_U64, "what should"), IS("operation", QMP_INT, "after which"))},
	{"DUMP_PROGRESS", "A core is being written.",
	 ARGS(IS("completed", QMP_SIZE, "bytes so far"), IS("total", QMP_SIZE, "of so many"))},
	{"DUMP_COMPLETED", "A dump-guest-memory is over.",
	 ARGS(IS("result", QMP_OBJECT, "as query-dump returns it"),
	      MAY_BE("error", QMP_TEXT, "of one that failed"))},
	{"TRAP", "The guest is about to touch memory that trap-set watches.",
	 ARGS(IS("trap", QMP_INT, "its number"), VCPU,
	      IS("policy", QMP_ENUM, "what becomes of the access: go, hold, deny"),
	      IS("kind", QMP_TEXT, "read, write, instruction fetch, page-table walk"),
	      IS("gpa", QMP_ADDRESS, "guest-physical"),
	      IS("gva", QMP_ADDRESS, "guest-virtual, or null"),
	      IS("rip", QMP_ADDRESS, "of the instruction"), IS("place", QMP_TEXT, "it as a symbol"),
	      MAY_BE("hypercall", QMP_OBJECT, "in flight: name, opcode, args"),
	      IS("text", QMP_TEXT, "all that in a sentence"))},
	{"EVENTS_LOST", "This client reads too slowly: events were not sent to it.",
	 ARGS(IS("count", QMP_INT, "how many"))},
	{"SHUTDOWN", "The service ends.",
	 ARGS(IS("reason", QMP_TEXT, "quit, or the signal's name"))},
};

static const struct qmp_group groups[] = {
	{"The wire itself", protocol_wire_commands},
	{"The guest", protocol_guest_commands},
	{"The memory core", protocol_call_commands},
	{"Processes", protocol_process_commands},
	{"Looking from outside", protocol_look_commands},
	{"The second stage", protocol_second_commands},
	{"As in QEMU", protocol_qemu_commands},
	{"Tests of the host", protocol_test_commands},
};

const struct qmp_table protocol_table = {
	.groups = groups,
	.nr_groups = sizeof(groups) / sizeof(groups[0]),
	.events = events,
	.nr_events = sizeof(events) / sizeof(events[0]),
};
