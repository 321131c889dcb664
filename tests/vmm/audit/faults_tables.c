/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults in page tables. */
#include "tests/vmm/audit/faults.h"

/* ---- tables ---- */

static u64 table_shared(struct mix *mix)
{
	u64 *entry = mix_entry(mix, mix->single, 2);
	u64 table = entry[0] & X86_PTE_ADDR_MASK;

	entry[8] = entry[0];
	return table;
}

static u64 table_refers_to_root(struct mix *mix)
{
	mix_entry(mix, 0, 4)[3] = mix->mm->pt.root_phys | X86_PTE_P | X86_PTE_RW;
	return mix->mm->pt.root_phys;
}

static u64 table_level_wrong(struct mix *mix)
{
	u64 table = *mix_entry(mix, mix->single, 2) & X86_PTE_ADDR_MASK;

	pfn_to_page(mix->mm, table >> PAGE_SHIFT)->index = 3;
	return table;
}

static u64 table_state_wrong(struct mix *mix)
{
	u64 table = *mix_entry(mix, mix->single, 3) & X86_PTE_ADDR_MASK;

	pfn_to_page(mix->mm, table >> PAGE_SHIFT)->state = PAGE_OTHER;
	return table;
}

static u64 table_leaked(struct mix *mix)
{
	u64 *entry = mix_entry(mix, mix->outside, 2);
	u64 table = *entry & X86_PTE_ADDR_MASK;

	*entry = 0;
	return table;
}

static u64 table_count_wrong(struct mix *mix)
{
	mix->mm->pt.nr_tables--;
	return (u64)(uintptr_t)&mix->mm->pt.nr_tables;
}

static u64 table_beyond_ram(struct mix *mix)
{
	mix_entry(mix, 0, 4)[5] = 1ull << 45 | X86_PTE_P;
	return 5ull << 39;
}

static u64 table_in_image(struct mix *mix)
{
	mix_entry(mix, 0, 4)[5] = MIX_IMAGE_PHYS | X86_PTE_P;
	return MIX_IMAGE_PHYS;
}

static u64 reserved_bit_in_leaf(struct mix *mix)
{
	*mix_entry(mix, mix->single, 1) |= 1ull << 50;
	return mix->single;
}

static u64 reserved_bit_in_pml4(struct mix *mix)
{
	*mix_entry(mix, mix->single, 4) |= X86_PTE_PS;
	return mix->single & ~((1ull << 39) - 1);
}

static u64 root_differs(struct mix *mix)
{
	mix->mm->pt.root_phys += PAGE_SIZE;
	return (u64)(uintptr_t)&mix->mm->pt.root_phys;
}

static u64 table_is_an_areas(struct mix *mix)
{
	u64 table = *mix_entry(mix, mix->single, 2) & X86_PTE_ADDR_MASK;

	mix_vm(mix, mix->single)->pages[0] = pfn_to_page(mix->mm, table >> PAGE_SHIFT);
	return table;
}

const struct fault table_faults[] = {
	FAULT(table_leaked, AUDIT_FRAMES, "no entry refers to"),
	FAULT(table_is_an_areas, AUDIT_FRAMES, "the page tables and by an area"),
	FAULT(table_shared, AUDIT_TABLES, "referenced twice"),
	FAULT(table_refers_to_root, AUDIT_TABLES, "referenced twice"),
	FAULT(table_level_wrong, AUDIT_TABLES, "another level"),
	FAULT(table_state_wrong, AUDIT_TABLES, "no page table's"),
	FAULT(table_leaked, AUDIT_TABLES, "no entry refers to"),
	FAULT(table_count_wrong, AUDIT_TABLES, "count"),
	FAULT(table_beyond_ram, AUDIT_TABLES, "no table in RAM"),
	FAULT(table_in_image, AUDIT_TABLES, "not for tables"),
	FAULT(reserved_bit_in_leaf, AUDIT_TABLES, "reserved bit"),
	FAULT(reserved_bit_in_pml4, AUDIT_TABLES, "reserved bit"),
	FAULT(root_differs, AUDIT_TABLES, "another root"),
	{.name = NULL},
};
