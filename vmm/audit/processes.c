/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first walk over all tables, the kernel's and those of processes, made before all checks; and
 * the walk every check takes that looks at user pages. A process is walked in its lower half only;
 * its upper half is the kernel's tables, which were walked already, and is compared by its entries.
 */
#include <errno.h>
#include <stdlib.h>

#include "mm/x86.h"
#include "vmm/audit/private.h"

#define PAGE     INSPECT_PAGE_BYTES
#define USER_TOP (1ull << 47)

const struct inspect_process *audit_walked_process(const struct audit_pass *pass)
{
	return &pass->processes.process[pass->walked - 1];
}

/* Whether @root can be where a root is at all. */
static bool is_root(const struct audit_pass *pass, uint64_t root)
{
	return root % PAGE == 0 && inspect_ram_range(pass->inspector, root / PAGE);
}

static int walk_process(struct audit_pass *pass, size_t index, uint64_t limit,
			const struct paging_visitor *visitor)
{
	struct paging_reader reader = inspect_paging_reader(pass->inspector);
	struct paging_mode mode = inspect_source_of(pass->inspector)->paging;
	int err;

	mode.root = gpa_make(pass->processes.process[index].root);
	pass->walked = (uint32_t)index + 1;
	err = paging_for_each(&mode, &reader, gva_make(0), gva_make(USER_TOP), limit, visitor);
	pass->walked = 0;
	return err;
}

/* ---- the first walk ---- */

/* Frames of sections not in use have no struct page that could count users: "users" reports. */
static int count_user(void *context, const struct paging_leaf *leaf)
{
	struct audit_pass *pass = context;
	uint64_t pfn = leaf->gpa.value / PAGE;
	struct frame *frame;
	int err;

	if (leaf->level != 1 || !inspect_section_online(pass->inspector, pfn))
		return 0;
	frame = audit_frame(pass, pfn, &err);
	if (frame)
		frame->users++;
	return err;
}

static int count_bad(void *context, const struct paging_bad_entry *bad)
{
	struct audit_pass *pass = context;

	if (pass->walked)
		pass->user[pass->walked - 1].nr_bad_entries++;
	else
		pass->nr_bad_entries++;
	return 0;
}

static int walk_users(struct audit_pass *pass)
{
	const struct paging_visitor visitor = {
		.leaf = count_user, .bad = count_bad, .table = audit_enter_table, .context = pass};
	uint64_t limit = inspect_ram_pages(pass->inspector) + 1;

	pass->user = calloc(pass->processes.count + 1, sizeof(*pass->user));
	if (!pass->user)
		return -ENOMEM;
	for (size_t i = 0; i < pass->processes.count; i++) {
		size_t before = pass->nr_tables;
		int err;

		if (!is_root(pass, pass->processes.process[i].root))
			continue;
		err = walk_process(pass, i, limit, &visitor);
		if (err == -ENOMEM)
			return err;
		pass->user[i].nr_tables = pass->nr_tables - before;
		pass->user[i].cut = err != 0;
	}
	return 0;
}

int audit_tables_walk(struct audit_pass *pass)
{
	const struct paging_visitor visitor = {
		.bad = count_bad, .table = audit_enter_table, .context = pass};
	struct paging_reader reader = inspect_paging_reader(pass->inspector);
	const struct paging_mode *mode = &inspect_source_of(pass->inspector)->paging;
	int err;

	err = paging_for_each(mode, &reader, gva_make(0), gva_make(0),
			      inspect_ram_pages(pass->inspector) + 1, &visitor);
	pass->nr_kernel_tables = pass->nr_tables;
	return err == -ENOMEM ? err : walk_users(pass);
}

int audit_walk_users(struct audit_pass *pass, const struct paging_visitor *visitor)
{
	for (size_t i = 0; i < pass->processes.count; i++) {
		const struct user_tables *user = &pass->user[i];
		int err;

		/* Without a root of its own: "tables" reports it. */
		if (user->nr_tables == 0)
			continue;
		err = walk_process(pass, i, user->nr_tables + user->nr_bad_entries + 1, visitor);
		if (err && err != -ELOOP && err != -EINVAL)
			return err;
	}
	return 0;
}

/* ---- what "tables" says ---- */

static void check_upper_half(struct audit_pass *pass, const struct inspect_process *process)
{
	const struct paging_reader reader = inspect_paging_reader(pass->inspector);
	gpa_t root = inspect_source_of(pass->inspector)->paging.root;
	const uint64_t *kernel = reader.table(reader.context, root);
	const uint64_t *own = reader.table(reader.context, gpa_make(process->root));

	for (unsigned int i = X86_TABLE_ENTRIES / 2; kernel && own && i < X86_TABLE_ENTRIES; i++) {
		uint64_t entry = __atomic_load_n(&own[i], __ATOMIC_RELAXED);
		uint64_t expected = __atomic_load_n(&kernel[i], __ATOMIC_RELAXED);

		if (entry != 0 && entry != expected)
			audit_found(pass, process->root + i * sizeof(*own), entry, expected,
				    "an entry of process %u's upper half is not the kernel's",
				    process->id);
	}
}

void audit_process_tables(struct audit_pass *pass)
{
	const struct layout *l = pass->l;

	for (size_t i = 0; i < pass->processes.count; i++) {
		const struct inspect_process *process = &pass->processes.process[i];
		const struct user_tables *user = &pass->user[i];

		audit_looked(pass, 1);
		if (!is_root(pass, process->root)) {
			audit_found(pass, process->address, process->root, 0,
				    "the root of process %u is no table in RAM", process->id);
			continue;
		}
		check_upper_half(pass, process);
		if (!user->cut && process->nr_tables != user->nr_tables)
			audit_found(pass,
				    process->address + l->process.pt + l->page_table.nr_tables,
				    process->nr_tables, user->nr_tables,
				    "the count of process %u's page tables is wrong", process->id);
	}
}
