/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which guest a line of words is for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/nestctl/nestctl.h"

struct only {
	unsigned int count;
	char names[256], path[RUNTIME_PATH_BYTES];
};

static int count_guest(void *context, const char *name, const char *path)
{
	struct only *only = context;
	size_t used = strlen(only->names);
	int fd;

	if (runtime_connect(path, &fd, NULL) != 0) {
		runtime_remove_dead(path);
		return 0;
	}
	close(fd);
	only->count++;
	snprintf(only->path, sizeof(only->path), "%s", path);
	snprintf(only->names + used, sizeof(only->names) - used, "%s%s", used ? ", " : "", name);
	return 0;
}

int ctl_find_socket(const char *name, const char *socket, char path[RUNTIME_PATH_BYTES],
		    struct error *error)
{
	bool by_name = name != NULL, by_socket = socket != NULL;
	struct only only = {0};
	int err;

	name = name ?: getenv("NESTBOX_NAME");
	socket = socket ?: getenv("NESTBOX_SOCKET");
	if (socket && *socket && (by_socket || !by_name)) {
		snprintf(path, RUNTIME_PATH_BYTES, "%s", socket);
		return 0;
	}
	if (name && *name)
		return runtime_path(name, false, path, error);
	err = runtime_for_each(count_guest, &only, error);
	if (err)
		return err;
	if (only.count == 0)
		return error_set(error, -ENOENT, "no guest runs: nestbox run starts one");
	if (only.count > 1)
		return error_set(error, -EINVAL, "%u guests run (%.120s): say which with --name",
				 only.count, only.names);
	snprintf(path, RUNTIME_PATH_BYTES, "%s", only.path);
	return 0;
}
