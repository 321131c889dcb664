/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Areas by hand: ranges of the address space that their owner fills, the seed's get_vm_area()
 * family, and vmap(). mm/vmalloc.h has get_vm_area_node() and free_vm_area().
 *
 * A call that changes an area takes it for itself meanwhile: another one that names it then gets
 * -ENOENT, and nobody finds it. So a range cannot be freed while it is being filled.
 *
 * Protections: P set, NX set, no address bits. Everything here refuses another one with -EINVAL
 * (vmalloc_area(), mm/vmalloc.h, takes one without NX).
 *
 * Nothing here may be called with a lock of the core held, or from an interrupt, where each returns
 * -EPERM (mm/interrupt.h).
 */
#ifndef MM_VM_AREA_H
#define MM_VM_AREA_H

#include "mm/vmalloc.h"

/*
 * Reserves @size bytes and a guard page in Linux's vmalloc range, or in the window
 * [@start, @end) (the seed's __get_vm_area()). Errors as get_vm_area_node().
 */
int get_vm_area(struct mm *mm, u64 size, u64 flags, u64 *addr_out);
int get_vm_area_window(struct mm *mm, u64 size, u64 flags, u64 start, u64 end, u64 *addr_out);

/*
 * find_vm_area() for those who do not know that the area stays: its bookkeeping as it is now, of
 * which the pointers may be gone the moment after. Returns 0 or -ENOENT.
 */
int vm_area_copy(struct mm *mm, u64 addr, struct vm_struct *copy_out);

/*
 * Takes the area that starts at @addr, of any kind, out of the address space: its leaves are
 * clear and its range given back on return. *@vm_out is its bookkeeping, now the caller's, with
 * the frames it lists, if any; size is without the guard, as the seed has it, and area is NULL. It
 * ends with vm_struct_free(). Returns 0; -EINVAL (not page aligned, or 0); -ENOENT; -EBUSY (it
 * holds another one's page array).
 */
int remove_vm_area(struct mm *mm, u64 addr, struct vm_struct **vm_out);

/* Frees what remove_vm_area() gave: the frames it lists, their array, itself. NULL is nothing. */
void vm_struct_free(struct mm *mm, struct vm_struct *vm);

/*
 * Reserves an area with VM_IOREMAP (and so its alignment) whose tables are in place, for the pages
 * before the guard, in every process alive; nothing is mapped. A later map_vm_area() cannot run out
 * of memory. Errors as get_vm_area_node(), with nothing reserved, and -ENOMEM for more pages than
 * the machine has, with no table made; else tables stay.
 */
int alloc_vm_area(struct mm *mm, u64 size, u64 *addr_out);

/*
 * Maps @pages[0..@nr), the caller's, over the whole reserved area that starts at @addr, which
 * gets VM_MAP. Returns 0; -EINVAL (@nr is not the area's number of pages, a NULL page, @prot);
 * -ENOENT; -EBUSY (the area has pages of its own, or something is in the way in it, which is
 * reported); -ENOMEM. After an error the area, its flags and its leaves are as before, and no leaf
 * has been anything else in between.
 */
int map_vm_area(struct mm *mm, u64 addr, struct page *const *pages, u64 nr, pgprot_t prot);

/*
 * Clears every leaf of [@addr, @addr + @size) and flushes it from all TLBs. Page aligned, not
 * empty, no wrap, and inside one area that has no frames of its own. Returns 0; -EINVAL for a range
 * that is none (reported through arch->warn); -ENOENT (not inside one area); -EBUSY (an area with
 * frames). The area stays.
 */
int unmap_kernel_range(struct mm *mm, u64 addr, u64 size);

/* The same for the whole area that starts at @addr. */
int unmap_vm_area(struct mm *mm, u64 addr);

/* What a caller may ask of vmap(). */
#define VMAP_FLAGS (VM_MAP | VM_USERMAP | VM_MAP_PUT_PAGES)

/*
 * Maps @pages[0..@count) in a new area. They stay the caller's, who may free them after
 * vunmap(). With VM_MAP_PUT_PAGES they, and @pages itself, which kmalloc_node() gave, become the
 * area's on success, and vfree() frees them: each must be a single frame, PAGE_VMALLOC or
 * PAGE_OTHER, with a reference for every time it is listed. Returns 0; -EINVAL (@count 0, a NULL
 * page, one that cannot be given away, @flags beyond VMAP_FLAGS, @prot); -ENOMEM (@count above the
 * machine's pages, or no memory); -ENOSPC. After an error nothing changed.
 */
int vmap(struct mm *mm, struct page **pages, u64 count, u64 flags, pgprot_t prot, u64 *addr_out);

/*
 * Unmaps what vmap() mapped without VM_MAP_PUT_PAGES. 0 is nothing. Returns 0; -EINVAL (not page
 * aligned); -ENOENT; -EBUSY for another kind of area, which keeps what it has. All are reported
 * through arch->warn.
 */
int vunmap(struct mm *mm, u64 addr);

#endif
