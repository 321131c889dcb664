/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The workload interpreter: NB_OP_BENCH of guest/abi.h.
 */
#ifndef GUEST_WORKLOAD_H
#define GUEST_WORKLOAD_H

#include "guest/machine.h"

/* Arguments, results and errors as guest/abi.h has them for NB_OP_BENCH. Writes area.data. */
s64 workload_bench(struct cpu *cpu, const u64 *arg, u64 *result);

#endif
