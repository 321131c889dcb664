/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A target without a guest: two vCPUs, 8 KiB of memory at FAKE_BASE, what was asked of it last. For
 * the one .c file of a test program.
 */
#ifndef TESTS_VMM_GDB_FAKE_TARGET_H
#define TESTS_VMM_GDB_FAKE_TARGET_H

#include <errno.h>
#include <string.h>

#include "vmm/gdb/session.h"

#define FAKE_CPUS  2u
#define FAKE_BASE  0x10000ull
#define FAKE_BYTES 8192u

struct fake {
	struct debug_registers registers[FAKE_CPUS];
	uint8_t memory[FAKE_BYTES];
	bool physical; /* of the last access */
	struct debug_point point;
	unsigned int inserted, removed, resumed, stepped_back, killed;
	struct debug_order orders[FAKE_CPUS];
	bool blocks, dead;
};

static inline int fake_get(void *context, unsigned int cpu, struct debug_registers *out)
{
	*out = ((struct fake *)context)->registers[cpu];
	return 0;
}

static inline int fake_set(void *context, unsigned int cpu, const struct debug_registers *in)
{
	((struct fake *)context)->registers[cpu] = *in;
	return 0;
}

static inline size_t fake_read(void *context, unsigned int cpu, bool physical, uint64_t address,
			       void *buffer, size_t size)
{
	struct fake *fake = context;

	(void)cpu;
	fake->physical = physical;
	if (address < FAKE_BASE || address >= FAKE_BASE + FAKE_BYTES)
		return 0;
	if (size > FAKE_BASE + FAKE_BYTES - address)
		size = FAKE_BASE + FAKE_BYTES - address;
	memcpy(buffer, fake->memory + (address - FAKE_BASE), size);
	return size;
}

static inline int fake_write(void *context, unsigned int cpu, bool physical, uint64_t address,
			     const void *buffer, size_t size)
{
	struct fake *fake = context;

	(void)cpu;
	fake->physical = physical;
	if (address < FAKE_BASE || address >= FAKE_BASE + FAKE_BYTES ||
	    size > FAKE_BASE + FAKE_BYTES - address)
		return -EFAULT;
	memcpy(fake->memory + (address - FAKE_BASE), buffer, size);
	return 0;
}

static inline int fake_insert(void *context, unsigned int cpu, const struct debug_point *point)
{
	struct fake *fake = context;

	(void)cpu;
	fake->point = *point;
	fake->inserted++;
	return point->size_bytes > DEBUG_WATCH_SIZE_MAX ? -EINVAL : 0;
}

static inline int fake_remove(void *context, const struct debug_point *point)
{
	struct fake *fake = context;

	fake->point = *point;
	fake->removed++;
	return 0;
}

static inline int fake_resume(void *context, const struct debug_order *orders)
{
	struct fake *fake = context;

	if (fake->dead)
		return -ENOTRECOVERABLE;
	memcpy(fake->orders, orders, sizeof(fake->orders));
	fake->resumed++;
	return 0;
}

static inline int fake_back(void *context, unsigned int cpu, bool step)
{
	struct fake *fake = context;

	fake->stepped_back += step && cpu < FAKE_CPUS;
	return 0;
}

static inline void fake_interrupt(void *context)
{
	(void)context;
}

static inline void fake_kill(void *context)
{
	((struct fake *)context)->killed++;
}

static inline bool fake_is_halted(void *context, unsigned int cpu)
{
	(void)context;
	return cpu == 1;
}

static inline void fake_blocks(void *context, bool block)
{
	((struct fake *)context)->blocks = block;
}

static inline void fake_monitor(void *context, const char *text, struct gdb_answer *lines)
{
	(void)context;
	gdb_answer_text(lines, "you said %.100s\n", text);
}

static inline struct gdb_target fake_target(struct fake *fake)
{
	return (struct gdb_target){fake,           FAKE_CPUS,   fake_get,       fake_set,
				   fake_read,      fake_write,  fake_insert,    fake_remove,
				   fake_resume,    fake_back,   fake_interrupt, fake_kill,
				   fake_is_halted, fake_blocks, fake_monitor};
}

#endif
