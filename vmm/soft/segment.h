/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segments as far as long mode still has them: descriptors read and loaded, far transfers, events
 * through the IDT. Functions that return bool have raised the exception when they return false,
 * with nothing changed but accessed bits.
 *
 * Source: SDM vol. 3A chapters 3.4, 5, 6.14, 7.7; vol. 2 on the instructions.
 */
#ifndef VMM_SOFT_SEGMENT_H
#define VMM_SOFT_SEGMENT_H

#include "vmm/soft/cpu.h"

struct soft_descriptor {
	uint64_t low, high; /* @high: of system descriptors and gates */
};

#define SOFT_SELECTOR_RPL(selector) ((selector)&3)

/* Types, with S clear (SDM table 3-2). */
#define SOFT_TYPE_LDT       2
#define SOFT_TYPE_TSS       9
#define SOFT_TYPE_TSS_BUSY  11
#define SOFT_TYPE_CALL_GATE 12
#define SOFT_TYPE_INTERRUPT 14
#define SOFT_TYPE_TRAP      15

/*
 * The descriptor @selector names; the exceptions' error code is the selector's. @ext is what EXT
 * bit of error codes is to be.
 */
bool soft_descriptor_read(struct soft_cpu *cpu, uint16_t selector, bool system, unsigned int ext,
			  struct soft_descriptor *descriptor_out);
bool soft_descriptor_write(struct soft_cpu *cpu, uint16_t selector, uint64_t low);

struct kvm_segment soft_segment_of(uint16_t selector, const struct soft_descriptor *descriptor);

/* #GP, #NP and the like of @selector. Always false. */
bool soft_selector_fault(struct soft_cpu *cpu, uint8_t vector, uint16_t selector, unsigned int ext);

/* MOV, POP, LFS and so on. */
bool soft_segment_load(struct soft_cpu *cpu, enum soft_segment which, uint16_t selector);

/* The null selector as a segment, its base 0. */
struct kvm_segment soft_segment_null(uint16_t selector);

/* @rip in a code segment at @cpl: CS, CPL and the lines follow. SS is the caller's. */
void soft_set_code(struct soft_cpu *cpu, const struct kvm_segment *cs, uint8_t cpl);

/* Delivers cpu->event. False: another event took its place, or the processor shut down or left. */
bool soft_deliver(struct soft_cpu *cpu);

#endif
