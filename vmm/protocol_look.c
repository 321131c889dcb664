/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that look at the guest, and change its memory, from outside. */
#include "vmm/protocol_private.h"

#define LOOK(its_name, its_help)  .name = (its_name), .lane = PROTOCOL_LOOK, .help = (its_help)
#define ALONE(its_name, its_help) .name = (its_name), .lane = PROTOCOL_ALONE, .help = (its_help)
#define IS(its_name, its_type, its_help)                                   \
	{                                                                  \
		.name = (its_name), .type = (its_type), .help = (its_help) \
	}
#define MAY_BE(its_name, its_type, its_help)                                                 \
	{                                                                                    \
		.name = (its_name), .type = (its_type), .optional = true, .help = (its_help) \
	}

/* The window of a list, and how the next piece of it is asked for. */
#define WINDOW                                                                                   \
	MAY_BE("start", QMP_ADDRESS, "entries that reach into [start, end)"),                    \
		MAY_BE("end", QMP_ADDRESS, "0: 2^64"),                                           \
	{                                                                                        \
		.name = "limit", .type = QMP_INT, .optional = true, .otherwise = 1024, .min = 1, \
		.max = PROTOCOL_LIST_MAX, .help = "no more entries at once"                      \
	}
#define NEXT MAY_BE("next", QMP_ADDRESS, "the start to ask with for the rest, where there is more")

/* In whose page tables. */
#define PROCESS \
	MAY_BE("root", QMP_ADDRESS, "guest-physical, of other page tables than the kernel's")

#define MEMORY_SIZE                                                                       \
	{                                                                                 \
		.name = "size", .type = QMP_SIZE, .min = 1, .max = PROTOCOL_MEMORY_BYTES, \
		.help = "bytes"                                                           \
	}

static const char *const spaces[] = {"virtual", "physical", NULL};
#define SPACE                                                                           \
	{                                                                               \
		.name = "space", .type = QMP_ENUM, .optional = true, .choices = spaces, \
		.help = "guest-virtual, or guest-physical"                              \
	}

const struct qmp_command protocol_look_commands[] = {
	{LOOK("query-areas", "The areas of the vmalloc address space, busy and lazily freed."),
	 .args = ARGS(WINDOW),
	 .returns = ARGS(IS("areas", QMP_OBJECTS,
			    "start, end, state (busy, lazy), line (as /proc/vmallocinfo has it); "
			    "of busy ones: size, flags, pages, caller, place (the caller as a "
			    "symbol), phys"),
			 NEXT,
			 MAY_BE("broken", QMP_TEXT, "why the guest's list could not be followed"))},
	{LOOK("query-tree", "The vmalloc address space, tile by tile: busy, lazy and free."),
	 .args = ARGS(WINDOW),
	 .returns = ARGS(IS("tiles", QMP_OBJECTS, "start, end, state"),
			 IS("sum", QMP_OBJECT,
			    "how many are busy, lazy, free, unknown, and of how many bytes; the "
			    "largest free piece: largest-start, largest-end"),
			 NEXT,
			 MAY_BE("broken", QMP_TEXT, "why the guest's list could not be followed"))},
	{LOOK("translate", "What an address translates to."),
	 .args = ARGS(IS("address", QMP_ADDRESS, "guest-virtual"), PROCESS),
	 .returns = ARGS(IS("address", QMP_ADDRESS, "as it was read"),
			 IS("physical", QMP_ADDRESS, "guest-physical"),
			 IS("page-bytes", QMP_SIZE, "of the leaf"),
			 IS("rights", QMP_TEXT, "rwxu, - for what is not allowed"),
			 MAY_BE("host", QMP_ADDRESS, "in the service's own address space"),
			 MAY_BE("place", QMP_TEXT, "the symbol there"))},
	{LOOK("read-memory", "Reads memory from outside, whatever its rights."),
	 .args = ARGS(IS("address", QMP_ADDRESS, "where to begin"), MEMORY_SIZE, SPACE),
	 .returns = ARGS(IS("address", QMP_ADDRESS, "as it was read"),
			 IS("bytes", QMP_BYTES, "what is there"))},
	{LOOK("write-memory",
	      "Writes memory from outside, whatever its rights: all of it or none."),
	 .args = ARGS(IS("address", QMP_ADDRESS, "where to begin"),
		      {.name = "bytes",
		       .type = QMP_BYTES,
		       .max = PROTOCOL_MEMORY_BYTES,
		       .help = "what to write"},
		      SPACE),
	 .returns = ARGS(IS("address", QMP_ADDRESS, "as it was read"),
			 IS("size", QMP_SIZE, "bytes written"))},
	{LOOK("query-symbol", "What symbol of the image an address lies in."),
	 .args = ARGS(IS("address", QMP_ADDRESS, "any")),
	 .returns = ARGS(IS("address", QMP_ADDRESS, "as it was read"),
			 IS("place", QMP_TEXT, "symbol+offset/size, or the address"))},
	{LOOK("query-registers", "The registers of a paused guest's vCPU."),
	 .args = ARGS({.name = "vcpu",
		       .type = QMP_INT,
		       .optional = true,
		       .max = NB_MAX_VCPUS - 1,
		       .help = "which"}),
	 .returns = ARGS(IS("registers", QMP_OBJECT, "by name, as \"0x...\""),
			 IS("place", QMP_TEXT, "the symbol RIP is in"))},
	{LOOK("query-events", "The last events, up to 256, as they were sent."),
	 .returns = ARGS(IS("events", QMP_OBJECTS, "each as on the wire"))},
	{ALONE("audit", "Checks the guest's structures and page tables against each other, between "
			"two hypercalls."),
	 .args = ARGS({.name = "checks",
		       .type = QMP_TEXT,
		       .optional = true,
		       .max = 256,
		       .help = "names with commas between them; all"}),
	 .returns = ARGS(IS("checks", QMP_OBJECTS, "name, items looked at, violations"),
			 IS("items", QMP_INT, "looked at"), IS("violations", QMP_INT, "found now"),
			 IS("seconds", QMP_REAL, "it took"),
			 IS("found", QMP_OBJECTS,
			    "check, address, text, found, expected, operation (the one after which "
			    "it was first seen), line"))},
	{NULL},
};
