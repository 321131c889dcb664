/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLB shootdown. One request is in progress at a time (machine.tlb): whoever holds tlb.lock
 * writes the range, sets a bit in `pending` for every other online CPU, interrupts them, flushes
 * its own TLB, and waits until all bits are gone.
 *
 * Nobody waits for somebody who cannot answer: a CPU answers from its interrupt handler, or, when
 * it waits here itself with interrupts off, by looking at its bit between two looks at what it
 * waits for. An answer is given with interrupts off, else the handler could answer one request
 * and the interrupted code clear the bit of the next. A CPU at CPL 3 has interrupts on.
 *
 * User ranges need no request of their own. A CPU in a process's tables forgets [start, end) when
 * asked, whosever range it is, because INVLPG and a toggle of CR4.PGE act on the tables in use; a
 * CPU in other tables has nothing to forget, because user pages are not global and every way from
 * one root to another is a load of CR3.
 */
#include "guest/tlb.h"

#include "guest/apic.h"
#include "guest/machine.h"

void tlb_flush_local_all(void)
{
	u64 cr4 = read_cr4();

	write_cr4(cr4 & ~X86_CR4_PGE);
	write_cr4(cr4);
}

/* INVLPG drops all cached paging-structure entries, not those of its page alone (4.10.4.1). */
static void flush_local(u64 start, u64 end)
{
	if ((end - start) >> PAGE_SHIFT > TLB_SINGLE_PAGES_MAX) {
		tlb_flush_local_all();
		return;
	}
	for (; start != end; start += PAGE_SIZE)
		invlpg(start);
}

void tlb_answer(struct cpu *cpu)
{
	struct tlb_request *tlb = &machine.tlb;
	u64 bit = 1ull << cpu->id;

	if (!(smp_load_acquire(&tlb->pending) & bit))
		return;
	flush_local(tlb->start, tlb->end);
	__atomic_and_fetch(&tlb->pending, ~bit, __ATOMIC_RELEASE);
}

/* One turn of a wait: answers others, and lets interrupts in if they were on. */
static void wait_a_little(struct cpu *cpu)
{
	u64 flags = irq_flags();

	irq_disable();
	tlb_answer(cpu);
	if (flags & RFLAGS_IF)
		irq_enable();
	cpu_relax();
}

static void interrupt_all(u64 mask)
{
	while (mask) {
		u32 id = (u32)__builtin_ctzll(mask);

		apic_send(machine.cpu[id].apic_id, VECTOR_TLB);
		mask &= mask - 1;
	}
}

void tlb_flush_range(u64 start, u64 end)
{
	struct tlb_request *tlb = &machine.tlb;
	struct cpu *cpu = this_cpu();
	u64 others;

	if (unlikely(cpu->skip_flushes)) {
		cpu->skip_flushes--;
		return;
	}
	/* The core's stores to page tables come before the look at who is online (tlb_join()). */
	memory_barrier();
	others = READ_ONCE(machine.online) & ~(1ull << cpu->id);
	if (others) {
		while (!spin_trylock(&tlb->lock))
			wait_a_little(cpu);
		tlb->start = start;
		tlb->end = end;
		__atomic_exchange_n(&tlb->pending, others, __ATOMIC_SEQ_CST);
		interrupt_all(others);
	}
	flush_local(start, end);
	if (others) {
		while (smp_load_acquire(&tlb->pending))
			wait_a_little(cpu);
		spin_unlock(&tlb->lock);
	}
}

/*
 * A flush that does not see this CPU online has changed its page tables before, so the flush
 * here comes after them.
 */
void tlb_join(struct cpu *cpu)
{
	__atomic_or_fetch(&machine.online, 1ull << cpu->id, __ATOMIC_SEQ_CST);
	tlb_flush_local_all();
}
