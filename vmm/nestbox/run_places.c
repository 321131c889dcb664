/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The folders clients may have files written to. */
#include "vmm/nestbox/run_places.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int run_places_parse(const char *text, void *value)
{
	struct run_places *places = value;
	char *folder = realpath(text, NULL);
	struct stat status;

	if (!folder || stat(folder, &status) != 0 || !S_ISDIR(status.st_mode)) {
		free(folder);
		return -EINVAL;
	}
	/* Options are read again where others come from a file. */
	for (size_t i = 0; i < places->count; i++) {
		if (strcmp(places->folder[i], folder) == 0) {
			free(folder);
			return 0;
		}
	}
	if (places->count == RUN_PLACES_MAX) {
		free(folder);
		return -EINVAL;
	}
	places->folder[places->count++] = folder;
	return 0;
}

void run_places_add_working(struct run_places *places)
{
	char here[PATH_MAX];

	if (realpath(".", here) && strcmp(here, "/") != 0)
		(void)run_places_parse(here, places);
}

void run_places_free(struct run_places *places)
{
	while (places->count > 0)
		free((char *)places->folder[--places->count]);
}
