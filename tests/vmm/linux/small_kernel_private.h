/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the small kernel is built of. */
#ifndef TESTS_VMM_LINUX_SMALL_KERNEL_PRIVATE_H
#define TESTS_VMM_LINUX_SMALL_KERNEL_PRIVATE_H

#include "tests/vmm/linux/small_kernel.h"

#define PAGE_STRUCT 64u

/* Offsets of this kernel's own. */
enum {
	VA_START = 8,
	VA_END = 16,
	VA_RB = 24,
	VA_LIST = 56,
	VA_VM = 48,
	VA_FLAGS = 72,
	VA_BYTES = 80,
	VM_ADDR = 0,
	VM_SIZE = 16,
	VM_FLAGS = 24,
	VM_PAGES = 32,
	VM_NR = 40,
	VM_PHYS = 48,
	VM_CALLER = 8,
	VM_BYTES = 64,
	NODE_POOL = 0,
	NODE_POOL_LOCK = 48,
	NODE_BUSY = 64,
	NODE_LAZY = 128,
	NODE_PURGE = 192,
	NODE_BYTES = 256,
	RBL_ROOT = 0,
	RBL_HEAD = 8,
	RBL_LOCK = 24,
	MOD_STATE = 0,
	MOD_LIST = 8,
	MOD_NAME = 24,
	MOD_MEM = 96,
	MOD_KALLSYMS = 160,
	MOD_BYTES = 192,
	PG_FLAGS = 0,
	PG_COMPOUND = 8,
	PG_PRIVATE = 24,
	PG_MAPPING = 40,
	PG_TYPE = 56,
	PG_REFERENCES = 60,
	PGLIST_ID = 0,
	PGLIST_NR = 4,
	PGLIST_ZONES = 16,
	ZONE_LOCK = 4,
	ZONE_START = 8,
	ZONE_NAME = 16,
	ZONE_SPANNED = 24,
	ZONE_PRESENT = 40,
	ZONE_MANAGED = 48,
	ZONE_FREE = 64,
	FREE_NR = 16,
	FREE_AREA_BYTES = 24,
	NR_ORDERS = 4,
	ZONE_STRUCT = 192,
	PGLIST_BYTES = 16 + 3 * 192,
	FLAG_RESERVED = 3,
	FLAG_SLAB = 5, /* of the older kind */
};

#define NR_NODES   2u
#define ZONE_BYTES 65536u

/* Bytes of the image, with a symbol. */
uint64_t small_kernel_variable(struct small_kernel *kernel, const char *name, size_t bytes);

void small_kernel_copy(struct small_kernel *kernel, uint64_t address, const void *bytes,
		       size_t size);

/* The zone, as variables; what VMCOREINFO says of frames; once all are taken, their struct pages.
 */
void small_kernel_zone(struct small_kernel *kernel);
const char *small_kernel_frames_info(const struct small_kernel *kernel);
void small_kernel_frames(struct small_kernel *kernel);

/* Puts the types into the image. */
void small_kernel_btf(struct small_kernel *kernel);

#endif
