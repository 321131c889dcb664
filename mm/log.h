/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the core says: lines of log and warnings. Whoever calls the core can provoke as many as he
 * likes, so they are rate limited as Linux's printk_ratelimit() does it: ten of them, then none
 * until five seconds after the first, and then how many there were. Lines and warnings count
 * separately: a flood of lines silences no warning. A machine without a clock (arch->clock_ns)
 * says everything.
 */
#ifndef MM_LOG_H
#define MM_LOG_H

#include "mm/arch.h"
#include "mm/spinlock.h"

struct mm;

#define LOG_BURST       10u
#define LOG_INTERVAL_NS 5000000000ull

/* All zeroes is the beginning. */
struct log_limit {
	spinlock_t lock; /* only ever tried: who does not get it is held back; inside all others */
	u32 said;        /* since begin_ns */
	u64 begin_ns;
	u64 held_back; /* since the last time that was said */
};

/* Logs one line. In any context. */
__attribute__((format(printf, 3, 4))) void mm_log(struct mm *mm, enum log_level level,
						  const char *format, ...);

/* Reports a caller's bug or an inconsistency, and goes on. In any context. */
void mm_warn_at(struct mm *mm, const char *file, int line, const char *text);
#define mm_warn(mm, text) mm_warn_at((mm), __FILE__, __LINE__, (text))

/* Reports what the core cannot go on from. Does not return. */
#define mm_panic(mm, text) ((mm)->ops->panic((mm)->arch, __FILE__, __LINE__, (text)))

#endif
