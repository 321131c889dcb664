/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation of many addresses through both stages. What makes it fast: the second stage's last
 * leaf, and its last-level tables, are remembered, because neighbouring pages mostly share them.
 */
#include <errno.h>
#include <stdlib.h>

#include "ept/gpa_space_private.h"
#include "ept/stage2_private.h"
#include "ept/walk2d_private.h"

/* ---- a space as a source ---- */

/* The gap, or the region without memory, that holds @gpa. */
static struct walk2d_leaf space_hole(const struct gpa_space *space, gpa_t gpa)
{
	size_t at = gpa_space_first_after(space, gpa.value);
	uint64_t start = at > 0 ? space->regions[at - 1]->public.end.value : 0;
	uint64_t end = 1ULL << EPT_PHYSICAL_BITS_MAX;

	if (at < space->count && space->regions[at]->public.start.value <= gpa.value)
		end = space->regions[at]->public.end.value;
	else if (at < space->count)
		end = space->regions[at]->public.start.value;
	return (struct walk2d_leaf){.gpa = gpa_make(start), .bytes = end - start};
}

static bool space_leaf(void *context, gpa_t gpa, struct walk2d_leaf *leaf_out)
{
	const struct gpa_region *region = gpa_space_find(context, gpa);
	uint64_t bytes, start;

	if (!region || !region->host) {
		*leaf_out = space_hole(context, gpa);
		return false;
	}
	for (bytes = gpa_region_leaf_bytes(region); bytes > EPT_PAGE_BYTES; bytes >>= 9) {
		start = gpa.value & ~(bytes - 1);
		if (start >= region->start.value && start + bytes <= region->end.value)
			break;
	}
	start = gpa.value & ~(bytes - 1);
	*leaf_out = (struct walk2d_leaf){
		.gpa = gpa_make(start),
		.bytes = bytes,
		.rights =
			STAGE2_R | STAGE2_X | STAGE2_XU | (region->kind == GPA_RAM ? STAGE2_W : 0),
		.host = (char *)region->host + (start - region->start.value),
	};
	return true;
}

static const uint64_t *space_table(void *context, gpa_t table)
{
	void *host;

	return gpa_space_translate(context, table, EPT_PAGE_BYTES, &host) == 0 ? host : NULL;
}

struct walk2d_source walk2d_source_space(const struct gpa_space *space)
{
	return (struct walk2d_source){space_leaf, space_table, (void *)space};
}

/* ---- tables as a source ---- */

#define CACHE_ENTRIES 8192u /* 16 GiB without a conflict */
#define CACHE_SHIFT   21    /* a last-level table maps 2 MiB */

/* What one 2 MiB of guest-physical addresses has: a table of 4 KiB leaves. */
struct cached_table {
	uint64_t tag; /* the 2 MiB, by number, plus 1; 0: empty */
	const uint64_t *entries;
	uint64_t rights; /* accumulated above */
};

struct walk2d_tables {
	struct stage2_mode mode;
	struct stage2_reader reader;
	struct radix_format format;
	struct cached_table cache[CACHE_ENTRIES];
};

int walk2d_tables_create(const struct stage2_mode *mode, const struct stage2_reader *reader,
			 struct walk2d_tables **tables_out)
{
	struct walk2d_tables *tables;

	if (mode->levels != 4 && mode->levels != 5)
		return -EINVAL;
	tables = calloc(1, sizeof(*tables));
	if (!tables)
		return -ENOMEM;
	tables->mode = *mode;
	tables->reader = *reader;
	stage2_format(mode, &tables->format);
	*tables_out = tables;
	return 0;
}

void walk2d_tables_destroy(struct walk2d_tables *tables)
{
	free(tables);
}

static const uint64_t *read_host(void *context, uint64_t table)
{
	struct walk2d_tables *tables = context;

	return tables->reader.table(tables->reader.context, hpa_make(table));
}

/* Remembers the last-level table a walk went through. */
static void remember(struct walk2d_tables *tables, uint64_t number, const struct radix_walk *walk)
{
	struct cached_table *cached = &tables->cache[number % CACHE_ENTRIES];
	unsigned int i;

	cached->entries = read_host(tables, walk->entries[walk->entry_count - 1].address &
						    ~(EPT_PAGE_BYTES - 1));
	cached->tag = cached->entries ? number + 1 : 0;
	cached->rights = tables->format.rights_mask;
	for (i = 0; i + 1 < walk->entry_count; i++)
		cached->rights &= walk->entries[i].value ^ tables->format.rights_invert;
}

/* What a walk that found nothing says about the addresses around @gpa. */
static struct walk2d_leaf walk_hole(gpa_t gpa, const struct radix_walk *walk)
{
	unsigned int level = walk->level + (walk->status == RADIX_NO_TABLE ? 1 : 0);
	uint64_t bytes = 1ULL << radix_shift(level);

	return (struct walk2d_leaf){.gpa = gpa_make(gpa.value & ~(bytes - 1)), .bytes = bytes};
}

static bool walk_leaf(struct walk2d_tables *tables, gpa_t gpa, struct walk2d_leaf *leaf_out)
{
	struct radix_reader reader = {read_host, tables};
	struct radix_walk walk;
	uint64_t offset;

	if (gpa.value >= stage2_reach(&tables->mode)) {
		*leaf_out = (struct walk2d_leaf){.gpa = gpa_make(stage2_reach(&tables->mode)),
						 .bytes = 1ULL << 63};
		return false;
	}
	radix_walk(&tables->format, &reader, tables->mode.root.value, gpa.value, &walk);
	if (walk.level == 1 && walk.entry_count == tables->mode.levels)
		remember(tables, gpa.value >> CACHE_SHIFT, &walk);
	if (walk.status != RADIX_MAPPED) {
		*leaf_out = walk_hole(gpa, &walk);
		return false;
	}
	offset = gpa.value & (walk.page_bytes - 1);
	*leaf_out = (struct walk2d_leaf){
		.gpa = gpa_make(gpa.value - offset),
		.bytes = walk.page_bytes,
		.rights = stage2_rights(&tables->mode, walk.rights),
		.hpa = hpa_make(walk.output - offset),
	};
	return true;
}

static bool tables_leaf(void *context, gpa_t gpa, struct walk2d_leaf *leaf_out)
{
	struct walk2d_tables *tables = context;
	const struct radix_format *format = &tables->format;
	uint64_t number = gpa.value >> CACHE_SHIFT, entry;
	const struct cached_table *cached = &tables->cache[number % CACHE_ENTRIES];

	if (cached->tag != number + 1)
		return walk_leaf(tables, gpa, leaf_out);
	entry = __atomic_load_n(&cached->entries[(gpa.value >> 12) % RADIX_ENTRIES],
				__ATOMIC_RELAXED);
	if (!(entry & format->present_mask) || (entry & format->reserved_leaf[1]) ||
	    (format->malformed && format->malformed(format, entry, true))) {
		*leaf_out = (struct walk2d_leaf){.gpa = gpa_make(gpa.value & ~(EPT_PAGE_BYTES - 1)),
						 .bytes = EPT_PAGE_BYTES};
		return false;
	}
	*leaf_out = (struct walk2d_leaf){
		.gpa = gpa_make(gpa.value & ~(EPT_PAGE_BYTES - 1)),
		.bytes = EPT_PAGE_BYTES,
		.rights = stage2_rights(&tables->mode,
					cached->rights & (entry ^ format->rights_invert)),
		.hpa = hpa_make(entry & format->address_mask),
	};
	return true;
}

static const uint64_t *tables_table(void *context, gpa_t table)
{
	struct walk2d_tables *tables = context;
	struct walk2d_leaf leaf;

	if (!tables_leaf(tables, table, &leaf) || !(leaf.rights & STAGE2_R))
		return NULL;
	return read_host(tables, leaf.hpa.value + (table.value - leaf.gpa.value));
}

struct walk2d_source walk2d_source_tables(struct walk2d_tables *tables)
{
	return (struct walk2d_source){tables_leaf, tables_table, tables};
}

/* ---- the batch ---- */

struct batch {
	const struct walk2d_source *source;
	walk2d_piece_fn piece;
	void *context;
	uint64_t pieces_left;
	struct walk2d_leaf last; /* bytes 0: none yet */
	bool last_mapped;
};

static const uint64_t *read_guest(void *context, gpa_t table)
{
	const struct walk2d_source *source = context;

	return source->table(source->context, table);
}

/* Describes the piece of @leaf at @offset. */
static void make_piece(struct batch *batch, const struct paging_leaf *leaf, uint64_t offset,
		       struct walk2d_piece *piece)
{
	const struct walk2d_source *source = batch->source;
	const struct walk2d_leaf *second = &batch->last;
	gpa_t gpa = gpa_add(leaf->gpa, offset);
	uint64_t inside = gpa.value - second->gpa.value, left = leaf->page_bytes - offset;

	if (inside >= second->bytes) {
		batch->last_mapped = source->leaf(source->context, gpa, &batch->last);
		inside = gpa.value - second->gpa.value;
	}
	*piece = (struct walk2d_piece){
		.gva = gva_add(leaf->gva, offset),
		.gpa = gpa,
		.bytes = second->bytes - inside < left ? second->bytes - inside : left,
		.stage1_bytes = leaf->page_bytes,
		.entry = leaf->entry.value,
	};
	if (!batch->last_mapped)
		return;
	piece->stage2_bytes = second->bytes;
	piece->hpa = second->host ? hpa_make(0) : hpa_add(second->hpa, inside);
	piece->host = second->host ? (char *)second->host + inside : NULL;
	piece->rights = walk2d_rights(leaf->rights, second->rights);
}

static int visit_leaf(void *context, const struct paging_leaf *leaf)
{
	struct batch *batch = context;
	struct walk2d_piece piece;
	uint64_t offset;
	int err = 0;

	for (offset = 0; offset < leaf->page_bytes && !err; offset += piece.bytes) {
		if (batch->pieces_left-- == 0)
			return -ELOOP;
		make_piece(batch, leaf, offset, &piece);
		err = batch->piece(batch->context, &piece);
	}
	return err;
}

int walk2d_for_each(const struct paging_mode *stage1, const struct walk2d_source *source,
		    gva_t start, gva_t end, uint64_t table_limit, walk2d_piece_fn piece,
		    void *context)
{
	uint64_t tables = table_limit ? table_limit : RADIX_TABLE_LIMIT;
	struct batch batch = {.source = source,
			      .piece = piece,
			      .context = context,
			      .pieces_left = tables * RADIX_ENTRIES};
	struct paging_visitor visitor = {.leaf = visit_leaf, .context = &batch};
	struct paging_reader reader = {read_guest, (void *)source};

	return paging_for_each(stage1, &reader, start, end, table_limit, &visitor);
}
