/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cores of a guest of this process. */
#ifndef VMM_CORE_GUEST_H
#define VMM_CORE_GUEST_H

#include "vmm/core.h"
#include "vmm/guest.h"

/*
 * Writes a core of @guest to @path (core_write_file()), alive or dead. A guest that runs is
 * stopped meanwhile and goes on afterwards; one that was paused stays so. Of a dead guest, the
 * vCPU that failed is shown where it failed. @options may be NULL; failed, build_id and layout are
 * filled in here. Not while a batch is under way. Errors: as core_write_file(), guest_pause()'s.
 */
int core_write_guest(struct guest *guest, const char *path, const struct core_options *options,
		     struct core_sum *sum_out, struct ept_error *error);

/* The same to an open file. */
int core_write_guest_fd(struct guest *guest, int fd, const struct core_options *options,
			struct core_sum *sum_out, struct ept_error *error);

/*
 * For a program whose guest died, if guest_config.dump_path is set: writes the core there, once,
 * and says on stderr that it did, or why not. guest_destroy() does so too, so that no dead guest
 * goes without. Does nothing for a guest that lives. Returns whether there is a core.
 */
bool core_write_on_failure(struct guest *guest);

#endif
