/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's page tables in this program's memory, and walks of them. */
#ifndef TESTS_EPT_PAGING_FIXTURE_H
#define TESTS_EPT_PAGING_FIXTURE_H

#include <errno.h>
#include <string.h>

#include "ept/paging.h"
#include "mm/x86.h"
#include "tests/harness.h"
#include "tests/ept/guest_tables.h"
#include "tests/ept/random.h"

#define TABLE (X86_PTE_P | X86_PTE_RW | X86_PTE_US | X86_PTE_A)
#define LEAF  (X86_PTE_P | X86_PTE_RW | X86_PTE_A | X86_PTE_D)
#define RWX   (PAGING_R | PAGING_W | PAGING_X)

static struct guest_tables tables;

static inline const uint64_t *read_table(void *context, gpa_t table)
{
	return tables_at(context, table.value);
}

static const struct paging_reader reader = {read_table, &tables};

static inline struct paging_mode mode_of(unsigned int levels)
{
	struct paging_mode mode = {
		.root = gpa_make(tables.root), .levels = levels, .physical_bits = 46, .nxe = true};

	return mode;
}

static inline struct paging_walk walk_of(const struct paging_mode *mode, uint64_t gva)
{
	struct paging_walk walk;

	memset(&walk, 0xff, sizeof(walk));
	paging_walk(mode, &reader, gva_make(gva), &walk);
	return walk;
}

#endif
