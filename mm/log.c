/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines and warnings on their way out, and how many of them go.
 */
#include "mm/log.h"

#include "mm/mm.h"

/* Takes a token; *@missed_out: as many messages were held back since the last time. */
static bool take_token(struct log_limit *limit, u64 now, u32 *missed_out)
{
	u64 passed = now - limit->last_ns;

	lockdep_assert_held(&limit->lock);
	/* Clocks of two CPUs may be a little apart. */
	if ((s64)passed > 0) {
		limit->last_ns = now;
		limit->missing_ns -= passed < limit->missing_ns ? passed : limit->missing_ns;
	}
	if (limit->missing_ns > (LOG_BURST - 1) * LOG_INTERVAL_NS)
		return false;
	limit->missing_ns += LOG_INTERVAL_NS;
	*missed_out = __atomic_exchange_n(&limit->missed, 0, __ATOMIC_RELAXED);
	return true;
}

bool mm_printk_ratelimit(struct mm *mm)
{
	struct log_limit *limit = &mm->log_limit;
	u32 missed = 0;
	bool taken;

	if (!mm->ops->clock_ns)
		return true;
	taken = spin_trylock(&limit->lock);
	if (taken) {
		taken = take_token(limit, mm->ops->clock_ns(mm->arch), &missed);
		spin_unlock(&limit->lock);
	}
	if (!taken)
		__atomic_add_fetch(&limit->missed, 1, __ATOMIC_RELAXED);
	if (missed)
		mm_log(mm, LOG_WARNING, "printk: %u messages suppressed.", missed);
	return taken;
}

void mm_log(struct mm *mm, enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	mm->ops->log(mm->arch, level, format, args);
	va_end(args);
}

void mm_warn_at(struct mm *mm, const char *file, int line, const char *text)
{
	mm->ops->warn(mm->arch, file, line, text);
}
