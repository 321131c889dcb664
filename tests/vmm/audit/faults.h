/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults for the auditor to find, one by one: each changes the memory of a core in which all was
 * right, as a bug of the core would, and says which check must name it, and where.
 */
#ifndef TESTS_VMM_AUDIT_FAULTS_H
#define TESTS_VMM_AUDIT_FAULTS_H

#include "tests/vmm/inspect/core_mix.h"

struct fault {
	const char *name;
	u64 (*plant)(struct mix *mix); /* returns the address the violation must have */
	enum audit_check check;
	const char *text; /* which its text must contain */
};

#define FAULT(plant, check, text)          \
	{                                  \
#plant, plant, check, text \
	}

/* Each ends with a fault without a name. */
extern const struct fault tile_faults[], leaf_faults[], frame_faults[], object_faults[],
	table_faults[], user_faults[];

#endif
