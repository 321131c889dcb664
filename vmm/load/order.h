/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In which order the areas of a phase come. */
#ifndef VMM_LOAD_ORDER_H
#define VMM_LOAD_ORDER_H

#include "vmm/load/workload.h"

/*
 * The uses of one round of @phase in the order in which they come: an index for each allocation,
 * *@count_out of them, free()d by the caller. NULL: no memory.
 */
uint32_t *order_of_uses(const struct workload_phase *phase, struct draw_random *random,
			uint64_t *count_out);

#endif
