/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocation flags, with the values of Linux 6.1, so that the gfp= a trace recorded can be handed
 * to the core as it stands. Kernels from 6.10 on number some of them differently; the trace
 * reader's user says which kernel a trace comes from.
 *
 * Nothing in the core reclaims, waits or sleeps, so of what Linux's flags say about trying again
 * this is left:
 *
 *   DMA, DMA32    the highest zone whose frames will do. Without them any; a request leaves a
 *                 reserve in zones lower than its highest (zone.reserve)
 *   THISNODE      frames of the preferred node or none
 *   ZERO          the memory is zeroed
 *   HIGH, MEMALLOC, NOFAIL
 *                 may go below a zone's watermark and reserve, down to the last frame
 *   NORETRY       a block of frames is not looked for again after this CPU's own lists, which may
 *                 hold it in pieces, were given back for it
 *   NOFAIL        fails only when nothing is left: failures on demand (struct fault_injection) pass
 *                 it by, and a vmalloc call's tables, page array and bookkeeping as well as its
 *                 frames. Linux would wait for ever; here nobody could ever free anything
 *                 meanwhile, so it returns NULL as well, and that is reported as a warning, in
 *                 spite of NOWARN
 *   NOWARN        no line is logged when there is no memory
 *
 * The others are taken and change nothing.
 */
#ifndef MM_GFP_H
#define MM_GFP_H

#include "mm/types.h"

typedef u32 gfp_t;

#define __GFP_DMA            0x01u
#define __GFP_HIGHMEM        0x02u
#define __GFP_DMA32          0x04u
#define __GFP_MOVABLE        0x08u
#define __GFP_RECLAIMABLE    0x10u
#define __GFP_HIGH           0x20u
#define __GFP_IO             0x40u
#define __GFP_FS             0x80u
#define __GFP_ZERO           0x100u
#define __GFP_ATOMIC         0x200u
#define __GFP_DIRECT_RECLAIM 0x400u
#define __GFP_KSWAPD_RECLAIM 0x800u
#define __GFP_WRITE          0x1000u
#define __GFP_NOWARN         0x2000u
#define __GFP_RETRY_MAYFAIL  0x4000u
#define __GFP_NOFAIL         0x8000u
#define __GFP_NORETRY        0x10000u
#define __GFP_MEMALLOC       0x20000u
#define __GFP_COMP           0x40000u
#define __GFP_NOMEMALLOC     0x80000u
#define __GFP_HARDWALL       0x100000u
#define __GFP_THISNODE       0x200000u
#define __GFP_ACCOUNT        0x400000u

#define GFP_KERNEL (__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_ATOMIC (__GFP_HIGH | __GFP_ATOMIC | __GFP_KSWAPD_RECLAIM)
#define GFP_NOWAIT __GFP_KSWAPD_RECLAIM
#define GFP_DMA    __GFP_DMA
#define GFP_DMA32  __GFP_DMA32

/* What an allocation passes on to those for its own bookkeeping: how to try, not where. */
#define GFP_RECLAIM_MASK                                                               \
	(GFP_KERNEL | __GFP_HIGH | __GFP_ATOMIC | __GFP_NOWARN | __GFP_RETRY_MAYFAIL | \
	 __GFP_NOFAIL | __GFP_NORETRY | __GFP_MEMALLOC | __GFP_NOMEMALLOC)

/* Any node will do, the CPU's own first; so does any number below 0. */
#define NUMA_NO_NODE (-1)

#endif
