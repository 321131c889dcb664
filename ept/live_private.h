/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of ept/live.h share: the probe (live_probe.c), kcore (live_kcore.c), the walk. */
#ifndef EPT_LIVE_PRIVATE_H
#define EPT_LIVE_PRIVATE_H

#include "ept/live.h"

/* ---- the probe ---- */

struct live_probe {
	bool set;
	char tracefs[64];
	char name[48]; /* of the instance and of the event's group */
};

/* @function: what is probed; its second and third argument are taken. Errors: live_open()'s. */
int live_probe_set(struct live_probe *probe, const char *function, struct error *error);
void live_probe_remove(struct live_probe *probe);

/* The last hit by a thread of this process. Errors: -ENOENT, the system's. */
int live_probe_last(const struct live_probe *probe, uint64_t *root_out, unsigned int *level_out,
		    struct error *error);

/* ---- the host's memory ---- */

struct kcore;

/* Errors: -EPERM, -EOPNOTSUPP, -ENOMEM, the system's. */
int kcore_open(struct kcore **kcore_out, struct error *error);
void kcore_close(struct kcore *kcore);

/*
 * The page of host-physical memory at @hpa, as it was when first asked for since kcore_forget(), or
 * NULL: no memory there, or not readable.
 */
const uint64_t *kcore_page(struct kcore *kcore, hpa_t hpa);
void kcore_forget(struct kcore *kcore);

#endif
