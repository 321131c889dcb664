/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trace-cmd's binary file, decoded by libtracecmd and libtraceevent into the text that
 * `trace-cmd report -t` makes of it; the events nobody here knows by name alone.
 *
 * The libraries were not made for files nobody vouches for, so they run in a process of their own,
 * with a bound on its time: whatever the bytes do to it, this one reads lines from a
 * pipe, and hears in the end whether all went well.
 */
#include "vmm/replay/ftrace_line.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_LIBTRACECMD
#include <trace-cmd.h>

/* CPU time for a file: far more than decoding takes, far less than a person waits. */
#define SECONDS_AT_LEAST 10
#define SECONDS_PER_MIB  1

/* How the process ends. */
enum { DAT_DONE = 0, DAT_CANNOT_OPEN = 40, DAT_CANNOT_READ, DAT_CANNOT_WRITE };

struct decoder {
	FILE *out;
	struct trace_seq text;
};

/* Names and texts may hold anything; here each is a part of one line. */
static void print_part(FILE *out, const char *text, size_t length)
{
	size_t i;

	while (length && text[length - 1] == '\n')
		length--;
	for (i = 0; i < length; i++)
		putc((unsigned char)text[i] < ' ' ? ' ' : text[i], out);
}

static void print_lost(struct decoder *decoder, const struct tep_record *record, int cpu)
{
	if (record->missed_events > 0)
		fprintf(decoder->out, "CPU:%d [%lld EVENTS DROPPED]\n", cpu, record->missed_events);
	else if (record->missed_events < 0)
		fprintf(decoder->out, "CPU:%d [EVENTS DROPPED]\n", cpu);
}

/* A callback of tracecmd_iterate_events_multi(). */
static int print_record(struct tracecmd_input *handle, struct tep_record *record, int cpu,
			void *context)
{
	struct decoder *decoder = context;
	struct tep_handle *tep = tracecmd_get_tep(handle);
	struct tep_event *event = tep_find_event_by_record(tep, record);
	int pid = tep_data_pid(tep, record);
	const char *task = tep_data_comm_from_pid(tep, pid);

	print_lost(decoder, record, record->cpu);
	putc(' ', decoder->out);
	print_part(decoder->out, task ? task : "<...>", strlen(task ? task : "<...>"));
	fprintf(decoder->out, "-%d [%03d] %llu.%09llu: ", pid, record->cpu, record->ts / 1000000000,
		record->ts % 1000000000);
	if (!event || !event->name) {
		fputs("(unknown):\n", decoder->out);
		return ferror(decoder->out);
	}
	print_part(decoder->out, event->name, strcspn(event->name, " :"));
	fputs(": ", decoder->out);
	if (ftrace_knows_event(event->name)) {
		trace_seq_reset(&decoder->text);
		tep_print_event(tep, &decoder->text, record, "%s", TEP_PRINT_INFO);
		print_part(decoder->out, decoder->text.buffer, decoder->text.len);
	}
	putc('\n', decoder->out);
	return ferror(decoder->out);
}

/* Events may be in buffers beside the first one (trace-cmd record -B). */
static int print_buffers(struct decoder *decoder, struct tracecmd_input *first)
{
	int count = tracecmd_buffer_instances(first), i, kept = 1, err;
	struct tracecmd_input **handles;

	handles = calloc((size_t)(count > 0 ? count : 0) + 1, sizeof(struct tracecmd_input *));
	if (!handles)
		return -ENOMEM;
	handles[0] = first;
	for (i = 0; i < count; i++) {
		handles[kept] = tracecmd_buffer_instance_handle(first, i);
		kept += handles[kept] != NULL;
	}
	err = tracecmd_iterate_events_multi(handles, kept, print_record, decoder);
	free(handles);
	return err;
}

static int decode(int fd, FILE *out)
{
	struct decoder decoder = {.out = out};
	struct tracecmd_input *handle;

	tracecmd_set_loglevel(TEP_LOG_NONE);
	tep_set_loglevel(TEP_LOG_NONE);
	handle = tracecmd_open_fd(fd, TRACECMD_FL_LOAD_NO_PLUGINS);
	if (!handle)
		return DAT_CANNOT_OPEN;
	trace_seq_init(&decoder.text);
	fprintf(out, "cpus=%d\n", tep_get_cpus(tracecmd_get_tep(handle)));
	if (print_buffers(&decoder, handle))
		return ferror(out) ? DAT_CANNOT_WRITE : DAT_CANNOT_READ;
	return fflush(out) ? DAT_CANNOT_WRITE : DAT_DONE;
}

static void limit(int fd)
{
	const struct rlimit none = {0, 0};
	struct rlimit seconds = {SECONDS_AT_LEAST, SECONDS_AT_LEAST};
	struct stat status;

	if (!fstat(fd, &status))
		seconds.rlim_cur += (rlim_t)(status.st_size >> 20) * SECONDS_PER_MIB;
	seconds.rlim_max = seconds.rlim_cur;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CPU, &seconds);
	setrlimit(RLIMIT_CORE, &none);
}

/* The process's whole life. */
static void run(int fd, int pipe_fd)
{
	int null = open("/dev/null", O_RDWR);
	FILE *out = fdopen(pipe_fd, "w");

	limit(fd);
	if (!out || null < 0)
		_exit(DAT_CANNOT_WRITE);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	lseek(fd, 0, SEEK_SET);
	_exit(decode(fd, out));
}

int ftrace_dat_start(int fd, const char *path, pid_t *process_out, int *pipe_out,
		     struct input_error *error)
{
	int ends[2], err = 0;
	pid_t process = -1;

	if (pipe2(ends, O_CLOEXEC)) {
		err = -errno;
		close(fd);
		input_fail(error, path, 0, "cannot be decoded: %s", strerror(-err));
		return err;
	}
	process = fork();
	if (process == 0) {
		close(ends[0]);
		run(fd, ends[1]);
	}
	if (process < 0) {
		err = -errno;
		input_fail(error, path, 0, "cannot be decoded: %s", strerror(-err));
		close(ends[0]);
	} else {
		*process_out = process;
		*pipe_out = ends[0];
	}
	close(ends[1]);
	close(fd);
	return err;
}

static int report_end(int status, const char *path, struct input_error *error)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	if (code == DAT_DONE)
		return 0;
	if (code == DAT_CANNOT_OPEN)
		return input_fail(
			error, path, 0,
			"libtracecmd cannot open this trace.dat: it is cut short, spoilt, "
			"or of a newer format; try trace-cmd report -i trace.dat > trace");
	if (WIFSIGNALED(status))
		return input_fail(error, path, 0,
				  "libtracecmd died of this trace.dat (signal %d): it is spoilt",
				  WTERMSIG(status));
	return input_fail(error, path, 0, "libtracecmd cannot read this trace.dat to its end");
}

int ftrace_dat_finish(pid_t process, bool give_up, const char *path, struct input_error *error)
{
	int status = 0;

	if (give_up)
		kill(process, SIGKILL);
	while (waitpid(process, &status, 0) < 0 && errno == EINTR)
		;
	return give_up ? 0 : report_end(status, path, error);
}

#else

int ftrace_dat_start(int fd, const char *path, pid_t *process_out, int *pipe_out,
		     struct input_error *error)
{
	close(fd);
	input_fail(
		error, path, 0,
		"this is trace-cmd's binary file (trace.dat), which this nestbox was built without "
		"libtracecmd to read; make text of it with: trace-cmd report -i trace.dat > trace");
	return -ENOTSUP;
}

int ftrace_dat_finish(pid_t process, bool give_up, const char *path, struct input_error *error)
{
	return 0;
}

#endif
