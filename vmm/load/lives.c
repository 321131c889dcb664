/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A binary heap of lives (vmm/load/lives.h). */
#include "vmm/load/lives.h"

#include <errno.h>

#include "lib/grow.h"

static bool dies_before(const struct life *a, const struct life *b)
{
	return a->death != b->death ? a->death < b->death : a->order < b->order;
}

int lives_add(struct lives *lives, const struct life *life)
{
	size_t at = lives->count;

	if (GROW(lives->list, lives->count))
		return -ENOMEM;
	for (; at && dies_before(life, &lives->list[(at - 1) / 2]); at = (at - 1) / 2)
		lives->list[at] = lives->list[(at - 1) / 2];
	lives->list[at] = *life;
	lives->count++;
	return 0;
}

struct life lives_take(struct lives *lives)
{
	struct life *heap = lives->list, first = heap[0], last = heap[--lives->count];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < lives->count) {
		if (child + 1 < lives->count && dies_before(&heap[child + 1], &heap[child]))
			child++;
		if (!dies_before(&heap[child], &last))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
	return first;
}
