/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operations the core reaches this machine by (mm/arch.h). Their @arch is unused: there is
 * one machine.
 */
#ifndef GUEST_ARCH_H
#define GUEST_ARCH_H

#include "mm/arch.h"

/* Fills @ops for a machine whose boot information has @boot_flags (NB_BOOT_*). */
void arch_init(struct arch_ops *ops, u64 boot_flags);

#endif
