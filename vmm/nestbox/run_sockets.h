/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sockets of nestbox run: made by it, or given to it by who started it (socket activation:
 * sd_listen_fds(3)), and what becomes of them when a signal comes before anybody serves them. And
 * the word to who started it that they are served (sd_notify(3)). Both protocols are a line or two,
 * which is less than a library.
 */
#ifndef VMM_NESTBOX_RUN_SOCKETS_H
#define VMM_NESTBOX_RUN_SOCKETS_H

#include "vmm/wire/runtime.h"

/* The name of a given socket that is for looking (FileDescriptorName=look). */
#define RUN_SOCKETS_LOOK "look"

struct run_sockets {
	struct runtime_socket control, look; /* listen_fd of look may be -1: there is none */
	int notify_fd;                       /* -1: nobody wants to know */
};

/*
 * Opens the control socket at @path, and at @look_path, which may be NULL, one for who looks, mode
 * 0660. Given ones are taken in their place: the first that is not named RUN_SOCKETS_LOOK, and the
 * first that is. Errors: runtime_listen()'s, -EINVAL (what was given is no such socket, or does not
 * go with @look_path).
 */
int run_sockets_open(const char *path, const char *look_path, struct run_sockets *sockets_out,
		     struct error *error);

/* Whether who started this process gives it sockets. */
bool run_sockets_given(void);

/* Closes what is open, and takes away what was made. */
void run_sockets_close(struct run_sockets *sockets);

/* From here on SIGTERM, SIGINT and SIGHUP end the program and take the sockets away. */
void run_sockets_expect_signals(const struct run_sockets *sockets);

/* Tells who started it: "READY=1", "STOPPING=1". */
void run_sockets_notify(const struct run_sockets *sockets, const char *state);

#endif
