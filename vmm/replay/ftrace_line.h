/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of a trace's reader, for vmm/replay/ftrace*.c alone: where in a line the task, the
 * CPU, the time and the event are, what the fields of an event say, which formats are no use, and
 * the process that decodes a trace.dat.
 */
#ifndef VMM_REPLAY_FTRACE_LINE_H
#define VMM_REPLAY_FTRACE_LINE_H

#include <sys/types.h>

#include "vmm/replay/ftrace.h"

/* Whose line it is. */
enum ftrace_format { FTRACE_FORMAT_NONE, FTRACE_FORMAT_KERNEL, FTRACE_FORMAT_PERF };

/*
 * Takes apart `TASK-PID [(TGID)] [CPU] [FLAGS] TIME: event` (tracefs, trace-cmd report) or
 * `TASK PID[/TID] [[CPU]] TIME: event` (perf script). A task's name may hold anything,
 * "-1 [000]" too; both pad it to 16 columns, so what follows column 16 is tried first. Fills in
 * task, pid, cpu and time_ns of @event, with where the event begins in *@rest_out; or returns
 * FTRACE_FORMAT_NONE.
 */
enum ftrace_format ftrace_parse_prefix(char *line, struct ftrace_event *event, char **rest_out);

/*
 * Reads the fields of the event called @name from @args (what follows "name:"). Returns 1 with
 * @event filled in; 0 for a name it does not know; 0 with *@lacking_out set to the field that an
 * event of a known name needs and has not; -EINVAL with @error filled in. A suffix the compiler
 * gave the name of a function (.llvm.1, .isra.0) does not count.
 */
int ftrace_parse_event(const char *name, char *args, const char *path, struct ftrace_event *event,
		       const char **lacking_out, struct input_error *error);

/* Whether ftrace_parse_event() knows @name. */
bool ftrace_knows_event(const char *name);

/* Refuses what is no text, by its first bytes. Returns 0 or -EINVAL with @error filled in. */
int ftrace_refuse_binary(struct line_reader *reader, struct input_error *error);

/* Whether these are the first bytes of a trace.dat. */
bool ftrace_is_dat(const void *bytes, size_t size);

/*
 * What a header line, or a line that is no trace line, gives away: a format that lacks what a
 * replay needs. Returns its name and the way out of it, or NULL.
 */
const char *ftrace_useless_header(const char *line);
const char *ftrace_useless_line(const char *line);

/*
 * Starts a process that decodes the trace.dat open as @fd, which it takes, and writes it as
 * `trace-cmd report -t` would, to *@pipe_out. Returns 0, or a negative errno with @error filled
 * in: -ENOTSUP where nestbox was built without libtracecmd. ftrace_dat_finish() waits for the
 * process once its text has ended, and returns 0 or -EINVAL with @error filled in; with @give_up
 * it ends it first, and returns 0.
 */
int ftrace_dat_start(int fd, const char *path, pid_t *process_out, int *pipe_out,
		     struct input_error *error);
int ftrace_dat_finish(pid_t process, bool give_up, const char *path, struct input_error *error);

#endif
