/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traps: pages of guest memory whose next access through the second stage is told to the VMM before
 * it happens. Grain 4 KiB. This process's reads and writes through region->host never trap.
 *
 * Where the VM can take rights from a page (ept_kvm_has_rights(): the soft engine), the second
 * stage's leaves are changed: an access ends KVM_RUN as under TRAP_FAIL below, with the address,
 * and nobody is asked before. Any RAM and ROM will do.
 *
 * Elsewhere userfaultfd does it, in regions made `trappable` alone (ept/gpa_space.h), whose memory
 * KVM has under an address of its own:
 *
 *      region->host       the VMM's mapping           always open
 *      region->slot_host  KVM's mapping of the same   page watched for any access: no page table
 *                         memory, userfaultfd's       entry, so that KVM must fault it in; for
 *                                                     writes: an entry, write-protected
 *
 * The contents stay in the memory file meanwhile. What KVM had in its own tables goes with the
 * entry, by its MMU notifier, so a watch holds from the moment trap_watch() returns.
 *
 * A thread of the set reads the faults. The owner of the set answers each:
 *   TRAP_LET    the access happens; the page is open until trap_arm()
 *   TRAP_HOLD   who touched it waits in the kernel, until trap_release()
 *   TRAP_FAIL   the access fails: KVM leaves KVM_RUN (with -EFAULT; KVM_EXIT_MEMORY_FAULT from
 * Linux 6.8 on; KVM_EXIT_MMIO where it emulates), and the vCPU's registers can be read. So does
 * every other access to the page, until trap_release().
 *
 * What a fault does not say: with an in-kernel APIC KVM may hand a fault to a kernel thread. Then
 * `thread` is not the vCPU's, and `write` is true whatever the guest did.
 *
 * Locking: any thread may call; the answering function must not. The removal of a region is the
 * caller's to serialise with calls that name its addresses.
 *
 * Source: Linux Documentation/admin-guide/mm/userfaultfd.rst.
 */
#ifndef EPT_TRAP_H
#define EPT_TRAP_H

#include <sys/types.h>

#include "lib/error.h"
#include "ept/gpa_space.h"

enum trap_access {
	TRAP_NONE = 0,
	TRAP_WRITE = 1, /* writes */
	TRAP_ANY = 2,   /* reads, writes and fetches */
};

struct trap_event {
	gpa_t gpa; /* as exact as the kernel knows it: KVM's accesses to the page only */
	enum trap_access watched;
	bool write;   /* see above */
	pid_t thread; /* see above */
};

enum trap_answer { TRAP_LET, TRAP_HOLD, TRAP_FAIL };

/* On the set's own thread. */
typedef enum trap_answer (*trap_fn)(void *context, const struct trap_event *event);

struct trap_set;

/*
 * A set of traps on @space, which must outlive it, of the VM behind @vm_fd (-1: none, userfaultfd
 * in any case). Errors: -EPERM and -EOPNOTSUPP (userfaultfd: the text says what to do), -ENOMEM.
 */
int trap_set_create(struct gpa_space *space, int vm_fd, trap_fn fn, void *context,
		    struct trap_set **set_out, struct error *error);

/* Opens all pages, wakes whoever waits, ends the thread. NULL is allowed. */
void trap_set_destroy(struct trap_set *set);

/*
 * Watches [start, end), pages of trappable RAM or ROM, in place of what was watched there. Errors:
 * -EINVAL (alignment, empty), -EFAULT (not memory), -EOPNOTSUPP (a region that is not trappable),
 * -ENOMEM, -EBUSY (another userfaultfd has the memory), the system's. On failure a part of the
 * range may be watched.
 */
int trap_watch(struct trap_set *set, gpa_t start, gpa_t end, enum trap_access access,
	       struct error *error);

/*
 * Ends the watch of [start, end), whatever of it was watched, and opens the pages; who waits there
 * goes on. Errors: -EINVAL, -EFAULT.
 */
int trap_unwatch(struct trap_set *set, gpa_t start, gpa_t end, struct error *error);

/* What the page that holds @gpa is watched for. */
enum trap_access trap_watched(struct trap_set *set, gpa_t gpa);

/* Opens the watched page that holds @gpa, and wakes who waits there. Errors: -ENOENT, the system's.
 */
int trap_release(struct trap_set *set, gpa_t gpa);

/* Closes an open page again that is still watched. Errors: -ENOENT, the system's. */
int trap_arm(struct trap_set *set, gpa_t gpa);

/* Faults told to the owner, and those answered without: of pages beside the watched ones. */
struct trap_counts {
	uint64_t events;
	uint64_t passed;
	uint64_t watched_pages;
};

void trap_counts(struct trap_set *set, struct trap_counts *counts_out);

#endif
