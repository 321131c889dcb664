/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Short forms for the rows of vmm/wire/protocol_*.c. */
#ifndef VMM_WIRE_PROTOCOL_PRIVATE_H
#define VMM_WIRE_PROTOCOL_PRIVATE_H

#include "guest/abi.h"
#include "vmm/wire/protocol.h"

#define ARGS(...)                    \
	(const struct qmp_arg[])     \
	{                            \
		__VA_ARGS__,         \
		{                    \
			.name = NULL \
		}                    \
	}

/* What every hypercall takes, and what it returns. */
#define CALL_ARGS                                                                  \
	{.name = PROTOCOL_VCPU,                                                    \
	 .type = QMP_INT,                                                          \
	 .optional = true,                                                         \
	 .max = NB_MAX_VCPUS - 1,                                                  \
	 .help = "the vCPU that does it"},                                         \
	{                                                                          \
		.name = PROTOCOL_IN_INTERRUPT, .type = QMP_BOOL, .optional = true, \
		.help = "do it in an interrupt handler"                            \
	}
#define TICKS                                                                 \
	{                                                                     \
		.name = PROTOCOL_TICKS, .type = QMP_U64,                      \
		.help = "the guest's time stamp counter around the operation" \
	}

#define TAKES(...)    .args = ARGS(__VA_ARGS__, CALL_ARGS)
#define TAKES_NOTHING .args = ARGS(CALL_ARGS)
#define GIVES(...)    .returns = ARGS(__VA_ARGS__, TICKS)
#define GIVES_NOTHING .returns = ARGS(TICKS)

/* A needed argument, or a returned member, at @at of arg[] or result[]. */
#define AT(at, its_name, its_type, its_help)                                      \
	{                                                                         \
		.name = (its_name), .type = (its_type), .place = PROTOCOL_AT(at), \
		.help = (its_help)                                                \
	}

/* An argument that may be left out. */
#define MAYBE(at, its_name, its_type, its_otherwise, its_help)                             \
	{                                                                                  \
		.name = (its_name), .type = (its_type), .optional = true,                  \
		.otherwise = (its_otherwise), .place = PROTOCOL_AT(at), .help = (its_help) \
	}

#define NODE(at)                                                                            \
	{                                                                                   \
		.name = "node", .type = QMP_INT, .optional = true, .min = -1,               \
		.max = NB_MAX_NODES - 1, .otherwise = UINT64_MAX, .place = PROTOCOL_AT(at), \
		.help = "the memory node the frames are to be of; -1: any"                  \
	}
#define GFP(at)               MAYBE(at, "gfp", QMP_U64, NB_GFP_KERNEL, "GFP_ flags as in Linux 6.1")
#define PROT(at)              MAYBE(at, "prot", QMP_U64, NB_PAGE_KERNEL, "the leaves' bits besides the address")
#define ADDRESS(at, its_help) AT(at, "address", QMP_ADDRESS, its_help)
#define SIZE(at)              AT(at, "size", QMP_SIZE, "bytes")
#define GIVES_ADDRESS         GIVES(AT(0, "address", QMP_ADDRESS, "where the area begins"))

/* A frame list holds no more: the data area is full. */
#define FRAMES_MAX (NB_DATA_BYTES / sizeof(uint64_t))
#define FRAMES(at)                                                                                 \
	{                                                                                          \
		.name = "frames", .type = QMP_FRAMES, .max = FRAMES_MAX, .place = PROTOCOL_AT(at), \
		.help = "frame numbers, as alloc-pages and vmalloc-to-page return them"            \
	}

/* An argument with whatever else it has. */
#define ARG(its_name, its_type, its_help, ...)                                          \
	{                                                                               \
		.name = (its_name), .type = (its_type), .help = (its_help), __VA_ARGS__ \
	}

/* Who carries it out, of what changes nothing; and with another access. */
#define QUICK(its_name, its_help) QUICK_AS(QMP_LOOKS, its_name, its_help)
#define QUICK_AS(its_access, its_name, its_help) \
	.name = (its_name), .lane = PROTOCOL_QUICK, .access = (its_access), .help = (its_help)
#define WIRE(its_name, its_help) .name = (its_name), .lane = PROTOCOL_WIRE, .help = (its_help)
#define LOOK(its_name, its_help) LOOK_AS(QMP_LOOKS, its_name, its_help)
#define LOOK_AS(its_access, its_name, its_help) \
	.name = (its_name), .lane = PROTOCOL_LOOK, .access = (its_access), .help = (its_help)
#define ALONE(its_name, its_help) .name = (its_name), .lane = PROTOCOL_ALONE, .help = (its_help)
#define IS(its_name, its_type, its_help)                                   \
	{                                                                  \
		.name = (its_name), .type = (its_type), .help = (its_help) \
	}
#define LIST(its_name, its_list)                                           \
	{                                                                  \
		.name = (its_name), .type = QMP_OBJECTS, .of = &(its_list) \
	}
#define OBJECT(its_name, its_list)                                        \
	{                                                                 \
		.name = (its_name), .type = QMP_OBJECT, .of = &(its_list) \
	}
#define MAY_BE(its_name, its_type, its_help)                                                 \
	{                                                                                    \
		.name = (its_name), .type = (its_type), .optional = true, .help = (its_help) \
	}

#define INTERRUPTED                                                \
	MAY_BE(PROTOCOL_INTERRUPTED, QMP_BOOL,                     \
	       "true: it was cancelled; this is what was done so " \
	       "far")

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
#define TABLES_OF                                                                          \
	{.name = "process",                                                                \
	 .type = QMP_INT,                                                                  \
	 .optional = true,                                                                 \
	 .no_default = true,                                                               \
	 .min = 1,                                                                         \
	 .max = UINT32_MAX,                                                                \
	 .help = "in the page tables of this process; without it in the kernel's"},        \
	{                                                                                  \
		.name = "root", .type = QMP_ADDRESS, .optional = true, .no_default = true, \
		.help = "guest-physical, of any other page tables"                         \
	}

extern const char *const protocol_spaces[];
#define SPACE                                                                                    \
	{                                                                                        \
		.name = "space", .type = QMP_ENUM, .optional = true, .choices = protocol_spaces, \
		.help = "guest-virtual, or guest-physical"                                       \
	}

#endif
