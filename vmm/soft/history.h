/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way back: where a VM of this engine was before, as far as it was kept.
 *
 *      moment --turns--> moment --turns--> moment --turns--> now
 *      (whole state)                       (what of it changed)
 *
 * While a history is kept the engine writes down whose turn it was for how many steps
 * (instructions, and deliveries through the IDT), and keeps a moment wherever something came from
 * outside: an interrupt message, the host's write to memory, registers that were set; and every so
 * many steps. Between two moments a run depends on nothing but the state at the first, so that any
 * step of it can be had again: from the moment before it, by doing the same turns.
 *
 * Memory is kept as pages that were written, each once a moment. A history has a limit: the oldest
 * moments go first. What cannot be kept (a page the host wrote without a word before, a change of
 * slots or attributes, no memory) makes the history begin anew.
 *
 * Away from the newest step a VM does not run: KVM_RUN returns -EINTR. Interrupt messages wait for
 * the way back to it; the host's writes are kept for then.
 */
#ifndef VMM_SOFT_HISTORY_H
#define VMM_SOFT_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

/* Steps between two moments at most. */
#define SOFT_HISTORY_STRIDE 200000u

/* From now on, with at most @limit_bytes. Errors: -EBADF, -ENOMEM. */
int soft_history_begin(int vm_fd, uint64_t limit_bytes);

/* Goes to the newest step, if it is away, and keeps nothing more. Nothing where there is none. */
void soft_history_end(int vm_fd);

/*
 * The host writes [gpa, gpa + bytes) now and then: to be told before it does for the first time.
 * Errors: -EBADF, -EFAULT, -ENOMEM.
 */
int soft_history_keep(int vm_fd, uint64_t gpa, uint64_t bytes);

/* The host is about to write there, once: what it was is kept. */
void soft_history_will_write(int vm_fd, uint64_t gpa, uint64_t bytes);

/* It wrote there. */
void soft_history_wrote(int vm_fd, uint64_t gpa, uint64_t bytes);

/*
 * No vCPU has a turn between these: what the host writes there, and tells of, no vCPU sees half.
 * Nothing else of this engine may be called between them but what says so by its name. Nothing is
 * done, nor locked, where there is no VM of this engine's.
 */
void soft_history_lock(int vm_fd);
void soft_history_unlock(int vm_fd);
void soft_history_wrote_locked(int vm_fd, uint64_t gpa, uint64_t bytes);
bool soft_history_is_away_locked(int vm_fd);

/* Whether the VM is at another step than the newest. */
bool soft_history_is_away(int vm_fd);

/* Where a search ended: as KVM_EXIT_DEBUG says it, of a vCPU. */
struct soft_hit {
	unsigned int vcpu;
	uint8_t vector;
	uint64_t pc, dr6;
};

/* Asked now and then whether to give up. NULL: never. */
typedef bool (*soft_asked_fn)(void *context);

/*
 * All vCPUs are outside KVM_RUN, for these. Breakpoints and watched addresses are those of
 * KVM_SET_GUEST_DEBUG and soft_breakpoint(). Errors: -EBADF; -ENODATA: the oldest step, or the
 * newest, was reached and the VM is there; -EINTR: @asked said so, the VM is at some step between;
 * -EILSEQ: a run did not come out as it did before, the history has begun anew, the VM is at its
 * newest step; -ENOMEM.
 */

/* To before the last step of vCPU @vcpu. */
int soft_history_step_back(int vm_fd, unsigned int vcpu);

/*
 * To the last step before this one at which a breakpoint is, or by which a watched address was
 * touched: it is yet to be done.
 */
int soft_history_search_back(int vm_fd, soft_asked_fn asked, void *context,
			     struct soft_hit *hit_out);

/* To behind the next step of vCPU @vcpu. */
int soft_history_step(int vm_fd, unsigned int vcpu);

/* To the next step at which there is a breakpoint, or behind one by which an address was touched.
 */
int soft_history_search(int vm_fd, soft_asked_fn asked, void *context, struct soft_hit *hit_out);

#endif
