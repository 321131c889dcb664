/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the files of a recording are, as vmm/nestbox/recording.h says. */
#include "vmm/nestbox/recording.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *recording_file(const char *folder, const char *file)
{
	char *path;

	return asprintf(&path, "%s/%s", folder, file) < 0 ? NULL : path;
}

char *recording_name(const char *folder)
{
	size_t end = strlen(folder), start;

	while (end > 1 && folder[end - 1] == '/')
		end--;
	for (start = end; start > 0 && folder[start - 1] != '/';)
		start--;
	return strndup(folder + start, end - start);
}

char *recording_trace(const char *folder)
{
	static const char *const names[] = {"trace", "trace.dat", "trace.txt"};
	struct stat status;
	char *path;
	size_t i;

	if (!stat(folder, &status) && !S_ISDIR(status.st_mode))
		return strdup(folder);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path = recording_file(folder, names[i]);
		if (!path || !access(path, F_OK))
			return path;
		free(path);
	}
	return recording_file(folder, names[0]);
}
