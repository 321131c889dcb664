/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page arrays that do not fit into an area's bookkeeping (mm/vm_array.h).
 */
#include "mm/vm_array.h"

#include "mm/errno.h"
#include "mm/vmalloc_private.h"

/* A directory of frames with @nr_pages entries in all. */
static int directory_alloc(struct mm *mm, struct vm_struct *vm, gfp_t gfp, int node)
{
	u64 nr = (vm->nr_pages + VM_CHUNK_PAGES - 1) / VM_CHUNK_PAGES;
	void **directory = kmalloc_node(mm, nr * sizeof(*directory), gfp, node);
	u64 i;

	if (!directory)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		directory[i] = kmalloc_node(mm, PAGE_SIZE, gfp, node);
		if (!directory[i])
			goto err_free;
	}
	vm->pages = (struct page **)directory;
	vm->array = VM_ARRAY_DIRECTORY;
	return 0;

err_free:
	while (i--)
		kfree(mm, directory[i]);
	kfree(mm, directory);
	return -ENOMEM;
}

/* The nested area: Linux's window and protection, whatever the outer area's are. */
static int nested_alloc(struct mm *mm, struct vm_struct *vm, const struct vmalloc_request *request,
			gfp_t gfp)
{
	struct vmalloc_request nested = {
		.size = vm->nr_pages * sizeof(struct page *),
		.align = 1,
		.start = VMALLOC_START,
		.end = VMALLOC_END,
		.prot = PAGE_KERNEL,
		.flags = request->flags & VM_LINUX_SEARCH,
		.caller = request->caller,
		.gfp = gfp,
		.node = request->node,
	};
	u64 addr;
	int err = vm_nested_alloc(mm, &nested, &addr);

	if (err)
		return err;
	vm->pages = (struct page **)(uintptr_t)addr;
	vm->array = VM_ARRAY_VMALLOC;
	vm->flags |= VM_VPAGES;
	return 0;
}

int vm_array_alloc(struct mm *mm, struct vm_struct *vm, const struct vmalloc_request *request)
{
	gfp_t gfp = request->gfp & GFP_RECLAIM_MASK;
	struct page **pages;

	if (vm->nr_pages > VM_CHUNK_PAGES) {
		if (request->flags & VM_ARRAY_OUTSIDE)
			return directory_alloc(mm, vm, gfp, request->node);
		return nested_alloc(mm, vm, request, gfp);
	}
	pages = kmalloc_node(mm, vm->nr_pages * sizeof(*pages), gfp, request->node);
	if (!pages)
		return -ENOMEM;
	vm->pages = pages;
	vm->array = VM_ARRAY_KMALLOC;
	return 0;
}

void vm_array_free_outside(struct mm *mm, struct vm_struct *vm)
{
	void **directory = (void **)vm->pages;

	if (vm->array == VM_ARRAY_VMALLOC) {
		vm_nested_free(mm, (u64)(uintptr_t)vm->pages);
		return;
	}
	if (vm->array == VM_ARRAY_DIRECTORY) {
		for (u64 i = 0; i * VM_CHUNK_PAGES < vm->nr_pages; i++)
			kfree(mm, directory[i]);
	}
	kfree(mm, vm->pages);
}

/* A vmalloc'ed array is reached through its frames: the walk finds where each page of it is. */
static struct page **nested_chunk(struct mm *mm, const struct vm_struct *vm, u64 first)
{
	u64 phys;

	if (!pt_translate(mm, &mm->pt, (u64)(uintptr_t)(vm->pages + first), &phys))
		mm_panic(mm, "a page array is not mapped");
	return phys_to_virt(mm, phys);
}

struct page **vm_pages_chunk(struct mm *mm, struct vm_struct *vm, u64 first, u64 *count_out)
{
	u64 count = vm->nr_pages - first, offset = first % VM_CHUNK_PAGES;

	if (likely(vm->array <= VM_ARRAY_KMALLOC)) {
		*count_out = count;
		return vm->pages + first;
	}
	*count_out = count < VM_CHUNK_PAGES - offset ? count : VM_CHUNK_PAGES - offset;
	if (vm->array == VM_ARRAY_VMALLOC)
		return nested_chunk(mm, vm, first);
	return ((struct page ***)vm->pages)[first / VM_CHUNK_PAGES] + offset;
}
