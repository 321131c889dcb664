/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What session.c and query.c share. */
#ifndef VMM_GDB_SESSION_PRIVATE_H
#define VMM_GDB_SESSION_PRIVATE_H

#include "vmm/gdb/session.h"

/* QEMU's bits of "sstep". */
#define GDB_STEP_ENABLE  1u
#define GDB_STEP_NOIRQ   2u
#define GDB_STEP_NOTIMER 4u
#define GDB_STEP_ALL     (GDB_STEP_ENABLE | GDB_STEP_NOIRQ | GDB_STEP_NOTIMER)

/* @text is what follows the command's name. */
typedef enum gdb_next (*gdb_command_fn)(struct gdb_session *session, struct gdb_text *text,
					struct gdb_answer *answer);

/* By how a packet begins; the first that fits; ended by one without a name. */
struct gdb_command {
	const char *name;
	gdb_command_fn run;
};

extern const struct gdb_command gdb_queries[], gdb_accesses[];

/* Answers. Both return GDB_SEND. */
enum gdb_next gdb_error(struct gdb_answer *answer, int err);
enum gdb_next gdb_ok(struct gdb_answer *answer);

/* "ADDRESS,SIZE" of a packet. */
bool gdb_take_range(struct gdb_text *text, uint64_t *address, uint64_t *size);

/* "p1.2", "2", "p1.-1", "-1", "p1": -1 for all, 0 for any. */
bool gdb_take_thread(struct gdb_text *text, int64_t *thread_out);
bool gdb_thread_cpu(const struct gdb_session *session, int64_t thread, unsigned int *cpu_out);
void gdb_put_thread(const struct gdb_session *session, unsigned int cpu, struct gdb_answer *answer);

#endif
