/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running guest as a source for the inspector: its memory, the layout note of its image, and
 * what this process told it when it started.
 */
#ifndef VMM_ATTACH_INSPECTOR_H
#define VMM_ATTACH_INSPECTOR_H

#include "vmm/machine/guest.h"
#include "vmm/inspect/inspect.h"

/*
 * An inspector on @guest, which must outlive it. It reads the guest's memory in place: while a
 * batch runs, a mixture of moments (vmm/machine/guest.h). Errors: layout_parse()'s,
 * inspector_create()'s. Pair with inspector_destroy().
 */
int inspector_create_for_guest(struct guest *guest, struct inspector **inspector_out,
			       struct error *error);

/* A vCPU's registers as inspectors have them. */
struct inspect_registers inspector_registers(const struct kvm_regs *regs,
					     const struct kvm_sregs *sregs);

#endif
