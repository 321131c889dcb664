/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this room share. */
#ifndef VMM_LOOK_PRIVATE_H
#define VMM_LOOK_PRIVATE_H

#include "vmm/look/look.h"

/* NR_ZONES is at most 5 (vmm/inspect/layout.h). */
#define LOOK_ZONES_MAX 5

/* The struct vm_struct at @vm, as the area of a busy tile. False where it cannot be read. */
bool look_read_vm(struct inspector *inspector, uint64_t vm, struct inspect_area *area_out);

#endif
