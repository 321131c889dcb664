/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes as far as memory goes: page tables of their own, whose upper half is the kernel's,
 * and user ranges (struct vm_area_struct) that show frames of vmalloc areas to code at CPL 3.
 *
 * A process's PML4 has the kernel's entries of the moment it was made. A kernel mapping that
 * needs a new entry there (a new 512 GiB) is not seen by processes alive then until
 * vmalloc_sync_all() copies it; entries, once made, never change (mm/pgtable.h keeps tables).
 *
 * A frame mapped to a user range holds a reference (mm/page_alloc.h): it stays allocated until the
 * last of the area and its user mappings is gone.
 *
 * Locks: process_list.lock for the list, the upper halves of the PML4s and `claimed`. Everything
 * else of a process belongs to who has claimed it, one caller at a time. From an interrupt nothing
 * here is done: it is reported, and what returns an error returns -EPERM (mm/interrupt.h).
 * Invariants (process_check()): ranges in order, disjoint, page aligned, in the lower half; each
 * leaf of the lower half inside a range, with its protection, and of a frame with a reference or,
 * in a range with VM_PFNMAP, of the image; nr_user_pages their number; the upper half is the
 * kernel's or empty, entry by entry.
 */
#ifndef MM_PROCESS_H
#define MM_PROCESS_H

#include "mm/list.h"
#include "mm/pgtable.h"
#include "mm/spinlock.h"
#include "mm/types.h"

struct mm;
struct page;

/* User addresses: [USER_START, USER_END), the lower canonical half less its first and last page. */
#define USER_START 0x0000000000001000ull
#define USER_END   0x00007ffffffff000ull

/* Protection and kind of a user range, with Linux's values. */
#define VM_READ       0x1u
#define VM_WRITE      0x2u
#define VM_EXEC       0x4u
#define VM_SHARED     0x8u
#define VM_PFNMAP     0x400u /* set by remap_pfn_range() */
#define VM_DONTEXPAND 0x40000u
#define VM_DONTDUMP   0x4000000u
#define VM_MIXEDMAP   0x10000000u /* set by vm_insert_page() */

struct process {
	struct page_table pt;
	struct list_head vmas; /* in address order */
	struct list_head link; /* process_list.head */
	u64 nr_user_pages;     /* leaves in the lower half */
	u32 id;                /* from 1, never used again */
	u32 claimed;           /* 1 while it is somebody's */
};

struct vm_area_struct {
	struct process *process;
	u64 vm_start, vm_end; /* [start, end) */
	u64 vm_flags;
	struct list_head link;
};

/* mm->processes. */
struct process_list {
	spinlock_t lock;
	u32 last_id;
	u64 nr;
	struct list_head head;
};

/* A process with no user range, claimed by the caller. Returns 0 or -ENOMEM. */
int process_create(struct mm *mm, struct process **process_out);

/*
 * Makes process number @id the caller's, until process_release() or process_destroy(). Returns 0;
 * -ESRCH where there is none; -EBUSY while it is somebody else's. Everything below that takes a
 * process or a range of one is for who has claimed it.
 */
int process_claim(struct mm *mm, u64 id, struct process **process_out);
void process_release(struct mm *mm, struct process *process);

/* Unmaps and frees everything of it. It runs on no CPU. */
void process_destroy(struct mm *mm, struct process *process);

/*
 * Adds the user range [start, end), with nothing mapped. Returns 0; -EINVAL (empty, not page
 * aligned, no user addresses, unknown flags, no access at all, VM_WRITE with VM_EXEC); -EBUSY (it
 * overlaps another); -ENOMEM.
 */
int vma_create(struct mm *mm, struct process *process, u64 start, u64 end, u64 vm_flags,
	       struct vm_area_struct **vma_out);

/* Unmaps the range, flushes it from all TLBs, drops the references to its frames, forgets it. */
void vma_destroy(struct mm *mm, struct vm_area_struct *vma);

/* The range that holds @addr, or NULL. */
struct vm_area_struct *find_vma(struct process *process, u64 addr);

/*
 * Maps @page at @addr in @vma with the range's protection and takes a reference. The caller has
 * one, or keeps the frame's area from being freed. The range gets VM_MIXEDMAP. Returns 0; -EFAULT
 * (outside the range or not
 * aligned); -EINVAL (a frame that page_get() refuses); -EBUSY (something is mapped there);
 * -ENOMEM.
 */
int vm_insert_page(struct mm *mm, struct vm_area_struct *vma, u64 addr, struct page *page);

/*
 * Maps the area that starts at @addr, from its page @pgoff on, over the whole of @vma. The area
 * must have VM_USERMAP and reach that far; a vfree() or vunmap() at the same time comes before or
 * after, not between. On success the range gets VM_DONTEXPAND and VM_DONTDUMP. Returns 0, or with
 * nothing mapped -EINVAL (no such area, no VM_USERMAP, too short, a frame that page_get() refuses),
 * -EBUSY (something is mapped in the range), -ENOMEM. Holds vmap_space.lock for a walk per page.
 */
int remap_vmalloc_range(struct mm *mm, struct vm_area_struct *vma, u64 addr, u64 pgoff);

/*
 * Maps the image's frames from @pfn on over the whole of @vma, for code and constants that
 * processes share with the kernel: never written, and without references, because boot memory is
 * nobody's. The range gets VM_PFNMAP, VM_DONTEXPAND and VM_DONTDUMP. Returns 0, or with nothing
 * mapped -EINVAL (a range with VM_WRITE, frames that are not the image's), -EBUSY, -ENOMEM.
 */
int remap_pfn_range(struct mm *mm, struct vm_area_struct *vma, u64 pfn);

/* Gives every process alive each entry of the kernel's half it does not have yet. */
void vmalloc_sync_all(struct mm *mm);

/* Returns NULL when every invariant above holds, otherwise what is wrong, as static text. */
const char *process_check(struct mm *mm, struct process *process);

#endif
