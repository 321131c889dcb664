/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter of compiled workloads: NB_OP_LOAD of guest/load_abi.h.
 */
#ifndef GUEST_LOAD_H
#define GUEST_LOAD_H

#include "guest/load_abi.h"
#include "guest/machine.h"

/* Arguments, results and errors as guest/load_abi.h has them. */
s64 load_run(struct cpu *cpu, const u64 *arg, u64 *result);

#endif
