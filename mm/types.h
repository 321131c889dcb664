/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core's basic types and the sizes of pages. Addresses are plain integers here: the core runs
 * in the guest, where a kernel virtual address is a pointer, and on the host under test, where it
 * is not, so it never follows one. What it reads and writes it reaches by physical address,
 * through phys_to_virt() (mm/mm.h).
 */
#ifndef MM_TYPES_H
#define MM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1ull << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define ALIGN_UP(value, align)   (((value) + ((align)-1)) & ~((u64)(align)-1))
#define ALIGN_DOWN(value, align) ((value) & ~((u64)(align)-1))
#define IS_ALIGNED(value, align) (((value) & ((u64)(align)-1)) == 0)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

static inline bool is_power_of_2(u64 value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

#endif
