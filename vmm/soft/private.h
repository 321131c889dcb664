/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the engine around its processors share.
 *
 *      door.c      what /dev/kvm answers               slots.c   memory slots, memory attributes
 *      vm.c        a VM and its requests               second.c  the second stage's EPT tables
 *      vcpu.c      a vCPU's requests but KVM_RUN       mmu.c     the guest's tables, both stages
 *      kvm_run.c   KVM_RUN: exits, completion          tlb.c     what a vCPU remembers of them
 *      schedule.c  the baton: whose turn it is         apic.c    x2APICs, their timers and messages
 *      cpuid.c  stats.c  dirty.c  msr.c                cpu.h     the processor itself
 *      check*.c  what a guest may not do to memory (check.h, check_private.h)
 *
 * Locks, in the order they are taken: a vCPU's mutex (held through each of its requests, as in
 * KVM), then vm->lock. Whoever interprets, or changes anything but registers of a vCPU that is not
 * in KVM_RUN, holds vm->lock; soft_vm_lock() makes the one who interprets give it up between two
 * turns.
 *
 * Life: descriptors hold their object; a vCPU's holds its VM as well. A vCPU stays, with its
 * number taken, until its VM goes.
 */
#ifndef VMM_SOFT_PRIVATE_H
#define VMM_SOFT_PRIVATE_H

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>

#include "ept/stage2.h"
#include "vmm/soft/apic.h"
#include "vmm/soft/check.h"
#include "vmm/soft/cpu.h"
#include "vmm/soft/soft.h"
#include "vmm/soft/tlb.h"

/* Linux 6.8; older headers do not have it. */
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif

/* As KVM has them on x86. */
#define SOFT_SLOTS_MAX     32764u
#define SOFT_VCPUS_MAX     64u
#define SOFT_RUN_BYTES     (2 * 4096u) /* kvm_run, the data of port exits */
#define SOFT_RUN_DATA      4096u
#define SOFT_PHYSICAL_BITS 48u
#define SOFT_TSC_KHZ       1000000u /* one tick is one instruction */

/* ---- memory ---- */

struct soft_slot {
	uint32_t id, flags; /* KVM_MEM_* */
	uint64_t start, end;
	uint8_t *host;
	uint64_t *dirty;     /* a bit a page; KVM_MEM_LOG_DIRTY_PAGES only */
	uint8_t *attributes; /* SOFT_ATTRIBUTE_*, a byte a page; NULL: none ever set */
};

/* Counters of a VM and of a vCPU, in the order of the tables in stats.c. */
enum soft_vm_stat {
	SOFT_VM_PAGES_4K,
	SOFT_VM_PAGES_2M,
	SOFT_VM_PAGES_1G,
	SOFT_VM_ZAPPED,
	SOFT_VM_REMOTE_FLUSH,
	SOFT_VM_STATS
};

enum soft_vcpu_stat {
	SOFT_VCPU_INSTRUCTIONS,
	SOFT_VCPU_EXITS,
	SOFT_VCPU_IO_EXITS,
	SOFT_VCPU_MMIO_EXITS,
	SOFT_VCPU_SIGNAL_EXITS,
	SOFT_VCPU_HALT_EXITS,
	SOFT_VCPU_IRQ_INJECTIONS,
	SOFT_VCPU_WALKS,
	SOFT_VCPU_PF_TAKEN,
	SOFT_VCPU_PF_FIXED,
	SOFT_VCPU_TLB_FLUSH,
	SOFT_VCPU_INVLPG,
	SOFT_VCPU_STATS
};

struct soft_stats {
	int fd;           /* a memfd in KVM's format, or -1 */
	void *map;        /* of it */
	uint64_t *values; /* in it */
};

/* ---- vCPUs ---- */

/* An instruction writes 16 bytes at most, of any alignment. */
#define SOFT_NOTES 3

enum soft_state {
	SOFT_OUTSIDE, /* not in KVM_RUN */
	SOFT_READY,   /* wants turns */
	SOFT_HALTED,  /* waits for an interrupt */
	SOFT_LEAVES,  /* its exit is there, its thread has yet to take it */
};

struct soft_vm;

struct soft_vcpu {
	struct soft_vm *vm;
	unsigned int id;
	pthread_mutex_t mutex; /* one request at a time */
	struct kvm_run *run;
	struct soft_cpu cpu;
	struct soft_tlb tlb;
	bool suspect; /* what the TLB remembers may come from entries above that were written since
		       */
	struct soft_apic apic;
	struct soft_stats stats;
	struct kvm_cpuid2 *cpuid; /* or NULL */
	bool block_interrupts;    /* KVM_GUESTDBG_BLOCKIRQ */
	bool has_signal_mask;
	sigset_t signal_mask;
	uint64_t tsc_offset;

	/* vm->lock */
	enum soft_state state;
	int result;     /* SOFT_LEAVES: what KVM_RUN returns */
	int wake;       /* an eventfd its thread sleeps on */
	bool sleeps;    /* there */
	bool wait_init; /* KVM_MP_STATE_UNINITIALIZED: no turn before it is runnable */

	/* Why an op said SOFT_LEAVE. */
	enum { SOFT_NO_REASON, SOFT_NO_CODE, SOFT_DENIED, SOFT_NO_MEMORY, SOFT_CHECKED } reason;
	uint64_t reason_gpa, reason_flags;
	struct soft_violation violation;
	struct soft_finding *finding; /* of the last check that found something, or NULL */
	struct soft_note {
		uint64_t gva, gpa, old;
		const uint8_t *host;
	} notes[SOFT_NOTES]; /* words of which the checks are told once they are written */
	unsigned int nr_notes;
};

struct soft_check;
struct soft_history;
struct soft_planned;

struct soft_vm {
	struct soft_options options;
	int references; /* atomic: descriptors */
	pthread_mutex_t lock;
	pthread_mutex_t gate; /* held while waiting for lock: the interpreter waits behind it */
	int outsiders;        /* atomic: who waits */

	bool has_apics; /* KVM_CAP_SPLIT_IRQCHIP */
	bool manual_dirty;
	struct soft_slot *slots; /* by address */
	size_t nr_slots;
	struct stage2_tables second;
	struct soft_stats stats;
	struct soft_code *code;
	struct soft_check *check;     /* or NULL */
	struct soft_planned *planned; /* the plan of turns, or NULL */
	struct soft_history *history; /* or NULL */
	struct {
		uint64_t start, bytes; /* of linear addresses */
		uint64_t *counts;      /* the user's, one an address; NULL: nobody counts */
	} coverage;
	bool held;    /* nobody has a turn (soft_hold()) */
	bool yielded; /* the last turn ended with PAUSE */

	struct soft_vcpu *vcpus[SOFT_VCPUS_MAX];
	unsigned int nr_vcpus; /* made, in order; vcpus[] has no holes */

	struct soft_vcpu *driver;  /* whose thread gives turns, or NULL */
	unsigned int turn;         /* whose it was last: index in vcpus[] */
	struct soft_vcpu *running; /* whose it is */
	uint64_t clock;            /* instructions of all vCPUs, and what they slept */
	uint64_t turn_start;       /* running->cpu.instructions at the start of its turn */
};

static inline struct soft_vcpu *soft_vcpu_of(struct soft_cpu *cpu)
{
	return cpu->context;
}

static inline void soft_count(struct soft_vcpu *vcpu, enum soft_vcpu_stat stat)
{
	vcpu->stats.values[stat]++;
}

/* ---- vm.c ---- */

int soft_vm_create(const struct soft_options *options); /* a descriptor, or -errno */
struct soft_vm *soft_vm_of(int fd);                     /* NULL: none of this engine's */
void soft_vm_get(struct soft_vm *vm);
void soft_vm_put(struct soft_vm *vm);
void soft_vm_lock(struct soft_vm *vm);
void soft_vm_unlock(struct soft_vm *vm);
int soft_check_extension(unsigned long capability);

/* ---- vcpu.c, run.c, schedule.c, msr.c, cpuid.c ---- */

int soft_vcpu_create(struct soft_vm *vm, unsigned long id); /* a descriptor, or -errno */
void soft_vcpu_free(struct soft_vcpu *vcpu);

/* KVM_RUN, with the vCPU's mutex held. */
int soft_run(struct soft_vcpu *vcpu);

/* With vm->lock, all of these. */

/* What a turn that ended with @stop comes to: an exit into kvm_run, a state. */
void soft_turn_ended(struct soft_vcpu *vcpu, enum soft_stop stop);

/* The vCPU leaves KVM_RUN with @result; wakes its thread. */
void soft_leave(struct soft_vcpu *vcpu, int result);

/* Up to @budget instructions of the vCPU, and what comes of them; @alone: nobody else wants one. */
void soft_give_turn(struct soft_vcpu *vcpu, uint64_t budget, bool alone);

/* The thread of @vcpu gives turns, or sleeps while another does, until the vCPU leaves. */
void soft_take_part(struct soft_vcpu *vcpu);

/* Its thread looks again. */
void soft_wake(struct soft_vcpu *vcpu);

/* VM time: instructions so far, those of the turn under way too. */
static inline uint64_t soft_clock(const struct soft_vm *vm)
{
	return vm->clock + (vm->running ? vm->running->cpu.instructions - vm->turn_start : 0);
}

enum soft_answer soft_read_msr(struct soft_cpu *cpu, uint32_t index, uint64_t *value_out);
enum soft_answer soft_write_msr(struct soft_cpu *cpu, uint32_t index, uint64_t value);

/* KVM_GET_MSRS, KVM_SET_MSRS of those a processor keeps itself: how many were, up to the first that
 * is none. */
int soft_get_msrs(struct soft_cpu *cpu, struct kvm_msrs *msrs);
int soft_set_msrs(struct soft_cpu *cpu, const struct kvm_msrs *msrs);

/* Fills up to @room entries; returns how many there are. */
unsigned int soft_cpuid_supported(struct kvm_cpuid_entry2 *entries, unsigned int room);
void soft_cpuid(struct soft_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t regs_out[4]);

/* ---- mmu.c ---- */

enum soft_answer soft_mmu_fill(struct soft_cpu *cpu, uint64_t gva, enum soft_access access,
			       enum soft_class class, struct soft_line *line);
void soft_mmu_flush(struct soft_cpu *cpu, enum soft_flush what, uint64_t gva);

/* KVM_TRANSLATE: reads the guest's tables, changes nothing. */
void soft_mmu_translate(struct soft_vcpu *vcpu, struct kvm_translation *translation);

/* ---- second.c, slots.c, dirty.c: with vm->lock ---- */

/* Where an access to guest-physical memory gets. */
enum soft_second_result {
	SOFT_SECOND_OK,
	SOFT_SECOND_NO_SLOT,   /* a hole: MMIO */
	SOFT_SECOND_READ_ONLY, /* a write to a read-only slot: MMIO */
	SOFT_SECOND_DENIED,    /* a memory attribute forbids it */
	SOFT_SECOND_NO_MEMORY,
};

struct soft_frame {
	uint8_t *host;       /* of the 4 KiB page */
	unsigned int rights; /* STAGE2_*, without W where that would have to set D */
};

int soft_second_create(struct soft_vm *vm);
void soft_second_destroy(struct soft_vm *vm);

/*
 * Translates the page of @gpa for @want (STAGE2_R, W or X, one of them), as the processor does with
 * EPT's A and D bits on; a violation is handled as KVM does: an entry is made, or a page of a slot
 * that is logged marked dirty.
 */
enum soft_second_result soft_second_translate(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa,
					      bool is_table, unsigned int want,
					      struct soft_frame *frame_out);

/*
 * Takes the range out of the tables; or sees to it that no page of the range, of @slot, is written
 * without a violation. Lines go. Errors: -ENOMEM.
 */
int soft_second_unmap(struct soft_vm *vm, uint64_t start, uint64_t end);
int soft_second_write_protect(struct soft_vm *vm, const struct soft_slot *slot, uint64_t start,
			      uint64_t end);

struct stage2_reader soft_second_reader(void);

/* Every vCPU drops its lines. */
void soft_flush_lines(struct soft_vm *vm);

int soft_slot_set(struct soft_vm *vm, const struct kvm_userspace_memory_region *region);
struct soft_slot *soft_slot_find(const struct soft_vm *vm, uint64_t gpa);
struct soft_slot *soft_slot_by_id(const struct soft_vm *vm, uint32_t id);
void soft_slots_free(struct soft_vm *vm);

/* As struct kvm_memory_attributes of Linux 6.8. */
struct soft_memory_attributes {
	uint64_t address, size, attributes, flags;
};
#define SOFT_SET_MEMORY_ATTRIBUTES _IOW(KVMIO, 0xd2, struct soft_memory_attributes)
#define SOFT_ATTRIBUTES \
	(SOFT_ATTRIBUTE_NO_READ | SOFT_ATTRIBUTE_NO_WRITE | SOFT_ATTRIBUTE_NO_EXECUTE)
int soft_attributes_set(struct soft_vm *vm, const struct soft_memory_attributes *attributes);

static inline void soft_slot_mark_dirty(struct soft_slot *slot, uint64_t gpa)
{
	uint64_t page = (gpa - slot->start) / EPT_PAGE_BYTES;

	slot->dirty[page / 64] |= 1ull << page % 64;
}

int soft_dirty_get(struct soft_vm *vm, const struct kvm_dirty_log *log);
int soft_dirty_clear(struct soft_vm *vm, const struct kvm_clear_dirty_log *log);

/* ---- check.c: with vm->lock ---- */

int soft_check_attach(struct soft_vm *vm, const struct soft_check_config *config);

/* ---- stats.c ---- */

/* @vcpu -1: of a VM. */
int soft_stats_create(struct soft_stats *stats, int vcpu);
void soft_stats_destroy(struct soft_stats *stats);
int soft_stats_fd(const struct soft_stats *stats); /* KVM_GET_STATS_FD */

#endif
