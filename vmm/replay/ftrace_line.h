/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two halves of one line of ftrace text, for vmm/replay/ftrace.c alone: where in the line the
 * task, the CPU, the time and the event are, and what the fields of an event say.
 */
#ifndef VMM_REPLAY_FTRACE_LINE_H
#define VMM_REPLAY_FTRACE_LINE_H

#include "vmm/replay/ftrace.h"

/*
 * Takes apart `TASK-PID [(TGID)] [CPU] [FLAGS] TIMESTAMP: event`. A task's name may hold anything,
 * "-1 [000]" too; the kernel pads it to 16 columns, so the dash in column 16 is tried first.
 * Fills in task, pid, cpu and time_ns of @event and returns where in @line the event's name
 * begins, or NULL if this is no such line.
 */
char *ftrace_parse_prefix(char *line, struct ftrace_event *event);

/*
 * Reads the fields of the event called @name from @args (what follows "name:"). Returns 1 with
 * @event filled in, 0 for a name it does not know, -EINVAL with @error filled in.
 */
int ftrace_parse_event(const char *name, char *args, const char *path, struct ftrace_event *event,
		       struct input_error *error);

#endif
