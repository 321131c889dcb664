/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A vCPU's registers and what follows from them, as reports have them. */
#include "vmm/machine/vcpu_report.h"

#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>

#include "lib/printable.h"
#include "vmm/machine/vm.h"

int vcpu_report_registers(struct vcpu *vcpu, uint64_t regs_out[NR_REGS],
			  struct kvm_sregs *sregs_out)
{
	struct kvm_regs r;
	int err = vcpu_get_registers(vcpu, &r, sregs_out);
	const uint64_t now[NR_REGS] = REGS_OF(r);

	if (!err)
		memcpy(regs_out, now, sizeof(now));
	return err;
}

static struct report_view view_of(const struct vcpu *vcpu, const struct paging_mode *mode)
{
	const struct vm *vm = vcpu->vm;

	return (struct report_view){vm->space, mode, vm->image, vm->traces};
}

void vcpu_report_fill(struct vcpu *vcpu, struct guest_report *report)
{
	struct kvm_sregs s;
	struct paging_mode mode;
	struct report_view view = view_of(vcpu, &mode);
	uint64_t now[NR_REGS];

	if (vcpu_report_registers(vcpu, now, &s) != 0)
		return;
	report->control = (struct control_regs){
		.cr0 = s.cr0,
		.cr2 = report->have_fault ? report->control.cr2 : s.cr2,
		.cr3 = s.cr3,
		.cr4 = s.cr4,
		.efer = s.efer,
	};
	if (!report->have_regs) {
		memcpy(report->regs, now, sizeof(now));
		report->have_regs = true;
	}
	if (vcpu_paging_mode(vcpu, &s, &mode) == 0)
		report_locate(report, &view, now);
}

void vcpu_report(struct vcpu *vcpu, enum report_kind kind, const char *text,
		 struct guest_report *report_out)
{
	*report_out = (struct guest_report){.kind = kind, .vcpu = vcpu->index};
	snprintf(report_out->text, sizeof(report_out->text), "%s", text);
	printable(report_out->text);
	vcpu_report_fill(vcpu, report_out);
}

void vcpu_report_trace(struct vcpu *vcpu, uint64_t rip, struct backtrace *trace_out)
{
	struct paging_mode mode;
	struct report_view view = view_of(vcpu, &mode);
	struct kvm_sregs sregs;
	uint64_t now[NR_REGS];

	*trace_out = (struct backtrace){.end = BACKTRACE_UNREADABLE};
	if (vcpu_report_registers(vcpu, now, &sregs) != 0 ||
	    vcpu_paging_mode(vcpu, &sregs, &mode) != 0)
		return;
	report_take_trace(&view, now, trace_out);
	backtrace_start_at(trace_out, rip);
}
