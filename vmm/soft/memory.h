/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thorough way to memory: whatever the line of the page says, for operands in one page or
 * two, in memory or not. Each function that fails has said why (an event is pending, cpu->exit is
 * set), with nothing written; the instruction returns then and may be begun again.
 */
#ifndef VMM_SOFT_MEMORY_H
#define VMM_SOFT_MEMORY_H

#include "vmm/soft/cpu.h"

/* An operand that may be read: where it lies, or a copy in cpu->bounce. @bytes up to 16. */
void *soft_read(struct soft_cpu *cpu, uint64_t gva, size_t bytes);

/*
 * The short way to write: *@host_out is where, then soft_written() if cpu->tell_written; or NULL:
 * by soft_write(). False: as for all of these.
 */
bool soft_write_known(struct soft_cpu *cpu, uint64_t gva, size_t bytes, void **host_out);
void soft_written(struct soft_cpu *cpu);

/* Writes @bytes, all or none. */
bool soft_write(struct soft_cpu *cpu, uint64_t gva, size_t bytes, const void *value);

/*
 * An operand to read and write (@access SOFT_UPDATE or SOFT_LOCKED). The caller writes what it
 * points to, then calls soft_updated(), which fails only if the instruction leaves for MMIO.
 */
void *soft_update(struct soft_cpu *cpu, uint64_t gva, size_t bytes, enum soft_access access);
bool soft_updated(struct soft_cpu *cpu);

/* Would a write of @bytes be let? */
bool soft_probe(struct soft_cpu *cpu, uint64_t gva, size_t bytes);

/* As soft_read() and soft_write() but with a class of its own: descriptor tables, stacks. */
bool soft_read_as(struct soft_cpu *cpu, uint64_t gva, size_t bytes, enum soft_class class,
		  void *value_out);
bool soft_write_as(struct soft_cpu *cpu, uint64_t gva, size_t bytes, enum soft_class class,
		   const void *value);
bool soft_probe_as(struct soft_cpu *cpu, uint64_t gva, size_t bytes, enum soft_class class);

/*
 * How many bytes from @gva on, up to @bytes, lie in one page that may be read, or written,
 * straight;
 * *@host_out is where. 0: not straight.
 */
size_t soft_straight(struct soft_cpu *cpu, uint64_t gva, size_t bytes, bool write,
		     uint8_t **host_out);

/* The line from which instructions at @rip are fetched, or NULL. */
struct soft_line *soft_fetch(struct soft_cpu *cpu, uint64_t rip);

/* Reads or writes a port, or leaves for it. */
bool soft_port(struct soft_cpu *cpu, uint16_t port, size_t bytes, bool write, uint64_t *value);

#endif
