/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text that waits to be written: a ring of bytes, a stream that fills it, a thread that drains it.
 */
#include "lib/out_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/out_file.h"
#include "lib/thread.h"

/* Written at once: what a pipe takes whole when it takes any. */
#define PIECE_BYTES 4096u
#define NOTE_BYTES  128u

struct out_queue {
	int fd; /* the thread's */
	char *path;
	uint64_t limit_bytes, written_bytes; /* the thread's; of the file as it is now */
	FILE *file;
	pthread_t thread;

	pthread_mutex_t mutex;
	pthread_cond_t changed;
	char *bytes;            /* OUT_QUEUE_BYTES; mutex, all from here on */
	size_t start, used;     /* what waits: from start on, around the end */
	uint64_t untold, total; /* bytes dropped and not yet said so; of all times */
	bool failing;           /* the last write failed: of drops only the next text tells */
	bool ending;
};

/* ---- into the queue; with the mutex held ---- */

static void append(struct out_queue *queue, const char *bytes, size_t size)
{
	size_t at = (queue->start + queue->used) % OUT_QUEUE_BYTES;
	size_t first = size < OUT_QUEUE_BYTES - at ? size : OUT_QUEUE_BYTES - at;

	memcpy(queue->bytes + at, bytes, first);
	memcpy(queue->bytes, bytes + first, size - first);
	queue->used += size;
}

static void drop(struct out_queue *queue, size_t size)
{
	queue->untold += size;
	queue->total += size;
}

static void tell_drops(struct out_queue *queue)
{
	char note[NOTE_BYTES];
	int length = snprintf(note, sizeof(note),
			      "nestbox: %llu bytes of output are dropped here: nobody took them\n",
			      (unsigned long long)queue->untold);

	append(queue, note, (size_t)length);
	queue->untold = 0;
}

static ssize_t put(void *context, const char *bytes, size_t size)
{
	struct out_queue *queue = context;
	size_t note = 0;

	pthread_mutex_lock(&queue->mutex);
	note = queue->untold ? NOTE_BYTES : 0;
	if (size + note > OUT_QUEUE_BYTES - queue->used) {
		drop(queue, size);
	} else {
		if (note)
			tell_drops(queue);
		append(queue, bytes, size);
	}
	pthread_cond_signal(&queue->changed);
	pthread_mutex_unlock(&queue->mutex);
	return (ssize_t)size;
}

/* ---- out of it: the thread ---- */

/* Copies what comes next; 0: the end. */
static size_t take(struct out_queue *queue, char piece[PIECE_BYTES])
{
	size_t size, first;

	pthread_mutex_lock(&queue->mutex);
	while (!queue->used && !queue->ending && (!queue->untold || queue->failing))
		pthread_cond_wait(&queue->changed, &queue->mutex);
	if (!queue->used && queue->untold && !queue->failing)
		tell_drops(queue);
	size = queue->used < PIECE_BYTES ? queue->used : PIECE_BYTES;
	first = size < OUT_QUEUE_BYTES - queue->start ? size : OUT_QUEUE_BYTES - queue->start;
	memcpy(piece, queue->bytes + queue->start, first);
	memcpy(piece + first, queue->bytes, size - first);
	queue->start = (queue->start + size) % OUT_QUEUE_BYTES;
	queue->used -= size;
	pthread_mutex_unlock(&queue->mutex);
	return size;
}

/* Begins the file anew. False: what stands at the other name is no file, or it cannot be done. */
static bool rotate(struct out_queue *queue)
{
	struct stat there;
	char *old;
	bool done = false;
	int fd;

	if (asprintf(&old, "%s.1", queue->path) < 0)
		return false;
	if ((lstat(old, &there) != 0 || S_ISREG(there.st_mode)) && rename(queue->path, old) == 0) {
		fd = out_file_append(queue->path, NULL);
		done = fd >= 0;
		if (done) {
			close(queue->fd);
			queue->fd = fd;
			queue->written_bytes = 0;
		}
	}
	free(old);
	return done;
}

/* Returns how many bytes of @piece were written. The one place where the thread may be ended. */
static size_t write_piece(struct out_queue *queue, const char *piece, size_t size)
{
	size_t done = 0;
	ssize_t got = 0;

	if (queue->limit_bytes && queue->written_bytes + size > queue->limit_bytes &&
	    !rotate(queue))
		return 0;
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	while (done < size) {
		struct pollfd ready = {.fd = queue->fd, .events = POLLOUT};

		poll(&ready, 1, -1);
		got = write(queue->fd, piece + done, size - done);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			break;
		done += got > 0 ? (size_t)got : 0;
	}
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	queue->written_bytes += done;
	return done;
}

static void *drain(void *context)
{
	struct out_queue *queue = context;
	char piece[PIECE_BYTES];
	size_t size, done;

	thread_begin(THREAD_LOG);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	while ((size = take(queue, piece))) {
		done = write_piece(queue, piece, size);
		pthread_mutex_lock(&queue->mutex);
		queue->failing = done < size;
		if (done < size)
			drop(queue, size - done);
		pthread_mutex_unlock(&queue->mutex);
	}
	return NULL;
}

/* ---- life ---- */

/* Signals are the program's. */
static int start_thread(struct out_queue *queue)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&queue->thread, NULL, drain, queue);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

static void free_queue(struct out_queue *queue)
{
	if (queue->file)
		fclose(queue->file);
	if (queue->fd >= 0)
		close(queue->fd);
	pthread_cond_destroy(&queue->changed);
	pthread_mutex_destroy(&queue->mutex);
	free(queue->bytes);
	free(queue->path);
	free(queue);
}

int out_queue_create(int fd, const char *path, uint64_t limit_bytes, struct out_queue **queue_out,
		     struct error *error)
{
	const cookie_io_functions_t functions = {.write = put};
	struct out_queue *queue = calloc(1, sizeof(*queue));
	struct stat there;
	int err;

	if (!queue) {
		close(fd);
		return error_set(error, -ENOMEM, "no memory for output");
	}
	queue->fd = fd;
	queue->limit_bytes = limit_bytes;
	if (limit_bytes && fstat(fd, &there) == 0)
		queue->written_bytes = (uint64_t)there.st_size;
	pthread_mutex_init(&queue->mutex, NULL);
	clock_cond_init(&queue->changed);
	queue->path = strdup(path ? path : "");
	queue->bytes = malloc(OUT_QUEUE_BYTES);
	queue->file = fopencookie(queue, "w", functions);
	err = queue->path && queue->bytes && queue->file ? start_thread(queue) : -ENOMEM;
	if (err) {
		free_queue(queue);
		return error_set(error, err, "no thread for output: %s", strerror(-err));
	}
	setvbuf(queue->file, NULL, _IOLBF, PIECE_BYTES);
	*queue_out = queue;
	return 0;
}

FILE *out_queue_file(struct out_queue *queue)
{
	return queue->file;
}

uint64_t out_queue_dropped(struct out_queue *queue)
{
	uint64_t total;

	pthread_mutex_lock(&queue->mutex);
	total = queue->total;
	pthread_mutex_unlock(&queue->mutex);
	return total;
}

void out_queue_destroy(struct out_queue *queue)
{
	struct timespec end = clock_deadline(OUT_QUEUE_LINGER_SECONDS);

	if (!queue)
		return;
	fflush(queue->file);
	pthread_mutex_lock(&queue->mutex);
	queue->ending = true;
	pthread_cond_signal(&queue->changed);
	pthread_mutex_unlock(&queue->mutex);
	/* Who does not read until then does not keep us. */
	if (pthread_clockjoin_np(queue->thread, NULL, CLOCK_MONOTONIC, &end) != 0) {
		pthread_cancel(queue->thread);
		pthread_join(queue->thread, NULL);
	}
	free_queue(queue);
}

/* ---- standard error ---- */

static struct out_queue *to_stderr;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void end_stderr(void)
{
	out_queue_destroy(to_stderr);
	to_stderr = NULL;
}

static void begin_stderr(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	if (fd >= 0 && out_queue_create(fd, NULL, 0, &to_stderr, NULL) == 0)
		atexit(end_stderr);
}

FILE *out_queue_stderr(void)
{
	pthread_once(&once, begin_stderr);
	return to_stderr ? to_stderr->file : stderr;
}
