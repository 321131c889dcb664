/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks of what a guest does to its memory, on every access. Each is a bit; a guest that fails one
 * leaves KVM_RUN with KVM_EXIT_INTERNAL_ERROR, suberror SOFT_SUBERROR_CHECK, before the access
 * happens, and soft_finding() says what it was: both sides of it, who does this now (the vCPU's
 * registers are where it is) and who freed or unmapped the memory before.
 *
 * The interpreter's lines carry most of them: a line leads to a page only while the page may be
 * used so. What makes that untrue takes the line away: a frame that is given up, a store in a frame
 * the processor walked through as a page table. So an access that goes straight costs nothing, and
 * the checks are made where a line is filled.
 */
#ifndef VMM_SOFT_CHECK_H
#define VMM_SOFT_CHECK_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An access by a translation that the tables no longer give; a walk from a table they no longer
 * lead to. */
#define SOFT_CHECK_STALE (1u << 0)
/* An access, by whatever address or by the page walker, to a frame the guest has given up. */
#define SOFT_CHECK_FREED (1u << 1)
/* Supervisor memory that may be both written and executed. */
#define SOFT_CHECK_WX (1u << 2)
/* A page that is not mapped, behind one that is: something ran over its end. */
#define SOFT_CHECK_GUARD (1u << 3)
/* The same below the stack pointer's page: the stack did. */
#define SOFT_CHECK_STACK (1u << 4)
#define SOFT_CHECKS      5
#define SOFT_CHECK_ALL   ((1u << SOFT_CHECKS) - 1)

/* "stale", "freed", ... of one bit. */
const char *soft_check_name(unsigned int check);

#define SOFT_SUBERROR_CHECK 0x6e62u

/*
 * What the engine must know of the guest. Its page allocator says what becomes of frames by an OUT
 * to a port, which does not leave then: beforehand the vCPU's list is filled, a uint32_t count at
 * frames_gpa[vCPU], then, behind 8 bytes, as many pairs of uint32_t: first frame, how many, with
 * SOFT_FRAMES_TAKEN if they are handed out.
 */
#define SOFT_FRAMES_TAKEN 0x80000000u
#define SOFT_CHECK_EXEMPT 4

struct soft_check_config {
	unsigned int checks;
	uint64_t ram_end;     /* no RAM from here on */
	uint64_t direct_base; /* where the guest maps RAM for itself: only a hint for speed */
	uint16_t frames_port; /* 0: none */
	unsigned int nr_lists, runs_max;
	uint64_t frames_gpa[64];
	/* Addresses of instructions that may do anything: those of which the guest itself expects
	 * that they fault. */
	unsigned int nr_exempt;
	uint64_t exempt[SOFT_CHECK_EXEMPT];
};

/*
 * Before the VM's vCPUs run for the first time. Errors: -EBADF (no VM of this engine's), -EBUSY (it
 * has checks already), -EINVAL (@config), -ENOMEM.
 */
int soft_check_start(int vm_fd, const struct soft_check_config *config);

#define SOFT_PAST_STACK 1536

/* An earlier moment: registers, and what was on the stack from RSP on, for an unwinder. */
struct soft_past {
	bool known;           /* false: it is so long ago that it was forgotten, all below is 0 */
	uint64_t instruction; /* of all vCPUs, since the VM's start */
	unsigned int vcpu;
	struct kvm_regs regs;
	uint32_t stack_bytes;
	uint8_t stack[SOFT_PAST_STACK];
};

struct soft_finding {
	unsigned int check; /* SOFT_CHECK_*, one */
	uint64_t instruction;
	uint64_t gva, gpa;
	uint32_t bytes; /* 0: not known, somewhere in the page */
	bool write, fetch, user;
	bool table;       /* it is the page walker that touches gpa, on its way to gva */
	uint64_t now_gpa; /* STALE: what the tables say; UINT64_MAX: nothing, or without that right
			   */
	struct soft_past past;
};

/* Of a vCPU that left so. Errors: -EBADF, -ENOENT (it did not). */
int soft_finding(int vcpu_fd, struct soft_finding *finding_out);

#endif
