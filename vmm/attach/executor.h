/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest as the executor of a replay: operations become hypercalls on vCPU 0, or each on that of
 * the CPU that did it; the final areas and the audits come from the inspector. It keeps what it
 * asked for, so that the audit can hold every area against its request.
 */
#ifndef VMM_ATTACH_EXECUTOR_H
#define VMM_ATTACH_EXECUTOR_H

#include "lib/error.h"
#include "vmm/audit/audit.h"
#include "vmm/machine/guest.h"
#include "vmm/replay/replay.h"

/* So many holes of a free tree's shape it takes: a word each, in the guest's data. */
#define GUEST_EXECUTOR_SHAPE_MAX (NB_DATA_BYTES / sizeof(uint64_t))

struct guest_executor;

/*
 * An executor on @guest, which stays the caller's, must outlive it and has been asked for nothing
 * yet: purging becomes manual. Errors: -EINVAL (the image's layout note), -ENOMEM,
 * -ENOTRECOVERABLE (the guest died).
 */
int guest_executor_create(struct guest *guest, struct guest_executor **executor_out,
			  struct error *error);
/*
 * From now on each operation goes to the vCPU of the CPU that did it in Linux (modulo the guest's
 * vCPUs), the next one when it is over: in the plan's order, as it was settled.
 */
void guest_executor_spread(struct guest_executor *executor);

void guest_executor_destroy(struct guest_executor *executor);

/* The interface replay_run() takes; good as long as the executor. */
struct replay_executor guest_executor_interface(struct guest_executor *executor);

#endif
