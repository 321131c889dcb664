/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seed's ways to ask for vmalloc memory: each is one request to vmalloc_node_range(). The
 * caller recorded is the return address of the call.
 */
#include "mm/errno.h"
#include "mm/vmalloc_private.h"

/*
 * Frames a 32-bit device can reach. All zones up to DMA32 lie below 4 GiB, and a machine without
 * such memory gets none (the seed fell back to any).
 */
#define GFP_VMALLOC32 (GFP_DMA32 | GFP_KERNEL)

#define CALLER ((u64)(uintptr_t)__builtin_return_address(0))

static int allocate(struct mm *mm, u64 size, gfp_t gfp, pgprot_t prot, u64 flags, int node,
		    u64 caller, u64 *addr_out)
{
	const struct vmalloc_request request = {
		.size = size,
		.align = 1,
		.start = VMALLOC_START,
		.end = VMALLOC_END,
		.prot = prot,
		.flags = flags,
		.caller = caller,
		.gfp = gfp,
		.node = node,
	};

	return vmalloc_node_range(mm, &request, addr_out);
}

int vmalloc(struct mm *mm, u64 size, u64 *addr_out)
{
	if (mm_refuse_interrupt(mm, "vmalloc"))
		return -EPERM;
	return allocate(mm, size, GFP_KERNEL | __GFP_HIGHMEM, PAGE_KERNEL, 0, NUMA_NO_NODE, CALLER,
			addr_out);
}

int vmalloc_node(struct mm *mm, u64 size, int node, u64 *addr_out)
{
	if (mm_refuse_interrupt(mm, "vmalloc_node"))
		return -EPERM;
	return allocate(mm, size, GFP_KERNEL | __GFP_HIGHMEM, PAGE_KERNEL, 0, node, CALLER,
			addr_out);
}

int vmalloc_prot_node(struct mm *mm, u64 size, gfp_t gfp, pgprot_t prot, int node, u64 *addr_out)
{
	if (mm_refuse_interrupt(mm, "vmalloc_prot_node"))
		return -EPERM;
	if (!prot_is_data(prot))
		return -EINVAL;
	return allocate(mm, size, gfp, prot, 0, node, CALLER, addr_out);
}

int vmalloc_prot(struct mm *mm, u64 size, gfp_t gfp, pgprot_t prot, u64 *addr_out)
{
	if (mm_refuse_interrupt(mm, "vmalloc_prot"))
		return -EPERM;
	if (!prot_is_data(prot))
		return -EINVAL;
	return allocate(mm, size, gfp, prot, 0, NUMA_NO_NODE, CALLER, addr_out);
}

int vmalloc_32(struct mm *mm, u64 size, u64 *addr_out)
{
	if (mm_refuse_interrupt(mm, "vmalloc_32"))
		return -EPERM;
	return allocate(mm, size, GFP_VMALLOC32, PAGE_KERNEL, 0, NUMA_NO_NODE, CALLER, addr_out);
}

int vmalloc_user(struct mm *mm, u64 size, u64 *addr_out)
{
	if (mm_refuse_interrupt(mm, "vmalloc_user"))
		return -EPERM;
	return allocate(mm, size, GFP_KERNEL | __GFP_HIGHMEM | __GFP_ZERO, PAGE_KERNEL, VM_USERMAP,
			NUMA_NO_NODE, CALLER, addr_out);
}

int vmalloc_32_user(struct mm *mm, u64 size, u64 *addr_out)
{
	if (mm_refuse_interrupt(mm, "vmalloc_32_user"))
		return -EPERM;
	return allocate(mm, size, GFP_VMALLOC32 | __GFP_ZERO, PAGE_KERNEL, VM_USERMAP, NUMA_NO_NODE,
			CALLER, addr_out);
}

int vmalloc_exec(struct mm *mm, u64 size, u64 *addr_out)
{
	if (mm_refuse_interrupt(mm, "vmalloc_exec"))
		return -EPERM;
	return allocate(mm, size, GFP_KERNEL | __GFP_HIGHMEM, PAGE_KERNEL_EXEC, 0, NUMA_NO_NODE,
			CALLER, addr_out);
}

/* ---- frames for a range that is there already ---- */

int vmalloc_area_node(struct mm *mm, u64 addr, gfp_t gfp, pgprot_t prot, int node)
{
	struct vmalloc_request request = {.gfp = gfp, .prot = prot, .node = node};
	struct vmap_area *area;
	struct vm_struct *vm;
	int err;

	if (mm_refuse_interrupt(mm, "vmalloc_area_node"))
		return -EPERM;
	if (!prot_is_leaf(prot) || node >= (int)mm->nr_nodes)
		return -EINVAL;
	err = vmap_claim(mm, addr, VMAP_RESERVED, &area, &vm);
	if (err)
		return err;
	request.size = vm_payload_bytes(vm);
	request.flags = vm->flags;
	request.caller = vm->caller;
	/* Before the leaves, of which there may be more than a walk should look at. */
	if (request.size >> PAGE_SHIFT > mm->total_pages) {
		vm_area_destroy(mm, area, vm);
		return -ENOMEM;
	}
	if (!pt_expect_clear(mm, &mm->pt, addr, addr + request.size)) {
		vmap_publish(mm, area, vm, VMAP_RESERVED);
		return -EBUSY;
	}
	vm->nr_pages = request.size >> PAGE_SHIFT;
	vm->flags |= VM_ALLOC;
	vm->prot = prot;
	vm->gfp = gfp;
	err = vm_fill_outside(mm, &request, vm);
	if (err)
		return err;
	mm->ops->flush_cache_vmap(mm->arch, addr, addr + request.size);
	vmap_publish(mm, area, vm, VMAP_FRAMES);
	return 0;
}

int vmalloc_area(struct mm *mm, u64 addr, gfp_t gfp, pgprot_t prot)
{
	if (mm_refuse_interrupt(mm, "vmalloc_area"))
		return -EPERM;
	return vmalloc_area_node(mm, addr, gfp, prot, NUMA_NO_NODE);
}
