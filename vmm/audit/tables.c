/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "tables": every page table, the kernel's and each process's own, is referenced by exactly
 * one entry, lies in RAM, is known to the core as a table of that level (or, the kernel's, is boot
 * memory), no entry has a reserved bit set, and no table is left that nothing refers to. The upper
 * half of a process is the kernel's or empty, entry by entry.
 */
#include "vmm/audit/private.h"

#define PAGE INSPECT_PAGE_BYTES

static int report_bad(void *context, const struct paging_bad_entry *bad)
{
	struct audit_pass *pass = context;

	audit_found(pass, bad->gva.value, bad->entry.value, 0,
		    bad->status == PAGING_RESERVED
			    ? "a reserved bit is set in the entry of level %u at gpa %#llx"
			    : "the entry of level %u at gpa %#llx leads to no table in RAM",
		    bad->level, (unsigned long long)bad->entry.address.value);
	return 0;
}

/* A table of the core's: one frame, PAGE_TABLE, its level in index. */
static void check_core_table(struct audit_pass *pass, const struct table *table)
{
	struct inspect_page page;

	if (!inspect_page(pass->inspector, table->gpa / PAGE, &page)) {
		audit_found(pass, table->gpa, 0, 0, "a table in a frame without a struct page");
		return;
	}
	if (page.state != pass->l->page_table_state)
		audit_found(pass, table->gpa, page.state, pass->l->page_table_state,
			    "a table in a frame that is no page table's, for %#llx",
			    (unsigned long long)table->gva);
	else if (page.index != table->level)
		audit_found(pass, table->gpa, page.index, table->level,
			    "a table whose struct page has another level, for %#llx",
			    (unsigned long long)table->gva);
}

static void check_table(struct audit_pass *pass, const struct table *table, uint64_t *nr_core)
{
	const struct nb_range *range = inspect_reserved_range(pass->inspector, table->gpa / PAGE);

	if (!range) {
		*nr_core += table->walked == 0;
		check_core_table(pass, table);
	} else if (table->walked) {
		audit_found(pass, table->gpa, range->kind, 0,
			    "a process's table in boot memory, for %#llx",
			    (unsigned long long)table->gva);
	} else if (range->kind != pass->l->reserved_tables) {
		audit_found(pass, table->gpa, range->kind, pass->l->reserved_tables,
			    "a table in boot memory that is not for tables, for %#llx",
			    (unsigned long long)table->gva);
	}
}

/* Boot memory for tables is all tables. */
static int check_boot_tables(struct audit_pass *pass)
{
	const struct inspect_source *source = inspect_source_of(pass->inspector);
	int err;

	for (uint32_t i = 0; i < source->nr_reserved; i++) {
		const struct nb_range *range = &source->reserved[i];

		if (range->kind != pass->l->reserved_tables)
			continue;
		for (uint64_t pfn = range->start / PAGE; pfn < range->end / PAGE; pfn++) {
			const struct frame *frame = audit_frame(pass, pfn, &err);

			if (err)
				return err;
			if (frame && frame->level == 0)
				audit_found(pass, pfn * PAGE, 0, 1,
					    "a boot page table that no entry refers to");
		}
	}
	return 0;
}

/* Tables that were made and that nothing refers to, in the sections in use. */
static void check_leaks(struct audit_pass *pass)
{
	const struct frame_map *map = &pass->map;
	struct inspect_page page;

	for (uint64_t section = 0; section < map->nr_sections; section++) {
		uint64_t first = section * map->section_pages;
		uint64_t count = map->online[section] ? audit_section_frames(pass, section) : 0;

		for (uint64_t i = 0; i < count; i++) {
			const struct frame *frame = &map->section[section][i];

			if (frame->level != 0 || frame->claim != CLAIM_NONE ||
			    !inspect_page(pass->inspector, first + i, &page) ||
			    page.state != pass->l->page_table_state)
				continue;
			audit_found(pass, (first + i) * PAGE, 0, 1,
				    "a page table of level %llu that no entry refers to",
				    (unsigned long long)page.index);
		}
	}
}

static void check_count(struct audit_pass *pass, uint64_t expected)
{
	uint64_t address =
		inspect_mm(pass->inspector) + pass->l->mm.pt + pass->l->page_table.nr_tables;
	uint64_t found = 0;

	if (!inspect_u64(pass->inspector, address, &found) || found != expected)
		audit_found(pass, address, found, expected, "the count of page tables is wrong");
}

static void check_root(struct audit_pass *pass)
{
	uint64_t address =
		inspect_mm(pass->inspector) + pass->l->mm.pt + pass->l->page_table.root_phys;
	uint64_t root = inspect_source_of(pass->inspector)->paging.root.value, found = 0;

	if (!inspect_u64(pass->inspector, address, &found) || found != root)
		audit_found(pass, address, found, root, "the core has another root than the vCPU");
}

int audit_tables(struct audit_pass *pass)
{
	const struct paging_visitor visitor = {.bad = report_bad, .context = pass};
	uint64_t nr_core = 0;
	int err;

	for (size_t i = 0; i < pass->nr_tables; i++)
		check_table(pass, &pass->table[i], &nr_core);
	audit_looked(pass, pass->nr_tables);
	check_root(pass);
	audit_process_tables(pass);
	if (pass->tables_cut) {
		/* What lies beyond was not reached: nothing can be said of what is left. */
		audit_found(pass, pass->cut_at.gpa, 2, 1,
			    "a table of level %u is referenced twice, the second time for %#llx",
			    pass->cut_at.level, (unsigned long long)pass->cut_at.gva);
		return 0;
	}
	err = audit_walk(pass, 0, 0, &visitor);
	if (!err)
		err = audit_walk_users(pass, &visitor);
	if (!err)
		err = check_boot_tables(pass);
	if (err)
		return err;
	check_leaks(pass);
	check_count(pass, nr_core);
	return 0;
}
