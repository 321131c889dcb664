/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan while it is made; for the files that make it alone (replay_plan.c, replay_build.c,
 * replay_alloc.c, replay_release.c, replay_order.c). The rules are in vmm/replay_plan.h.
 *
 * Functions that return int return 0 or a negative errno with the builder's error filled in,
 * after which the builder is only good for being freed.
 */
#ifndef VMM_REPLAY_BUILD_H
#define VMM_REPLAY_BUILD_H

#include "vmm/replay_plan.h"
#include "vmm/u64_map.h"

/*
 * How far back an allocation is moved at most, in operations: one that took longer than this
 * stays where it ended. It bounds the work on a trace made to be slow.
 */
#define ORDER_REACH 4096

#define NO_OP   SIZE_MAX
#define NO_CALL (U64_MAP_NONE - 1)

/* An enter that waits for its exit. */
struct open_call {
	struct ftrace_event enter;
	uint32_t below; /* the task's call that this one is nested in, or NO_CALL */
};

/* Where an area's range is, by the trace. */
enum range_state { RANGE_LIVE, RANGE_LAZY, RANGE_FREE };

struct builder {
	struct replay_plan plan;
	const char *path;
	struct input_error *error;

	unsigned char *states;    /* enum range_state of each area */
	struct u64_map addresses; /* address -> the area last seen there */

	uint32_t *lazy; /* areas on the lazy list */
	size_t lazy_count;
	size_t lazy_room;

	/* What the last purge that gave something back gave back, and its operation or NO_OP. */
	uint32_t *released;
	size_t released_count;
	size_t released_room;
	size_t purge_op;

	/* The purge whose exit has not come yet; a mutex keeps Linux from having two. */
	size_t open_op; /* its operation, or NO_OP when there is none */
	int64_t open_pid;

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
	bool *dropped; /* per area: the second try came, the failure is no operation */

	size_t area_room;
	size_t op_room;
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

/* Adds a copy of @area, its range live. */
int build_add_area(struct builder *builder, const struct replay_area *area, uint32_t *index_out);

/* Puts the area on the lazy list; on the list of what the last purge gave back. */
int build_add_lazy(struct builder *builder, uint32_t area);
int build_add_released(struct builder *builder, uint32_t area);

/* Takes the first @count areas off the lazy list. */
void build_drop_lazy(struct builder *builder, size_t count);

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

/* The task has purged: a failure that it had may be followed by a second try. */
int build_note_purge(struct builder *builder, uint64_t task);

/* ---- replay_order.c: where an operation goes ---- */

/* Inserts before the operation with this index. Returns 0 or -ENOMEM. */
int order_insert(struct builder *builder, size_t index, const struct replay_op *op);

/* Takes the operation with this index out. */
void order_remove(struct builder *builder, size_t index);

/*
 * Puts the allocation @op where it explains the addresses best, in the overlap it is part of.
 * Returns 0 or -ENOMEM.
 */
int order_insert_alloc(struct builder *builder, const struct replay_op *op);

/* Moves the free of @area behind the last operation. Returns whether it was in reach. */
bool order_delay_free(struct builder *builder, uint32_t area);

/*
 * Moves the last purge behind the free of @area, which came while the purge went on. Returns
 * whether it did: not if the free is out of reach or did not overlap the purge.
 */
bool order_delay_purge(struct builder *builder, uint32_t area);

#endif
