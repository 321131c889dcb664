/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One vCPU: its KVM descriptor, its state at entry (guest/abi.h), and the thread that runs it.
 *
 * The thread runs the guest until it dies, the VM is told to end, or somebody asks for a pause;
 * every exit goes to exit_handle() (vmm/machine/exit.h). A vCPU leaves KVM_RUN for a pause with any
 * pending port write completed, so what KVM says of its registers is where the guest is.
 *
 * The kick that takes a thread out of KVM_RUN is SIGRTMIN, whose handler this file installs for the
 * whole process.
 *
 * Locking: run_mutex guards state, ending and held; everything else belongs to the vCPU's thread
 * while it runs, and to whoever paused it while it is parked.
 */
#ifndef VMM_MACHINE_VCPU_H
#define VMM_MACHINE_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/error.h"
#include "ept/paging.h"
#include "vmm/image/boot.h"

struct vm;

enum vcpu_state {
	VCPU_NEW,     /* no thread */
	VCPU_RUNNING, /* in KVM_RUN or handling an exit */
	VCPU_PARKED,  /* paused: waits until it may go on */
	VCPU_DEAD,    /* its thread has left the loop */
};

/* Who wants it parked: it runs when nobody does. */
#define VCPU_HELD_PAUSE 1u /* vcpu_pause() */
#define VCPU_HELD_DEBUG 2u /* the debugger (vmm/machine/debug.h) */

struct vcpu {
	struct vm *vm;
	unsigned int index; /* its KVM id, APIC id and index in the guest */
	int fd;
	struct kvm_run *run;
	size_t run_bytes;
	pthread_t thread;
	bool have_thread;
	pid_t thread_id; /* the kernel's number of it; atomic */
	pthread_mutex_t run_mutex;
	pthread_cond_t run_changed; /* state, ending or held */
	enum vcpu_state state;
	bool ending;       /* its thread is to leave the loop */
	unsigned int held; /* VCPU_HELD_*; written with run_mutex, read atomically without */
	bool exit_pending; /* KVM has yet to complete the last exit; the thread's own */
	/* KVM_SET_GUEST_DEBUG is both of these (vcpu_set_debug(), vcpu_set_step()). */
	struct kvm_guest_debug debug; /* the debugger's */
	uint32_t step;                /* KVM_GUESTDBG_*: that of a watch; 0: none */
};

/*
 * Makes vCPU @index of @vm, with CPUID from @cpuid (KVM_GET_SUPPORTED_CPUID, adjusted in a copy)
 * and its registers as guest/abi.h's ENTRY says. No thread yet. Errors: KVM's own, -ENOMEM.
 */
int vcpu_create(struct vm *vm, unsigned int index, const struct kvm_cpuid2 *cpuid,
		const struct boot *boot, struct vcpu **vcpu_out, struct error *error);

/* Its part that is state: CPUID and registers (vmm/machine/vcpu_state.c). */
int vcpu_set_entry(struct vcpu *vcpu, const struct kvm_cpuid2 *cpuid, const struct boot *boot,
		   struct error *error);

/* Ends the thread (vcpu_end()), closes and frees. NULL is allowed. */
void vcpu_destroy(struct vcpu *vcpu);

/* Starts the thread. Errors: pthread_create()'s. */
int vcpu_start(struct vcpu *vcpu, struct error *error);

/*
 * Asks the vCPU to park for @who (VCPU_HELD_*) and waits until it has, or is dead. Errors:
 * -ETIMEDOUT after @timeout_seconds, with the wish withdrawn. Calls of one @who do not nest.
 */
int vcpu_hold(struct vcpu *vcpu, unsigned int who, double timeout_seconds);
void vcpu_let_go(struct vcpu *vcpu, unsigned int who);

/* The same for VCPU_HELD_PAUSE. */
int vcpu_pause(struct vcpu *vcpu, double timeout_seconds);
void vcpu_resume(struct vcpu *vcpu);

/* From its own thread, while it handles an exit: it parks for @who before it runs again. */
void vcpu_hold_itself(struct vcpu *vcpu, unsigned int who);

/* Whether @who holds it. Any thread. */
bool vcpu_is_held(const struct vcpu *vcpu, unsigned int who);

/* Asks the thread to leave its loop, without waiting; vcpu_end() waits. */
void vcpu_ask_end(struct vcpu *vcpu);

/*
 * Waits until the thread has left its loop. Errors: -ETIMEDOUT after @timeout_seconds: KVM does
 * not let go of it.
 */
int vcpu_end(struct vcpu *vcpu, double timeout_seconds);

/*
 * Registers, of a vCPU that is parked or dead, or from its own thread. Errors: KVM's own.
 */
int vcpu_get_registers(struct vcpu *vcpu, struct kvm_regs *regs_out, struct kvm_sregs *sregs_out);

/*
 * What KVM_SET_GUEST_DEBUG is to do: for the debugger, and for one step of a watch (KVM_GUESTDBG_*,
 * 0: none). Each leaves the other's in place. On its thread, or while it is parked. Errors: KVM's.
 */
int vcpu_set_debug(struct vcpu *vcpu, const struct kvm_guest_debug *debug);
int vcpu_set_step(struct vcpu *vcpu, uint32_t step);

/* The rate of its time stamp counter; 0 where KVM does not say. */
uint64_t vcpu_tsc_khz(const struct vcpu *vcpu);

/* Its paging mode as those registers say. Errors: paging_mode_from_registers()'s. */
int vcpu_paging_mode(const struct vcpu *vcpu, const struct kvm_sregs *sregs,
		     struct paging_mode *mode_out);

#endif
