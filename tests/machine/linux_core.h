/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A core whose pages can be written, and the faults that linux_core plants in it. */
#ifndef TESTS_MACHINE_LINUX_CORE_H
#define TESTS_MACHINE_LINUX_CORE_H

#include "vmm/linux/check.h"
#include "vmm/linux/private.h"
#include "vmm/source/source.h"

#define COPIES 64

/* The core, and pages of it that were written. */
struct machine {
	struct source *source;
	struct inspect_source core;
	uint64_t copied[COPIES];
	uint8_t copy[COPIES][4096] __attribute__((aligned(8)));
	unsigned int nr_copies;
	struct linux_guest *guest;
	struct linux_space space;
};

/* Reads eight bytes of the guest; 0 where they cannot be read. */
uint64_t machine_peek(struct machine *machine, uint64_t address);

/* Writes eight bytes, by guest-virtual or guest-physical address; false where it cannot. */
bool machine_poke(struct machine *machine, uint64_t address, uint64_t value);
bool machine_poke_physical(struct machine *machine, uint64_t gpa, uint64_t value);

/* Walks the kernel's tables. */
void machine_walk(struct machine *machine, uint64_t address, struct paging_walk *walk_out);

struct fault {
	const char *name;
	enum linux_check check; /* which is to find it */
	bool may_lack;          /* quiet kernels may have nothing to plant it in */
	bool (*plant)(struct machine *machine);
};

/* Ended by one without a name. */
extern const struct fault linux_faults[];

#endif
