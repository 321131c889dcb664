/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the sandbox. */
#ifndef VMM_SANDBOX_PRIVATE_H
#define VMM_SANDBOX_PRIVATE_H

#include <seccomp.h>

#include "vmm/sandbox/sandbox.h"

/*
 * The filter of the whole program while it starts, and of a thread of @kind from then on: the
 * caller's, for seccomp_load(3). Errors: libseccomp's, with the call's name in @error.
 */
int calls_filter_start(enum sandbox_mode mode, scmp_filter_ctx *filter_out, struct error *error);
int calls_filter(enum thread_kind kind, enum sandbox_mode mode, scmp_filter_ctx *filter_out,
		 struct error *error);

/* Landlock, on the calling thread and those it makes. Errors: landlock_restrict_self(2)'s, ... */
int files_confine(const struct sandbox_config *config, struct error *error);

/* Gives the calling thread's capabilities up, those of looking kept if @looks. -errno. */
int rights_drop(bool looks);

#endif
