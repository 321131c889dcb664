/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The time before the snapshot: frees whose ranges may still be lazy, and the pools' end. */
#include "vmm/replay/prelude.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/replay/ftrace.h"

struct listener {
	struct replay_prelude prelude;
	struct u64_map nodes;   /* struct vmap_node -> the round that emptied its pools last */
	uint32_t seen, emptied; /* how many there are; and were emptied in this round */
	uint32_t round;         /* a purge, which may fill pools, begins another */
	bool marker;
};

static int take_decay(struct listener *listener, const struct ftrace_event *event)
{
	uint32_t round = u64_map_get(&listener->nodes, event->detail);

	listener->seen += round == U64_MAP_NONE;
	if (event->full && round != listener->round)
		listener->emptied++;
	else if (round != U64_MAP_NONE)
		return 0;
	return u64_map_set(&listener->nodes, event->detail, event->full ? listener->round : 0);
}

static int take_event(struct listener *listener, const struct ftrace_event *event)
{
	switch (event->type) {
	case FTRACE_FREE:
		if (!event->has_flags || event->flags >> 8 > UINT16_MAX)
			return 0;
		return u64_map_set(&listener->prelude.freed, event->address,
				   (uint32_t)(event->flags >> 8));
	case FTRACE_PURGE_ENTER:
	case FTRACE_PURGE_EXIT:
	case FTRACE_PURGE:
		listener->round++;
		listener->emptied = 0;
		return 0;
	case FTRACE_DECAY:
		return take_decay(listener, event);
	case FTRACE_MARKER:
		listener->marker |= replay_is_marker(event->text);
		return 0;
	default:
		return 0;
	}
}

/* Reads up to the marker, if there is one. */
static int listen(struct listener *listener, const char *path, struct input_error *error)
{
	struct ftrace_event event;
	struct ftrace *trace;
	int ret = ftrace_open(path, &trace, error);

	if (ret)
		return ret;
	while (!listener->marker && (ret = ftrace_next(trace, &event, error)) > 0) {
		ret = take_event(listener, &event);
		if (ret) {
			input_fail(error, path, 0, "no memory for what was before the snapshot");
			break;
		}
	}
	ftrace_close(trace);
	return ret < 0 ? ret : 0;
}

int replay_prelude_read(const char *folder, const char *trace_path,
			struct replay_prelude *prelude_out, struct input_error *error)
{
	struct listener listener = {.round = 1};
	char *path;
	int err = 0;

	if (asprintf(&path, "%s/prelude", folder) < 0) {
		input_fail(error, folder, 0, "out of memory");
		return -ENOMEM;
	}
	if (!access(path, F_OK))
		err = listen(&listener, path, error);
	free(path);
	if (!err)
		err = listen(&listener, trace_path, error);
	listener.prelude.pools_empty =
		listener.marker && listener.seen && listener.emptied == listener.seen;
	if (err || !listener.marker)
		replay_prelude_free(&listener.prelude);
	u64_map_clear(&listener.nodes);
	*prelude_out = listener.prelude;
	return err;
}

void replay_prelude_apply(const struct replay_prelude *prelude, struct replay_plan *plan)
{
	struct replay_area *area;
	uint32_t node;
	size_t i;

	for (i = 0; i < plan->initial_areas; i++) {
		area = &plan->areas[i];
		node = u64_map_get(&prelude->freed, area->address);
		if (!area->unpurged || area->has_va_node || node == U64_MAP_NONE)
			continue;
		area->va_node = (uint16_t)node;
		area->has_va_node = true;
	}
}

void replay_prelude_free(struct replay_prelude *prelude)
{
	u64_map_clear(&prelude->freed);
	memset(prelude, 0, sizeof(*prelude));
}
