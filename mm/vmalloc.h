/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmalloc: virtually contiguous memory out of single frames, Linux's mm/vmalloc.c by behaviour.
 *
 * An area is a range of the address space (struct vmap_area) with bookkeeping (struct vm_struct)
 * and, for most, frames mapped from its first page on. The page after them is the guard: it
 * belongs to the area and is never mapped. The array of the area's frames is, by size, inside
 * the bookkeeping, a kmalloc of its own, or a vmalloc area of its own (VM_VPAGES), as the seed
 * has it; VM_ARRAY_OUTSIDE keeps a large array in frames outside the address space, for replays,
 * in which the trace itself says where Linux put its arrays.
 *
 * An area can be found (and freed) only from the moment it is complete.
 *
 * From an interrupt only vmalloc_to_page() may be called; the others return -EPERM or NULL there
 * (mm/interrupt.h).
 */
#ifndef MM_VMALLOC_H
#define MM_VMALLOC_H

#include "mm/gfp.h"
#include "mm/pgtable.h"
#include "mm/types.h"
#include "mm/vmap.h"

struct page;

/* Linux's documented x86-64 ranges (4-level); ends are exclusive, as the allocator is given them.
 */
#define VMALLOC_START 0xffffc90000000000ull
#define VMALLOC_END   0xffffe8ffffffffffull
#define MODULES_VADDR 0xffffffffc0000000ull
#define MODULES_END   0xffffffffff000000ull

/* Flags of an area, with the values of Linux 6.1. */
#define VM_IOREMAP           0x1ull
#define VM_ALLOC             0x2ull
#define VM_MAP               0x4ull
#define VM_USERMAP           0x8ull
#define VM_DMA_COHERENT      0x10ull
#define VM_UNINITIALIZED     0x20ull
#define VM_NO_GUARD          0x40ull
#define VM_FLUSH_RESET_PERMS 0x100ull
#define VM_MAP_PUT_PAGES     0x200ull
#define VM_ALLOW_HUGE_VMAP   0x400ull
#define VM_SPARSE            0x1000ull

/* Flags of ours, above Linux's. */
#define VM_VPAGES        (1ull << 32) /* the page array is itself a vmalloc area */
#define VM_ARRAY_OUTSIDE (1ull << 33) /* a large page array stays outside the address space */
#define VM_LINUX_SEARCH  (1ull << 34) /* VMAP_LINUX_SEARCH */

/* IOREMAP_MAX_ORDER: a VM_IOREMAP area is aligned to its size, at most 512 KiB. */
#define IOREMAP_MAX_ORDER (7 + PAGE_SHIFT)

struct vm_struct {
	u64 addr;
	u64 size; /* bytes, the guard page included */
	u64 flags;
	/*
	 * The frames, nr_pages of them, by what @array says: INLINE and KMALLOC, the array, at a
	 * direct-map address; VMALLOC, the array, at a vmalloc address, which the core itself
	 * never follows; DIRECTORY, pages[i] is the address of a frame that holds entries
	 * [512 i, 512 i + 512). vm_pages_chunk() reads them all.
	 */
	struct page **pages;
	u64 nr_pages;
	u64 phys_addr;
	u64 caller; /* the requester's token, kept as given */
	pgprot_t prot;
	struct vmap_area *area;
	u32 gfp;
	u32 array; /* enum vm_array */
	struct page *inline_pages[];
};

/* Where an area's page array is; part of the layout note. */
enum vm_array { VM_ARRAY_INLINE, VM_ARRAY_KMALLOC, VM_ARRAY_VMALLOC, VM_ARRAY_DIRECTORY };

/* Linux's __vmalloc_node_range() as a structure; zeroed fields are not defaults, say them all. */
struct vmalloc_request {
	u64 size;       /* bytes, rounded up to pages */
	u64 align;      /* a power of two; 1 means none */
	u64 start, end; /* the window, [start, end) */
	pgprot_t prot;
	u64 flags; /* VM_* */
	u64 caller;
	gfp_t gfp;
	int node;
};

/*
 * Allocates @request->size bytes of frames and maps them; the seed's __vmalloc_node() with today's
 * window, alignment and flags. *@addr_out is the first address. Returns 0; -EINVAL (size 0 or one
 * that wraps, align no power of two, window empty, a node beyond mm->nr_nodes); -ENOMEM (more pages
 * than the machine has, no frames, no tables, no bookkeeping); -ENOSPC (no room in the window);
 * -EBUSY (something is mapped there, which is reported through arch->warn or as a bad entry). After
 * an error nothing is left behind. Logs Linux's message unless __GFP_NOWARN.
 */
int vmalloc_node_range(struct mm *mm, const struct vmalloc_request *request, u64 *addr_out);

/*
 * The seed's calls: @size bytes anywhere in Linux's vmalloc range, any node, GFP_KERNEL,
 * PAGE_KERNEL; what a name adds is said beside it. Errors as vmalloc_node_range(); those that take
 * a @prot refuse one without NX, or with other than a leaf's flags, with -EINVAL (vmalloc_area(),
 * below, takes one without NX).
 */
int vmalloc(struct mm *mm, u64 size, u64 *addr_out);
int vmalloc_node(struct mm *mm, u64 size, int node, u64 *addr_out);
int vmalloc_32(struct mm *mm, u64 size, u64 *addr_out);      /* frames below 4 GiB only */
int vmalloc_user(struct mm *mm, u64 size, u64 *addr_out);    /* zeroed, VM_USERMAP */
int vmalloc_32_user(struct mm *mm, u64 size, u64 *addr_out); /* both */
int vmalloc_exec(struct mm *mm, u64 size, u64 *addr_out);    /* PAGE_KERNEL_EXEC */

/* Linux's __vmalloc() and __vmalloc_node(). */
int vmalloc_prot(struct mm *mm, u64 size, gfp_t gfp, pgprot_t prot, u64 *addr_out);
int vmalloc_prot_node(struct mm *mm, u64 size, gfp_t gfp, pgprot_t prot, int node, u64 *addr_out);

/*
 * Fills the reserved area that starts at @addr with frames and maps them: the seed's
 * __vmalloc_area() and __vmalloc_area_node(). From then on it is vfree()'s. Returns 0; -EINVAL
 * (@prot, @node), -ENOENT, -EBUSY (it has frames, or something is in the way in it, which is
 * reported), with the area as it was;
 * -ENOMEM or -ENOSPC, and then, as in the seed, the area is gone.
 */
int vmalloc_area(struct mm *mm, u64 addr, gfp_t gfp, pgprot_t prot);
int vmalloc_area_node(struct mm *mm, u64 addr, gfp_t gfp, pgprot_t prot, int node);

/*
 * Frees the area that starts at @addr and its frames. 0 is nothing. Returns 0; -EINVAL for an
 * address that is not page aligned ("Trying to vfree() bad address"); -ENOENT where no area
 * starts ("Trying to vfree() nonexistent vm area"); -EBUSY for an area without frames of its own,
 * which free_vm_area() or vunmap() would free, or that holds another one's page array. All are
 * reported through arch->warn, nothing harmed. A frame that a process has mapped as well stays its
 * (mm/process.h); the others are free on return; in VMAP_EAGER mode no TLB knows them by then.
 */
int vfree(struct mm *mm, u64 addr);

/*
 * Reserves an area without frames (Linux's __get_vm_area_node()). @request->size without the
 * guard, which is added unless VM_NO_GUARD; VM_IOREMAP raises the alignment to the size, up to
 * 1 << IOREMAP_MAX_ORDER. prot is ignored. *@addr_out is the first address. Errors as
 * vmalloc_node_range().
 */
int get_vm_area_node(struct mm *mm, const struct vmalloc_request *request, u64 *addr_out);

/*
 * Unmaps and gives up an area that has no frames of its own (Linux's free_vm_area()). Returns 0;
 * -EINVAL; -ENOENT; -EBUSY for an area with frames or of vmap(), which vfree() or vunmap() would
 * free.
 */
int free_vm_area(struct mm *mm, u64 addr);

/* The complete area that contains @addr, or NULL. It may be freed by others at any time. */
struct vm_struct *find_vm_area(struct mm *mm, u64 addr);

/*
 * The frame mapped at @addr, or NULL where nothing is or what is has no struct page. A software
 * walk; any leaf size.
 */
struct page *vmalloc_to_page(struct mm *mm, u64 addr);

/*
 * The part of @vm's page array that starts with entry @first (< nr_pages) and lies contiguous in
 * the direct map; *@count_out is how many entries that is, at least 1.
 */
struct page **vm_pages_chunk(struct mm *mm, struct vm_struct *vm, u64 first, u64 *count_out);

#endif
