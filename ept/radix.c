/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The walk and the iteration that all paging formats share. */
#include <errno.h>
#include <stddef.h>

#include "ept/radix.h"

/* The guest may be changing the entry: one load, never repeated by the compiler. */
static uint64_t load(const uint64_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

static bool is_leaf(const struct radix_format *format, uint64_t entry, unsigned int level)
{
	return level == 1 || (entry & format->large_mask[level]) != 0;
}

static bool is_malformed(const struct radix_format *format, uint64_t entry, unsigned int level,
			 bool leaf)
{
	uint64_t reserved = leaf ? format->reserved_leaf[level] : format->reserved_table[level];

	if (entry & reserved)
		return true;
	return format->malformed && format->malformed(format, entry, leaf);
}

static uint64_t leaf_address(const struct radix_format *format, uint64_t entry, unsigned int level)
{
	return entry & format->address_mask & ~((1ULL << radix_shift(level)) - 1);
}

/* Judges one entry of a walk. Returns true when the walk ends here. */
static bool walk_step(const struct radix_format *format, uint64_t entry, uint64_t input,
		      struct radix_walk *walk)
{
	unsigned int level = walk->level;
	uint64_t offset;
	bool leaf;

	if (!(entry & format->present_mask)) {
		walk->status = RADIX_NOT_PRESENT;
		return true;
	}
	leaf = is_leaf(format, entry, level);
	if (is_malformed(format, entry, level, leaf)) {
		walk->status = RADIX_RESERVED;
		return true;
	}
	walk->rights &= entry ^ format->rights_invert;
	if (!leaf)
		return false;
	offset = input & ((1ULL << radix_shift(level)) - 1);
	walk->status = RADIX_MAPPED;
	walk->output = leaf_address(format, entry, level) | offset;
	walk->page_bytes = 1ULL << radix_shift(level);
	return true;
}

void radix_walk(const struct radix_format *format, const struct radix_reader *reader, uint64_t root,
		uint64_t input, struct radix_walk *walk_out)
{
	struct radix_walk *walk = walk_out;
	uint64_t table = root & format->address_mask, entry;
	const uint64_t *entries;
	unsigned int index;

	*walk = (struct radix_walk){.rights = format->rights_mask};
	for (walk->level = format->levels; walk->level > 0; walk->level--) {
		entries = reader->table(reader->context, table);
		if (!entries) {
			walk->status = RADIX_NO_TABLE;
			return;
		}
		index = (unsigned int)(input >> radix_shift(walk->level)) % RADIX_ENTRIES;
		entry = load(&entries[index]);
		walk->entries[walk->entry_count++] =
			(struct radix_entry){table + index * sizeof(entry), entry};
		if (walk_step(format, entry, input, walk))
			return;
		table = entry & format->address_mask;
	}
}

/* ---- iteration ---- */

struct iteration {
	const struct radix_format *format;
	const struct radix_reader *reader;
	const struct radix_visitor *visitor;
	uint64_t first;
	uint64_t last;
	uint64_t tables_left;
};

static int visit_table(struct iteration *it, const struct radix_hit *above, uint64_t table,
		       unsigned int level, uint64_t input, uint64_t rights);

/* Handles one present entry; @hit has all but status, output and the final rights. */
static int visit_entry(struct iteration *it, struct radix_hit *hit)
{
	const struct radix_format *format = it->format;
	uint64_t entry = hit->entry.value;
	bool leaf = is_leaf(format, entry, hit->level);

	if (is_malformed(format, entry, hit->level, leaf)) {
		hit->status = RADIX_RESERVED;
		return it->visitor->bad ? it->visitor->bad(it->visitor->context, hit) : 0;
	}
	hit->rights &= entry ^ format->rights_invert;
	if (!leaf)
		return visit_table(it, hit, entry & format->address_mask, hit->level - 1,
				   hit->input, hit->rights);
	hit->status = RADIX_MAPPED;
	hit->output = leaf_address(format, entry, hit->level);
	return it->visitor->leaf ? it->visitor->leaf(it->visitor->context, hit) : 0;
}

static int report_no_table(struct iteration *it, const struct radix_hit *above)
{
	struct radix_hit hit = *above;

	hit.status = RADIX_NO_TABLE;
	return it->visitor->bad ? it->visitor->bad(it->visitor->context, &hit) : 0;
}

/* @above is the entry that refers to @table; the depth is bounded by the levels. */
static int visit_table(struct iteration *it, const struct radix_hit *above, uint64_t table,
		       unsigned int level, uint64_t input, uint64_t rights)
{
	unsigned int shift = radix_shift(level), index, end = RADIX_ENTRIES - 1;
	const struct radix_visitor *visitor = it->visitor;
	const uint64_t *entries;
	struct radix_hit hit;
	uint64_t entry;
	int err;

	if (it->tables_left-- == 0)
		return -ELOOP;
	entries = it->reader->table(it->reader->context, table);
	if (!entries)
		return report_no_table(it, above);
	err = visitor->table ? visitor->table(visitor->context, table, level, input) : 0;
	index = it->first > input ? (unsigned int)((it->first - input) >> shift) : 0;
	if ((it->last - input) >> shift < end)
		end = (unsigned int)((it->last - input) >> shift);
	for (; index <= end && !err; index++) {
		entry = load(&entries[index]);
		if (!(entry & it->format->present_mask))
			continue;
		hit.level = level;
		hit.input = input + ((uint64_t)index << shift);
		hit.rights = rights;
		hit.entry = (struct radix_entry){table + index * sizeof(entry), entry};
		err = visit_entry(it, &hit);
	}
	return err;
}

int radix_for_each(const struct radix_format *format, const struct radix_reader *reader,
		   uint64_t root, uint64_t first, uint64_t last, uint64_t table_limit,
		   const struct radix_visitor *visitor)
{
	struct iteration it = {format, reader, visitor,
			       first,  last,   table_limit ? table_limit : RADIX_TABLE_LIMIT};
	struct radix_hit above = {.level = format->levels + 1, .entry = {root, root}};

	return visit_table(&it, &above, root & format->address_mask, format->levels, 0,
			   format->rights_mask);
}
