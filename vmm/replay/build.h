/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan while it is made; for the files that make it alone (replay_plan.c, replay_build.c,
 * replay_alloc.c, replay_release.c, replay_order.c, replay_place.c). The rules are in
 * vmm/replay/plan.h.
 *
 * Functions that return int return 0 or a negative errno with the builder's error filled in,
 * after which the builder is only good for being freed.
 */
#ifndef VMM_REPLAY_BUILD_H
#define VMM_REPLAY_BUILD_H

#include "vmm/base/range_set.h"
#include "vmm/replay/plan.h"
#include "lib/u64_map.h"

/*
 * How far back an operation is moved at most, and looked for: in allocations and purges, and in
 * operations of any kind. An overlap that is longer is not looked through to its end, which
 * bounds the work on a trace made to be slow.
 */
#define ORDER_REACH      16
#define ORDER_REACH_FREE 1024

#define NO_OP   SIZE_MAX
#define NO_CALL (U64_MAP_NONE - 1)

/* An enter that waits for its exit. */
struct open_call {
	struct ftrace_event enter;
	uint32_t below; /* the task's call that this one is nested in, or NO_CALL */
};

/* Where an area's range is, by the trace. */
enum range_state { RANGE_LIVE, RANGE_LAZY, RANGE_FREE };

/* What is known of an area beyond the plan. */
struct area_state {
	enum range_state range;
	bool explained;         /* its address is the one that the plan's order leads to */
	bool dropped;           /* a failure that a second try made good: no operation */
	unsigned long freed_by; /* line by which its free was over; ULONG_MAX while it is not */
};

/* What one purge gives back: numbers of areas. */
struct purge {
	uint32_t *areas;
	size_t count;
	size_t room;
};

struct builder {
	struct replay_plan plan; /* while it is made, a PURGE's area is its place in purges */
	const char *path;
	struct input_error *error;

	struct area_state *states; /* of each area */
	struct u64_map addresses;  /* address -> the area last seen there */

	/* What is taken in Linux where the operations end: areas that are live or lazy. */
	struct range_set taken;
	bool no_memory; /* for a range of it: what is built from here on is not the trace's */
	size_t barrier; /* before this operation, taken cannot be traced back */

	struct purge lazy; /* the lazy list, in the order of the frees */

	struct purge *purges;
	size_t purge_count;
	size_t purge_room;
	size_t implied_op; /* a purge nobody has seen, only its effect; or NO_OP */

	/* The purge whose exit has not come yet; a mutex keeps Linux from having two. */
	size_t open_op; /* its operation, or NO_OP when there is none */
	int64_t open_pid;
	uint64_t vnodes[SPACE_NODES_MAX]; /* its nodes' struct vmap_node, as their decays came */
	uint16_t vnode_count;

	struct u64_map tasks; /* task -> its innermost open call, or NO_CALL */
	struct open_call *calls;
	size_t call_count;
	size_t call_room;
	uint32_t free_call; /* first unused one, linked by below; NO_CALL at the end */

	/*
	 * task -> the area of a tracepoint's failure, which a purge and a second try may follow:
	 * 2 * area, plus 1 when the purge has been seen. NO_CALL when there is none.
	 */
	struct u64_map failures;

	struct u64_map last_lines; /* task -> the line of its last event */
	struct u64_map last_frees; /* task -> the area it freed with its last event, or NO_CALL */
	size_t open_allocs;        /* open calls that choose an address */

	size_t area_room;
	size_t op_room;
	size_t moment_room;
	bool marker_seen;
};

/* ---- replay_build.c ---- */

/* Errors: in the trace's line @line, and of memory. Return -EINVAL and -ENOMEM. */
int build_fail(struct builder *builder, unsigned long line, const char *what);
int build_no_memory(struct builder *builder);

/* Counts one more oddity, and keeps it if it is one of the first. */
void build_note(struct replay_notes *notes, uint64_t address, unsigned long line);

/* The key of the event's task in the maps. */
uint64_t build_task(const struct ftrace_event *event);

/* The node in the flags of a struct vmap_area (Linux 6.9), plus 1; 0 for none. */
static inline uint16_t build_va_node(const struct ftrace_event *event)
{
	uint64_t node = event->flags >> 8;

	return node <= UINT8_MAX ? (uint16_t)node : 0;
}

/* Adds a copy of @area, its range live. */
int build_add_area(struct builder *builder, const struct replay_area *area, uint32_t *index_out);

/* Puts the area on the lazy list, at its end or, by the line of its free, where it belongs. */
int build_add_lazy(struct builder *builder, uint32_t area);

/* Adds to what a purge gives back. */
int build_add_number(struct builder *builder, struct purge *purge, uint32_t area);

/* Takes the entry with this index out. */
void build_remove_number(struct purge *purge, size_t index);

/* A new PURGE operation for the end of the plan that gives nothing back yet. */
int build_append_purge(struct builder *builder, unsigned long begin_line, unsigned long line);

/*
 * The purge @op gives the first @count areas of the lazy list back, too: their ranges are free.
 */
int build_release(struct builder *builder, size_t op, size_t count);

/* Forgets all that was learned from the trace; the initial state stays. */
int build_restart(struct builder *builder);

/* Appends to the list of operations. */
int build_append(struct builder *builder, const struct replay_op *op);

/* The innermost open call of @task, an index in calls, or NO_CALL. */
uint32_t build_innermost_call(const struct builder *builder, uint64_t task);

/* Opens a call of the event's task. */
int build_open_call(struct builder *builder, const struct ftrace_event *event);

/*
 * Closes the task's innermost call of type @enter and, as their exits can only have been lost,
 * the calls inside it. Returns whether there was one, with its enter in *@enter_out.
 */
bool build_close_call(struct builder *builder, const struct ftrace_event *exit,
		      enum ftrace_event_type enter, struct ftrace_event *enter_out);

/* ---- replay_alloc.c and replay_release.c: one event each ---- */

int build_alloc_exit(struct builder *builder, const struct ftrace_event *event);
int build_alloc_tracepoint(struct builder *builder, const struct ftrace_event *event);
int build_vmalloc_exit(struct builder *builder, const struct ftrace_event *event);
int build_free(struct builder *builder, const struct ftrace_event *event);
int build_purge_enter(struct builder *builder, const struct ftrace_event *event);
int build_purge_exit(struct builder *builder, const struct ftrace_event *event);
int build_purge_tracepoint(struct builder *builder, const struct ftrace_event *event);
int build_decay(struct builder *builder, const struct ftrace_event *event);
int build_give(struct builder *builder, const struct ftrace_event *event);

/* The task has purged: a failure that it had may be followed by a second try. */
int build_note_purge(struct builder *builder, uint64_t task);

/* The line behind which the call must have begun that the tracepoint @event tells of. */
unsigned long build_begin_line(const struct builder *builder, const struct ftrace_event *event);

/* ---- replay_order.c: the list of operations ---- */

/* Inserts before the operation with this index. Returns 0 or -ENOMEM. */
int order_insert(struct builder *builder, size_t index, const struct replay_op *op);

/* Takes the operation with this index out. */
void order_remove(struct builder *builder, size_t index);

/* Whether the free of @area is within reach of the moves below. */
bool order_find_free(const struct builder *builder, uint32_t area);

/* The last purge in whose lines @line lies; the last one that gives something back. Or NO_OP. */
size_t order_find_purge(const struct builder *builder, unsigned long line);
size_t order_find_release(const struct builder *builder);

/*
 * Moves the free of @area behind the last operation; before the operation @before, if it is not
 * there already. Returns whether it was moved: not if it is out of reach.
 */
bool order_delay_free(struct builder *builder, uint32_t area);
bool order_hurry_free(struct builder *builder, uint32_t area, size_t before);

/* ---- replay_place.c: where an allocation goes ---- */

/*
 * The operation's effect on taken, and back. Returns whether there was room for it; without memory
 * there was none, and builder.no_memory says so until the end.
 */
bool place_apply(struct builder *builder, const struct replay_op *op);
void place_undo(struct builder *builder, const struct replay_op *op);

/*
 * Puts the allocation @op, whose area has been added, where it explains the addresses best, and
 * takes its range.
 */
int place_alloc(struct builder *builder, const struct replay_op *op);

/*
 * The first @count areas of the lazy list were freed while a purge went on, and it took them: their
 * frees go before it. Returns 1 if so, 0 if the lines forbid it, or a negative errno.
 */
int place_purge_more(struct builder *builder, size_t count);

#endif
