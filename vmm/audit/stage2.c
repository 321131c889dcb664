/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "stage2": whatever the guest maps, the second stage maps on: the whole leaf lies in RAM
 * the host gave, and the host has its bytes. RAM ranges are mapped by the host as wholes, so of a
 * large leaf the first and the last page speak for those between.
 *
 * Not checked: that the guest, reading by its address, gets the bytes the host reads; for that the
 * guest must read.
 */
#include "vmm/audit/private.h"

#define PAGE INSPECT_PAGE_BYTES

static bool host_has(const struct inspect_source *source, uint64_t gpa)
{
	return source->physical(source->context, gpa, PAGE) != NULL;
}

static int check_leaf(void *context, const struct paging_leaf *leaf)
{
	struct audit_pass *pass = context;
	const struct inspect_source *source = inspect_source_of(pass->inspector);
	uint64_t gpa = leaf->gpa.value, end = gpa + leaf->page_bytes;

	audit_looked(pass, 1);
	/* Ranges that touch may share a leaf. */
	while (gpa < end) {
		const struct nb_range *ram = inspect_ram_range(pass->inspector, gpa / PAGE);
		uint64_t part = ram && ram->end < end ? ram->end : end;

		if (!ram || !host_has(source, gpa) || !host_has(source, part - PAGE)) {
			audit_found(pass, leaf->gva.value, gpa, 0,
				    "a leaf maps what the host has no memory for");
			break;
		}
		gpa = part;
	}
	return 0;
}

int audit_stage2(struct audit_pass *pass)
{
	const struct paging_visitor visitor = {.leaf = check_leaf, .context = pass};

	int err = audit_walk(pass, 0, 0, &visitor);

	return err ? err : audit_walk_users(pass, &visitor);
}
