/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines and warnings on their way out, and how many of them go.
 */
#include "mm/log.h"

#include "mm/mm.h"

__attribute__((format(printf, 3, 4))) static void say(struct mm *mm, enum log_level level,
						      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	mm->ops->log(mm->arch, level, format, args);
	va_end(args);
}

/* Whether one more may be said; *@held_back_out: and before it, that so many were not. */
static bool within_limit(struct mm *mm, struct log_limit *limit, u64 *held_back_out)
{
	u64 now = mm->ops->clock_ns(mm->arch);
	bool within;

	if (!spin_trylock(&limit->lock)) {
		__atomic_add_fetch(&limit->held_back, 1, __ATOMIC_RELAXED);
		return false;
	}
	if (limit->said == 0 || (s64)(now - limit->begin_ns) >= (s64)LOG_INTERVAL_NS) {
		limit->begin_ns = now;
		limit->said = 0;
		*held_back_out = __atomic_exchange_n(&limit->held_back, 0, __ATOMIC_RELAXED);
	}
	within = limit->said < LOG_BURST;
	if (within)
		limit->said++;
	else
		__atomic_add_fetch(&limit->held_back, 1, __ATOMIC_RELAXED);
	spin_unlock(&limit->lock);
	return within;
}

static bool may_say(struct mm *mm, struct log_limit *limit, const char *what)
{
	u64 held_back = 0;

	if (!mm->ops->clock_ns)
		return true;
	if (!within_limit(mm, limit, &held_back))
		return false;
	if (held_back)
		say(mm, LOG_WARNING, "%lu %s suppressed", (unsigned long)held_back, what);
	return true;
}

void mm_log(struct mm *mm, enum log_level level, const char *format, ...)
{
	va_list args;

	if (!may_say(mm, &mm->lines, "messages"))
		return;
	va_start(args, format);
	mm->ops->log(mm->arch, level, format, args);
	va_end(args);
}

void mm_warn_at(struct mm *mm, const char *file, int line, const char *text)
{
	if (may_say(mm, &mm->warnings, "warnings"))
		mm->ops->warn(mm->arch, file, line, text);
}
