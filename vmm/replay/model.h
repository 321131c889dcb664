/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An executor of replays without a guest: the model of Linux's vmap space (vmm/replay/space.h),
 * driven by the very requests that a guest gets. So a plan is carried out in milliseconds on any
 * host, and its addresses and its end state are judged and reported as a guest's are. What only a
 * guest has is not in it: page tables, memory that ends, the time an operation takes.
 */
#ifndef VMM_REPLAY_MODEL_H
#define VMM_REPLAY_MODEL_H

#include "vmm/replay/replay.h"

struct replay_model;

/* A new one, to be freed with replay_model_destroy(), which allows NULL; NULL without memory. */
struct replay_model *replay_model_create(void);
void replay_model_destroy(struct replay_model *model);

/*
 * Its interface. An audit checks the free tree (order, colours, summaries), and that the bytes in
 * use, lazy, pooled and free are together all of the space.
 */
struct replay_executor replay_model_interface(struct replay_model *model);

#endif
