/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operations the core reaches this machine by (mm/arch.h). Their @arch is unused: there is
 * one machine.
 */
#ifndef GUEST_ARCH_H
#define GUEST_ARCH_H

#include "mm/arch.h"

extern const struct arch_ops guest_arch_ops;

#endif
