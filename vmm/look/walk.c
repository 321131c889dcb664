/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One address, entry by entry. */
#include "vmm/look/walk.h"

#include "mm/x86.h"

/* ---- bits ---- */

struct flag {
	uint64_t mask;
	const char *name;
	bool table, large,
		last; /* where the bit means this: no leaf, leaf of level 2 and up, PTE */
};

static const struct flag stage1_flags[] = {
	{X86_PTE_P, "P", true, true, true},
	{X86_PTE_RW, "RW", true, true, true},
	{X86_PTE_US, "US", true, true, true},
	{X86_PTE_PWT, "PWT", true, true, true},
	{X86_PTE_PCD, "PCD", true, true, true},
	{X86_PTE_A, "A", true, true, true},
	{X86_PTE_D, "D", false, true, true},
	{X86_PTE_PS, "PS", false, true, false},
	{X86_PTE_PAT, "PAT", false, false, true},
	{X86_PTE_PAT_BIG, "PAT", false, true, false},
	{X86_PTE_G, "G", false, true, true},
	{X86_PTE_SOFT_LOW | X86_PTE_SOFT_HIGH, "SOFT", true, true, true},
	{X86_PTE_PK, "PK", false, true, true},
	{X86_PTE_NX, "NX", true, true, true},
};

static size_t take(const char **names, size_t count, const char *name)
{
	names[count] = name;
	return count + 1;
}

size_t look_entry_flags(uint64_t value, unsigned int level, bool leaf, uint64_t reserved,
			const char *names_out[LOOK_FLAGS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < sizeof(stage1_flags) / sizeof(stage1_flags[0]); i++) {
		const struct flag *flag = &stage1_flags[i];
		bool means = !leaf ? flag->table : level > 1 ? flag->large : flag->last;

		if (means && value & flag->mask)
			count = take(names_out, count, flag->name);
	}
	if (reserved)
		count = take(names_out, count, "RESERVED");
	return count;
}

/* ---- the second stage ---- */

static void second_of_tables(const struct look_second *second, uint64_t gpa, struct look_leaf *leaf)
{
	struct stage2_walk walk;

	stage2_walk(second->mode, second->reader, gpa_make(gpa), &walk);
	leaf->known = true;
	if (walk.status != STAGE2_MAPPED)
		return;
	leaf->mapped = true;
	leaf->bytes = walk.page_bytes;
	leaf->gpa = gpa & ~(walk.page_bytes - 1);
	leaf->hpa = walk.hpa.value - (gpa - leaf->gpa);
	leaf->rights = walk.rights;
}

static void second_of_leaves(const struct look_second *second, uint64_t gpa, struct look_leaf *leaf)
{
	struct walk2d_leaf found;

	leaf->known = true;
	leaf->mapped = second->leaves->leaf(second->leaves->context, gpa_make(gpa), &found);
	leaf->gpa = found.gpa.value;
	leaf->bytes = found.bytes;
	if (!leaf->mapped)
		return;
	leaf->rights = found.rights;
	leaf->host = found.host;
}

static struct look_leaf second_at(const struct look_second *second, uint64_t gpa)
{
	struct look_leaf leaf = {.known = false};

	if (second && second->mode)
		second_of_tables(second, gpa, &leaf);
	else if (second && second->leaves)
		second_of_leaves(second, gpa, &leaf);
	return leaf;
}

/* ---- the walk ---- */

static unsigned int narrow(unsigned int rights, uint64_t value)
{
	if (!(value & X86_PTE_RW))
		rights &= ~PAGING_W;
	if (!(value & X86_PTE_US))
		rights &= ~PAGING_U;
	if (value & X86_PTE_NX)
		rights &= ~PAGING_X;
	return rights;
}

static void show_entries(const struct paging_mode *mode, const struct paging_walk *first,
			 const struct look_second *second, struct look_walk *walk)
{
	unsigned int rights = PAGING_R | PAGING_W | PAGING_X | PAGING_U;

	walk->entry_count = first->entry_count;
	for (unsigned int i = 0; i < first->entry_count; i++) {
		struct look_entry *entry = &walk->entry[i];
		bool present;

		*entry = (struct look_entry){
			.level = mode->levels - i,
			.gpa = first->entries[i].address.value,
			.value = first->entries[i].value,
			.second = second_at(second, first->entries[i].address.value),
		};
		present = entry->value & X86_PTE_P;
		entry->leaf = present && paging_entry_is_leaf(mode, entry->level, entry->value);
		if (present)
			entry->reserved = entry->value &
					  paging_entry_reserved(mode, entry->level, entry->leaf);
		rights = present ? narrow(rights, entry->value) : 0;
		entry->rights = rights;
	}
}

/* Rights by both stages, as ept/walk2d.h has them for real tables. */
static unsigned int both_rights(unsigned int first, const struct look_leaf *second)
{
	unsigned int fetch = first & PAGING_U ? STAGE2_XU : STAGE2_X;

	if (!second->known)
		return first;
	if (!second->mapped)
		return 0;
	if (!(second->rights & STAGE2_R))
		first &= ~PAGING_R;
	if (!(second->rights & STAGE2_W))
		first &= ~PAGING_W;
	if (!(second->rights & fetch))
		first &= ~PAGING_X;
	return first;
}

static void show_page(const struct paging_walk *first, const struct look_second *second,
		      struct look_walk *walk)
{
	walk->gpa = first->gpa.value;
	walk->page_bytes = first->page_bytes;
	walk->rights = first->rights;
	walk->second = second_at(second, walk->gpa);
	walk->both = both_rights(walk->rights, &walk->second);
	walk->tlb_bytes = walk->page_bytes;
	if (walk->second.known && walk->second.bytes < walk->tlb_bytes)
		walk->tlb_bytes = walk->second.bytes;
	if (walk->second.known && !walk->second.mapped)
		walk->tlb_bytes = 0;
}

void look_walk(struct inspector *inspector, const struct paging_mode *paging, uint64_t gva,
	       const struct look_second *second, struct look_walk *walk_out)
{
	const struct paging_mode *mode = paging ? paging : &inspect_source_of(inspector)->paging;
	struct paging_reader reader = inspect_paging_reader(inspector);
	struct paging_walk first;

	inspect_refresh(inspector);
	paging_walk(mode, &reader, gva_make(gva), &first);
	*walk_out = (struct look_walk){.gva = gva, .status = first.status, .level = first.level};
	look_place(inspector, gva, &walk_out->place);
	show_entries(mode, &first, second, walk_out);
	if (first.status == PAGING_MAPPED)
		show_page(&first, second, walk_out);
	if (second && second->mode) {
		walk_out->have_tables = true;
		walk2d_walk(mode, second->mode, second->reader, gva_make(gva), &walk_out->tables);
	}
}
