/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One guest twice, on the kernel's KVM and on the soft engine, side by side: instruction by
 * instruction with all registers compared after each, or freely from one exit to the next.
 *
 * Both have one vCPU, the soft engine's CPUID, the same memory, and no thread: the test's runs
 * them. The host's only word to them, the doorbell, is said while both are halted, so nothing
 * comes in between but what the guest does itself. Where they must differ the soft side is given
 * what the kernel's has: the time stamp counter.
 *
 * A difference is printed and aborts the test (ck_abort).
 */
#ifndef TESTS_MACHINE_LOCKSTEP_H
#define TESTS_MACHINE_LOCKSTEP_H

#include <stdbool.h>

#include "guest/abi.h"
#include "vmm/image/image.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/vm.h"

struct lockstep_side {
	const char *name;
	int kvm_fd;
	struct kvm_host host;
	struct gpa_space *space;
	struct boot boot;
	struct vm *vm;
	struct nb_vcpu_area *area;
	uint32_t port, value; /* of the last OUT */
};

struct lockstep {
	struct image image;
	struct lockstep_side kernel, soft;
	uint32_t submitted;
	uint64_t steps; /* compared so far */
	uint64_t lost;  /* times that the kernel's KVM did not stop where it was to */
};

/* Both sides before the first instruction of a guest of @memory_bytes. */
void lockstep_open(struct lockstep *pair, uint64_t memory_bytes);
void lockstep_close(struct lockstep *pair);

/*
 * Has the guest carry out @count hypercalls (up to NB_RING_ENTRIES), up to @steps instructions of
 * it in lockstep; both are halted again afterwards. The first call is what the guest boots for.
 * @answers is what both gave.
 */
void lockstep_call(struct lockstep *pair, const struct nb_submission *calls, uint32_t count,
		   uint64_t steps, struct nb_completion *answers);

/*
 * Compares all of guest memory. Words may differ that hold a time stamp: in completions; and, up to
 * @stamps of them, anywhere.
 */
void lockstep_compare_memory(struct lockstep *pair, unsigned int stamps);

#endif
