/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A gdb stub for a running guest, on a UNIX socket: "target remote PATH".
 *
 * A client stops the guest by coming and has it to itself: a second one is sent away. When it goes,
 * however it goes, its breakpoints are taken away and the guest runs on. A client that does not
 * take its answers for GDB_SEND_SECONDS has gone.
 *
 * Threads: one, from gdb_server_create() to gdb_server_destroy().
 */
#ifndef VMM_GDB_SERVER_H
#define VMM_GDB_SERVER_H

#include "lib/error.h"
#include "vmm/gdb/packet.h"

#define GDB_SEND_SECONDS 5

struct guest;
struct gdb_server;

struct gdb_server_config {
	struct guest *guest; /* must outlive the server */
	const char *path;    /* of the socket */
	/* "monitor TEXT": writes lines. On the server's thread. NULL: there is none. */
	void (*monitor)(void *context, const char *text, struct gdb_answer *lines);
	void *context;
};

/* Errors: runtime_listen()'s, -ENOMEM, pthread_create(3)'s. */
int gdb_server_create(const struct gdb_server_config *config, struct gdb_server **server_out,
		      struct error *error);

/* Sends the client away and takes the socket away. NULL is allowed. */
void gdb_server_destroy(struct gdb_server *server);

/* The socket's path. */
const char *gdb_server_path(const struct gdb_server *server);

#endif
