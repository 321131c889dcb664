/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the core asks of this machine, on the real thing.
 */
#include "guest/arch.h"

#include "guest/machine.h"
#include "guest/report.h"
#include "guest/tlb.h"
#include "mm/errno.h"
#include "mm/pgtable.h"

static u32 arch_cpu_id(void *arch)
{
	return this_cpu()->id;
}

static u64 arch_irq_save(void *arch)
{
	u64 flags = irq_flags();

	irq_disable();
	return flags;
}

static void arch_irq_restore(void *arch, u64 flags)
{
	if (flags & RFLAGS_IF)
		irq_enable();
}

static void arch_flush_tlb_kernel_range(void *arch, u64 start, u64 end)
{
	tlb_flush_range(start, end);
}

/*
 * Caches are physically tagged, so there is nothing to flush. But that the core calls these where
 * another architecture would need them can be seen from outside (NB_OP_CACHE_FLUSHES).
 */
static void record_cache(struct cache_record *record, u64 start, u64 end)
{
	record->nr++;
	record->start = start;
	record->end = end;
}

static void arch_flush_cache_vmap(void *arch, u64 start, u64 end)
{
	record_cache(&this_cpu()->cache_vmap, start, end);
}

static void arch_flush_cache_vunmap(void *arch, u64 start, u64 end)
{
	record_cache(&this_cpu()->cache_vunmap, start, end);
}

/*
 * The boot page-directory entry for @va, or NULL where the host built no directory. A walk of its
 * own, because the core, which is in the middle of an allocation, may not be called from here.
 */
static u64 *boot_directory_entry(u64 va)
{
	u64 table = machine.boot->root_gpa;
	u64 entry;
	int level;

	for (level = 4; level > 2; level--) {
		entry = ((u64 *)direct_map(table))[va >> X86_LEVEL_SHIFT(level) & 511];
		if ((entry & (X86_PTE_P | X86_PTE_PS)) != X86_PTE_P)
			return NULL;
		table = entry & X86_PTE_ADDR_MASK;
	}
	return (u64 *)direct_map(table) + (va >> X86_LEVEL_SHIFT(2) & 511);
}

/* Nothing to flush: an entry that was not present is in no TLB (SDM vol. 3A, 4.10.4.3). */
static int arch_memmap_populate(void *arch, u64 section_pfn, u64 phys)
{
	u64 first = section_pfn & ~(SECTION_PAGES - 1);
	u64 *entry = boot_directory_entry(NB_MEMMAP_BASE + first * sizeof(struct page));

	if (!entry || *entry)
		return -ENOMEM;
	WRITE_ONCE(*entry, phys | PAGE_KERNEL | X86_PTE_PS);
	return 0;
}

/* One exit for all that was noted. The host reads the list before the OUT returns. */
static void arch_frames_settle(void *arch)
{
	struct cpu *cpu = this_cpu();

	if (cpu->area->nr_frame_runs)
		outl(NB_PORT_FRAMES, cpu->id);
	cpu->area->nr_frame_runs = 0;
}

static void arch_zero_frames(void *arch, u64 pfn, u64 nr)
{
	for (; nr; nr--, pfn++)
		outl(NB_PORT_ZERO, (u32)pfn);
}

/* Counters of all CPUs started with the machine; KVM keeps them together. */
static u64 arch_clock_ns(void *arch)
{
	const u64 khz = machine.boot->tsc_khz ?: 1000000, tsc = rdtsc();

	return tsc / khz * 1000000 + tsc % khz * 1000000 / khz + READ_ONCE(machine.clock_ahead_ns);
}

/* Adds a run to this CPU's list, or to the run it has last, whichever end of it this continues. */
static void arch_frames_note(void *arch, u64 pfn, u64 nr, bool taken)
{
	struct nb_vcpu_area *area = this_cpu()->area;
	u32 kind = taken ? NB_FRAMES_TAKEN : 0;
	struct nb_frame_run *run;

	if (area->nr_frame_runs) {
		run = &area->frame_runs[area->nr_frame_runs - 1];
		if ((run->nr & NB_FRAMES_TAKEN) == kind &&
		    (run->pfn + (run->nr & ~NB_FRAMES_TAKEN) == pfn || pfn + nr == run->pfn)) {
			if (pfn < run->pfn)
				run->pfn = (u32)pfn;
			run->nr += (u32)nr;
			return;
		}
	}
	if (area->nr_frame_runs == NB_FRAME_RUNS)
		arch_frames_settle(arch);
	run = &area->frame_runs[area->nr_frame_runs++];
	run->pfn = (u32)pfn;
	run->nr = (u32)nr | kind;
}

static void arch_log(void *arch, enum log_level level, const char *format, va_list args)
{
	report_log(level, format, args);
}

static void arch_warn(void *arch, const char *file, int line, const char *text)
{
	report_warn(file, line, text);
}

__attribute__((noreturn)) static void arch_panic(void *arch, const char *file, int line,
						 const char *text)
{
	report_panic(file, line, text);
}

static const struct arch_ops plain_ops = {
	.cpu_id = arch_cpu_id,
	.irq_save = arch_irq_save,
	.irq_restore = arch_irq_restore,
	.flush_tlb_kernel_range = arch_flush_tlb_kernel_range,
	.flush_cache_vmap = arch_flush_cache_vmap,
	.flush_cache_vunmap = arch_flush_cache_vunmap,
	.memmap_populate = arch_memmap_populate,
	.clock_ns = arch_clock_ns,
	.log = arch_log,
	.warn = arch_warn,
	.panic = arch_panic,
};

void arch_init(struct arch_ops *ops, u64 boot_flags)
{
	*ops = plain_ops;
	if (boot_flags & NB_BOOT_HOST_ZEROES)
		ops->zero_frames = arch_zero_frames;
	if (boot_flags & NB_BOOT_TELL_FRAMES) {
		ops->frames_note = arch_frames_note;
		ops->frames_settle = arch_frames_settle;
	}
}
