/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reader of recordings: the `trace` file of tracefs, what `trace-cmd report` and `perf script`
 * print, and, where nestbox was built with libtracecmd, trace-cmd's own trace.dat.
 *
 * It knows the events that tell what vmalloc did: the kprobe events that scripts/capture sets, and
 * Linux's own tracepoints (system vmalloc, since 6.2), whatever group they are in. Two tracepoints
 * share their name with a probe or another's name; they are told apart by their fields. Every
 * other event is skipped and counted by name; so is an event of a known name that lacks the fields
 * it needs, because anybody may set a probe and call it vfree.
 *
 * Formats that do not say what is needed (function_graph, latency, raw and hex, lines without
 * context) are refused by their names, with how to get text that does.
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
	FTRACE_PURGE,      /* tracepoint purge_vmap_area_lazy: after the ranges went back */
	FTRACE_VFREE,      /* probe at vfree: may be deferred, or of NULL */
	FTRACE_DECAY,      /* probe at decay_va_pool_node (6.9): one node's pools, before a purge */
	FTRACE_GIVE_ENTER, /* probe at purge_vmap_node (6.9): one node's lazy ranges go back */
	FTRACE_GIVE_EXIT,
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

	/*
	 * ALLOC_EXIT: the struct vmap_area or an ERR_PTR; ALLOC: `failed`; FREE: nr_lazy; DECAY:
	 * the struct vmap_node; GIVE_ENTER: an address inside of it.
	 */
	uint64_t detail;

	/* ALLOC_EXIT, FREE: va->flags. Since 6.9 bits 8 and up are the area's node + 1. */
	uint64_t flags;
	bool has_flags;

	/* PURGE_ENTER, DECAY: whether pools are emptied wholly (out of space, shrinker). */
	bool full;
	bool has_full;

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
	uint64_t skipped;      /* events of unknown names, and known ones of other fields */
	uint64_t other_fields; /* of them, those of known names that lack a field */
	char lacking[64];      /* "vfree has no addr": the first of these, or "" */
	struct ftrace_skipped *skipped_names;
	size_t skipped_name_count;
	uint64_t continuations; /* lines that go on with a marker's or a skipped event's text */
	char source[24];        /* "ftrace text", "perf script", "trace.dat" */

	/*
	 * Of the recorded machine, from the recording's header; ftrace_read_meta() adds what a
	 * `meta` file knows. 0 and "" where nobody said.
	 */
	char kernel[72];        /* uname -r */
	char machine[24];       /* uname -m */
	uint64_t possible_cpus; /* since 6.9: how many vmap nodes, at most 128 */
	uint64_t nodes;         /* NUMA */
	uint64_t levels;        /* of page tables: 4 or 5 */
	uint64_t page_bytes;
	uint64_t kaslr_offset; /* of the kernel's text */
	bool has_kaslr_offset;
};

struct ftrace;

/*
 * Opens the trace at @path. Returns 0 and the reader, which the caller closes; or a negative errno
 * with @error filled in: -EINVAL for an empty file and for the binary files that are taken for a
 * trace by mistake (perf.data, a compressed file, trace.dat where libtracecmd was not there to
 * build with), else what line_reader_open() says.
 *
 * A trace.dat is decoded by libtracecmd in a process of its own, which ftrace_close() ends: bytes
 * that bring that library down are an error of ftrace_next(), and no more.
 */
int ftrace_open(const char *path, struct ftrace **trace_out, struct input_error *error);

/*
 * The next event of a known name, in the file's order. Returns 1, 0 at the end, or a negative
 * errno with @error filled in: -EINVAL for a line that is no trace line, or holds a number that
 * is none or does not fit in a field that the event needs.
 */
int ftrace_next(struct ftrace *trace, struct ftrace_event *event_out, struct input_error *error);

/*
 * Adds to @info what the `meta` file at @path says of the recorded machine: lines `KEY=VALUE`, of
 * the keys kernel, machine, cpus (online), possible_cpus, nodes, levels, page_bytes, kaslr_offset;
 * a value `unknown` and other keys say nothing, `#` begins a comment. Returns 0 or, with @error
 * filled in and @info untouched, -EINVAL for a line of another shape or a value that cannot be
 * one, else what line_reader_open() says.
 */
int ftrace_read_meta(const char *path, struct ftrace_info *info, struct input_error *error);

/* Totals so far; the reader's, valid until ftrace_close(). */
const struct ftrace_info *ftrace_info(const struct ftrace *trace);

/* Events known to be missing, of all kinds; lost_unknown lines count as one each. */
uint64_t ftrace_lost(const struct ftrace_info *info);

/* Frees the reader; NULL is allowed. */
void ftrace_close(struct ftrace *trace);

#endif
