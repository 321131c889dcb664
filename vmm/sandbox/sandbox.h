/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this process may still ask of the kernel once it deals with what is hostile: a guest, a
 * client, a trace. Four things, each by itself:
 *
 * seccomp   Each thread may do the system calls of its kind (lib/thread.h) and no other
 *           (vmm/sandbox/calls.c). None may execute a program, trace another process, change
 *           identity, mount, load a module or use a network. The thread that runs the guest opens
 *           nothing and has no socket. Source: seccomp(2), seccomp_rule_add(3).
 * Landlock  Files are written below the given folders alone, and read below the given ones and
 *           /proc, /sys and /dev. Where the kernel has it, as far as it has it; its absence is
 *           part of sandbox_words(). Source: Linux Documentation/userspace-api/landlock.rst.
 * rights    no_new_privs from the start. With sandbox_settle() capabilities go from every thread,
 *           but from those that look (THREAD_LOOK), which keep what reading the second stage's
 *           real tables takes: CAP_SYS_RAWIO (/proc/kcore), CAP_SYS_ADMIN (frame numbers in
 *           /proc/self/pagemap), CAP_SYSLOG (/proc/kallsyms).
 *
 * A forbidden call is not done: the process says which call of which thread it was, on standard
 * error and where sandbox_tell_also() says, and ends with SANDBOX_EXIT_STATUS. With SANDBOX_LOG
 * nothing is forbidden: the kernel logs what would have been (dmesg, audit: type=1326), Landlock
 * and the rights are left out.
 *
 * In a build with AddressSanitizer threads may also fork and trace, which is how its leak checker
 * works. Valgrind carries out a program's system calls itself and knows neither seccomp(2) nor
 * Landlock: there the sandbox is off and sandbox_words() says so (Valgrind is known by what it
 * preloads).
 *
 * One sandbox a process: what is known of it is global. Failing is not going on without.
 */
#ifndef VMM_SANDBOX_SANDBOX_H
#define VMM_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"
#include "lib/thread.h"

enum sandbox_mode { SANDBOX_ON, SANDBOX_LOG, SANDBOX_OFF };

#define SANDBOX_EXIT_STATUS 3
#define SANDBOX_FOLDERS_MAX 24
#define SANDBOX_WORDS_BYTES 160

struct sandbox_config {
	enum sandbox_mode mode;
	/* Folders, and for read files too; what does not exist is passed over. */
	size_t nr_write, nr_read;
	const char *write[SANDBOX_FOLDERS_MAX], *read[SANDBOX_FOLDERS_MAX];
};

/* Reads "on", "log" or "off" into an enum sandbox_mode; 0 or -EINVAL. */
int sandbox_parse(const char *text, void *value);

/*
 * Confines the process; the only thread calls it. Threads that begin later are confined further,
 * by their kind. Errors, with what to do in @error: seccomp_load(3)'s, landlock(7)'s, -ENOMEM.
 */
int sandbox_enter(const struct sandbox_config *config, struct error *error);

/*
 * The guest runs, all threads there will be were made: the calling thread, the main one, gives up
 * what only a start needs. Errors: as above. Nothing without sandbox_enter().
 */
int sandbox_settle(struct error *error);

/* A forbidden call is said on @fd as well, the sandbox's from now on; -1: no more. */
void sandbox_tell_also(int fd);

/* What is in force, for people: "on: seccomp, Landlock 6, no capabilities". Any thread. */
const char *sandbox_words(void);

/*
 * The version of Landlock's ABI this kernel has; 0: none. Before there is a second thread, or after
 * sandbox_enter().
 */
int sandbox_landlock_abi(void);

#endif
