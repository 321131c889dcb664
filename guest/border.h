/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the operations share at the border: arguments the host chose, judged before the core sees
 * them.
 */
#ifndef GUEST_BORDER_H
#define GUEST_BORDER_H

#include "guest/machine.h"
#include "mm/vmalloc.h"

/* The flags of an area a caller may ask for; the other bits are the core's own or nobody's. */
#define BORDER_VM_FLAGS                                                                \
	(VM_IOREMAP | VM_ALLOC | VM_MAP | VM_USERMAP | VM_DMA_COHERENT | VM_NO_GUARD | \
	 VM_FLUSH_RESET_PERMS | VM_ALLOW_HUGE_VMAP | VM_SPARSE | VM_ARRAY_OUTSIDE |    \
	 VM_LINUX_SEARCH)
_Static_assert(BORDER_VM_FLAGS == NB_VM_OF_AREAS, "as the host has it");

/* A node with memory, or -1. */
static inline bool border_node(u64 node)
{
	return (s64)node == NUMA_NO_NODE || (node < MAX_NODES && machine.mm.node[node].present);
}

/* As many bits as gfp_t has. */
static inline bool border_gfp(u64 gfp)
{
	return gfp >> 32 == 0;
}

/* A leaf's flags and nothing else, present. */
static inline bool border_prot(u64 prot)
{
	return prot & X86_PTE_P && !(prot & ~(X86_PTE_NX | 0xfffull));
}

/* The @bytes at @offset of @cpu's data, or NULL where they do not lie in it. */
static inline void *border_data(struct cpu *cpu, u64 offset, u64 bytes)
{
	if (!IS_ALIGNED(offset, 8) || offset > NB_DATA_BYTES || bytes > NB_DATA_BYTES - offset)
		return NULL;
	return cpu->area->data + offset;
}

/*
 * Whether [addr, addr + bytes) has a part in the ranges that the machine itself lives in: direct
 * map, page array, image. What lies there is never an area's to map or to unmap.
 */
static inline bool border_is_machine(u64 addr, u64 bytes)
{
	const u64 memmap_bytes = (NB_RAM_LIMIT >> PAGE_SHIFT) * sizeof(struct page);
	u64 end = addr + bytes;

	return (addr < NB_DIRECT_BASE + NB_RAM_LIMIT && end > NB_DIRECT_BASE) ||
	       (addr < NB_MEMMAP_BASE + memmap_bytes && end > NB_MEMMAP_BASE) ||
	       (addr < NB_MODULES_BASE && end > NB_IMAGE_BASE);
}

#endif
