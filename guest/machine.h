/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one object everything in the guest hangs from: the core's struct mm, each CPU's own data,
 * and what the host said at boot. It is zero when the guest is entered, and lies at a fixed
 * address, so that the layout note can name it (guest/layout.h).
 */
#ifndef GUEST_MACHINE_H
#define GUEST_MACHINE_H

#include "guest/abi.h"
#include "guest/cpu.h"
#include "mm/mm.h"
#include "mm/spinlock.h"
#include "mm/types.h"

_Static_assert(NB_MAX_VCPUS == MAX_CPUS && NB_MAX_VCPUS == GDT_MAX_CPUS, "as many CPUs everywhere");
_Static_assert(NB_VECTOR_DOORBELL == VECTOR_DOORBELL, "assembly knows the doorbell by this name");

/* struct cpu.state; a CPU only ever goes forward. */
enum cpu_state {
	CPU_ABSENT = 0,
	CPU_WAITING = 1, /* takes interrupts; waits for machine.ready */
	CPU_ONLINE = 2,  /* uses the core; flushes its TLB when asked */
};

struct hypercall_deferred;

/* What the core asked of caches on one CPU (guest/arch.c). */
struct cache_record {
	u64 nr;         /* flush_cache_vmap() or flush_cache_vunmap() calls */
	u64 start, end; /* of the last */
};

/* One CPU's own data; GS points at it. Others read id, apic_id and state. */
struct cpu {
	struct cpu *self; /* at offset 0, see this_cpu() */
	u32 id;
	u32 apic_id;
	u32 state; /* enum cpu_state */
	u32 trap_depth;
	u32 refused_tail; /* with refused: the sq_tail that was reported as nonsense */
	bool refused;
	struct cache_record cache_vmap, cache_vunmap;
	u32 skip_flushes; /* so many flushes to come are not done (NB_OP_TEST_SKIP_FLUSH) */
	struct hypercall_deferred *deferred; /* what the next VECTOR_CALL does */
	struct nb_vcpu_area *area;
	struct user_run *user; /* the program that runs at CPL 3, or NULL (guest/user.c) */
	struct tss tss;
} __attribute__((aligned(64)));

/* A TLB flush in progress (guest/tlb.c). */
struct tlb_request {
	spinlock_t lock; /* one request at a time */
	u32 pad;
	u64 start, end; /* [start, end) */
	u64 pending;    /* a bit for each CPU that has not answered */
};

/* What the host was given for its own (guest/loans.h). */
struct host_things {
	spinlock_t lock;
	struct rb_root objects; /* of NB_OP_KMALLOC: struct keyed */
	struct rb_root loans;   /* struct loan */
};

struct machine {
	struct mm mm;
	const struct nb_boot_info *boot; /* as the host left it, never written */
	struct arch_ops ops;
	u32 nr_cpus;
	u32 ready;          /* CPU 0 is done; the others may go on */
	u64 online;         /* a bit for each CPU_ONLINE */
	u64 clock_ahead_ns; /* what NB_OP_TEST_LOG has set the clock forward */
	struct host_things host;
	struct tlb_request tlb;
	struct cpu cpu[NB_MAX_VCPUS];
};

extern struct machine machine;

/* Each CPU's own (guest/cpu.h). */
extern char stacks[GDT_MAX_CPUS][STACKS_BYTES];

/* The CPU this runs on. A CPU's code never moves to another, so the answer may be kept. */
static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	asm("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

static inline void *direct_map(u64 phys)
{
	return (void *)(uintptr_t)(NB_DIRECT_BASE + phys);
}

#endif
