/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kprobe event that catches roots, in a trace instance of this process's own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ept/live_private.h"

static int write_file(const char *path, const char *text, bool append)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | (append ? O_APPEND : 0));
	ssize_t wrote;
	int err = 0;

	if (fd < 0)
		return -errno;
	wrote = write(fd, text, strlen(text));
	if (wrote != (ssize_t)strlen(text))
		err = wrote < 0 ? -errno : -EIO;
	close(fd);
	return err;
}

static int find_tracefs(struct live_probe *probe, struct error *error)
{
	static const char *const places[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	char path[128];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/kprobe_events", places[i]);
		if (access(path, W_OK) == 0) {
			snprintf(probe->tracefs, sizeof(probe->tracefs), "%s", places[i]);
			return 0;
		}
		if (errno == EACCES || errno == EPERM)
			return error_set(error, -EPERM, "%s: the live tables are for root alone",
					 path);
	}
	return error_set(error, -EOPNOTSUPP,
			 "no kprobe events: mount -t tracefs tracefs /sys/kernel/tracing (the "
			 "kernel needs CONFIG_KPROBE_EVENTS)");
}

/* Writes @text to @file of the instance. */
static int set_in_instance(const struct live_probe *probe, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/instances/%s/%s", probe->tracefs, probe->name, file);
	return write_file(path, text, false);
}

static int set_event(const struct live_probe *probe, const char *function)
{
	char path[128], text[160];

	snprintf(path, sizeof(path), "%s/kprobe_events", probe->tracefs);
	/* The second and third argument, by the calling convention (System V AMD64 psABI). */
	snprintf(text, sizeof(text), "p:%s/load_root %s root=%%si:x64 level=%%dx:s32\n",
		 probe->name, function);
	return write_file(path, text, true);
}

static void remove_event(const struct live_probe *probe)
{
	char path[128], text[80];

	snprintf(path, sizeof(path), "%s/kprobe_events", probe->tracefs);
	snprintf(text, sizeof(text), "-:%s/load_root\n", probe->name);
	(void)write_file(path, text, true);
}

int live_probe_set(struct live_probe *probe, const char *function, struct error *error)
{
	char path[256], event[96];
	int err;

	err = find_tracefs(probe, error);
	if (err)
		return err;
	snprintf(probe->name, sizeof(probe->name), "nestbox_%d", (int)getpid());
	snprintf(path, sizeof(path), "%s/instances/%s", probe->tracefs, probe->name);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return error_set(error, -errno, "%s: %s", path, strerror(errno));
	probe->set = true;
	err = set_event(probe, function);
	if (err) {
		live_probe_remove(probe);
		return error_set(error, err == -EPERM ? -EPERM : -EOPNOTSUPP,
				 "cannot probe %s: %s (see /sys/kernel/security/lockdown, "
				 "CONFIG_KPROBES)",
				 function, strerror(-err));
	}
	snprintf(event, sizeof(event), "events/%s/load_root/enable", probe->name);
	err = set_in_instance(probe, event, "1");
	if (!err)
		err = set_in_instance(probe, "tracing_on", "1");
	if (err) {
		live_probe_remove(probe);
		return error_set(error, err, "cannot switch the probe on: %s", strerror(-err));
	}
	return 0;
}

void live_probe_remove(struct live_probe *probe)
{
	char path[256], event[96];

	if (!probe->set)
		return;
	snprintf(event, sizeof(event), "events/%s/load_root/enable", probe->name);
	(void)set_in_instance(probe, event, "0");
	snprintf(path, sizeof(path), "%s/instances/%s", probe->tracefs, probe->name);
	(void)rmdir(path);
	remove_event(probe);
	probe->set = false;
}

/* Whether @tid, as tracefs names it, is a thread of this process. */
static bool is_ours(int tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d", tid);
	return access(path, F_OK) == 0;
}

/*
 * One line: "  comm-TID  [CPU] flags  seconds: load_root: (function+0x0/0x..) root=0x... level=N".
 * The command may hold anything, so the thread is what stands before the last " [" ahead of it.
 */
static bool parse_hit(const char *line, int *tid_out, uint64_t *root_out, unsigned int *level_out)
{
	const char *event = strstr(line, ": load_root: ");
	const char *root = event ? strstr(event, " root=") : NULL;
	const char *at, *cpu = NULL;
	unsigned long long value;

	if (!root || sscanf(root, " root=%llx level=%u", &value, level_out) != 2)
		return false;
	for (at = line; at < event; at++)
		if (at[0] == ' ' && at[1] == '[')
			cpu = at;
	for (at = cpu; at && at > line && *at != '-'; at--)
		;
	if (!at || sscanf(at, "-%d", tid_out) != 1)
		return false;
	*root_out = value;
	return true;
}

int live_probe_last(const struct live_probe *probe, uint64_t *root_out, unsigned int *level_out,
		    struct error *error)
{
	int tid, err = -ENOENT;
	unsigned int level;
	char path[256], line[512];
	uint64_t root;
	FILE *file;

	snprintf(path, sizeof(path), "%s/instances/%s/trace", probe->tracefs, probe->name);
	file = fopen(path, "re");
	if (!file)
		return error_set(error, -errno, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		if (line[0] == '#' || !parse_hit(line, &tid, &root, &level) || !is_ours(tid))
			continue;
		*root_out = root;
		*level_out = level;
		err = 0;
	}
	fclose(file);
	return err ? error_set(error, err,
			       "KVM has handed no root to the processor since the probe was set")
		   : 0;
}
