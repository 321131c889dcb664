/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the core says: lines of log and warnings. What says that there is not enough of something is
 * rate limited as Linux 2.6.23 does it, by mm_printk_ratelimit(); a caller's mistakes are all said,
 * as there. Who cannot bear that many of them must hold them back where they arrive.
 */
#ifndef MM_LOG_H
#define MM_LOG_H

#include "mm/arch.h"
#include "mm/spinlock.h"

struct mm;

#define LOG_BURST       10u
#define LOG_INTERVAL_NS 5000000000ull

/* A bucket of LOG_BURST tokens, full at first, into which one falls every LOG_INTERVAL_NS. */
struct log_limit {
	spinlock_t lock; /* only ever tried: who does not get it is held back; inside all others */
	u32 missed;      /* held back since the last time that was said */
	u64 missing_ns;  /* until it is full: 0 when it is */
	u64 last_ns;     /* when missing_ns was right */
};

/*
 * Whether there is a token for one more message of the kind a caller can provoke by asking for too
 * much; takes it, and says how many were held back before. A machine without a clock
 * (arch->clock_ns) has enough of them.
 */
bool mm_printk_ratelimit(struct mm *mm);

/* Logs one line. In any context. */
__attribute__((format(printf, 3, 4))) void mm_log(struct mm *mm, enum log_level level,
						  const char *format, ...);

/* Reports a caller's bug or an inconsistency, and goes on. In any context. */
void mm_warn_at(struct mm *mm, const char *file, int line, const char *text);
#define mm_warn(mm, text) mm_warn_at((mm), __FILE__, __LINE__, (text))

/* Reports what the core cannot go on from. Does not return. */
#define mm_panic(mm, text) ((mm)->ops->panic((mm)->arch, __FILE__, __LINE__, (text)))

#endif
