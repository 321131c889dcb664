/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks of what a guest does to its memory, on every access. Each is a bit; a guest that fails one
 * leaves KVM_RUN with KVM_EXIT_INTERNAL_ERROR, suberror SOFT_SUBERROR_CHECK, before the access
 * happens, and soft_finding() says what it was: both sides of it, who does this now (the vCPU's
 * registers are where it is) and who freed or unmapped the memory before.
 *
 * The interpreter's lines carry most of them: a line leads to a page only while the page may be
 * used so. What makes that untrue takes the line away: a frame that is given up, a store in an
 * entry the processor walked through. So an access that goes straight costs nothing, and the checks
 * are made where a line is filled. Where some words of a page must be looked at the line says which
 * (struct soft_careful).
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
/* An access, by whatever address or by the page walker, to a frame that nobody owns, or to an
 * object of a slab that nobody does. */
#define SOFT_CHECK_FREED (1u << 1)
/* Supervisor memory that may be both written and executed. */
#define SOFT_CHECK_WX (1u << 2)
/* A page that is not mapped, behind one that is: something ran over its end. */
#define SOFT_CHECK_GUARD (1u << 3)
/* The same below the stack pointer's page: the stack did. */
#define SOFT_CHECK_STACK (1u << 4)
/* Two processors touch the same bytes, one of them writes, and nothing orders them. */
#define SOFT_CHECK_RACE (1u << 5)
#define SOFT_CHECKS     6
#define SOFT_CHECK_ALL  ((1u << SOFT_CHECKS) - 1)

/* "stale", "freed", ... of one bit. */
const char *soft_check_name(unsigned int check);

#define SOFT_SUBERROR_CHECK 0x6e62u

/*
 * How the guest keeps who owns its memory. The engine reads it there, when it is written: the guest
 * does nothing for it. One structure a frame, in an array by frame number; in it a state and the
 * order of the block the frame is the first of, a byte each of one word; of a slab its cache and
 * its free list, a word each. A free object's first word links it to the next. A CPU takes a slab's
 * list over whole, into its own word of the cache, and gives and takes objects there.
 */
struct soft_frames_layout {
	uint64_t array;       /* linear address; 0: not known, and nothing is freed */
	uint32_t frame_bytes; /* of a structure: a power of two from 16 on; 0: not known */
	uint32_t state, order, owner, freelist; /* offsets in it */
	uint32_t owned_states, free_states;     /* a bit a state; others say nothing */
	uint32_t slab_state;
	uint32_t object_bytes, cpu_lists; /* offsets in a cache: uint32_t; the first CPU's word */
	uint32_t cpu_list_bytes;          /* from one CPU's to the next; 0: slabs are not known */
};

/* What an instruction may do that others may not. */
enum soft_mark_kind {
	SOFT_MARK_NONE,
	SOFT_MARK_EXEMPT,    /* anything: of it the guest itself expects that it faults */
	SOFT_MARK_ALLOCATOR, /* touch what is free */
	SOFT_MARK_RELAXED,   /* touch what others touch meanwhile */
	SOFT_MARK_ACQUIRE,   /* the same, and is ordered after what the one it reads from did */
	SOFT_MARK_RELEASE,   /* the same, and whatever was done before is ordered before it */
	SOFT_MARKS
};

struct soft_mark {
	uint64_t address; /* of the instruction */
	uint32_t kind;
};

struct soft_range {
	uint64_t start, end; /* guest-physical, whole pages */
};

struct soft_check_config {
	unsigned int checks;
	uint64_t ram_end;     /* no RAM from here on */
	uint64_t direct_base; /* where the guest maps RAM for itself */
	struct soft_frames_layout frames;
	const struct soft_range *reserved; /* what somebody owns from the start; copied */
	size_t nr_reserved;
	struct soft_range shared;      /* with the host: RACE, for what orders the two */
	uint64_t code_start, code_end; /* of the marks */
	const struct soft_mark *marks; /* copied; those outside are left out */
	size_t nr_marks;
};

#define SOFT_CHECK_CODE_MAX (64u << 20)

/*
 * Before the VM's vCPUs run for the first time. Errors: -EBADF (no VM of this engine's), -EBUSY (it
 * has checks already), -EINVAL (@config), -ENOMEM.
 */
int soft_check_start(int vm_fd, const struct soft_check_config *config);

#define SOFT_PAST_STACK 640

/* An earlier moment: registers, and what was on the stack from RSP on, for an unwinder. */
struct soft_past {
	bool known;           /* false: it was forgotten, or never noted; all below is 0 */
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
	bool table;            /* it is the page walker that touches gpa, on its way to gva */
	bool never;            /* FREED: it never had an owner; there is no past then */
	uint32_t object_bytes; /* FREED: of a slab's object that holds gpa; 0: the whole frame */
	uint64_t now_gpa; /* STALE: what the tables say; UINT64_MAX: nothing, or without that right
			   */
	/* RACE: what the other did, at @past, of which RIP alone is known. @bytes, @gva and @gpa
	 * are of the first 8 bytes in which the two meet. */
	bool other_wrote, other_marked;
	struct soft_past past;
};

/* Of a vCPU that left so. Errors: -EBADF, -ENOENT (it did not). */
int soft_finding(int vcpu_fd, struct soft_finding *finding_out);

#endif
