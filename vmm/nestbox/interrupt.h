/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ctrl-C while a guest of this process works: the first is remembered and ends a long operation of
 * the guest's early, so that what was done so far can be said; the second ends the program.
 */
#ifndef VMM_NESTBOX_INTERRUPT_H
#define VMM_NESTBOX_INTERRUPT_H

#include "vmm/machine/guest.h"

/* From now on until interrupt_end(); @guest outlives that. */
void interrupt_begin(struct guest *guest);
void interrupt_end(void);

/* Whether there was one since interrupt_begin(). Any thread. */
bool interrupt_seen(void);

#endif
