/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NB_OP_LOAD of guest/abi.h: a part of a compiled workload, which one vCPU runs without an exit.
 *
 * All of it lies in blocks of frames that the host got by NB_OP_ALLOC_PAGES and writes itself: one
 * block a vCPU with its classes and its instructions, which the guest writes into what they took,
 * and one block of slots, which all vCPUs share.
 *
 *   a vCPU's block   | struct nb_load: classes | struct nb_load_instruction ...                 |
 *   the slots        | uint64_t ...                                                             |
 *
 * A slot holds an area from the instruction that allocates it to the one that frees it, which may
 * be another vCPU's. Its value is the area's address plus the tag that both instructions name, the
 * tag alone where the allocation failed, or 0. So a free that comes early knows that the area
 * in the slot is not the one it means, and waits; the host sees to it that allocations come first
 * in an order that all vCPUs keep, so that somebody always goes on.
 *
 * arg: 0 first frame of the vCPU's block, 1 its order, 2 first instruction, 3 the one behind the
 * last, 4 first frame of the slots, 5 their order, 6 a process for NB_LOAD_MAP, or 0.
 * result: 0 ticks of all instructions, 1 instructions carried out, 2 allocations that failed, 3 the
 * last errno of one, positive. A failed allocation is no error. -EINVAL: blocks that are not the
 * host's, classes that make no sense, before anything is done; or the instruction result[1] makes
 * none (what it would break is refused, what was done stays). -EBUSY, -ESRCH: the process.
 * -EINTR: instruction result[1] waited too long for its area. area.progress counts
 * instructions.
 */
#ifndef GUEST_LOAD_ABI_H
#define GUEST_LOAD_ABI_H

#include <stdint.h>

enum nb_load_op {
	NB_LOAD_ALLOC = 0,   /* vmalloc_node_range() of `pages` into `slot` */
	NB_LOAD_FREE = 1,    /* vfree() */
	NB_LOAD_RESERVE = 2, /* get_vm_area_node() */
	NB_LOAD_RELEASE = 3, /* free_vm_area() */
	NB_LOAD_MAP = 4, /* remap_vmalloc_range() of the slot's area into the process, at `user` */
	NB_LOAD_UNMAP = 5, /* ends that range */
	NB_LOAD_PURGE = 6, /* vmap_purge() */
	NB_LOAD_OPS = 7,
};

#define NB_LOAD_CLASSES 32u
#define NB_LOAD_TAGS    0xfffu /* tags are 1 to this */
/* `user` is a page of the process's addresses from here on, at most 2^32 - 1 of them. */
#define NB_LOAD_USER_BASE 0x100000000ull

enum nb_load_touch { NB_LOAD_TOUCH_NONE = 0, NB_LOAD_TOUCH_FIRST = 1, NB_LOAD_TOUCH_ALL = 2 };

/*
 * What areas of a kind have in common; arguments as of NB_OP_VMALLOC. One that is all zero, but for
 * its node, ends the list.
 */
struct nb_load_class {
	uint64_t align, start, end, prot, flags;
	uint32_t gfp;
	int32_t node;
	uint32_t touch; /* enum nb_load_touch */
	uint32_t reserved;
};

struct nb_load_instruction {
	uint8_t op; /* enum nb_load_op */
	uint8_t class_index;
	uint16_t tag;
	uint32_t slot;
	uint32_t pages;
	/* Before: a page of user addresses. Since: ticks that the call took; 0: there was none. */
	uint32_t user;
};
_Static_assert(sizeof(struct nb_load_instruction) == 16, "an instruction is 16 bytes");

struct nb_load {
	struct nb_load_class classes[NB_LOAD_CLASSES];
	struct nb_load_instruction code[];
};
_Static_assert(sizeof(struct nb_load) % 16 == 0, "instructions are aligned");

#endif
