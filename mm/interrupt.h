/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a call is made from. Most of the core must not be called in an interrupt: it takes locks
 * that the interrupted code may hold, and flushes TLBs, for which interrupts have to be on (the
 * seed's BUG_ON(in_interrupt())). The machine says when a handler that calls the core begins and
 * ends; a call that must not be made there is reported through arch->warn by its name, does
 * nothing, and returns -EPERM, or what it returns for nothing.
 *
 * While no CPU is in such a handler the question costs a compare and a branch.
 */
#ifndef MM_INTERRUPT_H
#define MM_INTERRUPT_H

#include "mm/types.h"

struct mm;

struct interrupt_state {
	u32 nr; /* handlers in progress, on all CPUs */
	u32 pad;
	struct {
		u32 depth;   /* handlers in progress on this CPU */
		u32 refused; /* calls refused since the outermost of them began */
	} cpu[64];           /* MAX_CPUS */
};

/*
 * Around everything a handler calls of the core, on the handler's CPU. They nest. Leaving returns
 * how many calls were refused since the outermost handler of this CPU began.
 */
void interrupt_enter(struct mm *mm);
u32 interrupt_leave(struct mm *mm);

/* Whether this CPU is in a handler; if so, @text is reported. */
bool interrupt_refuse(struct mm *mm, const char *file, int line, const char *text);

/* The text for a call of this name. */
#define FROM_INTERRUPT(name) name "() from an interrupt"

/*
 * Whether the call of this name is made from an interrupt, where it must not be: then it has been
 * reported, and the caller returns.
 */
#define mm_refuse_interrupt(mm, name)                \
	(unlikely(READ_ONCE((mm)->interrupts.nr)) && \
	 interrupt_refuse((mm), __FILE__, __LINE__, FROM_INTERRUPT(name)))

#endif
