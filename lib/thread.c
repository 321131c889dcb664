/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is told of threads. */
#include "lib/thread.h"

#include <stddef.h>

static void (*told)(enum thread_kind kind);

const char *thread_kind_name(enum thread_kind kind)
{
	static const char *const names[THREAD_KINDS] = {"main", "vCPU", "trap",
							"log",  "call", "look"};

	return names[kind];
}

void thread_on_begin(void (*fn)(enum thread_kind kind))
{
	told = fn;
}

void thread_begin(enum thread_kind kind)
{
	if (told)
		told(kind);
}
