/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The walk over the kernel's tables, as every check takes it, and how the first of all walks
 * (processes.c) enters a table: it bounds all the others, and judges nothing.
 */
#include <errno.h>

#include "lib/grow.h"
#include "vmm/audit/private.h"

#define WALK_CUT 1

static int keep_table(struct audit_pass *pass, const struct table *table)
{
	if (GROW(pass->table, pass->nr_tables))
		return -ENOMEM;
	pass->table[pass->nr_tables++] = *table;
	return 0;
}

static int cut(struct audit_pass *pass, const struct table *table)
{
	if (!pass->tables_cut)
		pass->cut_at = *table;
	pass->tables_cut = true;
	return WALK_CUT;
}

/*
 * A table that two entries refer to is entered twice, all that hangs on it as well; so the walk
 * ends there. What came before bounds every later walk, which takes the same way.
 */
int audit_enter_table(void *context, gpa_t gpa, unsigned int level, gva_t gva)
{
	struct audit_pass *pass = context;
	const struct table table = {
		.gpa = gpa.value, .gva = gva.value, .level = level, .walked = pass->walked};
	struct frame *frame;
	int err;

	frame = audit_frame(pass, gpa.value / INSPECT_PAGE_BYTES, &err);
	if (!frame)
		return err; /* outside RAM the reader finds no tables */
	if (frame->level != 0)
		return cut(pass, &table);
	frame->level = (uint8_t)level;
	/* Where somebody signed before, the check "frames" names both. */
	if (frame->claim == CLAIM_RESERVED)
		frame->claim = CLAIM_BOOT_TABLE;
	else if (frame->claim == CLAIM_NONE)
		frame->claim = CLAIM_TABLE;
	return keep_table(pass, &table);
}

int audit_walk(struct audit_pass *pass, uint64_t start, uint64_t end,
	       const struct paging_visitor *visitor)
{
	struct paging_reader reader = inspect_paging_reader(pass->inspector);
	const struct paging_mode *mode = &inspect_source_of(pass->inspector)->paging;
	int err;

	err = paging_for_each(mode, &reader, gva_make(start), gva_make(end),
			      pass->nr_kernel_tables + pass->nr_bad_entries + 1, visitor);
	return err == -ELOOP || err == -EINVAL ? 0 : err;
}
