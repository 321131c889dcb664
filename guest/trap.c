/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exceptions and interrupts, as the stubs of guest/traps.S hand them over. The guest provokes no
 * exception of its own, so each one is the end of it.
 */
#include "guest/apic.h"
#include "guest/machine.h"
#include "guest/report.h"
#include "guest/tlb.h"

void trap_handle(const struct trap_frame *frame);

void trap_handle(const struct trap_frame *frame)
{
	switch (frame->vector) {
	case VECTOR_TLB:
		tlb_answer(this_cpu());
		apic_eoi();
		return;
	case VECTOR_SPURIOUS: /* not in service: no EOI (SDM vol. 3A, 11.9) */
		return;
	default:
		report_trap(frame);
	}
}
