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

/* The bucket of guest/load_abi.h that @ticks is counted in. */
static inline u32 load_bucket(u64 ticks)
{
	u32 shift;

	if (ticks >> NB_LOAD_VALUE_BITS)
		return NB_LOAD_BUCKETS - 1;
	if (ticks >> NB_LOAD_LINEAR_BITS == 0)
		return (u32)ticks;
	shift = 64 - NB_LOAD_LINEAR_BITS - (u32)__builtin_clzll(ticks);
	return (shift << (NB_LOAD_LINEAR_BITS - 1)) + (u32)(ticks >> shift);
}

#endif
