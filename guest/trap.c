/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exceptions and interrupts, as the stubs of guest/traps.S hand them over. The kernel provokes no
 * exception of its own but in user_probe(), so any other of CPL 0 is the end of the guest; one of
 * CPL 3 is the end of the program that runs there.
 */
#include "guest/apic.h"
#include "guest/hypercall.h"
#include "guest/machine.h"
#include "guest/report.h"
#include "guest/tlb.h"
#include "guest/user.h"

void trap_handle(struct trap_frame *frame);

void trap_interrupt_self(void)
{
	apic_send_self(VECTOR_CALL);
}

void trap_handle(struct trap_frame *frame)
{
	if (frame->cs & 3 && user_trap(frame))
		return;
	switch (frame->vector) {
	case VECTOR_TLB:
		tlb_answer(this_cpu());
		apic_eoi();
		return;
	case VECTOR_CALL:
		hypercall_in_interrupt(this_cpu());
		apic_eoi();
		return;
	case VECTOR_TIMER: /* of a program that has ended since */
		apic_eoi();
		return;
	case VECTOR_SPURIOUS: /* not in service: no EOI (SDM vol. 3A, 11.9) */
		return;
	default:
		if (!user_fixup(frame))
			report_trap(frame);
	}
}
