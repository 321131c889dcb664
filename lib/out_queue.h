/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text on its way to somebody who may not read it: a terminal that was stopped, a pipe nobody
 * drains, a disk that is full. Whoever says something puts it into a queue and goes on; a thread
 * writes it. What finds no room is dropped, whole writes at a time, counted, and said in the text
 * itself as soon as there is room again.
 */
#ifndef LIB_OUT_QUEUE_H
#define LIB_OUT_QUEUE_H

#include <stdint.h>
#include <stdio.h>

#include "lib/error.h"

/* No more waits to be written. */
#define OUT_QUEUE_BYTES (256u << 10)
/* So long the end waits for who reads. */
#define OUT_QUEUE_LINGER_SECONDS 1.0

struct out_queue;

/*
 * A queue to @fd, which becomes its own, on an error too. With @limit_bytes not 0, @fd is of the
 * regular file @path, opened by out_file_append(): before it grows beyond, it is renamed to @path
 * and ".1", in the place of a regular file of that name, and begun anew; where that fails, what is
 * beyond is dropped. Errors: -ENOMEM, pthread_create(3)'s, the reason in @error.
 */
int out_queue_create(int fd, const char *path, uint64_t limit_bytes, struct out_queue **queue_out,
		     struct error *error);

/* What is written to it, a line at a time, goes into the queue, and waits for nothing. Its own. */
FILE *out_queue_file(struct out_queue *queue);

/* Bytes dropped so far. Any thread. */
uint64_t out_queue_dropped(struct out_queue *queue);

/*
 * Writes what waits, for at most OUT_QUEUE_LINGER_SECONDS, and ends the queue; nobody may write to
 * its file any more. NULL is allowed.
 */
void out_queue_destroy(struct out_queue *queue);

/*
 * The queue to standard error, for what a guest says: made when it is first asked for, ended when
 * the program ends. stderr itself for want of memory.
 */
FILE *out_queue_stderr(void);

/*
 * From now on that queue, if it is made, writes to a copy of @fd: whoever leaves its terminal lets
 * go of it here too. Nobody may write to the queue meanwhile.
 */
void out_queue_stderr_move(int fd);

#endif
