/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "wx": nothing is writable and executable but areas whose request said so in as many
 * words; what the image maps read-only cannot be written through the direct map or by a process;
 * and nothing of the kernel's half is open to user mode.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/grow.h"
#include "mm/x86.h"
#include "vmm/audit/private.h"

/* Guest-physical memory that the image maps read-only, [start, end). */
struct extent {
	uint64_t start, end;
};

struct wx_walk {
	struct audit_pass *pass;
	struct extent *extent; /* ascending by address: the image maps it in a row */
	size_t count;
};

static int add_extent(struct wx_walk *walk, uint64_t start, uint64_t end)
{
	if (walk->count && walk->extent[walk->count - 1].end == start) {
		walk->extent[walk->count - 1].end = end;
		return 0;
	}
	if (GROW(walk->extent, walk->count))
		return -ENOMEM;
	walk->extent[walk->count++] = (struct extent){start, end};
	return 0;
}

static int take_image_leaf(void *context, const struct paging_leaf *leaf)
{
	if (leaf->rights & PAGING_W)
		return 0;
	return add_extent(context, leaf->gpa.value, leaf->gpa.value + leaf->page_bytes);
}

/* Whether the area at @gva was asked for writable and executable (vmalloc_exec() is). */
static bool asked_for(struct audit_pass *pass, uint64_t gva)
{
	const struct inspect_area *area = inspect_area_find(&pass->areas, gva);

	return pass->walked == 0 && area && area->state == INSPECT_BUSY && area->has_vm &&
	       area->prot & X86_PTE_RW && !(area->prot & X86_PTE_NX);
}

static void check_alias(struct wx_walk *walk, const struct paging_leaf *leaf)
{
	for (size_t i = 0; i < walk->count; i++) {
		if (leaf->gpa.value < walk->extent[i].end &&
		    leaf->gpa.value + leaf->page_bytes > walk->extent[i].start) {
			audit_found(walk->pass, leaf->gva.value, leaf->gpa.value,
				    walk->extent[i].start,
				    "a writable alias of what the image maps read-only");
			return;
		}
	}
}

static int check_leaf(void *context, const struct paging_leaf *leaf)
{
	struct wx_walk *walk = context;
	bool writable = leaf->rights & PAGING_W;

	audit_looked(walk->pass, 1);
	if (writable && leaf->rights & PAGING_X && !asked_for(walk->pass, leaf->gva.value))
		audit_found(walk->pass, leaf->gva.value, leaf->entry.value, 0,
			    "a page is writable and executable");
	if (leaf->rights & PAGING_U && leaf->gva.value >> 63)
		audit_found(walk->pass, leaf->gva.value, leaf->entry.value, 0,
			    "a kernel page is open to user mode");
	if (writable && !(leaf->gva.value >= walk->pass->l->image_base &&
			  leaf->gva.value < walk->pass->l->modules_vaddr))
		check_alias(walk, leaf);
	return 0;
}

int audit_wx(struct audit_pass *pass)
{
	struct wx_walk walk = {.pass = pass};
	const struct paging_visitor take = {.leaf = take_image_leaf, .context = &walk};
	const struct paging_visitor check = {.leaf = check_leaf, .context = &walk};
	int err = audit_walk(pass, pass->l->image_base, pass->l->modules_vaddr, &take);

	if (!err)
		err = audit_walk(pass, 0, 0, &check);
	if (!err)
		err = audit_walk_users(pass, &check);
	free(walk.extent);
	return err;
}
