/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One instance of the core: everything it knows, and the two translations every part of it needs.
 * There are no globals; a host test has as many as it likes.
 *
 * The machine around the core fills struct mm_config; from then on all RAM is in the direct map
 * (phys_to_virt()), and the page array is filled in section by section (mm/page_alloc.h).
 */
#ifndef MM_MM_H
#define MM_MM_H

#include "mm/arch.h"
#include "mm/flush.h"
#include "mm/interrupt.h"
#include "mm/log.h"
#include "mm/page_alloc.h"
#include "mm/pgtable.h"
#include "mm/process.h"
#include "mm/slab.h"
#include "mm/types.h"
#include "mm/vmap.h"

#define MAX_RESERVED 16
#define MAX_RAM      16

struct mm_config {
	const struct arch_ops *ops;
	void *arch;          /* handed to every operation */
	u64 direct_base;     /* what to add to a physical address to reach it */
	struct page *memmap; /* where the page array appears, section by section */
	u64 root_phys;       /* the PML4 in use */
	u32 nr_cpus;
	u32 nr_ram, nr_reserved;
	struct mem_range ram[MAX_RAM];
	struct mem_range reserved[MAX_RESERVED];
	u8 cpu_node[MAX_CPUS]; /* the node each CPU is nearest to, not above the highest with RAM */
};

/*
 * Failures on demand. fail[k] is 0 (off), or counts down with each allocation of kind k: the one
 * that brings it to 0 fails. Frames count one by one, those of slabs and tables too.
 */
enum fault_kind { FAULT_FRAME, FAULT_SLAB, FAULT_TABLE, FAULT_AREA, NR_FAULTS };

struct fault_injection {
	u32 fail[NR_FAULTS];
};

struct mm {
	const struct arch_ops *ops;
	void *arch;
	u64 direct_base;
	struct page *memmap;
	u32 nr_cpus;
	/* 0 where frames have their quick ways: on one CPU, when nobody follows them. */
	u32 slow_frames;
	u32 nr_nodes; /* highest node with RAM, plus 1 */
	struct fault_injection fault;
	struct interrupt_state interrupts;
	struct log_limit log_limit;
	u64 total_pages; /* of all RAM, reserved included */
	struct page_table pt;
	struct vmap_space vmap;
	struct kmem_cache kmalloc[NR_KMALLOC_CACHES];
	u8 kmalloc_index[KMALLOC_MAX_CACHE_BYTES / 16 + 1]; /* by (size + 15) / 16 */
	u32 nr_ram, nr_reserved;
	struct mem_range ram[MAX_RAM];
	struct mem_range reserved[MAX_RESERVED];
	spinlock_t section_lock;
	/* 0, or, online, 1 + n where the n-th 2 MiB of the section hold its struct pages. */
	u8 section_online[MAX_SECTIONS];
	struct node node[MAX_NODES];
	struct node *local_node[MAX_CPUS]; /* each CPU's own */
	struct process_list processes;
	struct flush_ledger flushes;
};

/*
 * Makes @mm, zeroed memory of the caller's, ready for use. Returns 0, -EINVAL (a CPU's node that
 * is not there, or as page_alloc_init()), -ENOSPC (page_alloc_init()), -ENOMEM. @config is not
 * kept.
 */
int mm_init(struct mm *mm, const struct mm_config *config);

/*
 * The first half of mm_init(): frames, slabs and kmalloc(), no address space. No frame is taken
 * and no struct page touched. Errors as mm_init().
 */
int mm_init_frames(struct mm *mm, const struct mm_config *config);

static inline void *phys_to_virt(const struct mm *mm, u64 phys)
{
	return (void *)(uintptr_t)(mm->direct_base + phys);
}

/* @address is one phys_to_virt() gave. */
static inline u64 virt_to_phys(const struct mm *mm, const void *address)
{
	return (u64)(uintptr_t)address - mm->direct_base;
}

static inline struct page *pfn_to_page(const struct mm *mm, u64 pfn)
{
	return mm->memmap + pfn;
}

static inline u64 page_to_pfn(const struct mm *mm, const struct page *page)
{
	return (u64)(page - mm->memmap);
}

static inline u64 page_to_phys(const struct mm *mm, const struct page *page)
{
	return page_to_pfn(mm, page) << PAGE_SHIFT;
}

static inline struct page *virt_to_page(const struct mm *mm, const void *address)
{
	return pfn_to_page(mm, virt_to_phys(mm, address) >> PAGE_SHIFT);
}

static inline void *page_address(const struct mm *mm, const struct page *page)
{
	return phys_to_virt(mm, page_to_phys(mm, page));
}

static inline u32 cpu_id(const struct mm *mm)
{
	return mm->ops->cpu_id(mm->arch);
}

/* Counts one allocation of @kind, and returns whether it is the one to fail. */
bool fault_count(struct mm *mm, enum fault_kind kind);

/* The same, with one test and a branch while failures are off. */
static inline bool fault_hit(struct mm *mm, enum fault_kind kind)
{
	return unlikely(mm->fault.fail[kind]) && fault_count(mm, kind);
}

#endif
