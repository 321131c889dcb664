/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A local APIC in x2APIC mode (SDM vol. 3A, chapter 11): interrupts by IPI and message, priorities
 * by TPR and what is in service, and the timer. There is no xAPIC page, no PIC and no I/O APIC;
 * level-triggered interrupts and EOI broadcasts have no source then. Time is the VM's: one tick of
 * the timer's clock is one instruction.
 */
#ifndef VMM_SOFT_APIC_H
#define VMM_SOFT_APIC_H

#include <stdbool.h>
#include <stdint.h>

struct soft_vm;
struct soft_vcpu;

enum soft_lvt {
	SOFT_LVT_TIMER,
	SOFT_LVT_THERMAL,
	SOFT_LVT_PMI,
	SOFT_LVT_LINT0,
	SOFT_LVT_LINT1,
	SOFT_LVT_ERROR,
	SOFT_LVTS
};

struct soft_apic {
	uint64_t base; /* IA32_APIC_BASE */
	uint32_t svr, esr, tpr_low;
	uint32_t lvt[SOFT_LVTS];
	uint64_t icr;
	uint64_t irr[4], isr[4]; /* 256 bits, vector 0 first */
	uint32_t timer_initial, timer_divide;
	uint64_t timer_start; /* VM time at which timer_initial was written, or reloaded */
	bool timer_runs;
};

#define SOFT_NO_DEADLINE UINT64_MAX

void soft_apic_reset(struct soft_apic *apic, bool bsp);

/* Whether it is on and takes interrupts. */
bool soft_apic_enabled(const struct soft_apic *apic);

/* The highest vector that is pending and above TPR and what is in service, or -1. */
int soft_apic_pending(const struct soft_vcpu *vcpu);

/* The same, put in service: struct soft_cpu_ops.interrupt. */
struct soft_cpu;
int soft_apic_acknowledge(struct soft_cpu *cpu);

/* Makes @vector pending, and the vCPU ready if it was halted. With vm->lock. */
void soft_apic_raise(struct soft_vcpu *vcpu, uint8_t vector);

/*
 * MSI (11.11): @address and @data as a device would write them. Returns how many APICs took it, or
 * -EPERM where none of those addressed is on: KVM_SIGNAL_MSI's answers.
 */
int soft_apic_message(struct soft_vm *vm, uint64_t address, uint32_t data);

/* The registers, by MSR 0x800 + offset / 16. False: #GP. */
bool soft_apic_read(struct soft_vcpu *vcpu, uint32_t msr, uint64_t *value_out);
bool soft_apic_write(struct soft_vcpu *vcpu, uint32_t msr, uint64_t value);

/* VM time of the timer's next interrupt, or SOFT_NO_DEADLINE; and its raising when it has come. */
uint64_t soft_apic_deadline(const struct soft_vcpu *vcpu);
void soft_apic_tick(struct soft_vcpu *vcpu, uint64_t now);

#endif
