/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core's only way to its surroundings: operations the machine around it provides. In the
 * guest they are the real thing (invlpg, inter-processor interrupts, hypercall events); under
 * test on the host they are a simulation that records what was asked.
 */
#ifndef MM_ARCH_H
#define MM_ARCH_H

#include <stdarg.h>

#include "mm/types.h"

enum log_level { LOG_ERR = 3, LOG_WARNING = 4, LOG_INFO = 6, LOG_DEBUG = 7 };

/* Every operation gets the @arch pointer that struct mm was given. None may call the core. */
struct arch_ops {
	/* The CPU this runs on, in [0, mm->nr_cpus). The caller does not migrate. */
	u32 (*cpu_id)(void *arch);

	/* Disables interrupts on this CPU and returns what irq_restore() needs. They nest. */
	u64 (*irq_save)(void *arch);
	void (*irq_restore)(void *arch, u64 flags);

	/*
	 * When it returns, no CPU holds a translation, global ones included, for any page of
	 * [start, end), nor cached paging-structure entries that were used for it (SDM vol. 3A,
	 * 4.10), of the kernel or of any process's user range. Page-aligned, start < end. Called
	 * with interrupts enabled and at most vmap_space.purge_lock held.
	 */
	void (*flush_tlb_kernel_range)(void *arch, u64 start, u64 end);

	/*
	 * Caches are physically tagged on x86, so these do nothing there; the core calls them
	 * where an architecture with virtual tags needs them: before a range is unmapped, after
	 * one is mapped.
	 */
	void (*flush_cache_vmap)(void *arch, u64 start, u64 end);
	void (*flush_cache_vunmap)(void *arch, u64 start, u64 end);

	/*
	 * Backs the page array (struct page) of the section that holds @section_pfn with the
	 * SECTION_MEMMAP_BYTES of zeroed, direct-mapped, contiguous memory at @phys (2 MiB
	 * aligned). Returns 0 or -ENOMEM, nothing changed.
	 */
	int (*memmap_populate)(void *arch, u64 section_pfn, u64 phys);

	/*
	 * Zeroes the frames [@pfn, @pfn + @nr), which are RAM and the caller's. May be NULL: then
	 * the core stores the zeroes itself. It is there for machines that have a faster way.
	 */
	void (*zero_frames)(void *arch, u64 pfn, u64 nr);

	/*
	 * Nanoseconds since some moment, about the same on every CPU. May be NULL: then no message
	 * is held back (mm/log.h).
	 */
	u64 (*clock_ns)(void *arch);

	/*
	 * NULL, or, together with frames_settle, how the machine follows what becomes of frames.
	 * Frames [@pfn, @pfn + @nr) are handed out (@taken), noted before anybody stores in them,
	 * or given up, noted before anybody else can have them.
	 */
	void (*frames_note)(void *arch, u64 pfn, u64 nr, bool taken);
	/* What this CPU noted counts from its return on. */
	void (*frames_settle)(void *arch);

	/* Prints one line; @format is printf's subset %s %d %u %lu %llx %p %c. */
	void (*log)(void *arch, enum log_level level, const char *format, va_list args);

	/* Something is wrong and the core goes on (Linux's WARN_ON). */
	void (*warn)(void *arch, const char *file, int line, const char *text);

	/* Something is wrong and the core cannot go on (Linux's BUG). Does not return. */
	__attribute__((noreturn)) void (*panic)(void *arch, const char *file, int line,
						const char *text);
};

#endif
