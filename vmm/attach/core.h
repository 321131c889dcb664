/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cores of a guest of this process. */
#ifndef VMM_ATTACH_CORE_H
#define VMM_ATTACH_CORE_H

#include <stdbool.h>

#include "vmm/dump/core.h"
#include "vmm/machine/guest.h"

/*
 * Writes a core of @guest to @path (core_write_file()), alive or dead. A guest that runs is
 * stopped meanwhile and goes on afterwards; one that was paused stays so. Of a dead guest, the
 * vCPU that failed is shown where it failed. @options may be NULL; failed, build_id and layout are
 * filled in here. Not while a batch is under way. Errors: as core_write_file(), guest_pause()'s.
 */
int core_write_guest(struct guest *guest, const char *path, const struct core_options *options,
		     struct core_sum *sum_out, struct error *error);

/* The same to an open file. */
int core_write_guest_fd(struct guest *guest, int fd, const struct core_options *options,
			struct core_sum *sum_out, struct error *error);

/* The core of a guest, should it die: where it goes, and whether it got there. */
struct core_of_the_dead {
	const char *path; /* NULL: nowhere */
	bool written;
};

/*
 * A guest_last_look_fn for guest_config.last_look, whose context is a struct core_of_the_dead that
 * outlives the guest: writes the core and says on stderr that it did, or why not.
 */
void core_last_look(void *context, struct guest *guest);

#endif
