/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Spinlocks: one word, 0 when free. The core never sleeps and is never preempted, so a lock is
 * held for a bounded time.
 *
 * Lock order, outermost first:
 *   1. vmap_space.purge_lock   one purge at a time; the TLB flush happens under it, so it is
 *                              always taken with interrupts enabled, and never inside another
 *   2. vmap_space.lock         tiles, both trees, the lazy list
 *   3. process_list.lock       the list of processes, and the kernel's half of their PML4s; taken
 *                              with none of the others held
 *   4. kmem_cache.lock         the lists of slabs
 *   5. mm.section_lock         bringing a section to life
 *   6. zone.lock               the buddy lists and the fresh spans
 * Page tables take no lock: a new table is published by one compare-and-exchange, and the leaves
 * of an area belong to whoever owns the area.
 */
#ifndef MM_SPINLOCK_H
#define MM_SPINLOCK_H

#include "mm/once.h"
#include "mm/types.h"

typedef struct {
	u32 word;
} spinlock_t;

/*
 * In the core's tests: the lock is held, by whoever it is; else the program ends here. Stands where
 * a function relies on its caller, and in spin_unlock().
 */
#ifdef MM_DEBUG
#define lockdep_assert_held(lock)             \
	do {                                  \
		if (!READ_ONCE((lock)->word)) \
			__builtin_trap();     \
	} while (0)
#else
#define lockdep_assert_held(lock) ((void)(lock))
#endif

static inline void spin_lock(spinlock_t *lock)
{
	while (unlikely(__atomic_exchange_n(&lock->word, 1, __ATOMIC_ACQUIRE))) {
		while (READ_ONCE(lock->word))
			__builtin_ia32_pause();
	}
}

/* Returns true when the lock was free and is now held. */
static inline bool spin_trylock(spinlock_t *lock)
{
	return __atomic_exchange_n(&lock->word, 1, __ATOMIC_ACQUIRE) == 0;
}

static inline void spin_unlock(spinlock_t *lock)
{
	lockdep_assert_held(lock);
	smp_store_release(&lock->word, 0);
}

#endif
