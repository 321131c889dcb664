/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reader of ftrace's text: the `trace` file of tracefs, and what `trace-cmd report` prints.
 *
 * It knows the events that tell what vmalloc did: the kprobe events that scripts/capture sets, and
 * Linux's own tracepoints (system vmalloc, since 6.2). Two tracepoints share their name with a
 * probe or another's name; they are told apart by their fields. Every other event is skipped and
 * counted by name.
 *
 * libtraceevent and libtracefs do not apply: they decode the binary ring buffer, and what arrives
 * here is the text that the kernel made of it.
 *
 * What it does not do: bring enters and exits together, or judge what the events mean together.
 * That is the plan's work (vmm/replay/plan.h).
 */
#ifndef VMM_REPLAY_FTRACE_H
#define VMM_REPLAY_FTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/input.h"

enum ftrace_event_type {
	FTRACE_MARKER,        /* tracing_mark_write: text written to trace_marker */
	FTRACE_VMALLOC_ENTER, /* probe at __vmalloc_node_range */
	FTRACE_VMALLOC_EXIT,
	FTRACE_ALLOC_ENTER, /* probe at alloc_vmap_area */
	FTRACE_ALLOC_EXIT,
	FTRACE_ALLOC, /* tracepoint alloc_vmap_area: after the search, before the area is used */
	FTRACE_FREE,  /* probe or tracepoint free_vmap_area_noflush */
	FTRACE_PURGE_ENTER, /* probe at __purge_vmap_area_lazy */
	FTRACE_PURGE_EXIT,
	FTRACE_PURGE, /* tracepoint purge_vmap_area_lazy: after the ranges went back */
	FTRACE_VFREE, /* probe at vfree: may be deferred, or of NULL */
};

/* One event. Which fields have a meaning depends on the type; the others are 0. */
struct ftrace_event {
	enum ftrace_event_type type;
	unsigned long line;
	uint64_t time_ns; /* 0 where the trace clock is no seconds */
	int64_t pid;
	unsigned int cpu;
	char task[20];

	/* VMALLOC_ENTER, ALLOC_ENTER, ALLOC: the request. Addresses lie in [start, end). */
	uint64_t size; /* bytes; ALLOC*: with the guard page */
	uint64_t align;
	uint64_t start;
	uint64_t end;
	uint64_t gfp;
	uint64_t prot;
	int64_t node; /* -1 for any */

	/*
	 * VMALLOC_EXIT, VFREE: address. ALLOC_EXIT, ALLOC: address, unless failed. FREE:
	 * [address, end), where end is 0 if the event does not say.
	 * PURGE: [address, end) encloses what was purged.
	 */
	uint64_t address;
	bool failed;

	/* PURGE_EXIT, PURGE: areas given back; a kernel's bool return counts as 1. */
	uint64_t purged;
	bool has_purged;

	/* ALLOC_EXIT: the struct vmap_area or an ERR_PTR; ALLOC: `failed`; FREE: nr_lazy. */
	uint64_t detail;

	/* FREE: the tracepoint, not the probe; the probe is at the function's start. */
	bool native;

	/* MARKER: the text. It is the reader's until the next event. */
	const char *text;
};

/* An event name nobody here knows, and how often it came. */
struct ftrace_skipped {
	char name[64];
	uint64_t count;
};

/* What is known about the trace as a whole; complete when ftrace_next() has returned 0. */
struct ftrace_info {
	bool has_header;
	bool has_entries;          /* the two below were given */
	uint64_t entries_kept;     /* entries-in-buffer */
	uint64_t entries_written;  /* entries-written */
	uint64_t cpus;             /* of the header's #P:n; 0 when it is not there */
	uint64_t events;           /* event lines read, skipped ones too */
	uint64_t lost_overwritten; /* written, but gone from the buffer before it was read */
	uint64_t lost_dropped;     /* by `CPU:n [LOST m EVENTS]` lines */
	uint64_t lost_unknown;     /* such lines that give no number */
	uint64_t lost_from_file;   /* entries the header promises and the file has not */
	uint64_t late_buffers; /* `CPU n buffer started`: older events of that CPU may be gone */
	uint64_t out_of_order; /* events whose time is before that of the event above */
	uint64_t skipped;      /* events of unknown names */
	struct ftrace_skipped *skipped_names;
	size_t skipped_name_count;
};

struct ftrace;

/*
 * Opens the trace at @path. Returns 0 and the reader, which the caller closes; or a negative errno
 * with @error filled in: -EINVAL for an empty file and for the binary files that are taken for a
 * trace by mistake (trace.dat, perf.data, a compressed file), else what line_reader_open() says.
 */
int ftrace_open(const char *path, struct ftrace **trace_out, struct input_error *error);

/*
 * The next event of a known name, in the file's order. Returns 1, 0 at the end, or a negative
 * errno with @error filled in: -EINVAL for a line that is no trace line, lacks a field, or holds
 * a number that is none or does not fit.
 */
int ftrace_next(struct ftrace *trace, struct ftrace_event *event_out, struct input_error *error);

/* Totals so far; the reader's, valid until ftrace_close(). */
const struct ftrace_info *ftrace_info(const struct ftrace *trace);

/* Events known to be missing, of all kinds; lost_unknown lines count as one each. */
uint64_t ftrace_lost(const struct ftrace_info *info);

/* Frees the reader; NULL is allowed. */
void ftrace_close(struct ftrace *trace);

#endif
