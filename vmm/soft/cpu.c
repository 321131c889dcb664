/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A processor's registers and lines, as its owner sees them. */
#include "vmm/soft/cpu.h"

#include <string.h>

#define LINE_EMPTY                                                                       \
	(struct soft_line)                                                               \
	{                                                                                \
		.read = SOFT_LINE_NONE, .write = SOFT_LINE_NONE, .fetch = SOFT_LINE_NONE \
	}

void soft_cpu_drop_line(struct soft_cpu *cpu, uint64_t gva)
{
	size_t at = (gva >> X86_PAGE_SHIFT) % SOFT_LINES;

	for (size_t class = 0; class < SOFT_CLASSES; class ++)
		cpu->line_sets[class][at] = LINE_EMPTY;
}

void soft_cpu_drop_lines(struct soft_cpu *cpu)
{
	for (size_t class = 0; class < SOFT_CLASSES; class ++)
		for (size_t at = 0; at < SOFT_LINES; at++)
			cpu->line_sets[class][at] = LINE_EMPTY;
}
