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
 * Locking: run_mutex guards state and wish; everything else belongs to the vCPU's thread while it
 * runs, and to whoever paused it while it is parked.
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

enum vcpu_wish { VCPU_RUN, VCPU_PAUSE, VCPU_END };

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
	pthread_cond_t run_changed; /* state or wish */
	enum vcpu_state state;
	enum vcpu_wish wish;
	bool exit_pending; /* KVM has yet to complete the last exit; the thread's own */
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
 * Asks the vCPU to park and waits until it has, or is dead. Errors: -ETIMEDOUT after
 * @timeout_seconds, with the wish withdrawn. Calls do not nest.
 */
int vcpu_pause(struct vcpu *vcpu, double timeout_seconds);
void vcpu_resume(struct vcpu *vcpu);

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

/* The rate of its time stamp counter; 0 where KVM does not say. */
uint64_t vcpu_tsc_khz(const struct vcpu *vcpu);

/* Its paging mode as those registers say. Errors: paging_mode_from_registers()'s. */
int vcpu_paging_mode(const struct vcpu *vcpu, const struct kvm_sregs *sregs,
		     struct paging_mode *mode_out);

#endif
