/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads and stores of what another CPU may be using too, without a lock: exactly one instruction
 * each. In the guest (MM_MARKS) that instruction's address is put in a section of the image,
 * .marks.KIND, which is not loaded: whoever watches the guest's memory accesses (vmm/soft/check.h)
 * learns from it which were meant so. It costs no instruction.
 *
 *      READ_ONCE, WRITE_ONCE   order nothing
 *      smp_load_acquire        nothing after it is done before it
 *      smp_store_release       nothing before it is done after it
 *      read_free_link          the first word of a free object, by its allocator
 *
 * Read-modify-writes are the compiler's own (__atomic_...): all of them are locked on x86.
 */
#ifndef MM_ONCE_H
#define MM_ONCE_H

#include "mm/types.h"

#ifdef MM_MARKS

#define MARKED(kind, instruction)                        \
	"661: " instruction "\n"                         \
	".pushsection .marks." #kind ",\"\",@progbits\n" \
	".quad 661b\n"                                   \
	".popsection\n"

#define MARKED_LOAD(kind, pointer, ...)                                               \
	({                                                                            \
		u64 loaded_;                                                          \
		_Static_assert(sizeof(*(pointer)) <= sizeof(u64), "one instruction"); \
		if (sizeof(*(pointer)) == 1)                                          \
			asm inline volatile(MARKED(kind, "movzbl %1, %k0")            \
					    : "=r"(loaded_)                           \
					    : "m"(*(pointer))                         \
					    : __VA_ARGS__);                           \
		else if (sizeof(*(pointer)) == 2)                                     \
			asm inline volatile(MARKED(kind, "movzwl %1, %k0")            \
					    : "=r"(loaded_)                           \
					    : "m"(*(pointer))                         \
					    : __VA_ARGS__);                           \
		else if (sizeof(*(pointer)) == 4)                                     \
			asm inline volatile(MARKED(kind, "movl %1, %k0")              \
					    : "=r"(loaded_)                           \
					    : "m"(*(pointer))                         \
					    : __VA_ARGS__);                           \
		else                                                                  \
			asm inline volatile(MARKED(kind, "movq %1, %q0")              \
					    : "=r"(loaded_)                           \
					    : "m"(*(pointer))                         \
					    : __VA_ARGS__);                           \
		(__typeof__(*(pointer)))loaded_;                                      \
	})

#define MARKED_STORE(kind, pointer, value, ...)                                       \
	do {                                                                          \
		__typeof__(*(pointer)) stored_ = (value);                             \
		_Static_assert(sizeof(*(pointer)) <= sizeof(u64), "one instruction"); \
		if (sizeof(*(pointer)) == 1)                                          \
			asm inline volatile(MARKED(kind, "movb %b1, %0")              \
					    : "=m"(*(pointer))                        \
					    : "qi"((u8)(u64)stored_)                  \
					    : __VA_ARGS__);                           \
		else if (sizeof(*(pointer)) == 2)                                     \
			asm inline volatile(MARKED(kind, "movw %w1, %0")              \
					    : "=m"(*(pointer))                        \
					    : "ri"((u16)(u64)stored_)                 \
					    : __VA_ARGS__);                           \
		else if (sizeof(*(pointer)) == 4)                                     \
			asm inline volatile(MARKED(kind, "movl %k1, %0")              \
					    : "=m"(*(pointer))                        \
					    : "ri"((u32)(u64)stored_)                 \
					    : __VA_ARGS__);                           \
		else                                                                  \
			asm inline volatile(MARKED(kind, "movq %q1, %0")              \
					    : "=m"(*(pointer))                        \
					    : "re"((u64)stored_)                      \
					    : __VA_ARGS__);                           \
	} while (0)

#define READ_ONCE(lvalue)                 MARKED_LOAD(relaxed, &(lvalue))
#define WRITE_ONCE(lvalue, value)         MARKED_STORE(relaxed, &(lvalue), value)
#define smp_load_acquire(pointer)         MARKED_LOAD(acquire, pointer, "memory")
#define smp_store_release(pointer, value) MARKED_STORE(release, pointer, value, "memory")
#define read_free_link(pointer)           MARKED_LOAD(allocator, pointer)

#else

#define READ_ONCE(lvalue)                 __atomic_load_n(&(lvalue), __ATOMIC_RELAXED)
#define WRITE_ONCE(lvalue, value)         __atomic_store_n(&(lvalue), value, __ATOMIC_RELAXED)
#define smp_load_acquire(pointer)         __atomic_load_n(pointer, __ATOMIC_ACQUIRE)
#define smp_store_release(pointer, value) __atomic_store_n(pointer, value, __ATOMIC_RELEASE)
#define read_free_link(pointer)           (*(pointer))

#endif

#endif
