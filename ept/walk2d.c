/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Translation of one address through both stages, with every entry shown. */
#include <stddef.h>

#include "ept/paging_private.h"
#include "ept/stage2_private.h"
#include "ept/walk2d.h"

/* The second-stage walks that reading the guest's tables takes, in order. */
struct table_walks {
	const struct stage2_mode *mode;
	const struct stage2_reader *reader;
	struct stage2_walk walks[PAGING_LEVELS_MAX];
	unsigned int count;
};

/* Rights by both stages. Fetches from user pages are granted by XU, from others by X. */
static unsigned int rights_of_both(unsigned int stage1, unsigned int stage2)
{
	unsigned int rights = stage1 & PAGING_U;

	rights |= stage2 & STAGE2_R ? stage1 & PAGING_R : 0;
	rights |= stage2 & STAGE2_W ? stage1 & PAGING_W : 0;
	rights |= stage2 & (stage1 & PAGING_U ? STAGE2_XU : STAGE2_X) ? stage1 & PAGING_X : 0;
	return rights;
}

static const uint64_t *read_guest_table(void *context, gpa_t table)
{
	struct table_walks *tables = context;
	struct stage2_walk *walk = &tables->walks[tables->count++];

	stage2_walk(tables->mode, tables->reader, table, walk);
	if (walk->status != STAGE2_MAPPED || !(walk->rights & STAGE2_R))
		return NULL;
	return tables->reader->table(tables->reader->context, walk->hpa);
}

static void show_stage2(struct walk2d *walk, const struct stage2_mode *mode, gpa_t gpa,
			const struct stage2_walk *second)
{
	unsigned int i;

	for (i = 0; i < second->entry_count; i++)
		walk->entries[walk->entry_count++] = (struct walk2d_entry){
			.stage = 2,
			.level = mode->levels - i,
			.gpa = gpa,
			.hpa = second->entries[i].address,
			.value = second->entries[i].value,
		};
	walk->stage2 = second->status;
}

/* Puts the entries of both stages in the order in which a processor reads them. */
static void show_tables(struct walk2d *walk, const struct paging_mode *mode,
			const struct paging_walk *first, const struct table_walks *tables)
{
	gpa_t table = mode->root;
	unsigned int i;

	for (i = 0; i < tables->count; i++) {
		if (i > 0)
			table = gpa_make(first->entries[i - 1].value & EPT_ADDRESS_MASK);
		show_stage2(walk, tables->mode, table, &tables->walks[i]);
		if (i < first->entry_count)
			walk->entries[walk->entry_count++] = (struct walk2d_entry){
				.stage = 1,
				.level = mode->levels - i,
				.gpa = first->entries[i].address,
				.hpa = hpa_add(tables->walks[i].hpa,
					       first->entries[i].address.value % EPT_PAGE_BYTES),
				.value = first->entries[i].value,
			};
	}
}

static enum walk2d_end stage1_end(const struct paging_walk *first, const struct table_walks *tables)
{
	const struct stage2_walk *last = &tables->walks[tables->count - 1];

	if (first->status != PAGING_NO_TABLE)
		return WALK2D_STAGE1;
	if (last->status == STAGE2_MAPPED && !(last->rights & STAGE2_R))
		return WALK2D_STAGE2_TABLE_RIGHT;
	return WALK2D_STAGE2_TABLE;
}

void walk2d_walk(const struct paging_mode *stage1, const struct stage2_mode *stage2,
		 const struct stage2_reader *reader, gva_t gva, struct walk2d *walk_out)
{
	struct table_walks tables = {.mode = stage2, .reader = reader};
	struct paging_reader guest = {read_guest_table, &tables};
	struct stage2_walk second;
	struct paging_walk first;

	*walk_out = (struct walk2d){.end = WALK2D_STAGE1};
	paging_walk(stage1, &guest, gva, &first);
	walk_out->stage1 = first.status;
	walk_out->level = first.level;
	show_tables(walk_out, stage1, &first, &tables);
	if (first.status != PAGING_MAPPED) {
		if (first.status != PAGING_NON_CANONICAL)
			walk_out->end = stage1_end(&first, &tables);
		return;
	}
	walk_out->gpa = first.gpa;
	walk_out->stage1_bytes = first.page_bytes;
	stage2_walk(stage2, reader, first.gpa, &second);
	show_stage2(walk_out, stage2, first.gpa, &second);
	walk_out->end = WALK2D_STAGE2_PAGE;
	if (second.status != STAGE2_MAPPED)
		return;
	walk_out->end = WALK2D_MAPPED;
	walk_out->hpa = second.hpa;
	walk_out->stage2_bytes = second.page_bytes;
	walk_out->tlb_bytes =
		first.page_bytes < second.page_bytes ? first.page_bytes : second.page_bytes;
	walk_out->rights = rights_of_both(first.rights, second.rights);
}
