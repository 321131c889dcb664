/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The calls ept/ makes to userfaultfd, and the only file of ept/ that makes any: thin, one ioctl
 * each. Addresses and sizes are multiples of 4096.
 * Source: Linux Documentation/admin-guide/mm/userfaultfd.rst, man 2 ioctl_userfaultfd.
 *
 * Every function that returns a number: 0 (or the count it says) or -errno. Private to ept/.
 */
#ifndef EPT_UFFD_H
#define EPT_UFFD_H

#include <stddef.h>
#include <sys/types.h>

#include "lib/error.h"
#include "ept/types.h"

/* What a range is registered for. */
#define UFFD_MISSING 0x1u /* no page in the file or memory */
#define UFFD_PROTECT 0x2u /* a write where uffd_protect() is on */
#define UFFD_MINOR   0x4u /* a page in the file, no entry in the page tables */

struct uffd_fault {
	uint64_t address; /* as exact as the kernel knows it */
	bool write;       /* KVM's own threads fault for writing whatever the guest does */
	bool protect;     /* UFFD_PROTECT */
	bool minor;       /* UFFD_MINOR */
	pid_t thread;     /* who waits; 0 when it is none of this process's PID namespace */
};

/*
 * Opens a userfaultfd that sees faults of the kernel's own accesses (KVM's are such), non-blocking.
 * @traps: with write protection and minor faults on shared memory (Linux 5.19). Errors: -EPERM,
 * -EOPNOTSUPP, the system's; the text says what to do.
 */
int uffd_open(bool traps, int *fd_out, struct error *error);

int uffd_register(int fd, void *at, uint64_t bytes, unsigned int modes);
int uffd_unregister(int fd, void *at, uint64_t bytes);

/*
 * These fill in pages and, with @wake, wake who waits for them. Returns how many bytes were done
 * from the start, at least a page, or -errno when not even the first was: -EEXIST (there is one
 * already), for uffd_continue() -EFAULT (the file has no page there).
 */
int64_t uffd_continue(int fd, void *at, uint64_t bytes, bool wake);
int64_t uffd_zero(int fd, void *at, uint64_t bytes, bool wake);
int64_t uffd_copy(int fd, void *at, const void *from, uint64_t bytes, bool wake);

/* Protection from writes on or off; off wakes who waits, with @wake. */
int uffd_protect(int fd, void *at, uint64_t bytes, bool on, bool wake);

int uffd_wake(int fd, void *at, uint64_t bytes);

typedef void (*uffd_fault_fn)(void *context, const struct uffd_fault *fault);

/*
 * Calls @on_fault with each fault, one after the other, until @stop (an eventfd) can be read, or
 * the memory's process has gone.
 */
void uffd_serve(int fd, int stop, uffd_fault_fn on_fault, void *context);

#endif
