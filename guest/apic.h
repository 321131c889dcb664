/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC in x2APIC mode (SDM vol. 3A, 11.12), which the host has switched on.
 */
#ifndef GUEST_APIC_H
#define GUEST_APIC_H

#include "guest/cpu.h"

/* Lets this CPU's APIC deliver interrupts. Returns its identifier, for apic_send(). */
static inline u32 apic_enable(void)
{
	wrmsr(MSR_X2APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	return (u32)rdmsr(MSR_X2APIC_ID);
}

/* Ends the interrupt in service on this CPU. */
static inline void apic_eoi(void)
{
	wrmsr(MSR_X2APIC_EOI, 0);
}

/*
 * Sends @vector to the CPU whose APIC has the identifier @apic_id: fixed, physical destination,
 * edge. A write to this register waits for no earlier store (SDM vol. 3A, 11.12.3), so what the
 * receiver must see has to be written with a locked operation before.
 */
static inline void apic_send(u32 apic_id, u8 vector)
{
	wrmsr(MSR_X2APIC_ICR, (u64)apic_id << 32 | vector);
}

/* The same to this CPU, through its register for that. */
static inline void apic_send_self(u8 vector)
{
	wrmsr(MSR_X2APIC_SELF, vector);
}

#endif
