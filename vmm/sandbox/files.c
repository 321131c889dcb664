/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Landlock: which files. The kernel's header may be older than the kernel, so that what is asked
 * for is written down here (Documentation/userspace-api/landlock.rst, its ABI versions 1 to 6).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/sandbox/private.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH      1

#define FS_EXECUTE    (UINT64_C(1) << 0)
#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE  (UINT64_C(1) << 2)
#define FS_READ_DIR   (UINT64_C(1) << 3)
#define FS_REMOVE     (UINT64_C(1) << 5)                    /* a file */
#define FS_MAKE       (UINT64_C(1) << 8 | UINT64_C(1) << 9) /* a regular file, a socket */
#define FS_FOLDERS    (UINT64_C(1) << 4 | UINT64_C(1) << 7) /* to remove and make them */
#define FS_ALL_1      ((UINT64_C(1) << 13) - 1)
#define FS_REFER      (UINT64_C(1) << 13) /* ABI 2: to another folder */
#define FS_TRUNCATE   (UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL_DEV  (UINT64_C(1) << 15) /* ABI 5 */
#define NET_ALL       UINT64_C(3)         /* ABI 4: TCP, to bind and to connect */
#define SCOPE_ALL     UINT64_C(3)         /* ABI 6: abstract sockets and signals, to others */

struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

int sandbox_landlock_abi(void)
{
	/* Asked once: the sandbox forbids the question. */
	static long abi = -1;

	if (abi < 0) {
		abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
		abi = abi > 0 ? abi : 0;
	}
	return (int)abi;
}

static struct ruleset handled(int abi)
{
	return (struct ruleset){
		.fs = FS_ALL_1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
		      (abi >= 5 ? FS_IOCTL_DEV : 0),
		.net = abi >= 4 ? NET_ALL : 0,
		.scoped = abi >= 6 ? SCOPE_ALL : 0,
	};
}

/* Allows @rights to what is at @path and below; as many of them as a file can have. */
static int allow(int ruleset, const char *path, uint64_t rights, struct error *error)
{
	const uint64_t of_files =
		FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV;
	struct path_beneath rule = {.allowed = rights, .fd = open(path, O_PATH | O_CLOEXEC)};
	struct stat status;
	int err = 0;

	if (rule.fd < 0)
		return 0; /* not there: nothing to allow */
	if (fstat(rule.fd, &status) == 0 && !S_ISDIR(status.st_mode))
		rule.allowed &= of_files;
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0)
		err = error_set(error, -errno, "Landlock: %.160s: %s", path, strerror(errno));
	close(rule.fd);
	return err;
}

static int add_rules(int ruleset, uint64_t known, const struct sandbox_config *config,
		     struct error *error)
{
	const uint64_t reads = FS_READ_FILE | FS_READ_DIR;
	const uint64_t writes = reads | FS_WRITE_FILE | FS_REMOVE | FS_MAKE | (known & FS_TRUNCATE);
	const struct {
		const char *path;
		uint64_t rights;
	} fixed[] = {
		{"/proc", reads},
		{"/sys", reads},
		{"/dev", reads},
		{"/dev/kvm", reads | FS_WRITE_FILE | (known & FS_IOCTL_DEV)},
		{"/dev/userfaultfd", reads | FS_WRITE_FILE | (known & FS_IOCTL_DEV)},
		{"/dev/null", reads | FS_WRITE_FILE},
		/* For the probe that finds the second stage's root (ept/live_probe.c); root's
		   alone. */
		{"/sys/kernel/tracing", writes | FS_FOLDERS},
		{"/sys/kernel/debug/tracing", writes | FS_FOLDERS},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed) && !err; i++)
		err = allow(ruleset, fixed[i].path, fixed[i].rights, error);
	for (size_t i = 0; i < config->nr_read && !err; i++)
		err = allow(ruleset, config->read[i], reads, error);
	for (size_t i = 0; i < config->nr_write && !err; i++)
		err = allow(ruleset, config->write[i], writes, error);
	return err;
}

int files_confine(const struct sandbox_config *config, struct error *error)
{
	int abi = sandbox_landlock_abi(), err;
	struct ruleset want = handled(abi);
	/* A kernel takes the fields it knows. */
	size_t size = abi >= 6 ? sizeof(want) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
	long ruleset;

	if (!abi)
		return 0;
	ruleset = syscall(SYS_landlock_create_ruleset, &want, size, 0);
	if (ruleset < 0)
		return error_set(error, -errno, "Landlock: %s", strerror(errno));
	err = add_rules((int)ruleset, want.fs, config, error);
	if (!err && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		err = error_set(error, -errno, "Landlock: %s", strerror(errno));
	close((int)ruleset);
	return err;
}
