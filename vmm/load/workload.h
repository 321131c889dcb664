/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Workloads: what a load does to vmalloc, as text (docs/workloads.md has the language). Classes say
 * what kinds of areas there are, phases how many of each come and how long they stay.
 *
 * The file is hostile: every number has bounds, every list too, and each error says file, line and
 * column.
 */
#ifndef VMM_LOAD_WORKLOAD_H
#define VMM_LOAD_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/input.h"
#include "vmm/load/draw.h"

#define WORKLOAD_CLASSES_MAX    512u
#define WORKLOAD_PHASES_MAX     512u
#define WORKLOAD_USES_MAX       4096u      /* of a phase */
#define WORKLOAD_ENTRIES_MAX    (1u << 16) /* of all tables together */
#define WORKLOAD_OPERATIONS_MAX 4000000u
#define WORKLOAD_NAME_BYTES     32
#define WORKLOAD_SIZE_MAX       (UINT64_C(1) << 40)

enum workload_kind {
	WORKLOAD_VMALLOC,
	WORKLOAD_RESERVE, /* an area without frames */
	WORKLOAD_USER,    /* vmalloc_user(), and mapped into a process while it lives */
};

struct workload_class {
	char name[WORKLOAD_NAME_BYTES];
	enum workload_kind kind;
	struct draw size;     /* bytes, without the guard; rounded up to pages */
	struct draw lifetime; /* allocations until it is freed */
	struct draw node;     /* has_node */
	bool has_node;
	bool no_guard;
	bool free_any;       /* any CPU of the phase frees it, else the one that allocated it */
	uint64_t align;      /* a power of two */
	uint64_t start, end; /* the window */
	uint32_t gfp;
	uint32_t touch; /* enum nb_load_touch */
	unsigned long line;
};

/* So many areas of a class in a phase. */
struct workload_use {
	uint32_t class_index;
	uint32_t count;
	bool has_lifetime; /* in place of the class's */
	struct draw lifetime;
};

/* In what order the areas of a phase come: drawn; uses alternate evenly; use by use. */
enum workload_order { WORKLOAD_SHUFFLED, WORKLOAD_EVEN, WORKLOAD_LISTED };

struct workload_phase {
	char name[WORKLOAD_NAME_BYTES];
	bool setup; /* lifetimes do not run meanwhile, and nothing is measured */
	struct workload_use *uses;
	size_t nr_uses;
	uint64_t cpus; /* a bit each; those the workload has count */
	bool rotate;   /* CPUs take turns, else they are drawn */
	enum workload_order order;
	uint32_t purges; /* spread evenly */
	uint32_t repeat; /* at least 1 */
	bool drain;      /* at the end all that lives is freed */
	unsigned long line;
};

enum workload_mode { WORKLOAD_LAZY, WORKLOAD_EAGER, WORKLOAD_MANUAL }; /* enum nb_mode */

struct workload {
	uint32_t cpus, nodes;  /* at least 1 */
	uint64_t memory_bytes; /* of the guest; 0: not said */
	uint64_t seed;
	enum workload_mode mode;
	struct workload_class *classes;
	size_t nr_classes;
	struct workload_phase *phases;
	size_t nr_phases;
	uint64_t operations; /* allocations and purges of all phases */
};

/*
 * Reads the workload at @path. Returns 0, to be freed by workload_free(); or a negative errno with
 * "path:line:column: message" in @error and nothing to free: -EINVAL, -ENOMEM, line_reader's.
 */
int workload_read(const char *path, struct workload *workload_out, struct input_error *error);

void workload_free(struct workload *workload);

#endif
