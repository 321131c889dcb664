/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest tells its host outside of hypercalls: lines of log, warnings, and its end.
 * Each fills this CPU's struct nb_event (guest/abi.h) and writes to a port; no lock is needed.
 */
#ifndef GUEST_REPORT_H
#define GUEST_REPORT_H

#include <stdarg.h>

#include "guest/cpu.h"
#include "mm/arch.h"

/* One line of log, formatted as guest/printf.h has it, cut off at the event's text[]. */
void report_log(enum log_level level, const char *format, va_list args);

/* NB_EVENT_WARN with "file:line: text"; goes on when the host has taken it. */
void report_warn(const char *file, int line, const char *text);

/* NB_EVENT_PANIC with "file:line: text". */
__attribute__((noreturn)) void report_panic(const char *file, int line, const char *text);

/* NB_EVENT_TRAP: the exception @frame, with the registers as they were. */
__attribute__((noreturn)) void report_trap(const struct trap_frame *frame);

#define PANIC(text) report_panic(__FILE__, __LINE__, (text))
#define WARN(text)  report_warn(__FILE__, __LINE__, (text))

#endif
