/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forgetting translations, on this CPU and on all of them.
 */
#ifndef GUEST_TLB_H
#define GUEST_TLB_H

#include "mm/types.h"

struct cpu;

/* Pages up to which a range is flushed one by one; above it everything goes (Linux's ceiling). */
#define TLB_SINGLE_PAGES_MAX 33

/* Drops every translation of this CPU, global ones and paging-structure caches too. */
void tlb_flush_local_all(void);

/*
 * When it returns, no online CPU holds a translation for [start, end), page aligned, nor cached
 * paging-structure entries that led there. Interrupts may be on or off; while it waits it
 * answers the requests of others, so any number of CPUs may call it at the same time. The caller
 * must hold no spinlock that another CPU could wait for with interrupts off.
 */
void tlb_flush_range(u64 start, u64 end);

/* The handler of VECTOR_TLB: does what the request in progress asks of @cpu, this CPU, if any. */
void tlb_answer(struct cpu *cpu);

/* @cpu, this CPU, takes part from now on; what its TLB held before is gone. */
void tlb_join(struct cpu *cpu);

#endif
