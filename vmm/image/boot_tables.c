/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Building 4-level page tables (SDM vol. 3A, 4.5) from outside, before the guest runs. */
#include "vmm/image/boot_tables.h"

#include <errno.h>

#include "mm/x86.h"

#define ROOT_LEVEL 4
#define TABLE_BITS (X86_PTE_P | X86_PTE_RW | X86_PTE_A)

static int table_host(const struct boot_tables *tables, gpa_t table, uint64_t **host_out)
{
	void *host;
	int err = gpa_space_translate(tables->space, table, X86_PAGE_SIZE, &host);

	if (!err)
		*host_out = host;
	return err;
}

static int take_table(struct boot_tables *tables, gpa_t *table_out)
{
	if (tables->next.value >= tables->end.value ||
	    tables->end.value - tables->next.value < X86_PAGE_SIZE)
		return -ENOSPC;
	*table_out = tables->next;
	tables->next = gpa_add(tables->next, X86_PAGE_SIZE);
	return 0;
}

int boot_tables_init(struct boot_tables *tables, struct gpa_space *space, gpa_t start, gpa_t end)
{
	uint64_t *host;
	int err;

	*tables = (struct boot_tables){.space = space, .next = start, .end = end};
	err = take_table(tables, &tables->root);
	return err ? err : table_host(tables, tables->root, &host);
}

/* The entry for @gva in the table of @level, whose way is made as needed. */
static int find_entry(struct boot_tables *tables, gva_t gva, unsigned int level,
		      uint64_t **entry_out)
{
	gpa_t table = tables->root;

	for (unsigned int at = ROOT_LEVEL;; at--) {
		uint64_t *host, *entry;
		int err = table_host(tables, table, &host);

		if (err)
			return err;
		entry = &host[(gva.value >> X86_LEVEL_SHIFT(at)) % X86_TABLE_ENTRIES];
		if (at == level) {
			*entry_out = entry;
			return 0;
		}
		if (*entry & X86_PTE_PS)
			return -EEXIST;
		if (!(*entry & X86_PTE_P)) {
			err = take_table(tables, &table);
			if (err)
				return err;
			*entry = table.value | TABLE_BITS;
		}
		table = gpa_make(*entry & X86_PTE_ADDR_MASK);
	}
}

int boot_tables_reach(struct boot_tables *tables, gva_t gva, unsigned int level)
{
	uint64_t *entry;

	return find_entry(tables, gva, level, &entry);
}

int boot_tables_map(struct boot_tables *tables, gva_t gva, gpa_t gpa, unsigned int level,
		    uint64_t bits)
{
	uint64_t *entry;
	int err = find_entry(tables, gva, level, &entry);

	if (err)
		return err;
	if (*entry)
		return -EEXIST;
	*entry = gpa.value | bits | X86_PTE_P | (level > 1 ? X86_PTE_PS : 0);
	return 0;
}
