/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What guest.c (its life), ring.c (its hypercalls), guest_traps.c and guest_look.c (its memory)
 * share; guest_state.c, below them, has what is declared here and the accessors.
 *
 * Locks, in the order they are taken: a vCPU's call_mutex (one batch at a time), then lock (all
 * that is marked so, and the failure), then message_lock. A vCPU's thread takes lock and
 * message_lock only.
 */
#ifndef VMM_MACHINE_GUEST_PRIVATE_H
#define VMM_MACHINE_GUEST_PRIVATE_H

#include <pthread.h>
#include <time.h>

#include "vmm/machine/guest.h"
#include "vmm/machine/vm.h"

/* The host's end of one vCPU's rings. Indexes are the host's own: the guest cannot move them. */
struct ring {
	struct nb_vcpu_area *area; /* guest memory */
	pthread_mutex_t call_mutex;
	uint32_t sq_tail;
	uint32_t cq_head;
	bool online;                           /* it has answered once */
	pthread_cond_t changed;                /* with lock: signals, or the guest's death */
	uint64_t signals;                      /* lock: writes to NB_PORT_COMPLETE */
	const struct nb_submission *in_flight; /* lock: the caller's, nr_in_flight of them */
	size_t nr_in_flight;                   /* lock */
	uint64_t first_ticket;                 /* lock: user_data in the ring of in_flight[0] */
};

struct guest {
	int kvm_fd;
	struct kvm_host host;
	struct image image;
	struct memory_layout memory;
	struct gpa_space *space;
	struct boot boot;
	struct vm *vm;
	unsigned int nr_vcpus;
	double watchdog_seconds;                 /* 0 or less: none */
	double operation_seconds, total_seconds; /* the same */
	struct guest_times times;
	pthread_mutex_t pause_lock;   /* taken before all others */
	bool paused;                  /* pause_lock */
	guest_last_look_fn last_look; /* NULL: none, or it was called */
	void *last_look_context;
	bool traps, trap_uaf;
	unsigned int checks;  /* SOFT_CHECK_*, of the soft engine; else 0 */
	const char *coverage; /* or NULL */
	bool count_instructions;
	uint64_t coverage_start, coverage_end, *coverage_counts;
	bool scheduled;                 /* by a plan; set before the first vCPU runs */
	pthread_mutex_t schedule_mutex; /* then: of calls, one after another */
	bool together; /* guest_call_together() is under way: no doorbell rings twice */
	guest_access_fn access;
	void *access_context;
	struct uaf *uaf; /* or NULL */

	pthread_mutex_t lock;
	bool failed;                 /* lock */
	struct guest_report failure; /* lock until failed, then constant */
	uint64_t next_ticket;        /* lock; never 0 */

	pthread_mutex_t message_lock;
	guest_message_fn message;
	guest_died_fn died;
	void *message_context;
	uint64_t logs, warnings; /* atomics */

	struct ring rings[NB_MAX_VCPUS];
};

/*
 * Marks the guest dead with @report, unless it is already, and wakes everybody who waits. Takes
 * lock. Does not wait for any vCPU.
 */
void guest_fail(struct guest *guest, struct guest_report *report);

/* The submission with this ticket, if it is one of those in flight. With lock held. */
const struct nb_submission *guest_find_call(const struct ring *ring, uint64_t ticket);

/* The one that @vcpu says it is in, or NULL. With lock held. */
const struct nb_submission *guest_current_call(const struct guest *guest, unsigned int vcpu);

/* vmm/machine/guest_traps.c: those of its watches, of NB_PORT_FRAMES; and the trap they feed. */
extern const struct watch_ops guest_watch_ops;
int guest_on_frames(void *context, struct vcpu *vcpu, struct error *error);
int guest_make_uaf(struct guest *guest, struct error *error);

/*
 * vmm/machine/debug_history.c: what the host does to a guest's rings between these, of a debugged
 * guest on the soft engine, no vCPU sees half, and it is done at the newest step: it waits for
 * that. Returns whether anything is locked, for the end. Nothing else of the guest is called
 * between.
 */
bool guest_begin_exchange(struct guest *guest);
void guest_end_exchange(struct guest *guest, bool locked);

/* Has the past of such a guest know of the host's writes. Its context is the guest. */
extern const struct gpa_listener_ops guest_history_listener;

/* vmm/machine/checks.c: has the soft engine check what @guest asks for. */
int guest_start_checks(struct guest *guest, struct error *error);

/* The same of counting what is executed. */
int guest_start_coverage(struct guest *guest, struct error *error);

/* Turns go by @plan, from the first; no vCPU has begun. */
int guest_begin_plan(struct guest *guest, const struct soft_plan *plan, struct error *error);

#endif
