/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that act on the second stage: traps on guest memory, dirty tracking. */
#include "vmm/wire/protocol_private.h"

static const char *const accesses[] = {"any", "read", "write", NULL};
static const char *const policies[] = {"go", "hold", "deny", NULL};
static const char *const late_answers[] = {"go", "deny", NULL};
static const char *const untils[] = {"access", "instruction", "operation", NULL};

#define REGION MAY_BE("region", QMP_TEXT, "of RAM, by its name (query-regions); all of RAM")

const struct qmp_command protocol_second_commands[] = {
	{LOOK_AS(QMP_CHANGES, "trap-set",
		 "Watches the pages that hold a range, by whatever address the guest "
		 "touches them: the "
		 "next access is told before it happens. Event TRAP. For guests started "
		 "with --traps."),
	 .args = ARGS(
		 IS("address", QMP_ADDRESS, "where the range begins"),
		 ARG("size", QMP_SIZE,
		     "bytes; a virtual range stands for the frames it leads to now",
		     .optional = true, .otherwise = 1, .min = 1, .max = PROTOCOL_TRAP_BYTES),
		 SPACE, TABLES_OF,
		 ARG("access", QMP_ENUM, "what is told", .optional = true, .choices = accesses),
		 ARG("policy", QMP_ENUM,
		     "the access happens, waits for trap-release, or ends the guest",
		     .optional = true, .choices = policies)),
	 .returns = ARGS(IS("trap", QMP_INT, "its number"), IS("pages", QMP_INT, "watched"))},
	{LOOK_AS(QMP_CHANGES, "trap-clear",
		 "Ends a watch. A vCPU that is held stays so until trap-release."),
	 .args = ARGS(ARG("trap", QMP_INT, "its number; without it all", .optional = true,
			  .no_default = true, .min = 1, .max = INT32_MAX))},
	{LOOK("query-traps", "What is watched, and who is held."),
	 .returns = ARGS(LIST("traps", protocol_traps),
			 ARG("held", QMP_OBJECTS, "vCPUs that wait: as the event TRAP told it",
			     .of = &protocol_held))},
	{LOOK_AS(QMP_CHANGES, "trap-release",
		 "Answers for a vCPU that a trap holds. Whatever needs the guest between two "
		 "hypercalls (stop, audit, dump-guest-core) waits until then."),
	 .args = ARGS(ARG("vcpu", QMP_INT, "which", .max = NB_MAX_VCPUS - 1),
		      ARG("answer", QMP_ENUM, "the access happens, or ends the guest",
			  .choices = late_answers),
		      ARG("until", QMP_ENUM,
			  "what goes on with it without being held again: that access, the rest of "
			  "a repeated string instruction, or of the hypercall",
			  .optional = true, .choices = untils))},
	{ALONE("dirty-start", "Starts to track which pages are written, by the guest or by the "
			      "service, from a new "
			      "beginning. The second stage has 4 KiB leaves there meanwhile."),
	 .args = ARGS(REGION), .returns = ARGS(IS("epoch", QMP_INT, "that writes count to now"))},
	{ALONE("dirty-stop", "Stops it; what was seen stays readable until the next start."),
	 .args = ARGS(REGION)},
	{LOOK_AS(QMP_CHANGES, "dirty-collect",
		 "Closes the epoch, opens the next, and says how much was written in the one "
		 "closed, "
		 "and how fast."),
	 .args = ARGS(ARG("epochs", QMP_INT,
			  "of the working set: this many, the closed one the last",
			  .optional = true, .otherwise = 4, .min = 1, .max = INT32_MAX)),
	 .returns = ARGS(
		 IS("epoch", QMP_INT, "the one closed"), IS("seconds", QMP_REAL, "it lasted"),
		 IS("pages", QMP_INT, "written in it"),
		 IS("working-set", QMP_INT, "pages written in the last epochs"),
		 LIST("regions", protocol_dirty_regions), OBJECT("rate", protocol_dirty_rate))},
	{LOOK("query-dirty", "Which pages were written. Reading takes nothing away."),
	 .args = ARGS(WINDOW, ARG("since", QMP_INT, "in this epoch or later; the first is 1",
				  .optional = true, .otherwise = 1, .min = 1, .max = UINT32_MAX)),
	 .returns = ARGS(LIST("ranges", protocol_dirty_ranges),
			 IS("epoch", QMP_INT, "that writes count to now"), NEXT)},
	{.name = NULL},
};
