/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where an area keeps the array of its frames, by size:
 *
 *   up to VM_INLINE_PAGES   inside the bookkeeping, which still comes from a slab cache
 *   up to one page of it    a kmalloc of its own
 *   above                   a vmalloc area of its own (VM_VPAGES), as the seed and Linux have it;
 *                           or, with VM_ARRAY_OUTSIDE, single frames under a directory
 *
 * The nested area is itself an area with an array, four levels deep for the largest guest.
 */
#ifndef MM_VM_ARRAY_H
#define MM_VM_ARRAY_H

#include "mm/mm.h"
#include "mm/vmalloc.h"

#define VM_INLINE_PAGES \
	((KMALLOC_MAX_CACHE_BYTES - sizeof(struct vm_struct)) / sizeof(struct page *))
#define VM_CHUNK_PAGES (PAGE_SIZE / sizeof(struct page *))

/* What to allocate for the bookkeeping of @nr_pages frames, the array included if it fits. */
static inline u64 vm_struct_bytes(u64 nr_pages)
{
	return sizeof(struct vm_struct) +
	       (likely(nr_pages <= VM_INLINE_PAGES) ? nr_pages * sizeof(struct page *) : 0);
}

/*
 * Allocates the array of @vm, which is too large to be inline, and sets vm->pages, ->array and
 * VM_VPAGES; @request is the one for the area. Returns 0 or what failed: -ENOMEM, -ENOSPC; then
 * vm->array is VM_ARRAY_INLINE still, and nothing is there to be freed.
 */
int vm_array_alloc(struct mm *mm, struct vm_struct *vm, const struct vmalloc_request *request);

/* Gives the array back, when it is not inline. The frames in it are the caller's business. */
void vm_array_free_outside(struct mm *mm, struct vm_struct *vm);

static inline void vm_array_free(struct mm *mm, struct vm_struct *vm)
{
	if (unlikely(vm->array != VM_ARRAY_INLINE))
		vm_array_free_outside(mm, vm);
}

#endif
