/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running guest as a source for the inspector: its memory, the layout note of its image, and
 * what this process told it when it started.
 */
#ifndef VMM_INSPECT_GUEST_H
#define VMM_INSPECT_GUEST_H

#include "vmm/guest.h"
#include "vmm/inspect.h"

/*
 * An inspector on @guest, which must outlive it. It reads the guest's memory in place: while a
 * batch runs, a mixture of moments (vmm/guest.h). Errors: layout_parse()'s, inspector_create()'s.
 * Pair with inspector_destroy().
 */
int inspector_create_for_guest(struct guest *guest, struct inspector **inspector_out,
			       struct ept_error *error);

#endif
