/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables built in guest memory, one frame after the other, for vmm/image/boot.c.
 */
#ifndef VMM_IMAGE_BOOT_TABLES_H
#define VMM_IMAGE_BOOT_TABLES_H

#include "ept/gpa_space.h"

/* Tables are taken from [next, end), which must be zero. */
struct boot_tables {
	struct gpa_space *space;
	gpa_t root;
	gpa_t next;
	gpa_t end;
};

/*
 * Starts with an empty root at @start. Errors: -ENOSPC (no frame below @end), -EFAULT.
 */
int boot_tables_init(struct boot_tables *tables, struct gpa_space *space, gpa_t start, gpa_t end);

/*
 * Makes the tables on the way to @gva down to the one of @level (1 PT .. 4 PML4).
 * Errors: -ENOSPC, -EEXIST (a leaf is in the way), -EFAULT.
 */
int boot_tables_reach(struct boot_tables *tables, gva_t gva, unsigned int level);

/*
 * Writes a leaf of @level (1: 4 KiB, 2: 2 MiB, 3: 1 GiB) that maps @gva to @gpa with @bits, both
 * aligned to its size. Errors: as boot_tables_reach(); -EEXIST also where something is mapped.
 */
int boot_tables_map(struct boot_tables *tables, gva_t gva, gpa_t gpa, unsigned int level,
		    uint64_t bits);

#endif
