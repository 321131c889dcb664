/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's registers as gdb has them: names, order and widths as QEMU's target description for
 * x86-64 has them, so that scripts made for it find cr3 and the others.
 */
#ifndef VMM_GDB_REGISTERS_H
#define VMM_GDB_REGISTERS_H

#include <stdbool.h>

#include "vmm/gdb/packet.h"
#include "vmm/machine/debug.h"

unsigned int gdb_registers_count(void);

/* Register @number as hexadecimal digits in memory's order, as x for what cannot be known. */
void gdb_register_get(const struct debug_registers *from, unsigned int number,
		      struct gdb_answer *answer);

/*
 * Takes its digits from @text, into *@to. x leaves it. False: no digits, or a register that cannot
 * be written: a segment's selector, what is not known.
 */
bool gdb_register_set(struct debug_registers *to, unsigned int number, struct gdb_text *text);

#define GDB_XML_BYTES 12288

/* The target description, a string; returns its length. */
size_t gdb_registers_xml(char xml[GDB_XML_BYTES]);

#endif
