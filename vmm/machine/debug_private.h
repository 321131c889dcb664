/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What debug.c (who runs), debug_points.c (where they stop), debug_memory.c (what is seen) and
 * debug_exit.c (a vCPU's thread) share.
 */
#ifndef VMM_MACHINE_DEBUG_PRIVATE_H
#define VMM_MACHINE_DEBUG_PRIVATE_H

#include <pthread.h>

#include "ept/types.h"
#include "guest/abi.h"
#include "vmm/machine/debug.h"
#include "vmm/machine/insn.h"
#include "vmm/machine/vm.h"

/* Older headers do not have it. */
#ifndef KVM_GUESTDBG_BLOCKIRQ
#define KVM_GUESTDBG_BLOCKIRQ 0x00100000
#endif

/* A vCPU that is not out of KVM by then does not come. */
#define DEBUG_HOLD_SECONDS 5.0

enum debug_way {
	DEBUG_PATCH,  /* INT3 in memory, debug registers */
	DEBUG_ENGINE, /* the soft engine's breakpoints, debug registers */
	DEBUG_LOOK,   /* each instruction is looked at, but for breakpoints debug registers hold */
};

struct debug_set_point {
	struct debug_point point;
	gpa_t gpa;                          /* SOFTWARE, but for DEBUG_LOOK */
	uint8_t saved;                      /* what the INT3 took the place of */
	uint8_t last[DEBUG_WATCH_SIZE_MAX]; /* READ, DEBUG_PATCH: what was there when it ran on */
};

struct debug_vcpu {
	struct debug_order order; /* constant while it runs */
	bool pending;             /* lock: it stopped, and nobody knows yet */
	struct debug_stop stop;   /* lock */
	/* Its thread's: the instruction it is about to do. */
	uint64_t rip, rflags;
	struct insn_access accesses[INSN_ACCESSES_MAX];
	size_t nr_accesses;
};

struct debug {
	struct guest *guest;
	struct vm *vm;
	enum debug_way way;
	bool blocks; /* steps keep interrupts off */
	int event_fd;
	bool stopped;
	bool told_dead;
	pthread_mutex_t lock;
	bool asked; /* lock: debug_interrupt() */
	bool died;  /* lock */
	struct debug_vcpu vcpus[NB_MAX_VCPUS];
	/* Constant while a vCPU runs. */
	struct debug_set_point points[DEBUG_POINTS_MAX];
	unsigned int nr_points;
	uint64_t dr[4], dr7;
	unsigned int dr_point[4]; /* of points; where dr7 has it on */
	bool looks;               /* DEBUG_LOOK: each instruction is looked at */
	bool has_history;
	bool (*asked_for)(void *context); /* debug_on_search() */
	void *asked_context;
};

/* debug.c */
void debug_wake(struct debug *debug);

/* debug.c: the stop is @stop, and debug_poll() says so. */
void debug_stop_here(struct debug *debug, const struct debug_stop *stop);

/* debug.c: tells vCPU @vcpu's KVM of the points, and of @order. Errors: KVM's own. */
int debug_arm_vcpu(struct debug *debug, unsigned int vcpu, const struct debug_order *order);

/* debug_history.c: begins and ends with the debugger. */
void debug_begin_history(struct debug *debug);
void debug_end_history(struct debug *debug);

/* Whether the guest is in the past; and what debug_resume() does there. */
bool debug_in_past(const struct debug *debug);
int debug_resume_past(struct debug *debug, const struct debug_order *orders);

/* debug_exit.c: the point that was met: the breakpoint at @pc, or what @dr6 says. */
const struct debug_set_point *debug_software_hit(struct debug *debug, unsigned int vcpu,
						 uint64_t pc);
const struct debug_set_point *debug_register_hit(struct debug *debug, unsigned int vcpu,
						 uint64_t dr6);

/* debug_points.c: debug registers for the points there are. Errors: -ENOSPC. */
int debug_arm(struct debug *debug);

/* What KVM_SET_GUEST_DEBUG is to be told for a vCPU with @order. */
struct kvm_guest_debug debug_control(const struct debug *debug, const struct debug_order *order);

/* Whether the access is one @point watches for. */
bool debug_watches(const struct debug_point *point, const struct insn_access *access);

/* debug_memory.c: where @address is for vCPU @vcpu. Errors: -EFAULT. */
int debug_translate(struct debug *debug, unsigned int vcpu, uint64_t address, gpa_t *gpa_out);

#endif
