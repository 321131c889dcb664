/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what a kernel did to what a guest shall do: a snapshot and a trace become a list of
 * operations. Pure: no guest, no clock; the same input gives the same plan.
 *
 * The initial state. An area of vmallocinfo.begin that vmalloc filled with pages is mapped at its
 * very address, every other one is reserved there, and an unpurged one is reserved and freed, to
 * wait for a purge as it did in Linux.
 *
 * Allocations. An address is chosen somewhere between alloc_vmap_area's enter and exit, so the
 * operation stands where the exit is. It is a MAP if vmalloc then returned that address to the
 * same task, else a RESERVE (ioremap, vmap, vm_map_ram, or a vmalloc that failed later). The page
 * array of a large area is vmalloc'ed by Linux too and shows as a nested vmalloc: it is an area
 * of its own here, and the guest keeps its own arrays outside the address space.
 *
 * Purges. Linux takes the whole lazy list when __purge_vmap_area_lazy starts, and the ranges can
 * be used again when it is about to return, after the TLB flush. A PURGE stands at the start,
 * behind it the frees that came later.
 *
 * Order. On several CPUs operations overlap in time and the trace shows only where they began and
 * ended. Linux takes the lowest hole that fits, so the addresses tell the order inside an overlap:
 * what was taken at each moment is kept, and of all places in its overlap an allocation gets one
 * that explains its address and those of the others. The same goes for what a purge took: a free
 * is on the lazy list some time after its probe, so one that overlaps the purge may have been in
 * time or not, and the addresses given out later tell.
 * Allocations and purges that do not overlap keep the trace's order, always. A free stands before
 * no purge that was over when it began; it and an allocation may change places, because a range
 * that has just been freed is as taken as before. `reordered` counts the operations moved.
 *
 * Tasks are told apart by pid, and by CPU for pid 0, of which every CPU has one. Names do not
 * count: a task may change its name between two lines.
 */
#ifndef VMM_REPLAY_PLAN_H
#define VMM_REPLAY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/replay/ftrace.h"
#include "vmm/replay/space.h"
#include "vmm/replay/vmallocinfo.h"

#define REPLAY_PAGE_BYTES UINT64_C(4096)

/* How many of the oddities below are kept with their address and line; all are counted. */
#define REPLAY_NOTES_MAX 64

enum replay_op_type {
	REPLAY_MAP,     /* vmalloc: an address range, frames, page tables */
	REPLAY_RESERVE, /* an address range, nothing behind it */
	REPLAY_FREE,    /* of either; the range becomes lazy */
	REPLAY_PURGE,   /* everything lazy can be used again */
	REPLAY_DECAY,   /* the pools of Linux 6.9 are emptied, outside a purge */
	REPLAY_RELEASE, /* the range of one area, lazy or pooled, can be used again */
};

/* How an allocation's address compares with Linux's, once the plan is settled. */
enum replay_verdict {
	REPLAY_EXACT,          /* as it comes out of what the recording says */
	REPLAY_INFERRED_ORDER, /* given an order of overlapping events that was found, */
	REPLAY_INFERRED_START, /* or a state to start from */
	REPLAY_EXPLAINED,      /* one that the rules allow in a state nobody can know */
	REPLAY_MISSED,         /* one that they do not allow in any state thought of */
};

/* What Linux's kernel did with one range, from its allocation to its free. */
struct replay_area {
	uint64_t address;  /* where Linux had it; 0 if expect_failure */
	uint64_t va_bytes; /* length of the range, guard page included; whole pages */
	uint64_t bytes;    /* MAP: what vmalloc was asked for, at most va_bytes; else 0 */
	uint64_t align;    /* a power of two, as alloc_vmap_area was given it */
	uint64_t vstart;   /* the range had to lie in [vstart, vend) */
	uint64_t vend;
	uint64_t gfp; /* MAP: as traced; 0 for the initial state */
	uint64_t prot;
	int64_t node;             /* -1 for any */
	uint32_t cpu;             /* that it was allocated on, by the exit; 0 if initial */
	uint16_t va_node;         /* Linux 6.9: 1 + the pools' node in its flags; 0: none */
	bool has_va_node;         /* the trace says so */
	unsigned long begin_line; /* of the allocation's enter; 0 for the initial state */
	unsigned long line;       /* of its exit, in the trace; of the snapshot if initial */
	unsigned long free_line;  /* of the free in the trace; 0 if there is none */
	unsigned long freed_by;   /* line by which the range was surely lazy; ULONG_MAX: none */
	bool initial;             /* from the snapshot */
	bool unpurged;            /* initial, and lazily freed already */
	bool mapped;              /* MAP, else RESERVE */
	bool expect_failure;      /* the kernel found no room */
	enum replay_verdict verdict;
};

struct replay_op {
	enum replay_op_type type;
	uint32_t area; /* index in areas; PURGE: how many areas it gives back, by the trace */
	unsigned long begin_line; /* the operation took place in [begin_line, line] of the trace; */
	unsigned long line;       /* both 0 for the initial state */
	bool full;                /* PURGE, DECAY: all of the pools, not a quarter */
	bool decayed;   /* PURGE: its pools' part is a DECAY of its own, which stands before it */
	uint16_t node;  /* PURGE, DECAY: 1 + the pools' node that it is a part of; 0: all nodes */
	uint32_t purge; /* PURGE, DECAY: the number of the purge that it is of, from 1; 0: none */
	/* PURGE, before 6.9: up to the range that starts there, in the order of giving back; 0: all
	 */
	uint64_t through;
	bool detached; /* MAP, RESERVE: its pool was away, in a decay: it went to the tree */
};

/*
 * When a part of a purge was, by probes inside it: a node's decay, behind which its lazy list is
 * taken and before which that of the node before was; or its ranges' way back.
 */
struct replay_part {
	uint32_t purge;      /* the number, as in replay_op */
	uint16_t node;       /* 1 + the node */
	bool give;           /* its way back, else its decay */
	int64_t pid;         /* of the task */
	unsigned long line;  /* of its begin */
	unsigned long ended; /* of its end; ULONG_MAX where that is not known */
};

/* When and where the event of a line was. */
struct replay_moment {
	uint64_t time_ns;
	uint32_t cpu;
};

/* Something odd at one place in the trace. */
struct replay_note {
	uint64_t address;
	unsigned long line;
};

struct replay_notes {
	uint64_t count;
	struct replay_note first[REPLAY_NOTES_MAX];
};

struct replay_plan {
	struct replay_area *areas;
	size_t area_count;
	struct replay_op *ops;
	size_t op_count;
	size_t initial_ops;   /* ops[0, initial_ops) make the initial state */
	size_t initial_areas; /* areas[0, initial_areas) are the snapshot's */
	size_t pooled_areas;  /* the last of areas: they only fill the pools of the start */
	bool has_snapshot;

	/* Since the plan is settled (vmm/replay/settle.h): what the executor has to follow. */
	struct space_rules rules;
	struct tree_shape *shape; /* of the free tree after the initial state; NULL: as it comes */
	size_t shape_count;

	struct replay_part *parts; /* in the trace's order, so by purge */
	size_t part_count;

	/* Of every line, from 0, up to the last event's; a line without one has that before it. */
	struct replay_moment *moments;
	size_t moment_count;

	/* Counts of the trace proper, without the initial state. */
	uint64_t allocs; /* expected failures included */
	uint64_t maps;   /* of them, vmalloc's */
	uint64_t expected_failures;
	uint64_t frees;  /* of areas known here */
	uint64_t purges; /* purge events, those that found nothing too */
	uint64_t vfrees; /* they change nothing: the free follows, or does not */

	/* Not errors. */
	uint64_t before_snapshot;     /* events above the marker: the snapshot has their effect */
	uint64_t exits_without_enter; /* the enter was before the trace began, or was lost */
	uint64_t enters_without_exit; /* the trace ended first, or the exit was lost */
	uint64_t duplicates;          /* a tracepoint that says what a probe has said */
	uint64_t retries;             /* failures that a purge and a second try made good */
	uint64_t reordered;           /* operations moved inside an overlap */
	uint64_t implied_purges;      /* not in the trace, but their effect is */

	struct replay_notes unknown_frees; /* of addresses never seen allocated */
	struct replay_notes conflicts; /* allocated where the trace has no room: it lacks events */
};

/* Whether a marker says that vmallocinfo.begin has been read just now. */
bool replay_is_marker(const char *text);

/*
 * Reads the trace at @trace_path to its end and makes the plan. @begin is the snapshot to start
 * from, or NULL. Returns 0 with the plan, to be freed with replay_plan_free(), and what the trace
 * says about itself in *@info_out, whose skipped_names the caller frees; or a negative errno with
 * @error filled in and nothing to free: whatever ftrace_open() and ftrace_next() say, -EINVAL for
 * an allocation that cannot be one (sizes, alignment, addresses), -ENOMEM, -EFBIG for more than
 * 2^32 - 2 areas.
 */
int replay_plan_read(const char *trace_path, const struct vmallocinfo *begin,
		     struct replay_plan *plan_out, struct ftrace_info *info_out,
		     struct input_error *error);

/*
 * The line of the trace to name @op by: where it ended, or where it began if the trace does not
 * show its end. 0 for the initial state.
 */
unsigned long replay_op_line(const struct replay_op *op);

/* Whether @op is about one area: a purge and a decay are about all. */
static inline bool replay_op_has_area(const struct replay_op *op)
{
	return op->type != REPLAY_PURGE && op->type != REPLAY_DECAY;
}

/* Frees what the plan owns; a zeroed plan is allowed. */
void replay_plan_free(struct replay_plan *plan);

/*
 * Checks what every plan keeps: indices in range, one allocation per area and it comes first, at
 * most one free, never of an expected failure, operations in an order that the trace allows.
 * Returns NULL, or what is wrong. For tests.
 */
const char *replay_plan_check(const struct replay_plan *plan);

#endif
