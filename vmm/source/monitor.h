/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QEMU's monitor, whoever carries the words: its own socket, or libvirt. Private to vmm/source/.
 *
 * Only `info ...`, `gpa2hva`, `xp`, query-status and pmemsave are sent, and stop and cont where
 * they are asked for.
 */
#ifndef VMM_SOURCE_MONITOR_H
#define VMM_SOURCE_MONITOR_H

#include <jansson.h>
#include <sys/types.h>

#include "vmm/source/private.h"

struct monitor {
	/*
	 * Sends @command (QMP, an object, whose reference is kept) and waits for what it returns,
	 * a new reference. Errors: -EREMOTEIO with QEMU's words; -EPROTO, -EPIPE, -ETIMEDOUT.
	 */
	int (*ask)(struct monitor *monitor, json_t *command, json_t **return_out,
		   struct error *error);
	/* Reads physical memory; NULL: it cannot. */
	bool (*peek)(struct monitor *monitor, uint64_t gpa, void *buffer, size_t bytes);
	void (*close)(struct monitor *monitor);
	pid_t pid; /* of the process, as far as can be told; 0: unknown */
	const char *name;
};

/* Ends the connection. */
void monitor_close(struct monitor *monitor);

/* Asks @command with @arguments (whose reference is taken; NULL: none). */
int monitor_ask(struct monitor *monitor, const char *command, json_t *arguments,
		json_t **return_out, struct error *error);

/* A line of the human monitor; the text that it answers is the caller's. */
int monitor_human(struct monitor *monitor, const char *line, char **text_out, struct error *error);

/* Whether the guest is still there. Errors: ask()'s. */
int monitor_present(struct monitor *monitor, struct error *error);

int monitor_stop(struct monitor *monitor, struct error *error);
int monitor_continue(struct monitor *monitor, struct error *error);

/*
 * A source on @monitor, which becomes its own, also on error: RAM, the best way to read it,
 * registers. Errors: as source_open_qmp().
 */
int monitor_source(struct monitor *monitor, struct source **source_out, struct error *error);

/* The general registers, segments and control registers in `info registers` of one CPU. */
int monitor_registers(const char *text, struct inspect_registers *registers_out);

/*
 * The ranges of RAM in the text of `info mtree -f`: those of the view of the address space
 * "memory". Calls @range; returns its error, or -EPROTO where there are none.
 */
int monitor_ranges(const char *text, int (*range)(void *context, uint64_t start, uint64_t end),
		   void *context);

#endif
