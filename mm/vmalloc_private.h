/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of vmalloc share: areas before they can be found and after they no longer can.
 */
#ifndef MM_VMALLOC_PRIVATE_H
#define MM_VMALLOC_PRIVATE_H

#include "mm/mm.h"
#include "mm/vmalloc.h"

/* The area without its guard page. */
static inline u64 vm_payload_bytes(const struct vm_struct *vm)
{
	return vm->size - (vm->flags & VM_NO_GUARD ? 0 : PAGE_SIZE);
}

/* The largest size that with its guard does not reach the end of 64 bits. */
#define VM_SIZE_MAX (0 - 2 * PAGE_SIZE)

static inline u64 request_pages(const struct vmalloc_request *request)
{
	return (request->size + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* Whether a caller's protection is a leaf's flags, present, and nothing else. */
static inline bool prot_is_leaf(pgprot_t prot)
{
	return (prot & X86_PTE_P) && !(prot & ~(X86_PTE_NX | 0xfff));
}

/*
 * Whether it also forbids execution: of all the seed's calls, only vmalloc_exec() and
 * vmalloc_area(), by which a kernel's module_alloc() fills its range, make memory that can be
 * executed.
 */
static inline bool prot_is_data(pgprot_t prot)
{
	return prot_is_leaf(prot) && (prot & X86_PTE_NX);
}

/*
 * Bookkeeping without a page array and a range of @nr_pages and the guard, which nobody can find
 * yet. Returns NULL after an error, which is reported and in *@err_out: -EINVAL, -ENOMEM, -ENOSPC.
 */
struct vm_struct *vm_area_make(struct mm *mm, const struct vmalloc_request *request, u64 align,
			       u64 nr_pages, int *err_out);

/*
 * Takes back an area without frames of its own that nobody can find (any more): leaves, range,
 * bookkeeping.
 */
void vm_area_destroy(struct mm *mm, struct vmap_area *area, struct vm_struct *vm);

/*
 * Gives @vm, whose nr_pages is set and whose array is to lie outside the bookkeeping, array, frames
 * and leaves. Returns 0; after an error the area is gone.
 */
int vm_fill_outside(struct mm *mm, const struct vmalloc_request *request, struct vm_struct *vm);

/*
 * vmalloc_node_range() and vfree() of an area that holds another one's page array: whoever frees
 * areas by their address cannot free it. vm_nested_free() takes what vm_nested_alloc() gave.
 */
int vm_nested_alloc(struct mm *mm, const struct vmalloc_request *request, u64 *addr_out);
void vm_nested_free(struct mm *mm, u64 addr);

/* A get_vm_area_node() whose area nobody can find yet; checks and aligns as that does. */
struct vm_struct *vm_area_reserve(struct mm *mm, const struct vmalloc_request *request,
				  int *err_out);

/* Reports "Trying to @what (@addr)" and @text, and returns @err. */
int vm_report_free_at(struct mm *mm, const char *file, int line, const char *what, u64 addr,
		      const char *text, int err);
#define vm_report_free(mm, what, addr, text, err) \
	vm_report_free_at((mm), __FILE__, __LINE__, (what), (addr), (text), (err))

#endif
