/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A history as its two files (history.c keeps, history_travel.c goes back and forth) and the rest
 * of the engine see it. All with vm->lock.
 */
#ifndef VMM_SOFT_HISTORY_PRIVATE_H
#define VMM_SOFT_HISTORY_PRIVATE_H

#include "lib/u64_map.h"
#include "vmm/soft/history.h"
#include "vmm/soft/private.h"

/* A page that was written since the history began. */
struct soft_kept_page {
	uint64_t page; /* guest-physical address / 4096 */
	uint8_t *host;
	uint8_t *first;        /* as at the oldest moment; owned */
	const uint8_t *latest; /* as at the newest moment: @first, or a version's */
	bool dirty;            /* it may have been written since that */
};

/* What a page was at a moment, if it was another than at the moment before. */
struct soft_version {
	uint32_t at; /* of kept pages */
	uint8_t *bytes;
};

struct soft_turn {
	uint64_t steps;
	uint64_t clock; /* the VM's, afterwards */
	uint32_t vcpu;
	bool blocked; /* interrupts were kept off */
};

/* Of a processor all that is before its surroundings. */
#define SOFT_KEPT_CPU offsetof(struct soft_cpu, ops)

struct soft_kept_vcpu {
	_Alignas(16) uint8_t cpu[SOFT_KEPT_CPU];
	struct soft_tlb tlb;
	struct soft_apic apic;
	uint64_t tsc_offset;
	bool wait_init;
};

struct soft_kept {
	uint64_t at;    /* steps since the history began */
	uint64_t clock; /* of the VM */
	unsigned int turn;
	bool yielded;
	bool told; /* registers were set since the turns before: they do not lead here */
	struct soft_kept_vcpu *vcpus;
	struct soft_version *versions; /* by @at */
	size_t nr_versions;
	struct soft_turn *turns; /* from here to the next moment */
	size_t nr_turns;
	uint64_t bytes; /* all that takes */
};

#define SOFT_MESSAGES_MAX 64u

struct soft_history {
	uint64_t limit, bytes;
	struct u64_map map; /* from a page's number to its place in pages */
	struct soft_kept_page *pages;
	size_t nr_pages;
	uint32_t *dirty; /* of pages */
	size_t nr_dirty;
	struct soft_kept **moments; /* the oldest first; none before the first turn */
	size_t nr_moments;
	bool input;  /* something came from outside: a moment before the next turn */
	bool told;   /* registers were set */
	uint64_t at; /* the newest step */
	/* Where the host writes now and then (soft_history_keep()). */
	struct {
		uint64_t start, end;
	} * ranges;
	size_t nr_ranges;

	bool away;
	/* While away: where, and as moment, turn of it, steps of that. */
	uint64_t now;
	size_t moment, turn;
	uint64_t done;
	struct kvm_msi messages[SOFT_MESSAGES_MAX];
	unsigned int nr_messages;
	bool unarmed; /* no breakpoint counts; DR7 of the debuggers' meanwhile: */
	uint64_t dr7[SOFT_VCPUS_MAX];
};

/* ---- history.c ---- */

/* The page of @gpa is about to be written by a vCPU. */
void soft_history_note(struct soft_vm *vm, uint64_t gpa);

/* A turn begins; it is over, after @steps. @timers: an APIC's timer ran when it began. */
void soft_history_before(struct soft_vm *vm);
void soft_history_after(struct soft_vcpu *vcpu, uint64_t steps, bool timers);

/* Something comes from outside; it is registers. */
void soft_history_input(struct soft_vm *vm, bool registers);

/* An interrupt message to a VM that is away waits; the same one twice is one. KVM_SIGNAL_MSI's. */
int soft_history_message(struct soft_vm *vm, const struct kvm_msi *msi);

/* What was kept cannot be used any more. */
void soft_history_cut(struct soft_vm *vm);

/* Keeps the moment. Errors: -ENOMEM, the history then begins anew. */
int soft_history_take(struct soft_vm *vm);

/* ---- history_load.c ---- */

/* To moment @number, of which there is one. Errors: -ENOMEM, but not for the newest. */
int soft_history_load(struct soft_vm *vm, size_t number);

/*
 * From the end of a moment's turns to the next one, with what came from outside. Errors: -EILSEQ,
 * the turns did not lead to where they led before.
 */
int soft_history_cross(struct soft_vm *vm);

/* Keeps the newest step, so that there is a way back to it, and is away. Errors: -ENOMEM, -ENODATA.
 */
int soft_history_leave(struct soft_vm *vm);

/* Back to the newest step. */
void soft_history_return(struct soft_vm *vm);

#endif
