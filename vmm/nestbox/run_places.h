/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Below which folders clients of nestbox run may have files written: the working directory, unless
 * that is "/", and what --dump-dir names.
 */
#ifndef VMM_NESTBOX_RUN_PLACES_H
#define VMM_NESTBOX_RUN_PLACES_H

#include <stddef.h>

#define RUN_PLACES_MAX 16

struct run_places {
	size_t count;
	const char *folder[RUN_PLACES_MAX]; /* of realpath(3); owned */
};

/* A cli_option's parse(): adds a folder. -EINVAL: there is none of that name, or no room. */
int run_places_parse(const char *text, void *value);

/* Adds the working directory, behind the others. */
void run_places_add_working(struct run_places *places);

void run_places_free(struct run_places *places);

#endif
