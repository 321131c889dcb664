/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order of a phase's uses (vmm/load/order.h). */
#include "vmm/load/order.h"

#include <errno.h>
#include <stdlib.h>

/* As Bresenham draws lines: whoever is furthest behind its share is next. */
static int order_evenly(const struct workload_phase *phase, uint64_t count, uint32_t *order)
{
	double *given = calloc(phase->nr_uses, sizeof(*given));

	if (!given)
		return -ENOMEM;
	for (uint64_t at = 0; at < count; at++) {
		double share = (double)(at + 1) / (double)count, most = -1;

		for (size_t i = 0; i < phase->nr_uses; i++) {
			double due = phase->uses[i].count * share - given[i];

			if (due > most) {
				most = due;
				order[at] = (uint32_t)i;
			}
		}
		given[order[at]]++;
	}
	free(given);
	return 0;
}

uint32_t *order_of_uses(const struct workload_phase *phase, struct draw_random *random,
			uint64_t *count_out)
{
	uint64_t count = 0, at = 0;
	uint32_t *order;

	for (size_t i = 0; i < phase->nr_uses; i++)
		count += phase->uses[i].count;
	order = calloc(count + 1, sizeof(*order));
	*count_out = count;
	if (!order)
		return NULL;
	if (phase->order == WORKLOAD_EVEN) {
		if (!order_evenly(phase, count, order))
			return order;
		free(order);
		return NULL;
	}
	for (size_t i = 0; i < phase->nr_uses; i++)
		for (uint32_t j = 0; j < phase->uses[i].count; j++)
			order[at++] = (uint32_t)i;
	for (; at > 1 && phase->order == WORKLOAD_SHUFFLED; at--) {
		uint64_t other = draw_below(random, at);
		uint32_t one = order[at - 1];

		order[at - 1] = order[other];
		order[other] = one;
	}
	return order;
}
