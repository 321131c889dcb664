/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of the control protocol: its groups, its events, and what concerns the guest itself. */
#include "vmm/protocol_private.h"

#define IS(its_name, its_type, its_help)                                   \
	{                                                                  \
		.name = (its_name), .type = (its_type), .help = (its_help) \
	}
#define MAY_BE(its_name, its_type, its_help)                                                 \
	{                                                                                    \
		.name = (its_name), .type = (its_type), .optional = true, .help = (its_help) \
	}

const struct qmp_command protocol_wire_commands[] = {
	{.name = "qmp_capabilities",
	 .lane = PROTOCOL_WIRE,
	 .help = "Ends the negotiation; it comes first, and once.",
	 .args = ARGS({.name = "enable",
		       .type = QMP_TEXTS,
		       .optional = true,
		       .max = 16,
		       .help = "capabilities to enable; there are none"})},
	{.name = "query-commands",
	 .lane = PROTOCOL_WIRE,
	 .help = "The commands there are; the return is the list itself.",
	 .returns = ARGS(IS("name", QMP_TEXT, "of a command, one object each"))},
	{.name = "query-command-schema",
	 .lane = PROTOCOL_WIRE,
	 .help = "What a command takes and returns: this page, for programs.",
	 .args = ARGS(IS("command", QMP_TEXT, "its name")),
	 .returns = ARGS(IS("name", QMP_TEXT, "the command"), IS("help", QMP_TEXT, "what it does"),
			 IS("arguments", QMP_OBJECTS,
			    "each with name, type, help, and where they apply optional, default, "
			    "min, max, choices"),
			 IS("returns", QMP_OBJECTS, "the same of the returned object's members"))},
	{.name = NULL},
};

static const char *const states[] = {"running", "paused", "dead", NULL};

const struct qmp_command protocol_guest_commands[] = {
	{.name = "query-status",
	 .lane = PROTOCOL_QUICK,
	 .help = "What this guest is and how it is.",
	 .returns = ARGS(IS("name", QMP_TEXT, "of the guest"),
			 {.name = "status",
			  .type = QMP_ENUM,
			  .choices = states,
			  .help = "whether it takes hypercalls"},
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
			 IS("violations", QMP_INT, "that audits found"),
			 MAY_BE("failure", QMP_OBJECT,
				"of a dead guest: what happened, where, with "
				"registers and the hypercall it was in"))},
	{.name = "query-name",
	 .lane = PROTOCOL_QUICK,
	 .help = "The guest's name.",
	 .returns = ARGS(IS("name", QMP_TEXT, "as nestbox run was told"))},
	{.name = "query-version",
	 .lane = PROTOCOL_QUICK,
	 .help = "The version of nestbox, in QEMU's form.",
	 .returns = ARGS(IS("qemu", QMP_OBJECT, "major, minor and micro"),
			 IS("package", QMP_TEXT, "name and version"))},
	{.name = "query-kvm",
	 .lane = PROTOCOL_QUICK,
	 .help = "What the host's KVM is.",
	 .returns = ARGS(IS("enabled", QMP_BOOL, "true"), IS("present", QMP_BOOL, "true"),
			 IS("module", QMP_TEXT, "kvm_intel, kvm_amd, kvm_pvm or other"),
			 IS("second-stage", QMP_TEXT, "ept, npt or shadow"))},
	{.name = "query-target",
	 .lane = PROTOCOL_QUICK,
	 .help = "The guest's architecture.",
	 .returns = ARGS(IS("arch", QMP_TEXT, "x86_64"))},
	{.name = "query-memory-size-summary",
	 .lane = PROTOCOL_QUICK,
	 .help = "How much RAM the guest has.",
	 .returns = ARGS(IS("base-memory", QMP_SIZE, "bytes"))},
	{.name = "query-memory-layout",
	 .lane = PROTOCOL_QUICK,
	 .help = "Where the guest's RAM is, and what of it is not the core's to hand out.",
	 .returns = ARGS(IS("ram", QMP_OBJECTS, "start, end and node of each range"),
			 IS("reserved", QMP_OBJECTS, "start, end and kind of each range"),
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
	{.name = "quit",
	 .lane = PROTOCOL_QUICK,
	 .help = "Ends the guest and the service. Event SHUTDOWN."},
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
	{"TRAP", "A trap on guest memory was hit.",
	 ARGS(IS("address", QMP_ADDRESS, "guest-physical"))},
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
	{"Tests of the host", protocol_test_commands},
};

const struct qmp_table protocol_table = {
	.groups = groups,
	.nr_groups = sizeof(groups) / sizeof(groups[0]),
	.events = events,
	.nr_events = sizeof(events) / sizeof(events[0]),
};
