/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that act on the second stage: traps on guest memory, dirty tracking. */
#include "vmm/wire/protocol_private.h"

static const char *const accesses[] = {"any", "read", "write", NULL};
static const char *const policies[] = {"go", "hold", "deny", NULL};
static const char *const late_answers[] = {"go", "deny", NULL};

#define REGION MAY_BE("region", QMP_TEXT, "of RAM, by its name (query-regions); all of RAM")

const struct qmp_command protocol_second_commands[] = {
	{LOOK("trap-set", "Watches the pages that hold a range, by whatever address the guest "
			  "touches them: the "
			  "next access is told before it happens. Event TRAP. For guests started "
			  "with --traps."),
	 .args = ARGS(IS("address", QMP_ADDRESS, "where the range begins"),
		      {.name = "size",
		       .type = QMP_SIZE,
		       .optional = true,
		       .otherwise = 1,
		       .min = 1,
		       .max = PROTOCOL_TRAP_BYTES,
		       .help = "bytes; a virtual range stands for the frames it leads to now"},
		      SPACE, TABLES_OF,
		      {.name = "access",
		       .type = QMP_ENUM,
		       .optional = true,
		       .choices = accesses,
		       .help = "what is told"},
		      {.name = "policy",
		       .type = QMP_ENUM,
		       .optional = true,
		       .choices = policies,
		       .help = "the access happens, waits for trap-release, or ends the guest"}),
	 .returns = ARGS(IS("trap", QMP_INT, "its number"), IS("pages", QMP_INT, "watched"))},
	{LOOK("trap-clear", "Ends a watch. A vCPU that is held stays so until trap-release."),
	 .args = ARGS({.name = "trap",
		       .type = QMP_INT,
		       .optional = true,
		       .no_default = true,
		       .min = 1,
		       .max = INT32_MAX,
		       .help = "its number; without it all"})},
	{LOOK("query-traps", "What is watched, and who is held."),
	 .returns = ARGS(LIST("traps", protocol_traps),
			 {.name = "held",
			  .type = QMP_OBJECTS,
			  .of = &protocol_held,
			  .help = "vCPUs that wait: as the event TRAP told it"})},
	{LOOK("trap-release",
	      "Answers for a vCPU that a trap holds. Whatever needs the guest between two "
	      "hypercalls (stop, audit, dump-guest-core) waits until then."),
	 .args = ARGS({.name = "vcpu", .type = QMP_INT, .max = NB_MAX_VCPUS - 1, .help = "which"},
		      {.name = "answer",
		       .type = QMP_ENUM,
		       .choices = late_answers,
		       .help = "the access happens, or ends the guest"})},
	{ALONE("dirty-start", "Starts to track which pages are written, by the guest or by the "
			      "service, from a new "
			      "beginning. The second stage has 4 KiB leaves there meanwhile."),
	 .args = ARGS(REGION), .returns = ARGS(IS("epoch", QMP_INT, "that writes count to now"))},
	{ALONE("dirty-stop", "Stops it; what was seen stays readable until the next start."),
	 .args = ARGS(REGION)},
	{LOOK("dirty-collect",
	      "Closes the epoch, opens the next, and says how much was written in the one closed, "
	      "and how fast."),
	 .args = ARGS({.name = "epochs",
		       .type = QMP_INT,
		       .optional = true,
		       .otherwise = 4,
		       .min = 1,
		       .max = INT32_MAX,
		       .help = "of the working set: this many, the closed one the last"}),
	 .returns =
		 ARGS(IS("epoch", QMP_INT, "the one closed"), IS("seconds", QMP_REAL, "it lasted"),
		      IS("pages", QMP_INT, "written in it"),
		      IS("working-set", QMP_INT, "pages written in the last epochs"),
		      LIST("regions", protocol_dirty_regions),
		      IS("rate", QMP_OBJECT,
			 "pages a second first written in an epoch: last, mean, deviation; and "
			 "epochs, over how many"))},
	{LOOK("query-dirty", "Which pages were written. Reading takes nothing away."),
	 .args = ARGS(WINDOW, {.name = "since",
			       .type = QMP_INT,
			       .optional = true,
			       .otherwise = 1,
			       .min = 1,
			       .max = UINT32_MAX,
			       .help = "in this epoch or later; the first is 1"}),
	 .returns = ARGS(LIST("ranges", protocol_dirty_ranges),
			 IS("epoch", QMP_INT, "that writes count to now"), NEXT)},
	{.name = NULL},
};
