/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The areas that live while a workload is compiled, as a heap: the first to die is on top. */
#ifndef VMM_LOAD_LIVES_H
#define VMM_LOAD_LIVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct life {
	uint64_t death; /* the clock then; DRAW_PHASE, DRAW_FOREVER */
	uint64_t order; /* of its birth, among those of one death */
	uint32_t slot, pages, user;
	uint16_t tag;
	uint8_t class_index; /* the guest's */
	uint8_t kind;        /* enum workload_kind */
	uint8_t cpu;
	bool free_any;
};

/* A zeroed one is empty; free() its list. */
struct lives {
	struct life *list;
	size_t count;
};

/* Returns 0 or -ENOMEM. */
int lives_add(struct lives *lives, const struct life *life);

/* Takes the first to die; there is one. */
struct life lives_take(struct lives *lives);

#endif
