/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running guest as the reader that the auditor's check "tlb" asks: it loads words through the
 * translations its CPUs have, by NB_OP_PROBE.
 */
#ifndef VMM_ATTACH_PROBE_H
#define VMM_ATTACH_PROBE_H

#include "vmm/audit/audit.h"
#include "vmm/machine/guest.h"

/* Good as long as @guest, which must not be paused while it is used, nor called by others. */
struct audit_prober probe_by_guest(struct guest *guest);

#endif
