/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is in an interrupt. A CPU's own numbers are written by that CPU alone, the sum by all.
 */
#include "mm/interrupt.h"

#include "mm/mm.h"

_Static_assert(ARRAY_SIZE(((struct interrupt_state *)0)->cpu) == MAX_CPUS, "each CPU has its own");

void interrupt_enter(struct mm *mm)
{
	u32 cpu = cpu_id(mm);

	if (mm->interrupts.cpu[cpu].depth++ == 0)
		mm->interrupts.cpu[cpu].refused = 0;
	__atomic_add_fetch(&mm->interrupts.nr, 1, __ATOMIC_RELAXED);
}

u32 interrupt_leave(struct mm *mm)
{
	u32 cpu = cpu_id(mm);

	__atomic_sub_fetch(&mm->interrupts.nr, 1, __ATOMIC_RELAXED);
	mm->interrupts.cpu[cpu].depth--;
	return mm->interrupts.cpu[cpu].refused;
}

bool interrupt_refuse(struct mm *mm, const char *file, int line, const char *text)
{
	u32 cpu = cpu_id(mm);

	if (!mm->interrupts.cpu[cpu].depth)
		return false;
	mm->interrupts.cpu[cpu].refused++;
	mm_warn_at(mm, file, line, text);
	return true;
}
