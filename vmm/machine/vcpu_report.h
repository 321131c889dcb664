/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a report says of a vCPU: its registers now, and what they lead to. On the vCPU's own
 * thread, or while it is parked or dead.
 */
#ifndef VMM_MACHINE_VCPU_REPORT_H
#define VMM_MACHINE_VCPU_REPORT_H

#include "vmm/machine/report.h"
#include "vmm/machine/vcpu.h"

/* Its registers, in the order of lib/regs.h. Errors: KVM's own. */
int vcpu_report_registers(struct vcpu *vcpu, uint64_t regs_out[NR_REGS],
			  struct kvm_sregs *sregs_out);

/* Fills in the registers @report lacks and what they lead to; nothing where KVM gives none. */
void vcpu_report_fill(struct vcpu *vcpu, struct guest_report *report);

/* A report of @kind and @text with registers and place. @report_out is wholly written. */
void vcpu_report(struct vcpu *vcpu, enum report_kind kind, const char *text,
		 struct guest_report *report_out);

/* The backtrace of a warning, from @rip, where the guest says it is. Wholly written. */
void vcpu_report_trace(struct vcpu *vcpu, uint64_t rip, struct backtrace *trace_out);

#endif
