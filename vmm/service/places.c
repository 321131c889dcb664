/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the service writes what a client wants written: below folders it was started with. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/service/private.h"

/* Whether @path, which has no links in it, is @folder or lies below it. */
static bool is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	if (length == 1)
		return true; /* "/" */
	return strncmp(path, folder, length) == 0 && (path[length] == '/' || !path[length]);
}

int service_may_write(const struct service *service, const char *path, struct error *error)
{
	char folder[PATH_MAX], real[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (!service->nr_write_folders)
		return 0;
	if (*path != '/' || strlen(path) >= PATH_MAX)
		return error_set(error, -EINVAL, "%.160s is no absolute path", path);
	memcpy(folder, path, (size_t)(slash - path) + 1);
	folder[slash - path + 1] = '\0';
	if (!realpath(folder, real))
		return error_set(error, -errno, "%.160s: %s", folder, strerror(errno));
	for (size_t i = 0; i < service->nr_write_folders; i++)
		if (is_below(real, service->write_folders[i]))
			return 0;
	return error_set(error, -EACCES,
			 "%.160s: this guest's service writes below %.160s%s alone; nestbox run "
			 "--dump-dir DIR adds to them",
			 path, service->write_folders[0],
			 service->nr_write_folders > 1 ? " and other folders it was given" : "");
}
